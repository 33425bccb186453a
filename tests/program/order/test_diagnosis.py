"""Diagnosis: published relaxations and conflicts, repairs that work, conflicts that cannot be shorter."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from kpiopt.deadline import Deadline
from kpiopt.program.order import diagnosis
from kpiopt.program.order.diagnosis import (
    Handle,
    Side,
    cheapest_repair,
    farkas_sides,
    find_conflict,
    find_repairs,
    finite_sides,
    side_value,
)
from kpiopt.program.solver.session import Session, SolverOptions, Status
from tests.program.program_file import read_program
from tests.program.random_programs import DATA, INF, program, random_program

PUBLISHED = json.loads((DATA / "published_cases.json").read_text())["relaxation"]
SEEDS = st.integers(0, 100_000)
# A budget of 10 against two teams that must have at least 8 and 6.
BUDGET = program([[1, 1]], 0.0, columns=([8, 6], 20), rows=(-INF, 10))
LIMIT, NORTH, SOUTH = Side("row", 0, True), Side("column", 0, False), Side("column", 1, False)


def is_feasible(arrays):
    return Session(replace(arrays, cost=np.zeros(arrays.n_columns))).solve().status is Status.OPTIMAL


def handle_for(side, price=1.0, name=""):
    return Handle(name or str(side), (side,), (1.0,), price)


def apply_repair(arrays, repair):
    """The program with the repair's sides moved, by 1e-9 of the amount more than needed."""
    sides = {(kind, upper): getattr(arrays, f"{kind}_{'upper' if upper else 'lower'}").copy()
             for kind in ("row", "column") for upper in (True, False)}  # fmt: skip
    for handle, amount in repair.changes:
        for side, share in zip(handle.sides, handle.shares, strict=True):
            outward = amount * (1.0 + 1e-9) * share * (1.0 if side.is_upper else -1.0)
            sides[side.kind, side.is_upper][side.position] += outward
    changed = {f"{kind}_{'upper' if upper else 'lower'}": values for (kind, upper), values in sides.items()}
    return replace(arrays, **changed)


def every_handle(arrays, price=1.0):
    return [handle_for(side, price) for side in finite_sides(arrays)]


def infeasible_program(seed):
    """A random program whose first rows ask for more than the others allow."""
    rng = np.random.default_rng(seed)
    while True:
        arrays = random_program(rng, spread=0.3, most=6)
        push = rng.random(arrays.n_rows) < 0.5
        lower = np.where(push & np.isfinite(arrays.row_lower), arrays.row_lower + 5.0 * rng.random(), arrays.row_lower)
        clash = replace(arrays, row_lower=lower, row_upper=np.maximum(arrays.row_upper, lower))
        if Session(clash).solve().status is Status.INFEASIBLE:
            return clash


@pytest.mark.parametrize("name", ["galenet", "avgas"])
def test_published_relaxations(name):
    arrays = read_program(DATA / "lp_instances" / f"{name}.mps").arrays
    repair = cheapest_repair(arrays, every_handle(arrays))
    assert repair.price == pytest.approx(PUBLISHED["total"][name], abs=1e-9)
    assert is_feasible(apply_repair(arrays, repair))


def test_the_published_conflict_of_galenet():
    named = read_program(DATA / "lp_instances" / "galenet.mps")
    conflict = find_conflict(named.arrays, Session(named.arrays).solve().ray)
    rows = {named.row_names[side.position] for side in conflict if side.kind == "row"}
    columns = {named.column_names[side.position] for side in conflict if side.kind == "column"}
    assert rows == set(PUBLISHED["galenet_conflict"]["rows"])
    assert columns == set(PUBLISHED["galenet_conflict"]["columns"])


def test_the_cheapest_gives_way_first():
    handles = [
        handle_for(LIMIT, 3.0, "budget"),
        handle_for(NORTH, 2.0, "north"),
        handle_for(SOUTH, 5.0, "south"),
    ]
    repair = cheapest_repair(BUDGET, handles)
    assert [(change.handle.name, change.amount) for change in repair.changes] == [("north", pytest.approx(4.0))]
    assert repair.price == pytest.approx(8.0)


def test_a_handle_that_is_used_up_leaves_the_rest_to_others():
    handles = [
        Handle("north", (NORTH,), (1.0,), 2.0, most=3.0),
        Handle("budget", (LIMIT,), (1.0,), 3.0),
    ]
    repair = cheapest_repair(BUDGET, handles)
    assert {change.handle.name: round(change.amount, 9) for change in repair.changes} == {"north": 3.0, "budget": 1.0}


def test_one_handle_moves_several_sides_together():
    both = Handle("minimum stretches", (NORTH, SOUTH), (8.0, 6.0), 1.0)
    repair = cheapest_repair(BUDGET, [both])
    assert repair.changes[0].amount == pytest.approx(4.0 / 14.0)
    repaired = apply_repair(BUDGET, repair)
    assert repaired.column_lower == pytest.approx([8 - 8 * 4 / 14, 6 - 6 * 4 / 14])
    assert is_feasible(repaired)


def test_two_handles_may_move_the_same_side():
    cheap = Handle("overdraft", (LIMIT,), (1.0,), 1.0, most=1.5)
    dear = Handle("budget", (LIMIT,), (1.0,), 4.0)
    repair = cheapest_repair(BUDGET, [cheap, dear])
    assert repair.price == pytest.approx(1.5 + 4.0 * 2.5)


