"""What is shown of a plan by period: map, report, levers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kpiopt.cli.app import main
from kpiopt.errors import UsageError
from kpiopt.graph import NodeKind
from kpiopt.report.explanation_limit import level_sentences
from kpiopt.report.input_names import input_name
from kpiopt.report.page.cascade import cascade_section
from kpiopt.report.page.goals import goals_section
from kpiopt.report.page.levers import lever_data
from kpiopt.report.page.limits import limits_section, money_section
from kpiopt.report.page.page import PageFigure, PageTable, render_page
from kpiopt.report.page.periods import season_of
from kpiopt.report.page.report import build_report
from kpiopt.report.strategy_map.collect import collect_map
from kpiopt.report.strategy_map.drawing import draw_map
from kpiopt.report.strategy_map.texts import map_as_dict
from kpiopt.simulation.intervene import intervene
from kpiopt.studies.explain_limit import explain_initiative, find_limit
from kpiopt.studies.levers import find_levers, lever_settings, measure_levers
from tests.report import by_period
from tests.report.browser import OUTSIDE, TEXTS, opened
from tests.report.test_levers import SET, compare, simulated


def table(section, title: str) -> PageTable:
    found = [b for b in section.blocks if b.title == title]
    assert found, [b.title for b in section.blocks]
    return found[0].table if isinstance(found[0], PageFigure) else found[0]


# ------------------------------------------------------------------------------------------------------------ the map


def test_arrows_say_what_one_more_a_year_does_to_the_year() -> None:
    arrows = {(a.cause, a.effect): a for a in collect_map(by_period.source().map_source()).arrows}
    graph = by_period.run().graph

    def mean(path: str) -> float:
        return next(q.quantity.mean for q in graph.quantities if q.name == path)

    quality = mean("kpi.sales.drivers.quality")  # felt one period later: in T2 and T3, which are 80 % of the year
    assert arrows["kpi.quality", "kpi.sales"].amount == pytest.approx(0.8 * quality)
    assert arrows["kpi.quality", "kpi.sales"].lag == 1
    assert arrows["kpi.skill", "kpi.sales"].amount == pytest.approx(mean("kpi.sales.drivers.skill"))
    # sold by season, carried on by half: 0.2 / 4 + 0.3 / 2 + 0.5 at the end of the year
    assert arrows["kpi.sales", "kpi.skill"].amount == pytest.approx(0.01 * 0.7)
    assert arrows["factor.market", "kpi.sales"].amount == pytest.approx(25)
    # begun in T1 at both teams, of a mean by size: half in T1, in full in T2 and T3
    assert arrows["initiative.course", "kpi.quality"].amount == pytest.approx(0.4 * (0.5 + 1 + 1) / 3)
    assert all(0 < arrow.share <= 1 for arrow in arrows.values())


def test_cards_have_the_horizon_and_each_period() -> None:
    run, found = by_period.run(), collect_map(by_period.source().map_source())
    targets = {(row["unit"], row["kpi"], row["period"]): row for row in run.targets.to_dicts()}
    card = found.card("kpi.sales")
    assert (card.after, card.goal_value, card.is_goal) == ("2,289", "2,250", True)
    assert [(p.name, p.is_goal) for p in card.periods] == [("T1", False), ("T2", True), ("T3", False)]
    for period in card.periods:
        row = targets["co", "sales", period.name]
        assert (period.baseline, period.target) == (row["baseline"], row["target"])
    document = map_as_dict(found)
    sales = next(c for c in document["cards"] if c["id"] == "kpi.sales")
    assert sales["periods"][1] == {"period": "T2", "baseline": 600.0, "target": card.periods[1].target, "goal": True}
    levels = np.round(run.plan.levels.sum(), 9)
    assert found.card("initiative.course").before == f"{levels:.4g} of 8 at 2 units"
    assert draw_map(found).count("season aim") == 3 + 1  # on each card, and in the legend
    north = collect_map(by_period.source().map_source(), unit=run.scenario.units.position["north"])
    assert north.card("kpi.sales").periods[2].target == targets["north", "sales", "T3"]["target"]


def test_the_map_of_a_plan_by_period_in_every_form(tmp_path: Path) -> None:
    path = tmp_path / "scenario.toml"
    path.write_text(by_period.TEXT, "utf-8")
    for suffix in ("svg", "html", "png", "pdf", "json", "mmd", "gv"):
        file = tmp_path / f"map.{suffix}"
        assert main(["map", str(path), "--file", str(file), "--select", "+sales"]) == 0
        assert file.stat().st_size > 300


# --------------------------------------------------------------------------------------------------------- the report


def test_goals_of_the_year_and_of_a_period_have_bridge_and_curve() -> None:
    source = by_period.source()
    section = goals_section(source)
    assert [b.title for b in section.blocks][1:] == [
        "Bridge, Sales", "Odds, Sales", "Bridge, Sales in T2", "Odds, Sales in T2",
    ]  # fmt: skip
    for goal, title in zip(source.document["goals"], ("Bridge, Sales", "Bridge, Sales in T2"), strict=True):
        rows = table(section, title).rows
        assert float(rows[0][1].replace(",", "")) == pytest.approx(goal["baseline"], abs=0.5)
        assert float(rows[-1][1].replace(",", "")) == pytest.approx(goal["plan"], abs=0.5)
        steps = sum(float(row[1].replace(",", "")) for row in rows[1:-1])
        assert steps == pytest.approx(goal["plan"] - goal["baseline"], abs=0.5 * len(rows))


def test_who_is_asked_what_is_of_the_horizon_and_says_when() -> None:
    source = by_period.source()
    blocks = {b.title: b for b in cascade_section(source).blocks}
    assert [row[0].strip() for row in blocks["Cascade, Sales"].table.rows] == ["The Firm", "Northerners", "Southerners"]
    cells = source.scenario.horizon
    pairs = zip(cells.unit.tolist(), cells.kpi.tolist(), source.whole_stretch, cells.max_stretch, strict=True)
    worked = {(unit, kpi): x / most for unit, kpi, x, most in pairs if most > 0}
    drawn = blocks["Stretch by unit and KPI"].figure.wide
    for (unit, kpi), share in worked.items():
        name, k = source.scenario.units.names[unit], list(source.scenario.kpis.values())[kpi].name
        assert f"{name}, {k}: {100 * min(1.0, share):.0f} %" in drawn
    assert "T1 " in blocks["When the stretch is worked for"].figure.wide


def test_season_lines_hold_the_targets_and_the_draws() -> None:
    run, source = by_period.run(), by_period.source()
    season = season_of(source, run.scenario.kpis["sales"], 0)
    odds = run.odds.filter((run.odds["kpi"] == "sales") & run.odds["period"].is_not_null())
    assert list(season.names) == ["T1", "T2", "T3"] and season.goals == {1: 715.0}
    spread = {row["period"]: (row["p5"], row["p95"]) for row in odds.to_dicts()}
    assert list(season.spread) == [spread[name] for name in season.names]
    assert sum(season.target) == run.plan.target[run.graph.find_node("sales")]


def test_limits_stand_by_period_and_initiatives_by_when_they_begin() -> None:
    source = by_period.source()
    rows = {row[0]: row[1:] for row in table(limits_section(source), "Limits by period").rows}
    for limit in source.document["limits"]:
        plain, _, period = limit["name"].rpartition("/")
        if period in ("T1", "T2", "T3"):
            unit = {"capacity.hours@north": "Northerners", "capacity.hours@south": "Southerners"}[plain]
            shown = rows[f"hours of {unit}"][("T1", "T2", "T3").index(period)]
            assert shown == f"{100 * limit['used'] / limit['limit']:.0f} %"
    found = table(money_section(source), "Initiatives")
    begun = [(e["unit"], e["start"]) for e in source.document["initiatives"] if e["level"]]
    names = {"north": "Northerners", "south": "Southerners"}
    assert found.columns[:4] == ("initiative", "unit", "begins in", "level") and begun
    assert sorted((row[1], row[2]) for row in found.rows[:-1]) == sorted((names[u], t) for u, t in begun)


def test_a_goal_of_a_period_is_named_with_it_among_inputs() -> None:
    scenario = by_period.run().scenario
    assert input_name(scenario, "goal.sales.target") == "Goal for Sales"
    assert input_name(scenario, "goal.autumn.target") == "Goal for Sales in T2"


# --------------------------------------------------------------------------------------------------------- the levers


def test_levers_in_draws_are_interventions_by_period() -> None:
    run = by_period.run()
    graph, plan = run.graph, run.plan
    levers = {lever.name: lever for lever in find_levers(graph, 100)}
    starts = [f"initiative.course@{u}/{t}" for u in ("north", "south") for t in ("T1", "T2")]
    kpis = [f"kpi.{k}{t}" for k in ("sales", "quality", "skill") for t in ("", "/T1", "/T2", "/T3")]
    assert set(levers) == {*starts, *kpis}
    chosen = ("kpi.sales", "kpi.quality", "kpi.skill/T2", starts[0])
    found = measure_levers(graph, plan.stretch, plan.levels, tuple(levers[n] for n in chosen), lever_settings(graph))
    moves = (40.0, 1.5, -2.0, 3.0 - float(plan.levels[list(graph.level_node).index(graph_node(run, starts[0]))]))
    moved = found.margins + np.einsum("i,igd->gd", np.array(moves), found.on_goals)
    do = [f"sales/{t}+={40 * w}" for t, w in (("T1", 0.2), ("T2", 0.3), ("T3", 0.5))]
    do += [*(f"quality/{t}+=1.5" for t in ("T1", "T2", "T3")), "skill/T2+=-2"]
    after = intervene(graph, plan.stretch, plan.levels, plan.target, do=do, act=["course@north/T1=3"])
    assert [float(np.mean(m >= 0)) for m in found.margins] == [o.first.estimate for o in after.odds[:-1]]
    assert [float(np.mean(m >= 0)) for m in moved] == [o.second.estimate for o in after.odds[:-1]]
    for entry in after.changes:
        mean = sum(move * found.on_nodes[i, entry.node] for i, move in enumerate(moves))
        assert entry.change.estimate == pytest.approx(mean, rel=1e-9, abs=1e-9)


def graph_node(run, name: str) -> int:
    return next(n for n in run.graph.level_node.tolist() if run.graph.node_name(n) == name)


def test_what_levers_take_of_limits_is_what_the_stretch_takes() -> None:
    """Moving a value by a lever within the plan uses what the program's own rows count for that stretch."""
    source, graph = by_period.source(), by_period.run().graph
    data = lever_data(source, collect_map(source.map_source()))
    names = [limit["name"] for limit in source.document["limits"]]
    uses = {e["name"]: {names[n]: rate for n, rate in e["uses"]} for e in data["levers"]}
    north = 1200 / 2000  # a sum is handed down by baselines
    assert uses["kpi.sales"]["capacity.hours@north/T3"] == pytest.approx(0.5 * north)
    assert uses["kpi.sales/T2"] == pytest.approx(
        {"capacity.hours@north/T2": north, "capacity.hours@south/T2": 1 - north}
    )
    # a rate that is 1 higher in a third of the year is a third of a point of the year
    assert uses["kpi.quality/T1"]["capacity.hours@north/T1"] == pytest.approx(2 / 3)
    # a stock that is to be 1 higher in all periods: what half of it loses is to be done again
    third = 10 / 30
    assert [uses["kpi.skill"][f"capacity.hours@north/{t}"] for t in ("T1", "T2", "T3")] == pytest.approx(
        [3 * third, 1.5 * third, 1.5 * third]
    )
    assert uses["initiative.course@north/T1"] == {
        "capacity.hours@north/T1": 6.0, "capacity.hours@north/T2": 1.0, "capacity.hours@north/T3": 1.0,
    }  # fmt: skip
    assert not np.any(graph.kind[graph.cell_node] == NodeKind.BUILT)


