"""A live program answers as a fresh solve does, whatever changed and in whatever order it is asked."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import kpiopt
from kpiopt.graph import build_graph
from kpiopt.plan import build_plan
from kpiopt.program.formulation.cascade import Cascade, build_cascade, move_limits
from kpiopt.program.order import live_program as live_module
from kpiopt.program.order.live_program import LiveProgram
from kpiopt.program.order.steps import InfeasibleProgram
from kpiopt.program.order.whole_numbers import solve_program
from kpiopt.program.solver import reduction as reduction_module
from kpiopt.program.solver.answer import SolverOptions
from kpiopt.program.trust.certificate import primal_residual, verify_optimal
from kpiopt.scenario.scenario import Budget, Goal
from tests.builders import random_scenario
from tests.nights import rest_at_night

SCENARIOS = Path(__file__).parents[3] / "scenarios"
OPTIONS = SolverOptions()


def goals_of(scenario, rng):
    graph = build_graph(scenario)
    found = {}
    for kpi in scenario.kpis:
        node = graph.find_node(kpi, 0)
        if node >= 0:
            target = graph.baseline[node] + graph.sign[node] * rng.uniform(5.0, 60.0)
            found[kpi] = Goal(kpi, kpi, 0, float(target), priority=1 + len(found) % 2)
    return found


def limited(seed):
    """A random scenario with goals, hours and two budgets, some of which bind."""
    rng = np.random.default_rng(seed)
    scenario = random_scenario(seed, n_units=10)
    hours = np.full(len(scenario.units), np.nan)
    hours[0] = rng.uniform(20.0, 200.0)
    return replace(
        scenario,
        goals=goals_of(scenario, rng),
        units=replace(scenario.units, capacity={"hours": hours}),
        budgets={
            "pay": Budget("pay", "pay", float(rng.uniform(50.0, 400.0)), 0),
            "cash": Budget("cash", "cash", float(rng.uniform(20.0, 200.0)), 0),
        },
    )


def moved(scenario, rng):
    """The same scenario with other numbers: limits, goals, boxes, efforts and rates."""
    factor = {key: rng.uniform(0.6, 1.4) for key in ("pay", "cash", "hours", "box", "effort", "rate")}
    which = set(rng.choice(list(factor), 2, replace=False).tolist())
    f = {key: value if key in which else 1.0 for key, value in factor.items()}
    cells, units = scenario.cells, scenario.units
    cells = replace(
        cells,
        max_stretch=np.maximum(cells.max_stretch * f["box"], cells.min_stretch),
        effort={"hours": cells.effort["hours"] * f["effort"]},
        pay_rate=cells.pay_rate * f["rate"],
        lock=np.where(np.isnan(cells.lock), np.nan, np.minimum(cells.lock, cells.max_stretch * f["box"])),
    )
    budgets = {key: replace(b, limit=b.limit * f[key]) for key, b in scenario.budgets.items()}
    capacity = {"hours": units.capacity["hours"] * f["hours"]}
    goals = {k: replace(g, target=g.target + rng.normal() * (rng.uniform() < 0.5)) for k, g in scenario.goals.items()}
    return replace(scenario, cells=cells, budgets=budgets, units=replace(units, capacity=capacity), goals=goals)


def program_of(scenario):
    return build_cascade(build_graph(scenario)).program


def answer(solve, program):
    try:
        return solve(program)
    except InfeasibleProgram:
        return None


def assert_same(found, fresh):
    """Values to 1e-9 of their size, the plan to 1e-9 of its columns' boxes."""
    assert [s.label for s in found.steps] == [s.label for s in fresh.steps]
    for ours, theirs in zip(found.steps, fresh.steps, strict=True):
        assert ours.value == pytest.approx(theirs.value, rel=1e-9, abs=1e-11)
        assert ours.certificate.passed
    arrays = fresh.faces[0]
    size = np.maximum(np.abs(arrays.column_lower), np.abs(arrays.column_upper))
    assert np.max(np.abs(found.x - fresh.x) / np.maximum(size, 1e-9)) <= 1e-9


@pytest.mark.parametrize("seed", rest_at_night(range(25), 4))
def test_it_answers_as_a_fresh_solve_does(seed):
    rng = np.random.default_rng(seed)
    scenario = limited(seed)
    live = LiveProgram(program_of(scenario), OPTIONS)
    for _ in range(6):
        program = program_of(moved(scenario, rng))
        found, fresh = answer(live.solve, program), answer(lambda p: solve_program(p, OPTIONS), program)
        assert (found is None) == (fresh is None)
        if fresh is not None:
            assert_same(found, fresh)


def with_references(scenario, rng):
    """The same scenario with other reference values of some cells: only the last step differs."""
    cells = scenario.cells
    wanted = cells.baseline + rng.uniform(0.0, 1.0, len(cells)) * cells.max_stretch
    given = rng.uniform(size=len(cells)) < 0.3
    return replace(scenario, cells=replace(cells, reference=np.where(given, wanted, np.nan)))


@pytest.mark.parametrize("is_large", [False, True])
def test_another_reference_leaves_the_steps_before_it_alone(is_large, monkeypatch):
    if is_large:
        monkeypatch.setattr(reduction_module, "LARGE", 0)
    walked = []
    walk = LiveProgram._walk
    monkeypatch.setattr(LiveProgram, "_walk", lambda *a: walked.append(a[3]) or walk(*a))
    for seed in range(5):
        rng = np.random.default_rng(seed)
        scenario = limited(seed)
        live = LiveProgram(program_of(scenario), OPTIONS)
        program = program_of(with_references(scenario, rng))
        assert_same(live.solve(program), solve_program(program, OPTIONS))
    assert walked.count(0) < len(walked)  # some kept the steps before


