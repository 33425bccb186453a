"""Over-assignment in plans by period: every period's target times its cushion, the horizon's their sum."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import kpiopt
from kpiopt.run.run import Run
from tests.run.test_over_assign import TREE, factor, random_tree

HALVES = "periods = ['H1', 'H2']\n"


def run_of(tmp_path: Path, text: str, *, simulate: bool = False) -> Run:
    path = tmp_path / "scenario.toml"
    path.write_text(text, "utf-8")
    return kpiopt.solve(kpiopt.load(path), simulate=simulate)


def by_period(text: str, season: str = "season = [0.4, 0.6]") -> str:
    return text.replace("[kpi.sales]", f"{HALVES}[kpi.sales]\n{season}", 1)


def targets_of(run: Run, period: str | None) -> dict[str, float]:
    rows = run.targets.filter(run.targets["period"].is_null() if period is None else run.targets["period"] == period)
    return dict(zip(rows["unit"], rows["target"], strict=True))


def check_sums(run: Run, step: float) -> None:
    """Periods add up to the horizon at every unit; targets are multiples of the step where nothing is locked."""
    year, parts = targets_of(run, None), [targets_of(run, p) for p in run.scenario.periods.names]
    for unit, target in year.items():
        assert sum(p[unit] for p in parts) == pytest.approx(target, abs=1e-6)
        assert all(abs(p[unit] / step - round(p[unit] / step)) < 1e-9 for p in parts)


def test_one_period_equals_none(tmp_path: Path) -> None:
    cushions = "[over_assignment]\nteam = 0.05\nrep = 0.02\n"
    none = run_of(tmp_path, TREE + cushions)
    one = run_of(tmp_path, TREE.replace("[kpi.sales]", "periods = ['Y']\n[kpi.sales]", 1) + cushions)
    assert targets_of(one, None) == targets_of(none, None)
    assert targets_of(one, "Y") == targets_of(none, None)


def test_every_periods_target_has_its_cushion(tmp_path: Path) -> None:
    """Without steps: 1.05 x, and 1.05 x 1.02 x, the target without, in each half and in the year."""
    text = by_period(TREE).replace("step = 10", "step = 0.000001")
    plain, run = run_of(tmp_path, text), run_of(tmp_path, text + "[over_assignment]\nteam = 0.05\nrep = 0.02\n")
    factor = {"co": 1.0, "d1": 1.0, "d2": 1.0, "t1": 1.05, "t2": 1.05, "t3": 1.05, "p1": 1.071, "p2": 1.071}
    for period in (None, "H1", "H2"):
        before = targets_of(plain, period)
        assert targets_of(run, period) == pytest.approx({u: factor[u] * t for u, t in before.items()}, abs=1e-5)


def test_a_locked_target_includes_its_cushion_over_the_horizon(tmp_path: Path) -> None:
    text = by_period(TREE).replace("max_stretch = 90", "max_stretch = 90\nlock_target = 470")
    run = run_of(tmp_path, text + "[over_assignment]\nteam = 0.05\n")
    assert targets_of(run, None)["t3"] == 470
    node = run.graph.find_node("sales", "t3")
    assert run.plan.asked[node] == pytest.approx(470 / 1.05)
    check_sums(run, 10)
    off = run_of(tmp_path, text.replace("470", "474.5") + "[over_assignment]\nteam = 0.05\n")
    assert targets_of(off, None)["t3"] == pytest.approx(474.5, abs=1e-6)


def test_cushions_from_odds_and_what_they_would_use(tmp_path: Path) -> None:
    text = by_period(TREE) + "[uncertainty]\nexecution = '0.6 to 1.1'\n[simulation]\ndraws = 512\n[odds]\ndraws = 512\n"
    run = run_of(tmp_path, text + "[over_assignment]\nteam = { goal = 'sales', odds = 0.97 }\n", simulate=True)
    found = {entry["level"]: entry for entry in run.as_dict()["over_assignment"]}
    assert 0.001 < found["team"]["share"] < 0.5
    assert found["team"]["planned"] >= 0.97
    assert found["team"]["odds"]["estimate"] > 0.9
    run = run_of(tmp_path, text + "[over_assignment]\nteam = 0.2\n")
    note = next(note for note in run.plan.notes if note.code == "W-over-assignment-use")
    assert "capacity.hours@t1/H" in note.message


@pytest.mark.parametrize("seeds", [range(6), pytest.param(range(6, 200), marks=pytest.mark.nightly)], ids=str)
def test_random_cushions_over_units_and_periods(tmp_path: Path, seeds: range) -> None:
    """Each target is its own times the product over its path, in every period and over the horizon."""
    for seed in seeds:
        text, parent, level, shares = random_tree(seed)
        share = np.random.default_rng(seed).integers(1, 9, 2) / 1.0
        season = f"season = {(share / share.sum()).tolist()}"
        text = text.replace("[kpi.s]", f"{HALVES}[kpi.s]\n{season}", 1) + "[over_assignment]\n"
        run = run_of(tmp_path, text + "".join(f"{name} = {share}\n" for name, share in shares.items()))
        step, sign = float(run.scenario.kpis["s"].step or 0), run.scenario.kpis["s"].sign
        f = {unit: factor(unit, parent, level, shares, sign) for unit in parent}
        check_sums(run, step)
        for period, name in ((-1, None), (0, "H1"), (1, "H2")):
            target = targets_of(run, name)
            for unit in parent:
                asked = f[unit] * run.plan.asked[run.graph.find_node("s", unit, period)]
                assert f[unit] == 1.0 or abs(target[unit] - asked) < 2 * step, (seed, unit, name)
                below = [child for child in parent if parent[child] == unit]
                if below and all(math.isclose(f[child], f[unit]) for child in below):
                    assert math.isclose(sum(target[child] for child in below), target[unit], abs_tol=1e-9)
