"""What screens and tables say of a plan by period: one answer each, in order, with the period."""

from __future__ import annotations

import numpy as np
import pytest

import kpiopt
from kpiopt.graph import NodeKind
from kpiopt.report.explanation import ways
from kpiopt.report.goal_names import goal_at
from kpiopt.report.page.proof import _noise_rows
from kpiopt.report.summary import _unassigned_lines
from kpiopt.run.frames import tables_of
from kpiopt.simulation.intervene import intervene
from kpiopt.studies.explain import explain_target
from tests.report import by_period


def test_levels_say_when_they_begin() -> None:
    table = tables_of(by_period.run().as_dict())["initiatives.csv"]
    assert table.columns == ["initiative", "unit", "start", "level", "max"]
    assert set(table["start"]) == {"T1", "T2"}
    entries = [{**e, "start": None} for e in by_period.run().as_dict()["initiatives"]]
    plain = tables_of({**by_period.run().as_dict(), "initiatives": entries})["initiatives.csv"]
    assert plain.columns == ["initiative", "unit", "level", "max"]


def test_what_one_more_of_a_horizon_does_is_what_its_ways_bring() -> None:
    graph, plan = by_period.run().graph, by_period.run().plan
    told = 0
    for node in np.flatnonzero((graph.kind == NodeKind.KPI) & (graph.period < 0)).tolist():
        found = {e.goal: e.per_unit for e in explain_target(graph, plan.stretch, plan.levels, node).goals}
        for goal, total, chains in ways(graph, node):
            told += 1
            assert found[goal] == pytest.approx(total) == pytest.approx(sum(chain.effect for chain in chains))
    assert told > 4
    skill = explain_target(graph, plan.stretch, plan.levels, graph.find_node("skill"))
    assert goal_at(graph.scenario, "autumn").endswith("in T2 (goal autumn)")
    assert goal_at(graph.scenario, "sales").endswith("(goal sales)")
    assert len(skill.goals) == 2


def test_values_stand_kpi_by_kpi_the_horizon_first() -> None:
    run = by_period.run()
    odds = run.odds
    rows = list(dict.fromkeys(zip(odds["kpi"], odds["unit"], odds["period"], strict=True)))
    kpis = list(dict.fromkeys(row[0] for row in rows))
    assert rows == [(kpi, rows[0][1], period) for kpi in kpis for period in (None, "T1", "T2", "T3")]
    moved = intervene(run.graph, run.plan.stretch, run.plan.levels, do=["quality/T2+=1"])
    assert [c.name.split("/")[1] for c in moved.changes] == [kpi for kpi in kpis for _ in range(4)]
    assert [run.graph.period[c.node] for c in moved.changes] == [-1, 0, 1, 2] * len(kpis)


def test_what_is_nobodys_is_what_targets_leave() -> None:
    run = by_period.run()
    lines = " ".join(_unassigned_lines(run))
    table = run.targets.filter(run.targets["period"].is_null() & (run.targets["kpi"] == "sales"))
    left = table["unassigned_target"][0]
    assert left and f"{left:+,.0f} kEUR of Sales" in lines


def test_noise_is_counted_by_cells_of_the_horizon(tmp_path) -> None:
    more = '[noise.all]\nwhere = { kpi = "sales" }\nsd = 30\nadditive = true\n'
    (tmp_path / "s.toml").write_text(by_period.TEXT + more, encoding="utf-8")
    scenario = kpiopt.load(tmp_path / "s.toml")
    cells = int(np.sum(scenario.horizon.kpi == scenario.kpi_ids.index("sales")))
    ((count, _, spread, _),) = _noise_rows(scenario)
    assert int(count.split()[0]) <= cells < 3 * int(count.split()[0]) and spread == "standard deviation 30"
