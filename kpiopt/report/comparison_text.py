"""What a comparison says, in a planner's words: shared by the terminal and the page."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from kpiopt.errors import printable
from kpiopt.plan.limit_names import limit_words
from kpiopt.report.drawing.short import short
from kpiopt.report.goal_names import goal_name_in
from kpiopt.report.numbers import amount, change, goal_amounts, target_step
from kpiopt.report.rule import broken_words
from kpiopt.scenario.scenario import Kpi
from kpiopt.simulation.difference import OddsDifference
from kpiopt.studies.comparison.bridge import Bridge, BridgePart
from kpiopt.studies.comparison.compare import Comparison, GoalChange, InputChange, LimitChange, Setting, Side
from kpiopt.studies.comparison.plan_changes import LevelChange, TargetMove

LABEL_LENGTH = 24
ABOUT = re.compile(r'([^."]+\.(?:"(?:[^"\\]|\\.)*"|[^."]+))\.')


def listed_inputs(found: Comparison) -> list[InputChange]:
    """Return the inputs to show: what only one side has, such as a unit or a KPI, is one change with all its values."""
    heads = [{_head(path) for path in side.inputs} for side in _sides(found)]
    values = Counter(_head(item.path) for item in found.inputs)
    result: dict[str, InputChange] = {}
    for item in found.inputs:
        head = _head(item.path)
        if values[head] == 1 or (head in heads[0] and head in heads[1]):
            result[item.path] = item
        else:
            result[head] = _with_value(result.get(head, InputChange(head, None, None)), item)
    return list(result.values())


def _head(path: str) -> str:
    """Return the thing that a path is about: its first two keys; the path itself where it has no more."""
    found = ABOUT.match(path)
    return found.group(1) if found else path


def _with_value(change: InputChange, item: InputChange) -> InputChange:
    name = item.path[len(change.path) + 1 :]
    first, second = (_extended(change.first, name, item.first), _extended(change.second, name, item.second))
    return InputChange(change.path, first, second)


def _extended(before: Setting | None, name: str, value: Setting | None) -> Setting | None:
    if value is None:
        return before
    return Setting({**(before.value if before else {}), name: value.value}, (before or value).origin)


def setting_text(setting: Setting | None) -> str:
    """Write a value of the file as a planner reads it; "–" where a side does not have it."""
    return "–" if setting is None else _value_text(setting.value)


def _value_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value:,.10g}"
    if isinstance(value, dict):
        return "; ".join(f"{key} = {_value_text(item)}" for key, item in value.items())
    return ", ".join(_value_text(item) for item in value) if isinstance(value, list) else str(value)


def side_names(found: Comparison) -> tuple[str, str]:
    """Return what the two sides are called above a column: their labels, cut in the middle where they are long."""
    first, second = (_short_label(side.label) for side in _sides(found))
    return (first, second) if first != second else (f"{first} (1)", f"{second} (2)")


def _short_label(label: str) -> str:
    text = printable(label)
    return text if len(text) <= LABEL_LENGTH else f"{text[: LABEL_LENGTH // 2 - 1]}…{text[-(LABEL_LENGTH // 2) :]}"


def goal_row(found: Comparison, item: GoalChange) -> list[str]:
    """Return name, target, plan and shortfall of a goal; two values where they differ."""
    kpis = [side.scenario.kpis[v.goal.kpi] if v else None for side, v in zip(_sides(found), _both(item), strict=True)]
    values = [
        goal_amounts(kpi, v.target, v.plan) if v and kpi else ("–",) * 3
        for v, kpi in zip(_both(item), kpis, strict=True)
    ]
    target, plan, short = (_pair(a, b, kpis) for a, b in zip(*values, strict=True))
    return [goal_name(found, item), target, plan, short]


def _sides(found: Comparison) -> tuple[Side, Side]:
    return found.first, found.second


def _both(item: GoalChange) -> tuple[Any, Any]:
    return item.first, item.second


def _pair(first: str, second: str, kpis: list[Kpi | None]) -> str:
    """Write two values with their unit, one where they are the same; "0" where nothing is missing."""
    units = [kpi.unit for kpi in kpis if kpi]
    same_unit = len(set(units)) == 1
    texts = [
        value if kpi is None else f"{value or '0'} {'' if same_unit else kpi.unit}".rstrip()
        for value, kpi in zip((first, second), kpis, strict=True)
    ]
    text = texts[0] if texts[0] == texts[1] else " → ".join(texts)
    return f"{text} {units[0]}".rstrip() if same_unit else text


def goal_name(found: Comparison, item: GoalChange) -> str:
    """Return a goal's name: the KPI's, and the unit's where it is not the whole organization."""
    side, value = (found.second, item.second) if item.second else (found.first, item.first)
    assert value is not None
    return goal_name_of(side, value.goal.id)


