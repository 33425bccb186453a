"""What fairness compares: relative stretches of cells, or loads of units, in groups of peers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kpiopt.errors import ModelError, Problem
from kpiopt.graph import CausalGraph
from kpiopt.graph.by_period import locked_stretch
from kpiopt.program.formulation.blocks import Columns, ProgramBuilder
from kpiopt.scenario.chance import chance_scale
from kpiopt.scenario.peers import PeerGroups, group_units, peer_groups
from kpiopt.scenario.scenario import Floats, Integers, Scenario

MOST_RANKS, MOST_PAIRS = 40, 4_000
"""Members of a group, and sum of their squares over all groups, up to which leximin goes to the end."""


@dataclass(frozen=True)
class Weighted:
    """Columns of a block in sums over members: the members' positions, the columns', and their values."""

    row: Integers
    member: Integers
    value: Floats


@dataclass(frozen=True)
class Compared:
    """The amounts v_i that are compared, each a weighted sum of decisions.

    Attributes
    ----------
    group : (n,) int
    count : (n_groups,) int
    names : tuple of str
        Of the groups.
    stretch, level : Weighted
        What makes v_i.
    least, most : (n,) float
        Least and largest v_i that the boxes of the decisions allow; below 0 where locks of single periods are.
    label : callable
        Name of each member.
    unit : str
        What is compared.
    """

    group: Integers
    count: Integers
    names: tuple[str, ...]
    stretch: Weighted
    level: Weighted
    least: Floats
    most: Floats
    label: Callable[[int], str]
    unit: str

    def __len__(self) -> int:
        return len(self.group)

    def values(self, stretch: Floats, level: Floats) -> Floats:
        """Return v_i of a plan, (n,) float."""
        total: Floats = np.zeros(len(self))
        np.add.at(total, self.stretch.row, self.stretch.value * stretch[self.stretch.member])
        np.add.at(total, self.level.row, self.level.value * level[self.level.member])
        return total

    def step_value(self, values: Floats) -> float | None:
        """Return what the step "fairness" makes of some v_i; None where nothing is compared."""
        if not len(self):
            return None
        largest = np.full(len(self.count), -np.inf)
        np.maximum.at(largest, self.group, values)
        return float(self.count @ largest / self.count.sum())


@dataclass(frozen=True)
class Leximin:
    """Columns that say what the k worst of each group come to, k = 2, 3, … to its size.

    Attributes
    ----------
    worst : Columns
        t_Gk, one for each group and k.
    beyond : Columns
        d_Gki, what member i has beyond t_Gk.
    group, rank : (n_worst,) int
        Which group, and k.
    of_worst, member : (n_beyond,) int
        Position in `worst`, and which member it is.
    """

    worst: Columns
    beyond: Columns
    group: Integers
    rank: Integers
    of_worst: Integers
    member: Integers


@dataclass(frozen=True)
class FairColumns:
    """What is compared, and the columns that say how it turns out.

    Attributes
    ----------
    largest : Columns
        m_G, one for each group; empty where the order has no step "fairness".
    mean : Columns
        u_G, one for each group where members are held near their mean; else empty.
    ranks : Leximin
        What is beyond the worst; empty without leximin.
    """

    compared: Compared
    largest: Columns
    mean: Columns
    ranks: Leximin

    @property
    def blocks(self) -> tuple[Columns, ...]:
        """All columns."""
        return self.largest, self.mean, self.ranks.worst, self.ranks.beyond


def compare(
    graph: CausalGraph,
    peers: PeerGroups,
    decided: Integers,
    stretch_decided: Integers,
    stretch: Columns,
    level: Columns,
) -> Compared:
    """v_i as `[fairness] measure` says: of cells, or loads of units.

    Parameters
    ----------
    decided : (n_compared,) int
        Cells with a decision.
    stretch_decided : (n_stretch,) int
        Which of them each stretch is of.
    """
    cells = graph.scenario.cells

    def effort(resource: str) -> Floats:
        return cells.effort.get(resource, np.zeros(len(cells)))[cells.has_decision]

    if graph.scenario.fairness.measure == "load":
        return compare_loads(graph, stretch, effort, level, graph.use_per_level)
    return compare_cells(graph, peers, decided, stretch_decided, stretch)


def compare_plan(graph: CausalGraph, stretch: Floats, levels: Floats) -> tuple[Compared, Floats]:
    """Return what is compared between peers, and what each v_i of a plan is, (n,) float.

    Parameters
    ----------
    stretch : (n_cells,) float
    levels : (n_levels,) float
    """
    scenario, cell = graph.scenario, np.flatnonzero(graph.scenario.cells.has_decision)
    decided, of_decided = np.unique(scenario.cell_base[cell], return_inverse=True)
    peers = peer_groups(scenario, decided, np.flatnonzero(~scenario.horizon.is_locked[decided]))
    at, begun = _fixed(stretch[cell]), _fixed(levels)
    compared = compare(graph, peers, decided, of_decided, at, begun)
    return compared, compared.values(at.lower, begun.lower)


def peer_shares(graph: CausalGraph) -> Floats:
    """Return least and most beside the peers' mean of each cell that is compared, (2, n) float; NaN where none."""
    scenario = graph.scenario
    decided = np.unique(scenario.cell_base[scenario.cells.has_decision])
    return scenario.horizon.beside_peers[:, decided[~scenario.horizon.is_locked[decided]]]


