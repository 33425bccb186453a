"""A scenario as a workbook to fill in: help above each column, lists of ids, colours for input, nothing that runs."""

from __future__ import annotations

import math
import re
import types
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from kpiopt.reading.sections import SECTIONS
from kpiopt.reading.tables.number import NumberForm
from kpiopt.reading.tables.table import CELLS_TABLE, UNITS_TABLE
from kpiopt.reading.tables.workbook_sheet import column_letters
from kpiopt.report.scenario_file.scenario_tables import Row, ScenarioTables
from kpiopt.scenario.format import plan, strategy_map

if TYPE_CHECKING:
    import xlsxwriter
    from pydantic.fields import FieldInfo

MODELS: dict[str, type[BaseModel]] = {
    "perspectives": strategy_map.PerspectiveEntry,
    "objectives": strategy_map.ObjectiveEntry,
    "kpis": strategy_map.KpiEntry,
    "drivers": strategy_map.DriverEntry,
    "factors": strategy_map.FactorEntry,
    "initiatives": strategy_map.InitiativeEntry,
    "effects": strategy_map.EffectEntry,
    "goals": plan.GoalEntry,
    "budgets": plan.BudgetEntry,
    "pay_plans": plan.PayPlanEntry,
    "guardrails": plan.GuardrailEntry,
    "units": plan.UnitEntry,
    "cells": plan.CellEntry,
}
"""Sheet -> what the format says about its entries."""

_KEYS = {name: keys for name, (_, keys) in SECTIONS.items()} | {
    "units": UNITS_TABLE.key,
    "cells": (*CELLS_TABLE.key, *CELLS_TABLE.besides),
}
_KEY_HELP = {
    "key": "path of a setting, such as currency or simulation.seed",
    "value": "its value; lists and tables as in TOML",
    "cause": "id of what drives it: a KPI or a factor",
    "first": "path of one uncertain quantity, such as factor.market",
    "second": "path of the other one",
    "goal": "id of the KPI, or a word of yours where the column kpi names it",
    "budget": "id of what is spent, or a word of yours where the column resource names it",
    "attainment": "actual / target",
    "payout": "share of target incentive paid at this attainment",
    "correlation": "of the normal scores, -1 to 1",
    "period": "empty: about the horizon; else a name of [periods], about that period alone",
}
_LISTS = {
    "objective": ("objectives", "objective"), "perspective": ("perspectives", "perspective"), "kpi": ("kpis", "kpi"),
    "initiative": ("initiatives", "initiative"), "parent": ("units", "unit"), "pay_plan": ("pay_plans", "pay_plan"),
    "unit": ("units", "unit"), "scope": ("units", "unit"),
}  # fmt: skip
"""Column -> the sheet and column that hold the ids it may name."""

_QUANTITIES = {rule.name for rule in CELLS_TABLE.columns if rule.kind == "quantity"}
_ROWS_AHEAD, _EMPTY_ROWS = 1000, 3
_FIRST_ROW = 2
"""Rows above the entries: help and header."""


def write_scenario_workbook(tables: ScenarioTables) -> bytes:
    """Return the workbook's bytes; equal tables give equal bytes."""
    from datetime import datetime

    import xlsxwriter  # only where a workbook is written

    stream = BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    book = xlsxwriter.Workbook(stream, options)
    book.set_properties({"created": datetime(2026, 1, 1)})
    sheets = tables.sheets()
    columns = {name: _columns(name, rows) for name, rows in sheets.items()}
    for name, rows in sheets.items():
        _write_sheet(book, name, rows, columns)
    book.close()
    return stream.getvalue()


def _columns(name: str, rows: list[Row]) -> list[str]:
    """Return a sheet's columns: its keys, what the format offers, and what the scenario uses besides."""
    offered = list(_KEYS[name]) + list(_offered(name))
    offered += {"settings": ["value"], "correlations": ["correlation"], "pay_plans": ["attainment", "payout"]}.get(
        name, []
    )
    return list(dict.fromkeys([*offered, *(column for row in rows for column in row)]))


def _offered(name: str) -> Iterator[str]:
    """Yield the keys of the format that hold one value each."""
    for key, field in MODELS[name].model_fields.items() if name in MODELS else ():
        kinds = set(_kinds(field.annotation))
        if key != "payout" and not kinds & {dict} and not any(_is_model(kind) for kind in kinds):
            yield field.alias or key


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _kinds(annotation: Any) -> Iterator[Any]:
    """Yield the types that an annotation allows."""
    if get_origin(annotation) in (Union, types.UnionType):
        for argument in get_args(annotation):
            yield from _kinds(argument)
    elif hasattr(annotation, "__metadata__"):
        yield from _kinds(get_args(annotation)[0])
    else:
        yield get_origin(annotation) or annotation