@pytest.fixture(scope="module")
def solved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("thirds")
    path = folder / "scenario.toml"
    path.write_text(by_period.TEXT.replace("draws = 1024", "draws = 4096"), "utf-8")
    assert main(["solve", str(path), "--out", str(folder / "runs")]) == 0
    kept = next((folder / "runs").iterdir())
    assert main(["report", str(kept), "--html", str(folder / "levers.html")]) == 0
    return kept, folder / "levers.html"


def of_the_year(found):
    """Only the horizon stands on cards."""
    kpis = [{**k, "node": k["node"].replace("co/", "company/")} for k in found["kpis"] if k["node"].count("/") == 1]
    return {**found, "kpis": kpis}


def moved(lever, value: float) -> float:
    """Move a lever and return where it stands: on one of its steps, not beyond its ends."""
    lever.evaluate(SET, value)
    at = float(lever.input_value())
    assert at != 0 and abs(at) <= 1.2 * abs(value)
    return at


def test_moving_levers_of_a_page_by_period_gives_what_simulate_gives(solved, capsys) -> None:
    kept, file = solved
    with opened(file) as page:
        sales = moved(page.locator("#lever-list input[data-lever='kpi.sales']"), 12)
        quality = moved(page.locator("#lever-list input[data-lever='kpi.quality/T2']"), -0.5)
        name = "initiative.course@south/T2"
        page.locator(f"#lever-list input[data-lever='{name}']").evaluate(SET, 2)
        do = [f"sales/{t}+={sales * w}" for t, w in (("T1", 0.2), ("T2", 0.3), ("T3", 0.5))]
        do.append(f"quality/T2+={quality}")
        words = [word for text in do for word in ("--do", text)]
        compare(page, of_the_year(simulated(kept, capsys, "--act", "course@south/T2=2", *words)))
        page.locator("#lever-reset").click()
        shown = page.locator("input[data-onmap='kpi.sales']:visible")
        assert shown.count() == 1 and shown.get_attribute("data-period") == "-1"
        page.locator("#lever-when").select_option("1")
        shown = page.locator("input[data-onmap='kpi.sales']:visible")
        assert shown.count() == 1 and shown.get_attribute("data-period") == "1"
        compare(page, of_the_year(simulated(kept, capsys, "--do", f"sales/T2+={moved(shown, 5)}")))
        page.locator("#lever-reset").click()
        page.locator("input[data-onmap='initiative.course']:visible").evaluate(SET, 3)
        compare(page, of_the_year(simulated(kept, capsys, "--act", "course/T2=3")))
        page.locator("#lever-reset").click()
        page.locator("#lever-when").select_option("-1")
        for period in ("T1", "T2"):
            at = page.locator(f"#lever-list input[data-lever='initiative.course@north/{period}']")
            at.evaluate("(input) => { input.value = input.max; input.dispatchEvent(new Event('input')); }")
        assert page.locator("#lever-list output", has_text="beyond its range").count() == 2


