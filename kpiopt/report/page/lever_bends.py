"""Curves and bounds as data of a page's levers: what reaches each, what one more that leaves it does."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kpiopt.scenario.scenario import Floats
from kpiopt.studies.bends import BendEffects

Add = Callable[[Floats], tuple[int | None, float]]
"""Keeps a vector of effects; returns its number, None without room, and the factor it is taken times."""


def bend_entries(effects: BendEffects, cards: Sequence[int], add: Add) -> list[dict[str, Any]] | None:
    """Return the bends as the page's script has them, each after those that reach it; None without room.

    Parameters
    ----------
    cards : sequence of int
        Number of the card of each node that is shown.
    """
    entries = []
    for i, bend in enumerate(effects.bends):
        numbers = range(effects.on_flows.shape[1])
        parts = {
            "goals": _vectors(range(effects.on_goals.shape[1]), effects.on_goals[i], add),
            "bends": _vectors(range(len(effects.bends)), effects.between[i], add),
            "nodes": _vectors(cards, effects.on_nodes[i], add),
            "arrows": _vectors(numbers, effects.on_flows[i], add),
        }
        if any(vector is None for part in parts.values() for _, vector, _ in part):
            return None
        entries.append({"points": [list(p) for p in bend.points], "first": bend.first, "last": bend.last, **parts})
    return entries


def reached_entries(effects: BendEffects, lever: int, add: Add) -> list[list[Any]]:
    """Return what a move of a lever by 1 changes of what reaches each bend."""
    return _vectors(range(len(effects.bends)), effects.reached[lever], add)


def _vectors(numbers: Sequence[int], rows: Floats, add: Add) -> list[list[Any]]:
    return [[n, *found] for n, row in zip(numbers, rows, strict=True) if row.any() and (found := add(row))[1]]


def bent_size(effects: BendEffects) -> Floats:
    """Return about how much a move of each lever by 1 changes goals through bends, (n_levers, n_goals) float."""
    slopes = np.array([max(abs(bend.first), abs(bend.last), *_slopes(bend.points)) for bend in effects.bends])
    passed = np.abs(effects.reached.mean(axis=2)) * slopes
    between = np.abs(effects.between.mean(axis=2)) * slopes
    for i in range(len(effects.bends)):  # each stands after those that reach it
        passed = passed + passed[:, [i]] * between[i]
    found: Floats = passed @ np.abs(effects.on_goals.mean(axis=2))
    return found


def _slopes(points: Sequence[tuple[float, float]]) -> list[float]:
    return [abs((d - b) / (c - a)) for (a, b), (c, d) in itertools.pairwise(points)]
