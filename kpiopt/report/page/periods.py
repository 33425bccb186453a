"""Targets by period: each KPI of the organization as a picture, with the units right below it as its table."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kpiopt.report.charts.season import Season, season_figure
from kpiopt.report.numbers import amount, target_step
from kpiopt.report.page.page import PageFigure, PageSection, PageTable
from kpiopt.report.page.source import ReportSource
from kpiopt.scenario.scenario import Kpi

MOST_UNITS, MOST_FIGURES = 24, 40


def periods_section(source: ReportSource) -> PageSection:
    """Return the targets of a plan with periods, one picture for each KPI; those of goals first."""
    scenario, units = source.scenario, source.scenario.units
    children = np.flatnonzero(units.parent == 0)
    shown = [0, *children[units.order_in_file(children)][:MOST_UNITS].tolist()]
    wanted = dict.fromkeys([*(g.kpi for g in scenario.goals.values()), *scenario.kpis])
    found = [figure for kpi in wanted for figure in _figure(source, scenario.kpis[kpi], shown)]
    lines = ["All units are in targets.csv."] if len(units) > len(shown) else []
    if len(found) > MOST_FIGURES:
        lines.append(f"The first {MOST_FIGURES} of {len(found)} KPIs are shown.")
    return PageSection("Targets by period", lines, blocks=found[:MOST_FIGURES])


def season_of(source: ReportSource, kpi: Kpi, unit: int) -> Season | None:
    """Return a KPI at a unit by period; None where it has no value there."""
    graph, scenario, drawn = source.graph, source.scenario, source.simulation
    assert scenario.periods is not None
    names = scenario.periods.names
    nodes = graph.find_nodes(np.full(len(names), unit), scenario.kpi_position[kpi.id], np.arange(len(names)))
    if np.any(nodes < 0) or not np.isfinite(source.targets[nodes]).all():
        return None
    places = {node: i for i, node in enumerate(drawn.nodes.tolist())} if drawn else {}
    spread = []
    if drawn is not None and all(node in places for node in nodes.tolist()):
        spreads = [drawn.distributions[places[node]] for node in nodes.tolist()]
        spread = [(found.p5, found.p95) for found in spreads] if any(found.sd > 0 for found in spreads) else []
    goals = {g.period: g.target for g in scenario.goals.values() if (g.kpi, g.unit) == (kpi.id, unit) and g.period >= 0}
    return Season(names, source.graph.baseline[nodes].tolist(), source.targets[nodes].tolist(), spread, goals)


def _figure(source: ReportSource, kpi: Kpi, units: list[int]) -> Iterator[PageFigure]:
    """Draw a KPI of the organization over the periods."""
    season = season_of(source, kpi, 0)
    if season is None:
        return
    node = source.graph.find_node(kpi.id, 0)
    before, target = float(source.graph.baseline[node]), float(source.targets[node])
    how = {"flow": "in all", "rate": "on average", "stock": "at the end"}[kpi.kind]
    step = target_step(kpi, target)
    caption = f"{how} {amount(before, '', step)} to {amount(target, kpi.unit, step)}"
    figure = season_figure(season, f"{kpi.name} by period", kpi.unit)
    yield PageFigure(f"By period, {kpi.name}", figure, caption, table=_table(source, kpi, units))


def _table(source: ReportSource, kpi: Kpi, units: list[int]) -> PageTable:
    """Return the targets of the organization and of units by period."""
    graph, scenario = source.graph, source.scenario
    assert scenario.periods is not None
    rows = []
    for unit in units:
        nodes = [graph.find_node(kpi.id, unit, t) for t in range(-1, len(scenario.periods))]
        if nodes[0] >= 0:
            targets = [float(source.targets[node]) for node in nodes]
            rows.append([scenario.units.names[unit], *(amount(v, "", target_step(kpi, v)) for v in targets)])
    return PageTable("", ("target", "in all", *scenario.periods.names), rows)
