"""What a scenario hinges on: its uncertain quantities, limits, goals and plain assumptions, and what moving one does.

An uncertain quantity moves from its 10 % to its 90 % point: it is certainly that value then, while all others keep
their distributions and their draws. A plain number moves by a tenth of itself either way, or as asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kpiopt.errors import Problem, UsageError
from kpiopt.scenario.key_path import did_you_mean
from kpiopt.scenario.quantity import Quantity
from kpiopt.scenario.scenario import Cells, Kpi, Scenario

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


def name_of(scenario: Scenario, path: str) -> str:
    """Return the name of the quantity at a path of the file; other paths as they are."""
    if path in quantities_of(scenario):
        return path
    return path.removesuffix(".value").removesuffix(".contribution")


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


def quantities_of(scenario: Scenario) -> dict[str, Quantity]:
    """Return every number that may be a distribution, by name: factors, contributions, effects, baselines, execution.

    Cells' baselines are listed where they are distributions.
    """
    found = {f"factor.{f.id}": f.value for f in scenario.factors.values()}
    for kpi in scenario.kpis.values():
        found |= {driver.path: driver.contribution for driver in kpi.drivers}
        if kpi.baseline is not None:
            found[f"kpi.{kpi.id}.baseline"] = kpi.baseline
    for initiative in scenario.initiatives.values():
        found |= {effect.path: effect.contribution for effect in initiative.effects}
    found |= {_cell_name(scenario, row): q for row, q in scenario.cells.baseline_quantity.items()}
    return found | dict(zip(scenario.uncertainty.paths, scenario.uncertainty.execution, strict=True))


def _cell_name(scenario: Scenario, row: int) -> str:
    unit, kpi = scenario.units.ids[scenario.cells.unit[row]], scenario.kpi_ids[scenario.cells.kpi[row]]
    return f"cell.{unit}/{kpi}.baseline"


def fix_quantities(scenario: Scenario, values: Mapping[str, float]) -> Scenario:
    """Return the scenario in which some quantities certainly have a value.

    A quantity that was uncertain stays a source of draws, of spread 0: those it is correlated with keep theirs.

    Parameters
    ----------
    values : mapping of str to float
        By names of `quantities_of`.
    """

    def fixed(name: str, quantity: Quantity) -> Quantity:
        if name not in values:
            return quantity
        value = float(values[name])
        return Quantity.number(value) if quantity.is_number else Quantity("normal", (value, 0.0))

    uncertainty = scenario.uncertainty
    execution = (fixed(p, q) for p, q in zip(uncertainty.paths, uncertainty.execution, strict=True))
    return replace(
        scenario,
        factors={k: replace(f, value=fixed(f"factor.{k}", f.value)) for k, f in scenario.factors.items()},
        kpis={k: _fix_kpi(kpi, fixed) for k, kpi in scenario.kpis.items()},
        initiatives={
            k: replace(i, effects=tuple(replace(e, contribution=fixed(e.path, e.contribution)) for e in i.effects))
            for k, i in scenario.initiatives.items()
        },
        cells=_fix_baselines(scenario, fixed),
        uncertainty=replace(uncertainty, execution=tuple(execution)),
    )


def _fix_kpi(kpi: Kpi, fixed: Callable[[str, Quantity], Quantity]) -> Kpi:
    drivers = tuple(replace(d, contribution=fixed(d.path, d.contribution)) for d in kpi.drivers)
    baseline = None if kpi.baseline is None else fixed(f"kpi.{kpi.id}.baseline", kpi.baseline)
    return replace(kpi, drivers=drivers, baseline=baseline)


def _fix_baselines(scenario: Scenario, fixed: Callable[[str, Quantity], Quantity]) -> Cells:
    cells = scenario.cells
    quantities = {row: fixed(_cell_name(scenario, row), q) for row, q in cells.baseline_quantity.items()}
    changed = [row for row, q in quantities.items() if q is not cells.baseline_quantity[row]]
    if not changed:
        return cells
    baseline = cells.baseline.copy()
    baseline[changed] = [quantities[row].mean for row in changed]
    return replace(cells, baseline=baseline, baseline_quantity=quantities)


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
