"""The axes of a sweep: which values of the file are tried, and the points that come of them."""

from __future__ import annotations

import itertools
import math
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from kpiopt.errors import InputError, Location, Problem, UsageError
from kpiopt.reading.key_path import KeyPath
from kpiopt.reading.override import read_value
from kpiopt.reading.toml.emit import value_text
from kpiopt.reading.toml.text import is_one_value, read_path, scan_typed_key
from kpiopt.scenario.checks.axes import axis_faults, axis_path
from kpiopt.scenario.numbers.inputs import Inputs
from kpiopt.scenario.scenario import Scenario

MOST_POINTS = 100_000
LONGEST_SHOWN = 100
OVER = "--over"
FORM = "an axis is path=first:last:number, such as budget.pay.limit=500000:900000:9, or path=value,value,…"

Assignment = tuple[str, Any]


@dataclass(frozen=True, slots=True)
class Axis:
    """Values for one path of the file, in their order."""

    path: str
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """One scenario of a sweep.

    Attributes
    ----------
    number : int
        From 0, in the order of the axes, the last one fastest.
    values : tuple of (path, value)
    """

    number: int
    values: tuple[Assignment, ...]

    @property
    def overrides(self) -> tuple[str, ...]:
        """The point as "path=value" texts, as after `--set`."""
        return tuple(f"{path}={value_text(value)}" for path, value in self.values)


def read_axes(scenario: Scenario, over: Sequence[str] = ()) -> tuple[Axis, ...]:
    """Return the axes given on the command line, or else those of `[sweep]`.

    Raises
    ------
    UsageError
        For texts that are no axes, paths that name nothing in the scenario and values that cannot stand there, all of
        them at once, and where there is no axis at all.
    """
    if not over and not scenario.sweep:
        fix = "add [sweep] to the file, or --over path=first:last:number"
        raise UsageError(Problem("E-no-axis", "there is nothing to sweep over", rule=FORM, fix=fix))
    axes: list[Axis] = []
    problems: list[Problem] = []
    inputs = Inputs(scenario)
    for text, read in _written(inputs, over):
        try:
            axis = read()
            problems += (_no_axis(text, fault) for fault in _faults(inputs, axis))
        except ValueError as error:
            problems.append(_no_axis(text, str(error)))
        except (UsageError, InputError) as error:
            problems += error.problems
        else:
            problems += (_overlap(axis.path, other.path) for other in axes if _is_around(axis.path, other.path))
            axes.append(axis)
    if problems:
        raise UsageError(*problems)
    return tuple(axes)


def _no_axis(text: str, fault: str) -> Problem:
    shown = text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
    return Problem("E-axis", f"{shown!r} is no axis: {fault}", rule=FORM)


def _written(inputs: Inputs, over: Sequence[str]) -> Iterator[tuple[str, Callable[[], Axis]]]:
    """Yield each axis as it is written, and how to read it."""
    if over:
        yield from ((text, partial(_typed_axis, inputs, text)) for text in over)
    else:
        yield from ((path, partial(_file_axis, inputs, path, entry)) for path, entry in inputs.scenario.sweep.items())


def _file_axis(inputs: Inputs, path: str, entry: Any) -> Axis:
    return _axis(inputs, path, _axis_values(entry))


def _axis(inputs: Inputs, text: str, values: tuple[Any, ...]) -> Axis:
    """Return the axis with the path under which the file writes what it names.

    Raises
    ------
    ValueError
        Where it is no path.
    """
    path = axis_path(inputs, text, values)
    if path is None:
        raise ValueError("it is no path")
    return Axis(path, values)


def _faults(inputs: Inputs, axis: Axis) -> list[str]:
    fault, wrong = axis_faults(inputs, axis.path, axis.values)
    return [fault] if fault else wrong


def _is_around(first: str, second: str) -> bool:
    """Whether two paths are equal, or one stands inside the other."""
    a, b = read_path(first) or (), read_path(second) or ()
    n = min(len(a), len(b))
    return a[:n] == b[:n]


def _overlap(first: str, second: str) -> Problem:
    if first == second:
        return Problem("E-axis", f"{first} has two axes", fix="put all its values into one")
    outer, inner = sorted((first, second), key=lambda path: len(read_path(path) or ()))
    return Problem("E-axis", f"the axis {inner} is a part of the axis {outer}", fix="keep one of the two")


def _axis_values(entry: Any) -> tuple[Any, ...]:
    """Return the values of an axis as the file writes it."""
    if isinstance(entry, list):
        return tuple(entry)
    if entry.get("values") is not None:
        return tuple(entry["values"])
    return spaced(entry["from"], entry["to"], entry["steps"])


