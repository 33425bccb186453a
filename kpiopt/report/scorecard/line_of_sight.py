"""Why a target matters: in words and on a small map, from a unit's own KPIs up to the goals."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from kpiopt.report.numbers import amount
from kpiopt.report.page.source import ReportSource
from kpiopt.report.strategy_map.collect import values_on_card
from kpiopt.report.strategy_map.content import Arrow, Band, Card, Group, StrategyMap
from kpiopt.scenario.scenario import Goal, Kpi
from kpiopt.studies.paths import Chain

MOST_LINES, MOST_CHAINS, MOST_CARDS = 10, 2, 24
TINY = 1e-9
Where = Literal["own", "whole", "elsewhere", "goal"]


@dataclass(frozen=True)
class Sight:
    """The chains from one KPI of a unit to one goal.

    Attributes
    ----------
    step : float
        The improvement that is told, in the KPI's unit.
    total : float
        What it adds to the goal's value, along all chains.
    rank : tuple of bool, int and float
        Whether nothing is asked of the KPI, how many goals it does more for, and less what it does of the goal's way.
    """

    kpi: Kpi
    goal: Goal
    goal_kpi: Kpi
    chains: tuple[Chain, ...]
    step: float
    total: float
    kpis: tuple[Kpi, ...]
    is_own_goal: bool
    period: str | None = None
    rank: tuple[bool, int, float] = (False, 0, 0.0)

    @property
    def change(self) -> float:
        """The change of the KPI that is an improvement by `step`."""
        return self.kpi.sign * self.step

    @property
    def improved(self) -> str:
        """The improvement as text."""
        return _with_unit(self.step, self.kpi)

    @property
    def goal_name(self) -> str:
        """The goal as who does not see other units' names is told of it."""
        when = f" in {self.period}" if self.period else ""
        name = self.goal_kpi.name
        if self.is_own_goal and self.goal.unit != 0:
            return f"your {name}{when}"
        return f"{name} of the {'organization' if self.goal.unit == 0 else 'unit with that goal'}{when}"


def largest(sights: Sequence[Sight]) -> list[Sight]:
    """Return as many as there is room for, in the order that they have.

    Each node has its largest first; nodes of which nothing is asked come last.
    """
    told = sorted(sights, key=lambda sight: sight.rank)[:MOST_LINES]
    return [sight for sight in sights if sight in told]


def all_sights(source: ReportSource, nodes: Sequence[int]) -> list[Sight]:
    """Return every goal that each node does something for, node by node, those that it does most for first."""
    graph, scenario = source.graph, source.scenario
    kpis, found = list(scenario.kpis.values()), list[Sight]()
    for node in nodes:
        kpi = kpis[graph.kpi[node]]
        step, is_idle = natural_step(source, node), bool(source.targets[node] == graph.baseline[node])
        reached = []
        for goal in scenario.goals.values():
            at = graph.goal_node(goal)
            itself = graph.kpi[at] == graph.kpi[node] and graph.unit[at] == graph.unit[node]
            chains = [] if itself else source.paths.chains(node, at)
            if chains:
                size = abs(goal.target - float(graph.baseline[at])) or abs(goal.target) or 1.0
                total = sum(chain.effect for chain in chains)
                sight = Sight(
                    kpi, goal, scenario.kpis[goal.kpi], tuple(chains), step, total, tuple(kpis),
                    int(goal.unit) == int(graph.unit[node]), scenario.period_name(goal.period),
                )  # fmt: skip
                reached.append((abs(total) * step / size, sight))
        reached.sort(key=lambda entry: -entry[0])
        found += [replace(sight, rank=(is_idle, i, -size)) for i, (size, sight) in enumerate(reached)]
    return sorted(found, key=lambda sight: sight.rank[0])


def natural_step(source: ReportSource, node: int) -> float:
    """Return a round improvement of the size of what is asked: 1 day, 10,000 USD, 0.1 points."""
    asked = abs(float(source.targets[node] - source.graph.baseline[node]))
    size = asked or abs(float(source.graph.baseline[node])) / 100 or 1.0
    return 10.0 ** math.floor(math.log10(size) + TINY)


def sight_sentences(sights: Sequence[Sight], left_out: int = 0) -> Iterator[str]:
    """Say in words how an improvement arrives at a goal, and how many smaller effects are left out."""
    for sight, told in _told(sights):
        yield from (_sentence(sight, chain) for chain in told)
        if len(sight.chains) > 1:
            rest = len(sight.chains) - len(told)
            ways = "this way" if len(told) == 1 else "these ways"
            ways += f" and {rest} more" if rest else ""
            moved = _moved(sight.goal_kpi, sight.change * sight.total, sight.goal_name)
            yield f"Along {ways} together, improving {sight.kpi.name} by {sight.improved} {moved}."
    if left_out:
        what = "1 more effect on a goal is" if left_out == 1 else f"{left_out} more effects on goals are"
        yield f"These are the largest; {what} not told here."


def _told(sights: Sequence[Sight]) -> Iterator[tuple[Sight, tuple[Chain, ...]]]:
    """Yield each KPI and goal with the chains that are told one by one, the same in words and on the map."""
    for sight in sights:
        yield sight, sight.chains[: MOST_CHAINS if len(sights) <= 6 else 1]


def _stations(sight: Sight, chain: Chain) -> Iterator[tuple[int, Where, float]]:
    """Yield what a chain passes behind the KPI that it begins at: which KPI, whose, and its change per one more."""
    last = len(chain.links) - 1
    for i, link in enumerate(chain.links):
        if 0 < i < last or (0 < i == last and link.at_own and not sight.is_own_goal):
            where: Where = "own" if link.at_own else "elsewhere" if math.isnan(link.amount) else "whole"
            yield link.kpi, where, link.amount
    yield chain.links[-1].kpi, "goal", chain.effect


