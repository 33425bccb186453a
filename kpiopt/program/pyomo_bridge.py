"""The open door: the same program as a Pyomo model, an engineer's own rules on it, and any other solver.

The model is written generically from the blocks, so there is no second formulation: one indexed `Var` for each block of
columns, one indexed `Constraint` for each block of rows, one `Objective` for each step (the first is active). Members
are indexed by their labels, such as `model.stretch["north/sales"]` or `model.capacity_hours["north"]`.

Pyomo takes more than half a second to import, so only this module imports it, and only when it is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyomo.environ as pyo
from pyomo.core.expr.visitor import identify_variables
from pyomo.repn import generate_standard_repn

from kpiopt.errors import ModelError, Problem
from kpiopt.program.arrays import Floats
from kpiopt.program.blocks import Columns, LinearProgram, Objective, Reference, Rows, Terms


@dataclass(frozen=True)
class PyomoProgram:
    """A Pyomo model and its members in the order of the program.

    Attributes
    ----------
    model : pyomo ConcreteModel
    columns : tuple of variable data, (n_columns,)
    rows : tuple of constraint data, (n_rows,)
    """

    model: Any
    columns: tuple[Any, ...]
    rows: tuple[Any, ...]


def component_name(block: str) -> str:
    """Return a block's name as a Python attribute: "capacity.hours" -> "capacity_hours"."""
    return re.sub(r"\W", "_", block)


def build_pyomo(program: LinearProgram) -> PyomoProgram:
    """Write a program as a Pyomo model."""
    model = pyo.ConcreteModel(name=component_name(program.name))
    columns = [v for block in program.columns for v in _add_variables(model, block)]
    rows = list(_add_constraints(model, program, columns))
    for position, objective in enumerate(program.objectives):
        expression = _linear(objective.cost, columns) + objective.offset
        component = pyo.Objective(expr=expression)
        model.add_component(f"step_{component_name(objective.label)}", component)
        if position:
            component.deactivate()
    if program.reference is not None:
        model.step_reference = pyo.Objective(expr=_quadratic(program.reference, columns))
        if program.objectives:
            model.step_reference.deactivate()
    return PyomoProgram(model, tuple(columns), tuple(rows))


def _add_variables(model: Any, block: Columns) -> list[Any]:
    labels = [block.label(i) for i in range(len(block))]
    variables = pyo.Var(labels, domain=pyo.Reals)
    model.add_component(component_name(block.name), variables)
    members = [variables[label] for label in labels]
    for i, member in enumerate(members):
        member.setlb(float(block.lower[i]))
        member.setub(float(block.upper[i]))
        if block.integer[i]:
            member.domain = pyo.Integers
    return members


def _add_constraints(model: Any, program: LinearProgram, columns: Sequence[Any]) -> Iterator[Any]:
    arrays = program.arrays()
    for block in program.rows:
        labels = [block.label(i) for i in range(len(block))]
        constraints = pyo.Constraint(labels)
        model.add_component(component_name(block.name), constraints)
        for i, label in enumerate(labels):
            row = block.start + i
            inside = slice(arrays.matrix.indptr[row], arrays.matrix.indptr[row + 1])
            body = pyo.quicksum(
                (
                    float(value) * columns[j]
                    for j, value in zip(arrays.matrix.indices[inside], arrays.matrix.data[inside], strict=True)
                ),
                linear=True,
            )
            lower, upper = arrays.row_lower[row], arrays.row_upper[row]
            bounds = (None if np.isinf(lower) else float(lower), body, None if np.isinf(upper) else float(upper))
            constraints.add(label, bounds)
            yield constraints[label]


def _linear(cost: Floats, columns: Sequence[Any]) -> Any:
    return pyo.quicksum((float(cost[j]) * columns[j] for j in np.flatnonzero(cost).tolist()), linear=True)


def _quadratic(reference: Reference, columns: Sequence[Any]) -> Any:
    decided = np.flatnonzero(reference.weight).tolist()
    terms = (float(reference.weight[j]) * (columns[j] - float(reference.centre[j])) ** 2 for j in decided)
    return pyo.quicksum(terms) + reference.offset


