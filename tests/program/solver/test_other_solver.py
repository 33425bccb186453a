"""A second solver, SCIP through Pyomo, on every shipped scenario; and what happens when two solvers disagree."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kpiopt.errors import Uncertified, UsageError
from kpiopt.graph import build_graph
from kpiopt.program.formulation.cascade import build_cascade
from kpiopt.program.order.whole_numbers import solve_program
from kpiopt.program.solver import other_solver
from kpiopt.program.solver.answer import SolverOptions, Status
from kpiopt.program.solver.other_solver import Opinion, OtherSession, ask_solver, open_session, require_solver
from kpiopt.program.solver.session import Session
from kpiopt.run.solve import SolveOptions, solve_scenario
from kpiopt.scenario.load import load_scenario
from tests.nights import rest_at_night
from tests.program.random_programs import program, random_program

SHIPPED = sorted(Path("scenarios").glob("*.toml"))
SCIP = SolverOptions(solver="scip_direct")


def wyndor():
    """Hillier & Lieberman's Wyndor Glass: maximise 3 x + 5 y, 36 at (2, 6)."""
    return program([[1.0, 0.0], [0.0, 2.0], [3.0, 2.0]], [-3.0, -5.0], (0.0, 100.0), (-np.inf, [4.0, 12.0, 18.0]))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)
def test_both_solvers_give_the_same_plan_on_shipped_scenarios(path):
    cascade = build_cascade(build_graph(load_scenario(path)))
    ours, theirs = (solve_program(cascade.program, options) for options in (SolverOptions(), SCIP))
    np.testing.assert_allclose(theirs.x, ours.x, rtol=1e-9, atol=1e-9)
    assert [s.value for s in theirs.steps] == pytest.approx([s.value for s in ours.steps], rel=1e-9, abs=1e-12)


def test_the_second_solver_really_is_asked():
    run = solve_scenario(load_scenario("scenarios/hand-solved.toml"), options=SolveOptions(SCIP, simulate=False))
    assert [step.attempt for step in run.solution.steps[:4]] == ["as asked, as scip_direct says"] * 4


def test_the_textbook_optimum_through_the_door():
    opinion = ask_solver(wyndor(), "scip_direct")
    assert opinion.status is Status.OPTIMAL
    np.testing.assert_allclose(opinion.x, [2.0, 6.0], atol=1e-6)


@pytest.mark.parametrize("seed", rest_at_night(range(8), 3))
def test_whole_number_programs_agree(seed):
    arrays = random_program(np.random.default_rng(seed), whole=0.5)
    ours = Session(arrays).solve()
    assert open_session(arrays, SCIP).solve().objective == pytest.approx(ours.objective, rel=1e-9, abs=1e-9)


def test_duals_that_certify_are_used():
    answer = open_session(wyndor(), SolverOptions(solver="appsi_highs")).solve()
    assert answer.attempt == "appsi_highs"
    np.testing.assert_allclose(answer.row_dual, [0.0, -1.5, -1.0], atol=1e-12)
    np.testing.assert_allclose(answer.reduced_cost, 0.0, atol=1e-12)


def test_ranges_are_there_whoever_has_solved_it():
    session = open_session(wyndor(), SolverOptions(solver="appsi_highs"))
    session.solve()
    ranging = session.ranging()
    assert (ranging.row_from[1], ranging.row_to[1]) == pytest.approx((6.0, 18.0))


@pytest.mark.parametrize(
    "wrong",
    [
        Opinion(Status.OPTIMAL, np.array([2.0, 6.0 - 1e-5]), np.empty(0)),
        Opinion(Status.OPTIMAL, np.array([4.0, 6.0]), np.array([0.0, -2.5, 0.0])),
        Opinion(Status.INFEASIBLE, np.empty(0), np.empty(0)),
        Opinion(Status.UNKNOWN, np.empty(0), np.empty(0)),
    ],
    ids=["worse", "outside", "infeasible", "unknown"],
)
def test_a_solver_that_errs_is_found_out(monkeypatch, wrong):
    monkeypatch.setattr(other_solver, "ask_solver", lambda *_: wrong)
    with pytest.raises(Uncertified, match="E-solvers-disagree"):
        OtherSession(wyndor(), SCIP).solve()


def test_wrong_duals_are_not_used(monkeypatch):
    opinion = Opinion(Status.OPTIMAL, np.array([2.0, 6.0]), np.array([0.0, -1.5, -1.1]))
    monkeypatch.setattr(other_solver, "ask_solver", lambda *_: opinion)
    np.testing.assert_allclose(OtherSession(wyndor(), SCIP).solve().row_dual, [0.0, -1.5, -1.0])


def test_two_solvers_may_agree_that_nothing_is_feasible():
    arrays = replace(wyndor(), row_lower=np.array([5.0, -np.inf, -np.inf]), row_upper=np.array([6.0, 12.0, 10.0]))
    assert open_session(arrays, SCIP).solve().status is Status.INFEASIBLE


def test_a_missing_solver_is_named_with_those_that_are_there():
    with pytest.raises(UsageError) as caught:
        require_solver("no_such_solver")
    problem = caught.value.problems[0]
    assert "no_such_solver" in problem.message
    assert "highs" in problem.fix
    assert "scip_direct" in problem.fix


def test_a_run_asks_for_the_solver_before_anything_else():
    with pytest.raises(UsageError, match="gurbi"):
        solve_scenario(load_scenario(SHIPPED[0]), options=SolveOptions(SolverOptions(solver="gurbi")))
