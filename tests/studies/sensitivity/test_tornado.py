"""Tornado against solving and simulating every end by itself, and against closed forms."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import typer
from scipy.special import ndtr

from kpiopt.cli.failure import end_with_gaps
from kpiopt.errors import LimitReached, Problem, UsageError
from kpiopt.program.formulation.cascade import Cascade
from kpiopt.run.solve import SolveOptions, solve_scenario
from kpiopt.scenario.load import load_scenario
from kpiopt.scenario.numbers.inputs import Inputs
from kpiopt.scenario.scenario import Scenario, SimulationSettings
from kpiopt.simulation.simulate import simulate
from kpiopt.studies.common_draws import CommonDraws
from kpiopt.studies.family import PlanFamily, Planned
from kpiopt.studies.sensitivity.moves import Move, moves_of
from kpiopt.studies.sensitivity.outcome import Outcome, difference, measure, parse_outcome
from kpiopt.studies.sensitivity.tornado import Tornado, make_tornado
from tests.nights import rest_at_night
from tests.studies.written import written

SCENARIOS = Path(__file__).parents[3] / "scenarios"
HAND_SOLVED, SCORECARD = SCENARIOS / "hand-solved.toml", SCENARIOS / "scorecard.toml"
SETTINGS = SimulationSettings(draws=4096, seed=3)


def read(path: Path, *overrides: str) -> Scenario:
    return replace(load_scenario(path, overrides=overrides), simulation=SETTINGS)


def tornado_of(path: Path, output: str, moves: list[Move] | None = None) -> Tornado:
    scenario = read(path)
    inputs = Inputs(scenario, lambda further: read(path, *further))
    chosen = moves_of(inputs) if moves is None else moves
    return make_tornado(PlanFamily(scenario), inputs, parse_outcome(scenario, output), chosen, CommonDraws(SETTINGS))


def solved_value(outcome: Outcome, scenario: Scenario) -> float:
    """The outcome of a scenario solved by the ordinary road."""
    run = solve_scenario(scenario, options=SolveOptions())
    assert run.simulation is not None
    if outcome.kind == "odds":
        odds = run.simulation.goal(outcome.name).odds if outcome.name else run.simulation.all_goals
        assert odds is not None
        return odds.estimate
    if outcome.kind == "pay":
        return run.simulation.pay.total.mean.estimate if run.simulation.pay else 0.0
    if outcome.kind == "kpi":
        return float(run.plan.expected[run.graph.find_node(outcome.name, outcome.unit)])
    return next(goal.shortfall for goal in run.goals if goal.goal.id == outcome.name)


OUTPUTS = ["odds", "pay", "kpi:visits@ann", "odds:sales", "shortfall:sales", "kpi:sales"]


@pytest.mark.parametrize("output", rest_at_night(OUTPUTS, 1))
def test_every_end_is_what_solving_it_gives(output: str) -> None:
    found = tornado_of(HAND_SOLVED, output)
    outcome = found.outcome
    assert found.base.estimate == pytest.approx(solved_value(outcome, read(HAND_SOLVED)), rel=1e-9, abs=1e-9)
    compared = 0
    for bar in found.bars:
        for end in (bar.low, bar.high):
            if end.replanned is None:
                continue
            expected = solved_value(
                outcome, read(HAND_SOLVED, *written(read(HAND_SOLVED), bar.move.path, end.input_value))
            )
            assert end.replanned.estimate == pytest.approx(expected, rel=1e-9, abs=1e-9)
            compared += 1
    assert compared >= 20


WHOLE = [
    ("factor.market", "factor.market.value"),
    ("kpi.first_time_fix.drivers.certification", "kpi.first_time_fix.drivers.certification.contribution"),
    ("initiative.field_app.effects.digital_adoption", "initiative.field_app.effects.digital_adoption"),
]


@pytest.mark.parametrize(("name", "path"), rest_at_night(WHOLE, 1))
def test_whole_numbers_are_replanned_as_from_scratch(name: str, path: str) -> None:
    moves = [m for m in moves_of(Inputs(read(SCORECARD)), kinds=["uncertain"]) if m.path == name]
    (bar,) = tornado_of(SCORECARD, "kpi:operating_profit", moves).bars
    run = solve_scenario(read(SCORECARD, f"{path}={bar.low.input_value!r}"), options=SolveOptions(simulate=False))
    assert bar.low.replanned is not None
    assert bar.low.replanned.estimate == pytest.approx(
        float(run.plan.expected[run.graph.find_node("operating_profit")]), rel=1e-9
    )


def test_with_the_plan_as_it_is_odds_follow_the_closed_form() -> None:
    """Sales are 108,000 + 17.5 (v - 100) with v the worth of a visit: certain once v is, so hit or missed for sure.

    A complaint's worth c moves 5 x (c - 50): P(z >= (-50 - 5 (c - 50)) / 350).
    """
    bars = {bar.move.path: bar for bar in tornado_of(HAND_SOLVED, "odds:sales").bars}
    visits = bars["kpi.sales.drivers.visits"]
    assert visits.low.fixed is not None and visits.high.fixed is not None
    assert (visits.low.fixed.estimate, visits.high.fixed.estimate) == (0.0, 1.0)
    complaints = bars["kpi.sales.drivers.complaints"]
    for end, worth in ((complaints.low, 55.0), (complaints.high, 45.0)):
        assert end.fixed is not None
        assert end.fixed.estimate == pytest.approx(ndtr((50.0 + 5.0 * (worth - 50.0)) / 350.0), abs=0.004)


def test_draws_are_paired_with_those_of_the_ordinary_simulation() -> None:
    scenario = read(SCORECARD)
    base = PlanFamily(scenario).base
    plan = base.plan
    usual = simulate(base.graph, plan.stretch, plan.levels, plan.target)
    draws = CommonDraws(SETTINGS)
    for goal in scenario.goals:
        found = measure(parse_outcome(scenario, f"odds:{goal}"), base.graph, plan, draws)
        assert found.estimate == usual.goal(goal).odds
    assert usual.pay is not None
    pay = measure(parse_outcome(scenario, "pay"), base.graph, plan, draws).estimate
    assert pay.estimate == pytest.approx(usual.pay.total.mean.estimate, rel=1e-12)
    assert (pay.low, pay.high) == pytest.approx((usual.pay.total.mean.low, usual.pay.total.mean.high), rel=1e-9)


def test_worth_is_the_paired_difference_between_the_two_plans() -> None:
    found = tornado_of(HAND_SOLVED, "odds:sales")
    for bar in found.bars:
        for end in (bar.low, bar.high):
            if end.fixed and end.replanned and end.worth:
                assert end.worth.estimate == pytest.approx(end.replanned.estimate - end.fixed.estimate, abs=1e-12)


def test_bars_are_ranked_by_their_swing() -> None:
    swings = [bar.swing for bar in tornado_of(HAND_SOLVED, "kpi:sales").bars]
    assert swings == sorted(swings, reverse=True)
    assert swings[0] > swings[-1] == 0.0


def test_limits_that_the_plan_would_break_are_named() -> None:
    moves = [Move("budget.pay.limit", "limit", 700.0, 599.0, 700.0), Move("goal.sales.target", "goal", 1.0, 1e5, 1e5)]
    bars = {bar.move.path: bar for bar in tornado_of(HAND_SOLVED, "kpi:sales", moves).bars}
    assert bars["budget.pay.limit"].low.broken == ("budget.pay",)
    assert bars["budget.pay.limit"].high.broken == ()
    assert bars["goal.sales.target"].low.broken == ()


def test_an_end_without_a_plan_says_so() -> None:
    """With sales as a condition 108,000 cannot be had where visits are worth next to nothing."""
    scenario = read(HAND_SOLVED, "goal.sales.hard=true")
    inputs = Inputs(scenario, lambda further: read(HAND_SOLVED, "goal.sales.hard=true", *further))
    move = Move("kpi.sales.drivers.visits", "uncertain", 100.0, 1.0, 120.0)
    outcome = parse_outcome(scenario, "kpi:sales")
    (bar,) = make_tornado(PlanFamily(scenario), inputs, outcome, [move], CommonDraws(SETTINGS)).bars
    assert bar.low.problem is not None and bar.low.replanned is None and bar.low.fixed is not None
    assert bar.high.problem is None and bar.high.replanned is not None
    assert bar.stops


def test_a_search_that_ends_without_a_proof_costs_one_end_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other end and the other bars stand; the gap names the input and the study."""
    scenario, solve = read(HAND_SOLVED), PlanFamily.solve

    def solve_or_stop(family: PlanFamily, cascade: Cascade) -> Planned:
        if cascade.graph.scenario.budgets["pay"].limit > family.scenario.budgets["pay"].limit:
            raise LimitReached(Problem("E-whole-limit", "step fairness was stopped"))
        return solve(family, cascade)

    monkeypatch.setattr(PlanFamily, "solve", solve_or_stop)
    inputs = Inputs(scenario, lambda further: read(HAND_SOLVED, *further))
    moves = [m for m in moves_of(inputs) if m.path in ("budget.pay.limit", "kpi.sales.drivers.visits")]
    outcome = parse_outcome(scenario, "kpi:sales")
    found = make_tornado(PlanFamily(scenario), inputs, outcome, moves, CommonDraws(SETTINGS))
    bars = {bar.move.path: bar for bar in found.bars}
    assert sorted(bars) == ["budget.pay.limit", "kpi.sales.drivers.visits"]
    assert bars["budget.pay.limit"].low.replanned and not bars["budget.pay.limit"].high.replanned
    (gap,) = found.gaps
    assert gap.message.startswith("the tornado at budget.pay.limit = ")
    assert "step fairness was stopped (E-whole-limit)" in gap.message
    with pytest.raises(typer.Exit) as ended:
        end_with_gaps(found.gaps)
    assert ended.value.exit_code == 9


