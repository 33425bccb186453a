"""Random organizations with periods, tiers, cushions and rules against a program written out period by period."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import kpiopt
from kpiopt.errors import Infeasible
from kpiopt.run.run import Run
from kpiopt.run.solve import SolveOptions, judge_scenario
from tests.nights import rest_at_night
from tests.second_organizations import Organization
from tests.second_program import SecondProgram
from tests.second_rounding import SecondRounding

CLOSE = 1e-6
ORDINARY, ALL = 12, 300


def solved(of: Organization, folder: Path) -> tuple[Run | None, SecondProgram]:
    try:
        return kpiopt.solve(of.write(folder), simulate=False), SecondProgram(of)
    except Infeasible:
        return None, SecondProgram(of)


def at_plan(run: Run, program: SecondProgram) -> np.ndarray:
    """The run's decisions by column; what follows from them (shortfalls, loads) is 0."""
    found, periods = np.zeros(len(program.column)), program.of.periods
    rows = run.targets.filter(run.targets["period"].is_not_null()).select("unit", "kpi", "period", "stretch")
    stretch = {tuple(row[:3]): row[3] for row in rows.iter_rows()}
    levels = {(i["unit"], i["start"]): i["level"] for i in run.as_dict()["initiatives"]}
    for key, i in program.column.items():
        if key[0] == "x":
            found[i] = stretch[key[1], key[2], periods[key[3]]]
        elif key[0] == "a":
            found[i] = levels.get((key[1], periods[key[2]]), 0.0)
    return found


@pytest.mark.parametrize("seed", rest_at_night(range(ALL), ORDINARY))
def test_the_plan_is_that_of_the_program_written_out(tmp_path: Path, seed: int) -> None:
    """Every step has the least value that SciPy finds, and no move lowers the last step."""
    of = Organization(seed)
    run, program = solved(of, tmp_path)
    face = program.face()
    if run is None:
        with pytest.raises(AssertionError, match="infeasible"):
            face.least(np.ones(len(program.column)))
        return
    steps = [step for step in run.solution.steps if step.name != "reference"]
    costs = program.costs()
    assert len(steps) == len(costs)
    for step, cost in zip(steps, costs, strict=True):
        least = face.least(cost[:-1]) + cost[-1]
        assert step.value == pytest.approx(least, rel=CLOSE, abs=CLOSE), step.label
    at, (weight, centre) = at_plan(run, program), program.reference()
    gradient = 2.0 * weight * (at - centre)
    best = face.least(gradient)
    assert float(gradient @ at) - best <= CLOSE * max(float(weight @ (at - centre) ** 2), 1e-3)
    check_targets(run, program)


def check_targets(run: Run, program: SecondProgram) -> None:
    """Targets of sales are what is asked, times the cushion of the level; they add up over units and periods.

    Rounded targets keep capacities and the pay budget. Each is within two steps of the plan, unless no others with the
    same totals that keep these limits are nearer. Limits hold for what the plan asks, and have no say in cushions.
    """
    of, rows = program.of, run.targets
    rounding = SecondRounding(program, np.append(at_plan(run, program), 1.0), rows)
    assert of.has_cushion or not rounding.broken()
    for unit in of.teams:
        here = rows.filter((rows["unit"] == unit) & (rows["kpi"] == "sales"))
        by_period = here.filter(here["period"].is_not_null())["target"].to_numpy()
        (year,) = here.filter(here["period"].is_null())["target"].to_list()
        assert by_period.sum() == pytest.approx(year, abs=1e-9)
    farthest = rounding.distance("sales")
    if farthest > 2.0 * of.kpis["sales"].step + CLOSE:
        assert not of.has_cushion
        assert farthest == pytest.approx(rounding.least_distance("sales"), abs=CLOSE)


@pytest.mark.parametrize("seed", rest_at_night(range(ALL), ORDINARY))
def test_rules_split_as_a_spreadsheet_would(tmp_path: Path, seed: int) -> None:
    """KPIs without locks: 8 % of each baseline; the gap of a year's goal by baselines, or in equal parts."""
    of = Organization(seed)
    scenario = kpiopt.load(of.write(tmp_path))
    free = [
        name
        for name, kpi in of.kpis.items()
        if kpi.kind != "stock" and not any(of.cells[u, name].locks or of.cells[u, name].lock for u in of.teams)
    ]
    for kpi in free:
        baseline = {u: of.cells[u, kpi].baseline for u in of.teams}
        assert judged(scenario, "last-year+8%", kpi) == pytest.approx({u: 0.08 * b for u, b in baseline.items()})
    goals = [goal for goal in of.goals.values() if goal["kpi"] == "sales"]
    if "sales" not in free or len(goals) > 1:
        return
    factor = of.factor or [0.0] * of.count
    season, lag = of.kpis["sales"].season, of.factor_lag
    market = sum(10.0 * season[t] * factor[t - lag] for t in range(lag, of.count))
    gap = goals[0]["target"] - goals[0]["start"] - market
    if gap > 0.0:
        total = sum(of.cells[u, "sales"].baseline for u in of.teams)  # of the year, whatever single periods start from
        by_size = {u: gap * of.cells[u, "sales"].baseline / total for u in of.teams}
        assert judged(scenario, "proportional", "sales") == pytest.approx(by_size)
        assert judged(scenario, "even", "sales") == pytest.approx(dict.fromkeys(of.teams, gap / len(of.teams)))


def judged(scenario: kpiopt.Scenario, rule: str, kpi: str) -> dict[str, float]:
    """What a rule asks of each team over the year."""
    rows = judge_scenario(scenario, rule, SolveOptions(simulate=False)).plan.targets
    year = rows.filter(rows["period"].is_null() & (rows["unit"] != "co") & (rows["kpi"] == kpi))
    return dict(year.select("unit", "stretch").iter_rows())