def _fixed(values: Floats) -> Columns:
    """Return columns that can be nothing but what they are."""
    return Columns("fixed", 0, values, values, np.zeros(len(values), dtype=bool), str)


def compare_cells(
    graph: CausalGraph, peers: PeerGroups, decided: Integers, stretch_decided: Integers, stretch: Columns
) -> Compared:
    """v_n = x_n / w_n for every decided cell that no lock takes;  with periods x_n is sum_t x_nt.

    Where peers are asked for equal odds w_n is the stretch that cell n attains with the odds of its group, and of a
    stock x_n is what is left of it in the last period.
    """
    scenario, cell = graph.scenario, np.flatnonzero(graph.scenario.cells.has_decision)
    scale, unit = graph.stretch_scale[cell], "relative stretch"
    if scenario.fairness.measure == "chance":
        by_chance, periods = np.ones(len(decided)), scenario.periods
        by_chance[peers.member] = chance_scale(scenario, decided[peers.member], *_goals_of_cells(graph, decided, peers))
        scale, unit = by_chance[stretch_decided], "stretch of equal odds"
        if periods is not None:
            left = periods.left(scenario.cells.kpi, scenario.cell_period)[cell]
            scale = np.divide(scale, left, out=np.full(len(cell), np.inf), where=left > 0.0)
    least, most = (
        np.bincount(stretch_decided, end / scale, len(decided)).astype(np.float64)
        for end in (stretch.lower, stretch.upper)
    )
    row_of = np.full(len(decided), -1, dtype=np.int64)
    row_of[peers.member] = np.arange(len(peers.member))
    member = np.flatnonzero(row_of[stretch_decided] >= 0)
    node = graph.whole_node[decided[peers.member]]
    return Compared(
        peers.group,
        peers.count,
        peers.names,
        Weighted(row_of[stretch_decided[member]], member, 1.0 / scale[member]),
        _nothing(),
        least[peers.member],
        most[peers.member],
        lambda i: graph.node_name(int(node[i])),
        unit,
    )


