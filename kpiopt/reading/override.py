"""Overrides of the command line: `--set path=value`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from kpiopt.errors import Location, NumericsError, Problem, UsageError
from kpiopt.reading.key_path import KeyPath, dotted, value_at, walk, with_value
from kpiopt.reading.layer import COMMAND_LINE, Layer, is_table, merge, override_layer
from kpiopt.reading.toml.checks import NON_FINITE, normal_form, value_problems
from kpiopt.reading.toml.text import is_one_value, scan_positions, scan_toml, scan_typed_key

_RULE = 'an override is path=value, such as budget.pay.limit=600_000 or cell."x/sales".max_stretch=5'
_FORM_ADVICE = "put parts with other characters than letters, digits, - and _ in quotes"
_FACTOR_RULE = "sweep and sensitivity move such factors; --set changes values of the file"
_FIXED = ("schema", "extends", "variant")


def read_overrides(overrides: Sequence[str], document: Mapping[str, Any] | None = None) -> Layer:
    """Read overrides; of two for the same key the last wins.

    The value is TOML. Text that cannot be TOML is taken as it stands, so that `--set currency=EUR` needs no quotes.

    Parameters
    ----------
    overrides : sequence of str
        As typed after `--set`.
    document : mapping, optional
        What they are laid over: a number for a driver that is written as a table is its contribution there, so that
        neither its place nor its lag is lost.

    Raises
    ------
    UsageError
        If one is not of the form path=value; all of them are reported at once.
    NumericsError
        If all that is wrong are numbers that are not finite.
    """
    layer = Layer()
    problems: list[Problem] = []
    for text in overrides:
        try:
            layer = merge(layer, _read_override(text, layer.data, document))
        except UsageError as error:
            problems += error.problems
    if problems and all(problem.code == NON_FINITE for problem in problems):
        raise NumericsError(*problems)
    if problems:
        raise UsageError(*problems)
    return layer


def _read_override(text: str, before: Mapping[str, Any], document: Mapping[str, Any] | None) -> Layer:
    place = Location(COMMAND_LINE, text=text)
    path, end = scan_typed_key(text, COMMAND_LINE) or ((), 0)
    positions, end = scan_positions(text, end)
    if not path or text[end : end + 1] != "=":
        message = f"cannot read the override '{text}'"
        raise UsageError(Problem("E-set-form", message, _RULE, _FORM_ADVICE, place))
    if path[0] in _FIXED:
        fix = "change the file; a variant is chosen with --variant"
        raise UsageError(Problem("E-set-key", f"'{path[0]}' cannot be overridden", "", fix, place))
    if path[0] in ("cells", "units") and len(path) > 1:
        message = f"'{dotted(path)}' is a factor on what the tables hold, and stands in no file"
        raise UsageError(Problem("E-set-key", message, _FACTOR_RULE, _instead_of_factor(path, text[end + 1 :]), place))
    value = read_value((*path, *positions), text[end + 1 :].strip(), place)
    present = value_at(before, path)
    present = value_at(document, path) if present is None else present
    inside = quantity_key(present) if positions or not is_table(value) else ()
    if positions:
        if document is None:  # the array stands in a file that is not read yet
            return Layer()
        array = value_at(present, inside)
        if value_at(array, positions) is None:
            rule = "positions count from 0, and stand behind an array that the scenario has"
            message = f"there is nothing at {dotted((*path, *positions))}"
            raise UsageError(Problem("E-set-position", message, rule, _in_array(array), place))
        value = with_value(array, positions, value)
    return override_layer((*path, *inside), value, text)


def _instead_of_factor(path: KeyPath, value: str) -> str:
    """Say how `--set` makes the change for which a sweep has a factor."""
    table, *inside = map(str, path)
    if table == "units":
        is_capacity = inside[0] == "capacity" and len(inside) == 2
        return (
            f"write capacity.{inside[1]}.scale={value}" if is_capacity else "change the units' table, or a copy of it"
        )
    of_kpi = len(inside) > 1 and inside[0] != "effort"
    where = f'where = {{ kpi = "{inside.pop(0)}" }}, ' if of_kpi else ""
    scale = inside[0] if len(inside) == 1 else f"{inside[0]} = {{ {inside[1]}"
    ends = "}" if len(inside) == 1 else "} }"
    return f"write a bulk edit: --set 'adjust.more={{ {where}scale = {{ {scale} = {value} {ends} }}'"


def _in_array(array: Any) -> str:
    return f"it has positions 0 to {len(array) - 1}" if isinstance(array, list) and array else "leave the position out"


def quantity_key(table: Any) -> tuple[str, ...]:
    """Return the key under which a driver, an effect, a factor or execution as a table holds its quantity, if any."""
    return next(((key,) for key in ("contribution", "value") if is_table(table) and key in table), ())


def read_value(path: KeyPath, token: str, place: Location) -> Any:
    """Return a typed value: TOML where it is that, else the text itself.

    Raises
    ------
    UsageError
        For a text with open quotes or brackets, and for numbers and dates that no scenario can hold.
    """
    if not token:
        fix = f'write {dotted(path)}="" for an empty text'
        raise UsageError(Problem("E-set-value", f"the override of {dotted(path)} has no value", _RULE, fix, place))
    if not is_one_value(token, COMMAND_LINE):
        return _bare_text(token, place)
    source = f"value = {token}"
    try:
        value = normal_form(tomllib.loads(source)["value"])
    except tomllib.TOMLDecodeError:
        return _bare_text(token, place)
    except ValueError:  # Python converts at most 4300 digits
        raise UsageError(Problem("E-toml-integer", "a whole number has at most 19 digits", location=place)) from None
    places = scan_toml(source, COMMAND_LINE)

    def written(inside: KeyPath) -> str:
        return places.value_text(("value", *inside[len(path) :]))

    problems = [p for inside, part in walk(value, path) for p in value_problems(inside, part, written, lambda _: place)]
    if problems:
        raise UsageError(*problems)
    return value


def _bare_text(token: str, place: Location) -> str:
    if token[0] in "\"'[{":
        message = f"'{token}' is neither TOML nor plain text"
        raise UsageError(Problem("E-set-value", message, _RULE, "close all quotes and brackets", place))
    return token