@pytest.mark.parametrize("text", ["odds:nothing", "kpi:nothing", "kpi:sales@nobody", "luck", "odds:", "kpi"])
def test_outputs_that_do_not_exist_are_refused(text: str) -> None:
    scenario = read(HAND_SOLVED)
    if text == "odds:":
        assert parse_outcome(scenario, text).name == ""
        return
    with pytest.raises(UsageError, match="there is no"):
        parse_outcome(scenario, text)


def test_paired_differences_are_far_narrower_than_single_odds() -> None:
    scenario = read(SCORECARD)
    base, draws = PlanFamily(scenario).base, CommonDraws(SETTINGS)
    outcome = parse_outcome(scenario, "odds:retention")
    now = measure(outcome, base.graph, base.plan, draws)
    moved = replace(base.plan, stretch=base.plan.stretch * 1.001)
    change = difference(now, measure(outcome, base.graph, moved, draws))
    assert change.high - change.low < 0.5 * (now.estimate.high - now.estimate.low)


def test_ranges_that_the_plan_as_it_is_would_leave_are_named() -> None:
    """Visits stand at 10.5 and 7, all complaints are avoided."""
    moves = [Move("cell.ann/visits.max_stretch", "limit", 60.0, 5.0, 60.0)]
    (bar,) = tornado_of(HAND_SOLVED, "kpi:sales", moves).bars
    assert bar.low.broken == ("range of ann/visits",) and bar.high.broken == ()


def test_an_end_that_cannot_be_computed_is_told_and_the_rest_goes_on() -> None:
    """A correlation matrix that is none any more at one end."""
    scenario = read(SCORECARD)
    pair = next(iter(scenario.correlation), None)
    assert pair is not None
    moves = [Move("factor.market", "uncertain", 0.0, -1.0, 1.0)]
    inputs = Inputs(scenario)
    number = next(path for path in inputs.plain if path.startswith("correlation."))
    moves.append(Move(number, "assumption", 0.4, -1.5, 0.4))
    found = make_tornado(PlanFamily(scenario), inputs, parse_outcome(scenario, "odds"), moves, CommonDraws(SETTINGS))
    ends = {bar.move.path: bar for bar in found.bars}
    assert ends[number].low.problem is not None and ends[number].high.problem is None
    assert ends["factor.market"].low.problem is None
