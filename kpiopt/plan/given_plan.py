"""A plan made elsewhere: targets or stretches of a table, to be judged like any other plan."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kpiopt.errors import Problem, TableError
from kpiopt.graph import CausalGraph
from kpiopt.plan.split_rule import SplitPlan, leaf_cells, reach_targets
from kpiopt.reading.key_path import name_the_right_ones
from kpiopt.reading.regular_file import display_path
from kpiopt.reading.tables.read import ColumnRule, Table, TableRule, read_table
from kpiopt.scenario.scenario import Floats, Integers

PLAN_TABLE = TableRule(
    name="plan",
    columns=(
        ColumnRule("unit", "id", required=True),
        ColumnRule("kpi", "id", required=True),
        ColumnRule("target", "number"),
        ColumnRule("stretch", "number"),
        ColumnRule("notes", "text"),
    ),
    prefixes=(("#", "text"),),
    key=("unit", "kpi"),
)
"""Columns of a plan made elsewhere."""
SHOWN = 5
"""Cells that are named where many are missing."""


def read_given_plan(graph: CausalGraph, path: Path) -> SplitPlan:
    """Read a plan made elsewhere: one target or stretch for every cell that is asked for something.

    A target is all that is asked of the unit, effects of other KPIs included; its stretch is what these leave. Rows of
    units above the cells are totals: they are compared with what the cells below add up to, and ask for nothing.

    Parameters
    ----------
    graph : CausalGraph
    path : Path
        A table (.csv, .tsv, .parquet, .xlsx) with columns unit, kpi and target or stretch.

    Raises
    ------
    TableError
        With everything that is wrong: units and KPIs that nobody knows, rows with both figures or none, cells that
        have no row.
    """
    display = display_path(path.resolve())
    table = read_table(path, display, PLAN_TABLE)
    node, problems = _nodes(graph, table)
    target, stretch = table.numbers("target"), table.numbers("stretch")
    problems += [_one_figure(table, row) for row in np.flatnonzero(np.isnan(target) == np.isnan(stretch)).tolist()]
    cell_of = np.full(graph.n_nodes + 1, -1)
    leaves = np.flatnonzero(leaf_cells(graph))
    cell_of[graph.cell_node[leaves]] = leaves
    cell = cell_of[node]
    problems += _missing(graph, table, leaves, cell)
    if problems:
        raise TableError(*problems)
    rows = np.flatnonzero(cell >= 0)
    asked = np.zeros(len(graph.scenario.cells))
    asked[cell[rows]] = np.nan_to_num(stretch[rows])
    fixed = rows[~np.isnan(target[rows])]
    asked = reach_targets(graph, asked, cell[fixed], target[fixed])
    notes = (*_totals(graph, table, node, asked, np.flatnonzero(cell < 0)), *_off_grid(graph, table, node, fixed))
    return SplitPlan(asked, (*table.notes, *notes))


def _nodes(graph: CausalGraph, table: Table) -> tuple[Integers, list[Problem]]:
    """Return the node of every row, -1 where it has none, and what is wrong with those."""
    scenario, problems = graph.scenario, list[Problem]()
    node = np.full(table.n_rows, -1, dtype=np.int64)
    pairs = zip(table.texts("unit").tolist(), table.texts("kpi").tolist(), strict=True)
    for row, (unit, kpi) in enumerate(pairs):
        known = True
        for column, name, ids in (
            ("unit", unit, scenario.units.position),
            ("kpi", kpi, scenario.kpi_position),
        ):
            if name not in ids:
                rule, fix = f"a row names a {column} of the scenario by its id", name_the_right_ones(name, ids)
                message = f"there is no {column} {name!r}"
                problems.append(Problem(f"E-unknown-{column}", message, rule, fix, table.location(row, column)))
                known = False
        if known:
            node[row] = graph.find_node(kpi, unit)
            if node[row] < 0:
                message, fix = f"{unit} has no {kpi} in this scenario", "leave the row out, or give the unit a cell"
                problems.append(Problem("E-plan-cell", message, fix=fix, location=table.location(row, "unit")))
    return node, problems


def _one_figure(table: Table, row: int) -> Problem:
    where = f"{table.texts('unit')[row]}/{table.texts('kpi')[row]}"
    both = not np.isnan(table.numbers("target")[row])
    return Problem(
        "E-plan-figure",
        f"{where} has {'a target and a stretch' if both else 'neither a target nor a stretch'}",
        rule="a row has a target or a stretch",
        fix="leave one of them empty" if both else "write one; a stretch of 0 asks for nothing more",
        location=table.location(row, "unit"),
    )


def _missing(graph: CausalGraph, table: Table, leaves: Integers, cell: Integers) -> list[Problem]:
    """Say which cells have no row: what is not given is never 0."""
    decided = leaves[graph.scenario.cells.has_decision[leaves]]
    missing = [graph.node_name(int(graph.cell_node[c])) for c in np.setdiff1d(decided, cell).tolist()]
    if not missing:
        return []
    named = ", ".join(missing[:SHOWN]) + (f" and {len(missing) - SHOWN:,} more" if len(missing) > SHOWN else "")
    rule = "every cell with a range has its row: what is not given is not 0"
    fix = "add the rows; a stretch of 0 says that nothing more is asked"
    return [Problem("E-plan-missing", f"no row for {named}", rule, fix, table.location(0, "unit"))]


def _totals(graph: CausalGraph, table: Table, node: Integers, stretch: Floats, rows: Integers) -> Iterator[Problem]:
    """Compare the rows of units above the cells with what the cells add up to, to the step of the KPI."""
    asked = graph.baseline + graph.asked_change(stretch, np.zeros(graph.n_levels))
    step = graph.scenario.kpi_step
    for row in rows.tolist():
        at = int(node[row])
        said = table.numbers("target")[row]
        if np.isnan(said):
            said = graph.baseline[at] + graph.sign[at] * table.numbers("stretch")[row]
        if abs(said - asked[at]) > max(step[graph.kpi[at]], 1e-9 * abs(said)):
            is_mean = list(graph.scenario.kpis.values())[graph.kpi[at]].roll_up == "mean"
            total, below = ("mean", "has the mean") if is_mean else ("total", "adds up to")
            message = f"{graph.node_name(at)} is {said:,.10g} in the table, and what is below {below} {asked[at]:,.10g}"
            fix = f"correct the {total} or what is below it; the plan is judged by what is below"
            rule = f"a {total} agrees with what is below it"
            yield Problem("W-plan-total", message, rule, fix, table.location(row, "unit"))


def _off_grid(graph: CausalGraph, table: Table, node: Integers, rows: Integers) -> Iterator[Problem]:
    """Say which targets lie between the steps of their KPI."""
    steps = table.numbers("target")[rows] / graph.scenario.kpi_step[graph.kpi[node[rows]]]
    between = rows[np.abs(steps - np.rint(steps)) > 1e-9 * np.maximum(1.0, np.abs(steps))].tolist()
    if between:
        named = graph.node_name(int(node[between[0]])) + (f" and {len(between) - 1:,} more" if between[1:] else "")
        message = f"targets between two steps of their KPI are rounded: {named}"
        yield Problem("W-plan-step", message, location=table.location(between[0], "target"))
