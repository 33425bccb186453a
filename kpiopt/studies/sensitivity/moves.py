"""What a scenario hinges on: its uncertain quantities, limits, goals and plain assumptions, and what moving one does.

An uncertain quantity moves from its 10 % to its 90 % point: it is certainly that value then, while all others keep
their distributions and their draws. A plain number moves by a tenth of itself either way, or as asked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property

import numpy as np

from kpiopt.errors import InputError, Problem, UsageError
from kpiopt.reading.key_path import KeyPath, did_you_mean, dotted
from kpiopt.reading.toml.text import scan_key
from kpiopt.scenario.quantity import Quantity
from kpiopt.scenario.scenario import Scenario
from kpiopt.studies.sensitivity.plain_numbers import PlainNumber, plain_numbers, single_numbers
from kpiopt.studies.sensitivity.quantities import fix_quantities, name_of, quantities_of

LOW, HIGH = 0.1, 0.9
"""Shares of the distribution between which an uncertain quantity moves."""

SHARE = 0.1
"""Share of itself by which a plain number moves."""

KINDS = ("uncertain", "limit", "goal", "assumption")

SETTINGS = ("schema", "simulation", "sweep", "variant", "tables", "rules", "relax", "extends")
WHOLE = ("lag", "priority")
"""What a study does not move: how it is computed, and what is told by whole numbers that stand for an order."""

Reader = Callable[[Sequence[str]], Scenario]
"""Reads the scenario again with further overrides "path=value"."""


@dataclass(frozen=True, slots=True)
class Move:
    """One input and the two values between which it is moved.

    Attributes
    ----------
    path : str
        The quantity's name, or the value's path in the file.
    kind : str
        "uncertain", "limit", "goal" or "assumption".
    now : float
        Its value, or its mean.
    low, high : float
    """

    path: str
    kind: str
    now: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Inputs that a study does not move, and why.

    Attributes
    ----------
    count : int
    what : str
        Such as "numbers at 0".
    fix : str
        How to move them all the same.
    """

    count: int
    what: str
    fix: str


@dataclass(frozen=True)
class Inputs:
    """The numbers of a scenario, to be looked up by their paths and changed one by one.

    Attributes
    ----------
    scenario : Scenario
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
        name = name_of(self.scenario, path)
        if name in self.quantities or path in self.plain:
            return name if name in self.quantities else path
        bare = _bare(path)
        for known in (self.quantities, self.plain, self.single):
            found = next((key for key in known if _bare(key) in (bare, _bare(name))), None)
            if found is not None:
                return found
        return path

    def number(self, path: str) -> PlainNumber | None:
        """Return the plain number at a resolved path; None where it is a quantity, or only the file knows it."""
        found = self.plain.get(path)
        return self.single.get(path) if found is None and path not in self.quantities else found

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
        keys = _keys(path)
        found = _in_document(self.scenario.document, keys)
        if found is None or self.read is None:
            raise _unknown(path, [*self.quantities, *self.plain])
        if keys[0] in SETTINGS or keys[-1] in WHOLE:
            rule = "limits, goals, assumptions and uncertain quantities are moved; settings and ranks are not"
            raise UsageError(Problem("E-sensitivity-path", f"{path} is nothing that can be moved bit by bit", rule))
        return found

    def at(self, path: str, value: float) -> Scenario:
        """Return the scenario in which one input certainly has a value.

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
        if number is not None and number.change is not None:
            return number.change(self.scenario, value)
        if self.read is None:
            raise _unknown(path, self.quantities)
        return self.read([self._override(_keys(name), value)])

    def _override(self, keys: KeyPath, value: float) -> str:
        """Write what `--set` would be given; an element of a list is written with the whole list."""
        if not isinstance(keys[-1], int):
            return f"{dotted(keys)}={value!r}"
        *table, position = keys
        listed = list(_found(self.scenario.document, table))  # type: ignore[call-overload]
        listed[position] = value
        return f"{dotted(tuple(table))}={listed!r}"

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


def _not_allowed(option: str, path: str, value: float, rule: str) -> UsageError:
    return UsageError(Problem("E-sensitivity-value", f"{option}: {path} cannot be {value:g}", rule))


def _bare(path: str) -> str:
    return path.replace('"', "")


def _keys(path: str) -> KeyPath:
    """Return the keys of a path; "growth[1]" ends with the position in a list."""
    text, is_list, position = path.partition("[")
    keys = scan_key(text, "") or (tuple(text.split(".")), 0)
    digits = position.removesuffix("]")
    return (*keys[0], int(digits)) if is_list and digits.isdecimal() else keys[0]


def _found(document: object, keys: Iterable[str | int]) -> object:
    for key in keys:
        if isinstance(document, Mapping):
            document = document.get(key)
        elif isinstance(document, list) and isinstance(key, int) and key < len(document):
            document = document[key]
        else:
            return None
    return document


def _in_document(document: Mapping[str, object], keys: KeyPath) -> float | None:
    """Return the number at a path of the document; None where there is none."""
    found = _found(document, keys)
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def _unknown(path: str, known: Iterable[str]) -> UsageError:
    return UsageError(
        Problem(
            "E-sensitivity-path",
            f"{path} is not a number of the scenario",
            rule="an input is named by its path in the file, such as budget.pay.limit or kpi.sales.drivers.coverage",
            fix=did_you_mean(path, known) or "kpiopt check --show-origin lists all paths",
        )
    )


