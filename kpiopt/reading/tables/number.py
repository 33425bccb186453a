"""Numbers written as text: read strictly, and explained in plain words where they are not plain numbers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kpiopt.reading.tables.messages import Explanation, show
from kpiopt.reading.tables.table import Floats

DecimalMark = Literal[".", ","]

SPACES = " \t\u00a0\u2007\u2009\u202f\u3000"
"""What may stand around a value without meaning anything."""

NUMBER_RULE = "a number is digits with at most one decimal mark, such as 1250 or 0.05 or -3e6; empty means not given"

_DIGITS = r"[0-9]+{mark}?[0-9]*|{mark}[0-9]+"
_NUMBER = r"[+-]?(?:" + _DIGITS + r")(?:[eE][+-]?[0-9]+)?"


def number_pattern(decimal: DecimalMark = ".") -> str:
    """Return the regular expression of a plain number (the same meaning in Python and in polars)."""
    return _NUMBER.replace("{mark}", re.escape(decimal))


@dataclass(frozen=True, slots=True)
class NumberForm:
    """How a file writes numbers in text.

    Attributes
    ----------
    decimal : {".", ","}
    thousands : str
        What separates thousands, where that is declared; else "".
    is_certain : bool
        Whether "1.234" can only be one number: the form is declared, or commas separate the file's fields.
    may_declare : bool
        Whether the form can be declared: of a typed file it cannot.
    """

    decimal: DecimalMark = "."
    thousands: str = ""
    is_certain: bool = True
    may_declare: bool = True

    def plain(self, text: str) -> str:
        """Return a grouped number without its separators, any other text as it is."""
        is_grouped = bool(self.thousands) and re.fullmatch(self._grouped, text)
        return re.sub(_separators(self.thousands), "", text) if is_grouped else text

    def without_groups(self, text: pl.Series) -> pl.Series:
        """Return a column with the declared separators of thousands taken out of its numbers."""
        if not self.thousands:
            return text
        grouped = text.str.contains(f"^{self._grouped}$")
        return text.zip_with(~grouped, text.str.replace_all(_separators(self.thousands), ""))

    @property
    def _grouped(self) -> str:
        return (
            rf"[+-]?[1-9][0-9]{{0,2}}(?:{_separators(self.thousands)}[0-9]{{3}})+(?:{re.escape(self.decimal)}[0-9]*)?"
        )

    @property
    def could_be_grouped(self) -> str:
        """The pattern of plain numbers that could have a separator of thousands: "1.234", not "0.125" or "1.5"."""
        return rf"[+-]?[1-9][0-9]{{0,2}}{re.escape(self.decimal)}[0-9]{{3}}"


def _separators(thousands: str) -> str:
    """Return a class of characters for regular expressions; a space stands for every kind of it."""
    return "[ \u00a0\u2007\u2009\u202f]" if thousands == " " else f"[{thousands}]"


@dataclass(frozen=True, slots=True)
class ParsedNumbers:
    """What a column of text says.

    Attributes
    ----------
    values : (n,) float
        NaN where the field is empty, malformed or out of range; never -0.
    malformed : (n,) bool
        Where the text is no plain number.
    out_of_range : (n,) bool
        Where a plain number is too large for a float, or so small that it would become 0.
    """

    values: Floats
    malformed: NDArray[np.bool_]
    out_of_range: NDArray[np.bool_]


def parse_numbers(text: pl.Series, decimal: DecimalMark = ".") -> ParsedNumbers:
    """Read a column of text as numbers.

    Parameters
    ----------
    text : (n,) series of str
        Fields without surrounding spaces; "" means not given.
    decimal : {".", ","}
        The decimal mark of the file.
    """
    plain = text.str.contains(f"^{number_pattern(decimal)}$")
    canonical = text if decimal == "." else text.str.replace(",", ".", literal=True)
    values = canonical.cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy().copy()
    ok = plain.to_numpy() & ~np.isnan(values)
    malformed = ~ok & (text != "").to_numpy()
    out_of_range = ok & ~np.isfinite(values)
    zeros = np.flatnonzero(ok & (values == 0.0))
    if zeros.size:  # 1e-400 reads as 0, which it is not
        vanished = canonical.gather(zeros).str.contains(r"^[^eE]*[1-9]").to_numpy()
        out_of_range[zeros[vanished]] = True
    values[malformed | out_of_range] = np.nan
    return ParsedNumbers(values + 0.0, malformed, out_of_range)  # + 0.0 turns -0 into 0


def thousands_suspects(text: pl.Series, form: NumberForm) -> NDArray[np.bool_]:
    """Mark numbers such as "1.234" that could mean 1234, (n,) bool.

    Three decimals are ordinary data (0.125) in a file with commas between its fields. But where a column also holds
    "1.234.567", and wherever neither commas nor a declaration tell what the mark means, "1.234" may mean 1234: reading
    it as 1.234 could be a wrong answer that looks right. One number such as 0.5 or 12.25 in the column settles it.
    """
    mark, none = re.escape(form.decimal), np.zeros(len(text), dtype=np.bool_)
    many = rf"^[+-]?[0-9]{{1,3}}(?:{mark}[0-9]{{3}}){{2,}}$"
    if form.thousands or (form.is_certain and not text.str.contains(many).any()):
        return none
    single = text.str.contains(rf"^[^{mark}]*{mark}[^{mark}]*$")
    grouped = text.str.contains(f"^{form.could_be_grouped}$")
    return none if (single != grouped).any() else grouped.to_numpy()


def explain_number(value: str, decimal: DecimalMark = ".", share: str = "") -> Explanation:
    """Say why a text is not a plain number and what to write instead.

    Parameters
    ----------
    share : str
        What the column holds, where that is a share.
    """
    text = value.strip(SPACES)
    code, reason, fix = _reason(text, decimal)
    if share and (percent := _PERCENT.fullmatch(text)):
        fix = f"write {_share_of(percent, decimal)}: {share} is a share, 1 is all of it"
    return code, f"{show(value)} is not a plain number: {reason}", NUMBER_RULE, fix


def explain_range(value: str) -> Explanation:
    """Say that a number cannot be held by the computer's arithmetic."""
    message = f"{show(value)} is too large or too close to 0 for arithmetic"
    return "E-number-range", message, "numbers lie between 1e-300 and 1e300 in size", "choose a larger or smaller unit"


