"""The plan that a spreadsheet would give: gaps of goals split down the organization by a simple rule."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kpiopt.errors import Problem, UsageError
from kpiopt.graph import CausalGraph, EdgeKind, NodeKind
from kpiopt.graph.by_period import locked_stretch, node_periods, over_periods, rows_of, stretch_for_change
from kpiopt.graph.hand_down import share_below
from kpiopt.scenario.scenario import Cells, Floats, Goal, Integers, Scenario

TABLE = re.compile(r".*\.(csv|tsv|parquet|xlsx)", re.IGNORECASE)
GROWTH = re.compile(r"last-year\+(\d+(?:\.\d+)?) ?%")
COLUMNS = ("baseline", "min_stretch", "max_stretch", "reference", "pay_rate", "weight", "size")
"""Columns of the cells table by which a gap can be split, beside effort.<resource>."""
MOST_NUMBERS = 1 << 22
"""Numbers that are held at a time while goals are split."""


@dataclass(frozen=True, slots=True)
class SplitRule:
    """A rule, as `parse_rule` reads it.

    Attributes
    ----------
    text : str
        As it was written.
    kind : str
        "even", "proportional", "growth", "column", or "table" for a plan made elsewhere.
    growth : float
        Share of its baseline by which every cell grows.
    column : str
        Column of the cells table by which gaps are split.
    """

    text: str
    kind: str
    growth: float = 0.0
    column: str = ""


@dataclass(frozen=True)
class SplitPlan:
    """What a rule asks of every cell.

    Attributes
    ----------
    stretch : (n_cells,) float
        In the KPI's unit, by period where there are periods.
    notes : tuple of Problem
        What the rule leaves.
    """

    stretch: Floats
    notes: tuple[Problem, ...]


def parse_rule(text: str) -> SplitRule:
    """Read "even", "proportional", "last-year+8%", "column:NAME" or the name of a table.

    Raises
    ------
    UsageError
        Where it is none of these.
    """
    if text in ("even", "proportional"):
        return SplitRule(text, text)
    growth = GROWTH.fullmatch(text)
    if growth:
        return SplitRule(text, "growth", growth=float(growth[1]) / 100.0)
    kind, _, column = text.partition(":")
    if kind == "column" and column:
        return SplitRule(text, "column", column=column)
    if TABLE.fullmatch(text):
        return SplitRule(text, "table")
    fix = "write even, proportional, last-year+8%, column:NAME or the name of a table (.csv) with unit, kpi and target"
    raise UsageError(Problem("E-rule", f"there is no rule {text!r}", rule="a rule says how a gap is split", fix=fix))


def rules_beside(texts: Sequence[str]) -> tuple[str, ...]:
    """Return rules once each; a table is no part of a run, which must be what its own folder says.

    Raises
    ------
    UsageError
        Where one is no rule, or a table.
    """
    rules = [parse_rule(text) for text in dict.fromkeys(texts)]
    for rule in rules:
        if rule.kind == "table":
            fix = "judge it with --plan, or side by side: kpiopt compare scenario.toml scenario.toml@plan.csv"
            raise UsageError(Problem("E-rule", f"{rule.text} is a table, and --beside takes a rule", fix=fix))
    return tuple(rule.text for rule in rules)


def split_gaps(graph: CausalGraph, rule: SplitRule) -> SplitPlan:
    """Return what a rule asks of every cell; initiatives are at 0, and nothing is asked twice.

    For each goal on a KPI with cells the gap s (target - (baseline + factors)), 0 where there is none, goes down the
    tree: x_n = gap x the product of the shares on the way to n. Of a `mean` every cell gets the same share of its
    baseline. Where several goals ask of one cell, the largest counts. Locked cells keep their locks; what the rule
    would have asked of them is not handed on. With periods x_n follows the season, in a stock the same is done in each;
    a goal of one period is split over its cells in that period, a stock's over those until then.

    Raises
    ------
    UsageError
        Where the cells have no such column, or it cannot be a weight.
    """
    scenario, leaf = graph.scenario, leaf_cells(graph)[:: graph.scenario.n_periods]
    cells, wanted, notes = scenario.horizon, np.zeros(len(scenario.cells)), list[Problem]()
    if rule.kind == "growth":
        growth = np.where(leaf, rule.growth * np.abs(cells.baseline), 0.0)
        wanted = over_periods(scenario, growth, stretch_for_change(scenario))
    else:
        weight = _weights(graph, rule, leaf)
        whole = _over_horizon(graph, weight) if rule.kind == "proportional" else weight
        for goal, asked in _split_goals(graph, weight, whole, leaf):
            by_period = over_periods(scenario, asked, stretch_for_change(scenario, goal.period))
            wanted = np.maximum(wanted, by_period)
            if not asked.any() and not _has_cells(graph, goal, leaf):
                notes.append(_no_cells(goal))
    return SplitPlan(reach_locks(graph, wanted), (*notes, *_locked(scenario)))


def leaf_cells(graph: CausalGraph) -> NDArray[np.bool_]:
    """Return which cells roll up from nothing, (n_cells,) bool."""
    inner = np.zeros(graph.n_nodes, dtype=bool)
    inner[graph.head[graph.edge_kind == EdgeKind.ROLL_UP]] = True
    return np.asarray(~inner[graph.cell_node])


def _weights(graph: CausalGraph, rule: SplitRule, leaf: NDArray[np.bool_]) -> Floats:
    """Weight of every node among its siblings, (n_nodes,) float."""
    if rule.kind == "proportional":
        return np.abs(graph.baseline)
    if rule.kind == "even":
        return np.ones(graph.n_nodes)
    values, count = _column(graph.scenario.horizon, rule.column), graph.scenario.n_periods
    goals = graph.scenario.goals.values()
    used = leaf & np.isin(graph.scenario.horizon.kpi, [graph.scenario.kpi_position[g.kpi] for g in goals])
    bad = np.flatnonzero(used & ~(values >= 0.0))
    if len(bad):
        cell, more = graph.node_name(int(graph.whole_node[bad[0]])), len(bad) - 1
        message = f"{rule.column} of {cell} is {'not given' if np.isnan(values[bad[0]]) else f'{values[bad[0]]:g}'}"
        raise UsageError(
            Problem(
                "E-rule-column",
                message + (f", and {more:,} more cells like it" if more else ""),
                rule="a column by which a gap is split is given for every cell, and not below 0",
                fix="fill the column, or split by another",
            )
        )
    at = np.zeros(graph.n_nodes)
    at[graph.cell_node[np.repeat(used, count)]] = np.repeat(values[used], count)
    below = graph.select_edges([EdgeKind.ROLL_UP])
    below.data[:] = 1.0
    return graph.sweep(at, below)


def _column(cells: Cells, name: str) -> Floats:
    effort = {f"effort.{resource}": values for resource, values in cells.effort.items()}
    if name in effort:
        return effort[name]
    if name in COLUMNS:
        values: Floats = getattr(cells, name)
        return values
    rule = f"columns by which a gap can be split are {', '.join([*COLUMNS, *effort])}"
    raise UsageError(Problem("E-rule-column", f"the cells have no column {name!r} for this", rule=rule))


def _split_goals(
    graph: CausalGraph, weight: Floats, whole: Floats, leaf: NDArray[np.bool_]
) -> Iterator[tuple[Goal, Floats]]:
    """Yield every goal and the change that it asks of every cell's value, (n_horizon_cells,) float.

    A goal of one period is split by `weight`, one of the horizon by `whole`. Some goals are split at a time.
    """
    scenario, goals = graph.scenario, list(graph.scenario.goals.values())
    factors = graph.expected_change(np.zeros(len(scenario.cells)), np.zeros(graph.n_levels))
    up = graph.select_edges([EdgeKind.ROLL_UP])
    together = max(1, MOST_NUMBERS // max(1, graph.n_nodes))
    for first in range(0, len(goals), together):
        some = goals[first : first + together]
        node = np.array([graph.goal_node(goal) for goal in some])
        at = np.zeros((graph.n_nodes, len(some)))
        tops = [graph.find_node(g.kpi, g.unit, node_periods(scenario, g.period)) for g in some]
        at[tops, np.arange(len(some))] = 1.0
        share = {False: share_below(graph, at, weight)[graph.cell_node]}
        if any(goal.period < 0 for goal in some):
            share[True] = share_below(graph, at, whole)[graph.cell_node]
        part = graph.sweep_back(at, up)[graph.cell_node]
        target = np.array([goal.target for goal in some])
        gap = np.maximum(0.0, graph.sign[node] * (target - graph.baseline[node] - factors[node]))
        for i, goal in enumerate(some):
            rows = slice(max(goal.period, 0), None, scenario.n_periods)
            below, of_mean = share[goal.period < 0][rows, i] * leaf, part[rows, i] * leaf
            is_mean = scenario.kpis[goal.kpi].roll_up == "mean"
            yield goal, gap[i] * (_same_growth(scenario.horizon, of_mean) if is_mean else below)


def _over_horizon(graph: CausalGraph, weight: Floats) -> Floats:
    """Return the weights of the horizon's nodes at those of the period in which its roll-up is followed."""
    if graph.scenario.periods is None:
        return weight
    followed = np.flatnonzero((graph.kind == NodeKind.KPI) & (graph.period == node_periods(graph.scenario, -1)))
    whole = graph.find_nodes(graph.unit[followed], graph.kpi[followed])
    found = weight.copy()
    found[followed[whole >= 0]] = weight[whole[whole >= 0]]
    return found


