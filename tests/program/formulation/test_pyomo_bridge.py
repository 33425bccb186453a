"""The open door: the Pyomo model says the same as the program, and rules come back from it."""

import numpy as np
import pyomo.environ as pyo
import pytest
from pyomo.repn import generate_standard_repn

from kpiopt.graph import build_graph
from kpiopt.program.formulation.blocks import Objective, ProgramBuilder, Reference, Terms
from kpiopt.program.formulation.cascade import build_cascade
from kpiopt.program.formulation.pyomo_bridge import build_pyomo, component_name, program_of_arrays
from kpiopt.program.formulation.pyomo_rules import RuledProgram, RuleError
from kpiopt.scenario.load import load_scenario
from tests.nights import rest_at_night
from tests.program.random_programs import random_program


def small_program():
    """Two cells and a whole machine: maximise 3 x + 2 y + 4 z under one capacity and an idle budget."""
    build = ProgramBuilder("small plan")
    cells = build.add_columns("stretch", np.zeros(2), np.array([4.0, 6.0]), ["north/sales", "south/sales"].__getitem__)
    machine = build.add_columns("level", np.zeros(1), np.ones(1), ["press@north"].__getitem__, np.array([True]))
    zero = np.zeros(2, dtype=int)
    terms = [
        Terms(cells, zero, np.array([0, 1]), np.array([1.0, 2.0])),
        Terms(machine, zero[:1], zero[:1], np.array([3.0])),
    ]
    build.add_rows("capacity.hours", terms, np.array([-np.inf]), np.array([8.0]), ["north"].__getitem__)
    build.add_rows("budget", [], np.array([-np.inf]), np.array([5.0]), ["care_pay"].__getitem__)
    cost = Objective("cost", None, np.array([-3.0, -2.0, -4.0]), 100.0, 0.0, "USD")
    return build.finish([cost], Reference(np.array([1.0, 2.0, 0.5]), np.array([0.0, 1.0, 0.0]), 0.25))


def coefficients(expression):
    linear = generate_standard_repn(expression)
    pairs = zip(linear.linear_vars, linear.linear_coefs, strict=True)
    return {v.name: c for v, c in pairs if c}, linear.constant


def test_components_are_named_and_indexed_by_the_ids_of_the_file():
    model = build_pyomo(small_program()).model
    assert model.stretch["south/sales"].bounds == (0.0, 6.0)
    assert model.level["press@north"].is_integer()
    body, _ = coefficients(model.capacity_hours["north"].body)
    assert body == {"stretch[north/sales]": 1.0, "stretch[south/sales]": 2.0, "level[press@north]": 3.0}
    assert (model.capacity_hours["north"].lower, model.capacity_hours["north"].upper) == (None, 8.0)


def test_only_the_first_step_is_active_and_all_are_there():
    model = build_pyomo(small_program()).model
    assert [o.name for o in model.component_data_objects(pyo.Objective, active=True)] == ["step_cost"]
    for variable, value in zip(model.component_data_objects(pyo.Var), (1.0, 3.0, 1.0), strict=True):
        variable.value = value
    assert pyo.value(model.step_cost) == 100.0 - 3.0 - 6.0 - 4.0
    assert pyo.value(model.step_reference) == pytest.approx(1.0 + 2.0 * 4.0 + 0.5 + 0.25)


def test_a_row_without_terms_is_still_a_constraint():
    model = build_pyomo(small_program()).model
    assert model.budget["care_pay"].upper == 5.0
    assert coefficients(model.budget["care_pay"].body) == ({}, 0)


@pytest.mark.parametrize("seed", rest_at_night(range(20), 6))
def test_the_model_has_the_numbers_of_the_arrays_to_the_last_bit(seed):
    arrays = random_program(np.random.default_rng(seed), spread=3.0)
    built = build_pyomo(program_of_arrays(arrays))
    for i, row in enumerate(built.rows):
        body, _ = coefficients(row.body)
        dense = arrays.matrix[[i]].toarray()[0]
        assert body == {built.columns[j].name: dense[j] for j in np.flatnonzero(dense).tolist()}
        sides = (-np.inf if row.lower is None else row.lower, np.inf if row.upper is None else row.upper)
        assert sides == (arrays.row_lower[i], arrays.row_upper[i])
    assert coefficients(built.objectives[0].expr)[0] == {
        built.columns[j].name: arrays.cost[j] for j in np.flatnonzero(arrays.cost).tolist()
    }


def test_every_shipped_program_becomes_a_model():
    program = build_cascade(build_graph(load_scenario("scenarios/scorecard.toml"))).program
    built = build_pyomo(program)
    columns = [f"{v.parent_component().name}[{v.index()}]" for v in built.columns]
    assert columns == [program.column_name(j) for j in range(program.n_columns)]
    rows = [(r.parent_component().name, r.index()) for r in built.rows]
    assert rows == [(component_name(b.name), b.label(i)) for b in program.rows for i in range(len(b))]


