"""Periods of a history: years, quarters or months, on one grid without gaps."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_FORMS = {
    1: re.compile(r"(\d{4})"),
    4: re.compile(r"(\d{4})-Q([1-4])"),
    12: re.compile(r"(\d{4})-(0[1-9]|1[0-2])"),
}
RULE = "periods are all years (2026), all quarters (2026-Q1) or all months (2026-01)"


@dataclass(frozen=True)
class PeriodGrid:
    """Consecutive periods.

    Attributes
    ----------
    per_year : int
        1, 4 or 12.
    first : int
        Number of the first period: year x per_year + place in the year, counted from 0.
    count : int
    """

    per_year: int
    first: int
    count: int

    @property
    def names(self) -> tuple[str, ...]:
        """The periods' names, in order."""
        return tuple(period_name(self.first + i, self.per_year) for i in range(self.count))

    @property
    def phase(self) -> int:
        """Place of the first period in its year, from 0."""
        return self.first % self.per_year

    def position(self, name: str) -> int | None:
        """Return the position of a period, None where it is not on the grid."""
        number = period_number(name, self.per_year)
        inside = number is not None and 0 <= number - self.first < self.count
        return number - self.first if inside and number is not None else None

    def until(self, count: int) -> PeriodGrid:
        """Return the first periods of the grid."""
        return PeriodGrid(self.per_year, self.first, count)

    def after(self, count: int) -> tuple[str, ...]:
        """Return the names of the periods that follow the grid."""
        start = self.first + self.count
        return tuple(period_name(start + i, self.per_year) for i in range(count))


def form_of(name: str) -> int | None:
    """Return how many periods of this form a year has; None where the name is no period."""
    return next((per_year for per_year, form in _FORMS.items() if form.fullmatch(name)), None)


def period_number(name: str, per_year: int) -> int | None:
    """Return the number of a period, None where its name has another form."""
    found = _FORMS[per_year].fullmatch(name)
    if found is None:
        return None
    place = int(found[2]) - 1 if per_year > 1 else 0
    return int(found[1]) * per_year + place


def period_name(number: int, per_year: int) -> str:
    """Return a period's name from its number.

    Examples
    --------
    >>> period_name(2027 * 4 + 1, 4)
    '2027-Q2'
    """
    year, place = divmod(number, per_year)
    return {1: f"{year:04d}", 4: f"{year:04d}-Q{place + 1}", 12: f"{year:04d}-{place + 1:02d}"}[per_year]


def grid_of(names: Iterable[str], per_year: int) -> PeriodGrid:
    """Return the grid from the first to the last of some periods of one form."""
    numbers = [n for n in (period_number(name, per_year) for name in names) if n is not None]
    return PeriodGrid(per_year, min(numbers), max(numbers) - min(numbers) + 1)
