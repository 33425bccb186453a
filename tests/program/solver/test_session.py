"""The session: published answers, brute force, changes, endings, and a solver that is never heard."""

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpiopt.deadline import Deadline
from kpiopt.errors import NumericsError
from kpiopt.program.solver.session import Session, SolverOptions, Status
from kpiopt.program.trust.certificate import verify_infeasible, verify_optimal, verify_unbounded
from tests.program.program_file import read_program
from tests.program.random_programs import DATA, INF, program, random_program

PUBLISHED = json.loads((DATA / "published_cases.json").read_text())
SEEDS = st.integers(0, 100_000)
WYNDOR = program([[1, 0], [0, 2], [3, 2]], [-3, -5], columns=(0, INF), rows=(-INF, [4, 12, 18]))
JUMP = program(
    [[6, 8, 0], [7, 12, 0], [1, 1, 0]],
    [12, 20, -1],
    columns=([0, 0, -INF], [INF, 3, 1]),
    rows=([100, 120, -INF], [INF, INF, 20]),
)
METHODS = [SolverOptions(), SolverOptions(method="ipm"), SolverOptions(presolve=False, random_seed=5)]


def dewright(whole=()):
    """x1..x3, then profit under, employment under and over, capital over."""
    return program(
        [[12, 9, 15, 1, 0, 0, 0], [5, 3, 4, 0, 1, -1, 0], [5, 7, 8, 0, 0, 0, -1]],
        [0, 0, 0, 5, 4, 2, 3],
        columns=(0, 1000),
        rows=([125, 40, -INF], [INF, 40, 55]),
        whole=whole,
    )


def end(value):
    return INF if value is None else value


@pytest.mark.parametrize("options", METHODS)
def test_wyndor_with_its_shadow_prices_and_ranges(options):
    case, session = PUBLISHED["wyndor"], Session(WYNDOR, options)
    answer = session.solve()
    assert -answer.objective == pytest.approx(case["objective"], abs=1e-9)
    assert answer.x == pytest.approx(case["x"])
    assert -answer.row_dual == pytest.approx(case["shadow"])
    ranging = session.ranging()
    for i, (low, high) in enumerate(case["side_ranges"]):
        assert (ranging.row_from[i], ranging.row_to[i]) == (pytest.approx(low), pytest.approx(end(high)))


def test_the_ranging_case_of_jump():
    case, session = PUBLISHED["lp_sensitivity_jump"], Session(JUMP)
    answer = session.solve()
    assert answer.objective == pytest.approx(case["objective"])
    assert answer.x == pytest.approx(case["x"])
    ranging = session.ranging()
    assert [ranging.row_from[0] - 100, ranging.row_to[0] - 100] == pytest.approx(case["side_1_may_change_by"])


def test_the_goal_programme_of_dewright():
    case, answer = PUBLISHED["dewright"], Session(dewright()).solve()
    assert answer.objective == pytest.approx(case["penalty"])
    assert answer.x[:3] == pytest.approx(case["x"])
    assert answer.x[5] == pytest.approx(case["employment_over"])
    assert verify_optimal(dewright(), answer.x, answer.row_dual).passed


def test_the_goal_programme_of_dewright_in_whole_numbers():
    case, arrays = PUBLISHED["dewright"], dewright(whole=(0, 1, 2))
    answer = Session(arrays).solve()
    assert answer.objective == case["whole_penalty"]
    assert answer.x[:3].tolist() == case["whole_x"]


@pytest.mark.parametrize("options", METHODS)
@pytest.mark.parametrize("name", ["afiro", "adlittle", "standata"])
def test_netlib_optima(name, options):
    answer = Session(read_program(DATA / "lp_instances" / f"{name}.mps").arrays, options).solve()
    assert answer.status is Status.OPTIMAL
    assert answer.objective == pytest.approx(PUBLISHED["netlib"]["optimum"][name], rel=1e-9)


