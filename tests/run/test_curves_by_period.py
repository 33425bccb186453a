"""Response curves in plans by period: by hand, and the relations that must hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import kpiopt
from kpiopt.errors import InputError
from kpiopt.run.run import Run

TEXT = """schema = 1
name = "curves"
PERIODS
[kpi.calls]
SEASON
[kpi.sales]
SEASON
[kpi.sales.drivers]
calls = { curve = [[0, 0], [10, 40], [30, 60]], LINK }
[kpi.skill]
roll_up = "mean"
[kpi.share]
roll_up = "mean"
[kpi.share.drivers]
skill = { curve = [[-5, -20], [0, 0], [4, 8], [8, 10]] }
market = { curve = [[-3, -1], [0, 0], [1, 5]] }
[factor.market]
value = FACTOR
[goal.sales]
target = 140
[goal.share]
target = 1000
[unit.co]
[cell."co/calls"]
baseline = 100
max_stretch = 30
effort.hours = 1
[cell."co/sales"]
baseline = 100
[cell."co/skill"]
baseline = 10
max_stretch = 6
[cell."co/share"]
baseline = 50
[initiative.push]
units = ["co"]
max = 8
uses = { cash = 1 }
EXTRA
[initiative.push.effects]
share = { curve = [[0, 0], [4, 4], [8, 6]] }
[budget.cash]
limit = 8
[decide]
order = ["goals", "cost", "reference"]
effort_price = { hours = 1 }
"""


def write(
    folder: Path, names: int, *, season: str = "", link: str = "lag = 0", factor: str = "1", extra: str = ""
) -> Path:
    periods = f"periods = {[f'P{t + 1}' for t in range(names)]}".replace("'", '"') if names else ""
    if names and not extra:
        extra = 'start = ["P1"]'
    text = TEXT.replace("PERIODS", periods).replace("SEASON", season if names else "").replace("LINK", link)
    path = folder / "curves.toml"
    path.write_text(text.replace("FACTOR", factor).replace("EXTRA", extra), "utf-8")
    return path


def solve(path: Path, *, simulate: bool = False) -> Run:
    return kpiopt.solve(kpiopt.load(path), simulate=simulate)


def values(run: Run, kpi: str, column: str = "plan") -> list[float]:
    rows = run.targets.filter(run.targets["kpi"] == kpi)
    by_period = dict(zip(rows["period"], rows[column], strict=True))
    return [by_period[p] for p in (None, *(run.scenario.periods.names if run.scenario.periods else ()))]


@pytest.mark.parametrize("names", [1, 2, 4])
def test_periods_alike_have_the_plan_of_the_year(tmp_path: Path, names: int):
    year, run = solve(write(tmp_path, 0)), solve(write(tmp_path, names))
    assert values(year, "sales") == pytest.approx([140]) and values(year, "calls") == pytest.approx([110])
    # 6 points of skill bring 8 + 1, the market 5, 8 of the push 6: 70.
    assert values(year, "share") == pytest.approx([70])
    for kpi in ("sales", "calls", "share", "skill"):
        assert values(run, kpi)[0] == pytest.approx(values(year, kpi)[0]), kpi
    assert values(run, "calls", "stretch")[1:] == pytest.approx([10 / names] * names)
    assert all(check.passed for check in kpiopt.verify(run))


def test_a_flow_bends_by_its_season_and_works_after_its_lag(tmp_path: Path):
    run = solve(write(tmp_path, 2, season="season = [0.2, 0.8]"))
    # 4 for each call up to 2 and 8 of them: the season's split is the cheapest.
    assert values(run, "calls", "stretch")[1:] == pytest.approx([2, 8])
    assert values(run, "sales") == pytest.approx([140, 28, 112])
    late = solve(write(tmp_path, 2, season="season = [0.2, 0.8]", link="lag = 1"))
    # Only calls of P1 count, in P2: 0.8 f(d / 0.8) = 32 at 8; the 8 that lack of 40 cost 8 more calls, at 1 each.
    assert values(late, "calls", "stretch")[1:] == pytest.approx([16, 0])
    assert values(late, "sales") == pytest.approx([140, 20, 120])


def test_a_factor_by_period_and_a_level_that_builds_up(tmp_path: Path):
    more = 'start = ["P2"]\nbuild_up = [0.5, 1]'
    run = solve(write(tmp_path, 4, factor="[1, 0, -3, 2]", extra=more))
    # Skill: 6 each, in all periods 9; market 5, 0, -1, 10; of 8 levels from P2 on 4, 8, 8 run: 4, 6, 6.
    assert values(run, "share") == pytest.approx([50 + 9 + 14 / 4 + 16 / 4, 64, 63, 64, 75])


def test_levels_that_may_begin_in_several_periods_are_refused(tmp_path: Path):
    with pytest.raises(InputError) as caught:
        kpiopt.load(write(tmp_path, 2, extra='start = ["P1", "P2"]'))
    assert [p.code for p in caught.value.problems] == ["E-periods-curve"]


def test_the_draws_go_along_the_curve(tmp_path: Path):
    path = write(tmp_path, 2)
    path.write_text(
        path.read_text("utf-8")
        + "[uncertainty]\nexecution = { discrete = [[0.5, 0.5], [1.5, 0.5]] }\n[simulation]\ndraws = 2048\n",
        "utf-8",
    )
    run = solve(path, simulate=True)
    rows = {r["period"]: r for r in run.odds.to_dicts() if r["kpi"] == "sales"}
    # 5 calls a period: 2.5 or 7.5 of them, 0.5 f(5) = 10 or 0.5 f(15) = 22.5; the plan has 20.
    assert values(run, "sales")[1:] == pytest.approx([70, 70])
    for period, mean in ((None, 132.5), ("P1", 66.25), ("P2", 66.25)):
        assert rows[period]["mean"] == pytest.approx(mean, abs=0.05)


ONE = """schema = 1
name = "one slope"
periods = ["a", "b", "c"]
[kpi.calls]
season = [0.5, 0.2, 0.3]
[kpi.sales]
KIND
[kpi.mood]
roll_up = "mean"
season = "calls"
[kpi.sales.drivers]
calls = { LINK, lag = 1 }
mood = { LINK }
[kpi.mood.drivers]
calls = { LINK }
[goal.sales]
target = 1000
[unit.co]
"""


def test_a_curve_of_one_slope_is_a_contribution(tmp_path: Path):
    for kind in ('kind = "flow"', 'kind = "stock"\ncarry = 0.5'):
        found = []
        for link in ("contribution = 3", "curve = [[0, 0], [10, 30]]"):
            text = ONE.replace("KIND", kind).replace("LINK", link)
            for kpi in ("calls", "sales", "mood"):
                text += f'[cell."co/{kpi}"]\nbaseline = 50\nmax_stretch = 9\n'
            (tmp_path / "one.toml").write_text(text, "utf-8")
            found.append(solve(tmp_path / "one.toml"))
        for kpi in ("calls", "sales", "mood"):
            assert np.allclose(values(found[0], kpi), values(found[1], kpi), rtol=1e-9, atol=1e-9)
