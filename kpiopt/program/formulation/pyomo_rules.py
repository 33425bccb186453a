"""An engineer's own rules: what a Python file adds to the Pyomo model of a program, read back into the program.

Rules may add variables and linear constraints, tighten boxes, fix variables, and ask for whole numbers. They may not
take away, loosen or replace anything: the strict order and the limits of the file stay what the planner wrote.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyomo.environ as pyo
from pyomo.core.expr.visitor import identify_variables
from pyomo.repn import generate_standard_repn

from kpiopt.errors import Problem
from kpiopt.program.formulation.blocks import Columns, LinearProgram, Reference, Rows, Terms
from kpiopt.program.formulation.pyomo_bridge import build_pyomo

UNDERSTOOD = {
    pyo.Var, pyo.Constraint, pyo.Objective, pyo.Param, pyo.Set, pyo.RangeSet, pyo.Expression, pyo.Block, pyo.Suffix,
}  # fmt: skip


class RuleError(Exception):
    """A rule that cannot be taken over; `component` is the Pyomo component it is about."""

    def __init__(self, component: str, message: str, rule: str, fix: str = "change the rules file") -> None:
        super().__init__(message)
        self.component, self.problem = component, Problem("E-rules", message, rule=rule, fix=fix)


class RuledProgram:
    """A program as a Pyomo model that rules may add to.

    Attributes
    ----------
    model : pyomo ConcreteModel
    """

    def __init__(self, program: LinearProgram) -> None:
        self._program = program
        self._built = build_pyomo(program)
        self._relations = [(row.name, row.lower, row.body, row.upper) for row in self._built.rows]
        self._steps = [objective.expr for objective in self._built.objectives]
        self.model = self._built.model

    def read_back(self) -> LinearProgram:
        """Return the program with everything that rules have added to the model.

        New variables become the block of columns "rules", new constraints the block of rows "rules"; tightened boxes
        of existing variables are taken over.

        Raises
        ------
        RuleError
            Where a rule is not linear, a new variable has no finite box, or something was taken away or loosened.
        """
        _refuse_unknown_kinds(self.model)
        self._refuse_changes()
        program, built = self._program, self._built
        known = {id(v): j for j, v in enumerate(built.columns)}
        old = {id(c) for c in built.rows}
        rows = [c for c in self.model.component_data_objects(pyo.Constraint, active=True) if id(c) not in old]
        new = _new_variables(rows, known)
        known |= {id(v): program.n_columns + i for i, v in enumerate(new)}
        columns = [*_tightened(program.columns, built.columns)]
        columns += [_rule_columns(new, program.n_columns)] if new else []
        return replace(
            program,
            columns=tuple(columns),
            rows=(*program.rows, _rule_rows(rows, known, columns, program.n_rows)) if rows else program.rows,
            objectives=tuple(replace(o, cost=np.append(o.cost, np.zeros(len(new)))) for o in program.objectives),
            reference=program.reference and _longer_reference(program.reference, len(new)),
        )

    def _refuse_changes(self) -> None:
        active = {id(c) for c in self.model.component_data_objects(pyo.Constraint, active=True)}
        for row, (name, lower, body, upper) in zip(self._built.rows, self._relations, strict=True):
            if id(row) not in active:
                raise RuleError(name, f"a rule takes {name} away", "rules add to the program")
            if row.body is not body or (row.lower, row.upper) != (lower, upper):
                raise RuleError(name, f"a rule changes {name}", "rules add to the program", "add a constraint")
        steps = dict(zip(map(id, self._built.objectives), self._steps, strict=True))
        for objective in self.model.component_data_objects(pyo.Objective, active=True):
            if steps.get(id(objective)) is not objective.expr:
                raise RuleError(
                    objective.name,
                    f"a rule sets the objective {objective.name}",
                    "the order of objectives is the planner's: [decide] order",
                )


def _refuse_unknown_kinds(model: Any) -> None:
    """What is not understood would be lost without a word."""
    for component in model.component_objects(active=True, descend_into=True):
        if component.ctype not in UNDERSTOOD:
            kind = component.ctype.__name__
            raise RuleError(
                component.name,
                f"{component.name} is a {kind}",
                "rules are variables and linear constraints",
                "write it as linear constraints, with whole-number variables where needed",
            )


def _new_variables(rows: Sequence[Any], known: dict[int, int]) -> list[Any]:
    found: dict[int, Any] = {}
    for row in rows:
        for variable in identify_variables(row.body, include_fixed=True):
            if id(variable) not in known:
                found.setdefault(id(variable), variable)
    return list(found.values())


def _tightened(blocks: Sequence[Columns], variables: Sequence[Any]) -> Iterator[Columns]:
    """Take over boxes, fixed values and domains of existing variables."""
    for block in blocks:
        members = variables[block.start : block.start + len(block)]
        boxes = [_box(v) for v in members]
        lower, upper = np.array([low for low, _ in boxes]), np.array([high for _, high in boxes])
        for i in np.flatnonzero((lower < block.lower) | (upper > block.upper)).tolist():
            raise RuleError(
                members[i].parent_component().name,
                f"a rule lets {members[i].name} leave its box {block.lower[i]:g} … {block.upper[i]:g}",
                "rules may tighten a box, not loosen it",
                "change the box in the scenario (min_stretch, max_stretch, max)",
            )
        yield replace(block, lower=lower, upper=upper, integer=np.array([_is_whole(v) for v in members], dtype=bool))


def _box(variable: Any) -> tuple[float, float]:
    """Return the box of a variable, infinite where it is open."""
    if variable.fixed:
        return float(pyo.value(variable)), float(pyo.value(variable))
    lower, upper = variable.lb, variable.ub
    return -np.inf if lower is None else float(lower), np.inf if upper is None else float(upper)


def _is_whole(variable: Any) -> bool:
    return bool(variable.is_integer() or variable.is_binary())


def _rule_columns(variables: Sequence[Any], start: int) -> Columns:
    boxes = [_box(v) for v in variables]
    for variable, box in zip(variables, boxes, strict=True):
        if not np.all(np.isfinite(box)):
            raise RuleError(
                variable.parent_component().name,
                f"the variable {variable.name} has no finite bounds",
                "the certificate needs a finite box around every variable",
                "give the variable bounds=(low, high)",
            )
    return Columns(
        "rules",
        start,
        np.array([low for low, _ in boxes]),
        np.array([high for _, high in boxes]),
        np.array([_is_whole(v) for v in variables], dtype=bool),
        [str(v.name) for v in variables].__getitem__,  # now: a component of Pyomo does not keep its model alive
    )


def _rule_rows(rows: Sequence[Any], known: dict[int, int], columns: Sequence[Columns], start: int) -> Rows:
    triplets: list[tuple[int, int, float]] = []
    lower, upper = np.full(len(rows), -np.inf), np.full(len(rows), np.inf)
    for i, row in enumerate(rows):
        linear = generate_standard_repn(row.body, compute_values=True)
        if not linear.is_linear():
            raise RuleError(
                row.parent_component().name,
                f"the constraint {row.name} is not linear",
                "only linear rules can be certified",
                "write it as linear constraints",
            )
        constant = float(linear.constant or 0.0)
        lower[i] = -np.inf if row.lb is None else row.lb - constant
        upper[i] = np.inf if row.ub is None else row.ub - constant
        pairs = zip(linear.linear_vars, linear.linear_coefs, strict=True)
        triplets += [(i, known[id(variable)], float(coefficient)) for variable, coefficient in pairs]
    terms = tuple(_terms_of(block, triplets) for block in columns)
    return Rows("rules", start, lower, upper, terms, [str(row.name) for row in rows].__getitem__)


def _terms_of(block: Columns, triplets: Sequence[tuple[int, int, float]]) -> Terms:
    inside = [t for t in triplets if block.start <= t[1] < block.start + len(block)]
    row, column, value = zip(*inside, strict=True) if inside else ((), (), ())
    member = np.array(column, dtype=np.int64) - block.start
    return Terms(block, np.array(row, dtype=np.int64), member, np.array(value, dtype=float))


def _longer_reference(reference: Reference, more: int) -> Reference:
    zeros = np.zeros(more)
    return Reference(np.append(reference.weight, zeros), np.append(reference.centre, zeros), reference.offset)
