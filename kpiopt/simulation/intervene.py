"""What happens on the map when an action is taken: interventions, paired draw by draw.

`do` sets a node to a value whatever its causes say; everything behind it follows (Pearl 2009, DOI
10.1017/CBO9780511803161). Units below come to what rolls up to it, each by its part and whatever their causes say. With
`+=` it adds to a KPI instead: every unit below moves the same part, and its causes go on. `act` sets the level of an
initiative.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kpiopt.deadline import NEVER, Deadline
from kpiopt.errors import Problem, UsageError
from kpiopt.graph import CausalGraph, NodeKind
from kpiopt.graph.hand_down import leaves_below, values_below
from kpiopt.reading.key_path import name_the_right_ones
from kpiopt.scenario.actions import Pair, exclusions, needed_units
from kpiopt.scenario.scenario import Floats, Integers, SimulationSettings
from kpiopt.simulation.difference import OddsDifference, compare_odds, estimate_change
from kpiopt.simulation.odds import Estimate
from kpiopt.simulation.results import Simulation
from kpiopt.simulation.simulate import Spread, simulate

LARGEST = 1e12
"""As in scenarios: beyond it what adds up over draws has no digits left that matter."""

LEAST_LEVEL = 1e-9
"""Level above which an initiative runs."""


@dataclass(frozen=True, slots=True)
class KpiChange:
    """How an intervention changes the mean of a KPI.

    Attributes
    ----------
    name : str
        "unit/kpi".
    before, after : float
        Means, in the KPI's unit.
    change : Estimate
        Mean paired change.
    """

    node: int
    name: str
    before: float
    after: float
    change: Estimate


@dataclass(frozen=True)
class Intervention:
    """A plan with and without an intervention, in the same draws.

    Attributes
    ----------
    before, after : Simulation
    changes : tuple of KpiChange
        Of all KPIs at the root and of goals' nodes, along the map; with periods each KPI's horizon, then its periods.
    odds : tuple of OddsDifference
        Of each goal, then of all together.
    """

    before: Simulation
    after: Simulation
    changes: tuple[KpiChange, ...]
    odds: tuple[OddsDifference, ...]


def intervene(
    graph: CausalGraph,
    stretch: Floats,
    levels: Floats,
    targets: Floats | None = None,
    settings: SimulationSettings | None = None,
    *,
    do: Iterable[str] = (),
    act: Iterable[str] = (),
    spread: Spread | None = None,
    deadline: Deadline = NEVER,
) -> Intervention:
    """Simulate a plan with and without an intervention.

    Parameters
    ----------
    targets : (n_nodes,) float, optional
    graph, stretch, levels, settings, spread, deadline
        As for `simulate`. Targets stay what they are: the plan's.
    do : iterable of str
        "kpi=value" at the root, "kpi@unit=value" elsewhere, or "factor.<id>=value". The units below move so that the
        value is reached, each by its part (`kpiopt.graph.hand_down`), and their causes are cut; of several that are
        set, the lower one holds. "kpi+=amount" moves the same units so that the value changes by the amount, and
        causes go on; what bounds of the KPI stop is told in the notes of `after`. With
        periods all but factors name one: "kpi/period=value", "kpi@unit/period+=amount".
    act : iterable of str
        "initiative=level" for all its units, "initiative@unit=level" for one; with periods, with the one in which it
        begins: "initiative@unit/period=level".

    Raises
    ------
    UsageError
        Where an intervention names something that does not exist, or a level that cannot be.
    LimitReached
        Where the time is up before all draws of both: only the same draws can be compared.
    """
    moves = [text for text in do if "+=" in text]
    given, fixed = _read_sets(graph, [text for text in do if "+=" not in text], graph.expected_change(stretch, levels))
    shift = sum_of_shifts(graph, moves)
    new_levels = np.array(levels, dtype=np.float64)
    for text in act:
        rows, level = read_act(graph, text)
        new_levels[rows] = level
    _require_possible(graph, levels, new_levels, list(act))
    if targets is None:
        targets = graph.baseline + graph.asked_change(stretch, levels)
    amounts = _amounts(graph, moves)
    nodes = np.array([*given, *amounts], dtype=np.int64)
    before = simulate(
        graph, stretch, levels, targets, settings,
        spread=spread, watch_nodes=nodes, deadline=deadline,
    )  # fmt: skip
    after = simulate(
        graph, stretch, new_levels, targets, settings_of(before),
        spread=spread, watch_nodes=nodes, fixed=fixed, shift=shift,
        deadline=deadline,
    )  # fmt: skip
    if before.asked or after.asked:
        raise deadline.reached(
            "the plan was drawn with and without the action", "what an action changes is told from the same draws"
        )
    changes = _changes(before, after)
    after = replace(after, notes=(*after.notes, *_stopped_by_bounds(graph, amounts, changes)))
    return Intervention(before, after, changes, compare_odds(before, after))


def settings_of(simulation: Simulation) -> SimulationSettings:
    """Return settings that repeat a simulation's draws exactly."""
    return SimulationSettings(simulation.draws, simulation.seed, simulation.layout.method)