def moves_of(
    inputs: Inputs,
    given: Mapping[str, tuple[float, float]] | None = None,
    kinds: Sequence[str] = KINDS,
    only: Sequence[str] = (),
) -> tuple[Move, ...]:
    """Return the moves of a tornado.

    Parameters
    ----------
    inputs : Inputs
    given : mapping of str to (float, float), optional
        Low and high value by path, in place of the usual ones or in addition.
    kinds : sequence of str
        Which kinds are moved on their own account.
    only : sequence of str
        Paths or patterns to which moves are confined; they may name single cells and units as well.

    Returns
    -------
    tuple of Move
        Each path once; numbers that are 0 or cannot be changed here are left out unless given.

    Raises
    ------
    UsageError
        Where a path or pattern names nothing, or a value is not allowed.
    """
    moves: dict[str, Move] = {}
    if "uncertain" in kinds:
        moves |= {m.path: m for m in map(_uncertain_move, inputs.quantities.items()) if m is not None}
    moves |= {m.path: m for m in _plain_moves(inputs, inputs.plain, kinds)}
    if only:
        moves = _confined(inputs, moves, kinds, only, given or {})
    seen: set[str] = set()
    for path, (low, high) in (given or {}).items():
        key = inputs.resolve(path)
        if key in seen:
            raise UsageError(Problem("E-sensitivity-path", f"{path} is moved twice, by two names", fix="keep one"))
        seen.add(key)
        now = inputs.value(path)
        inputs.check(path, (low, high), f"--change {path}={low:g}:{high:g}")
        moves[key] = Move(key, _kind(inputs, key), now, low, high)
    return tuple(moves.values())


def _confined(
    inputs: Inputs, moves: dict[str, Move], kinds: Sequence[str], only: Sequence[str], given: Iterable[str]
) -> dict[str, Move]:
    """Return the moves that some patterns name, of single cells and units as well."""
    candidates = moves | {m.path: m for m in _plain_moves(inputs, inputs.single, kinds)}
    chosen: dict[str, Move] = {}
    for pattern in only:
        names = _bare(pattern), _bare(name_of(inputs.scenario, pattern))
        found = {p: m for p, m in candidates.items() if any(fnmatchcase(_bare(p), name) for name in names)}
        if not found and not any(fnmatchcase(path, pattern) for path in given):
            rule = "an input is a path such as budget.pay.limit, or a pattern such as factor.*"
            fix = did_you_mean(pattern, candidates)
            raise UsageError(Problem("E-sensitivity-path", f"{pattern} is no input that is moved here", rule, fix))
        chosen |= found
    return chosen


def unmoved(inputs: Inputs, kinds: Sequence[str], given: Iterable[str] = ()) -> tuple[LeftOut, ...]:
    """Return which inputs have no move of their own: numbers that are 0, and quantities that hardly ever vary."""
    known = {inputs.resolve(path) for path in given}
    zero = [p for p, n in inputs.plain.items() if n.kind in kinds and n.value == 0.0 and p not in known]
    uncertain = [(n, q) for n, q in inputs.quantities.items() if not q.is_number and n not in known]
    still = [n for n, q in uncertain if "uncertain" in kinds and _uncertain_move((n, q)) is None]
    found = [
        (zero, "numbers at 0, of which a tenth is nothing"),
        (still, "quantities with the same 10 % and 90 % point"),
    ]
    fix = "--change PATH=LOW:HIGH moves one"
    return tuple(LeftOut(len(names), f"{what}: {_listed(names)}", fix) for names, what in found if names)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")


def _kind(inputs: Inputs, path: str) -> str:
    quantity, number = inputs.quantities.get(path), inputs.number(path)
    if quantity is not None and not quantity.is_number:
        return "uncertain"
    return number.kind if number is not None else "assumption"


def _plain_moves(inputs: Inputs, numbers: Mapping[str, PlainNumber], kinds: Sequence[str]) -> Iterator[Move]:
    for path, number in numbers.items():
        if number.kind in kinds and number.value != 0.0 and (inputs.read or number.change):
            low, high = sorted(_ends(number))
            yield Move(path, number.kind, number.value, low, high)


def _ends(number: PlainNumber) -> tuple[float, float]:
    """Return a tenth less and a tenth more, by at least 1 where only whole numbers count."""
    value, by = number.value, SHARE * number.value
    if number.whole:
        by = max(1.0, float(round(by)))
        return max(0.0, math.floor(value) - by), math.floor(value) + by
    return max(number.least, value - by), min(number.most, value + by)


def _uncertain_move(named: tuple[str, Quantity]) -> Move | None:
    """Return the move of a quantity from its 10 % to its 90 % point; None where these are the same."""
    name, quantity = named
    if quantity.is_number or quantity.standard_deviation == 0.0:
        return None
    low, high = quantity.quantile(np.array([LOW, HIGH])).tolist()
    return Move(name, "uncertain", quantity.mean, low, high) if low < high else None
