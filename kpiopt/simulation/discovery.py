"""When does a goal fail mostly? One sentence, found in the draws.

A box of at most two conditions is peeled out of the draws: slices are cut off one side of one quantity at a time so
that misses grow denser (patient rule induction; Friedman and Fisher 1999, DOI 10.1023/A:1008894516817), for each pair
of the quantities that tell misses from hits best.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from kpiopt.scenario.scenario import Floats

PEEL = 0.05
CANDIDATES = 5
FEWEST = 50
"""Misses and hits that a box is looked for in, at the least."""
GAIN = 0.05
"""A second condition must improve the score by so much, or one condition is enough."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One side of a box: the quantity is below (or above) a bound, in its own unit."""

    name: str
    is_below: bool
    bound: float

    def __str__(self) -> str:
        return f"{self.name} {'<' if self.is_below else '>'} {self.bound:.3g}"


@dataclass(frozen=True, slots=True)
class Box:
    """When a goal fails mostly.

    Attributes
    ----------
    misses : float
        Share of all misses that are inside.
    draws : float
        Share of all draws that are inside.
    """

    conditions: tuple[Condition, ...]
    misses: float
    draws: float

    @property
    def sentence(self) -> str:
        """The box in words."""
        when = " and ".join(map(str, self.conditions))
        return (
            f"the goal fails mostly when {when}: {100 * self.misses:.0f} % of misses, {100 * self.draws:.0f} % of draws"
        )


def find_box(names: Sequence[str], inputs: Floats, misses: NDArray[np.bool_]) -> Box | None:
    """Return the box that describes the misses best, None where there are too few misses or hits.

    Boxes are scored by the share of misses less the share of draws that are inside: how much more often than by chance
    the box holds a miss.

    Parameters
    ----------
    inputs : (n_inputs, n_draws) float
    misses : (n_draws,) bool
    """
    n_misses = int(np.count_nonzero(misses))
    if not len(names) or min(n_misses, len(misses) - n_misses) < FEWEST:
        return None
    centred = inputs - inputs.mean(axis=1, keepdims=True)
    scale = np.sqrt(np.sum(centred**2, axis=1))
    strength = np.divide(np.abs(centred @ misses), scale, out=np.zeros(len(scale)), where=scale > 0)
    best = np.argsort(-strength, kind="stable")[:CANDIDATES].tolist()
    found = [_peel(names, inputs, misses, (i,)) for i in best]
    one = max(found, key=lambda f: f[0])
    pairs = [_peel(names, inputs, misses, pair) for pair in combinations(best, 2)]
    two = max(pairs, key=lambda f: f[0], default=one)
    return two[1] if two[0] > one[0] + GAIN else one[1]


def _peel(names: Sequence[str], inputs: Floats, misses: NDArray[np.bool_], rows: tuple[int, ...]) -> tuple[float, Box]:
    """Peel some quantities and return the best score on the way with its box."""
    inside = np.ones(len(misses), dtype=bool)
    bounds: dict[tuple[int, bool], float] = {}
    best = (_score(inside, misses), Box((), 1.0, 1.0))
    while np.count_nonzero(inside) > PEEL * len(inside) and np.count_nonzero(inside & misses) >= FEWEST // 2:
        cuts = [_cut(inputs[row], inside, row, is_below) for row in rows for is_below in (True, False)]
        cuts = [cut for cut in cuts if 0 < np.count_nonzero(cut[2]) < np.count_nonzero(inside)]
        if not cuts:
            break
        (row, is_below), bound, inside = max(cuts, key=lambda cut: float(misses[cut[2]].mean()))
        bounds[row, is_below] = bound
        score = _score(inside, misses)
        if score > best[0]:
            best = (score, _box(names, bounds, inside, misses))
    return best


def _cut(
    x: Floats, inside: NDArray[np.bool_], row: int, is_below: bool
) -> tuple[tuple[int, bool], float, NDArray[np.bool_]]:
    """Cut the highest (or lowest) slice of a quantity off the box."""
    bound = float(np.quantile(x[inside], 1 - PEEL if is_below else PEEL))
    kept = inside & ((x < bound) if is_below else (x > bound))
    return (row, is_below), bound, kept


def _score(inside: NDArray[np.bool_], misses: NDArray[np.bool_]) -> float:
    return float(inside[misses].mean() - inside.mean())


def _box(
    names: Sequence[str], bounds: dict[tuple[int, bool], float], inside: NDArray[np.bool_], misses: NDArray[np.bool_]
) -> Box:
    conditions = tuple(Condition(names[row], is_below, bound) for (row, is_below), bound in sorted(bounds.items()))
    return Box(conditions, float(inside[misses].mean()), float(inside.mean()))
