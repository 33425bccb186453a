"""Periods of a history: years, quarters or months, on one grid without gaps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kpiopt.learning.period_names import Period, read_period


@dataclass(frozen=True)
class PeriodGrid:
    """Consecutive periods.

    Attributes
    ----------
    per_year : int
        1, 4 or 12.
    first : int
        Number of the first period: year x per_year + place in the year, counted from 0.
    fiscal : bool
        Whether years are fiscal ones: FY2026.
    """

    per_year: int
    first: int
    count: int
    fiscal: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The periods' names, in order."""
        return tuple(period_name(self.first + i, self.per_year, self.fiscal) for i in range(self.count))

    @property
    def phase(self) -> int:
        """Place of the first period in its year, from 0."""
        return self.first % self.per_year

    def position(self, name: str) -> int | None:
        """Return the position of a period, None where it is not on the grid."""
        period = read_period(name)
        if period is None or period.form != (self.per_year, self.fiscal):
            return None
        return self.place(period)

    def place(self, period: Period) -> int | None:
        """Return the position of a period of the same form, None where it is not on the grid."""
        position = period.number - self.first
        return position if 0 <= position < self.count else None

    def until(self, count: int) -> PeriodGrid:
        """Return the first periods of the grid."""
        return PeriodGrid(self.per_year, self.first, count, self.fiscal)

    def after(self, count: int) -> tuple[str, ...]:
        """Return the names of the periods that follow the grid."""
        start = self.first + self.count
        return tuple(period_name(start + i, self.per_year, self.fiscal) for i in range(count))


def period_name(number: int, per_year: int, fiscal: bool = False) -> str:
    """Return a period's name from its number.

    Examples
    --------
    >>> period_name(2027 * 4 + 1, 4)
    '2027-Q2'
    """
    year, place = divmod(number, per_year)
    month = f"M{place + 1:02d}" if fiscal else f"{place + 1:02d}"
    name = {1: f"{year:04d}", 4: f"{year:04d}-Q{place + 1}", 12: f"{year:04d}-{month}"}[per_year]
    return f"FY{name}" if fiscal else name


def grid_of(periods: Iterable[Period]) -> PeriodGrid:
    """Return the grid from the first to the last of some periods of one form."""
    known = list(periods)
    numbers = [period.number for period in known]
    first = min(numbers)
    return PeriodGrid(known[0].per_year, first, max(numbers) - first + 1, known[0].fiscal)
