"""Shadow prices against finite differences: a limit is moved, inside and outside its range, and all solved again."""

from dataclasses import replace

import numpy as np
import pytest

from kpiopt.graph import build_graph
from kpiopt.program.formulation.cascade import build_cascade
from kpiopt.program.order import prices
from kpiopt.program.order.prices import price_limits
from kpiopt.program.order.slopes import MovingLimits
from kpiopt.program.order.steps import InfeasibleProgram
from kpiopt.program.order.whole_numbers import solve_program
from kpiopt.program.solver.answer import SolverOptions
from kpiopt.scenario.scenario import Budget, Decide, Goal
from tests.builders import Cell, build_initiative, build_kpi, build_scenario, build_units
from tests.nights import rest_at_night

PARENTS = {"co": None, "north": "co", "south": "co", "ann": "north", "bob": "north", "cid": "south"}
PEOPLE = ("ann", "bob", "cid")


def organization(seed):
    """Three people, two KPIs in round numbers, so that limits often meet in one point; tight hours, pay and cash."""
    rng = np.random.default_rng(seed)
    hours = {u: float(rng.integers(1, 5) * 5) for u in PARENTS if rng.random() < 0.6}
    units = build_units(PARENTS, levels=dict.fromkeys(PEOPLE, "person"), capacity={"hours": hours} if hours else None)
    rows = [
        Cell(
            u,
            k,
            100.0,
            high=float(rng.integers(1, 5) * 5),
            low=float(rng.choice([0.0, 0.0, 0.0, 1.0])),
            pay_rate=float(rng.integers(0, 3)),
            effort={"hours": float(rng.integers(0, 3))},
        )
        for u in PEOPLE
        for k in ("calls", "deals")
    ]
    goals = [
        Goal("deals", "deals", 0, 300.0 + float(rng.integers(1, 6) * 10), priority=1),
        Goal("calls", "calls", 0, 300.0 + float(rng.integers(1, 6) * 10), priority=int(rng.integers(1, 3))),
    ]
    training = build_initiative(
        "training",
        [units.position["north"], units.position["south"]],
        maximum=float(rng.integers(1, 4)),
        whole=bool(rng.random() < 0.3),
        uses={"cash": 10.0, "hours": 1.0},
        effects={"deals": 4.0},
    )
    budgets = [Budget("pay", "pay", float(rng.integers(1, 9) * 10), 0), Budget("cash", "cash", 20.0, 0)]
    orders = [("goals", "fairness", "cost"), ("goals", "cost"), ("maximize", "fairness")]
    return build_scenario(
        units,
        [build_kpi("calls"), build_kpi("deals")],
        rows,
        goals=goals,
        budgets=budgets,
        initiatives=[training],
        decide=Decide(
            order=(*orders[int(rng.integers(3))], "reference"),
            slack={"fairness": 0.1} if rng.random() < 0.3 else {},
            peers=("level",),
            effort_price={"hours": float(rng.integers(0, 3))},
        ),
    )


def moved(scenario, name, value):
    """The same organization with one limit at another value."""
    kind, _, rest = name.partition(".")
    if kind == "budget":
        return replace(scenario, budgets={**scenario.budgets, rest: replace(scenario.budgets[rest], limit=value)})
    resource, _, unit = rest.partition("@")
    capacity = scenario.units.capacity[resource].copy()
    capacity[scenario.units.position[unit]] = value
    return replace(scenario, units=replace(scenario.units, capacity={**scenario.units.capacity, resource: capacity}))


def solved(scenario, levels=None):
    """Solve; `levels` fixes the initiatives that are whole."""
    cascade = build_cascade(build_graph(scenario))
    program = cascade.program
    if levels is not None:
        block = replace(cascade.columns.level, lower=levels, upper=levels, integer=np.zeros(len(levels), dtype=bool))
        program = replace(program, columns=tuple(block if c.name == "level" else c for c in program.columns))
    return cascade, solve_program(program, SolverOptions())