def goal_name_of(side: Side, goal: str) -> str:
    """Return the name of a goal of one side."""
    return goal_name_in(side.scenario, goal)


def odds_rows(found: Comparison) -> list[tuple[str, OddsDifference]]:
    """Return the odds to show by name: of each goal of both sides, and of all goals of each."""
    drawn = [(goal_name(found, goal), goal.odds) for goal in found.goals if goal.odds]
    if found.all_goals and (len(found.goals) > 1 or not found.same_goals):
        name = "All goals together" if found.same_goals else "All goals of each"
        drawn.append((name, found.all_goals))
    return drawn


def odds_note(found: Comparison) -> str:
    """Return what must be said beside the odds; empty where both sides have the same goals."""
    return "" if found.same_goals else "The two do not have the same goals, so hitting all of them is not the same."


def verdict(odds: OddsDifference) -> str:
    """Say whether a difference of odds is more than chance, and where there cannot be one."""
    if odds.is_unchanged:
        return "the same"
    if not odds.is_resolved:
        return "no difference seen"
    return "better" if odds.difference.estimate > 0 else "worse"


def money_lines(found: Comparison) -> Iterator[str]:
    """Say what both plans cost: pay at plan, pay over the draws, initiatives."""
    pay = found.pay
    if any(pay.plan):
        yield _money(found, "Pay at plan", *pay.plan)
    if any(pay.plan) and pay.drawn:
        yield _drawn_pay(found, *pay.drawn)
    if found.first.initiatives or found.second.initiatives:
        yield _money(found, "Initiatives", found.first.initiatives, found.second.initiatives)


def _money(found: Comparison, what: str, first: float, second: float) -> str:
    ours, theirs = (side.scenario.currency for side in _sides(found))
    first, second = (float(f"{value:.10g}") for value in (first, second))  # no residue of rounding
    if not found.same_currency:
        return f"{what}: {amount(first, ours)} → {amount(second, theirs)}, in two currencies."
    currency = theirs or ours
    if amount(first) == amount(second):
        return f"{what}: {amount(first, currency)} in both."
    return f"{what}: {amount(first)} → {amount(second, currency)} ({change(second - first)})."


def _drawn_pay(found: Comparison, first: float, second: float) -> str:
    what, difference = "Pay over the draws, on average", found.pay.difference
    if difference is None or not any((difference.estimate, difference.low, difference.high)):
        return _money(found, what, first, second)
    currency = found.second.scenario.currency or found.first.scenario.currency
    first, second = (float(f"{value:.10g}") for value in (first, second))
    low, high = change(difference.low), change(difference.high, currency)
    paired = f"paired difference {change(difference.estimate)} ({low} to {high})"
    return f"{what}: {amount(first)} → {amount(second, currency)}, {paired}."


def measure_lines(found: Comparison) -> Iterator[str]:
    """Say which KPIs have another unit of measure on the other side."""
    for other in found.other_measures:
        units = zip((other.first, other.second), _sides(found), strict=True)
        measured = " and ".join(f"in {unit or 'no unit'} in {side.label}" for unit, side in units)
        name = kpi_of(found, other.kpi).name
        yield f"{name} is measured {measured}: its targets and plan values are not compared."


def rule_lines(found: Comparison) -> Iterator[str]:
    """Say of each side that no program chose its plan, and what it would break."""
    for side in (found.first, found.second):
        if side.rule is not None:
            yield f"{side.label} is made by a rule and not certified: {broken_words(side.scenario, side.broken)}."


def limit_text(found: Comparison, item: LimitChange) -> str:
    """Return a limit's name for a planner with its size, as "hours of Team North (900)"."""
    limit = item.second or item.first
    assert limit is not None
    return f"{limit_name(found, item)} ({amount(limit.limit)})"


def limit_name(found: Comparison, item: LimitChange) -> str:
    """Return a limit's name for a planner, as "hours of Team North"."""
    side, limit = (found.second, item.second) if item.second else (found.first, item.first)
    assert limit is not None
    return limit_words(side.scenario, limit.name)


def targets_line(found: Comparison) -> str:
    """Say how many targets move, and how many only one side has."""
    new = sum(move.first is None for move in found.targets)
    gone = sum(move.second is None for move in found.targets)
    moved, both = len(found.targets) - new - gone, found.n_targets - new - gone
    parts = [f"{moved:,} of {both:,} targets move" if moved else f"none of {both:,} targets moves"]
    parts += [f"{count:,} {word}" for count, word in ((new, "new"), (gone, "gone")) if count]
    text = ", ".join(parts)
    return text[0].upper() + text[1:]