# Rules


def ruled(add_rules):
    rules = RuledProgram(small_program())
    add_rules(rules.model)
    return rules.read_back()


def test_without_rules_the_program_comes_back_as_it_was():
    assert str(ruled(lambda model: None)) == str(small_program())


def test_a_new_constraint_becomes_a_row():
    def add_rules(model):
        model.together = pyo.Constraint(expr=model.stretch["north/sales"] + 1 >= 2 * model.stretch["south/sales"] - 3)

    program = ruled(add_rules)
    assert program.row_name(2) == "rules[together]"
    arrays = program.arrays()
    side, sign = (arrays.row_lower[2], 1) if np.isfinite(arrays.row_lower[2]) else (arrays.row_upper[2], -1)
    np.testing.assert_array_equal(sign * arrays.matrix[[2]].toarray()[0], [1.0, -2.0, 0.0])
    assert sign * side == -4.0


def test_a_new_variable_becomes_a_column_that_the_objectives_do_not_look_at():
    def add_rules(model):
        model.open = pyo.Var(domain=pyo.Binary)
        model.gate = pyo.Constraint(expr=model.stretch["south/sales"] <= 6 * model.open)

    program = ruled(add_rules)
    block = program.column_block("rules")
    assert (block.label(0), block.lower[0], block.upper[0], bool(block.integer[0])) == ("open", 0.0, 1.0, True)
    assert program.objectives[0].cost[-1] == program.reference.weight[-1] == 0.0
    assert program.arrays().matrix[[2]].toarray()[0].tolist() in ([0.0, 1.0, 0.0, -6.0], [0.0, -1.0, 0.0, 6.0])


def test_boxes_fixed_values_and_whole_numbers_are_taken_over():
    def add_rules(model):
        model.stretch["north/sales"].setub(3)
        model.stretch["south/sales"].domain = pyo.Integers
        model.level["press@north"].fix(1)

    arrays = ruled(add_rules).arrays()
    assert arrays.column_upper.tolist() == [3.0, 6.0, 1.0]
    assert arrays.column_lower.tolist() == [0.0, 0.0, 1.0]
    assert arrays.integer.tolist() == [False, True, True]


def test_rules_in_blocks_and_lists_are_found():
    def add_rules(model):
        model.mine = pyo.Block()
        model.mine.more = pyo.ConstraintList()
        model.mine.more.add(model.stretch["north/sales"] <= 2)
        model.mine.more.add(model.stretch["south/sales"] >= 1)

    program = ruled(add_rules)
    assert [program.row_name(i) for i in (2, 3)] == ["rules[mine.more[1]]", "rules[mine.more[2]]"]


def test_a_rule_that_is_switched_off_does_not_count():
    def add_rules(model):
        model.idle = pyo.Constraint(expr=model.stretch["north/sales"] <= 2)
        model.idle.deactivate()

    assert str(ruled(add_rules)) == str(small_program())


def switch_off(model):
    model.capacity_hours["north"].deactivate()


def delete(model):
    model.del_component(model.capacity_hours)


def replace_body(model):
    model.capacity_hours["north"].set_value(model.stretch["north/sales"] <= 8)


def loosen_side(model):
    model.capacity_hours["north"].set_value((None, model.capacity_hours["north"].body, 9))


def loosen_box(model):
    model.stretch["north/sales"].setub(5)


def open_box(model):
    model.stretch["north/sales"].setlb(None)


def fix_outside(model):
    model.stretch["north/sales"].fix(7)


def square(model):
    model.curved = pyo.Constraint(expr=model.stretch["north/sales"] ** 2 <= 4)


def unbounded(model):
    model.spare = pyo.Var(domain=pyo.NonNegativeReals)
    model.uses_spare = pyo.Constraint(expr=model.stretch["north/sales"] + model.spare <= 4)


def new_objective(model):
    model.step_cost.deactivate()
    model.mine = pyo.Objective(expr=model.stretch["north/sales"])


def other_step(model):
    model.step_cost.set_value(model.stretch["north/sales"])


def special_set(model):
    model.only_one = pyo.SOSConstraint(var=model.stretch, sos=1)


@pytest.mark.parametrize(
    ("rule", "component"),
    [
        (switch_off, "capacity_hours"), (delete, "capacity_hours"), (replace_body, "capacity_hours"),
        (loosen_side, "capacity_hours"), (loosen_box, "stretch"), (open_box, "stretch"), (fix_outside, "stretch"),
        (square, "curved"), (unbounded, "spare"), (new_objective, "mine"), (other_step, "step_cost"),
        (special_set, "only_one"),
    ],
)  # fmt: skip
def test_what_cannot_be_certified_or_takes_away_is_refused_by_name(rule, component):
    with pytest.raises(RuleError) as caught:
        ruled(rule)
    assert caught.value.component.startswith(component)
    assert component in caught.value.problem.message
