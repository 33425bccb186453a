"""A scorecard says what is asked of one unit and nothing of any other; what it says can be computed again."""

from __future__ import annotations

import html
import re
import zlib
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import kpiopt
from kpiopt.cli.app import main
from kpiopt.graph import NodeKind
from kpiopt.report.numbers import amount
from kpiopt.report.page.page import Page, PageMap, PageTable, render_page
from kpiopt.report.page.pdf import render_pdf
from kpiopt.report.page.source import ReportSource, source_of_run
from kpiopt.report.scorecard.by_period import moved_by
from kpiopt.report.scorecard.line_of_sight import all_sights, largest, sight_sentences
from kpiopt.report.scorecard.pay import unit_pay
from kpiopt.report.scorecard.scorecard import build_scorecard, find_unit, units_with_scorecards
from kpiopt.report.strategy_map.collect import MapSource, collect_map
from tests.report import by_period
from tests.report.browser import OUTSIDE, TEXTS, opened
from tests.report.organizations import TOOLED

SHIPPED = ("hand-solved", "scorecard", "adventureworks-base")
NIGHTLY = (*SHIPPED, "adventureworks-stretched")


@cache
def source(name: str) -> ReportSource:
    if name == "by-period":
        return by_period.source()
    return source_of_run(
        kpiopt.solve(f"scenarios/{name}.toml", overrides=("simulation.draws=512",)), f"{name}-12345678"
    )