def _same_growth(cells: Cells, part: Floats) -> Floats:
    """Stretch of every cell that raises a mean by 1: the same share of each baseline, equal where all are 0."""
    below = part > 0.0
    size = np.where(below, np.abs(cells.baseline), 0.0)
    size = size if part @ size > 0.0 else below.astype(np.float64)
    mean = float(part @ size)
    return size / mean if mean > 0.0 else size


def _has_cells(graph: CausalGraph, goal: Goal, leaf: NDArray[np.bool_]) -> bool:
    """Whether a goal's KPI has cells at its unit or below."""
    cells, units, kpi = graph.scenario.horizon, graph.scenario.units, graph.scenario.kpi_position[goal.kpi]
    below = (cells.unit >= goal.unit) & (cells.unit < units.end[goal.unit])
    return bool(np.any(leaf & below & (cells.kpi == kpi)))


def reach_locks(graph: CausalGraph, wanted: Floats) -> Floats:
    """Put locks in place of what a rule asks, `wanted`, (n_cells,) float: their stretch, or all left of a target.

    Locks of totals are left: they are about what is asked of the cells below, which the rule splits.
    """
    scenario, cells = graph.scenario, graph.scenario.horizon
    fixed = np.setdiff1d(np.flatnonzero(~np.isnan(cells.fixed_target)), scenario.totals.cell)
    locked = locked_stretch(scenario)
    share = stretch_for_change(scenario)[cells.kpi[fixed]]
    started = np.where(np.isnan(locked), wanted, locked)
    return reach_targets(
        graph, started, rows_of(scenario, fixed), share, graph.whole_node[fixed], cells.fixed_target[fixed]
    )