def _help(name: str, column: str) -> str:
    model = MODELS.get(name)
    field = model.model_fields.get(column) if model and column not in _KEYS[name] else None
    if field is not None and field.description:
        return field.description
    if column in _KEY_HELP:
        return _KEY_HELP[column]
    if column in _KEYS[name]:
        sheet, _ = _LISTS.get(column, (name, ""))
        return f"id, from the sheet {sheet}" if sheet != name else "id: a short word of yours by which others name it"
    first, _, rest = column.partition(".")
    family = model.model_fields.get(first) if model else None
    return _part_help(family, rest) if family and rest else ""


def _part_help(family: FieldInfo, part: str) -> str:
    """Return the help of a column such as units.level, which is a part of a key, or uses.hours, a resource of it."""
    said = family.description or ""
    for kind in _kinds(family.annotation):
        if _is_model(kind) and part in kind.model_fields:
            which, _, more = said.partition(":")
            absent = more.rpartition(";")[2] or said.rpartition(";")[2]
            return f"{which.partition(';')[0]}, by their {kind.model_fields[part].description};{absent}"
    return said.replace(", by resource", f", of {part}") if ", by resource" in said else f"{said}: {part}"


def _write_sheet(book: xlsxwriter.Workbook, name: str, rows: list[Row], columns: Mapping[str, list[str]]) -> None:
    """Write one sheet: help, header, rows; what may be changed is coloured, ids are chosen from lists."""
    sheet = book.add_worksheet(name)
    helped = book.add_format({"italic": True, "font_color": "#595959", "text_wrap": True, "valign": "top"})
    header = book.add_format({"bold": True, "bg_color": "#1F3864", "font_color": "#FFFFFF", "border": 1})
    entry = book.add_format({"bg_color": "#FFF9E5", "border": 1, "border_color": "#D9D9D9"})
    lines = 3
    for at, column in enumerate(columns[name]):
        text = _help(name, column)
        sheet.write_string(0, at, f"# {text}" if at == 0 else text, helped)
        sheet.write_string(1, at, column, header)
        _add_list(sheet, name, column, at, columns)
        longest = max((len(str(row.get(column) or "")) for row in rows), default=0)
        width = min(max(14, len(column) + 2, longest + 2, len(text) / 6), 48)
        lines = max(lines, math.ceil(1.15 * len(text) / width))
        sheet.set_column(at, at, width)
    sheet.set_row(0, 15 * lines)
    sheet.freeze_panes(_FIRST_ROW, len(_KEYS[name]))
    sheet.set_landscape()
    sheet.set_paper(9)
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(0, _FIRST_ROW - 1)
    sheet.set_footer(f"&L&8{name}&R&8&P / &N")
    for number, row in enumerate([*rows, *[{}] * _EMPTY_ROWS], start=_FIRST_ROW):
        for at, column in enumerate(columns[name]):
            value = row.get(column)
            if name == "cells" and column in _QUANTITIES and isinstance(value, str):
                value = _certain(value)
            _write_cell(sheet, number, at, value, entry)


class _Exact(float):
    """A number that is written with all its digits: XlsxWriter writes 16 of 17, and the last bit would be lost."""

    def __format__(self, spec: str) -> str:
        usual = format(float(self), ".16G")
        return usual if float(usual) == self else repr(float(self))


def _certain(text: str) -> str:
    """Return a range as no separator of thousands can be read: "1.2340 to 5.678" where it says "1.234 to 5.678"."""
    sides = text.split()
    is_range = len(sides) == 3 and sides[1] == "to"
    return f"{sides[0]}0 to {sides[2]}" if is_range and re.fullmatch(NumberForm().could_be_grouped, sides[0]) else text


def _write_cell(sheet: Any, row: int, column: int, value: Any, style: Any) -> None:
    if value is None:
        sheet.write_blank(row, column, None, style)
    elif isinstance(value, bool):
        sheet.write_boolean(row, column, value, style)
    elif isinstance(value, str):
        sheet.write_string(row, column, value, style)
    else:
        sheet.write_number(row, column, _Exact(value), style)


def _add_list(sheet: Any, name: str, column: str, at: int, columns: Mapping[str, list[str]]) -> None:
    """Offer the ids or words that a column may hold; others can be typed after a warning."""
    last = _FIRST_ROW + _ROWS_AHEAD
    words = _words(name, column)
    source: Any = words
    if not words:
        other, key = _LISTS.get(column, ("", ""))
        if not other or (other == name and column == key) or (column == "unit" and name == "kpis"):
            return
        letters = column_letters(columns[other].index(key) + 1)
        source = f"={other}!${letters}${_FIRST_ROW + 1}:${letters}${last}"
    sheet.data_validation(
        _FIRST_ROW, at, last, at, {"validate": "list", "source": source, "error_type": "warning", "ignore_blank": True}
    )


def _words(name: str, column: str) -> list[str]:
    """Return the words that the format allows in a column; none where it allows more."""
    field = MODELS[name].model_fields.get(column) if name in MODELS else None
    annotation: Any = field.annotation if field else None
    if annotation is bool:
        return ["TRUE", "FALSE"]
    return [str(word) for word in get_args(annotation)] if get_origin(annotation) is Literal else []
