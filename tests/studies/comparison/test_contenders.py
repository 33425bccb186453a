"""Comparisons: what differs and only that, with its place; odds from the same draws; runs taken as they are."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import kpiopt
from kpiopt.cli import main
from kpiopt.errors import Infeasible, OutputError, ScenarioError, UsageError
from kpiopt.run.solve import SolveOptions
from kpiopt.runs.store import RunStore
from kpiopt.simulation.difference import compare_odds, estimate_change
from kpiopt.simulation.simulate import simulate
from kpiopt.studies.comparison.compare import Comparison, Unsolved
from kpiopt.studies.comparison.comparison_answer import comparisons_as_dict
from kpiopt.studies.comparison.contenders import compare_contenders, read_contenders

ROOT = Path(__file__).parents[3]
HAND, ADVENTURE = ROOT / "scenarios" / "hand-solved.toml", ROOT / "scenarios" / "adventureworks-base.toml"


@pytest.fixture
def store(tmp_path):
    return RunStore(tmp_path / "runs")


def comparisons(store, *sources, overrides=(), **options):
    found = read_contenders([str(s) for s in sources], store, overrides)
    return compare_contenders(found, SolveOptions(**options))


@pytest.fixture(scope="module")
def hand(tmp_path_factory):
    """The hand-solved scenario with its variants: lean (500 USD of pay) and impossible."""
    return comparisons(RunStore(tmp_path_factory.mktemp("runs")), HAND)


def test_a_file_alone_is_compared_with_its_variants(hand):
    lean, impossible = hand.others
    assert isinstance(lean, Comparison) and isinstance(impossible, Unsolved)
    assert (hand.base.label, lean.second.label, impossible.label) == ("base", "lean", "impossible")
    assert isinstance(impossible.error, Infeasible)


def test_only_what_differs_is_listed_with_its_place(hand):
    (change,) = hand.others[0].inputs
    assert (change.path, change.first.value, change.second.value) == ("budget.pay.limit", 700, 500)
    lines = HAND.read_text("utf-8").splitlines()
    file, line, _ = change.second.origin.rsplit(":", 2)
    assert Path(file).name == "hand-solved.toml"
    assert lines[int(line) - 1].startswith("budget.pay.limit = 500")


# Solved with a pencil in the file: 500 USD less pay leaves 5,000 of own sales, visits bring the rest.
def test_plans_goals_and_limits_are_those_worked_out_by_hand(hand):
    lean = hand.others[0]
    assert {g.goal: (g.first.plan, g.second.plan) for g in lean.goals} == {
        "complaints": pytest.approx((45.0, 45.0)),
        "sales": pytest.approx((108_000.0, 108_000.0)),
    }
    assert lean.pay.plan == pytest.approx((600.0, 500.0))
    assert [(c.name, c.begins) for c in lean.limits] == [("budget.pay", True)]
    bridge = next(b for b in lean.bridges if b.kpi == "sales")
    parts = {(p.about, p.unit): p.amount for p in bridge.parts}
    assert parts == pytest.approx({
        ("sales", "ann"): -600.0, ("sales", "bob"): -400.0, ("visits", "ann"): 600.0, ("visits", "bob"): 400.0,
    })  # fmt: skip


def test_targets_that_moved_are_those_of_the_two_plans(hand):
    lean = hand.others[0]
    moved = {(t.unit, t.kpi): (t.first, t.second) for t in lean.targets}
    assert moved[("ann", "visits")] == (310.5, 316.5)
    assert ("company", "sales") not in moved
    a, b = (side.plan.targets for side in (lean.first, lean.second))
    joined = a.join(b, on=["unit", "kpi"], suffix="_b").filter(a["target"] != b["target"])
    assert set(moved) == set(zip(joined["unit"], joined["kpi"], strict=True))
    assert [t.share for t in lean.targets] == sorted((t.share for t in lean.targets), reverse=True)


def test_equal_scenarios_do_not_differ(store):
    same = comparisons(store, HAND, HAND).others[0]
    assert (same.first.label, same.second.label) == ("hand-solved (1)", "hand-solved (2)")
    assert not same.inputs and not same.targets and not same.limits
    assert all(not bridge.parts for bridge in same.bridges)
    assert all(not goal.odds.is_resolved and goal.odds.difference.estimate == 0 for goal in same.goals)


def test_others_are_drawn_with_the_firsts_settings(store):
    found = comparisons(store, HAND, f"{HAND}:lean", overrides=["simulation.draws=1024"])
    assert found.settings.draws == 1024
    assert found.others[0].second.simulation.layout == found.base.simulation.layout


@pytest.mark.parametrize("method", ["sobol", "random"])
@pytest.mark.parametrize(
    "change", ["capacity.hours.scale=0.9", "capacity.hours.scale=0.8", "goal.sales.target=38_100_000"]
)
def test_common_random_numbers_make_the_interval_five_times_narrower(method, change):
    """The second plan drawn with the first one's numbers, and with numbers of its own."""
    words = [f"simulation.method={method}"]
    base, other = (kpiopt.solve(kpiopt.load(ADVENTURE, overrides=[*words, *more])) for more in ([], [change]))
    together = next(d for d in compare_odds(base.simulation, other.simulation) if d.goal is None).difference
    pay = estimate_change(base.simulation.kept.pay, other.simulation.kept.pay)
    settings = replace(other.scenario.simulation, seed=99)
    apart = simulate(other.graph, other.plan.stretch, other.plan.levels, other.plan.target, settings)
    for paired, one, alone in (
        (together, base.simulation.all_goals, apart.all_goals),
        (pay, base.simulation.pay.total.mean, apart.pay.total.mean),
    ):
        independent = np.hypot(one.high - one.low, alone.high - alone.low)
        assert independent >= 5 * (paired.high - paired.low)
        assert abs(paired.estimate - (alone.estimate - one.estimate)) <= independent