def _changes(before: Simulation, after: Simulation) -> tuple[KpiChange, ...]:
    return tuple(
        KpiChange(
            node=int(node),
            name=before.graph.node_name(int(node)),
            before=before.distributions[i].mean.estimate,
            after=after.distributions[i].mean.estimate,
            change=estimate_change(before.kept.values[i], after.kept.values[i]),
        )
        for i, node in ((i, before.nodes[i]) for i in before.reading_order)
    )


def _read_sets(graph: CausalGraph, texts: Iterable[str], change: Floats) -> tuple[list[int], dict[int, float]]:
    """Return the KPIs' nodes that are set, and the values of all nodes that this sets, those below included.

    Raises
    ------
    UsageError
    """
    given = dict[int, float]()
    for text in texts:
        node, value = read_do(graph, text)
        if graph.kind[node] == NodeKind.KPI:
            low, high = graph.bounds[:, node].tolist()
            if not low <= value <= high:
                kpi = graph.scenario.kpi_ids[graph.kpi[node]]
                bound = f"at least {low:.12g}" if value < low else f"at most {high:.12g}"
                raise _refusal(text, f"{kpi} is {bound}", "choose a value inside the bounds of the KPI")
        given[node] = value
    nodes = [node for node in given if graph.kind[node] == NodeKind.KPI]
    fixed = dict[int, float]()
    for node in sorted(nodes, reverse=True):  # from the top: what is set further down holds there
        fixed |= values_below(graph, node, given[node], graph.baseline + change)
    return nodes, fixed | given


def _amounts(graph: CausalGraph, texts: Iterable[str]) -> dict[int, tuple[str, float]]:
    """Return by node what moves it, as written and added up."""
    found = dict[int, tuple[str, float]]()
    for text in texts:
        node, amount = read_do(graph, text.replace("+=", "=", 1))
        written, before = found.get(node, ("", 0.0))
        found[node] = ", ".join(filter(None, (written, text))), before + amount
    return found


def _stopped_by_bounds(
    graph: CausalGraph, amounts: Mapping[int, tuple[str, float]], changes: Iterable[KpiChange]
) -> Iterator[Problem]:
    """Say which KPIs moved less than they were meant to because their bounds stopped them."""
    bounded = set(graph.bounded.tolist())
    for entry in changes:
        text, amount = amounts.get(entry.node, ("", 0.0))
        moved = entry.change.estimate
        if entry.node in bounded and abs(moved) < abs(amount) * (1 - 1e-9):
            low, high = graph.bounds[:, entry.node].tolist()
            bound = f"at most {high:.12g}" if amount > 0 else f"at least {low:.12g}"
            yield Problem(
                "W-intervention-bound",
                f'"{text}": {entry.name} changes by {moved:.6g} and not by {amount:.12g}: the KPI is {bound}',
                rule="no value leaves the bounds of its KPI, whatever moves it",
            )


def read_do(graph: CausalGraph, text: str) -> tuple[int, float]:
    """Return the node and the value of "kpi=value", "kpi@unit=value" or "factor.<id>=value"."""
    name, value = _read_assignment(text)
    if name.startswith("factor."):
        factor = _position(name.removeprefix("factor."), list(graph.scenario.factors), "factor", text)
        return int(np.flatnonzero(graph.factor == factor)[0]), value
    name, period = _read_period(graph, name, text)
    kpi, _, unit = name.partition("@")
    _position(kpi, graph.scenario.kpi_ids, "KPI", text)
    where = _position(unit, graph.scenario.units.ids, "unit", text) if unit else 0
    node = graph.find_node(kpi, where, period)
    if node < 0:
        raise _refusal(text, f"{kpi} has no value at {graph.scenario.units.ids[where]}", "name a unit that has it")
    return node, value


def sum_of_shifts(graph: CausalGraph, texts: Iterable[str]) -> Floats:
    """Return what "kpi+=amount" and "kpi@unit+=amount" add at each node, (n_nodes,) float."""
    total = np.zeros(graph.n_nodes)
    for text in texts:
        node, amount = read_do(graph, text.replace("+=", "=", 1))
        if graph.kind[node] != NodeKind.KPI:
            raise _refusal(text, "only KPIs are moved by what stands below them", "write factor.ID=value")
        total += amount * leaves_below(graph, node)
    return total


