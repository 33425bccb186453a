"""How initiatives stand to each other: which decision another one needs or excludes, unit by unit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from kpiopt.scenario.links import Initiative, Integers
from kpiopt.scenario.scenario import Units

Pair = tuple[str, int]
"""An initiative and a unit that decides about it."""


def needed_units(units: Units, needing: Initiative, needed: Initiative) -> Integers:
    """Return, for each deciding unit of one initiative, whose decision on the other one counts there.

    Returns
    -------
    (n,) int
        The unit itself, else the nearest one above that decides about the other; -1 where there is none.
    """
    decides = np.zeros(len(units) + 1, dtype=bool)
    decides[needed.units] = True
    at = np.array(needing.units, dtype=np.int64)
    for _ in range(len(units)):
        open_ = (at >= 0) & ~decides[at]
        if not open_.any():
            break
        at[open_] = units.parent[at[open_]]
    return at


def exclusions(units: Units, initiatives: Mapping[str, Initiative]) -> Iterator[tuple[Pair, Pair]]:
    """Yield each pair of decisions of which one excludes the other: at one unit, or at a unit and one above it."""
    seen = set()
    for initiative in initiatives.values():
        for other in (initiatives[name] for name in initiative.not_with if name in initiatives):
            for u, v in _meetings(units, initiative.units, other.units):
                pair = frozenset([(initiative.id, u), (other.id, v)])
                if pair not in seen:
                    seen.add(pair)
                    yield (initiative.id, u), (other.id, v)


def _meetings(units: Units, first: Integers, second: Integers) -> Iterator[tuple[int, int]]:
    """Yield each pair of a unit of one list and one of the other that is the same, below or above; both ascending."""
    decides = set(second.tolist())
    for u in first.tolist():
        above, at = list[int](), int(units.parent[u])
        while at >= 0:
            above, at = ([at, *above] if at in decides else above), int(units.parent[at])
        yield from ((u, v) for v in (*above, *inside(units, u, second).tolist()))


def inside(units: Units, unit: int, some: Integers) -> Integers:
    """Return which of some units, ascending, are a unit itself or below it."""
    start, stop = np.searchsorted(some, [unit, units.end[unit]])
    return some[start:stop]
