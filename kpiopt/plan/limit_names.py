"""The names of limits: in the plan's files "capacity.hours@ann", for a planner "hours of Ann"."""

from __future__ import annotations

from collections.abc import Iterable

from kpiopt.scenario.periods import split_period
from kpiopt.scenario.scenario import Scenario

_OF_CELLS = {
    "max_stretch": "range", "min_stretch": "range", "lock": "lock", "max": "bound", "min": "bound", "ramp": "ramp",
    "fairness.band": "band of peers", "most": "guardrail beside peers", "least": "guardrail beside peers",
}  # fmt: skip
"""What a limit of one cell or total is called."""


def limit_words(scenario: Scenario, name: str) -> str:
    """Return a limit's name for a planner: "hours of Team North", "cash budget", "rule academies_north"."""
    name, variant, other = split_variant(scenario, name)
    if variant:
        return f"{limit_words(other, name)} in variant {variant}"
    plain, when = split_period(scenario.periods, name)
    bound, _, cell = plain.partition("@")
    unit, _, kpi = cell.rpartition("/")
    if bound in _OF_CELLS and unit in scenario.units.position and kpi in scenario.kpis:
        where = scenario.units.names[scenario.units.position[unit]]
        return f"{_OF_CELLS[bound]} of {scenario.kpis[kpi].name} at {where}{when}"
    kind, _, rest = plain.partition(".")
    if kind != "capacity":
        return {"budget": f"{rest} budget{when}", "rules": f"rule {rest}{when}"}.get(kind, name)
    resource, _, unit = rest.partition("@")
    position = scenario.units.position.get(unit)
    return name if position is None else f"{resource} of {scenario.units.names[position]}{when}"


def split_variant(scenario: Scenario, name: str) -> tuple[str, str, Scenario]:
    """Split "budget.pay (lean)" into the limit, the variant of a robust plan, and what it is a limit of.

    The variant is "" where it is one of the scenario itself.
    """
    for variant, other in scenario.robust:
        if name.endswith(f" ({variant})"):
            return name.removesuffix(f" ({variant})"), variant, other
    return name, "", scenario


def stopped_words(scenario: Scenario, names: str) -> str:
    """Return what stops a cell ("max_stretch; capacity.hours@ann") for a planner: "largest stretch; hours of Ann"."""
    ends = {"max_stretch": "largest stretch", "min_stretch": "smallest stretch"}

    def words(name: str) -> str:
        end, variant, _ = split_variant(scenario, name)
        if end not in ends:
            return f"{end} in variant {variant}" if variant and end == "lock" else limit_words(scenario, name)
        return f"{ends[end]} in variant {variant}" if variant else ends[end]

    return "; ".join(map(words, names.split("; ")))


def unit_of_limit(scenario: Scenario, name: str) -> str:
    """Return what a limit is counted in: the currency for pay and for what is money, else the resource."""
    name, _, scenario = split_variant(scenario, name)
    plain, _ = split_period(scenario.periods, name)
    kind, _, rest = plain.partition(".")
    if kind == "capacity":
        return rest.partition("@")[0]
    budget = scenario.budgets.get(rest) if kind == "budget" else None
    if budget is None:
        return ""
    return scenario.currency if budget.money or budget.resource == "pay" else budget.resource


def limit_called(scenario: Scenario, names: Iterable[str], text: str) -> str | None:
    """Return which limit is meant by its name, its words ("cash budget", "hours of Ann") or what follows its kind.

    None where none is, or several could be.
    """
    names = list(names)
    if text in names:
        return text
    given = text.casefold()
    called = (given, f"capacity.{given}", f"budget.{given}", f"rules.{given}")
    near = [x for x in names if x.casefold() in called or limit_words(scenario, x).casefold() == given]
    return near[0] if len(near) == 1 else None
