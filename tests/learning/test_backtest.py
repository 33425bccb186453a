"""Back-tests: planning as of then, targets beside others, and a word that is not given away."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import kpiopt
from kpiopt.cli.app import main
from kpiopt.learning.backtests.backtest import BacktestOptions, _beside, _judge_targets, backtest
from kpiopt.learning.backtests.odds_line import model_digest, read_odds_line
from kpiopt.learning.backtests.plan_then import PlanThen, plan_then, question_then
from kpiopt.learning.backtests.results import Case, plan_score
from kpiopt.learning.backtests.scores import by_cluster, target_error
from kpiopt.learning.fit import FitOptions, fit_history
from kpiopt.learning.history_file import read_history
from kpiopt.reading.document import read_document

FOUR_CASES = np.array([1.0, 3.0, 2.0, 4.0]), np.array([2.0, 4.0, 4.0, 10.0])


def test_a_gain_is_a_ratio_of_sums_and_its_interval_a_jackknife_over_clusters():
    """10 instead of 20; without a 6 instead of 14, without b 4 instead of 6."""
    gain, low, high = by_cluster(*FOUR_CASES, ["a", "a", "b", "b"])
    parts = np.array([1 - 6 / 14, 1 - 4 / 6])
    error = np.sqrt(0.5 * ((parts - parts.mean()) ** 2).sum())
    assert gain == pytest.approx(0.5)
    assert gain - low == pytest.approx(12.7062 * error, rel=1e-4)
    assert high <= 1.0


def test_one_cluster_tells_nothing_about_chance():
    assert by_cluster(*FOUR_CASES, ["a"] * 4) == (0.5, -np.inf, 1.0)


def test_the_error_of_targets_is_a_share_of_what_happened():
    found = target_error(np.array([110.0, 40.0]), np.array([150.0, 50.0]), np.array([100.0, 50.0]), ["a", "b"])
    assert found.error == pytest.approx((0.1 + 0.2) / 2)
    assert found.gain[0] == pytest.approx(1 - 0.3 / 0.5)
    assert found.gain[1] == -np.inf, "all of the other's error is a's"


@pytest.fixture
def then(folder):
    model = kpiopt.load(folder / "model.toml")
    return model, fit_history(read_history(folder / "history.csv").until(12), model, FitOptions(1, 200, 7))


def test_the_question_of_then_is_the_models_in_proportion_to_what_was_known(then):
    """A quarter of a year: goals and ranges keep their proportion to the baselines, which are those fitted then."""
    model, fit = then
    question = question_then(model, fit)
    sales = next(s for s in fit.spreads if s.kpi == "sales")
    mean = dict(zip(sales.units, sales.mean.tolist(), strict=True))
    assert question.goals["sales"].target == pytest.approx(9000 / 6000 * sum(mean.values()))
    names = [question.units.ids[u] for u in question.cells.unit.tolist()]
    for row, unit in enumerate(names):
        if question.kpi_ids[question.cells.kpi[row]] == "sales":
            assert question.cells.baseline[row] == pytest.approx(mean[unit])
            assert question.cells.max_stretch[row] == pytest.approx(50 * mean[unit] / 1000)
    assert (question.noise.sd > 0).all()
    (driver,) = question.kpis["sales"].drivers
    assert driver.contribution.mean == pytest.approx(5.0, abs=0.5)


def test_what_comes_later_does_not_change_the_plan_of_then(folder, then):
    model, fit = then
    rows = (folder / "history.csv").read_text().splitlines()
    later = [f"{row.rsplit(',', 1)[0]},9999" if ",2026-" in row else row for row in rows]
    (folder / "other.csv").write_text("\n".join(later) + "\n")
    other = fit_history(read_history(folder / "other.csv").until(12), model, FitOptions(1, 200, 7))
    first, second = (plan_then(model, f, 256, 7) for f in (fit, other))
    for one, two in zip(first, second, strict=True):
        assert one.units == two.units
        assert np.array_equal(one.target, two.target)
        assert np.array_equal(one.odds, two.odds)


def test_targets_made_anew_are_held_against_what_happened(folder, capsys):
    words = ["backtest", str(folder / "model.toml"), str(folder / "history.csv"), "--draws", "200", "--origins", "2"]
    assert main([*words, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    sales = next(plan for plan in answer["plans"] if plan["kpi"] == "sales")
    assert sales["count"] == 12 and sales["set_then"] is None
    assert sum(b["count"] for b in sales["odds"]["bins"]) >= 12
    assert {s["level"] for s in answer["scores"]} == {"unit", "region", "organization"}
    units = next(s for s in answer["scores"] if s["kpi"] == "sales" and s["level"] == "unit")
    assert units["gain"]["over_last_year"] == pytest.approx(1 - units["crps"] / units["seasonal_naive"])
    assert units["gain"]["low"] < units["gain"]["over_last_year"] < units["gain"]["high"]
    assert main([*words, "--json", "--executor", "threads:2"]) == 0
    assert json.loads(capsys.readouterr().out) == answer


def changed(folder, *pairs, more=""):
    text = (folder / "model.toml").read_text()
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    (folder / "model.toml").write_text(text + more)
    return kpiopt.load(folder / "model.toml")


LEAF = ('visits = { contribution = "3 to 8", at = "team" }', ""), ("[kpi.sales.drivers]", "")


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_target_is_hit_on_the_side_that_its_odds_are_of(direction):
    """105 where 100 is planned is a hit where higher is better; 100.4 is one on both sides, by the KPI's step."""
    sign = 1.0 if direction == "up" else -1.0
    units = ("a", "b", "c")
    scale = (np.full(3, 100.0), np.full(3, 1.0), np.full(3, sign))
    plan = PlanThen("k", units, np.full(3, 100.0), np.full(3, 0.5), *scale)
    happened = np.array([105.0, 95.0, 100.4 if direction == "down" else 99.6])
    groups = {"target": np.full(3, 100.0), "groups": {}, "units": units}
    draws = np.array([[101.0, 101.0, 101.0], [102.0, 99.0, 99.0]])
    case = Case(draws, happened, naive=np.full(3, 100.0), last=np.full(3, 100.0), **groups)
    wanted = [direction == "up", direction == "down", True]
    assert _beside(plan, case).hit.tolist() == wanted
    score = plan_score("k", 1, [_beside(plan, case)])
    assert score.odds.happened.tolist() == wanted
    odds, hits = _judge_targets(case, (1.0, sign), None, np.random.default_rng(0))
    assert hits == [float(hit) for hit in wanted]
    assert odds == ([1.0, 0.5, 0.5] if direction == "up" else [0.0, 0.5, 0.5])