def values(scenario, name, value, levels):
    """The values of all steps but the reference with a limit moved."""
    _, solution = solved(moved(scenario, name, value), levels)
    return np.array([step.value for step in solution.steps[:-1]])


def pieces(scenario):
    """Every binding limit with its pieces, the values of the steps, and the levels to hold."""
    cascade, solution = solved(scenario)
    arrays = cascade.program.arrays()
    levels = None
    if arrays.integer.any():
        levels = np.rint(cascade.columns.level.of(solution.x))
        arrays = build_cascade(build_graph(scenario)).program.arrays()
        at = cascade.columns.level.positions
        arrays.column_lower[at] = arrays.column_upper[at] = levels
        arrays = replace(arrays, integer=np.zeros(arrays.n_columns, dtype=bool))
    bound = [x for x, r in zip(cascade.limits, price_limits(cascade, solution), strict=True) if r.binding]
    sizes = np.ones(arrays.n_rows)
    moving = MovingLimits(cascade.program, arrays, solution, sizes)
    found = moving.slopes(np.array([x.row for x in bound], dtype=np.int64))
    here = np.array([step.value for step in solution.steps[:-1]])
    return [(limit, slopes, here, levels) for limit, slopes in zip(bound, found, strict=True)]


def expected(piece, here, move):
    """What the values should be after a move: one step on its slope, the steps before unchanged; later ones open."""
    last = len(here) if piece.position is None else piece.position + 1
    then = here[:last].copy()
    if piece.position is not None:
        then[-1] -= piece.slope * move
    return then


def check_piece(scenario, limit, piece, here, levels, direction):
    """Compare with re-solved values half way to the piece's end, and beyond the end."""
    end = (piece.upper if direction > 0 else piece.lower) + limit.base
    length = abs(end - limit.value)
    inside = direction * min(0.5 * length, 3.0)
    then = expected(piece, here, inside)
    np.testing.assert_allclose(values(scenario, limit.name, limit.value + inside, levels)[: len(then)], then, atol=1e-9)
    if not np.isfinite(end):
        return 1
    outside = direction * (length + 0.25)
    then = expected(piece, here, outside)
    try:
        found = values(scenario, limit.name, limit.value + outside, levels)[: len(then)]
    except InfeasibleProgram:
        return 2
    assert np.abs(found - then).max(initial=0.0) > 1e-7, (limit.name, direction, piece)
    return 2


@pytest.mark.parametrize("start", rest_at_night(range(0, 200, 5), 1))
def test_prices_are_finite_differences_inside_their_range_and_not_outside(start):
    checked = kinks = 0
    for seed in range(start, start + 5):
        scenario = organization(seed)
        try:
            found = pieces(scenario)
        except InfeasibleProgram:
            continue
        for limit, slopes, here, levels in found:
            for piece, direction in ((slopes.less, -1.0), (slopes.more, 1.0)):
                assert piece is not None
                if np.isinf(piece.slope):
                    with pytest.raises(InfeasibleProgram):
                        values(scenario, limit.name, limit.value - 0.01, levels)
                else:
                    checked += check_piece(scenario, limit, piece, here, levels, direction)
            kinks += slopes.less is not slopes.more
            if slopes.less.position == slopes.more.position:
                assert slopes.less.slope >= slopes.more.slope - 1e-12
    assert checked >= 10
    assert kinks >= 1


def two_sellers(hours, *, target=220.0, whole=False):
    """Ann sells by hours, one a deal; Bob for 5 USD a deal, at most 10; 20 more deals are wanted."""
    units = build_units({"co": None, "ann": "co", "bob": "co"}, capacity={"hours": {"ann": hours}})
    rows = [
        Cell("ann", "deals", 100.0, high=50.0, effort={"hours": 1.0}),
        Cell("bob", "deals", 100.0, high=10.0, pay_rate=5.0),
    ]
    fair = build_initiative("fair", [0], maximum=3.0, whole=whole, uses={"cash": 7.0}, effects={"deals": 4.0})
    return build_scenario(
        units,
        [build_kpi("deals")],
        rows,
        goals=[Goal("deals", "deals", 0, target)],
        budgets=[Budget("cash", "cash", 0.0 if not whole else 10.0, 0)],
        initiatives=[fair],
        decide=Decide(order=("goals", "cost", "reference")),
    )


