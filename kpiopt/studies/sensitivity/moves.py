"""What a scenario hinges on: its uncertain quantities, limits, goals and plain assumptions, and what moving one does.

An uncertain quantity moves from its 10 % to its 90 % point: it is certainly that value then, while all others keep
their distributions and their draws. A plain number moves by a tenth of itself either way, or as asked.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np

from kpiopt.errors import Problem, UsageError
from kpiopt.reading.key_path import name_the_right_ones
from kpiopt.scenario.numbers.inputs import Inputs, bare
from kpiopt.scenario.numbers.plain_numbers import PlainNumber
from kpiopt.scenario.numbers.quantities import canonical
from kpiopt.scenario.quantity import Quantity

LOW, HIGH = 0.1, 0.9
"""Shares of the distribution between which an uncertain quantity moves."""

SHARE = 0.1
"""Share of itself by which a plain number moves."""

KINDS = ("uncertain", "limit", "goal", "assumption")


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
    what : str
        Such as "numbers at 0".
    fix : str
        How to move them all the same.
    """

    count: int
    what: str
    fix: str


def moves_of(
    inputs: Inputs,
    given: Mapping[str, tuple[float, float]] | None = None,
    kinds: Sequence[str] = KINDS,
    only: Sequence[str] = (),
) -> tuple[Move, ...]:
    """Return the moves of a tornado.

    Parameters
    ----------
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
        uncertain = (named for named in inputs.quantities.items() if not inputs.is_varied(named[0]))
        moves |= {m.path: m for m in map(_uncertain_move, uncertain) if m is not None}
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
        inputs.require_common(path)
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
        names = bare(pattern), bare(canonical(pattern, inputs.quantities) or pattern)
        found = {p: m for p, m in candidates.items() if any(fnmatchcase(bare(p), name) for name in names)}
        if not found and not any(fnmatchcase(path, pattern) for path in given):
            found = _named(inputs, pattern, candidates, kinds)
        chosen |= found
    return chosen


def _named(inputs: Inputs, path: str, candidates: Iterable[str], kinds: Sequence[str]) -> dict[str, Move]:
    """Return the move of a number that has none of its own and is named by its path.

    Raises
    ------
    UsageError
        Where there is no such number, or it cannot be moved by a tenth.
    """
    rule = "an input is a path such as budget.pay.limit, or a pattern such as factor.*"
    if any(mark in path for mark in "*?"):
        fix = name_the_right_ones(path, candidates)
        raise UsageError(Problem("E-sensitivity-path", f"{path} is no input that is moved here", rule, fix))
    now, key = inputs.value(path), inputs.resolve(path)
    inputs.require_common(path)
    kind = _kind(inputs, key)
    if kind not in kinds:
        raise UsageError(Problem("E-sensitivity-path", f"{path} is of the kind {kind}, which --kind leaves out", rule))
    low, high = sorted(_ends(inputs.number(key) or PlainNumber(kind, now, None)))
    if now == 0.0 or low == high:
        message, fix = f"{path} is {now:g}, of which a tenth is nothing", f"--change {path}=LOW:HIGH"
        raise UsageError(Problem("E-sensitivity-path", message, rule, fix))
    inputs.check(path, (low, high), f"--input {path} ({low:g} to {high:g})")
    return {key: Move(key, kind, now, low, high)}


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
    left = [LeftOut(len(names), f"{what}: {_listed(names)}", fix) for names, what in found if names]
    varied = [p for p, n in inputs.plain.items() if n.kind in kinds and inputs.is_varied(p)]
    varied += [n for n, _ in uncertain if "uncertain" in kinds and inputs.is_varied(n)]
    if varied:
        what = f"numbers that variants of [decide] robust set themselves: {_listed(varied)}"
        left.append(LeftOut(len(varied), what, "kpiopt sweep gives all of them one value"))
    return tuple(left)


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
            if inputs.is_varied(path):
                continue
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