def read_act(graph: CausalGraph, text: str) -> tuple[Integers, float]:
    """Return the rows of levels and the level of "initiative=level" or "initiative@unit=level"."""
    name, level = _read_assignment(text)
    name, period = _read_period(graph, name, text)
    key, _, unit = name.partition("@")
    position = _position(key, list(graph.scenario.initiatives), "initiative", text)
    rows = np.flatnonzero((graph.level_initiative == position) & (graph.level_start == period))
    if not len(rows):
        begins = [graph.scenario.period_name(t) or "" for t in graph.scenario.initiatives[key].starts or ()]
        raise _refusal(text, f"{key} does not begin then", f"it may begin in {', '.join(begins)}")
    if unit:
        rows = rows[graph.level_unit[rows] == _position(unit, graph.scenario.units.ids, "unit", text)]
        if not len(rows):
            raise _refusal(text, f"{unit} does not decide about {key}", "name one of its deciding units")
    initiative = graph.scenario.initiatives[key]
    if not 0 <= level <= initiative.maximum:
        raise _refusal(text, f"a level of {key} is 0 to {initiative.maximum:g}", "choose a level in this range")
    if initiative.levels and level not in (0.0, *initiative.levels):
        there_are = ", ".join(f"{v:g}" for v in initiative.levels)
        raise _refusal(text, f"the levels of {key} are {there_are}", "choose one of them, or 0")
    if initiative.whole and level != int(level):
        raise _refusal(text, f"levels of {key} are whole numbers", f"write {round(level)}")
    return rows, level


def _require_possible(graph: CausalGraph, before: Floats, levels: Floats, texts: Sequence[str]) -> None:
    """Refuse levels that leave an initiative without what it needs, or beside what it excludes.

    Raises
    ------
    UsageError
        `E-intervention`; what the plan itself does not keep is not held against an action.
    """
    scenario, (old, new) = graph.scenario, (_begun(graph, before), _begun(graph, levels))
    ids = scenario.units.ids

    def breaks(begun: Mapping[Pair, int]) -> Iterator[str]:
        for initiative in scenario.initiatives.values():
            for name in initiative.needs:
                at = needed_units(scenario.units, initiative, scenario.initiatives[name]).tolist()
                for unit, other in zip(initiative.units.tolist(), at, strict=True):
                    start = begun.get((initiative.id, unit))
                    if start is not None and begun.get((name, other), start + 1) > start:
                        yield f"{initiative.id} at {ids[unit]} needs {name} at {ids[other]}"
        for (first, u), (second, v) in exclusions(scenario.units, scenario.initiatives):
            if (first, u) in begun and (second, v) in begun:
                yield f"{first} at {ids[u]} and {second} at {ids[v]} exclude each other"

    known = set(breaks(old))
    for why in breaks(new):
        if why not in known:
            raise _refusal(", ".join(texts), why, "act on the other one as well, with one more --act")


def _begun(graph: CausalGraph, levels: Floats) -> dict[Pair, int]:
    """Return the first start of each initiative that runs, by its id and unit; -1 without periods."""
    ids, begun = list(graph.scenario.initiatives), dict[Pair, int]()
    for row in np.flatnonzero(levels > LEAST_LEVEL).tolist():
        pair, start = (ids[graph.level_initiative[row]], int(graph.level_unit[row])), int(graph.level_start[row])
        begun[pair] = min(start, begun.get(pair, start))
    return begun


def _read_period(graph: CausalGraph, name: str, text: str) -> tuple[str, int]:
    """Split "name/period" into both; a plan with periods needs one, because an action is taken at some time."""
    periods = graph.scenario.periods
    if periods is None:
        return name, -1
    rest, slash, last = name.rpartition("/")
    if not slash:
        raise _refusal(text, "the plan has periods, and it names none", f"write {name}/{periods.names[0]}=…")
    return rest, _position(last, periods.names, "period", text)


def _read_assignment(text: str) -> tuple[str, float]:
    name, equals, number = text.rpartition("=")
    try:
        value = float(number)
    except ValueError:
        value = float("nan")
    if not equals or not name.strip() or not np.isfinite(value):
        raise _refusal(text, "it does not read name=number", "write for example coverage=0.9")
    if abs(value) > LARGEST:
        raise _refusal(text, f"the size of a value is at most {LARGEST:g}", "choose another unit of measure")
    return name.strip(), value


def _position(name: str, names: Sequence[str], what: str, text: str) -> int:
    if name in names:
        return list(names).index(name)
    advice = name_the_right_ones(name, names) or f"the scenario has no {what}s"
    raise _refusal(text, f'there is no {what} "{name}"', advice)


def _refusal(text: str, why: str, fix: str) -> UsageError:
    return UsageError(Problem("E-intervention", f'"{text}": {why}', fix=fix))
