"""A program as an LP or MPS file, for other solvers.

One objective of the strict order at a time, over the limits of the program that is given: that of the first step, or
what the steps before have left of it.
Numbers are written with all their digits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpiopt.errors import Problem, UsageError
from kpiopt.program.formulation.blocks import LinearProgram, Objective, Reference
from kpiopt.program.trust.arrays import Floats, ProgramArrays, dot

Positions = NDArray[np.integer[Any]]
FORMATS = ("lp", "mps")
TERMS_PER_LINE = 4
LONGEST = 200
"""Characters of a name, before the number that tells it from others: readers take 255."""
NOTHING = "nothing_to_decide"
"""A column that is 0, where a program has none: the LP format knows no sum without one."""


def export_lines(program: LinearProgram, file_format: str, step: str | None = None) -> Iterator[str]:
    """Yield the lines of the file.

    Parameters
    ----------
    file_format : str
        "lp" (CPLEX LP) or "mps" (free MPS).
    step : str, optional
        Label of an objective such as "goals 1", "fairness" or "reference"; the first by default.

    Raises
    ------
    UsageError
        When there is no such step.
    """
    arrays, square = choose_step(program, step)
    columns = unique_names([program.column_name(j) for j in range(program.n_columns)])
    rows = unique_names([program.row_name(i) for i in range(program.n_rows)])
    write = _lp_lines if file_format == "lp" else _mps_lines
    return write(program.name, arrays, square, columns, rows)


def choose_step(program: LinearProgram, step: str | None) -> tuple[ProgramArrays, Floats]:
    """Return the program with the objective of a step, and the diagonal of its quadratic part (1/2 x'Dx)."""
    zero = np.zeros(program.n_columns)
    objectives: dict[str, Objective | Reference] = {objective.label: objective for objective in program.objectives}
    if program.reference is not None:
        objectives["reference"] = program.reference
    if step is not None and step not in objectives:
        raise UsageError(
            Problem("E-step", f"the program has no step {step!r}", fix=f"choose one of: {', '.join(objectives)}")
        )
    chosen = objectives[step] if step else next(iter(objectives.values()), Objective("feasibility", None, zero))
    if isinstance(chosen, Objective):
        return program.arrays(chosen), zero
    linear = -2.0 * chosen.weight * chosen.centre
    offset = chosen.offset + dot(chosen.weight, chosen.centre**2)
    return program.arrays(Objective("reference", None, linear, offset)), 2.0 * chosen.weight


def unique_names(names: Sequence[str]) -> list[str]:
    """Return names that every reader of LP and MPS files takes: short, of letters, digits, "_", ".", "@", no two equal.

    Examples
    --------
    >>> unique_names(["stretch[north/sales]", "stretch[north/säles]", "stretch[north/sÄles]"])
    ['stretch.north.sales', 'stretch.north.s_les', 'stretch.north.s_les_2']
    """
    taken: set[str] = set()
    plain = (re.sub(r"[^A-Za-z0-9_.@]", "_", re.sub(r"[\[/]", ".", name.rstrip("]"))) for name in names)
    return [_unused(name[:LONGEST], taken) for name in plain]


def _unused(name: str, taken: set[str]) -> str:
    free, number = name, 1
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    taken.add(free)
    return free


def _lp_lines(
    title: str, arrays: ProgramArrays, square: Floats, columns: Sequence[str], rows: Sequence[str]
) -> Iterator[str]:
    yield f"\\ {re.sub(r'[^ -~]', '_', title)}"
    yield "Minimize"
    yield " obj:"
    used = np.flatnonzero(arrays.cost)
    yield from _sum_lines(arrays.cost[used], used, columns)
    if arrays.offset:
        yield f"  {arrays.offset:+.17g}"
    if square.any():
        yield "  + ["
        used = np.flatnonzero(square)
        first, *rest = _sum_lines(square[used], used, [f"{name} ^2" for name in columns])
        yield from (first.replace("+", "", 1), *rest)  # SCIP takes no sign after the bracket
        yield "  ] / 2"
    yield "Subject To"
    for i, name in enumerate(rows):
        yield from _lp_row(name, arrays, i, columns)
    yield "Bounds"
    if not columns:
        yield f" {NOTHING} = 0"
    bounds = zip(arrays.column_lower.tolist(), columns, arrays.column_upper.tolist(), strict=True)
    yield from (f" {lower:.17g} <= {name} <= {upper:.17g}" for lower, name, upper in bounds)
    if arrays.integer.any():
        yield "General"
        yield from (f" {columns[j]}" for j in np.flatnonzero(arrays.integer).tolist())
    yield "End"


def _lp_row(name: str, arrays: ProgramArrays, i: int, columns: Sequence[str]) -> Iterator[str]:
    """Write a row; one that is bounded on two different sides becomes two."""
    part = slice(arrays.matrix.indptr[i], arrays.matrix.indptr[i + 1])
    lower, upper = float(arrays.row_lower[i]), float(arrays.row_upper[i])
    sides = [("=", lower)] if lower == upper else [(">=", lower), ("<=", upper)]
    open_sides = [(relation, side) for relation, side in sides if np.isfinite(side)]
    for number, (relation, side) in enumerate(open_sides):
        yield f" {name}{'_upper' if number else ''}:"
        yield from _sum_lines(arrays.matrix.data[part], arrays.matrix.indices[part], columns)
        yield f"  {relation} {side:.17g}"


def _sum_lines(values: Floats, positions: Positions, names: Sequence[str]) -> Iterator[str]:
    """Yield the terms of a sum, a few per line."""
    terms = [f"{v:+.17g} {names[j]}" for v, j in zip(values.tolist(), positions.tolist(), strict=True)]
    for start in range(0, len(terms), TERMS_PER_LINE):
        yield "  " + " ".join(terms[start : start + TERMS_PER_LINE])
    if not terms:
        yield f"  0 {names[0] if names else NOTHING}"


def _mps_lines(
    title: str, arrays: ProgramArrays, square: Floats, columns: Sequence[str], rows: Sequence[str]
) -> Iterator[str]:
    yield f"NAME {re.sub(r'[^!-~]', '_', title)}"
    yield "ROWS"
    yield " N obj"
    yield from (f" {_mps_kind(arrays, i)} {name}" for i, name in enumerate(rows))
    yield "COLUMNS"
    yield from _mps_columns(arrays, columns, rows)
    yield "RHS"
    if arrays.offset:
        yield f" RHS obj {-arrays.offset:.17g}"
    for i, name in enumerate(rows):
        side = arrays.row_lower[i] if np.isfinite(arrays.row_lower[i]) else arrays.row_upper[i]
        yield f" RHS {name} {side:.17g}"
    yield from _mps_ranges(arrays, rows)
    yield "BOUNDS"
    for j, name in enumerate(columns):
        yield f" LO BND {name} {arrays.column_lower[j]:.17g}"
        yield f" UP BND {name} {arrays.column_upper[j]:.17g}"
    if square.any():
        yield "QUADOBJ"
        yield from (f" {columns[j]} {columns[j]} {square[j]:.17g}" for j in np.flatnonzero(square).tolist())
    yield "ENDATA"


def _mps_kind(arrays: ProgramArrays, i: int) -> str:
    if arrays.row_lower[i] == arrays.row_upper[i]:
        return "E"
    return "G" if np.isfinite(arrays.row_lower[i]) else "L"


def _mps_columns(arrays: ProgramArrays, columns: Sequence[str], rows: Sequence[str]) -> Iterator[str]:
    by_column = arrays.matrix.tocsc()
    whole = False
    for j, name in enumerate(columns):
        if bool(arrays.integer[j]) != whole:
            whole = not whole
            edge = "INTORG" if whole else "INTEND"
            yield f" MARKER{j} 'MARKER' '{edge}'"
        yield f" {name} obj {arrays.cost[j]:.17g}"
        part = slice(by_column.indptr[j], by_column.indptr[j + 1])
        for i, value in zip(by_column.indices[part].tolist(), by_column.data[part].tolist(), strict=True):
            yield f" {name} {rows[i]} {value:.17g}"
    if whole:
        yield " MARKER_LAST 'MARKER' 'INTEND'"


def _mps_ranges(arrays: ProgramArrays, rows: Sequence[str]) -> Iterator[str]:
    """Write the width of rows that are bounded on two different sides."""
    width = arrays.row_upper - arrays.row_lower
    ranged = np.flatnonzero(np.isfinite(width) & (width > 0))
    if len(ranged):
        yield "RANGES"
        yield from (f" RNG {rows[i]} {width[i]:.17g}" for i in ranged.tolist())
