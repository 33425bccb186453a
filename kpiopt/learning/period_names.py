"""Names of periods as people write them: read where they can mean one thing only, else what they could mean is said."""

from __future__ import annotations

import calendar
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

RULE = (
    "periods are all years (2026), all quarters (2026-Q1) or all months (2026-01), of fiscal years as well "
    "(FY2026, FY2026-Q1)"
)

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan january januar jän jänner", "feb february februar", "mar march mär märz mrz", "apr april",
            "may mai", "jun june juni", "jul july juli", "aug august", "sep sept september", "oct october okt oktober",
            "nov november", "dec december dez dezember",
        ),
        1,
    )
    for name in names.split()
}  # fmt: skip
_SEP = r"[-/. ]?"
_FORMS: tuple[tuple[int, str], ...] = (
    # periods a year, pattern with the year (y) or its last two digits (s) and the place in the year (p)
    (1, r"(?P<y>\d{4})"),
    (1, r"(?P<fy>FY)\s?(?:(?P<y>\d{4})|(?P<s>\d{2}))"),
    (4, rf"(?P<fy>FY\s?)?(?:(?P<y>\d{{4}})|(?P<s>\d{{2}})){_SEP}Q(?P<p>[1-4])"),
    (4, r"Q(?P<p>[1-4])[-/. ']{0,2}(?P<fy>FY\s?)?(?:(?P<y>\d{4})|(?P<s>\d{2}))"),
    (12, r"(?P<y>\d{4})[-/.](?P<p>0?[1-9]|1[0-2])"),
    (12, r"(?P<y>(?:19|20)\d{2})(?P<p>0[1-9]|1[0-2])"),
    (12, r"(?P<p>0?[1-9]|1[0-2])[-/.](?P<y>\d{4})"),
    (12, rf"(?P<fy>FY\s?)?(?P<y>\d{{4}}){_SEP}[MP](?P<p>0?[1-9]|1[0-2])"),
    (12, r"(?P<fy>FY\s?)(?P<s>\d{2})[-/. ]?[MP](?P<p>0?[1-9]|1[0-2])"),
    (12, r"(?P<word>[^\W\d_]{3,9})\.?[-/. ]?(?P<y>\d{4})"),
    (12, r"(?P<y>\d{4})[-/. ]?(?P<word>[^\W\d_]{3,9})\.?"),
)
_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:[T ]00:00(?::00(?:\.0+)?)?)?")
_REASONS: tuple[tuple[str, str, str], ...] = (
    # pattern, what it is, what to do
    (r"(\d{2,4}[-/. ]?)?(W|KW|WK|CW|WEEK ?)\d{1,2}([-/. ]?\d{2,4})?", "names a week, and weeks make up neither months "
     "nor quarters", "add the weeks up to months or quarters"),
    (r"\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}", "may have the day or the month first", "write 2026-01 for January 2026"),
    (r"[^\W\d_]{3,9}[-/. ']{0,2}\d{2}|\d{1,2}[-/. ][^\W\d_]{3,9}", "may name a day or a year by its two digits",
     "write 2026-01 for January 2026"),
    (r"\d{4}[-/. ]?[HS][12]|[HS][12][-/. ]?\d{4}", "names half a year", "write years, quarters or months"),
    (r"two years", "may name two years or a month", "write FY2026 for the fiscal year that ends in 2026, 2026-01 for a "
     "month"),
    (r"(FY ?)?\d{2,4}[-/. ]?[QMP]\d+|\d{4}[-/.]\d{1,2}|Q\d+[-/. ]?\d{2,4}", "names a part that a year does not have",
     "a year has the quarters Q1 to Q4 and the months 01 to 12"),
    (r"Q[1-4]|[^\W\d_]{3,9}\.?", "names no year", "write 2026-Q1 or 2026-01"),
)  # fmt: skip


@dataclass(frozen=True)
class Period:
    """One period that a name can mean.

    Attributes
    ----------
    per_year : int
        1, 4 or 12.
    number : int
        Year x per_year + place in the year, counted from 0.
    fiscal : bool
        Whether the year is a fiscal one: FY2026.
    """

    per_year: int
    number: int
    fiscal: bool = False

    @property
    def form(self) -> tuple[int, bool]:
        """What periods of one history have in common."""
        return self.per_year, self.fiscal


