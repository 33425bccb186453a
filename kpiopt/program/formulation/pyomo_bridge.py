"""The open door: the same program as a Pyomo model, for an engineer's own rules and for any other solver.

The model is written generically from the blocks, so there is no second formulation: one indexed `Var` for each block of
columns, one indexed `Constraint` for each block of rows, one `Objective` for each step (the first is active). Members
are indexed by their labels, such as `model.stretch["north/sales"]` or `model.capacity_hours["north"]`.

Pyomo takes more than half a second to import, so this module is imported only when it is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyomo.environ as pyo
import scipy.sparse as sp
from pyomo.core.expr.numeric_expr import LinearExpression

from kpiopt.program.formulation.blocks import Columns, LinearProgram, Objective, Reference, Rows, Terms
from kpiopt.program.trust.arrays import Floats, ProgramArrays


@dataclass(frozen=True)
class PyomoProgram:
    """A Pyomo model and its members in the order of the program.

    Attributes
    ----------
    model : pyomo ConcreteModel
    columns : tuple of variable data, (n_columns,)
    rows : tuple of constraint data, (n_rows,)
    objectives : tuple of objective data
        One for each step; the reference is the last.
    """

    model: Any
    columns: tuple[Any, ...]
    rows: tuple[Any, ...]
    objectives: tuple[Any, ...]


def component_name(block: str) -> str:
    """Return a block's name as a Python attribute: "capacity.hours" -> "capacity_hours"."""
    return re.sub(r"\W", "_", block)


def build_pyomo(program: LinearProgram) -> PyomoProgram:
    """Write a program as a Pyomo model."""
    model = pyo.ConcreteModel(name=component_name(program.name))
    columns = [v for block in program.columns for v in _add_variables(model, block)]
    rows = list(_add_constraints(model, program, columns))
    steps = {o.label: _linear(o.cost, columns, o.offset) for o in program.objectives}
    if program.reference is not None:
        steps["reference"] = _quadratic(program.reference, columns)
    objectives = [_add_objective(model, label, expression) for label, expression in steps.items()]
    for component in objectives[1:]:
        component.deactivate()
    return PyomoProgram(model, tuple(columns), tuple(rows), tuple(objectives))


def _add_variables(model: Any, block: Columns) -> list[Any]:
    labels = [block.label(i) for i in range(len(block))]
    variables = pyo.Var(labels, domain=pyo.Reals)
    model.add_component(component_name(block.name), variables)
    members = [variables[label] for label in labels]
    for i, member in enumerate(members):
        member.setlb(_side(block.lower[i]))
        member.setub(_side(block.upper[i]))
        if block.integer[i]:
            member.domain = pyo.Integers
    return members


def _side(value: float) -> float | None:
    """Pyomo writes an open side as None."""
    return float(value) if np.isfinite(value) else None


def _add_constraints(model: Any, program: LinearProgram, columns: Sequence[Any]) -> Iterator[Any]:
    arrays = program.arrays()
    for block in program.rows:
        labels = [block.label(i) for i in range(len(block))]
        constraints = pyo.Constraint(labels)
        model.add_component(component_name(block.name), constraints)
        for i, label in enumerate(labels):
            constraints.add(label, _relation(arrays, block.start + i, columns))
            yield constraints[label]


def _relation(arrays: ProgramArrays, row: int, columns: Sequence[Any]) -> tuple[float | None, Any, float | None]:
    """Return lower, body and upper of a row; a linear expression of its own also where the row has no terms."""
    inside = slice(arrays.matrix.indptr[row], arrays.matrix.indptr[row + 1])
    body = LinearExpression(
        linear_coefs=arrays.matrix.data[inside].tolist(),
        linear_vars=[columns[j] for j in arrays.matrix.indices[inside].tolist()],
    )
    lower, upper = _side(arrays.row_lower[row]), _side(arrays.row_upper[row])
    return lower, body, float("inf") if lower is None and upper is None else upper


def _add_objective(model: Any, label: str, expression: Any) -> Any:
    component = pyo.Objective(expr=expression)
    model.add_component(f"step_{component_name(label)}", component)
    return component


def _linear(cost: Floats, columns: Sequence[Any], offset: float) -> Any:
    used = np.flatnonzero(cost).tolist()
    return LinearExpression(
        constant=offset, linear_coefs=[float(cost[j]) for j in used], linear_vars=[columns[j] for j in used]
    )


def _quadratic(reference: Reference, columns: Sequence[Any]) -> Any:
    decided = np.flatnonzero(reference.weight).tolist()
    terms = (float(reference.weight[j]) * (columns[j] - float(reference.centre[j])) ** 2 for j in decided)
    return pyo.quicksum(terms) + reference.offset


def program_of_arrays(arrays: ProgramArrays) -> LinearProgram:
    """Return plain arrays as a program with one block of columns "x" and one of rows "row"."""
    columns = Columns("x", 0, arrays.column_lower, arrays.column_upper, arrays.integer, str)
    entries = sp.coo_array(arrays.matrix)
    row, column = (axis.astype(np.int64) for axis in (entries.row, entries.col))
    rows = Rows("row", 0, arrays.row_lower, arrays.row_upper, (Terms(columns, row, column, entries.data),), str)
    objective = Objective("step", None, arrays.cost, arrays.offset)
    return LinearProgram("arrays", (columns,), (rows,), (objective,), None)
