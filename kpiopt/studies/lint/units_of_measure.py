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


class Measures:
    """Units of measure as planners write them: words are units of their own, "per" and "/" divide."""

    @cached_property
    def registry(self) -> Any:
        """The registry of units, without any but time; words are added as they come."""
        import pint

        registry: Any = pint.UnitRegistry(None)
        lines = ["second = [time]", "minute = 60 * second", "hour = 60 * minute", "day = 24 * hour", "week = 7 * day"]
        lines += ["year = 365.25 * day", "month = year / 12", "quarter = year / 4", "percent = [percent]"]
        registry.load_definitions(lines)
        self._words: dict[str, str] = {}
        return registry

    def read(self, text: str) -> Any:
        """Read a unit of measure such as "kUSD per day"; what comes first is over all that follows a "per".

        Returns
        -------
        pint.Quantity
        """
        over, *under = _PER.split(text.strip().casefold())
        found = self._one(over) if over else self.registry.Quantity(1.0)
        for part in under:
            found = found / self._one(part)
        return found

    def factor(self, declared: str, effect: str, cause: str) -> float | None:
        """Return what a contribution in a declared unit is multiplied with to be in the effect's unit per the cause's.

        Returns
        -------
        float or None
            1 where the units match; None where no factor makes them match.
        """
        ratio = self.read(declared) * self.read(cause) / self.read(effect)
        return float(ratio.to_base_units().magnitude) if ratio.dimensionless else None

    def _one(self, text: str) -> Any:
        """Return a number of one unit: "1,000 systems", "kEUR", "points", "sales calls"."""
        number = re.match(r"[\d,._]+\s*", text)
        size = float(re.sub(r"[,_]", "", number[0])) if number else 1.0
        word = text[number.end() :] if number else text
        money = money_of(word)
        if money:
            size, word = size * money[0], money[1]
        singular = word.strip().removesuffix("s")
        if word.strip() in _POINT or singular in _POINT:
            return size * self.registry.percent
        return size * self.registry(_TIME.get(singular) or self._word(singular))

    def _word(self, word: str) -> str:
        """Return the name of a word's own unit."""
        registry = self.registry
        if word not in self._words:
            self._words[word] = f"word_{len(self._words)}"
            registry.define(f"{self._words[word]} = [{self._words[word]}]")
        return self._words[word]
