"""What a scenario hinges on: its uncertain quantities, limits, goals and plain assumptions, and what moving one does.

An uncertain quantity moves from its 10 % to its 90 % point: it is certainly that value then, while all others keep
their distributions and their draws. A plain number moves by a tenth of itself either way, or as asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kpiopt.analysis.quantities import fix_quantities, name_of, quantities_of
from kpiopt.errors import Problem, UsageError
from kpiopt.scenario.key_path import did_you_mean
from kpiopt.scenario.scenario import Scenario

LOW, HIGH = 0.1, 0.9
"""Shares of the distribution between which an uncertain quantity moves."""

SHARE = 0.1
"""Share of itself by which a plain number moves."""

KINDS = ("uncertain", "limit", "goal", "assumption")

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


@dataclass(frozen=True)
class Inputs:
    """The numbers of a scenario, to be looked up by their paths and changed one by one.

    Attributes
    ----------
    scenario : Scenario
    read : callable or None
        How paths are changed that are neither a quantity nor a budget's limit or a goal's target; None where the
        scenario has no file.
    """

    scenario: Scenario
    read: Reader | None = None

    def value(self, path: str) -> float:
        """Return the present value of a path, the mean of a quantity.

        Raises
        ------
        UsageError
            Where nothing at this path is a number.
        """
        quantities, plain = quantities_of(self.scenario), plain_numbers(self.scenario)
        name = name_of(self.scenario, path)
        if name in quantities:
            return quantities[name].mean
        if path in plain:
            return plain[path][1]
        found = _in_document(self.scenario.document, path)
        if found is None:
            raise _unknown(path, [*quantities, *plain])
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
        name = name_of(self.scenario, path)
        if name in quantities_of(self.scenario):
            return fix_quantities(self.scenario, {name: value})
        table, _, rest = path.partition(".")
        entry, _, field = rest.rpartition(".")
        if table == "budget" and field == "limit" and entry in self.scenario.budgets:
            budgets = {**self.scenario.budgets, entry: replace(self.scenario.budgets[entry], limit=value)}
            return replace(self.scenario, budgets=budgets)
        if table == "goal" and field == "target" and entry in self.scenario.goals:
            return replace(
                self.scenario,
                goals={**self.scenario.goals, entry: replace(self.scenario.goals[entry], target=value)},
            )
        if self.read is None:
            raise _unknown(path, quantities_of(self.scenario))
        return self.read([f"{path}={value!r}"])

    def check(self, move: Move) -> None:
        """Raise what the file has to say against the two ends of a move that somebody asked for."""
        if self.read is not None and move.kind != "uncertain":
            for value in (move.low, move.high):
                self.read([f"{_written_path(self.scenario, move.path)}={value!r}"])


def _written_path(scenario: Scenario, path: str) -> str:
    """Return where a plain quantity stands in the file: as a number, or in a table with further keys."""
    for key in ("contribution", "value"):
        if _in_document(scenario.document, f"{path}.{key}") is not None:
            return f"{path}.{key}"
    return path


def _in_document(document: Mapping[str, object], path: str) -> float | None:
    """Return the number at a path of the document; None where there is none."""
    found: object = document
    for key in path.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    is_number = isinstance(found, int | float) and not isinstance(found, bool)
    return float(found) if is_number else None  # type: ignore[arg-type]


def _unknown(path: str, known: Sequence[str] | Mapping[str, object]) -> UsageError:
    return UsageError(
        Problem(
            "E-sensitivity-path",
            f"{path} is not a number of the scenario",
            rule="an input is named by its path in the file, such as budget.pay.limit or kpi.sales.drivers.coverage",
            fix=did_you_mean(path, known) or "kpiopt check --show-origin lists all paths",
        )
    )


def plain_numbers(scenario: Scenario) -> dict[str, tuple[str, float]]:
    """Return every plain number that can be moved, by path, with its kind: limits, goals, assumptions."""
    found = {f"budget.{b.id}.limit": ("limit", b.limit) for b in scenario.budgets.values()}
    for resource in scenario.units.capacity:
        scale = _in_document(scenario.document, f"capacity.{resource}.scale")
        found[f"capacity.{resource}.scale"] = ("limit", 1.0 if scale is None else scale)
    found |= {f"goal.{g.id}.target": ("goal", g.target) for g in scenario.goals.values()}
    return found | {path: ("assumption", value) for path, value in _assumptions(scenario)}


def _assumptions(scenario: Scenario) -> Iterator[tuple[str, float]]:
    """Yield the certain quantities that the file writes down, initiatives' sizes and uses, and prices of effort."""
    for name, quantity in quantities_of(scenario).items():
        is_default = name == scenario.uncertainty.paths[0] and "uncertainty" not in scenario.document
        if quantity.is_number and not is_default:
            yield name, quantity.mean
    for initiative in scenario.initiatives.values():
        yield f"initiative.{initiative.id}.max", initiative.maximum
        yield from ((f"initiative.{initiative.id}.uses.{r}", use) for r, use in initiative.uses.items())
    yield from ((f"decide.effort_price.{r}", price) for r, price in scenario.decide.effort_price.items())


def moves_of(
    inputs: Inputs, given: Mapping[str, tuple[float, float]] | None = None, kinds: Sequence[str] = KINDS
) -> tuple[Move, ...]:
    """Return the moves of a tornado.

    Parameters
    ----------
    inputs : Inputs
    given : mapping of str to (float, float), optional
        Low and high value by path, in place of the usual ones or in addition.
    kinds : sequence of str
        Which kinds are moved on their own account.

    Returns
    -------
    tuple of Move
        Each path once; numbers that are 0 or cannot be changed here are left out unless given.
    """
    scenario = inputs.scenario
    moves: dict[str, Move] = {}
    if "uncertain" in kinds:
        moves |= {m.path: m for m in _uncertain_moves(scenario)}
    for path, (kind, value) in plain_numbers(scenario).items():
        if kind in kinds and value != 0.0 and (inputs.read or _is_direct(scenario, path)):
            ends = sorted(((1 - SHARE) * value, (1 + SHARE) * value))
            moves[path] = Move(path, kind, value, ends[0], ends[1])
    for path, (low, high) in (given or {}).items():
        name = name_of(scenario, path)
        key = name if name in quantities_of(scenario) else path
        move = Move(key, _kind(scenario, key), inputs.value(path), low, high)
        inputs.check(move)
        moves[key] = move
    return tuple(moves.values())


def _is_direct(scenario: Scenario, path: str) -> bool:
    """Whether a path can be changed without a file."""
    return path in quantities_of(scenario) or path.startswith(("budget.", "goal."))


def _kind(scenario: Scenario, path: str) -> str:
    quantity = quantities_of(scenario).get(path)
    if quantity is not None and not quantity.is_number:
        return "uncertain"
    return plain_numbers(scenario).get(path, ("assumption", 0.0))[0]


def _uncertain_moves(scenario: Scenario) -> Iterator[Move]:
    for name, quantity in quantities_of(scenario).items():
        if quantity.is_number or quantity.standard_deviation == 0.0:
            continue
        low, high = quantity.quantile(np.array([LOW, HIGH])).tolist()
        if low < high:
            yield Move(name, "uncertain", quantity.mean, low, high)
