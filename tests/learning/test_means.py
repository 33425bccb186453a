"""KPIs that are means over units: their whole is a mean by size wherever it is shown."""

from __future__ import annotations

import json

import numpy as np
import pytest

import kpiopt
from kpiopt.cli.app import main
from kpiopt.learning.backtests.backtest import BacktestOptions, backtest
from kpiopt.learning.backtests.plan_then import question_then
from kpiopt.learning.backtests.results import Planned, plan_score
from kpiopt.learning.fit import FitOptions, fit_history
from kpiopt.learning.history_file import read_history
from kpiopt.learning.known_names import weights_of


def test_the_whole_of_a_mean_is_a_mean_by_size_as_the_plan_has_it(tmp_path, capsys):
    rng = np.random.default_rng(1)
    level = np.array([90.0, 40.0, 50.0, 60.0])[:, None] + rng.normal(0, 1, (4, 24))
    rows = [f"u{i},acc,{2023 + t // 12}-{t % 12 + 1:02d},{level[i, t]:.4f}" for i in range(4) for t in range(24)]
    (tmp_path / "h.csv").write_text("\n".join(["unit,kpi,period,value", *rows]) + "\n")
    cells = "".join(f'[cell."u{i}/acc"]\nbaseline = 50\nsize = {100 if i == 0 else 1}\n' for i in range(4))
    units = "".join(f'[unit.u{i}]\nparent = "co"\n' for i in range(4))
    model = 'schema = 1\nname = "x"\n[kpi.acc]\nroll_up = "mean"\nunit = "%"\nmin = 0\nmax = 100\n[unit.co]\n'
    (tmp_path / "m.toml").write_text(model + "[goal.acc]\ntarget = 89\n" + units + cells)
    words = ["fit", str(tmp_path / "h.csv"), "--model", str(tmp_path / "m.toml"), "--draws", "100"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    (found,) = json.loads((tmp_path / "out" / "fit.json").read_text())["baselines"]
    answer = kpiopt.solve(tmp_path / "out" / "fitted.toml", simulate=False)
    planned = answer.as_dict()["goals"][0]["baseline"]
    assert found["total_is"] == "mean" and abs(found["total"]["mean"] - planned) < 0.1
    assert 88.0 < planned < 90.0 and f"acc 4 mean {found['total']['mean']:.2f}" in shown
    page = (tmp_path / "out" / "fit.html").read_text()
    assert "Without new effort 8" in page and "Each row is the mean of that below it" in page
    assert "adds up" not in page and "1,0" not in page.split("By unit")[1][:4000]


SIZES = {"a": 100, "b": 1, "c": 1, "d": 30, "e": 2, "f": 8}
LEVELS = {"a": 97.0, "b": 60.0, "c": 70.0, "d": 96.0, "e": 90.0, "f": 98.0}
NORTH, WEIGHT = 51.0, np.array([100 / 2, 1 / 2, 1 / 2, 30, 2, 8])
"""The north says a size of its own, half of what its units have: each counts half as much in the company."""


@pytest.fixture(scope="module")
def shares(tmp_path_factory):
    """Six units of two regions, at up to 98 %, of sizes that nothing but a mean by size gets right."""
    rng, folder = np.random.default_rng(5), tmp_path_factory.mktemp("shares")
    path = LEVELS["a"] - np.array([LEVELS[u] for u in SIZES])
    value = np.minimum(97.0 - path[:, None] + rng.normal(0, 0.8, (6, 14)) + rng.normal(0, 0.5, 14), 100.0)
    quarters = [f"{2023 + t // 4}-Q{t % 4 + 1}" for t in range(14)]
    rows = [f"{u},acc,{m},{value[i, t]:.3f},97" for i, u in enumerate(SIZES) for t, m in enumerate(quarters)]
    (folder / "h.csv").write_text("\n".join(["unit,kpi,period,value,target", *rows]) + "\n")
    units = f'[unit.co]\nlevel = "company"\n[unit.north]\nparent = "co"\nlevel = "region"\nsize = {NORTH}\n'
    units += '[unit.south]\nparent = "co"\nlevel = "region"\n'
    units += "".join(
        f'[unit.{u}]\nparent = "{"north" if u in "abc" else "south"}"\nlevel = "team"\nsize = {size}\n'
        for u, size in SIZES.items()
    )
    cells = "".join(f'[cell."{u}/acc"]\nbaseline = {LEVELS[u]}\nmax_stretch = 2\n' for u in SIZES)
    kpi = 'schema = 1\nname = "x"\n[kpi.acc]\nroll_up = "mean"\nunit = "%"\nmin = 0\nmax = 100\n'
    (folder / "m.toml").write_text(f"{kpi}[goal.acc]\ntarget = 97\n{units}{cells}")
    model, history = kpiopt.load(folder / "m.toml"), read_history(folder / "h.csv")
    return model, history, value.round(3), fit_history(history.until(12), model, FitOptions(2, 100, 7))


def test_units_weigh_in_a_mean_what_the_plan_has_them_weigh(shares):
    model, *_ = shares
    assert weights_of("acc", tuple(SIZES), model) == pytest.approx(WEIGHT)
    (goal,) = kpiopt.solve(model, simulate=False).as_dict()["goals"]
    assert goal["baseline"] == pytest.approx(WEIGHT @ list(LEVELS.values()) / WEIGHT.sum())


def test_a_back_test_of_a_mean_holds_means_by_size_against_each_other(shares):
    """Forecast, what happened, last year and the last period, of regions and the company: by hand, in %."""
    model, history, value, then = shares
    found = backtest(history, model, BacktestOptions(1, (2,), 100, 7, plan=False))
    (drawn,) = then.forecasts
    assert drawn.units == tuple(SIZES)
    happened, year, last = value[:, 12:].mean(axis=1), value[:, 8:10].mean(axis=1), value[:, 11]
    parts = {"unit": np.eye(6), "region": np.array([[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]]), "organization": [[1] * 6]}
    for score in found.scores:
        share = np.array(parts.pop(score.level)) * WEIGHT
        share = share / share.sum(axis=1, keepdims=True)
        seen, draws = share @ happened, drawn.draws @ share.T
        assert seen.min() > 50.0 and seen.max() < 100.0 and draws.max() <= 100.0, "in %"
        pairs = np.abs(draws[:, None] - draws[None]).mean(axis=(0, 1))
        error = np.abs(draws - seen).mean(axis=0) - 0.5 * pairs
        assert score.crps == pytest.approx(error.mean() / seen.mean())
        assert score.naive == pytest.approx(np.abs(share @ year - seen).mean() / seen.mean())
        assert score.last == pytest.approx(np.abs(share @ last - seen).mean() / seen.mean())
        low, high = np.percentile(draws, [5, 95], axis=0)
        assert score.coverage.held == ((low <= seen) & (seen <= high)).sum() and score.coverage.count == len(seen)
        assert score.transform == pytest.approx((draws < seen).mean(axis=0))
    assert not parts
    assert found.targets.happened.sum() == (happened >= 97.0).sum()


def test_the_goal_of_then_and_last_year_raised_to_it_are_means_by_size(shares):
    model, _, _, fit = shares
    then = question_then(model, fit)
    mean = dict(zip(fit.spreads[0].units, fit.spreads[0].mean.tolist(), strict=True))
    usual = WEIGHT @ list(LEVELS.values())
    assert then.goals["acc"].target == pytest.approx(97 * (WEIGHT @ [mean[u] for u in SIZES]) / usual)
    plan, naive, happened = (np.array(row, dtype=float) for row in ([98, 50, 7], [96, 40, 7], [97, 45, 0]))
    rest = (np.full(3, np.nan), happened, happened >= plan, np.array([9.0, 1.0, 5.0]))
    score = plan_score("acc", 2, [Planned(("a", "b", "c"), plan, np.full(3, 0.5), naive, naive, *rest)])
    raised = naive[:2] * (9 * 98 + 50) / (9 * 96 + 40)
    assert score.last_year == score.last_period == pytest.approx(np.abs(raised / happened[:2] - 1).mean())