def listed_targets(found: Comparison, most: int) -> list[TargetMove]:
    """Return the targets to show, the farthest first.

    A unit whose target moves only because one unit below it moves by the same is left out: it is the same target twice.
    """
    values: dict[tuple[str | None, str, str | None], tuple[float | None, float | None]] = {
        (move.unit, move.kpi, move.period): (move.first, move.second) for move in found.targets
    }
    above = {(m.unit, m.kpi, m.period): (parent_of(found, m.unit), m.kpi, m.period) for m in found.targets}
    only = Counter(above.values())
    twice = {parent for key, parent in above.items() if only[parent] == 1 and values.get(parent) == values[key]}
    return [move for move in found.targets if (move.unit, move.kpi, move.period) not in twice][:most]


def parent_of(found: Comparison, unit: str) -> str | None:
    """Return the id of the unit above, on the side that has the unit."""
    units = _side_with(found, unit).scenario.units
    parent = int(units.parent[units.position[unit]])
    return units.ids[parent] if parent >= 0 else None


def target_row(found: Comparison, move: TargetMove) -> list[str]:
    """Return unit, KPI, both targets and the change of one that moved."""
    kpi = kpi_of(found, move.kpi)
    texts = ["–" if v is None else amount(v, "", target_step(kpi, v)) for v in (move.first, move.second)]
    moved = "" if move.first is None or move.second is None else change(move.second - move.first, kpi.unit, kpi.step)
    name = f"{kpi.name} in {move.period}" if move.period else kpi.name
    return [unit_name(found, move.unit), name, *texts, moved or ("new" if move.first is None else "gone")]


def level_row(found: Comparison, item: LevelChange) -> list[str]:
    """Return initiative, unit and both levels of one that is funded otherwise."""
    levels = ["–" if level is None else short(level, 4) for level in (item.first, item.second)]
    moved = short((item.second or 0.0) - (item.first or 0.0), 4, sign=True)
    unit = unit_name(found, item.unit) + (f", begun in {item.start}" if item.start else "")
    return [_named(found, "initiative", item.initiative), unit, *levels, moved]


def kpi_of(found: Comparison, kpi: str) -> Kpi:
    """Return a KPI by its id, as the second side has it where it does."""
    return (found.second if kpi in found.second.scenario.kpis else found.first).scenario.kpis[kpi]


def unit_name(found: Comparison, unit: str) -> str:
    """Return a unit's name on the side that has it."""
    units = _side_with(found, unit).scenario.units
    return units.names[units.position[unit]]


def _side_with(found: Comparison, unit: str) -> Side:
    return found.second if unit in found.second.scenario.units.position else found.first


def bridge_title(found: Comparison, bridge: Bridge) -> str:
    """Return the name of a bridge's KPI, and of its unit where it is not the whole organization."""
    name, root = kpi_of(found, bridge.kpi).name, found.second.scenario.units.ids[0]
    name = f"{name} in {bridge.period}" if bridge.period else name
    return name if bridge.unit == root else f"{name} ({unit_name(found, bridge.unit)})"


def bridge_step(found: Comparison, bridge: Bridge) -> float | None:
    """Return the step to which a bridge's amounts are written: the KPI's, or finer where the parts are small."""
    step = kpi_of(found, bridge.kpi).step
    largest = max((abs(part.amount) for part in bridge.parts), default=0.0)
    if step is None or not largest:
        return step
    return min(step, 10.0 ** (math.floor(math.log10(largest)) - 1))


def bridge_steps(found: Comparison, bridge: Bridge, most: int) -> list[tuple[str, float]]:
    """Return the parts of a bridge by name, largest first; beyond `most` the smaller ones together.

    Returns
    -------
    list of (str, float)
        The amounts add up to the change of the plan value.
    """
    parts = sorted(bridge.parts, key=lambda part: -abs(part.amount))
    shown = parts if len(parts) <= most else parts[: most - 1]
    steps = [(part_name(found, part), part.amount) for part in shown]
    rest = parts[len(shown) :]
    return [*steps, (f"{len(rest)} smaller parts", math.fsum(part.amount for part in rest))] if rest else steps


def part_name(found: Comparison, part: BridgePart) -> str:
    """Return what a part of a bridge is, in a planner's words."""
    about = part.about or ""
    if part.kind == "stretch":
        return f"{kpi_of(found, about).name} of {unit_name(found, part.unit or '')}"
    if part.kind in ("initiative", "factor"):
        return _named(found, part.kind, about)
    return {"baseline": "baseline", "execution": "share of stretch expected", "links": "strength of the drivers"}[
        part.kind
    ]


def _named(found: Comparison, kind: str, about: str) -> str:
    for side in (found.second, found.first):
        entries = side.scenario.initiatives if kind == "initiative" else side.scenario.factors
        if about in entries:
            return str(entries[about].name)
    return about