def _goals_of_cells(graph: CausalGraph, decided: Integers, peers: PeerGroups) -> tuple[Integers, Floats, Floats]:
    """Return the KPI of each compared cell, what its stretch brings to the uppermost goal, and what that needs."""
    scenario, cell = graph.scenario, decided[peers.member]
    kpi, node = scenario.horizon.kpi[cell], graph.whole_node[cell]
    brings, gap = np.zeros(len(cell)), np.full(len(scenario.kpis), np.nan)
    fixed = np.nan_to_num(locked_stretch(scenario))
    without = graph.baseline + graph.expected_change(fixed, np.zeros(graph.n_levels))
    execution = np.array([q.mean for q in scenario.uncertainty.execution])[scenario.horizon.execution]
    goals = [g for g in scenario.goals.values() if g.period < 0]
    goals = sorted(goals, key=lambda g: -int(scenario.units.depth[g.unit]))
    for goal in goals:  # the uppermost one is looked at last, and stays
        top, position = graph.goal_node(goal), scenario.kpi_position[goal.kpi]
        _, member, weight = graph.ways_up(node, np.array([top]))
        gap[position] = graph.sign[top] * (goal.target - without[top])
        brings[kpi == position] = 0.0
        brings[member] = weight * execution[cell[member]]
    return kpi, brings, gap


def compare_loads(
    graph: CausalGraph, stretch: Columns, effort: Callable[[str], Floats], level: Columns, use: Callable[[str], Floats]
) -> Compared:
    """v_ur = (sum_{n below u} effort_nr x_n + sum_{l below u} use_lr a_l) / capacity_ur, of what no lock takes.

    Units for which that is nothing are not compared, and count in no n_G.

    Parameters
    ----------
    effort, use : callable
        Resource -> effort per unit of each stretch, use per unit of each level.
    """
    scenario = graph.scenario
    units, cell = scenario.units, np.flatnonzero(scenario.cells.has_decision)
    free = ~(scenario.cells.is_locked[cell] | scenario.horizon.is_locked[scenario.cell_base[cell]])
    holder, resource = list[int](), list[str]()
    works, uses = list[Weighted](), list[Weighted]()
    for name, capacity in units.capacity.items():
        row_of = np.full(len(units), -1, dtype=np.int64)
        here = np.flatnonzero(np.nan_to_num(capacity) > 0.0)
        row_of[here] = len(holder) + np.arange(len(here))
        share = np.concatenate([np.zeros(len(holder)), capacity[here]])
        worked = np.where(free, effort(name), 0.0)
        works.append(_above(units.parent, scenario.cells.unit[cell], worked, row_of, share))
        uses.append(_above(units.parent, graph.level_unit, use(name), row_of, share))
        holder += here.tolist()
        resource += [name] * len(here)
    stretched, levelled = _joined(works), _joined(uses)
    busy = np.unique(np.concatenate([stretched.row, levelled.row]))
    stretched, levelled = (replace(part, row=np.searchsorted(busy, part.row)) for part in (stretched, levelled))
    unit = np.array(holder, dtype=np.int64)[busy]
    named = [resource[i] for i in busy.tolist()]
    labels = [f"{name}@{units.ids[u]}" for u, name in zip(unit.tolist(), named, strict=True)]
    group, count, names = group_units(scenario, unit, named)
    nothing = np.zeros(len(unit))  # what is locked does not count, so that no load is below 0
    found = Compared(group, count, names, stretched, levelled, nothing, nothing, labels.__getitem__, "load")
    return replace(found, most=found.values(stretch.upper, level.upper))


def _above(parent: Integers, unit: Integers, value: Floats, row_of: Integers, share: Floats) -> Weighted:
    """Give each member a term in the row of its unit and of every unit above that has a row, over that row's share."""
    member = np.flatnonzero(value)
    at, rows, members = unit[member], [row_of[:0]], [row_of[:0]]
    while len(at):
        held = row_of[at] >= 0
        rows.append(row_of[at[held]])
        members.append(member[held])
        member, at = member[parent[at] >= 0], parent[at][parent[at] >= 0]
    row, found = np.concatenate(rows), np.concatenate(members)
    return Weighted(row, found, value[found] / share[row])


def _joined(parts: Sequence[Weighted]) -> Weighted:
    parts = [_nothing(), *parts]
    return Weighted(*(np.concatenate([getattr(p, name) for p in parts]) for name in ("row", "member", "value")))


