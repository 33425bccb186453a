"""Screening: which groups of inputs matter at all, by a few one-at-a-time moves from many places.

References
----------
Morris (1991), Factorial sampling plans for preliminary computational experiments. DOI 10.1080/00401706.1991.10484804
Campolongo, Cariboni and Saltelli (2007), An effective screening design for sensitivity analysis of large models.
DOI 10.1016/j.envsoft.2006.10.004
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from kpiopt.errors import Problem, UsageError
from kpiopt.scenario.scenario import Floats, Integers
from kpiopt.simulation.odds import Estimate, student
from kpiopt.studies.sensitivity.source_groups import Response, SourceGroup

TRAJECTORIES = 64
LEVELS = 8


@dataclass(frozen=True, slots=True)
class ElementaryEffects:
    """What moving one group does, over all trajectories; per unit of probability, in the outcome's unit.

    Attributes
    ----------
    strength : Estimate
        Mean absolute effect (mu star).
    mean : float or None
        Mean effect (mu), with its direction; None for groups of several inputs, which move in mixed directions.
    spread : float
        Standard deviation of the effects (sigma): large where the effect depends on the others or bends.
    """

    strength: Estimate
    mean: float | None
    spread: float


def screen(
    function: Callable[[Floats], Floats],
    groups: Sequence[Integers],
    n_inputs: int,
    seed: int,
    trajectories: int = TRAJECTORIES,
) -> tuple[ElementaryEffects, ...]:
    """Screen a function of independent inputs, each uniform on (0, 1).

    A trajectory starts at a random point of the grid (k + 1/2) / LEVELS and moves the groups one after the other in
    random order, each input by half the grid.

    Parameters
    ----------
    function : callable
        Points (n_inputs, n) -> values (n,).
    groups : sequence of (k,) int
        Inputs that move together.
    trajectories : int
        At least 2.

    Raises
    ------
    UsageError
        Where there are too few trajectories.
    """
    if trajectories < 2:
        raise UsageError(Problem("E-screening", f"{trajectories} trajectories", "at least 2"))
    if not groups:
        return ()
    rng = np.random.default_rng(seed)
    orders = rng.permuted(np.tile(np.arange(len(groups)), (trajectories, 1)), axis=1)
    index = _walk(rng.integers(LEVELS, size=(trajectories, n_inputs)), orders, groups)
    points = ((index + 0.5) / LEVELS).reshape(-1, n_inputs).T
    values = function(points).reshape(trajectories, len(groups) + 1)
    effects = np.empty((trajectories, len(groups)))
    np.put_along_axis(effects, orders, np.diff(values, axis=1) / 0.5, axis=1)
    return tuple(_effects(effects[:, g], index, orders, g, members) for g, members in enumerate(groups))


def _walk(start: Integers, orders: Integers, groups: Sequence[Integers]) -> Integers:
    """Return all points as grid indices, (trajectories, n_groups + 1, n_inputs) int."""
    index = np.repeat(start[:, None, :], orders.shape[1] + 1, axis=1)
    half = LEVELS // 2
    for t, order in enumerate(orders.tolist()):
        for position, g in enumerate(order):
            members = groups[g]
            index[t, position + 1 :, members] = ((start[t, members] + half) % LEVELS)[:, None]
    return index


def _effects(change: Floats, index: Integers, orders: Integers, g: int, members: Integers) -> ElementaryEffects:
    """Summarise the effects of one group."""
    r = len(change)
    if len(members) == 1:
        position = np.argmax(orders == g, axis=1)
        each = np.arange(r)
        up = index[each, position + 1, members[0]] > index[each, position, members[0]]
        change = np.where(up, change, -change)
    size = np.abs(change)
    half = student(r - 1) * float(size.std(ddof=1)) / math.sqrt(r)
    mean = float(size.mean())
    strength = Estimate(mean, max(0.0, mean - half), mean + half, "sample")
    return ElementaryEffects(strength, float(change.mean()) if len(members) == 1 else None, float(change.std(ddof=1)))


def screen_response(
    response: Response, groups: Sequence[SourceGroup], seed: int, trajectories: int = TRAJECTORIES
) -> tuple[tuple[SourceGroup, ElementaryEffects], ...]:
    """Screen a plan's outcome; the strongest group first."""
    from scipy.special import ndtri

    n = len(response.propagation.inputs.names)
    found = screen(lambda u: response.at(ndtri(u)), [g.rows for g in groups], n, seed, trajectories)
    pairs = list(zip(groups, found, strict=True))
    return tuple(sorted(pairs, key=lambda pair: (-pair[1].strength.estimate, pair[0].name)))