def test_pages_by_period_can_be_read_at_every_width(solved) -> None:
    for width, scheme in ((390, "dark"), (1280, "light"), (1920, "light")):
        with opened(solved[1], width=width, scheme=scheme) as page:
            assert page.evaluate(TEXTS) == [] and page.evaluate(OUTSIDE) == []
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_page_holds_the_figures_of_the_answer(solved) -> None:
    kept, _ = solved
    document = json.loads((kept / "run.json").read_text("utf-8"))
    page = (kept / "report.html").read_text("utf-8")
    assert "Targets by period" in page and "Limits by period" in page and "Strategy map" in page
    assert document["goals"][1]["period"] == "T2"
    assert render_page(build_report(by_period.source())).count("<svg") > 10


def test_an_initiative_that_may_begin_in_several_periods_is_told_once_a_unit():
    run = by_period.run()
    limits, initiative = run.as_dict()["limits"], run.scenario.initiatives["course"]
    found = explain_initiative(run.graph, run.plan.stretch, run.plan.levels, limits, initiative, "")
    for unit in ("north", "south"):
        levels = [level for level in found if level.unit == unit]
        total = sum(level.level for level in levels)
        (sentence,) = level_sentences(run.scenario, levels)
        assert len(levels) == 2 and f"{total:g} of 4" in sentence
        assert ("as much as it may" in sentence) == (total >= 4 - 1e-6)
        half = [replace(level, level=0.5 * level.level + 0.25) for level in levels]
        (sentence,) = level_sentences(run.scenario, half)
        assert (
            "2.250 begun in T1 and 0.2500 begun in T2" in sentence
            and "whenever it begins, would need hours of" in sentence
        )
        assert "in T2, which is used up" in sentence  # what both beginnings need


def test_a_limit_of_several_periods_asks_which():
    run = by_period.run()
    limits = run.as_dict()["limits"]
    for text in ("hours of Northerners", "capacity.hours@north"):
        with pytest.raises(UsageError) as raised:
            find_limit(run.scenario, limits, text)
        assert "hours of Northerners in T3" in str(raised.value.problems[0].fix)
    assert find_limit(run.scenario, limits, "hours of Northerners in T2")["name"] == "capacity.hours@north/T2"
    assert find_limit(run.scenario, limits, "hours of nobody") is None
