"""Whether an engineer's rules still hold once targets are rounded: rounding itself knows only the file's own limits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp

from kpiopt.errors import Problem
from kpiopt.program.formulation.blocks import Integers, Label
from kpiopt.program.formulation.cascade import Cascade
from kpiopt.program.solver.answer import Status
from kpiopt.program.solver.session import Session
from kpiopt.program.trust.arrays import ProgramArrays
from kpiopt.program.trust.tolerances import ROW_KEPT
from kpiopt.scenario.scenario import Floats


def broken_rules(cascade: Cascade, stretch: Floats, levels: Floats) -> tuple[Problem, ...]:
    """Return a warning for each rule that rounded stretches break; a rule's own variables move as they like.

    Parameters
    ----------
    stretch : (n_cells,) float
        What the rounded targets ask.
    levels : (n_levels,) float
    """
    rules = cascade.program.row_block("rules")
    if rules is None:
        return ()
    arrays, size = _elastic(cascade, stretch, levels)
    answer = Session(arrays).solve()
    if answer.status is not Status.OPTIMAL:
        return (_warning("the rules", "the rules cannot be compared with the rounded targets"),)
    missing = answer.x[cascade.program.n_columns :].reshape(2, -1).max(axis=0)
    return tuple(_broken(np.flatnonzero(missing > ROW_KEPT * size), missing, rules.label))


def _broken(where: Integers, missing: Floats, label: Label) -> Iterator[Problem]:
    for i in where.tolist():
        yield _warning(label(i), f"rounding the targets breaks the rule {label(i)} by {missing[i]:.6g}")


def _warning(rule: str, message: str) -> Problem:
    return Problem(
        "W-rounding-rules",
        message,
        rule="targets are multiples of the KPI's step; the unrounded plan keeps every rule",
        fix=f"leave room of a rounding step in {rule}, or choose a smaller step",
    )


def _elastic(cascade: Cascade, stretch: Floats, levels: Floats) -> tuple[ProgramArrays, Floats]:
    """Return the value rows and the rules over fixed decisions, each rule with a column that buys room on each side."""
    program, columns = cascade.program, cascade.columns
    arrays = program.arrays()
    lower, upper = arrays.column_lower.copy(), arrays.column_upper.copy()
    lower[columns.stretch.positions] = upper[columns.stretch.positions] = stretch[columns.stretch_cell]
    lower[columns.level.positions] = upper[columns.level.positions] = levels
    values, rules = program.row_block("value"), program.row_block("rules")
    kept = np.concatenate([block.positions for block in (values, rules) if block is not None])
    count = 0 if rules is None else len(rules)
    room = sp.vstack([sp.csr_array((len(kept) - count, count)), sp.eye_array(count)])
    size = 1.0 + np.asarray(abs(arrays.matrix[kept[-count:]]) @ np.maximum(np.abs(lower), np.abs(upper)))
    n, twice = program.n_columns, np.tile(size, 2)
    posed = ProgramArrays(
        cost=np.concatenate([np.zeros(n), 1.0 / twice]),
        offset=0.0,
        matrix=sp.csr_array(sp.hstack([arrays.matrix[kept], room, -room])),
        row_lower=arrays.row_lower[kept],
        row_upper=arrays.row_upper[kept],
        column_lower=np.concatenate([lower, np.zeros(2 * count)]),
        column_upper=np.concatenate([upper, 10.0 * twice]),
        integer=np.concatenate([arrays.integer, np.zeros(2 * count, dtype=bool)]),
    )
    return posed, size
