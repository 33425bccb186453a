"""The axes of a sweep: which values of the file are tried, and the points that come of them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from kpiopt.errors import Problem, UsageError
from kpiopt.scenario.key_path import did_you_mean, dotted, quote
from kpiopt.scenario.patch import parse_value, read_path
from kpiopt.scenario.scenario import Scenario
from kpiopt.scenario.toml_text import scan_key

MOST_POINTS = 100_000
FORM = "an axis is path=first:last:number, such as budget.pay.limit=500000:900000:9, or path=value,value,…"

KEYED = (
    "adjust", "budget", "capacity", "cell", "execution", "factor", "goal", "guardrail", "initiative", "kpi", "pay_plan",
    "unit",
)  # fmt: skip
SETTINGS = ("correlation", "decide", "relax", "simulation", "uncertainty", "tables")

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


def value_text(value: Any) -> str:
    """Write a plain value as TOML on one line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, list):
        return f"[{', '.join(map(value_text, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{dotted((key,))} = {value_text(item)}' for key, item in value.items())}}}"
    return repr(value)


def read_axes(scenario: Scenario, over: Sequence[str] = ()) -> tuple[Axis, ...]:
    """Return the axes given on the command line, or else those of `[sweep]`.

    Raises
    ------
    UsageError
        For texts that are no axes and paths that name nothing in the scenario, all of them at once, and where there is
        no axis at all.
    """
    if not over and not scenario.sweep:
        fix = "add [sweep] to the file, or --over path=first:last:number"
        raise UsageError(Problem("E-no-axis", "there is nothing to sweep over", rule=FORM, fix=fix))
    axes: list[Axis] = []
    problems: list[Problem] = []
    for text, read in _written(scenario, over):
        try:
            axis = read()
            _require_place(scenario, axis.path)
        except ValueError as error:
            problems.append(Problem("E-axis", f"{text!r} is no axis: {error}", rule=FORM))
            continue
        if any(axis.path == other.path for other in axes):
            problems.append(Problem("E-axis", f"{axis.path} has two axes", fix="put all its values into one"))
        axes.append(axis)
    if problems:
        raise UsageError(*problems)
    return tuple(axes)


def _written(scenario: Scenario, over: Sequence[str]) -> Iterator[tuple[str, Callable[[], Axis]]]:
    """Yield each axis as it is written, and how to read it."""
    if over:
        yield from ((text, partial(_typed_axis, text)) for text in over)
    else:
        yield from ((path, partial(_file_axis, path, entry)) for path, entry in scenario.sweep.items())


def _file_axis(path: str, entry: Any) -> Axis:
    key = read_path(path)
    if key is None:
        raise ValueError("it is no path")
    return Axis(dotted(key), _axis_values(entry))


def _require_place(scenario: Scenario, path: str) -> None:
    """Raise where a path would add something to the scenario instead of changing it: a slip, and its points all alike.

    Raises
    ------
    ValueError
    """
    section, *rest = read_path(path) or ()
    if section not in KEYED and section not in SETTINGS:
        raise ValueError(f"there is no section {section!r}")
    if len(rest) < (2 if section in KEYED else 1):
        raise ValueError("it names no value")
    if section in KEYED:
        known = _names(scenario, section)
        if rest[0] not in known:
            advice = did_you_mean(rest[0], known)
            raise ValueError(f"there is no {section} {rest[0]!r}{f'; {advice}' if advice else ''}")


def _names(scenario: Scenario, section: str) -> Sequence[str]:
    """Return the ids that a section of the scenario has."""
    units, cells = scenario.units, scenario.cells
    if section == "unit":
        return units.ids
    if section == "capacity":
        return tuple(units.capacity)
    if section == "cell":
        pairs = zip(cells.unit.tolist(), cells.kpi.tolist(), strict=True)
        return [f"{units.ids[u]}/{scenario.kpi_ids[k]}" for u, k in pairs]
    return tuple(scenario.document.get(section, {}))


def _axis_values(entry: Any) -> tuple[Any, ...]:
    """Return the values of an axis as the file writes it."""
    if isinstance(entry, list):
        return tuple(entry)
    if entry.get("values") is not None:
        return tuple(entry["values"])
    return spaced(entry["from"], entry["to"], entry["steps"])


def spaced(first: float, last: float, number: int) -> tuple[float, ...]:
    """Return equally spaced values, ends included and exact; whole numbers stay whole."""
    if number == 1:
        return (first,)
    inner = [first + (last - first) * i / (number - 1) for i in range(1, number - 1)]
    values = (first, *inner, last)
    if isinstance(first, int) and isinstance(last, int):
        return tuple(int(v) if float(v).is_integer() else v for v in values)
    return values


def _typed_axis(text: str) -> Axis:
    """Read `path=first:last:number` or `path=value,value,…`.

    Raises
    ------
    ValueError
        Saying what is wrong.
    """
    path, end = scan_key(text, "--over") or ((), 0)
    if not path or text[end : end + 1] != "=":
        raise ValueError("it does not begin with a path and =")
    token = text[end + 1 :].strip()
    if not token:
        raise ValueError("it has no values")
    parts = token.split(":")
    values = _range(parts) if len(parts) == 3 and not token.startswith(("[", '"', "'", "{")) else _listed(token)
    return Axis(dotted(path), values)


def _range(parts: Sequence[str]) -> tuple[float, ...]:
    ends = [_number(part) for part in parts[:2]]
    number = parts[2].strip()
    if not number.isdecimal() or not 1 <= int(number) <= MOST_POINTS:
        raise ValueError(f"the number of values is {number!r}; it is 1 to {MOST_POINTS:,}")
    if int(number) == 1 and ends[0] != ends[1]:
        raise ValueError("one value cannot be two ends")
    return spaced(ends[0], ends[1], int(number))


def _number(text: str) -> float:
    value = parse_value(text.strip())
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{text.strip()!r} is no number")
    return value


def _listed(token: str) -> tuple[Any, ...]:
    """Read values between commas: TOML where the list is that, else the texts themselves."""
    listed = parse_value(f"[{token}]")
    if isinstance(listed, list):
        return tuple(listed)
    parts = [part.strip() for part in token.split(",")]
    if not all(parts):
        raise ValueError("a value is missing")
    return tuple(parse_value(part) for part in parts)


def points_of(axes: Sequence[Axis], *, zipped: bool = False) -> tuple[Point, ...]:
    """Return the points of some axes: every combination, or the first values together, the second ones, and so on.

    Raises
    ------
    UsageError
        Where zipped axes have different lengths, or there are more than 100,000 points.
    """
    lengths = {axis.path: len(axis.values) for axis in axes}
    if zipped and len(set(lengths.values())) > 1:
        said = ", ".join(f"{path} has {n}" for path, n in lengths.items())
        fix = "give them the same number of values, or leave --zip out"
        raise UsageError(Problem("E-zip", f"zipped axes differ in length: {said}", fix=fix))
    count = next(iter(lengths.values())) if zipped else math.prod(lengths.values())
    if count > MOST_POINTS:
        raise UsageError(Problem("E-points", f"the axes make {count:,} points", rule=f"at most {MOST_POINTS:,}"))
    return tuple(Point(i, values) for i, values in enumerate(_combined(axes, zipped)))


def _combined(axes: Sequence[Axis], zipped: bool) -> Iterator[tuple[Assignment, ...]]:
    columns = [[(axis.path, value) for value in axis.values] for axis in axes]
    yield from zip(*columns, strict=True) if zipped else itertools.product(*columns)


def as_mapping(point: Point) -> Mapping[str, Any]:
    """Return a point's values by path."""
    return dict(point.values)
