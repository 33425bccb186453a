"""A part of a map: what drives a KPI, what it drives, one perspective, one objective; and the map of objectives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kpiopt.errors import Problem, UsageError
from kpiopt.reading.key_path import name_the_right_ones
from kpiopt.report.strategy_map.content import FOOT, REST, Arrow, Card, Group, StrategyMap
from kpiopt.report.strategy_map.tracing import reached

FOLD_ABOVE = 80
"""Maps of more KPIs show objectives; each opens to its KPIs."""

PERSPECTIVE, OBJECTIVE, UNIT = "perspective:", "objective:", "unit:"


def unit_of(selections: Sequence[str], known: Sequence[str]) -> int:
    """Return the position of the unit that `unit:ID` names, the organization's without.

    Raises
    ------
    UsageError
    """
    named = [text.removeprefix(UNIT) for text in selections if text.startswith(UNIT)]
    if not named:
        return 0
    if len(named) > 1 or named[0] not in known:
        message = "a map is of one unit" if len(named) > 1 else f'there is no unit "{named[0]}"'
        raise UsageError(Problem("E-select", message, fix=name_the_right_ones(named[0], known)))
    return list(known).index(named[0])


def select_cards(found: StrategyMap, selections: Sequence[str]) -> StrategyMap:
    """Return the part of a map that selections name, all of them together.

    Parameters
    ----------
    selections : sequence of str
        "+sales" (it and all that drives it), "sales+" (it and all that it drives), "+sales+", "sales" (it and what is
        tied to it directly), "perspective:ID", "objective:ID"; "unit:ID" is left to `unit_of`.

    Raises
    ------
    UsageError
        Where a selection names nothing on the map.
    """
    wanted = [text for text in selections if not text.startswith(UNIT)]
    if not wanted:
        return found
    kept: set[str] = set()
    for text in wanted:
        kept |= _selected(found, text)
    return _part(found, kept, found.title)


def _part(found: StrategyMap, kept: set[str], title: str) -> StrategyMap:
    """Return the cards of a set with the arrows between them; bands and groups that are empty go."""
    cards = tuple(card for card in found.cards if card.id in kept)
    used = {card.group for card in cards}
    bands = sorted({group.band for group in found.groups if group.id in used})
    groups = tuple(replace(g, band=bands.index(g.band)) for g in found.groups if g.id in used)
    arrows = tuple(a for a in found.arrows if a.cause in kept and a.effect in kept)
    return StrategyMap(title, found.unit, tuple(found.bands[b] for b in bands), groups, cards, arrows, found.note)


def _selected(found: StrategyMap, text: str) -> set[str]:
    if text.startswith(PERSPECTIVE):
        name = text.removeprefix(PERSPECTIVE)
        _require_perspective(found, name, text)
        position = next(i for i, band in enumerate(found.bands) if band.id == name)
        groups = {group.id for group in found.groups if group.band == position}
        return {card.id for card in found.cards if card.group in groups}
    if text.startswith(OBJECTIVE):
        name = text.removeprefix(OBJECTIVE)
        known = [group.id.partition(".")[2] for group in found.groups if group.id.startswith("objective.")]
        _require(name, known, "objective", text)
        return {card.id for card in found.cards if card.group == f"objective.{name}"}
    card = _card_named(found, text.strip("+"), text)
    result = {card}
    if text.startswith("+"):
        result |= reached(found.arrows, card, upstream=True)
    if text.endswith("+"):
        result |= reached(found.arrows, card, upstream=False)
    return result if "+" in (text[0], text[-1]) else result | _tied(found, card)


def _tied(found: StrategyMap, card: str) -> set[str]:
    return {a.cause for a in found.arrows if a.effect == card} | {a.effect for a in found.arrows if a.cause == card}


def _card_named(found: StrategyMap, name: str, text: str) -> str:
    """Return the id of a card by the id of its KPI, or by "initiative.x" or "factor.x"."""
    ids = [card.id for card in found.cards]
    for candidate in (name, f"kpi.{name}", f"initiative.{name}", f"factor.{name}"):
        if candidate in ids:
            return candidate
    _require(name, [id.removeprefix("kpi.") for id in ids], "card", text)
    return name


def _require(name: str, known: Sequence[str], what: str, text: str) -> None:
    if name not in known:
        rule = "write +KPI, KPI+, perspective:ID, objective:ID or unit:ID"
        message = f'"{text}": there is no {what} "{name}" on this map'
        raise UsageError(Problem("E-select", message, rule, name_the_right_ones(name, known)))


def _require_perspective(found: StrategyMap, name: str, text: str) -> None:
    """Refuse a perspective that is not on the map; what is offered are those of the file, not the map's own bands."""
    if any(band.id == name for band in found.bands):
        return
    known = [band.id for band in found.bands if band not in (REST, FOOT)]
    if known:
        _require(name, known, "perspective", text)
    kpi = next(
        (f", such as --select +{card.id.removeprefix('kpi.')}" for card in found.cards if card.kind == "kpi"), ""
    )
    message = f'"{text}": there is no perspective "{name}" on this map'
    raise UsageError(Problem("E-select", message, fix=f"the file has no perspectives: name a KPI{kpi}"))


