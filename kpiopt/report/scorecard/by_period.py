"""What is asked of a unit period by period, and what moves its targets over the horizon."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from kpiopt.graph import CausalGraph, EdgeKind, NodeKind
from kpiopt.report.charts.season import season_figure
from kpiopt.report.numbers import amount, target_step
from kpiopt.report.page.page import PageFigure, PageTable
from kpiopt.report.page.periods import season_of
from kpiopt.report.page.source import ReportSource
from kpiopt.scenario.scenario import Floats, Kpi
from kpiopt.studies.explain import Part

MOST_FIGURES, MOST_COLUMNS = 4, 12


def by_period(source: ReportSource, nodes: Sequence[int]) -> Iterator[PageTable | PageFigure]:
    """Return the targets of a unit by period, as a table and as pictures; nothing without periods.

    Parameters
    ----------
    nodes : sequence of int
        Its nodes of the horizon.
    """
    graph, scenario, names = source.graph, source.scenario, source.scenario.units.is_own
    if scenario.periods is None:
        return
    kpis, figures = list(scenario.kpis.values()), []
    rows: list[list[str]] = []
    for node in nodes:
        kpi, unit = kpis[int(graph.kpi[node])], int(graph.unit[node])
        name = f"{kpi.name}, own part" if names[unit] else kpi.name
        season = season_of(source, kpi, unit)
        if season is None:
            continue
        pairs = zip(season.baseline, season.target, strict=True)
        rows.append([name, *(_asked(before, target, kpi) for before, target in pairs)])
        change = abs(float(source.targets[node] - graph.baseline[node])) / (abs(float(graph.baseline[node])) or 1.0)
        title = f"{name} by period"
        figures.append((-change, PageFigure(title, season_figure(season, title, kpi.unit))))
    periods = scenario.periods.names
    for start in range(0, len(periods), MOST_COLUMNS):
        part = slice(start, start + MOST_COLUMNS)
        table = [(row[0], *row[1:][part]) for row in rows]
        more = f", {periods[part][0]} to {periods[part][-1]}" if len(periods) > MOST_COLUMNS else ""
        yield PageTable(f"What is asked of you by period{more}", ("KPI", *periods[part]), table, 1,
                        note="Before the arrow: without new effort.")  # fmt: skip
    figures.sort(key=lambda entry: round(entry[0], 9))
    yield from (figure for _, figure in figures[:MOST_FIGURES])


def _asked(before: float, target: float, kpi: Kpi) -> str:
    """Write what is asked in a period, behind what is expected there without new effort where that is another."""
    first, last = (amount(value, "", target_step(kpi, target)) for value in (before, target))
    return last if first == last else f"{first} → {last}"


def moved_by(graph: CausalGraph, own: Floats, delta: Floats, node: int) -> tuple[float, list[Part]]:
    """Return what own effort at a node and below it and its direct causes add to its value, over all periods.

    Causes are told by their KPI, those at units below together; an initiative that others decide about as well.

    Parameters
    ----------
    own : (n_nodes,) float
        What is added at nodes themselves.
    delta : (n_nodes,) float
        Expected change of every node.
    """
    at = np.zeros(graph.n_nodes)
    at[node] = 1.0
    counts = graph.sweep_back(at, graph.roll_up_matrix)  # over units below and over time
    between = ~np.isin(graph.edge_kind, [EdgeKind.TIME, EdgeKind.ROLL_UP])
    found: dict[tuple[int, ...], tuple[int, float, float]] = {}
    for edge in np.flatnonzero((counts[graph.head] != 0) & between).tolist():
        tail = int(graph.tail[edge])
        passed = float(counts[graph.head[edge]] * graph.coefficient[edge])
        key, cause = _cause(graph, tail, int(graph.unit[node]))
        first, coefficient, moved = found.get(key, (cause, 0.0, 0.0))
        found[key] = first, coefficient + passed, moved + passed * float(delta[tail])
    parts = [Part(n, graph.node_name(n), float(delta[n]), c, moved) for n, c, moved in found.values()]
    parts.sort(key=lambda part: (-abs(part.contribution), part.name))
    return float(counts @ np.where(graph.kind == NodeKind.FACTOR, 0.0, own)), parts


def _cause(graph: CausalGraph, tail: int, unit: int) -> tuple[tuple[int, ...], int]:
    """Return what a cause is told together with at a unit, and the node that stands for it."""
    units, at = graph.scenario.units, int(graph.unit[tail])
    is_inside = unit <= at < int(units.end[unit])
    if graph.kind[tail] == NodeKind.KPI:  # what a cause does in its periods is told of it over the horizon
        kpi = int(graph.kpi[tail])
        mine, there = (int(graph.find_nodes(np.array([u]), kpi)[0]) for u in (unit, at))
        return (0, kpi, is_inside), mine if is_inside and mine >= 0 else there
    if graph.kind[tail] == NodeKind.INITIATIVE and units.home[at] != units.home[unit]:
        return (1, int(graph.level_initiative[graph.level[tail]]), is_inside), tail
    return (2, tail), tail
