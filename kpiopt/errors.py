"""Everything that can go wrong: the exception tree, its stable codes and the documented exit codes.

A `Problem` says what is wrong, where, by which rule, and what to do. An exception carries all problems found, never
only the first. Nothing here prints; `kpiopt.cli` does.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, TypeVar


class ExitCode(IntEnum):
    """Exit codes of the command line; documented in the README and stable."""

    OK = 0
    INTERNAL = 1
    USAGE = 2
    INPUT = 3
    INFEASIBLE = 4
    UNBOUNDED = 5
    UNCERTIFIED = 6
    LIMIT = 7
    OUTPUT = 8
    PARTIAL = 9
    LOCKED = 10
    INTERRUPTED = 130
    TERMINATED = 143


SPELLED_OUT = 50
"""How many errors of one kind are spelled out; the others are counted."""

MORE = "more of the same kind"
"""How a problem ends that counts others."""

NON_FINITE = "E-number-range"
"""The code of numbers that cannot be computed with."""

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Location:
    """Where a value came from.

    Attributes
    ----------
    file : str
        The path as the planner would write it (relative to the working folder where possible), or "--set".
    line, column : int or None
        1-based position in a text file; `line` is also the row number of a table (the header is row 1).
    field : str
        Name of a table's column, such as "baseline"; empty in TOML.
    cell : str
        Sheet and cell of a workbook, such as "cells!D7".
    text : str
        The source line, for the caret; empty where there is none to show.
    """

    file: str
    line: int | None = None
    column: int | None = None
    field: str = ""
    cell: str = ""
    text: str = ""

    def __str__(self) -> str:
        if self.cell:
            return f"{self.file}!{self.cell}"
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        if self.field:
            return f"{place} column {self.field}"
        return place if self.column is None else f"{place}:{self.column}"

    @property
    def row(self) -> int:
        """Row number of a worksheet's cell such as "cells!D7"; 0 for everything else."""
        digits = self.cell.rpartition("!")[2].lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
        return int(digits) if digits.isdigit() else 0


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with an input, or worth a warning.

    Attributes
    ----------
    code : str
        Stable identifier, "E-…" for errors, "W-…" for warnings, "N-…" for notes.
    message : str
        What is wrong, with the offending value.
    rule : str
        The rule that it breaks.
    fix : str
        What to do about it.
    location : Location or None
    others : tuple of Location
        Further places that belong to the same problem (the second of two duplicates).
    """

    code: str
    message: str
    rule: str = ""
    fix: str = ""
    location: Location | None = None
    others: tuple[Location, ...] = ()

    @property
    def is_error(self) -> bool:
        """Whether the problem forbids going on."""
        return self.code.startswith("E-")

    def __str__(self) -> str:
        return format_problem(self)


def printable(text: str) -> str:
    """Escape control and format characters, so that a name from data cannot forge terminal output."""
    if text.isprintable():  # nearly all texts, many times as fast
        return text
    return "".join(c if c == "\t" or not _is_control(c) else f"\\u{ord(c):04x}" for c in text)


def _is_control(character: str) -> bool:
    """Whether a character moves the cursor, breaks the line or changes how others are shown."""
    kind = unicodedata.category(character)
    return kind[0] == "C" or kind in ("Zl", "Zp")


def format_problem(problem: Problem) -> str:
    """Render a problem as the planner reads it: place and message, source line with caret, rule, fix."""
    place = f"{problem.location}: " if problem.location else ""
    lines = [printable(f"{place}{problem.code}: {problem.message}")]
    if problem.location and problem.location.text:
        source = printable(problem.location.text.replace("\t", " ")).rstrip()
        lines.append(f"    | {source[:160]}")
        if problem.location.column and problem.location.column <= 160:
            lines.append("    | " + " " * (problem.location.column - 1) + "^")
    lines += [f"    also: {printable(str(other))}" for other in problem.others]
    if problem.rule:
        lines.append(f"    rule: {printable(problem.rule)}")
    if problem.fix:
        lines.append(f"    fix:  {printable(problem.fix)}")
    return "\n".join(lines)


def problem_as_dict(problem: Problem) -> dict[str, Any]:
    """Return the JSON form of a problem."""
    place = problem.location
    return {
        "code": problem.code,
        "message": problem.message,
        "rule": problem.rule,
        "fix": problem.fix,
        "location": str(place) if place else None,
        "file": place.file if place else None,
        "line": place.line if place else None,
        "column": (place.field or place.column) if place else None,
        "others": [str(other) for other in problem.others],
    }


class KpioptError(Exception):
    """Root of all errors that kpiopt raises on purpose.

    Attributes
    ----------
    problems : tuple of Problem
        Everything that was found, in the order of the files.
    details : dict
        The same for machines: certificate, repair, alternatives, conflict of limits that clash; the best known plan
        where a search was stopped.
    """

    exit_code = ExitCode.INTERNAL

    def __init__(self, *problems: Problem | str, details: Mapping[str, Any] | None = None) -> None:
        self.details = dict(details or {})
        self.problems = tuple(Problem("E-internal", p) if isinstance(p, str) else p for p in problems)
        super().__init__("\n".join(format_problem(p) for p in self.problems))


class InternalError(KpioptError):
    """A broken promise of kpiopt itself: a bug."""


class UsageError(KpioptError):
    """The command line asks for something that does not exist."""

    exit_code = ExitCode.USAGE


class InputError(KpioptError):
    """What the planner wrote cannot be used. Subclasses say which kind."""

    exit_code = ExitCode.INPUT


class ScenarioError(InputError):
    """A TOML document breaks a rule of the format."""


class TableError(InputError):
    """A table (CSV, Parquet, workbook) breaks a rule of the format."""


class ModelError(InputError):
    """Well-formed input that makes no sense together: cycles, unknown ids, clashing limits."""


class NumericsError(InputError):
    """A number that cannot be computed with safely."""


class SecurityError(InputError):
    """An input that is refused because it could do harm."""


class Infeasible(KpioptError):
    """The limits contradict each other; proved."""

    exit_code = ExitCode.INFEASIBLE


class Unbounded(KpioptError):
    """The objective has no end; proved."""

    exit_code = ExitCode.UNBOUNDED


class Uncertified(KpioptError):
    """The answer failed its independent check; nothing is published."""

    exit_code = ExitCode.UNCERTIFIED


class LimitReached(KpioptError):
    """Time or memory ran out before an answer was proved."""

    exit_code = ExitCode.LIMIT


class OutputError(KpioptError):
    """Results cannot be written."""

    exit_code = ExitCode.OUTPUT


class Locked(KpioptError):
    """Another process works in the same run folder."""

    exit_code = ExitCode.LOCKED


def as_known_error(error: Exception) -> KpioptError:
    """Return the error itself, or its counterpart in kpiopt's own tree."""
    if isinstance(error, KpioptError):
        return error
    if isinstance(error, MemoryError):
        return LimitReached(
            Problem("E-memory", "memory ran out", fix="solve a part of the organization, or use a larger machine")
        )
    return KpioptError(
        Problem(
            "E-internal",
            f"an error that kpiopt did not expect: {type(error).__name__}: {error}",
            rule="this is a fault of kpiopt, not of the scenario",
            fix="run again with --debug and report what it shows",
        )
    )


