"""Who is compared with whom: groups of cells, or of units, with the same values of the attributes `[decide] peers`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kpiopt.scenario.scenario import Integers, Scenario


@dataclass(frozen=True)
class PeerGroups:
    """Cells that are compared: same KPI and same values of `peers`. Locked cells stand apart: nobody decides there.

    Attributes
    ----------
    member : (n_members,) int
        Which of the decided cells are compared, ascending; a cell with its stretches of all periods is one.
    group : (n_members,) int
        Group of each of them.
    count : (n_groups,) int
    names : tuple of str
        Such as "sales, level rep, role hunter".
    """

    member: Integers
    group: Integers
    count: Integers
    names: tuple[str, ...]


def peer_groups(scenario: Scenario, cell: Integers, member: Integers) -> PeerGroups:
    """Group cells by KPI and the `peers` attributes of their units.

    Parameters
    ----------
    cell : (n,) int
        Positions in `scenario.horizon`.
    member : (n_members,) int
        Which of them are compared.
    """
    kpi, unit = scenario.horizon.kpi[cell[member]], scenario.horizon.unit[cell[member]]
    return PeerGroups(member, *_groups(scenario, kpi, unit, scenario.kpi_ids))


def group_units(
    scenario: Scenario, unit: Integers, resource: Sequence[str]
) -> tuple[Integers, Integers, tuple[str, ...]]:
    """Group units by a resource and their `peers` attributes: the group of each, their sizes and names."""
    resources = sorted(set(resource))
    return _groups(scenario, np.array([resources.index(r) for r in resource], dtype=np.int64), unit, resources)


def _groups(
    scenario: Scenario, first: Integers, unit: Integers, names_of_first: Sequence[str]
) -> tuple[Integers, Integers, tuple[str, ...]]:
    key, values = first.copy(), []
    for peer in scenario.decide.peers:
        names, code = _attribute(scenario, peer)
        key = key * len(names) + code[unit]
        values.append(names)
    distinct, group, count = np.unique(key, return_inverse=True, return_counts=True)
    return group, count, tuple(_group_name(scenario, names_of_first, k, values) for k in distinct.tolist())


def _group_name(scenario: Scenario, names_of_first: Sequence[str], key: int, values: list[list[str]]) -> str:
    """Return "sales, level rep, role hunter" of a group's key; attributes that are not given are left out."""
    parts: list[str] = []
    for peer, names in zip(reversed(scenario.decide.peers), reversed(values), strict=True):
        key, code = divmod(key, len(names))
        parts = [f"{peer} {names[code]}", *parts] if names[code] else parts
    return ", ".join([names_of_first[key], *parts])


def _attribute(scenario: Scenario, peer: str) -> tuple[list[str], Integers]:
    """Return the distinct values of one attribute in order of the alphabet, and which one each unit has."""
    units = scenario.units
    given = {"level": units.levels, "role": units.roles, "pay_plan": units.pay_plans}
    own = given.get(peer) or tuple(units.ids[p] if p >= 0 else "" for p in units.parent.tolist())
    own = tuple(own[home] for home in units.home.tolist())
    names = sorted(set(own))
    number = {name: i for i, name in enumerate(names)}
    return names, np.fromiter(map(number.__getitem__, own), dtype=np.int64, count=len(own))