def test_lower_is_better_in_a_whole_back_test(folder):
    """Targets of nearly 0, where less is better, have no odds and are missed; where more is, both are certain."""
    model = changed(folder, *LEAF, ("[kpi.visits]", '[kpi.visits]\ndirection = "down"'))
    head, *rows = (folder / "history.csv").read_text().splitlines()
    lines = [f"{row},{'0.001' if ',visits,' in row else ''}" for row in rows]
    (folder / "history.csv").write_text("\n".join([f"{head},target", *lines]) + "\n")
    history = read_history(folder / "history.csv")
    options = BacktestOptions(1, (1,), 100, 7)
    found = backtest(history, model, options)
    assert found.targets.bin(0.0, 0.2)[:2] == (6, 0.0)
    visits = next(s for s in found.plans if s.kpi == "visits")
    assert visits.odds.happened.tolist() == [1.0] * 6, "fewer visits came in each team than were planned"
    up = backtest(history, changed(folder, ('direction = "down"', 'direction = "up"')), options)
    assert up.targets.bin(0.8, 1.0)[:2] == (6, 1.0)


ROBUST = """
[decide]
order = ["goals", "cost", "reference"]
robust = ["hard", "poor"]
[variant.hard]
goal.sales.target = 9500
[variant.poor.kpi.sales.drivers.visits]
contribution = 1.5
[variant.poor.cell."t0/visits"]
baseline = 20
max_stretch = 50
"""


