"""Writes plain values as a TOML text that reads back as the same values in the same order."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, time
from typing import Any

from kpiopt.reading.key_path import key_text, quote

_HEADER_DEPTH = 12
"""Tables deeper than this are written inline: headers may have 16 parts."""


def emit_toml(data: dict[str, Any]) -> str:
    """Write a table as a TOML document.

    TOML wants the plain values of a table before its sub-tables. At the top they are moved there; further down,
    where the order of ids has a meaning, a sub-table that stands before a plain value is written inline instead.

    Parameters
    ----------
    data : dict
        Plain TOML values: text, numbers, booleans, dates, arrays and tables.

    Raises
    ------
    TypeError
        If a value has no form in TOML.

    Examples
    --------
    >>> print(emit_toml({"schema": 1, "kpi": {"sales": {"unit": "USD"}}}), end="")
    schema = 1
    <BLANKLINE>
    [kpi.sales]
    unit = "USD"
    """
    ordered = dict(sorted(data.items(), key=lambda item: isinstance(item[1], dict)))
    return "\n".join(_table_lines(ordered, ())).removeprefix("\n") + "\n"


def _table_lines(table: dict[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    first_section = _first_section(table, path)
    items = list(table.items())
    if path and (first_section or not items):
        yield f"\n[{_dotted(path)}]"
    for key, value in items[:first_section]:
        yield f"{key_text(key)} = {value_text(value)}"
    for key, value in items[first_section:]:
        yield from _table_lines(value, (*path, key))


def _first_section(table: dict[str, Any], path: tuple[str, ...]) -> int:
    """Return where the sub-tables begin that have headers of their own: those after the last plain value."""
    values = list(table.values())
    if len(path) >= _HEADER_DEPTH:
        return len(values)
    while values and isinstance(values[-1], dict):
        values.pop()
    return len(values)


def _dotted(path: tuple[str, ...]) -> str:
    return ".".join(key_text(part) for part in path)


def value_text(value: Any) -> str:
    """Write one value as TOML, tables inline."""
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(value_text, value))}]"
    if isinstance(value, dict):
        inside = ", ".join(f"{key_text(key)} = {value_text(child)}" for key, child in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    raise TypeError(f"{type(value).__name__} has no form in TOML")