def _sentence(sight: Sight, chain: Chain) -> str:
    """Say one way: "Improving Training by 1 day raises your Satisfaction by 0.4 points, which raises the goal …"."""
    parts, by_way = list[str](), ""
    for position, where, moved in _stations(sight, chain):
        kpi = sight.kpis[position]
        if where == "elsewhere":
            by_way = f"by way of {kpi.name} elsewhere "
            continue
        whose = {"own": f"your {kpi.name}", "whole": f"{kpi.name} of the organization", "goal": sight.goal_name}[where]
        parts.append(by_way + _moved(kpi, sight.change * moved, whose))
        by_way = ""
    return f"Improving {sight.kpi.name} by {sight.improved} {', which '.join(parts)}."


def _moved(kpi: Kpi, change: float, name: str) -> str:
    size = abs(change)
    rounded = float(f"{size:.2g}")
    about = "" if abs(rounded - size) <= TINY * size else "about "
    return f"{'raises' if change > 0 else 'lowers'} {name} by {about}{_with_unit(rounded, kpi)}"


def _with_unit(value: float, kpi: Kpi) -> str:
    """Write a change with its unit, unless the KPI's name says it: Complaints by 1, not by 1 complaints."""
    unit = "" if kpi.unit.casefold() == kpi.name.casefold() else kpi.unit
    if unit.strip() == "%":
        unit = "point" if _plain(value) == "1" else "points"
    return f"{_plain(value)} {unit}".rstrip()


def _plain(value: float) -> str:
    """Write a number of two digits without those that mean nothing."""
    text = amount(value)
    return text.rstrip("0").rstrip(".") if "." in text else text


def sight_map(
    source: ReportSource, nodes: Sequence[int], sights: Sequence[Sight], every: Sequence[Sight] = ()
) -> StrategyMap | None:
    """Return a small map: the unit's KPIs with its own values, and what they lead to, without anybody's values.

    Parameters
    ----------
    sights : sequence of Sight
        Those that are told in words: their KPIs are on the map.
    every : sequence of Sight
        All of them: their arrows are drawn between KPIs that are on the map.
    """
    own = {list(source.scenario.kpis)[int(source.graph.kpi[node])]: node for node in nodes}
    cards: dict[str, Card] = {}
    arrows: dict[tuple[str, str], Arrow] = {}
    for sight, chains in _told(sights):
        for chain in chains:
            for before, card, size in _steps_on_map(source, own[sight.kpi.id], sight, chain):
                cards.setdefault(before.id, before)
                cards.setdefault(card.id, card)
                arrows.setdefault((before.id, card.id), Arrow(before.id, card.id, size, 0.25, tells_share=False))
    for sight in every:
        for chain in sight.chains:
            for before, card, size in _steps_on_map(source, own[sight.kpi.id], sight, chain):
                if before.id in cards and card.id in cards:
                    arrows.setdefault((before.id, card.id), Arrow(before.id, card.id, size, 0.25, tells_share=False))
    if len(cards) < 2 or len(cards) > MOST_CARDS:
        return None
    return _as_map(source, list(cards.values()), list(arrows.values()))


def _steps_on_map(source: ReportSource, node: int, sight: Sight, chain: Chain) -> Iterator[tuple[Card, Card, float]]:
    """Yield what a chain draws, from card to card, and what one more at the first does at the second."""
    unit, before, moved = int(source.graph.unit[node]), _own_card(source, node), 1.0
    for position, where, arrived in _stations(sight, chain):
        if where == "elsewhere":
            continue
        kpi = sight.kpis[position]
        card = _card(kpi, where == "goal")
        if where == "own":
            card = _own_card(source, source.graph.find_node(kpi.id, unit))
        if before.id != card.id:
            yield before, card, arrived / moved
        before, moved = card, arrived


def _as_map(source: ReportSource, cards: Sequence[Card], arrows: Sequence[Arrow]) -> StrategyMap:
    """Put cards into the bands of their perspectives."""
    scenario = source.scenario
    named = {o.id: o.perspective for o in scenario.objectives.values()}
    bands = [*scenario.perspectives.values()]
    place = {card.id: named.get(scenario.kpis[card.id.split(".", 2)[2]].objective or "") or "" for card in cards}
    used = [band for band in bands if band.id in place.values()]
    rows = [Band(band.id, band.name) for band in used]
    if "" in place.values():
        rows.append(Band("other", "KPIs"))
    at = {band.id: i for i, band in enumerate(rows)} | {"": len(rows) - 1}
    groups = [Group(f"band.{band.id}", "", i) for i, band in enumerate(rows)]
    placed = [replace(card, group=groups[at[place[card.id]]].id) for card in cards]
    return StrategyMap("From your KPIs to the goals", "", tuple(rows), tuple(groups), tuple(placed), tuple(arrows))


def _own_card(source: ReportSource, node: int) -> Card:
    kpi = list(source.scenario.kpis.values())[source.graph.kpi[node]]
    before, after = values_on_card(source.graph, source.targets, kpi, node)
    return Card(
        f"kpi.own.{kpi.id}", f"Your {kpi.name}", "", before, after,
        kpi.unit, sign=kpi.sign, node=node,
    )  # fmt: skip


def _card(kpi: Kpi, is_goal: bool) -> Card:
    return Card(f"kpi.all.{kpi.id}", kpi.name, "", "a goal" if is_goal else "of the organization", unit="",
                is_goal=is_goal, sign=kpi.sign)  # fmt: skip