class Problems:
    """Collects problems so that all errors of a stage are reported at once.

    Attributes
    ----------
    items : list of Problem
        In the order in which they were noted.
    kinds : list of type
        The class of exception that each error belongs to.
    files : iterable of str
        The order of the files for `sorted`.

    Examples
    --------
    >>> found = Problems()
    >>> found.warn("W-gap", "the baseline of team a is 10, its people add up to 12")
    >>> found.raise_errors(ModelError)        # nothing happens: a warning only
    """

    def __init__(self, items: Iterable[Problem] = ()) -> None:
        self.items = list(items)
        self.kinds: list[type[InputError]] = []
        self.files: Iterable[str] = ()

    def __iter__(self) -> Iterator[Problem]:
        return iter(self.items)

    def add(self, problem: Problem, kind: type[InputError] = InputError) -> None:
        """Note a problem; `kind` is the class of exception it belongs to."""
        self.items.append(problem)
        if problem.is_error:
            self.kinds.append(kind)

    def warn(self, code: str, message: str, place: Location | None = None, *, rule: str = "", fix: str = "") -> None:
        """Note a warning, "W-…", or a remark, "N-…"."""
        self.add(Problem(code, message, rule, fix, place))

    def each(
        self, items: Sequence[Item], describe: Callable[[Item], Problem], kind: type[InputError] = InputError
    ) -> None:
        """Note one problem for each item; of errors the first `SPELLED_OUT` are spelled out, the others counted."""
        for position, item in enumerate(items):
            problem = describe(item)
            if position >= SPELLED_OUT and problem.is_error:
                self.add(
                    Problem(problem.code, f"and {len(items) - position:,} {MORE}", location=problem.location), kind
                )
                return
            self.add(problem, kind)

    def take(self, error: InputError) -> None:
        """Note all problems of an exception."""
        for problem in error.problems:
            self.add(problem, type(error))

    def extend(self, problems: Iterable[Problem]) -> None:
        """Note the problems of one file, those of one code as `each` notes them."""
        of_code: dict[str, list[Problem]] = {}
        for problem in problems:
            of_code.setdefault(problem.code, []).append(problem)
        for alike in of_code.values():
            self.each(alike, lambda problem: problem)

    @property
    def errors(self) -> list[Problem]:
        """The problems that forbid going on."""
        return [p for p in self.items if p.is_error]

    @property
    def warnings(self) -> list[Problem]:
        """Everything else."""
        return [p for p in self.items if not p.is_error]

    def sorted(self) -> list[Problem]:
        """Return everything found, once, in the order of the files and of the lines in them."""
        position = {name: i for i, name in enumerate(self.files)}

        def key(problem: Problem) -> tuple[int, str, int, int]:
            place = problem.location or Location("")
            known = -1 if place == Location("") else position.get(place.file, len(position))
            return known, place.file, place.line or place.row, place.column or 0

        return sorted(dict.fromkeys(self.items), key=key)

    def raise_errors(self, kind: type[KpioptError] | None = None) -> None:
        """Raise all errors found so far as one exception, if there are any.

        Parameters
        ----------
        kind : type of KpioptError, optional
            Its class; that of the first error where none is given. Where all of them are numbers that cannot be
            computed with it is `NumericsError`.
        """
        errors = [problem for problem in self.sorted() if problem.is_error]
        if errors:
            is_numeric = all(problem.code == NON_FINITE for problem in errors)
            raise (NumericsError if is_numeric else kind or self.kinds[0])(*errors)

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Run a block and collect the problems of an `InputError` it raises instead of stopping there."""
        try:
            yield
        except InputError as error:
            self.take(error)