@pytest.mark.parametrize("seed", rest_at_night(range(6), 2))
def test_a_large_program_goes_its_own_way_to_the_same_answer(seed, monkeypatch):
    monkeypatch.setattr(reduction_module, "LARGE", 0)
    rng = np.random.default_rng(seed)
    scenario = limited(seed)
    live = LiveProgram(program_of(scenario), OPTIONS)
    for _ in range(3):
        program = program_of(moved(scenario, rng))
        assert_same(live.solve(program), solve_program(program, OPTIONS))


def rounded_targets(cascade, x):
    plan = build_plan(cascade.graph, cascade.columns.stretch_of_cells(x), cascade.columns.level.of(x))
    return plan.target[plan.nodes]


def test_its_plan_rounds_to_the_same_targets():
    base = kpiopt.load(SCENARIOS / "adventureworks-base.toml")
    live = LiveProgram(program_of(base), OPTIONS)
    for limit in (60_000, 90_000, 100_000, 120_000):
        scenario = kpiopt.load(SCENARIOS / "adventureworks-base.toml", overrides=[f"budget.pay.limit={limit}"])
        cascade = build_cascade(build_graph(scenario))
        solutions = live.solve(cascade.program), solve_program(cascade.program, OPTIONS)
        targets = [rounded_targets(cascade, solution.x) for solution in solutions]
        assert np.array_equal(*targets)


def with_pay(cascade: Cascade, limit: float) -> Cascade:
    scenario = cascade.graph.scenario
    return move_limits(
        cascade, replace(scenario, budgets={**scenario.budgets, "pay": replace(scenario.budgets["pay"], limit=limit)})
    )


def test_what_it_answered_before_changes_no_digit():
    scenario = kpiopt.load(SCENARIOS / "adventureworks-base.toml")
    cascade = build_cascade(build_graph(scenario))
    programs = [with_pay(cascade, limit).program for limit in np.linspace(60_000, 130_000, 9).tolist()]
    forth, back = (LiveProgram(cascade.program, OPTIONS) for _ in range(2))
    ahead = [forth.solve(program).x for program in programs]
    behind = [back.solve(program).x for program in reversed(programs)][::-1]
    assert all(np.array_equal(a, b) for a, b in zip(ahead, behind, strict=True))


def test_answers_hold_in_the_new_program_by_the_independent_certificate():
    scenario = kpiopt.load(SCENARIOS / "adventureworks-base.toml")
    cascade = build_cascade(build_graph(scenario))
    live = LiveProgram(cascade.program, OPTIONS)
    for limit in (95_000.0, 110_000.0, 200_000.0):
        program = with_pay(cascade, limit).program
        found = live.solve(program)
        assert primal_residual(program.arrays(), found.x)[0] <= 1e-9
        first = program.objectives[0]
        row_dual = found.solved[0].row_dual
        assert verify_optimal(program.arrays(first), found.x, row_dual).passed


def test_a_limit_that_nobody_feels_costs_no_solve(monkeypatch):
    scenario = kpiopt.load(SCENARIOS / "adventureworks-base.toml")
    cascade = build_cascade(build_graph(scenario))
    live = LiveProgram(cascade.program, OPTIONS)

    def refuse(*_):
        raise AssertionError("solved again")

    monkeypatch.setattr(live_module, "solve_order", refuse)
    monkeypatch.setattr(live_module, "solve_program", refuse)
    found = live.solve(with_pay(cascade, 150_000.0).program)
    assert np.array_equal(found.x, live.solution.x)
    with pytest.raises(AssertionError, match="solved again"):
        live.solve(with_pay(cascade, 100_000.0).program)


def test_another_shape_is_solved_from_scratch():
    live = LiveProgram(program_of(limited(1)), OPTIONS)
    other = program_of(limited(2))
    assert_same(live.solve(other), solve_program(other, OPTIONS))


def test_whole_numbers_are_solved_from_scratch():
    scenario = kpiopt.load(Path(__file__).parents[2] / "cases" / "whole_machines.toml")
    program = program_of(scenario)
    assert any(block.integer.any() for block in program.columns)
    live = LiveProgram(program, OPTIONS)
    assert_same(live.solve(program), solve_program(program, OPTIONS))


def test_a_clash_is_proved_and_its_proof_serves_for_the_next_one():
    scenario = kpiopt.load(SCENARIOS / "hand-solved.toml")
    cascade = build_cascade(build_graph(replace(scenario, goals={
        k: replace(g, hard=True, target=g.target + 2_000) if k == "sales" else g for k, g in scenario.goals.items()
    })))  # fmt: skip
    live = LiveProgram(with_pay(cascade, 5_000.0).program, OPTIONS)
    for limit in (0.0, 1.0):
        with pytest.raises(InfeasibleProgram) as failure:
            live.solve(with_pay(cascade, limit).program)
        assert failure.value.certificate.passed


def test_moved_limits_are_the_program_written_anew():
    scenario = kpiopt.load(SCENARIOS / "adventureworks-base.toml")
    cascade = build_cascade(build_graph(scenario))
    capacity = {resource: amounts * 0.9 for resource, amounts in scenario.units.capacity.items()}
    budgets = {**scenario.budgets, "pay": replace(scenario.budgets["pay"], limit=77_000.0)}
    for other in (
        replace(scenario, budgets=budgets),
        replace(scenario, units=replace(scenario.units, capacity=capacity)),
        replace(scenario, budgets=budgets, units=replace(scenario.units, capacity=capacity)),
    ):
        moved, anew = move_limits(cascade, other), build_cascade(build_graph(other))
        assert str(moved.program) == str(anew.program)
        assert moved.limits == anew.limits and moved.graph.scenario is other
