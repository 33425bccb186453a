"""Equal odds of peers in plans by period: the annual answer where nothing differs, and odds that come out equal."""

from __future__ import annotations

from pathlib import Path

import pytest

import kpiopt
from kpiopt.run.run import Run

NOISY = """schema = 1
name = "Peers by period"
PERIODS
[kpi.s]
KIND
[unit.co]
[unit.a]
parent = "co"
[unit.b]
parent = "co"
[cell."a/s"]
baseline = 1000
max_stretch = 900
NOISE_A
[cell."b/s"]
baseline = 1000
max_stretch = 900
NOISE_B
[goal.s]
target = TARGET
[uncertainty]
execution = "0.5 to 0.9"
[decide]
fairness = "chance"
[simulation]
draws = 32768
"""
QUARTERS = 'periods = ["Q1", "Q2", "Q3", "Q4"]'


def run_of(tmp_path: Path, *, periods: str = QUARTERS, kind: str = "", target: float = 2200, additive: str = "") -> Run:
    own = ("", "") if additive else ("noise_sd = 0.1", "noise_sd = 0.3")
    text = NOISY.replace("PERIODS", periods).replace("KIND", kind).replace("TARGET", str(target))
    text = text.replace("NOISE_A", own[0]).replace("NOISE_B", own[1]) + additive
    path = tmp_path / "scenario.toml"
    path.write_text(text, "utf-8")
    return kpiopt.solve(kpiopt.load(path))


def odds_of(run: Run) -> dict[str, float]:
    rows = run.targets.filter(run.targets["period"].is_null())
    return dict(zip(rows["unit"], rows["odds"], strict=True))


def fairness(run: Run) -> float:
    return next(step.value for step in run.solution.steps if step.name == "fairness")


@pytest.mark.parametrize("kind", ["season = [0.1, 0.2, 0.3, 0.4]", 'kind = "stock"'])
def test_what_is_compared_is_the_horizon_as_without_periods(tmp_path: Path, kind: str) -> None:
    none, four = run_of(tmp_path, periods=""), run_of(tmp_path, kind=kind)
    assert fairness(four) == pytest.approx(fairness(none), rel=1e-6)
    assert four.plan.whole_stretch.tolist() == pytest.approx(none.plan.stretch.tolist(), rel=1e-5)


@pytest.mark.parametrize(
    "kind",
    ["season = [0.4, 0.3, 0.2, 0.1]", 'kind = "rate"', 'kind = "stock"\ncarry = 0.5', 'kind = "stock"\ncarry = 0'],
)
def test_peers_have_equal_odds_over_the_horizon(tmp_path: Path, kind: str) -> None:
    """Of a stock counts what is left in the last period of what was worked for before."""
    run = run_of(tmp_path, kind=kind)
    odds = odds_of(run)
    assert abs(odds["a"] - odds["b"]) < 0.008
    assert 0.2 < odds["a"] < 0.48


def test_additive_noise_of_the_horizon_is_that_of_the_year(tmp_path: Path) -> None:
    """Sds of 30 and 90 a year are shared out over the quarters and come to 30 and 90 again: 60 split as 1 to 3."""
    additive = "".join(
        f'[noise.{u}]\nwhere = {{ unit = "{u}" }}\nsd = {sd}\nadditive = true\n' for u, sd in (("a", 30), ("b", 90))
    )
    run = run_of(tmp_path, target=2060, additive=additive)
    stretch = run.plan.whole_stretch
    assert stretch[1] / stretch[0] == pytest.approx(3.0, rel=1e-6)
    assert stretch.sum() * run.graph.execution_mean[0] == pytest.approx(60.0, rel=1e-6)


@pytest.mark.parametrize(
    ("market", "kind", "lag", "ratio"),
    [
        ('[{ normal = [0, 30] }, { normal = [0, 40] }]', "season = [0.5, 0.5]", 0, 50),
        ('[{ normal = [9, 30] }, 7]', "season = [0.5, 0.5]", 0, 30),
        ('[{ normal = [0, 30] }, { normal = [0, 40] }]', "season = [0.5, 0.5]", 1, 30),
        ("{ normal = [0, 30] }", "season = [0.25, 0.75]", 0, 60),
        ("{ normal = [0, 30] }", "season = [0.25, 0.75]", 1, 45),
        ('[{ normal = [0, 30] }, { normal = [0, 40] }]', 'kind = "stock"', 0, 80),
    ],
)  # fmt: skip
def test_noise_of_a_factor_counts_as_the_horizon_has_it(
    tmp_path: Path, market: str, kind: str, lag: int, ratio: float
) -> None:
    """2 a point at a alone, noise of 120 at b: stretches are as the sds; at a 2 sqrt(0.15**2 + 0.2**2) * 100 = 50."""
    additive = f"""
[factor.market]
value = {market}
[kpi.s.drivers.market]
contribution = 2
lag = {lag}
at = "a"
[noise.b]
where = {{ unit = "b" }}
sd = 120
additive = true
"""
    run = run_of(tmp_path, periods='periods = ["H1", "H2"]', kind=kind, target=2060, additive=additive)
    a, b = run.plan.whole_stretch.tolist()
    assert a / b == pytest.approx(ratio / 120, rel=0.02)
    assert abs(odds_of(run)["a"] - odds_of(run)["b"]) < 0.01