def ask_thousands(values: Sequence[str], form: NumberForm) -> Explanation:
    """Ask what the mark of some numbers of a column means."""
    value, mark = values[0], form.decimal
    other = "," if mark == "." else "."
    more = f" ({len(values):,} such numbers in this column)" if len(values) > 1 else ""
    digits = re.sub(r"[.,]", "", value)
    message = f"{show(value)} could be {digits} or {value.replace(',', '.')}{more}"
    fix = (
        f'under [tables], declare thousands = "{mark}" (and decimal = "{other}") or decimal = "{mark}" for this table; '
        "or write the numbers without separators"
    )
    if not form.may_declare:
        fix = f"write the numbers without separators, or with another number of decimals: {value}0"
    return "E-number-thousands", message, "a number has one meaning", fix


_PERCENT = re.compile(r"([+-]?[0-9]+(?:[.,][0-9]+)?)\s*%")


def _share_of(percent: re.Match[str], decimal: DecimalMark) -> str:
    """Return the share that a percentage is, with the table's decimal mark."""
    return f"{(Decimal(percent[1].replace(',', '.')) / 100).normalize():f}".replace(".", decimal)


def _reason(text: str, decimal: DecimalMark) -> tuple[str, str, str]:
    """Return code, reason and fix; the first that fits wins."""
    invisible = dict.fromkeys(c for c in text if unicodedata.category(c) in ("Cc", "Cf"))
    if invisible:
        points = ", ".join(f"U+{ord(c):04X}" for c in invisible)
        return "E-table-control", f"it contains the invisible character {points}", "remove the character"
    for pattern, code, reason, fix in _REASONS:
        if re.fullmatch(pattern, text, re.IGNORECASE):
            return code, reason, fix.format(digits=plain_digits(text, decimal), decimal=decimal)
    other = "," if decimal == "." else "."
    if re.fullmatch(rf"[+-]?[0-9]+{re.escape(other)}[0-9]+", text):
        declare = f'declare decimal = "{other}" for this table under [tables]'
        return (
            "E-number-decimal",
            f"the decimal mark is '{decimal}'",
            f"write {text.replace(other, decimal)}, or {declare}",
        )
    if percent := _PERCENT.fullmatch(text):
        points = percent[1].replace(other, decimal)
        share = _share_of(percent, decimal)
        fix = (
            f"write {points} where the KPI's unit is %, {share} where a share is meant, as in a weight; other values "
            f"are in the KPI's unit: write {points} % as an amount, or as the growth of a guardrail"
        )
        return "E-number-unit", "a percent sign is no part of a number", fix
    symbols = [c for c in text if unicodedata.category(c) == "Sc"]
    if symbols:
        rest = "".join(c for c in text if c not in symbols).strip()
        fix = f"write {plain_digits(rest, decimal)}; units belong to the KPI"
        return "E-number-unit", f"it contains the currency sign {symbols[0]}", fix
    return "E-number", "it is text", "write digits only, or leave the field empty where the value is not known"