def vertices(arrays):
    """Every vertex of a small program with a finite box, by solving all square subsystems."""
    dense = np.vstack([arrays.matrix.toarray(), np.eye(arrays.n_columns)])
    lower = np.concatenate([arrays.row_lower, arrays.column_lower])
    upper = np.concatenate([arrays.row_upper, arrays.column_upper])
    faces = [(row, side) for row in range(len(dense)) for side in {lower[row], upper[row]} if np.isfinite(side)]
    for chosen in itertools.combinations(faces, arrays.n_columns):
        rows = [row for row, _ in chosen]
        if len(set(rows)) == len(rows) and abs(np.linalg.det(dense[rows])) > 1e-9:
            x = np.linalg.solve(dense[rows], [side for _, side in chosen])
            if np.all(dense @ x >= lower - 1e-9) and np.all(dense @ x <= upper + 1e-9):
                yield x


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_the_optimum_is_the_best_vertex(seed):
    arrays = random_program(np.random.default_rng(seed), spread=0.5, most=3)
    best = min(arrays.cost @ x for x in vertices(arrays)) + arrays.offset
    assert Session(arrays).solve().objective == pytest.approx(best, rel=1e-7, abs=1e-7)


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_the_whole_number_optimum_is_the_best_grid_point(seed):
    arrays = random_program(np.random.default_rng(seed), spread=0.4, most=4, whole=1.0)
    ranges = [
        range(int(low), int(high) + 1) for low, high in zip(arrays.column_lower, arrays.column_upper, strict=True)
    ]
    grid = np.array(list(itertools.product(*ranges)), dtype=float)
    activity = grid @ arrays.matrix.toarray().T
    holds = np.all((activity >= arrays.row_lower - 1e-9) & (activity <= arrays.row_upper + 1e-9), axis=1)
    answer = Session(arrays).solve()
    assert answer.objective == pytest.approx((grid[holds] @ arrays.cost).min() + arrays.offset, abs=1e-7)


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_duals_are_the_slope_of_the_objective_inside_their_range(seed):
    arrays = random_program(np.random.default_rng(seed), spread=0.3, most=5)
    session = Session(arrays)
    answer, ranging = session.solve(), session.ranging()
    row = int(np.abs(answer.row_dual).argmax())
    dual = answer.row_dual[row]
    if dual == 0.0 or arrays.row_lower[row] == arrays.row_upper[row]:
        return
    name = "row_lower" if dual > 0 else "row_upper"
    side = getattr(arrays, name)[row]
    for limit in (ranging.row_from[row], ranging.row_to[row]):
        inside = side + 0.5 * np.clip(limit - side, -1.0, 1.0)
        moved = getattr(arrays, name).copy()
        moved[row] = inside
        other = arrays.row_upper[row] if dual > 0 else arrays.row_lower[row]
        if (inside <= other) == (dual > 0) or inside == other:
            found = Session(replace(arrays, **{name: moved})).solve().objective
            assert found == pytest.approx(answer.objective + dual * (inside - side), rel=1e-6, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(-20, 20), st.integers(-20, 20))
def test_units_of_measure_that_are_powers_of_two_change_nothing(seed, row_power, column_power):
    rng = np.random.default_rng(seed)
    arrays = random_program(rng, spread=1.0, most=6)
    answer = Session(arrays).solve()
    r, s = 2.0**row_power, 2.0**column_power
    other = replace(
        arrays,
        cost=arrays.cost * s,
        matrix=arrays.matrix * (r * s),
        row_lower=arrays.row_lower * r,
        row_upper=arrays.row_upper * r,
        column_lower=arrays.column_lower / s,
        column_upper=arrays.column_upper / s,
    )
    assert Session(other).solve().x * s == pytest.approx(answer.x, rel=1e-12, abs=1e-300)


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_a_changed_session_answers_like_a_new_one(seed):
    rng = np.random.default_rng(seed)
    arrays = random_program(rng, spread=0.5, most=6)
    session = Session(arrays)
    session.solve()
    columns, rows = np.array([0]), np.array([arrays.n_rows - 1])
    session.change_costs(-arrays.cost, 1.5)
    session.change_column_bounds(columns, arrays.column_lower[columns] - 0.5, arrays.column_upper[columns] + 0.5)
    session.change_row_bounds(rows, arrays.row_lower[rows] - 1.0, arrays.row_upper[rows] + 1.0)
    position = session.add_row(np.array([0]), np.array([2.0]), -INF, 2.0 * arrays.column_upper[0])
    assert position == arrays.n_rows
    again, fresh = session.solve(), Session(session.arrays).solve()
    assert again.status is fresh.status
    if fresh.status is Status.OPTIMAL:
        assert again.objective == pytest.approx(fresh.objective, rel=1e-9, abs=1e-9)
        assert verify_optimal(session.arrays, again.x, again.row_dual).passed


