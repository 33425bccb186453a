"""Targets by period: each KPI of the organization and of the units right below it."""

from __future__ import annotations

import numpy as np

from kpiopt.report.numbers import amount
from kpiopt.report.page.page import PageSection, PageTable
from kpiopt.report.page.source import ReportSource

MOST_UNITS = 24


def periods_section(source: ReportSource) -> PageSection:
    """Return the targets of a plan with periods, one table for each KPI."""
    scenario, graph = source.scenario, source.graph
    assert scenario.periods is not None
    names, units = scenario.periods.names, scenario.units
    children = np.flatnonzero(units.parent == 0)
    shown = [0, *children[units.order_in_file(children)][:MOST_UNITS].tolist()]
    blocks = []
    for kpi in scenario.kpis.values():
        rows = []
        for unit in shown:
            nodes = [graph.find_node(kpi.id, unit, t) for t in range(-1, len(names))]
            if nodes[0] >= 0:
                targets = (amount(float(source.targets[node]), "", kpi.step) for node in nodes)
                rows.append([units.names[unit], *targets])
        if rows:
            title = f"Targets, {kpi.name}, {kpi.unit}" if kpi.unit else f"Targets, {kpi.name}"
            blocks.append(PageTable(title, ("unit", "in all", *names), rows))
    lines = ["All units are in targets.csv."] if len(units) > len(shown) else []
    return PageSection("Who is asked what, by period", lines, blocks=blocks)
