"""Collects what is wrong with a table: all of it, but no more objects than a person will read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from kpiopt.errors import SPELLED_OUT, InputError, Location, NumericsError, Problem, TableError, printable
from kpiopt.reading.tables.table import Place

Item = TypeVar("Item")
Explanation = tuple[str, str, str, str]
"""Code, message, rule and fix of one value."""


def show(value: object, width: int = 60) -> str:
    """Quote a value for a message: control and format characters escaped, long text cut."""
    text = printable(str(value)).replace("\t", "\\t")
    return f"'{text}'" if len(text) <= width else f"'{text[:width]}…'"


class TableFindings:
    """Errors of one table, ordered by row when they are raised, and the notes that do not stop the reading.

    Examples
    --------
    >>> findings = TableFindings()
    >>> findings.error(Problem("E-table-columns", "the table has no column unit"))
    >>> findings.raise_errors()
    Traceback (most recent call last):
    kpiopt.errors.TableError: E-table-columns: the table has no column unit
    """

    def __init__(self) -> None:
        self.notes: list[Problem] = []
        self._errors: list[tuple[int, Problem]] = []
        self._count = 0

    def error(self, problem: Problem, row_number: int = 0) -> None:
        """Note an error of one row of the file; 0 stands for the file or its header."""
        self._errors.append((row_number, problem))
        self._count += 1

    def errors_of(self, items: Sequence[Item], describe: Callable[[Item], tuple[int, Problem]]) -> None:
        """Note one error for each item, as row number and problem.

        Only the first `SPELLED_OUT` are spelled out, so that a million cost no more.
        """
        self._errors.extend(describe(item) for item in items[:SPELLED_OUT])
        self._count += len(items)

    def errors_at(
        self, place: Place, column: str, rows: NDArray[np.integer[Any]], explain: Callable[[int], Explanation]
    ) -> None:
        """Note one error for each of `rows`, data rows in ascending order."""

        def describe(row: int) -> tuple[int, Problem]:
            code, message, rule, fix = explain(row)
            return int(place.row_number[row]), Problem(code, message, rule, fix, place.location(row, column))

        self.errors_of(rows[:SPELLED_OUT].tolist(), describe)
        self._count += max(0, len(rows) - SPELLED_OUT)

    def note(self, code: str, message: str, location: Location | None = None, *, fix: str = "") -> None:
        """Note a remark, "N-…", or a warning, "W-…"."""
        self.notes.append(Problem(code, message, fix=fix, location=location))

    def raise_errors(self) -> None:
        """Raise everything found so far.

        Raises
        ------
        NumericsError
            If all of it is numbers that cannot be computed with.
        TableError
            In all other cases.
        """
        if not self._errors:
            return
        problems = [problem for _, problem in sorted(self._errors, key=lambda entry: entry[0])[:SPELLED_OUT]]
        kind: type[InputError] = NumericsError if all(p.code == "E-number-range" for p in problems) else TableError
        if self._count > len(problems):
            more = self._count - len(problems)
            problems.append(Problem("E-table-more", f"and {more:,} more of {self._count:,} errors in this table"))
        raise kind(*problems)


def listing(items: Sequence[object], limit: int = 8) -> str:
    """Join items for a message, "2, 5 and 9"; beyond `limit` the rest is counted."""
    texts = [str(item) for item in items]
    if len(texts) > limit:
        texts = [*texts[:limit], f"{len(items) - limit:,} more"]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


def refuse(code: str, message: str, display: str, *, rule: str = "", fix: str = "") -> TableError:
    """Return the error for a file that cannot be read as a table at all."""
    return TableError(Problem(code, message, rule, fix, Location(display)))