def _nothing() -> Weighted:
    return Weighted(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0))


def add_fair(build: ProgramBuilder, scenario: Scenario, compared: Compared) -> FairColumns:
    """Add the columns that say how what is compared turns out, as far as the scenario asks for them."""
    is_step = "fairness" in scenario.decide.order
    return FairColumns(
        compared,
        add_largest(build, compared, wanted=is_step),
        add_mean(build, compared, wanted=needs_mean(scenario)),
        add_ranks(build, compared, wanted=is_step and scenario.fairness.leximin),
    )


def add_largest(build: ProgramBuilder, compared: Compared, *, wanted: bool) -> Columns:
    """m_G in [l_G, h_G], what the boxes of group G allow any v_i;  l_G is at most 0, below it with locks below 0."""
    if not wanted:
        return build.add_columns("largest", np.empty(0), np.empty(0), str)
    return build.add_columns("largest", *_box(compared), lambda i: compared.names[i])


def needs_mean(scenario: Scenario) -> bool:
    """Whether something is held near the mean of its peers."""
    return scenario.fairness.band is not None or not np.isnan(scenario.horizon.beside_peers).all()


def add_mean(build: ProgramBuilder, compared: Compared, *, wanted: bool) -> Columns:
    """u_G in [l_G, h_G], the mean of the group."""
    low, high = _box(compared) if wanted else np.empty((2, 0))
    return build.add_columns("mean", low, high, lambda i: compared.names[i])


def add_ranks(build: ProgramBuilder, compared: Compared, *, wanted: bool) -> Leximin:
    """t_Gk in [l_G, h_G] and d_Gki in [0, h_G - l_G], for k = 2, 3, … to the group's size.

    Raises
    ------
    ModelError
        Where there are too many of them.
    """
    count = compared.count if wanted else compared.count[:0]
    if count.max(initial=0) > MOST_RANKS or int(np.sum(count**2)) > MOST_PAIRS:
        raise ModelError(_too_many(compared))
    group = np.repeat(np.arange(len(count)), np.maximum(count - 1, 0))
    rank = np.concatenate([np.arange(2, n + 1) for n in count.tolist()] or [np.empty(0, dtype=np.int64)])
    members = [np.flatnonzero(compared.group == g) for g in range(len(count))]
    member = np.concatenate([members[g] for g in group.tolist()] or [np.empty(0, dtype=np.int64)])
    of_worst = np.repeat(np.arange(len(group)), count[group])
    low, high = _box(compared)

    def worst_name(i: int) -> str:
        return f"{compared.names[group[i]]}, {rank[i]} worst"

    def beyond_name(j: int) -> str:
        return f"{compared.label(int(member[j]))}, {rank[of_worst[j]]} worst"

    worst = build.add_columns("worst", low[group], high[group], worst_name)
    beyond = build.add_columns("beyond", np.zeros(len(member)), (high - low)[group[of_worst]], beyond_name)
    return Leximin(worst, beyond, group, rank, of_worst, member)


def _box(compared: Compared) -> tuple[Floats, Floats]:
    """Return the least and the largest v_i that the boxes of each group allow, a little wider, 0 among them."""
    lowest, highest = np.zeros((2, len(compared.count)))
    np.minimum.at(lowest, compared.group, compared.least)
    np.maximum.at(highest, compared.group, compared.most)
    return 1.01 * lowest, 1.01 * highest


def _too_many(compared: Compared) -> Problem:
    largest = int(np.argmax(compared.count))
    return Problem(
        "E-leximin-size",
        f"leximin would compare {compared.count[largest]:,} peers ({compared.names[largest]}), "
        f"{int(np.sum(compared.count**2)):,} pairs in all",
        rule=f"leximin goes to the end in groups of at most {MOST_RANKS} peers, {MOST_PAIRS:,} pairs in all",
        fix='make groups smaller with [decide] peers, such as ["parent"], or leave leximin out',
    )