def priced(scenario):
    return {limit.name: limit for limit in price_limits(*solved(scenario))}


def test_a_limit_between_two_steps_has_two_prices():
    """With 10 hours the goal is just met: an hour less costs a twentieth of the goal, an hour more saves 5 USD."""
    hours = priced(two_sellers(10.0))["capacity.hours@ann"]
    assert (hours.step_less, hours.price_less) == ("goals 1", pytest.approx(0.05, rel=1e-12))
    assert (hours.step_more, hours.price_more) == ("cost", pytest.approx(5.0, rel=1e-12))
    assert (hours.step, hours.shadow_price, hours.unit) == ("cost", hours.price_more, "USD per hours")
    assert (hours.lower, hours.upper) == (pytest.approx(10.0), pytest.approx(20.0))


@pytest.mark.parametrize(
    ("hours", "step", "price", "lower", "upper"), [(6.0, "goals 1", 0.05, 0.0, 10.0), (14.0, "cost", 5.0, 10.0, 20.0)]
)
def test_away_from_the_kink_both_sides_are_one(hours, step, price, lower, upper):
    limit = priced(two_sellers(hours))["capacity.hours@ann"]
    assert (limit.step, limit.step_less, limit.step_more) == (step, step, step)
    assert (limit.shadow_price, limit.price_less, limit.price_more) == pytest.approx((price, price, price))
    assert (limit.lower, limit.upper) == pytest.approx((lower, upper), abs=1e-9)


def test_where_more_is_worth_nothing_the_price_is_that_of_less():
    """With 20 hours Ann does it all: more is worth nothing, less would cost 5 USD an hour."""
    hours = priced(two_sellers(20.0))["capacity.hours@ann"]
    assert (hours.price_less, hours.price_more, hours.step_more) == (pytest.approx(5.0), 0.0, None)
    assert (hours.step, hours.shadow_price) == ("cost", pytest.approx(5.0))
    assert (hours.lower, hours.upper) == pytest.approx((10.0, 20.0))


def test_a_limit_with_room_has_no_price():
    hours = priced(two_sellers(30.0))["capacity.hours@ann"]
    assert (hours.binding, hours.step, hours.shadow_price, hours.price_less) == (False, None, None, None)


def test_a_budget_of_nothing_may_have_a_price_and_no_less():
    """Cash buys 4 deals for 7 USD: each USD brings the goal 4/7 of a deal closer. Nobody can spend less than 0."""
    cash = priced(two_sellers(2.0))["budget.cash"]
    assert (cash.step, cash.shadow_price) == ("goals 1", pytest.approx(4.0 / 7.0 / 20.0))
    assert np.isinf(cash.price_less)
    assert (cash.lower, cash.upper) == pytest.approx((0.0, 14.0))


def test_whole_numbers_are_held_while_prices_are_found():
    """One fair for 7 of the 10 USD; the hours' price is that of the deals that are left to do."""
    limits = priced(two_sellers(2.0, whole=True))
    assert not limits["budget.cash"].binding
    hours = limits["capacity.hours@ann"]
    assert (hours.step, hours.shadow_price) == ("goals 1", pytest.approx(0.05))
    assert (hours.lower, hours.upper) == pytest.approx((0.0, 6.0), abs=1e-9)


def test_in_very_large_programs_the_solver_s_own_duals_serve(monkeypatch):
    exact = priced(two_sellers(14.0))["capacity.hours@ann"]
    monkeypatch.setattr(prices, "WORK", 0)
    limit = priced(two_sellers(14.0))["capacity.hours@ann"]
    assert (limit.step, limit.unit) == (exact.step, exact.unit)
    found = (limit.shadow_price, limit.price_less, limit.price_more, limit.lower, limit.upper)
    assert found == pytest.approx((5.0, 5.0, 5.0, 10.0, 20.0))
