"""Reports say what the run's document says, first what is worst, and stay small."""

import html
import json
import os
import re
from dataclasses import replace

import pytest

import kpiopt
from kpiopt.cli.app import main
from kpiopt.report.numbers import amount, gap_words, goal_amounts
from kpiopt.report.page.goals import headline
from kpiopt.report.page.report import build_report, render_report
from kpiopt.report.page.source import source_of_kept, source_of_run
from kpiopt.runs.stored_run import read_run
from kpiopt.simulation.odds import Estimate
from tests.report.organizations import HOSTILE, write_scorecard

MOST_BYTES = 1_500_000
SHIPPED = ["scenarios/scorecard.toml", "scenarios/adventureworks-base.toml"]


@pytest.fixture(scope="module")
def solved(tmp_path_factory):
    """Run folders of shipped scenarios, solved once."""
    folders = {}
    for path in SHIPPED:
        out = tmp_path_factory.mktemp("runs")
        assert main(["solve", path, "--out", str(out), "--draws", "2048", "--json"]) == 0
        folders[path] = next(out.iterdir())
    return folders


def page_of(folder):
    return (folder / "report.html").read_text("utf-8")


def words(page):
    """What a page says, without its markup."""
    return html.unescape(re.sub(r"<[^>]+>", " ", page))


@pytest.mark.parametrize("path", SHIPPED)
def test_every_run_has_its_report_and_the_manifest_its_digest(solved, path):
    document = json.loads((solved[path] / "run.json").read_text("utf-8"))
    page = page_of(solved[path])
    assert document["manifest"]["files"]["report.html"]["bytes"] == len(page.encode()) < MOST_BYTES


@pytest.mark.parametrize("path", SHIPPED)
def test_the_figures_of_the_page_are_those_of_the_document(solved, path):
    document = json.loads((solved[path] / "run.json").read_text("utf-8"))
    source = source_of_kept(read_run(solved[path]))
    said = words(page_of(solved[path]))
    for goal in document["goals"]:
        kpi = source.scenario.kpis[goal["kpi"]]
        shown = goal_amounts(kpi, goal["target"], goal["plan"], goal["baseline"])
        assert all(text in said for text in shown)
        assert Estimate.from_dict(goal["odds"]).text in said
    assert Estimate.from_dict(document["all_goals"]).text in said
    assert amount(document["pay"]["plan"]) in said and amount(document["pay"]["p95"]) in said
    for step in document["steps"]:
        assert gap_words(step["certificate"]["relative_gap"]) in said
    for limit in (entry for entry in document["limits"] if entry["binding"] and entry["shadow_price"]):
        assert all(amount(limit[end]) in said for end in ("from", "to") if limit[end] is not None)


@pytest.mark.parametrize("path", SHIPPED)
def test_a_kept_run_gives_the_same_report_again(solved, path):
    again = render_report(source_of_kept(read_run(solved[path])))
    assert page_of(solved[path]) == again


@pytest.mark.parametrize("path", SHIPPED)
def test_the_worst_truth_comes_first(solved, path):
    source = source_of_kept(read_run(solved[path]))
    text = headline(source)
    goals = source.document["goals"]
    whose = "the odds of both are" if len(goals) == 2 else f"the odds of all {len(goals)} are"
    assert f"; {whose} {source.all_goals.text}. Missed most often: " in text
    least = min(goals, key=lambda g: g["odds"]["estimate"])
    assert Estimate.from_dict(least["odds"]).text in text
    assert html.escape(text) in page_of(solved[path])


@pytest.mark.skipif(os.name == "nt", reason="modes are those of Unix")
def test_results_are_for_their_owner_alone(solved, tmp_path):
    assert main(["report", str(solved[SHIPPED[1]]), "--no-levers", "--html", str(tmp_path / "r.html")]) == 0
    for file in (tmp_path / "r.html", *(p for p in solved[SHIPPED[1]].iterdir() if p.is_file())):
        assert file.stat().st_mode & 0o077 == 0, file.name


def test_plans_of_rules_stand_beside_ours(solved):
    document = json.loads((solved[SHIPPED[1]] / "run.json").read_text("utf-8"))
    said = words(page_of(solved[SHIPPED[1]]))
    assert "What a simple rule would give" in said
    judged = document["rules"]["proportional"]
    assert Estimate.from_dict(judged["all_goals"]).text in said and amount(judged["pay"]["plan"]) in said
    assert f"{len(judged['broken_limits'])}: " in said


def test_bridges_add_up(solved):
    source = source_of_kept(read_run(solved[SHIPPED[0]]))
    from kpiopt.report.page.goals import _steps
    from kpiopt.studies.explain import explain_target

    for goal in source.document["goals"]:
        node = source.graph.find_node(goal["kpi"], goal["unit"])
        found = explain_target(source.graph, source.stretch, source.levels, node)
        total = sum(value for _, value in _steps(source, found.origins, source.scenario.kpis[goal["kpi"]]))
        assert goal["baseline"] + total == pytest.approx(goal["plan"], rel=1e-9)


def test_the_command_writes_a_page_and_refuses_to_write_over_a_folder(solved, tmp_path, capsys):
    folder = solved[SHIPPED[1]]
    assert main(["report", str(folder), "--html", str(tmp_path / "r.html")]) == 0
    assert (tmp_path / "r.html").read_text("utf-8").startswith("<!doctype html>")
    assert main(["report", str(folder), "--html", str(tmp_path)]) == 8
    assert "is a folder" in capsys.readouterr().err


