"""The map for other tools: Mermaid, DOT and JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from kpiopt.errors import printable
from kpiopt.report.drawing.short import short
from kpiopt.report.strategy_map.content import Arrow, Card, CardPeriod, StrategyMap

SCHEMA = "kpiopt.map/1"


def map_as_dict(found: StrategyMap) -> dict[str, Any]:
    """Return a map as the JSON document "kpiopt.map/1"."""
    return {
        "schema": SCHEMA,
        "title": found.title,
        "unit": found.unit,
        "perspectives": [{"id": band.id, "name": band.name} for band in found.bands],
        "groups": [
            {"id": g.id, "name": g.name, "perspective": found.bands[g.band].id, "critical": g.critical}
            for g in found.groups
        ],
        "cards": [_card_as_dict(card) for card in found.cards],
        "arrows": [
            {"cause": a.cause, "effect": a.effect, "amount": a.amount, "share": a.share, "lag": a.lag}
            for a in found.arrows
        ],
    }


def map_as_json(found: StrategyMap) -> str:
    """Return a map as the text of its JSON document."""
    return json.dumps(map_as_dict(found), ensure_ascii=False, allow_nan=False, indent=1)


def _card_as_dict(card: Card) -> dict[str, Any]:
    return {
        "id": card.id, "kind": card.kind, "name": card.name, "group": card.group, "before": card.before,
        "after": card.after, "unit": card.unit, "owner": card.owner, "goal": card.is_goal,
        "goal_value": card.goal_value or None, "odds": card.odds.as_dict() if card.odds else None,
        **({"periods": [_period_as_dict(period) for period in card.periods]} if card.periods else {}),
    }  # fmt: skip


def _period_as_dict(period: CardPeriod) -> dict[str, Any]:
    return {"period": period.name, "baseline": period.baseline, "target": period.target, "goal": period.is_goal}


def map_as_mermaid(found: StrategyMap) -> str:
    """Return a map as a Mermaid flowchart: perspectives as subgraphs, arrows that lower dashed."""
    number = {card.id: f"n{i}" for i, card in enumerate(found.cards)}
    lines = ["flowchart BT"]
    for position, band in enumerate(found.bands):
        lines.append(f'  subgraph b{position}["{_mermaid(band.name)}"]')
        inside = {group.id for group in found.groups if group.band == position}
        lines += [f'    {number[c.id]}["{_label(c, "<br/>", _mermaid)}"]' for c in found.cards if c.group in inside]
        lines.append("  end")
    for arrow in found.arrows:
        link = "-->" if arrow.amount >= 0 else "-.->"
        lines.append(f'  {number[arrow.cause]} {link}|"{_amount(arrow)}"| {number[arrow.effect]}')
    return "\n".join(lines) + "\n"


def map_as_dot(found: StrategyMap) -> str:
    """Return a map in Graphviz's language: perspectives as clusters, arrows that lower dashed."""
    number = {card.id: f"n{i}" for i, card in enumerate(found.cards)}
    lines = ["digraph map {", "  rankdir=BT; node [shape=box, style=rounded, fontname=Helvetica];"]
    lines.append(f'  label="{_dot(found.title)}"; labelloc=t; fontname=Helvetica;')
    for position, band in enumerate(found.bands):
        lines.append(f'  subgraph cluster_{position} {{ label="{_dot(band.name)}";')
        inside = {group.id for group in found.groups if group.band == position}
        lines += [
            f'    {number[c.id]} [label="{_label(c, chr(92) + "n", _dot)}"];' for c in found.cards if c.group in inside
        ]
        lines.append("  }")
    for arrow in found.arrows:
        style = "" if arrow.amount >= 0 else ", style=dashed"
        width = f"{0.8 + 3 * arrow.share**0.5:.2f}"
        ends = f"{number[arrow.cause]} -> {number[arrow.effect]}"
        lines.append(f'  {ends} [label="{_amount(arrow)}", penwidth={width}{style}];')
    return "\n".join([*lines, "}"]) + "\n"


def _label(card: Card, new_line: str, escaped: Callable[[str], str]) -> str:
    parts = [card.name, f"{card.before} → {card.after} {card.unit}".strip() if card.after else card.before]
    goal = f"goal {card.goal_value}: " if card.goal_value else ""
    if card.odds or goal:
        parts.append(f"{goal}{card.odds.text if card.odds else ''}".removesuffix(": "))
    return new_line.join(escaped(part) for part in parts if part)


def _amount(arrow: Arrow) -> str:
    return short(arrow.amount, sign=True)


def _mermaid(text: str) -> str:
    """Write every character that Mermaid or HTML could take for its own as a number."""
    return re.sub(r"[^\w .,:%()→–€$+-]", lambda m: f"#{ord(m.group())};", printable(text))


def _dot(text: str) -> str:
    return printable(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
