"""Noise of baselines, and execution risk: neither what happens by itself is known, nor what effort brings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kpiopt.scenario.quantity import Quantity


@dataclass(frozen=True)
class Noise:
    """How baselines of cells scatter.

    The baseline b of a cell is b exp(sd z - sd^2 / 2) in a draw, or b + sd z where its noise is additive, with z a
    standard normal score that has parts in common with other cells of the same noise.

    Attributes
    ----------
    names : tuple of str
        Ids of `[noise.NAME]`; the last entry is empty: cells that have a `noise_sd` and no noise by name.
    additive : (n_names,) bool
    common : tuple of mapping
        Level (or "organization") -> share of the variance of z that all cells of one unit of that level have in common.
    group : (n_cells,) int
        Which noise each cell has, -1 where it has none.
    sd : (n_cells,) float
        Relative, or in the KPI's unit where it is additive; 0 where a cell has no noise.
    """

    names: tuple[str, ...]
    additive: tuple[bool, ...]
    common: tuple[Mapping[str, float], ...]
    group: NDArray[np.int64]
    sd: NDArray[np.float64]

    def is_alike(self, other: Noise | None) -> bool:
        """Whether another noise gives the same draws."""
        return (
            other is not None
            and (self.names, self.additive, self.common) == (other.names, other.additive, other.common)
            and np.array_equal(self.group, other.group)
            and np.array_equal(self.sd, other.sd)
        )


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """Execution risk.

    Attributes
    ----------
    execution : tuple of Quantity
        The distributions of the share of planned stretch that is realised; `Cells.execution` points into it.
        Entry 0 is the scenario's default ("1, certainly" where none is written).
    paths : tuple of str
        Where each stands in the file ("uncertainty.execution", "execution.<name>.value").
    common : mapping of str to float
        Level (or "organization") -> share of the variance of execution that all cells of one unit of that level
        have in common.
    """

    execution: tuple[Quantity, ...]
    paths: tuple[str, ...] = ("uncertainty.execution",)
    common: Mapping[str, float] = field(default_factory=dict)
