"""A plan made elsewhere: targets or stretches of a table, to be judged like any other plan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kpiopt.errors import InputError, Problem, TableError
from kpiopt.graph import CausalGraph
from kpiopt.graph.by_period import added_by_stretch, rows_of, season_of_stretch
from kpiopt.plan.chosen import NEGLIGIBLE
from kpiopt.plan.split_rule import SplitPlan, leaf_cells, reach_targets
from kpiopt.reading.key_path import name_the_right_ones
from kpiopt.reading.regular_file import display_path
from kpiopt.reading.tables.read import ColumnRule, Table, TableRule, read_table
from kpiopt.scenario.bounds import LARGEST, RANGE_RULE
from kpiopt.scenario.checks.percent_formats import percent_problem, reads_as_share
from kpiopt.scenario.scenario import Floats, Integers

_COLUMNS = (
    ColumnRule("unit", "id", required=True),
    ColumnRule("kpi", "id", required=True),
    ColumnRule("target", "number"),
    ColumnRule("stretch", "number"),
    ColumnRule("notes", "text"),
)
PLAN_TABLE = TableRule(name="plan", columns=_COLUMNS, prefixes=(("#", "text"),), key=("unit", "kpi"))
"""Columns of a plan made elsewhere."""
PERIOD_TABLE = TableRule(
    name="plan", columns=(*_COLUMNS, ColumnRule("period", "id")), prefixes=(("#", "text"),), key=()
)
"""Columns of a plan made elsewhere by period; a row without a period is about the horizon."""
SHOWN = 5
"""Cells that are named where many are missing."""


def read_given_plan(graph: CausalGraph, path: Path) -> SplitPlan:
    """Read a plan made elsewhere: one target or stretch for every cell that is asked for something.

    A target is all that is asked of the unit, effects of other KPIs included; its stretch is what these leave. Rows of
    units above the cells are totals: they are compared with what the cells below add up to, and ask for nothing.

    Parameters
    ----------
    path : Path
        A table (.csv, .tsv, .parquet, .xlsx) with columns unit, kpi and target or stretch, with periods also period.

    Raises
    ------
    TableError
        With everything that is wrong: units and KPIs that nobody knows, rows with both figures or none, cells that
        have no row.
    """
    periods = graph.scenario.periods
    table = _read(path, PLAN_TABLE if periods is None else PERIOD_TABLE)
    node, period, problems = _nodes(graph, table)
    target, stretch = table.numbers("target"), table.numbers("stretch")
    problems += [*_percent_formats(graph, table), *_too_large(table)]
    problems += [_one_figure(table, row) for row in np.flatnonzero(np.isnan(target) == np.isnan(stretch)).tolist()]
    plan = _Rows(graph, node, _leaves(graph)[node], period, target, stretch)
    problems += [*_missing(table, plan), *_mixed(table, plan)]
    if problems:
        raise TableError(*problems)
    asked, fixed = plan.stretches(), np.flatnonzero(plan.counts & ~np.isnan(target))
    notes = (*_rests(table, plan, asked), *_totals(table, plan, asked), *_off_grid(graph, table, node, fixed))
    notes += tuple(_out_of_bounds(table, plan))
    return SplitPlan(asked, (*table.notes, *notes))


def _read(path: Path, rule: TableRule) -> Table:
    try:
        return read_table(path, display_path(path.resolve()), rule)
    except InputError as error:  # a plan stands beside the scenario: no [tables] declare its marks
        raise type(error)(*(_saved_anew(problem) for problem in error.problems)) from None


def _saved_anew(problem: Problem) -> Problem:
    if "under [tables]" not in problem.fix:
        return problem
    fix = "save the plan with commas between its fields, decimal points, and digits without separators of thousands"
    return replace(problem, fix=fix)


@dataclass(frozen=True)
class _Rows:
    """The rows of a table: their node, their cell of the horizon (-1 above the cells), their period, their figures."""

    graph: CausalGraph
    node: Integers
    cell: Integers
    period: Integers
    target: Floats
    stretch: Floats

    @cached_property
    def given(self) -> NDArray[np.bool_]:
        """Which periods of each cell have a row of their own, (n_horizon_cells, T) bool."""
        scenario = self.graph.scenario
        given = np.zeros((len(scenario.horizon), scenario.n_periods), dtype=bool)
        here = (self.cell >= 0) & (self.period >= 0)
        given[self.cell[here], self.period[here]] = True
        return given

    @cached_property
    def counts(self) -> NDArray[np.bool_]:
        """Which rows ask for something: those of cells, over the horizon where not all periods have their own."""
        over = (self.period < 0) & (self.cell >= 0) & ~self.given[self.cell].all(axis=1)
        return over | ((self.period >= 0) & (self.cell >= 0))

    def stretches(self) -> Floats:
        """Return what all rows ask of every cell, (n_cells,) float: what is left of the horizon goes by season."""
        scenario, kpi, each = self.graph.scenario, self.graph.scenario.horizon.kpi, np.arange(self.given.shape[1])
        asked, shares = np.zeros(self.given.shape), np.zeros((len(self.node), len(each)))
        own, over = (np.flatnonzero(self.counts & here) for here in (self.period >= 0, self.period < 0))
        asked[self.cell[own], self.period[own]] = np.nan_to_num(self.stretch[own])
        for t in np.unique(self.period[own]).tolist():
            rows = own[self.period[own] == t]
            shares[rows, t] = 1.0 / added_by_stretch(scenario, t)[kpi[self.cell[rows]], t]
        free = np.where(self.given[self.cell[over]], 0.0, season_of_stretch(scenario)[kpi[self.cell[over]]])
        rest = self.stretch[over] - asked[self.cell[over]].sum(axis=1)
        asked[self.cell[over]] += np.nan_to_num(rest)[:, None] * free / free.sum(axis=1, keepdims=True)
        adds = (free * added_by_stretch(scenario)[kpi[self.cell[over]]]).sum(axis=1, keepdims=True)
        shares[over] = free / np.where(adds > 0.0, adds, 1.0)
        fixed = np.flatnonzero(self.counts & ~np.isnan(self.target))
        rows = rows_of(scenario, self.cell[fixed])
        return reach_targets(self.graph, asked.ravel(), rows, shares[fixed], self.node[fixed], self.target[fixed])


def _leaves(graph: CausalGraph) -> Integers:
    """Return the cell of the horizon that each node is about, in any period; -1 above the cells. (n_nodes + 1,) int."""
    cell_of = np.full(graph.n_nodes + 1, -1)
    leaves = np.flatnonzero(leaf_cells(graph))
    cell_of[graph.cell_node[leaves]] = graph.scenario.cell_base[leaves]
    whole = np.unique(graph.scenario.cell_base[leaves])
    cell_of[graph.whole_node[whole]] = whole
    return cell_of


def _nodes(graph: CausalGraph, table: Table) -> tuple[Integers, Integers, list[Problem]]:
    """Return the node of every row, -1 where it has none, its period, and what is wrong with those."""
    scenario, problems = graph.scenario, list[Problem]()
    node, period = np.full((2, table.n_rows), -1, dtype=np.int64)
    position = {} if scenario.periods is None else {"": -1, **scenario.periods.position}
    columns = {"unit": scenario.units.position, "kpi": scenario.kpi_position}
    columns |= {"period": position} if scenario.periods is not None else {}
    seen: dict[tuple[str, ...], int] = {}
    for row, key in enumerate(zip(*(table.texts(column).tolist() for column in columns), strict=True)):
        unknown = [(c, name) for (c, ids), name in zip(columns.items(), key, strict=True) if name not in ids]
        for column, name in unknown:
            rule, fix = f"a row names a {column} of the scenario by its id", name_the_right_ones(name, columns[column])
            message = f"there is no {column} {name!r}"
            problems.append(Problem(f"E-unknown-{column}", message, rule, fix, table.location(row, column)))
        if unknown:
            continue
        period[row] = position.get(table.texts("period")[row], -1)
        node[row] = graph.find_node(key[1], key[0], int(period[row]))
        if node[row] < 0:
            message, fix = f"{key[0]} has no {key[1]} in this scenario", "leave the row out, or give the unit a cell"
            problems.append(Problem("E-plan-cell", message, fix=fix, location=table.location(row, "unit")))
        elif seen.setdefault(key, row) != row:
            message, rule = f"{'/'.join(filter(None, key))} has several rows", "a plan has one figure for each"
            problems.append(Problem("E-table-duplicate", message, rule, "delete one", table.location(row, "unit")))
    return node, period, problems


def _percent_formats(graph: CausalGraph, table: Table) -> Iterator[Problem]:
    """Ask about figures that a workbook shows as percentages, where their KPI is no share."""
    for kpi in graph.scenario.kpis.values():
        shown = [
            (float(table.numbers(column)[row]), table.location(row, column))
            for column, rows in table.percent.items()
            for row in sorted(rows)
            if table.texts("kpi")[row] == kpi.id and table.numbers(column)[row]
        ]
        if shown and not reads_as_share(kpi.unit):
            yield percent_problem(shown, kpi)


def _too_large(table: Table) -> Iterator[Problem]:
    """Refuse figures beyond what numbers of a scenario may be."""
    for column in ("target", "stretch"):
        values = table.numbers(column)
        for row in np.flatnonzero(np.abs(values) > LARGEST).tolist():
            message, fix = f"the {column} is {values[row]:g}", "correct it, or choose a larger unit of measure"
            yield Problem("E-number-range", message, RANGE_RULE, fix, table.location(row, column))


def _one_figure(table: Table, row: int) -> Problem:
    where = "/".join(filter(None, (table.texts(column)[row] for column in ("unit", "kpi", "period"))))
    both = not np.isnan(table.numbers("target")[row])
    return Problem(
        "E-plan-figure",
        f"{where} has {'a target and a stretch' if both else 'neither a target nor a stretch'}",
        rule="a row has a target or a stretch",
        fix="leave one of them empty" if both else "write one; a stretch of 0 asks for nothing more",
        location=table.location(row, "unit"),
    )


def _missing(table: Table, plan: _Rows) -> list[Problem]:
    """Say which cells have no row: what is not given is never 0."""
    graph, scenario = plan.graph, plan.graph.scenario
    leaves = np.unique(scenario.cell_base[leaf_cells(graph)])
    decided = leaves[scenario.horizon.has_decision[leaves] & ~plan.given[leaves].all(axis=1)]
    missing = [graph.node_name(int(graph.whole_node[c])) for c in np.setdiff1d(decided, plan.cell[plan.period < 0])]
    if not missing:
        return []
    named = ", ".join(missing[:SHOWN]) + (f" and {len(missing) - SHOWN:,} more" if len(missing) > SHOWN else "")
    rule = "every cell with a range has its row: what is not given is not 0"
    fix = "add the rows; a stretch of 0 says that nothing more is asked"
    if scenario.periods is not None:
        rule += "; a row without a period is about the horizon, and goes without where every period has its row"
    return [Problem("E-plan-missing", f"no row for {named}", rule, fix, table.location(0, "unit"))]


def _mixed(table: Table, plan: _Rows) -> Iterator[Problem]:
    """Say which cells have a stretch over the horizon, and targets in some of its periods that leave a part of it."""
    by_target = np.zeros(len(plan.graph.scenario.horizon), dtype=bool)
    by_target[plan.cell[plan.counts & (plan.period >= 0) & ~np.isnan(plan.target)]] = True
    left = plan.counts & (plan.period < 0) & ~np.isnan(plan.stretch)
    for row in np.flatnonzero(left & by_target[plan.cell]).tolist():
        yield Problem(
            "E-plan-figure",
            f"{plan.graph.node_name(int(plan.node[row]))} has a stretch over the horizon, and targets in some periods",
            rule="what periods without a row get is what the others leave of the same figure",
            fix="write the target over the horizon, or a row for every period",
            location=table.location(row, "unit"),
        )


def _rests(table: Table, plan: _Rows, stretch: Floats) -> Iterator[Problem]:
    """Say which periods without a row come out below nothing: the others have more than the horizon."""
    scenario = plan.graph.scenario
    asked, given = stretch[rows_of(scenario, np.arange(len(plan.given)))], plan.given
    below = ~given & (asked < -NEGLIGIBLE * np.abs(asked).max(axis=1, keepdims=True)) & given.any(axis=1, keepdims=True)
    for row in np.flatnonzero(plan.counts & (plan.period < 0)).tolist():
        cell = plan.cell[row]
        if below[cell].any():
            others = ", ".join(f"{scenario.period_name(t)}" for t in np.flatnonzero(given[cell]).tolist())
            rests = [
                f"{asked[cell, t]:,.10g} in {scenario.period_name(t)}" for t in np.flatnonzero(below[cell]).tolist()
            ]
            yield Problem(
                "W-period-rest",
                f"what {plan.graph.node_name(int(plan.node[row]))} has in {others} leaves less than nothing of the "
                f"horizon to the other periods: a stretch of {', '.join(rests)}",
                rule="what single periods leave of the horizon is shared out over the others by season",
                fix="correct the rows, or give every period its own",
                location=table.location(row, "unit"),
            )


def _totals(table: Table, plan: _Rows, stretch: Floats) -> Iterator[Problem]:
    """Compare rows that ask for nothing with what the cells and the periods add up to, to the step of the KPI."""
    graph, scenario = plan.graph, plan.graph.scenario
    asked = graph.baseline + graph.asked_change(stretch, np.zeros(graph.n_levels))
    whole = np.bincount(scenario.cell_base, stretch, len(scenario.horizon))
    for row in np.flatnonzero(~plan.counts).tolist():
        at, is_cell, said, got = int(plan.node[row]), plan.cell[row] >= 0, plan.target[row], asked[plan.node[row]]
        if np.isnan(said):
            said = plan.stretch[row] if is_cell else graph.baseline[at] + graph.sign[at] * plan.stretch[row]
            got = whole[plan.cell[row]] if is_cell else got
        if abs(said - got) > max(scenario.kpi_step[graph.kpi[at]], 1e-9 * abs(said)):
            is_mean = list(scenario.kpis.values())[graph.kpi[at]].roll_up == "mean"
            total, has = ("mean", "has the mean") if is_mean else ("total", "adds up to")
            below = "its periods come to" if is_cell else f"what is below {has}"
            message = f"{graph.node_name(at)} is {said:,.10g} in the table, and {below} {got:,.10g}"
            fix = f"correct the {total} or what is below it; the plan is judged by what is below"
            rule = f"a {total} agrees with what is below it"
            yield Problem("W-plan-total", message, rule, fix, table.location(row, "unit"))


def _out_of_bounds(table: Table, plan: _Rows) -> Iterator[Problem]:
    """Say which targets lie beyond the bounds of their KPI: it is judged as if the bound were asked."""
    kpis = list(plan.graph.scenario.kpis.values())
    for row in np.flatnonzero(~np.isnan(plan.target)).tolist():
        kpi, asked = kpis[plan.graph.kpi[plan.node[row]]], float(plan.target[row])
        if kpi.low <= asked <= kpi.high:
            continue
        name, bound = ("max", kpi.high) if asked > kpi.high else ("min", kpi.low)
        yield Problem(
            "W-plan-bound",
            f"{plan.graph.node_name(int(plan.node[row]))} is asked for {asked:,.10g}, which cannot be: judged as "
            f"{bound:,.10g}",
            rule=f"values of {kpi.id} stay within [kpi.{kpi.id}] {name} = {bound:,.10g}",
            fix="correct the target, or the bound",
            location=table.location(row, "target"),
        )


def _off_grid(graph: CausalGraph, table: Table, node: Integers, rows: Integers) -> Iterator[Problem]:
    """Say which targets lie between the steps of their KPI."""
    rows = rows[graph.scenario.kpi_step[graph.kpi[node[rows]]] > 0.0]
    steps = table.numbers("target")[rows] / graph.scenario.kpi_step[graph.kpi[node[rows]]]
    between = rows[np.abs(steps - np.rint(steps)) > 1e-9 * np.maximum(1.0, np.abs(steps))].tolist()
    if between:
        named = graph.node_name(int(node[between[0]])) + (f" and {len(between) - 1:,} more" if between[1:] else "")
        message = f"targets between two steps of their KPI are rounded: {named}"
        yield Problem("W-plan-step", message, location=table.location(between[0], "target"))