def test_a_finished_run_is_taken_as_it_is(store, tmp_path, capsys):
    out = tmp_path / "runs"
    assert main(["solve", str(HAND), "--out", str(out), "--json"]) == 0
    name = json.loads(capsys.readouterr().out)["run"]
    (found,) = comparisons(store, name, f"{HAND}:lean").others
    assert found.first.label == name
    assert [c.path for c in found.inputs] == ["budget.pay.limit"]
    assert {g.goal: g.first.plan for g in found.goals} == pytest.approx({"complaints": 45.0, "sales": 108_000.0})
    (back,) = comparisons(store, HAND, out / name).others
    assert not back.inputs and not back.targets and not back.limits
    assert back.pay.plan[0] == pytest.approx(back.pay.plan[1])


def test_a_run_that_was_altered_is_refused(store, tmp_path, capsys):
    out = tmp_path / "runs"
    main(["solve", str(HAND), "--out", str(out), "--json"])
    name = json.loads(capsys.readouterr().out)["run"]
    targets = out / name / "targets.csv"
    targets.write_text(targets.read_text("utf-8").replace("310.5", "311.5"), "utf-8")
    with pytest.raises(OutputError, match="not as it was written"):
        read_contenders([name, str(HAND)], store)


@pytest.fixture
def copies(tmp_path):
    """Two copies of AdventureWorks, the second with another baseline in its table."""
    for name in ("a", "b"):
        shutil.copytree(ROOT / "models" / "adventureworks", tmp_path / name / "models" / "adventureworks")
        shutil.copytree(ROOT / "scenarios", tmp_path / name / "scenarios")
    table = tmp_path / "b" / "models" / "adventureworks" / "cells.csv"
    lines = table.read_text("utf-8").splitlines()
    row = next(i for i, line in enumerate(lines[1:], 1) if line.split(",")[2].replace(".", "", 1).isdigit())
    fields = lines[row].split(",")
    old, fields[2] = fields[2], str(float(fields[2]) + 1000)
    lines[row] = ",".join(fields)
    table.write_text("\n".join(lines) + "\n", "utf-8")
    return tmp_path, f'cell."{fields[0]}/{fields[1]}".baseline', float(old), row + 1