def test_a_basis_carries_over_to_another_session():
    first = Session(read_program(DATA / "lp_instances" / "standata.mps").arrays, SolverOptions(presolve=False))
    cold = first.solve()
    second = Session(read_program(DATA / "lp_instances" / "standata.mps").arrays, SolverOptions(presolve=False))
    second.set_basis(first.basis())
    warm = second.solve()
    assert warm.objective == pytest.approx(cold.objective, rel=1e-12)
    assert warm.iterations < cold.iterations


def test_reduced_costs_are_what_the_duals_leave():
    arrays = dewright()
    answer = Session(arrays).solve()
    assert answer.reduced_cost == pytest.approx(arrays.cost - arrays.matrix.T @ answer.row_dual, abs=1e-12)
    assert np.all(answer.reduced_cost[(answer.x > 0) & (answer.x < 1000)] == 0.0)


def test_a_coefficient_that_solvers_drop_still_counts():
    # min 10 y + 1e-9 x, y + 1e-9 x >= 1: x at 1e9 costs 1; with the coefficient dropped the answer would be 10.
    arrays = program([[1, 1e-9]], [10, 1e-9], columns=(0, [10, 1e10]), rows=(1, INF))
    answer = Session(arrays).solve()
    assert answer.objective == pytest.approx(1.0, rel=1e-12)
    assert verify_optimal(arrays, answer.x, answer.row_dual).passed


def test_a_cap_with_a_tiny_coefficient_holds():
    arrays = program([[1e-9, 1]], [-1, 0], columns=(0, [1e12, 10]), rows=(-INF, 1))
    assert Session(arrays).solve().x[0] == pytest.approx(1e9, rel=1e-12)


@pytest.mark.parametrize("number", [np.nan, np.inf, 1e15, -1e18])
@pytest.mark.parametrize("place", ["coefficient", "cost", "row side", "column side"])
def test_numbers_that_solvers_misread_are_refused(place, number):
    if number in (1e15, -1e18) and "side" in place:
        number = 1e20 * np.sign(number)
    with pytest.raises(NumericsError) as refusal:
        if place == "coefficient":
            Session(program([[1, number]], 1.0, columns=(0, 1)))
        elif place == "cost":
            Session(program([[1, 1]], [number, 1], columns=(0, 1)))
        elif place == "row side":
            Session(program([[1, 1]], 1.0, columns=(0, 1), rows=(number, INF)))
        else:
            Session(program([[1, 1]], 1.0, columns=([0, number], 1)))
    assert "not usable" in str(refusal.value)


def test_targets_in_billions_next_to_rates_in_millionths():
    # 1e-6 x reaches a target of 1e9 at x = 1e15 - too large to be true; y has to give the rest.
    arrays = program([[1e-6, 1.0]], [1e-9, 3.0], columns=(0, [1e12, 1e10]), rows=(1e9, INF))
    answer = Session(arrays).solve()
    assert answer.x == pytest.approx([1e12, 1e9 - 1e6])
    assert verify_optimal(arrays, answer.x, answer.row_dual).passed


def test_a_clash_comes_with_its_proof():
    arrays = program([[1, 1], [1, 1]], [1, 1], columns=(0, 10), rows=([5, -INF], [INF, 3]))
    answer = Session(arrays).solve()
    assert answer.status is Status.INFEASIBLE
    assert not answer.has_point
    assert verify_infeasible(arrays, answer.ray).passed


@pytest.mark.parametrize("size", [1.0, 30.0, 900.0, 4000.0])
def test_limits_that_clash_by_a_hair_are_never_called_feasible(size):
    arrays = program([[1], [1]], [1], columns=(0, 10 * size), rows=([size + 1e-7, -INF], [INF, size]))
    answer = Session(arrays).solve()
    assert answer.status is Status.BORDERLINE
    assert verify_infeasible(arrays, answer.ray).borderline