_LETTERS = {"k": 1_000, "t": 1_000, "m": 1_000_000, "mn": 1_000_000, "mio": 1_000_000, "bn": 1_000_000_000}


def plain_digits(text: str, decimal: DecimalMark = ".") -> str:
    """Write what a text plainly means as the digits that are read; the text itself where that is not plain."""
    sign, body = "", text.strip(SPACES)
    if minus := re.fullmatch(r"\((.+)\)|[\u2212\u2012\u2013\u2014](.+)", body):
        sign, body = "-", (minus[1] or minus[2]).strip(SPACES)
    match = re.fullmatch(
        r"([+-]?)([0-9]{1,3}(?:[,.\u00a0 '][0-9]{3})*|[0-9]+)([.,][0-9]+)?\s?(k|m|mn|mio|bn|t)?\.?", body, re.I
    )
    marks = set(re.findall(r"[,.]", match[2])) if match else set()
    if match is None or len(marks) > 1 or (match[3] and match[3][0] in marks):
        return f"{sign}{body}"
    whole, fraction = re.sub(r"[^0-9]", "", match[2]), (match[3] or ".0")[1:]
    value = Decimal(f"{whole}.{fraction}") * _LETTERS.get((match[4] or "").lower(), 1)
    return f"{sign}{match[1]}{value.normalize():f}".replace(".", decimal)


_NO_SEPARATORS = 'write the digits without separators, or declare thousands = "…" for this table under [tables]'
_REASONS: tuple[tuple[str, str, str, str], ...] = (
    # pattern, code, reason, fix with the pattern's groups
    (r"[+-]?nan|[+-]?inf(?:inity)?", "E-number-range", "it is not finite", "leave the field empty for not given"),
    (
        r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[T ].*)?|[0-9]{1,2}[/.][0-9]{1,2}[/.][0-9]{2,4}",
        "E-number-date",
        "it looks like a date",
        "no column of this table holds dates; elsewhere they are written YYYY-MM-DD",
    ),
    (
        r"[+-]?[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]+)?",
        "E-number-thousands",
        "the comma could separate thousands or decimals",
        'write {digits} or declare thousands = "," if it separates thousands, declare decimal = "," if it does not',
    ),
    (
        r"[+-]?[0-9]{1,3}(?:[ \u00a0\u2007\u2009\u202f'’][0-9]{3})+(?:[.,][0-9]+)?",
        "E-number-thousands",
        "it is grouped by thousands",
        _NO_SEPARATORS,
    ),
    (
        r"[+-]?[1-9][0-9]{0,2}(?:\.[0-9]{3})+(?:,[0-9]+)?|[+-]?[0-9]+(?:\.[0-9]+){2,}",
        "E-number-thousands",
        "its points seem to separate thousands",
        _NO_SEPARATORS,
    ),
    (r"[0-9]+(?:_[0-9]+)+", "E-number-thousands", "underscores are no part of a number in a table", _NO_SEPARATORS),
    (
        r"[+-]?[0-9]+(?:[.,][0-9]+)?\s?(?:k|m|mn|mio|bn|t)\.?",
        "E-number-unit",
        "a letter stands for the thousands or millions",
        "write it in full: {digits}",
    ),
    (
        r"[0-9][0-9.,]*\s*[-\u2012\u2013\u2014]\s*[0-9][0-9.,]*",
        "E-number",
        "it looks like a range",
        'write one number, or, where a quantity may stand, a range with "to": 300 to 700',
    ),
    (r"\(.+\)", "E-number", "brackets do not mean minus here", "write {digits}"),
    (r"[\u2212\u2012\u2013\u2014].+", "E-number", "its minus is a typographic dash", "write {digits} with a hyphen"),
    (r"#(?:n/a|ref!|div/0!|value!|name\?|num!|null!)", "E-number", "it is a spreadsheet's error", "mend the formula"),
    (
        r"-+|\?+|\.+|n/?a\.?|null|none|tbd",
        "E-number",
        "it stands in for a missing value",
        "leave the field empty where the value is not given",
    ),
    (r"true|false|yes|no", "E-number", "it is a logical value", "write 1 or 0 where a number is meant"),
)