def test_alternatives_are_what_each_limit_would_give_alone():
    handles = every_handle(BUDGET)
    found = {r.changes[0].handle.sides[0]: r.changes[0].amount for r in find_repairs(BUDGET, handles)[1]}
    assert found == {LIMIT: pytest.approx(4.0), NORTH: pytest.approx(4.0), SOUTH: pytest.approx(4.0)}
    short = [replace(handle, most=3.0) for handle in handles]
    assert find_repairs(BUDGET, short)[1] == []


def test_nothing_helps_where_nothing_may_give_way():
    assert cheapest_repair(BUDGET, []) is None
    assert cheapest_repair(BUDGET, [Handle("budget", (LIMIT,), (1.0,), 1.0, most=3.9)]) is None


def test_a_feasible_program_needs_no_repair():
    feasible = replace(BUDGET, row_upper=np.array([14.0]))
    repair = cheapest_repair(feasible, every_handle(feasible))
    assert repair.changes == () and repair.price == 0.0


def test_the_amount_of_a_hair_is_told():
    hair = replace(BUDGET, row_upper=np.array([14.0 - 1e-7]))
    repair = cheapest_repair(hair, [handle_for(LIMIT)])
    assert repair.changes[0].amount == pytest.approx(1e-7, rel=1e-6)


def test_whole_numbers_count_in_a_repair():
    # 3 a <= 10 leaves 3 whole sessions; 4 are asked for, and 4 sessions need 12.
    arrays = program([[3], [1]], 0.0, columns=(0, 9), rows=([-INF, 3.2], [10, INF]), whole=(0,))
    repair = cheapest_repair(arrays, [handle_for(Side("row", 0, True))])
    assert repair.changes[0].amount == pytest.approx(2.0)


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_the_price_is_the_least_and_the_repair_works(seed):
    arrays = infeasible_program(seed)
    repair = cheapest_repair(arrays, every_handle(arrays))
    assert repair.price == pytest.approx(least_total_violation(arrays), rel=1e-6, abs=1e-7)
    assert is_feasible(apply_repair(arrays, repair))


def least_total_violation(arrays):
    """The same figure from a formulation of its own: one slack for each side of [A; I] x."""
    dense = np.vstack([arrays.matrix.toarray(), np.eye(arrays.n_columns)])
    lower = np.concatenate([arrays.row_lower, arrays.column_lower])
    upper = np.concatenate([arrays.row_upper, arrays.column_upper])
    low, high = np.isfinite(lower), np.isfinite(upper)
    body = np.vstack([-dense[low], dense[high]])
    right = np.concatenate([-lower[low], upper[high]])
    k, n = body.shape
    cost = np.concatenate([np.zeros(n), np.ones(k)])
    bounds = [(None, None)] * n + [(0, None)] * k
    return linprog(cost, A_ub=np.hstack([body, -np.eye(k)]), b_ub=right, bounds=bounds).fun


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_a_conflict_clashes_and_none_of_its_members_can_be_spared(seed):
    arrays = infeasible_program(seed)
    conflict = find_conflict(arrays, Session(arrays).solve().ray)
    assert not holds_together(arrays, conflict)
    for member in conflict:
        assert holds_together(arrays, [side for side in conflict if side != member])


def holds_together(arrays, sides):
    """Whether some point keeps the given sides, asked of another interface."""
    body, right = [], []
    for side in sides:
        unit = np.eye(arrays.n_columns)[side.position] if side.kind == "column" else None
        row = arrays.matrix[[side.position]].toarray()[0] if unit is None else unit
        sign = 1.0 if side.is_upper else -1.0
        body.append(sign * row)
        right.append(sign * side_value(arrays, side))
    if not sides:
        return True
    found = linprog(np.zeros(arrays.n_columns), A_ub=body, b_ub=right, bounds=(None, None))
    return found.status == 0


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.sampled_from([1.5, 3.0, np.inf]))
def test_no_handle_that_is_cheap_enough_alone_is_passed_over(seed, within):
    """Each handle tried by itself, against those that the duals of the cheapest repair leave to be tried."""
    arrays = infeasible_program(seed)
    rng = np.random.default_rng(seed)
    handles = [
        replace(handle, price=float(rng.uniform(0.2, 5.0)), most=float(rng.choice([0.5, 5.0, np.inf])))
        for handle in every_handle(arrays)
    ]
    cheapest, alone = find_repairs(arrays, handles, within=within)
    if cheapest is None:
        return
    by_trial = [cheapest_repair(arrays, [handle]) for handle in handles]
    wanted = {r.changes[0].handle.name: r.price for r in by_trial if r and r.price <= within * cheapest.price}
    assert {r.changes[0].handle.name: r.price for r in alone} == pytest.approx(wanted, rel=1e-6, abs=1e-8)
    assert [r.price for r in alone] == sorted(r.price for r in alone)
    for repair in alone:
        assert is_feasible(apply_repair(arrays, repair))


def test_handles_are_tried_until_the_time_is_up():
    handles = every_handle(BUDGET)
    assert find_repairs(BUDGET, handles, SolverOptions(deadline=Deadline.after(0.0))) == (None, [])
    assert len(find_repairs(BUDGET, handles, most=2)[1]) == 2
    ray = Session(BUDGET).solve().ray
    assert find_conflict(BUDGET, ray, SolverOptions(deadline=Deadline.after(0.0))) is None


def test_a_conflict_that_is_too_long_is_not_shown(monkeypatch):
    n = 40
    chain = program(np.ones((1, n)), 0.0, columns=(1, 2), rows=(-INF, n - 1.0))
    ray = Session(chain).solve().ray
    assert len(farkas_sides(chain, ray)) == n + 1
    assert find_conflict(chain, ray) is None
    monkeypatch.setattr(diagnosis, "SHORT", n + 1)
    assert len(find_conflict(chain, ray)) == n + 1