def test_rows_of_tables_that_differ_are_found_with_their_place(copies, store):
    folder, path, old, line = copies
    files = [folder / name / "scenarios" / "adventureworks-base.toml" for name in ("a", "b")]
    (found,) = comparisons(store, *files, simulate=False).others
    changes = {c.path: c for c in found.inputs}
    assert (changes[path].first.value, changes[path].second.value) == (old, old + 1000)
    assert changes[path].second.origin.endswith(f"cells.csv:{line} column baseline")
    assert set(changes) == {path, "tables.cells"}


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        (["nowhere.toml", str(HAND)], "no scenario or run 'nowhere.toml'"),
        ([str(HAND), f"{HAND}:leen"], "there is no variant 'leen'"),
        ([str(HAND), "some-run"], "no run 'some-run'"),
        (["nowhere.toml"], "no scenario or run 'nowhere.toml'"),
    ],
)
def test_sources_that_do_not_exist(store, sources, message):
    with pytest.raises((UsageError, ScenarioError), match=message):
        read_contenders(sources, store)


def test_no_odds_without_their_interval_and_never_100_percent(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    assert main(["compare", str(HAND)]) == 0
    shown = capsys.readouterr().out
    assert "100.0 %" not in shown and "certain" in shown
    assert re.search(r"Sales\s+55\.\d %\s+53\.\d %.*\n\s+\(55\.\d+ % to 55\.\d+ %\)", shown)


def test_a_run_alone_is_not_said_to_be_missing(store, tmp_path, capsys):
    main(["solve", str(HAND), "--out", str(tmp_path / "runs"), "--json"])
    name = json.loads(capsys.readouterr().out)["run"]
    with pytest.raises(UsageError, match="no scenario file"):
        read_contenders([name], store)


def test_json_is_one_document_and_strict(capsys):
    assert main(["compare", str(HAND), "--json"]) == 0
    document = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert document["schema"] == "kpiopt.compare/1"
    lean, impossible = document["comparisons"]
    assert (lean["label"], lean["status"], impossible["status"]) == ("lean", "optimal", "infeasible")
    assert impossible["exit_code"] == 4
    assert lean["goals"][0]["odds"]["resolved"] is False
    assert abs(lean["bridges"][0]["unexplained"]) < 1e-6


def test_the_terminal_says_what_is_different_and_whether_it_is_better(capsys):
    assert main(["compare", str(ADVENTURE), f"{ADVENTURE}:lean"]) == 0
    shown = capsys.readouterr().out
    assert "budget.pay.limit" in shown and "130,000" in shown and "85,000" in shown
    assert "worse" in shown and "From plan to plan: Sales" in shown


def test_the_first_must_have_a_plan(capsys):
    assert main(["compare", f"{HAND}:impossible", str(HAND)]) == 4
    assert capsys.readouterr().out == ""


def test_comparisons_print_themselves_readably_and_as_json(hand):
    lines = repr(hand).splitlines()
    assert lines[1].strip().startswith("Side('base': 2 of 2 goals met, odds of all goals 55.")
    assert "'base' -> 'lean': inputs that differ: 1, odds of all goals -2.1" in lines[2]
    assert lines[2].endswith("points, 3 of 9 targets move)")
    assert lines[3].strip() == "Unsolved('impossible': no plan keeps all limits; proved, not guessed)"
    assert comparisons_as_dict(hand)["comparisons"][0]["targets"]["moved"] == 3


def test_python_says_what_the_command_line_says(hand):
    found = kpiopt.compare(HAND)
    assert [g.odds for g in found.others[0].goals] == [g.odds for g in hand.others[0].goals]