def sample(name: str, most: int = 3) -> list[int]:
    units = units_with_scorecards(source(name).graph)
    return units[:: max(1, len(units) // most)]


def table(page: Page, title: str) -> PageTable:
    return next(b for s in page.sections for b in s.blocks if isinstance(b, PageTable) and b.title == title)


@pytest.mark.parametrize("name", [*SHIPPED, "by-period"])
def test_no_other_unit_is_named_or_shown(name):
    require_own(name, sample(name))


@pytest.mark.nightly
@pytest.mark.parametrize("name", NIGHTLY)
def test_no_other_unit_is_named_or_shown_to_anybody(name):
    require_own(name, units_with_scorecards(source(name).graph))


def require_own(name, chosen):
    """Require of the pages of some units that they hold nobody else's name and no figure that is another's alone."""
    found, units = source(name), source(name).scenario.units
    scenario = found.scenario
    named = (scenario.kpis, scenario.perspectives, scenario.initiatives, scenario.factors)
    allowed = " ".join(
        [*(e.name for entries in named for e in entries.values()), *(k.unit for k in scenario.kpis.values())]
    )
    for unit in chosen:
        page = render_page(build_scorecard(found, unit))
        body = html.unescape(page[page.index("<body>") :])
        assert units.names[unit] in body
        own = {unit, *np.flatnonzero(units.home == unit).tolist()}
        for other in set(range(len(units))) - own:
            for text in {units.names[other], units.ids[other]}:
                word = rf"(?<!\w){re.escape(text)}(?!\w)"
                if not re.search(word, f"{allowed} {units.names[unit]} {units.ids[unit]}", re.IGNORECASE):
                    assert not re.search(word, body), (units.names[unit], text)
        mine = {n for n in range(found.graph.n_nodes) if int(found.graph.unit[n]) in own}
        ours = {shown(found, n, v) for n in mine for v in values(found, n)}
        for node in set(np.flatnonzero(found.graph.kind == NodeKind.KPI).tolist()) - mine:
            for value in values(found, node):
                text = shown(found, node, value)
                if len(re.sub(r"\D", "", text)) >= 5 and text not in ours:
                    assert not re.search(rf"(?<![\d,.]){re.escape(text)}(?![\d,.]*\d)", body), (units.names[unit], text)


def values(found: ReportSource, node: int) -> list[float]:
    return [float(found.graph.baseline[node]), float(found.targets[node]), float(found.expected[node])]


def shown(found: ReportSource, node: int, value: float) -> str:
    return amount(value, "", list(found.scenario.kpis.values())[found.graph.kpi[node]].step)


@pytest.mark.parametrize("name", SHIPPED)
def test_targets_and_odds_are_those_of_the_plan(name):
    found = source(name)
    for unit in sample(name):
        rows = table(build_scorecard(found, unit), "What is asked of you").rows
        at_unit = (found.graph.kind == NodeKind.KPI) & (found.scenario.units.home[found.graph.unit] == unit)
        nodes = np.flatnonzero(at_unit & np.isfinite(found.targets)).tolist()
        assert len(rows) == len(nodes)
        for row, node in zip(rows, sorted(nodes, key=lambda n: (found.graph.unit[n], found.graph.kpi[n])), strict=True):
            kpi = list(found.scenario.kpis.values())[found.graph.kpi[node]]
            assert row[0].startswith(kpi.name)
            assert row[3] == amount(float(found.targets[node]), kpi.unit, kpi.step)


@pytest.mark.parametrize("name", SHIPPED)
def test_each_sentence_ends_with_what_moving_the_kpi_does_to_the_goal(name):
    """Recomputed by moving the node in the graph, not by following chains."""
    found = source(name)
    graph = found.graph
    for unit in sample(name):
        nodes = [n for n in range(graph.n_nodes) if graph.kind[n] == NodeKind.KPI and graph.unit[n] == unit]
        for sight in largest(all_sights(found, nodes)):
            node = graph.find_node(sight.kpi.id, unit)
            own = np.zeros(graph.n_nodes)
            own[node] = sight.change
            moved = float(graph.sweep(own)[graph.find_node(sight.goal.kpi, sight.goal.unit)])
            last = list(sight_sentences([sight]))[-1]
            told = re.search(r"(raises|lowers) [^,]* by (?:about )?([\d,.]+)[^,]*\.$", last)
            assert told, last
            size = float(told[2].replace(",", "").rstrip(".")) * (1 if told[1] == "raises" else -1)
            assert size == pytest.approx(moved, rel=0.06), last


@pytest.mark.parametrize("name", [*SHIPPED, "by-period"])
def test_pay_at_attainment_is_what_the_draws_would_pay(name):
    found = source(name)
    pay = found.simulation.pay
    assert pay is not None
    for unit, plan in zip(pay.units.tolist(), pay.unit_all_hit.tolist(), strict=True):
        told = unit_pay(found, unit)
        if told is not None:
            assert told.total(1.0) == pytest.approx(plan, rel=1e-9)
            assert told.total(1.1) >= told.total(1.0) >= told.total(0.9)


def test_what_stops_a_target_is_what_the_plan_says_also_of_a_variant(tmp_path):
    """ "a" stands at a range that a variant alone has, "b" at its own least, "c" short of both: as in the targets."""
    path = tmp_path / "s.toml"
    path.write_text(
        'schema = 1\nname = "s"\n[kpi.a]\n[kpi.b]\n[kpi.c]\n[unit.co]\n'
        '[cell."co/a"]\nbaseline = 100\nmax_stretch = 40\n[cell."co/b"]\nbaseline = 100\nmin_stretch = 2\n'
        'max_stretch = 40\n[cell."co/c"]\nbaseline = 100\nmax_stretch = 40\n'
        '[goal.a]\ntarget = 110\n[goal.c]\ntarget = 110\n[decide]\nrobust = ["narrow"]\n'
        '[variant.narrow.cell."co/a"]\nmax_stretch = 5\n',
        "utf-8",
    )
    run = kpiopt.solve(path, simulate=False)
    assert run.targets["binding"].to_list() == ["max_stretch (narrow)", "min_stretch", ""]
    why = [row[-1] for row in table(build_scorecard(source_of_run(run, "s"), 0), "What is asked of you").rows]
    assert why == ["your range is used up", "the least of your range is enough", "the goals need no more"]


def test_lower_is_better_is_attained_the_other_way():
    found = source("scorecard")
    cells = [
        c for u in range(len(found.scenario.units)) if (p := unit_pay(found, u)) for c in p.cells if c.kpi.sign < 0
    ]
    assert cells and all(c.actual(0.9) == pytest.approx(1.1 * c.target) for c in cells)


def test_commands_write_one_scorecard_or_all(tmp_path, capsys):
    assert main(["solve", "scenarios/hand-solved.toml", "--out", str(tmp_path / "r"), "--draws", "512", "--json"]) == 0
    run = str(next((tmp_path / "r").iterdir()))
    one = tmp_path / "ann.html"
    assert main(["report", run, "--scorecard", "ann", "--html", str(one)]) == 0
    page = one.read_text("utf-8")
    assert "Ann: targets" in page and not re.search(r"(?<!\w)Bob(?!\w)", page)
    assert "<script" not in page and "default-src 'none'" in page
    assert one.stat().st_mode & 0o077 == 0
    assert main(["report", run, "--all", str(tmp_path / "cards")]) == 0
    assert sorted(p.name for p in (tmp_path / "cards").iterdir()) == ["ann.html", "bob.html", "company.html"]
    assert (tmp_path / "cards" / "ann.html").read_text("utf-8") == page
    capsys.readouterr()
    assert main(["report", run, "--scorecard", "anne"]) == 2
    assert "ann" in capsys.readouterr().err
    assert main(["report", run, "--scorecard", "ann", "--xlsx", "x.xlsx"]) == 2


def test_names_find_units():
    graph = source("adventureworks-base").graph
    assert find_unit(graph, "michael-blythe") == find_unit(graph, "Michael Blythe")


def test_on_paper_it_is_tagged_and_the_same_again(tmp_path):
    pytest.importorskip("typst", reason="the extra pdf is not installed")
    from kpiopt.report.page.pdf import render_pdf

    page = build_scorecard(source("hand-solved"), 1)
    content = render_pdf(page)
    assert content.startswith(b"%PDF-") and b"pdfuaid" in content and b"Bob" not in content
    assert render_pdf(page) == content


@pytest.mark.parametrize(("name", "unit"), [("hand-solved", 1), ("scorecard", 0), ("scorecard", 1)])
def test_on_paper_it_is_one_sheet_that_can_be_read(name, unit):
    """However many KPIs a unit has: a page or front and back, no words below 8 pt; of more than fits, rows are cut."""
    pytest.importorskip("typst", reason="the extra pdf is not installed")
    from kpiopt.report.page.pdf import render_pdf

    page = build_scorecard(source(name), unit)
    content = render_pdf(page, one_page=True)
    assert pages_of(content) <= 2 and min(sizes_of_words(content)) >= 8.0
    if unit == 0:
        many = [replace(s, blocks=[long_table(b) for b in s.blocks]) for s in page.sections]
        content = render_pdf(replace(page, sections=many), one_page=True)
        assert pages_of(content) == 2 and min(sizes_of_words(content)) >= 8.0


def test_a_small_card_is_one_page():
    pytest.importorskip("typst", reason="the extra pdf is not installed")
    from kpiopt.report.page.pdf import render_pdf

    page = build_scorecard(source("hand-solved"), 1)
    few = [page.sections[0], replace(page.sections[1], blocks=[]), *page.sections[3:]]
    assert pages_of(render_pdf(replace(page, sections=few), one_page=True)) == 1


def sizes_of_words(pdf: bytes) -> list[float]:
    """Sizes in pt of all words on the pages, but for those of pictures, which are drawn to scale."""
    found: list[float] = []
    for stream in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL):
        try:
            text = zlib.decompress(stream)
        except zlib.error:
            continue
        found += map(float, re.findall(rb"q 1 0 0 -1 [\d.]+ [\d.]+ cm[^Q]*?BT 0 Tr/\w+ ([\d.]+) Tf", text))
    assert found
    return found


def long_table(block):
    return replace(block, rows=[*block.rows] * 20) if isinstance(block, PageTable) else block


def pages_of(pdf: bytes) -> int:
    return len(re.findall(rb"/Type\s*/Page\b(?!s)", pdf))


def test_a_unit_that_the_name_says_is_not_said_twice():
    lines = build_scorecard(source("hand-solved"), 1).sections[1].lines
    assert "Improving Complaints by 1 lowers Complaints of the organization by 1." in lines
    assert "Improving Sales by 1,000 USD raises Sales of the organization by 1,000 USD." in lines


def test_it_can_be_read_at_every_width(tmp_path):
    """In a browser: no error, nothing fetched, no text over another, nothing beyond the edge."""
    file = tmp_path / "card.html"
    file.write_text(render_page(build_scorecard(source("scorecard"), 1)), "utf-8")
    for width in (390, 1280, 1920):
        with opened(file, width=width) as page:
            assert page.evaluate(TEXTS) == []
            assert page.evaluate(OUTSIDE) == []
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_targets_of_the_year_and_of_each_period_stand_on_it():
    found = by_period.source()
    page = build_scorecard(found, found.scenario.units.position["north"])
    targets = {(r["unit"], r["kpi"], r["period"]): r for r in found.table.to_dicts()}
    whole = {row[0]: row[3] for row in table(page, "What is asked of you").rows}
    rows = {row[0]: row[1:] for row in table(page, "What is asked of you by period").rows}
    assert set(rows) == {"Sales", "Quality", "Skill"}
    for kpi in found.scenario.kpis.values():
        assert whole[kpi.name] == amount(targets["north", kpi.id, None]["target"], kpi.unit, kpi.step)
        for period, told in zip(("T1", "T2", "T3"), rows[kpi.name], strict=True):
            row = targets["north", kpi.id, period]
            assert told.rpartition(" ")[2] == amount(row["target"], "", kpi.step)
            assert told.partition(" ")[0] == amount(row["baseline"], "", kpi.step)
    assert {b.title for s in page.sections for b in s.blocks} >= {f"{name} by period" for name in rows}


def test_sentences_of_a_plan_by_period_are_about_all_periods():
    """Recomputed by moving the values of all periods in the graph, not by following chains."""
    found = by_period.source()
    graph, scenario = found.graph, found.scenario
    unit = scenario.units.position["south"]
    nodes = [graph.find_node(kpi, unit) for kpi in scenario.kpis]
    sights = largest(all_sights(found, nodes))
    assert {(s.kpi.id, s.period) for s in sights} >= {("sales", "T2"), ("quality", None), ("skill", None)}
    for sight in sights:
        own = np.zeros(graph.n_nodes)
        for t, share in enumerate((0.2, 0.3, 0.5)):
            own[graph.find_node(sight.kpi.id, unit, t)] = sight.change * (share if sight.kpi.id == "sales" else 1.0)
        moved = float(graph.sweep(own)[graph.goal_node(sight.goal)])
        assert sight.change * sight.total == pytest.approx(moved, rel=1e-9)
        assert all(("in T2" in line) == (sight.period == "T2") for line in sight_sentences([sight]))


def test_what_moves_a_target_adds_up_over_the_periods():
    found = by_period.source()
    graph, unit = found.graph, found.scenario.units.position["north"]
    own, delta = graph.own_change(found.stretch, found.levels), found.expected - graph.baseline
    for kpi in found.scenario.kpis:
        node = graph.find_node(kpi, unit)
        effort, parts = moved_by(graph, own, delta, node)
        assert effort + sum(part.contribution for part in parts) == pytest.approx(float(delta[node]), rel=1e-9)
    rows = table(build_scorecard(found, unit), "Actions and causes").rows
    begun = [(row[1], row[2]) for row in rows if row[1] == "Course"]
    levels = {e["start"]: e["level"] for e in found.document["initiatives"] if e["unit"] == "north" and e["level"]}
    assert begun == [("Course", f"{amount(level)} of 4, begun in {start}") for start, level in levels.items()]


def test_pay_by_period_is_told_by_period():
    found = by_period.source()
    page = build_scorecard(found, found.scenario.units.position["south"])
    paid = table(page, "What pays what")
    rows = {row[0]: row for row in paid.rows}
    for name, target in zip(("T1", "T2", "T3"), season_targets(found, "south"), strict=True):
        row = rows[f"Sales, {name}"]
        assert row[4] == amount(target, "kEUR", 1) and row[5] == "600 EUR"  # a third of 1,800 at 100 %
        assert row[3] == "300 EUR" and row[7] == "750 EUR"  # 0.5 and 1.25 of it
    assert rows["all together"][5] == "1,800 EUR" and "paid by itself" in paid.note


def season_targets(found: ReportSource, unit: str) -> list[float]:
    return [float(found.targets[found.graph.find_node("sales", unit, t)]) for t in range(3)]


def test_on_paper_a_card_by_period_is_one_sheet():
    pytest.importorskip("typst", reason="typst is not installed")
    found = by_period.source()
    page = build_scorecard(found, found.scenario.units.position["north"])
    assert pages_of(render_pdf(page, one_page=True)) <= 2


def test_a_card_by_period_can_be_read_at_every_width(tmp_path):
    found = by_period.source()
    file = tmp_path / "card.html"
    file.write_text(render_page(build_scorecard(found, found.scenario.units.position["north"])), "utf-8")
    for width, scheme in ((390, "dark"), (1280, "light")):
        with opened(file, width=width, scheme=scheme) as page:
            assert page.evaluate(TEXTS) == [] and page.evaluate(OUTSIDE) == []
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


CROSSED = """
schema = 1
name = "Crossed"
currency = "EUR"
{kpis}
[unit.co]
level = "company"
[unit.ann]
parent = "co"
level = "person"
[unit.bob]
parent = "co"
level = "person"
{cells}
"""


def crossed(folder: Path, n_causes: int) -> Page:
    """Return the card of Ann, whose first KPI drives several others, each of them a goal."""
    kpis = ['[kpi.fix]\nname = "Fix"\nunit = "%"\nroll_up = "mean"\nstep = 0.5']
    for i in range(n_causes):
        kpis.append(
            f'[kpi.k{i}]\nname = "Result {i}"\nunit = "EUR"\ndrivers.fix = {{ contribution = 5, at = "person" }}'
        )
        kpis.append(f"[goal.k{i}]\ntarget = {200 + 10 * (i + 1)}")
    names = ["fix", *(f"k{i}" for i in range(n_causes))]
    cells = [f'[cell."{u}/{k}"]\nbaseline = 100\nmax_stretch = 20' for u in ("ann", "bob") for k in names]
    file = folder / "crossed.toml"
    file.write_text(CROSSED.format(kpis="\n".join(kpis), cells="\n".join(cells)))
    run = kpiopt.solve(file, simulate=False)
    found = source_of_run(run, "crossed-12345678")
    return build_scorecard(found, found.scenario.units.position["ann"])


@pytest.mark.parametrize(("n_causes", "told", "more"), [(3, 3, None), (9, 1, 8)])
def test_no_effect_on_a_goal_is_left_out_in_silence(tmp_path, n_causes, told, more):
    """Three goals behind one KPI are all told; of nine, those with room, and how many more."""
    page = crossed(tmp_path, n_causes)
    (why,) = (s for s in page.sections if s.title == "Why it matters")
    fix = [line for line in why.lines if line.startswith("Improving Fix")]
    assert len(fix) == told
    left = [line for line in why.lines if "not told here" in line]
    assert left == ([f"These are the largest; {more} more effects on goals are not told here."] if more else [])


def test_a_cards_small_map_claims_no_shares(tmp_path):
    page = crossed(tmp_path, 3)
    picture = str(next(b for s in page.sections for b in s.blocks if isinstance(b, PageMap)).picture)
    assert "raises" in picture
    assert picture.count('class="arrow') == 6
    assert "of what can move it" not in picture
    assert "thicker" not in picture


def tooled(folder: Path) -> ReportSource:
    file = folder / "tooled.toml"
    file.write_text(TOOLED)
    return source_of_run(kpiopt.solve(file, overrides=["simulation.draws=64"]), "tooled-12345678")


def test_who_decides_about_an_initiative_for_those_below_is_told_of_it(tmp_path):
    """Level 3 of 5 jobs each is 30 for the company; Ann is told that others decide; her map shows the tool, too."""
    found = tooled(tmp_path)
    whole, ann = (build_scorecard(found, found.scenario.units.position[unit]) for unit in ("co", "ann"))
    assert ("Jobs", "Dispatch tool", "3 of 3", "+30 jobs") in table(whole, "Actions and causes").rows
    assert ("Jobs", "Dispatch tool", "decided elsewhere", "+15 jobs") in table(ann, "Actions and causes").rows
    on_map = collect_map(MapSource(found.graph, found.targets, found.levels), found.scenario.units.position["ann"])
    assert "initiative.tool" in {card.id for card in on_map.cards}
    assert ("initiative.tool", "kpi.jobs") in {(arrow.cause, arrow.effect) for arrow in on_map.arrows}


def test_words_of_a_scorecard(tmp_path):
    """The headline names what takes effort; the table's heads and reasons can be read without a word beside them."""
    found = tooled(tmp_path)
    page = render_page(build_scorecard(found, found.scenario.units.position["ann"]))
    for word in ("your least", "is at 90", "the goal for"):
        assert word not in page