def read_period(name: str) -> Period | None:
    """Return the period that a name means; None where it may mean several or none.

    Examples
    --------
    >>> read_period("Jan 2026") == read_period("2026-01") == read_period("2026/1")
    True
    >>> read_period("Q1 FY26"), read_period("01/02/2026")
    (Period(per_year=4, number=8104, fiscal=True), None)
    """
    for per_year, form in _FORMS:
        found = re.fullmatch(form, name.strip(), re.IGNORECASE)
        if found is None:
            continue
        parts = found.groupdict()
        year = int(parts["y"]) if parts.get("y") else _century(int(parts["s"]))
        word = parts.get("word")
        place = _MONTHS.get(word.casefold(), 0) if word else int(parts.get("p") or 1)
        if place:
            return Period(per_year, year * per_year + place - 1, bool(parts.get("fy")))
    return None


def _century(year: int) -> int:
    return year + (2000 if year < 70 else 1900)


def read_periods(names: Sequence[str]) -> tuple[list[Period | None], dict[str, str]]:
    """Return the period of every name, and for those that have none why, by name.

    Dates are periods where all of them are first or all are last days of months; of quarters where only quarters begin
    or end on them, of years where only years do.
    """
    different = list(dict.fromkeys(names))
    dates = {name: day for name in different if (day := _date(name)) is not None}
    found = {name: read_period(name) for name in different} | _periods_of_dates(dates)
    if len(different) > 1 and all(map(_is_pair_of_years, different)):
        found = dict.fromkeys(different)
    why: dict[str, str] = {}
    forms = Counter(period.form for name in names if (period := found[name]) is not None)
    usual = forms.most_common(1)[0][0] if forms else None
    for name, period in found.items():
        if period is None:
            why[name] = _why_not(name, name in dates)
        elif period.form != usual:
            why[name] = "is not a period like the others"
    return [found[name] if name not in why else None for name in names], why


def _date(name: str) -> tuple[int, int, int] | None:
    found = _DATE.fullmatch(name.strip())
    if found is None:
        return None
    year, month, day = (int(part) for part in found.groups())
    known = 1 <= month <= 12 and 1 <= day <= calendar.monthrange(max(year, 1), month)[1]
    return (year, month, day) if known else None


def _periods_of_dates(dates: dict[str, tuple[int, int, int]]) -> dict[str, Period | None]:
    days = list(dates.values())
    first = all(day == 1 for _, _, day in days)
    last = all(day == calendar.monthrange(year, month)[1] for year, month, day in days)
    if not (first or last):
        return dict.fromkeys(dates)
    months = {(month - 1 if first else month) % 12 for _, month, _ in days}
    years = {year for year, _, _ in days}
    per_year = 12
    if len({(year, month) for year, month, _ in days}) > 2 and months <= {0, 3, 6, 9}:
        per_year = 1 if months == {0} and len(years) > 2 else 4
    return {
        name: Period(per_year, year * per_year + (month - 1) * per_year // 12)
        for name, (year, month, _) in dates.items()
    }


def _why_not(name: str, is_date: bool) -> str:
    if is_date:
        return "is a day, and not all days are first or all last days of a month"
    shape = "two years" if _is_pair_of_years(name) else name.strip()
    return next((what for form, what, _ in _REASONS if re.fullmatch(form, shape, re.I)), "is not a period")


def _is_pair_of_years(name: str) -> bool:
    found = re.fullmatch(r"(?:FY\s?)?(?:\d{2})?(\d{2})[-/](\d{2})", name.strip(), re.IGNORECASE)
    return found is not None and int(found[2]) == (int(found[1]) + 1) % 100


def what_to_do(why: str) -> str:
    """Return what to do about a name that is no period for this reason."""
    if why.startswith("is a day"):
        return "add the days up to months, or write the month: 2026-01"
    return next((fix for _, what, fix in _REASONS if what == why), "write every period in the same form")


def rows_of_each(values: Iterable[str | None]) -> dict[str, list[int]]:
    """Return the rows of each value, in order of appearance; rows of None are left out."""
    rows: dict[str, list[int]] = {}
    for row, value in enumerate(values):
        if value is not None:
            rows.setdefault(value, []).append(row)
    return rows
