"""A second reader of workbooks: cells and formulas from the file itself, formulas worked out by a few lines of our own.

It knows no more of Excel than the plan's workbook uses, and refuses everything else.
"""

from __future__ import annotations

import io
import operator
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from xml.etree import ElementTree

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_TOKEN = re.compile(
    r"""(?P<text>"(?:[^"]|"")*")|(?P<ref>(?:'(?:[^']|'')*'!)?\$?[A-Z]{1,3}\$?\d+(?::\$?[A-Z]{1,3}\$?\d+)?)"""
    r"""|(?P<number>\d+(?:\.\d+)?(?:E[-+]?\d+)?)|(?P<name>[A-Z]+(?=\())|(?P<op><=|>=|<>|[-+*/(),=<>])"""
)
Lazy = Callable[[], Any]


@dataclass
class WorkbookText:
    """Values and formulas of all sheets, by sheet and cell."""

    content: bytes
    values: dict[tuple[str, str], Any] = field(default_factory=dict)
    formulas: dict[tuple[str, str], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        archive = zipfile.ZipFile(io.BytesIO(self.content))
        self.parts = {name: archive.read(name).decode() for name in archive.namelist()}
        shared = [
            "".join(t.text or "" for t in item.iter(f"{MAIN}t"))
            for item in ElementTree.fromstring(self.parts["xl/sharedStrings.xml"])
        ]
        for i, name in enumerate(self.names, start=1):
            for cell in ElementTree.fromstring(self.parts[f"xl/worksheets/sheet{i}.xml"]).iter(f"{MAIN}c"):
                found, kind = cell.find(f"{MAIN}v"), cell.get("t")
                text = found.text or "" if found is not None else None
                at = name, str(cell.get("r"))
                if text is not None:
                    is_text = kind == "str" or not text
                    self.values[at] = shared[int(text)] if kind == "s" else text if is_text else float(text)
                formula = cell.find(f"{MAIN}f")
                if formula is not None:
                    self.formulas[at] = formula.text or ""

    @cached_property
    def names(self) -> list[str]:
        book = ElementTree.fromstring(self.parts["xl/workbook.xml"])
        return [str(sheet.get("name")) for sheet in book.iter(f"{MAIN}sheet")]

    def work_out(self, sheet: str, cell: str) -> Any:
        """Return what the formula of a cell comes to, from the stored values of the cells that it names."""
        return self._evaluate(sheet, self.formulas[sheet, cell])

    def _evaluate(self, sheet: str, formula: str) -> Any:
        tokens, at = [], 0
        while at < len(formula):
            match = _TOKEN.match(formula, at)
            assert match, f"{formula!r} has something unknown at {at}"
            tokens.append((str(match.lastgroup), match.group()))
            at = match.end()
        parser = _Parser(tokens, lambda text: self._get(sheet, text))
        value = parser.comparison()
        assert parser.at == len(tokens), f"{formula!r} goes on after {parser.at} tokens"
        return value() if callable(value) else value

    def _get(self, sheet: str, text: str) -> Any:
        place, _, cells = text.rpartition("!")
        sheet = place[1:-1].replace("''", "'") if place else sheet
        first, _, last = cells.replace("$", "").partition(":")
        if not last:
            return self.values.get((sheet, first), Empty())
        letters, low, high = re.sub(r"\d", "", first), *(int(re.sub(r"[A-Z]", "", c)) for c in (first, last))
        assert letters == re.sub(r"\d", "", last)
        return [self.values.get((sheet, f"{letters}{row}")) for row in range(low, high + 1)]


class Empty(float):
    """An empty cell: 0 in sums, equal to the empty text."""

    def __eq__(self, other: object) -> bool:
        return other == "" or float.__eq__(self, other)

    __hash__ = float.__hash__


class _Parser:
    """Comparison, sum, product, sign, atom: each returns what gives its value when it is wanted."""

    def __init__(self, tokens: list[tuple[str, str]], get: Callable[[str], Any]) -> None:
        self.tokens, self.get, self.at = tokens, get, 0

    def _next(self, *wanted: str) -> str | None:
        if self.at < len(self.tokens) and self.tokens[self.at][1] in wanted:
            self.at += 1
            return self.tokens[self.at - 1][1]
        return None

    def _left_to_right(self, part: Callable[[], Lazy], *signs: str) -> Lazy:
        value = part()
        while sign := self._next(*signs):
            value = _joined(sign, value, part())
        return value

    def comparison(self) -> Lazy:
        return self._left_to_right(self._sum, "=", "<=", ">=", "<>", "<", ">")

    def _sum(self) -> Lazy:
        return self._left_to_right(self._product, "+", "-")

    def _product(self) -> Lazy:
        return self._left_to_right(self._atom, "*", "/")

    def _atom(self) -> Lazy:
        kind, text = self.tokens[self.at]
        self.at += 1
        if kind == "text":
            return lambda: text[1:-1].replace('""', '"')
        if kind == "ref":
            return lambda: self.get(text)
        if kind == "number":
            return lambda: float(text)
        if text == "-":
            value = self._atom()
            return lambda: -value()
        arguments = []
        if kind == "name":
            assert self._next("(")
            while True:
                arguments.append(self.comparison())
                if not self._next(","):
                    break
            assert self._next(")")
            return lambda: FUNCTIONS[text](*arguments)
        assert text == "(", f"unknown {text!r}"
        inner = self.comparison()
        assert self._next(")")
        return inner


def _joined(sign: str, first: Lazy, second: Lazy) -> Lazy:
    return lambda: OPERATORS[sign](first(), second())


OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "=": operator.eq,
    "<>": operator.ne, "<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge,
}  # fmt: skip


def _numbers(*values: Lazy) -> list[float]:
    found = [value() for value in values]
    flat = [v for value in found for v in (value if isinstance(value, list) else [value])]
    return [v for v in flat if isinstance(v, float | int)]


def _count(values: Lazy, wanted: Lazy) -> int:
    if wanted() == "<0":
        return sum(v < 0 for v in _numbers(values))
    return sum(v == wanted() for v in values())


def _sum_of_products(first: Lazy, second: Lazy) -> float:
    pairs = zip(*(v if isinstance(v, list) else [v] for v in (first(), second())), strict=True)
    return sum(a * b for a, b in pairs if isinstance(a, float) and isinstance(b, float))


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "IF": lambda test, yes, no: yes() if test() else no(),
    "ABS": lambda value: abs(value()),
    "MAX": lambda *values: max(_numbers(*values)),
    "SUM": lambda *values: sum(_numbers(*values)),
    "ROWS": lambda values: len(values()),
    "COUNTA": lambda values: sum(v is not None for v in values()),
    "COUNTIF": _count,
    "SUMPRODUCT": _sum_of_products,
}