def spaced(first: float, last: float, number: int) -> tuple[float, ...]:
    """Return equally spaced values, ends included and exact; whole numbers stay whole.

    Raises
    ------
    ValueError
        Where one value is to be two ends.
    """
    if number == 1:
        if first != last:
            raise ValueError("one value cannot be two ends")
        return (first,)
    inner = [first + (last - first) * i / (number - 1) for i in range(1, number - 1)]
    values = (first, *inner, last)
    if isinstance(first, int) and isinstance(last, int):
        return tuple(int(v) if float(v).is_integer() else v for v in values)
    return values


def _typed_axis(inputs: Inputs, text: str) -> Axis:
    """Read `path=first:last:number` or `path=value,value,…`.

    Raises
    ------
    ValueError
        Saying what is wrong.
    UsageError
        For values that no scenario can hold.
    """
    named, token = _halves(text)
    if not token:
        raise ValueError("it has no values")
    parts, path = token.split(":"), read_path(named) or (named,)
    if len(parts) > 1 and token[0] not in "[{\"'":
        return _axis(inputs, named, _range(path, parts))
    return _axis(inputs, named, _listed(path, token))


def _halves(text: str) -> tuple[str, str]:
    """Return what stands before and after the sign of equality behind the path."""
    key = scan_typed_key(text, OVER)
    end = key[1] if key and text[key[1] : key[1] + 1] == "=" else text.find("=")
    if end <= 0:
        raise ValueError("it does not begin with a path and =")
    return text[:end].strip(), text[end + 1 :].strip()


def _range(path: KeyPath, parts: Sequence[str]) -> tuple[float, ...]:
    if len(parts) != 3:
        raise ValueError("a range is first:last:number; put a text with a colon in quotes")
    first, last = (_number(path, part) for part in parts[:2])
    number = parts[2].strip()
    if not (number.isascii() and number.isdecimal()) or not 1 <= int(number[:9]) <= MOST_POINTS:
        raise ValueError(f"the number of values is {number!r}; it is 1 to {MOST_POINTS:,}")
    return spaced(first, last, int(number))


def _number(path: KeyPath, part: str) -> float:
    value = read_value(path, part.strip() or "?", Location(OVER))
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{part.strip()!r} is no number")
    return value


def _listed(path: KeyPath, token: str) -> tuple[Any, ...]:
    """Read values between commas: TOML where the list is that, else the texts themselves."""
    place = Location(OVER)
    if any(mark in token for mark in "[{\"'") and _is_toml(f"[{token}]"):
        return tuple(read_value(path, f"[{token}]", place))
    parts = [part.strip() for part in token.split(",")]
    if not all(parts):
        raise ValueError("a value is missing")
    return tuple(read_value(path, part, place) for part in parts)


def _is_toml(token: str) -> bool:
    """Whether a text is one TOML value; it is walked first, as the parser does not mind how deep it goes."""
    if not is_one_value(token, OVER):
        return False
    try:
        tomllib.loads(f"value = {token}")
    except ValueError:
        return False
    return True


def points_of(axes: Sequence[Axis], *, zipped: bool = False) -> tuple[Point, ...]:
    """Return the points of some axes: every combination, or the first values together, the second ones, and so on.

    Raises
    ------
    UsageError
        Where zipped axes have different lengths, there are more than 100,000 points, or two of them are the same.
    """
    lengths = {axis.path: len(axis.values) for axis in axes}
    if zipped and len(set(lengths.values())) > 1:
        said = ", ".join(f"{path} has {n}" for path, n in lengths.items())
        fix = "give them the same number of values, or leave --zip out"
        raise UsageError(Problem("E-zip", f"zipped axes differ in length: {said}", fix=fix))
    count = next(iter(lengths.values())) if zipped else math.prod(lengths.values())
    if count > MOST_POINTS:
        raise UsageError(Problem("E-points", f"the axes make {count:,} points", rule=f"at most {MOST_POINTS:,}"))
    points = tuple(Point(i, values) for i, values in enumerate(_combined(axes, zipped)))
    _require_different(points)
    return points


def _require_different(points: Sequence[Point]) -> None:
    first: dict[tuple[str, ...], int] = {}
    for point in points:
        values = tuple(_canonical(value) for _, value in point.values)
        if first.setdefault(values, point.number) != point.number:
            said = ", ".join(point.overrides)
            fix = "give each value of an axis once"
            raise UsageError(Problem("E-points", f"the point {said} is there twice", rule=FORM, fix=fix))


def _canonical(value: Any) -> str:
    """Write a value so that equal numbers are equal texts: 1 and 1.0 are the same point."""
    is_whole = isinstance(value, float) and value.is_integer()
    return value_text(int(value)) if is_whole else value_text(value)


def _combined(axes: Sequence[Axis], zipped: bool) -> Iterator[tuple[Assignment, ...]]:
    columns = [[(axis.path, value) for value in axis.values] for axis in axes]
    yield from zip(*columns, strict=True) if zipped else itertools.product(*columns)


def as_mapping(point: Point) -> Mapping[str, Any]:
    """Return a point's values by path."""
    return dict(point.values)