def test_a_robust_plan_of_then_is_judged_in_variants_of_then(folder):
    """Variants are of then as the model is, and keep what they say for themselves."""
    model = changed(folder, more=ROBUST)
    fit = fit_history(read_history(folder / "history.csv").until(12), model, FitOptions(1, 200, 7))
    question = question_then(model, fit)
    variants = dict(question.robust)
    hard, poor = variants["hard"], variants["poor"]
    assert np.array_equal(hard.cells.baseline, question.cells.baseline)
    assert hard.goals["sales"].target == pytest.approx(question.goals["sales"].target * 9500 / 9000)
    assert poor.kpis["sales"].drivers[0].contribution.mean == 1.5
    assert question.kpis["sales"].drivers[0].contribution.mean == pytest.approx(5.0, abs=0.5)
    ratio = poor.cells.baseline / question.cells.baseline
    assert sorted(set(ratio.round(9))) == [0.5, 1.0]
    assert len(plan_then(model, fit, 64, 7)) == 2


def test_rules_of_a_model_are_run_with_permission_only(folder, capsys):
    (folder / "rules.py").write_text("def add_rules(model, scenario):\n    pass\n")
    changed(folder, more='[rules]\nfile = "rules.py"\n')
    words = ["backtest", str(folder / "model.toml"), str(folder / "history.csv"), "--draws", "100", "--origins", "1"]
    assert main(words) == 3
    assert "--allow-code" in capsys.readouterr().err
    assert main([*words, "--allow-code"]) == 0
    assert "no plan as of" not in capsys.readouterr().out


def test_a_plan_that_was_not_possible_then_is_told_and_the_rest_is_scored(folder):
    text = (folder / "model.toml").read_text().replace("target = 9000", "target = 9000\nhard = true")
    (folder / "model.toml").write_text(text)
    model, history = kpiopt.load(folder / "model.toml"), read_history(folder / "history.csv")
    found = backtest(history, model, BacktestOptions(origins=1, draws=100))
    assert found.plans == () and "no plan as of 2026-Q1" in found.notes[0]
    assert len(found.scores) == 6


ROOT = Path(__file__).parents[2]
SCENARIO, HISTORY = ROOT / "scenarios" / "adventureworks-base.toml", ROOT / "models" / "adventureworks"