def test_a_run_without_odds_has_a_report_that_says_so(tmp_path):
    path = write_scorecard(tmp_path, 12)
    assert main(["solve", str(path), "--no-simulation", "--out", str(tmp_path / "runs")]) == 0
    assert "not simulated" in words(page_of(next((tmp_path / "runs").iterdir())))


def test_hostile_names_stay_text(tmp_path):
    path = write_scorecard(tmp_path, len(HOSTILE), names=HOSTILE)
    assert main(["solve", str(path), "--out", str(tmp_path / "runs")]) == 0
    page = page_of(next((tmp_path / "runs").iterdir()))
    tags = {tag.lower() for tag in re.findall(r"<([a-zA-Z]+)", page)}
    assert not tags & {"img", "foreignobject", "iframe", "a", "object", "embed", "link"}
    assert not re.search(r"<[^>]* on[a-z]+=", re.sub(r'"[^"]*"', '""', page))
    assert page.count("<script") == page.count("</script>")
    assert "\u202e" not in page and "\u2028" not in page


def test_a_report_with_a_study_has_the_frontier_and_the_tornado_of_the_kept_run(tmp_path, capsys):
    """The base of the tornado and the point that is the plan are the odds that the run was kept with."""
    words = ["solve", "scenarios/hand-solved.toml", "--out", str(tmp_path / "r"), "--draws", "512", "--json"]
    assert main(words) == 0
    kept = json.loads(capsys.readouterr().out)
    file = tmp_path / "study.html"
    assert main(["report", kept["folder"], "--study", "--html", str(file)]) == 0
    page = file.read_text("utf-8")
    text = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())
    assert "The plan over Budget for pay" in text and "What the plan hinges on" in text
    assert "What it costs and what it brings Beside" not in text
    point = next(p for p in re.findall(r"<tr>.*?</tr>", page, re.S) if ">700<" in p and "2 of 2" in p)
    assert Estimate.from_dict(kept["all_goals"]).text in point
    assert main(["report", kept["folder"], "--study", "--scorecard", "ann"]) == 2


def sections_of(source):
    return {section.title: section for section in build_report(source).sections}


def number_in(text):
    return float(re.match(r"[-+]?[\d,.]+", text).group().replace(",", "")) if text else 0.0


@pytest.mark.parametrize("path", SHIPPED)
def test_initiatives_of_many_units_are_one_line_each_and_tie_out(solved, path):
    """Above the fold one line an initiative and a total; below it each level; all three come to the same."""
    source = source_of_kept(read_run(solved[path]))
    table = next(b for b in sections_of(source)["What it costs and what it brings"].blocks if b.title == "Initiatives")
    *lines, total = table.rows[: table.shown]
    single = table.rows[table.shown :] or lines
    document = source.document
    for resource in (c for c in table.columns[3:] if c in {b.resource for b in source.scenario.budgets.values()}):
        at = table.columns.index(resource)
        used = [number_in(row[at]) for row in lines]
        assert sum(used) == pytest.approx(number_in(total[at]), rel=1e-3)
        assert sum(number_in(row[at]) for row in single) == pytest.approx(number_in(total[at]), rel=1e-3)
        found = [e for e in document["limits"] if e["name"].startswith("budget.") and resource in e["name"]]
        assert all(total[at].endswith(f" of {amount(limit['limit'])}") for limit in found)
    assert total[0] == "all initiatives" and len({row[0] for row in lines}) <= len(lines)


@pytest.mark.parametrize("path", SHIPPED)
def test_limits_with_room_are_folded(solved, path):
    source = source_of_kept(read_run(solved[path]))
    table = next(b for b in sections_of(source)["What holds the plan back"].blocks if b.kind == "table")
    used = [100.0 if row[2] == "all" else number_in(row[2]) for row in table.rows]
    assert all(share >= 90.0 for share in used[: table.shown][3:-1])
    assert all(share < 90.0 for share in used[table.shown :])
    told = table.told(table.rows[table.shown :])
    assert not table.rows[table.shown :] or [table.columns[i] for i in told] == ["limit", "is", "used"]


def test_more_of_what_is_used_up_is_advised_only_where_something_is(solved):
    for path in SHIPPED:
        source = source_of_kept(read_run(solved[path]))
        if "would raise the odds" in headline(source):
            binds = any(entry["binding"] for entry in source.document["limits"])
            assert ("more of what is used up" in headline(source)) == binds
            idle = replace(source, document=source.document | {"limits": []})
            assert headline(idle).endswith(" A lower target would raise the odds.")


def test_every_runs_page_has_levers_or_says_how_to_get_them(monkeypatch):
    from kpiopt.report.page import levers

    run = kpiopt.solve("scenarios/hand-solved.toml", overrides=("simulation.draws=64",))
    source = source_of_run(run, "hand-12345678")
    page = render_report(source)
    assert 'id="lever-data"' in page and "kpiopt report hand-12345678" not in page
    monkeypatch.setattr(levers, "LIGHT", 0)
    page = render_report(source)
    assert 'id="lever-data"' not in page
    assert "kpiopt report hand-12345678 writes this page with levers" in page
    assert "All levers" not in page and "Back to the plan" not in page