def reach_targets(
    graph: CausalGraph, stretch: Floats, rows: Integers, share: Floats, node: Integers, target: Floats
) -> Floats:
    """Return stretches with which some cells are asked for their targets, initiatives at 0.

    Parameters
    ----------
    stretch : (n_cells,) float
        What is asked of the other cells.
    rows : (n, T) int
        The cells with targets, by period.
    share : (n, T) float
        What changes the value by 1: of each period, 0 where it is left as it is.
    node : (n,) int
        Whose targets they are.
    target : (n,) float
    """
    stretch, moved = stretch.copy(), share != 0.0
    stretch[rows[moved]] = 0.0
    for _ in range(len(graph.level_bounds) if len(node) else 0):  # a target may stand below another's effect
        asked = graph.baseline + graph.asked_change(stretch, np.zeros(graph.n_levels))
        missing = graph.sign[node] * (target - asked[node])
        np.add.at(stretch, rows, share * missing[:, None])
        if not np.any(np.abs(missing) > 1e-12 * np.maximum(1.0, np.abs(target))):
            break
    return stretch


def _no_cells(goal: Goal) -> Problem:
    message = f"goal {goal.id} is left: its KPI has no cells that the gap could be split over"
    return Problem("W-rule-no-cells", message)


def _locked(scenario: Scenario) -> Iterator[Problem]:
    count = int(np.count_nonzero(np.delete(scenario.horizon.is_locked, scenario.totals.cell)))
    if count:
        what = "1 locked cell is" if count == 1 else f"{count:,} locked cells are"
        yield Problem("W-rule-locked", f"{what} left as fixed; the share of a gap that falls there is not handed on")