def test_a_small_part_of_what_the_page_says(tmp_path, capsys):
    """One origin of docs/learning.md: forecasts beat the last period, targets those of last year + x %."""
    words = ["backtest", str(SCENARIO), str(HISTORY / "history_quarters.csv"), "--horizon", "1", "--origins", "1"]
    assert main([*words, "--draws", "200", "--out", str(tmp_path / "b.json"), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert all(s["crps"] < s["last_period"] for s in answer["scores"])
    assert [s["level"] for s in answer["scores"]] == ["unit", "territory", "group", "organization"]
    (plan,) = answer["plans"]
    assert plan["planned"] < plan["last_year"]


@pytest.mark.nightly
def test_adventureworks_by_five_origins(tmp_path, capsys):
    """The README's table, and what it says of the odds given to quotas."""
    words = ["backtest", str(SCENARIO), str(HISTORY / "history_months.csv"), "--horizon", "3"]
    assert main([*words, "--out", str(tmp_path / "b.json"), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert len(answer["origins"]) == 5
    for score in answer["scores"]:
        assert score["crps"] < min(score["seasonal_naive"], score["last_period"]), (score["kpi"], score["level"])
    readme = (HISTORY / "README.md").read_text(encoding="utf-8")
    for score in answer["scores"][:4]:
        name = {"unit": "person", "organization": "company"}.get(score["level"], score["level"])
        (row,) = (line for line in readme.splitlines() if line.startswith(f"| {name} | "))
        told = [float(field.split("%")[0]) for field in row.split("|")[2:6]]
        found = [100 * score[k] for k in ("crps", "seasonal_naive", "last_period")]
        assert told[:3] == pytest.approx(found, abs=1.0)
        assert told[3] == pytest.approx(100 * score["coverage"]["share"], abs=3.0)
    for plan in answer["plans"]:
        assert plan["planned"] < 0.8 * plan["last_year"], plan["kpi"]
    sales, text = answer["plans"][0], " ".join(readme.split())
    assert f"sold by {100 * sales['planned']:.1f} %" in text
    assert f"{100 * sales['last_year']:.1f} %: {100 * sales['gain']['over_last_year']:.0f} % less" in text
    for score in answer["scores"]:
        if score["kpi"] == "sales":
            assert score["coverage"]["right"], score["level"]
    quotas = ["backtest", str(SCENARIO), str(HISTORY / "history_quarters.csv"), "--horizon", "1"]
    assert main([*quotas, "--out", str(tmp_path / "q.json"), "--json"]) == 0
    for part in json.loads(capsys.readouterr().out)["targets"]["bins"]:
        assert part["low"] <= part["to"] and part["high"] >= part["from"]


def test_the_line_of_a_back_test_stands_under_the_odds_of_what_it_tested_alone(folder, tmp_path, capsys):
    """Under the fitted model and what else is asked of it; not after any change of it, nor under unfitted noise."""
    history, out = str(folder / "history.csv"), folder / "fitted"
    fitting = ["fit", history, "--model", str(folder / "model.toml"), "--draws", "100", "--out", str(out)]
    assert main(fitting) == 0
    fitted, kept = out / "fitted.toml", out / "backtest.json"
    testing = ["--draws", "100", "--origins", "1"]
    assert main(["backtest", str(folder / "model.toml"), history, *testing, "--out", str(folder / "own.json")]) == 0
    assert "odds of this model are not those tested" in " ".join(capsys.readouterr().err.split())
    assert main(["backtest", str(fitted), history, *testing]) == 0
    assert "not those tested" not in capsys.readouterr().err
    answer = json.loads(kept.read_text())
    middling = {"from": 0.4, "to": 0.6, "count": 9, "hit": 2 / 3, "low": 0.299, "high": 0.925}
    answer |= {"targets": {"bins": [middling]}, "periods": 8, "verdict": "not right: \x1b[31m so"}
    kept.write_text(json.dumps(answer))
    (out / "asked.toml").write_text('schema = 1\nextends = "fitted.toml"\ngoal.sales.target = 6100\n')

    def said(name="fitted.toml", *words):
        document = read_document(out / name, overrides=words)
        return read_odds_line(out, document)

    line = "not right; of 9 past targets given 40 to 60 %, 67 % were hit (30 % to 92 % could be true, 8 past periods)"
    assert said() == said("asked.toml") == said("fitted.toml", "goal.sales.target=7000") == line
    assert main(["solve", str(fitted), "--out", str(tmp_path / "runs"), "--draws", "64"]) == 0
    printed = capsys.readouterr().out
    assert f"Back-test: {line}." in " ".join(printed.split()) and "\x1b[31m so" not in printed
    for changed in (
        "noise.more={ sd = 0.9 }", 'uncertainty.execution="0.01 to 0.1"', "kpi.sales.drivers.visits.contribution=90000",
        "kpi.visits.step=2", "cell.t0/sales.baseline=400000", "noise.fitted_sales.sd=0.2",
    ):  # fmt: skip
        assert said("fitted.toml", changed) is None, changed
    for broken in ("{", "[]", *(json.dumps({**answer, k: 5}) for k in ("verdict", "targets", "scores", "model"))):
        kept.write_text(broken)
        assert said() is None
    kept.write_text(json.dumps(answer))
    cells = (out / "cells.csv").read_text()
    (out / "cells.csv").write_text(cells.replace("t0,sales,", "t0,sales,9", 1))
    assert said() is None
    (out / "cells.csv").write_text(cells)
    assert said() == line
    kept.write_text(json.dumps({**answer, "model": model_digest(read_document(folder / "model.toml"))}))
    shutil.copy(kept, folder / "backtest.json")
    assert read_odds_line(folder, read_document(folder / "model.toml")) is None, "no fitted noise"
