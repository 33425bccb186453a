"""One way to change a number: from its path to its value, and to the scenario in which it is another.

Most numbers are changed in memory, in a hundredth of the time that reading the tables again takes; what comes of it is
what reading the file with that value gives. Paths are those of `[correlation]`, `--set` and `[sweep]`: a quantity may
be named with or without the `.value` or `.contribution` that it is written under.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from kpiopt.errors import InputError, Problem, UsageError
from kpiopt.reading.key_path import KeyPath, did_you_mean, dotted, is_number, value_at, with_value
from kpiopt.reading.override import quantity_key
from kpiopt.reading.toml.emit import value_text
from kpiopt.reading.toml.text import read_path
from kpiopt.scenario.bounds import out_of_range
from kpiopt.scenario.numbers.plain_numbers import PlainNumber, plain_numbers, single_numbers
from kpiopt.scenario.numbers.quantities import canonical, fix_quantities, quantities_of, replace_quantities
from kpiopt.scenario.quantity import Quantity
from kpiopt.scenario.scenario import Scenario

SETTINGS = ("schema", "simulation", "sweep", "variant", "tables", "rules", "relax", "extends")
FILES = ("schema", "sweep", "variant", "tables", "rules", "relax", "extends")
WHOLE = ("lag", "priority")
"""What a study does not move: how it is computed, and what is told by whole numbers that stand for an order."""

WRITTEN = ("budget", "capacity", "cell", "factor", "goal", "initiative", "kpi", "unit")
"""Sections whose numbers mean in memory what they mean in the file; the laws of chance are checked while reading."""

Reader = Callable[[Sequence[str]], Scenario]
"""Reads the scenario again with further overrides "path=value"."""


@dataclass(frozen=True)
class Inputs:
    """The numbers of a scenario, to be looked up by their paths and changed.

    Attributes
    ----------
    read : callable or None
        How paths are changed that are not known here; None where the scenario has no file.
    """

    scenario: Scenario
    read: Reader | None = None

    @cached_property
    def quantities(self) -> dict[str, Quantity]:
        """Every number that may be a distribution, by name."""
        return quantities_of(self.scenario)

    @cached_property
    def plain(self) -> dict[str, PlainNumber]:
        """Plain numbers that are moved on their own account, by path."""
        return plain_numbers(self.scenario)

    @cached_property
    def single(self) -> dict[str, PlainNumber]:
        """Numbers of single cells and units, and factors by KPI, by path."""
        return single_numbers(self.scenario)

    def resolve(self, path: str) -> str:
        """Return the name by which a path is known here; quotes, `.value` and `.contribution` may be left out."""
        name = canonical(path, self.quantities)
        if name is not None or path in self.plain:
            return name or path
        for known in (self.plain, self.single):
            found = path if path in known else next((key for key in known if bare(key) == bare(path)), None)
            if found is not None:
                return found
        return path

    def number(self, path: str) -> PlainNumber | None:
        """Return the plain number at a resolved path; None where it is a quantity, or only the file knows it."""
        found = self.plain.get(path)
        return self.single.get(path) if found is None and path not in self.quantities else found

    def key(self, path: str) -> KeyPath:
        """Return the keys under which the file writes what a path names."""
        name = self.resolve(path)
        factor = self.scenario.factors.get(name.removeprefix("factor.")) if name in self.quantities else None
        if factor is not None and factor.period >= 0:
            return ("factor", factor.cause, "value", factor.period)
        keys = read_path(name) or tuple(name.split("."))
        inside = quantity_key(value_at(self.scenario.document, keys)) if name in self.quantities else ()
        return (*keys, *inside)

    def value(self, path: str) -> float:
        """Return the present value of a path, the mean of a quantity.

        Raises
        ------
        UsageError
            Where nothing at this path is a number, or it is none that a plan hinges on.
        """
        name = self.resolve(path)
        if name in self.quantities:
            return self.quantities[name].mean
        number = self.number(name)
        if number is not None:
            return number.value
        keys = self.key(path)
        found = value_at(self.scenario.document, keys)
        if keys[0] in SETTINGS or keys[-1] in WHOLE or (keys[0] in ("goal", "odds") and keys[-1] == "p_min"):
            rule = "limits, goals, assumptions and uncertain quantities are moved; settings, ranks and promises are not"
            fix = f"see what other values give: kpiopt sweep --over {path}=FIRST:LAST:NUMBER"
            fix = fix if keys[0] not in FILES else "solve a variant with another one, and compare them: kpiopt compare"
            raise UsageError(
                Problem("E-sensitivity-path", f"{path} is nothing that can be moved bit by bit", rule, fix)
            )
        if not is_number(found):
            raise _unknown(path, [*self.quantities, *self.plain])
        if self.read is None:
            rule = "of a scenario at hand only numbers are moved that need no reading"
            raise UsageError(Problem("E-sensitivity-path", f"{path} needs its file to be read", rule, "name the file"))
        return float(found)

    def at(self, path: str, value: float) -> Scenario:
        """Return the scenario in which one input certainly has a value; an uncertain one keeps its stream of draws.

        Raises
        ------
        UsageError
            Where there is no such input.
        InputError
            Where the file does not allow the value.
        """
        name = self.resolve(path)
        if name in self.quantities:
            return fix_quantities(self.scenario, {name: value})
        number = self.number(name)
        if number is not None and self._is_changed_here(name):
            return self._noted(name, value, self._moved(name, number, value))
        return self._read_with({name: value})

    def _is_changed_here(self, name: str) -> bool:
        """Whether a number can be put in memory, in the variants of a robust plan as well."""
        every = (self, *(Inputs(other) for _, other in self.scenario.robust))
        return all((found := inputs.number(name)) is not None and found.change is not None for inputs in every)

    def _moved(self, name: str, number: PlainNumber, value: float) -> Scenario:
        """Put a number in memory, in the variants of a robust plan as well."""
        assert number.change is not None
        others = tuple((variant, Inputs(other).at(name, value)) for variant, other in self.scenario.robust)
        return replace(number.change(self.scenario, value), robust=others)

    def is_varied(self, path: str) -> bool:
        """Whether one of the variants that a robust plan is judged in has a number of its own there."""
        return bool(self._varying(path))

    def _varying(self, path: str) -> list[str]:
        if not self.scenario.robust:
            return []
        keys = self.key(path)
        own = value_at(self.scenario.document, keys)
        return [name for name, other in self.scenario.robust if value_at(other.document, keys) != own]

    def require_common(self, path: str) -> None:
        """Refuse to move bit by bit a number that variants of a robust plan set themselves.

        Raises
        ------
        UsageError
        """
        names = self._varying(path)
        if names:
            message = f"{path} is set by variant '{names[0]}' itself, in which the plan is judged"
            rule = "a number is moved from where it is, in the scenario and in the variants of [decide] robust alike"
            fix = f"see what other values give that all of them have: kpiopt sweep --over {path}=FIRST:LAST:NUMBER"
            raise UsageError(Problem("E-sensitivity-path", message, rule, fix))

    def written(self, values: Mapping[str, Any]) -> Scenario:
        """Return the scenario that reading its file with these values gives.

        Parameters
        ----------
        values : mapping of str to value
            By paths of the file, or of `resolve`.

        Raises
        ------
        UsageError
            Where there is no such input.
        InputError
            Where the file does not allow the values.
        """
        named = {self.resolve(path): value for path, value in values.items()}
        again = {name: value for name, value in named.items() if not self._is_plain_change(name, value)}
        inputs = Inputs(self._read_with(again), self.read) if again else self
        for name in named.keys() - again.keys():
            inputs = Inputs(inputs.put(name, named[name]), self.read)
        return inputs.scenario

    def is_outside_file(self, name: str, value: Any) -> bool:
        """Whether a resolved name stands for a factor on many numbers of the tables, and the value is one it can have.

        Such as "cells.pay_rate", which no line of a file holds.
        """
        number = self.number(name)
        is_factor = name.partition(".")[0] in ("cells", "units") or (name.endswith(".payout") and is_number(value))
        return bool(number and is_factor and is_number(value) and number.least <= value <= number.most)

    def _is_plain_change(self, name: str, value: Any) -> bool:
        """Whether a value can be put in memory, and means there what it means in the file."""
        if self.is_outside_file(name, value):
            return True
        section = name.partition(".")[0]
        if not is_number(value) or out_of_range(float(value)) or section not in WRITTEN:
            return False
        if section in ("cell", "unit") and "adjust" in self.scenario.document:
            return False
        if name in self.quantities:
            in_pairs = any(name in pair for pair in self.scenario.correlation)
            return not in_pairs and name not in self.scenario.uncertainty.paths
        number = self.number(name)
        inside = number is not None and number.least < value < number.most
        return bool(
            number and self._is_changed_here(name) and inside and (not number.whole or float(value).is_integer())
        )

    def put(self, name: str, value: float) -> Scenario:
        """Return the scenario with another number in memory, written down as the file would have it."""
        if name in self.quantities:
            changed = replace_quantities(self.scenario, {name: Quantity.number(float(value))})
        else:
            number = self.number(name)
            assert number is not None and number.change is not None
            changed = self._moved(name, number, float(value))
        return self._noted(name, value, changed)

    def _noted(self, name: str, value: Any, changed: Scenario) -> Scenario:
        """Write the value into the document as well, where the document has it."""
        if self.is_outside_file(name, value):
            return changed
        return replace(changed, document=with_value(changed.document, self.key(name), value))

    def _read_with(self, values: Mapping[str, Any]) -> Scenario:
        """Read the file again; an element of a list is written with the whole list."""
        if self.read is None:
            raise _unknown(next(iter(values)), self.quantities)
        overrides: dict[KeyPath, Any] = {}
        for path, value in values.items():
            keys = self.key(path)
            at = next((i for i, key in enumerate(keys) if isinstance(key, int)), len(keys))
            if at < len(keys):
                keys, positions = keys[:at], keys[at:]
                listed = overrides.get(keys, value_at(self.scenario.document, keys))
                value = with_value(listed, positions, value)
            overrides[keys] = value
        return self.read([f"{dotted(keys)}={value_text(value)}" for keys, value in overrides.items()])

    def check(self, path: str, ends: Iterable[float], option: str) -> None:
        """Raise what is to be said against values that somebody asked for.

        Raises
        ------
        UsageError
        """
        name = self.resolve(path)
        number = self.number(name)
        for value in ends:
            if name in self.scenario.uncertainty.paths and value <= 0.0:
                raise _not_allowed(option, name, value, "execution is above 0")
            if number is not None and not number.least <= value <= number.most:
                rule = f"it is {number.least:g} or more" + (f", {number.most:g} at most" if number.most < 1e300 else "")
                raise _not_allowed(option, name, value, rule)
            if name not in self.quantities and (number is None or number.change is None):
                try:
                    self.at(path, value)
                except InputError as error:
                    raise _not_allowed(option, name, value, error.problems[0].message) from None


def bare(path: str) -> str:
    """Return a path without quotes."""
    return path.replace('"', "")


def _not_allowed(option: str, path: str, value: float, rule: str) -> UsageError:
    return UsageError(Problem("E-sensitivity-value", f"{option}: {path} cannot be {value:g}", rule))


def _unknown(path: str, known: Iterable[str]) -> UsageError:
    return UsageError(
        Problem(
            "E-sensitivity-path",
            f"{path} is not a number of the scenario",
            rule="an input is named by its path in the file, such as budget.pay.limit or kpi.sales.drivers.coverage",
            fix=did_you_mean(path, known) or "kpiopt check --show-origin lists all paths",
        )
    )
