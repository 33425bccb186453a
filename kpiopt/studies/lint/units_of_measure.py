"""Arithmetic of units of measure: does "USD per point" times points give kUSD? Loaded by `check --lint` alone."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any

from kpiopt.scenario.checks.measures import money_of

_TIME = {
    "second": "second", "sec": "second", "s": "second", "minute": "minute", "min": "minute", "hour": "hour",
    "hr": "hour", "h": "hour", "day": "day", "d": "day", "week": "week", "month": "month", "quarter": "quarter",
    "year": "year", "yr": "year",
}  # fmt: skip
_POINT = {"%", "percent", "pct", "pt", "pp", "point", "percentage point"}
_PER = re.compile(r"\s*/\s*|\s+per\s+|^per\s+|\s+an?\s+")


_NUMBER = re.compile(r"(\d[\d,_]*(?:\.\d+)?)\s*")
AROUND_THE_CLOCK = "1 day = 24 hours, 1 week = 7 days, 1 year = 365.25 days"
AT_WORK = "1 day = 8 hours, 1 week = 5 days, 1 year = 260 days"
"""What days, weeks and years come to: on the calendar, and as people work."""


class UnreadableUnit(ValueError):
    """A unit of measure without a word or with a number that nothing can be counted by, such as "USD per 0 visits"."""


class Measures:
    """Units of measure as planners write them: words are units of their own, "per" and "/" divide.

    Parameters
    ----------
    calendar : str
        `AROUND_THE_CLOCK` or `AT_WORK`.
    """

    def __init__(self, calendar: str = AROUND_THE_CLOCK) -> None:
        self.calendar = calendar
        self._words: dict[str, str] = {}

    @cached_property
    def registry(self) -> Any:
        """The registry of units, without any but time; words are added as they come."""
        import pint

        registry: Any = pint.UnitRegistry(None)
        lines = ["second = [time]", "minute = 60 * second", "hour = 60 * minute"]
        for each in self.calendar.split(", "):
            _, unit, _, count, of = each.split()
            lines.append(f"{unit} = {count} * {of.removesuffix('s')}")
        registry.load_definitions([*lines, "month = year / 12", "quarter = year / 4", "percent = [percent]"])
        return registry

    def read(self, text: str) -> Any:
        """Read a unit of measure such as "kUSD per day"; what comes first is over all that follows a "per".

        Returns
        -------
        pint.Quantity

        Raises
        ------
        UnreadableUnit
            Where a part of it has no word, or its number is 0.
        """
        over, *under = _PER.split(text.strip().casefold())
        found = self._one(over) if over or not under else self.registry.Quantity(1.0)
        for part in under:
            found = found / self._one(part)
        return found

    def factor(self, declared: str, effect: str, cause: str | None) -> float | None:
        """Return what a contribution in a declared unit is multiplied with to be in the effect's unit per the cause's.

        Parameters
        ----------
        cause : str or None
            None where the cause has no unit of measure: then what is before the first "per" is compared.

        Returns
        -------
        float or None
            1 where the units match; None where no factor makes them match.

        Raises
        ------
        UnreadableUnit
        """
        if cause is None:
            ratio = self.read(over_of(declared)) / self.read(over_of(effect))
        else:
            ratio = self.read(declared) * self.read(cause) / self.read(effect)
        return float(ratio.to_base_units().magnitude) if ratio.dimensionless else None

    def _one(self, text: str) -> Any:
        """Return a number of one unit: "1,000 systems", "kEUR", "points", "sales calls", "1"."""
        number = _NUMBER.match(text)
        size = float(re.sub(r"[,_]", "", number[1])) if number else 1.0
        word = (text[number.end() :] if number else text).strip()
        if not 0.0 < size < float("inf") or not (number or word):
            raise UnreadableUnit(text)
        if not word:
            return size * self.registry.Quantity(1.0)
        money = money_of(word)
        if money:
            size, word = size * money[0], money[1]
        singular = word.removesuffix("s")
        if word in _POINT or singular in _POINT:
            return size * self.registry.percent
        return size * self.registry(_TIME.get(singular) or self._word(singular))

    def _word(self, word: str) -> str:
        """Return the name of a word's own unit."""
        registry = self.registry
        if word not in self._words:
            self._words[word] = f"word_{len(self._words)}"
            registry.define(f"{self._words[word]} = [{self._words[word]}]")
        return self._words[word]


def over_of(unit: str) -> str:
    """Return what stands before the first "per" of a unit of measure."""
    return _PER.split(unit.strip().casefold())[0] or "1"
