"""Exported files mean the same program: read back by a solver that has nothing to do with the writer."""

import highspy
import numpy as np
import pytest
import scipy.optimize as so

from kpiopt.errors import UsageError
from kpiopt.program.formulation.blocks import LinearProgram, Objective, ProgramBuilder, Reference, Terms
from kpiopt.program.formulation.exchange import choose_step, export_lines, unique_names
from tests.nights import rest_at_night


def random_program(seed: int) -> LinearProgram:
    """A bounded program with equalities, one-sided and two-sided rows, whole numbers and odd names."""
    rng = np.random.default_rng(seed)
    builder = ProgramBuilder(f"Plän {seed}")
    x = builder.add_columns("stretch", -rng.random(4), 1 + rng.random(4), ["nörth", "sales", "é", "e5"].__getitem__)
    y = builder.add_columns("level", np.zeros(2), np.full(2, 3.0), lambda i: f"a+{i}", np.ones(2, dtype=bool))
    for name, lower, upper in [
        ("balance", 0.1, 0.1),
        ("range", -0.7, 1.3),
        ("most", -np.inf, 2.5),
        ("least", -3.0, np.inf),
    ]:
        terms = [
            Terms(x, np.zeros(4, int), np.arange(4), rng.normal(size=4)),
            Terms(y, np.zeros(2, int), np.arange(2), rng.normal(size=2)),
        ]
        builder.add_rows(name, terms, np.array([lower]), np.array([upper]), lambda _: "hours@ü")
    goals = Objective("goals", 1, np.append(rng.normal(size=4), rng.normal(size=2)), offset=1 / 3)
    weight = np.append(0.1 + rng.random(4), [0.0, 0.0])
    return builder.finish([goals], Reference(weight, rng.normal(size=6) * (weight > 0), offset=0.25))


def solved(program: LinearProgram, file_format: str, step: str, tmp_path) -> tuple[float, highspy.Highs]:
    path = tmp_path / f"program.{file_format}"
    path.write_text("\n".join(export_lines(program, file_format, step)) + "\n")
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("mip_rel_gap", 0.0)
    assert solver.readModel(str(path)) == highspy.HighsStatus.kOk
    solver.run()
    assert solver.getModelStatus() == highspy.HighsModelStatus.kOptimal
    return solver.getObjectiveValue(), solver


@pytest.mark.parametrize("file_format", ["lp", "mps"])
@pytest.mark.parametrize("seed", rest_at_night(range(8), 4))
def test_exported_program_has_the_same_optimum(file_format, seed, tmp_path):
    program = random_program(seed)
    arrays = program.arrays(program.objectives[0])
    expected = so.milp(
        arrays.cost,
        constraints=so.LinearConstraint(arrays.matrix, arrays.row_lower, arrays.row_upper),
        bounds=so.Bounds(arrays.column_lower, arrays.column_upper),
        integrality=arrays.integer.astype(int),
    )
    value, _ = solved(program, file_format, "goals 1", tmp_path)
    assert value == pytest.approx(expected.fun + arrays.offset, abs=1e-9)


@pytest.mark.parametrize("file_format", ["lp", "mps"])
def test_exported_arrays_are_equal_to_the_last_bit(file_format, tmp_path):
    program = random_program(3)
    arrays = program.arrays(program.objectives[0])
    _, solver = solved(program, file_format, "goals 1", tmp_path)
    model = solver.getLp()
    assert list(model.col_cost_) == arrays.cost.tolist()
    assert list(model.col_lower_) == arrays.column_lower.tolist()
    assert list(model.col_upper_) == arrays.column_upper.tolist()
    assert model.offset_ == arrays.offset
    assert sorted(set(model.a_matrix_.value_)) == sorted(set(arrays.matrix.data.tolist()))


@pytest.mark.parametrize("file_format", ["lp", "mps"])
def test_the_reference_is_exported_as_a_quadratic_objective(file_format, tmp_path):
    program = random_program(5)
    arrays, square = choose_step(program, "reference")
    path = tmp_path / f"program.{file_format}"
    path.write_text("\n".join(export_lines(program, file_format, "reference")) + "\n")
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    assert solver.readModel(str(path)) == highspy.HighsStatus.kOk
    solver.setOptionValue("solve_relaxation", True)
    solver.run()
    x = np.array(solver.getSolution().col_value)
    assert solver.getObjectiveValue() == pytest.approx(program.reference.value(x), abs=1e-7)
    assert square @ x**2 / 2 + arrays.cost @ x + arrays.offset == pytest.approx(program.reference.value(x), abs=1e-9)


def test_unknown_step_names_the_known_ones():
    with pytest.raises(UsageError, match="goals 1, reference"):
        export_lines(random_program(0), "lp", "goal")


def test_names_are_plain_and_unique():
    names = unique_names(["a[b/c]", "a[b c]", "a[b_c]", "a[ü]", "a[ö]", "a[b/c]"])
    assert len(set(names)) == len(names)
    assert all(name.isascii() and " " not in name and "/" not in name for name in names)