def test_no_end_is_proved():
    arrays = program([[1, -1]], [-1, 0], columns=(0, INF), rows=(-INF, 1))
    answer = Session(arrays).solve()
    assert answer.status is Status.UNBOUNDED
    assert verify_unbounded(arrays, answer.ray, answer.x).passed


def test_whole_numbers_that_do_not_exist():
    answer = Session(program([[2.0]], [1], columns=(0, 5), rows=(3, 3), whole=(0,))).solve()
    assert answer.status is Status.INFEASIBLE


def test_nothing_to_decide():
    empty = program(np.zeros((2, 0)), np.zeros(0), rows=([-1, 0], [1, 0]), offset=2.5)
    assert Session(empty).solve().objective == 2.5
    clash = replace(empty, row_lower=np.array([0.5, 0.0]))
    answer = Session(clash).solve()
    assert answer.status is Status.INFEASIBLE
    assert verify_infeasible(clash, answer.ray).passed


def test_ranges_of_columns_that_have_nothing_to_do_with_each_other():
    session = Session(program([[0, 0]], [2, -3], columns=(0, 1), rows=(-INF, 5)))
    session.solve()
    ranging = session.ranging()
    assert (ranging.row_from[0], ranging.row_to[0]) == (0.0, INF)


def test_no_rows():
    answer = Session(program(np.zeros((0, 2)), [1, -1], columns=(0, 1))).solve()
    assert answer.x.tolist() == [0.0, 1.0]


def hard_program(n=60, seed=1):
    rng = np.random.default_rng(seed)
    return program(rng.random((40, n)), -rng.random(n), columns=(0, 3), rows=(-INF, 9.0), whole=range(n))


def test_a_time_limit_keeps_the_best_point_apart():
    arrays = hard_program()
    answer = Session(arrays, SolverOptions(deadline=Deadline.after(0.2))).solve()
    assert answer.status is Status.TIME_LIMIT
    assert answer.x.tolist() == np.rint(answer.x).tolist()
    assert np.all(arrays.matrix @ answer.x <= arrays.row_upper + 1e-9)


def test_another_thread_can_cancel():
    session = Session(hard_program(), SolverOptions(deadline=Deadline.after(60.0)))
    timer = threading.Timer(0.6, session.cancel)
    timer.start()
    answer = session.solve()
    timer.join()
    assert answer.status is Status.INTERRUPTED


def test_a_cancelled_session_can_be_solved_again():
    session = Session(WYNDOR)
    session.cancel()
    assert session.solve().status is Status.OPTIMAL


def test_sessions_side_by_side_do_not_disturb_each_other():
    programs = [random_program(np.random.default_rng(seed), spread=1.0) for seed in range(24)]
    alone = [Session(arrays).solve().x.tobytes() for arrays in programs]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda arrays: Session(arrays).solve().x.tobytes(), programs))
    assert together == alone


def test_the_number_of_threads_may_change():
    values = [Session(WYNDOR, SolverOptions(threads=count)).solve().objective for count in (1, 2, 1)]
    assert values == pytest.approx([-36.0] * 3)


def run_python(code, **options):
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def test_stdout_carries_nothing_of_the_solver():
    code = (
        "from tests.program.solver.test_session import WYNDOR, Session, dewright\n"
        "print('{')\n"
        "for arrays in (WYNDOR, dewright(), dewright((0, 1, 2))): Session(arrays).solve()\n"
        "print('}')\n"
    )
    process = run_python(code)
    out, err = process.communicate(timeout=60)
    assert (out, err, process.returncode) == ("{\n}\n", "", 0)


@pytest.mark.skipif(os.name == "nt", reason="sends a POSIX signal")
def test_ctrl_c_stops_a_long_solve():
    code = (
        "from tests.program.solver.test_session import Session, hard_program\n"
        "print('ready', flush=True)\n"
        "try: Session(hard_program()).solve()\n"
        "except KeyboardInterrupt: print('stopped', flush=True)\n"
    )
    process = run_python(code)
    assert process.stdout.readline() == "ready\n"
    threading.Event().wait(0.5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (out, process.returncode) == ("stopped\n", 0), err