def read_rules(program: LinearProgram, built: PyomoProgram) -> LinearProgram:
    """Return the program with everything that rules have added to its Pyomo model.

    New variables become the block of columns "rules", new constraints the block of rows "rules"; changed bounds of
    existing variables are taken over.

    Raises
    ------
    ModelError
        Where a rule is not linear, a new variable has no finite box, or an existing constraint was switched off.
    """
    _refuse_removed(built)
    known = {id(v): j for j, v in enumerate(built.columns)}
    old_rows = {id(c) for c in built.rows}
    new_rows = [c for c in built.model.component_data_objects(pyo.Constraint, active=True) if id(c) not in old_rows]
    new_columns = _new_variables(new_rows, known)
    columns = [*_rebounded(program.columns, built.columns)]
    extra = _rule_columns(new_columns, program.n_columns)
    columns += [extra] if new_columns else []
    known |= {id(v): program.n_columns + i for i, v in enumerate(new_columns)}
    rows = [*program.rows, _rule_rows(new_rows, known, columns, program.n_rows)] if new_rows else [*program.rows]
    return replace(
        program,
        columns=tuple(columns),
        rows=tuple(rows),
        objectives=tuple(_longer_objective(o, len(new_columns)) for o in program.objectives),
        reference=program.reference and _longer_reference(program.reference, len(new_columns)),
    )


def _refuse_removed(built: PyomoProgram) -> None:
    removed = [c.name for c in built.rows if not c.active]
    if removed:
        raise _rule_error(f"a rule switched off {removed[0]}", "rules may add to the program, not take away")


def _rule_error(message: str, rule: str, fix: str = "change the rules file") -> ModelError:
    return ModelError(Problem("E-rules", message, rule=rule, fix=fix))


def _new_variables(rows: Sequence[Any], known: dict[int, int]) -> list[Any]:
    found: dict[int, Any] = {}
    for row in rows:
        for variable in identify_variables(row.body, include_fixed=True):
            if id(variable) not in known:
                found.setdefault(id(variable), variable)
    return list(found.values())


def _rebounded(blocks: Sequence[Columns], variables: Sequence[Any]) -> Iterator[Columns]:
    for block in blocks:
        members = variables[block.start : block.start + len(block)]
        lower = np.array([v.value if v.fixed else v.lb for v in members], dtype=float)
        upper = np.array([v.value if v.fixed else v.ub for v in members], dtype=float)
        yield replace(block, lower=np.maximum(lower, block.lower), upper=np.minimum(upper, block.upper))


def _rule_columns(variables: Sequence[Any], start: int) -> Columns:
    for variable in variables:
        if variable.lb is None or variable.ub is None:
            raise _rule_error(
                f"the rules' variable {variable.name} has no finite bounds",
                "the certificate needs a finite box around every variable",
                "give the variable bounds=(low, high)",
            )
    return Columns(
        "rules",
        start,
        np.array([v.lb for v in variables], dtype=float),
        np.array([v.ub for v in variables], dtype=float),
        np.array([v.is_integer() or v.is_binary() for v in variables], dtype=bool),
        lambda i: str(variables[i].name),
    )


def _rule_rows(rows: Sequence[Any], known: dict[int, int], columns: Sequence[Columns], start: int) -> Rows:
    triplets: list[tuple[int, int, float]] = []
    lower, upper = np.full(len(rows), -np.inf), np.full(len(rows), np.inf)
    for i, row in enumerate(rows):
        linear = generate_standard_repn(row.body, compute_values=True)
        if not linear.is_linear():
            raise _rule_error(f"the rule {row.name} is not linear", "only linear rules can be certified")
        constant = float(linear.constant or 0.0)
        lower[i] = -np.inf if row.lower is None else pyo.value(row.lower) - constant
        upper[i] = np.inf if row.upper is None else pyo.value(row.upper) - constant
        pairs = zip(linear.linear_vars, linear.linear_coefs, strict=True)
        triplets += [(i, known[id(variable)], float(coefficient)) for variable, coefficient in pairs]
    terms = tuple(_terms_of(block, triplets) for block in columns)
    return Rows("rules", start, lower, upper, terms, lambda i: str(rows[i].name))


def _terms_of(block: Columns, triplets: Sequence[tuple[int, int, float]]) -> Terms:
    inside = [t for t in triplets if block.start <= t[1] < block.start + len(block)]
    row, column, value = zip(*inside, strict=True) if inside else ((), (), ())
    member = np.array(column, dtype=np.int64) - block.start
    return Terms(block, np.array(row, dtype=np.int64), member, np.array(value, dtype=float))


def _longer_objective(objective: Objective, more: int) -> Objective:
    return replace(objective, cost=np.append(objective.cost, np.zeros(more)))


def _longer_reference(reference: Reference, more: int) -> Reference:
    zeros = np.zeros(more)
    return Reference(np.append(reference.weight, zeros), np.append(reference.centre, zeros), reference.offset)
