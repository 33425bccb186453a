"""Which (unit, KPI) pairs have a value, and how values roll up from child units to their parents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kpiopt.scenario.scenario import Floats, Integers, Units


@dataclass(frozen=True)
class RollUp:
    """The pairs with a value and the edges between them.

    Attributes
    ----------
    unit, kpi : (n,) int
        The pairs, sorted by unit then KPI.
    cell : (n,) int
        Cell of each pair, -1 where it has none.
    child, parent : (n_edges,) int
        Roll-up edges between pairs.
    depth : (n,) int
        Depth of the pair's unit.
    """

    units: Units
    n_kpis: int
    unit: Integers
    kpi: Integers
    cell: Integers
    child: Integers
    parent: Integers
    depth: Integers

    @property
    def count(self) -> int:
        """Number of pairs."""
        return len(self.unit)

    @cached_property
    def is_parent(self) -> NDArray[np.bool_]:
        """Whether values below roll up to the pair, (n,) bool."""
        mask = np.zeros(self.count, dtype=bool)
        mask[self.parent] = True
        return mask

    @cached_property
    def _keys(self) -> Integers:
        return self.unit * self.n_kpis + self.kpi

    def find(self, unit: Integers | int, kpi: int) -> Integers:
        """Return the pairs of a KPI at some units, -1 where it has no value."""
        keys = self._keys
        wanted = np.atleast_1d(np.asarray(unit, dtype=np.int64)) * self.n_kpis + kpi
        if not self.count:
            return np.full(len(wanted), -1, dtype=np.int64)
        at = np.minimum(np.searchsorted(keys, wanted), self.count - 1)
        return np.where(keys[at] == wanted, at, -1)

    def of_cells(self, values: Floats) -> Floats:
        """Spread values of cells over the pairs, (n,) float; NaN at pairs without a cell."""
        spread = np.full(self.count, np.nan)
        has_cell = self.cell >= 0
        spread[has_cell] = values[self.cell[has_cell]]
        return spread

    def has_value(self, kpi: int) -> bool:
        """Whether a KPI has a value anywhere."""
        return bool((self.kpi == kpi).any())

    def weights(self, size: Floats, is_mean: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        """Return the coefficient of each edge and the size of each pair.

        Parameters
        ----------
        size : (n,) float
            Size that is given for a pair, NaN where none is.
        is_mean : (n_kpis,) bool
            Which KPIs roll up by `mean`; the others are summed.
        """
        filled = np.where(is_mean[self.kpi], size, np.nan)
        mean = is_mean[self.kpi[self.child]]
        is_parent = self.is_parent
        for level in range(int(self.depth.max(initial=0)), -1, -1):
            edges = mean & (self.depth[self.child] == level + 1)
            total = np.bincount(self.parent[edges], filled[self.child[edges]], self.count)
            missing = np.isnan(filled) & (self.depth == level)
            filled[missing] = np.where(is_parent[missing], total[missing], 1.0)
        total = np.bincount(self.parent[mean], filled[self.child[mean]], self.count)
        coefficient = np.ones(len(self.child))
        with np.errstate(divide="ignore", invalid="ignore"):
            coefficient[mean] = filled[self.child[mean]] / total[self.parent[mean]]
        return coefficient, filled

    def total(self, value: Floats, coefficient: Floats, *, keep: bool = False) -> Floats:
        """Roll values up.

        Parameters
        ----------
        value : (n,) float
            Own values; NaN where not given.
        coefficient : (n_edges,) float
        keep : bool
            Whether an inner pair's own value counts for the pairs above it, instead of what it is rolled up from.

        Returns
        -------
        (n,) float
            What each pair's value is by those below; the own value at pairs without any below. NaN where one of
            them is not known.
        """
        own = value.copy()
        result = np.where(self.is_parent, 0.0, own)
        for level in range(int(self.depth.max(initial=0)), 0, -1):
            edges = self.depth[self.child] == level
            child = self.child[edges]
            passed = np.where(np.isnan(own[child]), result[child], own[child]) if keep else result[child]
            result += np.bincount(self.parent[edges], coefficient[edges] * passed, self.count)
        return result


def build_roll_up(
    units: Units, unit: Integers, kpi: Integers, rolls: Sequence[bool], at_root: Sequence[bool]
) -> RollUp:
    """Find every pair that has a value: the cells, the units above where the KPI rolls up, and given root values.

    Parameters
    ----------
    unit, kpi : (n_cells,) int
        The cells, sorted by unit then KPI.
    rolls, at_root : (n_kpis,) bool
        Whether a KPI rolls up, and whether it has a value of its own at the root.
    """
    n_kpis = max(len(rolls), 1)
    does_roll = np.array(rolls, dtype=bool)
    keys = unit * n_kpis + kpi
    frontier = keys[does_roll[kpi]] if len(kpi) else keys
    found = [keys, np.flatnonzero(np.array(at_root, dtype=bool))]
    while len(frontier):
        above = units.parent[frontier // n_kpis]
        inside = above >= 0
        frontier = distinct(above[inside] * n_kpis + frontier[inside] % n_kpis)
        found.append(frontier)
    pairs = distinct(np.concatenate(found).astype(np.int64))
    unit_of, kpi_of = np.divmod(pairs, n_kpis)
    cell = np.full(len(pairs), -1, dtype=np.int64)
    cell[np.searchsorted(pairs, keys)] = np.arange(len(keys))
    above = units.parent[unit_of]
    rolling = does_roll[kpi_of] if len(pairs) else np.zeros(0, dtype=bool)
    child = np.flatnonzero(rolling & (above >= 0))
    parent = np.searchsorted(pairs, above[child] * n_kpis + kpi_of[child])
    return RollUp(units, n_kpis, unit_of, kpi_of, cell, child, parent, units.depth[unit_of])


def distinct(keys: Integers) -> Integers:
    """Return the distinct `keys`, (n,) int, in ascending order; several times faster than `np.unique`, which hashes."""
    ordered = np.sort(keys)
    keep = np.ones(len(ordered), dtype=bool)
    keep[1:] = ordered[1:] != ordered[:-1]
    return ordered[keep]