def fold_large(found: StrategyMap) -> StrategyMap:
    """Return the map itself, or the map of its objectives where it has too many KPIs to read at once."""
    return found if found.n_kpis <= FOLD_ABOVE else fold_by_objective(found)


def fold_by_objective(found: StrategyMap) -> StrategyMap:
    """Return a map whose cards are objectives; `folded` has the map of each objective's KPIs with what they touch."""
    place = {card.id: f"in.{card.group}" if card.kind == "kpi" else card.id for card in found.cards}
    members = {g.id: [c for c in found.cards if c.group == g.id and c.kind == "kpi"] for g in found.groups}
    objectives = {g.id: _objective_card(g, members[g.id]) for g in found.groups if members[g.id]}
    foot = [card for card in found.cards if card.kind != "kpi"]
    strongest: dict[tuple[str, str], Arrow] = {}
    for arrow in found.arrows:
        key = place[arrow.cause], place[arrow.effect]
        if key[0] != key[1] and (key not in strongest or strongest[key].share < arrow.share):
            strongest[key] = replace(arrow, cause=key[0], effect=key[1])
    groups = [replace(g, id=f"band.{b}", name="", critical=False) for b, g in _one_group_a_band(found, objectives)]
    groups += [g for g in found.groups if not members[g.id]]
    folded = {}
    for group, inside in members.items():
        if inside:
            touched = {card.id for card in inside}
            touched |= {id for card in inside for id in _tied(found, card.id)}
            name = next(g.name for g in found.groups if g.id == group) or "Other KPIs"
            folded[f"in.{group}"] = _part(found, touched, f"{name}: its KPIs and what they hang together with")
    note = f"{found.n_kpis} KPIs in {len(objectives)} objectives: choose one to see its KPIs."
    cards = (*objectives.values(), *foot)
    return StrategyMap(
        found.title, found.unit, found.bands, tuple(groups), cards, tuple(strongest.values()), note, folded
    )


def _one_group_a_band(found: StrategyMap, objectives: dict[str, Card]) -> list[tuple[int, Group]]:
    first: dict[int, Group] = {}
    for group in found.groups:
        if group.id in objectives:
            first.setdefault(group.band, group)
    return sorted(first.items())


def _objective_card(group: Group, inside: Sequence[Card]) -> Card:
    goals = [card for card in inside if card.is_goal]
    said = f"{len(inside)} KPIs" + (f", {len(goals)} with a goal" if goals else "")
    odds = [card.odds for card in goals if card.odds]
    worst = min(odds, key=lambda o: o.estimate) if odds else None
    name = group.name or "Other KPIs"
    return Card(f"in.{group.id}", name, f"band.{group.band}", said, odds=worst, is_goal=bool(goals),
                description=group.description)  # fmt: skip
