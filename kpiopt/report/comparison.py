"""A comparison on a terminal: what is different, and whether it is better."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.padding import Padding
from rich.text import Text

from kpiopt.analysis.bridge import Bridge, BridgePart
from kpiopt.analysis.compare import Comparison, GoalChange, InputChange, LimitChange, Setting, Side, TargetMove
from kpiopt.errors import printable
from kpiopt.report.grid import Grid
from kpiopt.report.numbers import amount, change, percent
from kpiopt.runs.comparison import Comparisons, Unsolved
from kpiopt.scenario.scenario import Kpi, Scenario
from kpiopt.simulation import Estimate
from kpiopt.simulation.difference import OddsDifference

if TYPE_CHECKING:
    from rich.console import RenderableType

SHOWN_INPUTS = 20
SHOWN_TARGETS = 8
SHOWN_LIMITS = 6
SHOWN_PARTS = 7
SHOWN_BRIDGES = 5


def render_comparisons(found: Comparisons) -> Group:
    """Lay out all comparisons: one overview where there are several, then each of them."""
    parts = list(_overview(found)) if len(found.others) > 1 else []
    for other in found.others:
        parts += _unsolved(other) if isinstance(other, Unsolved) else _comparison(other)
    return Group(*parts)


def _heading(text: str) -> Text:
    return Text(f"\n{printable(text)}", style="bold")


def _line(text: str, style: str = "") -> Padding:
    return Padding(Text(printable(text), style=style), (0, 0, 0, 2), expand=False)


def _overview(found: Comparisons) -> Iterator[RenderableType]:
    """All scenarios in one table, those that have a plan."""
    currency = found.base.scenario.currency
    yield Text(printable(f"{found.base.label} and {len(found.others)} others"), style="bold")
    grid = Grid(("scenario", "goals met", "odds of all goals", f"pay at plan {currency}".rstrip(), "initiatives"))
    for side in [found.base, *(o.second for o in found.others if isinstance(o, Comparison))]:
        everything = side.simulation.all_goals if side.simulation else None
        met = sum(not goal.shortfall for goal in side.goals)
        odds = everything.text if everything else ""
        grid.add(side.label, f"{met} of {len(side.goals)}", odds, amount(side.pay), amount(side.initiatives))
    yield grid
    for other in found.others:
        if isinstance(other, Unsolved):
            yield _line(f"{other.label}: no plan; {other.error.problems[0].message}.", "yellow")


def _unsolved(other: Unsolved) -> Iterator[RenderableType]:
    yield _heading(f"{other.label}: no plan")
    for problem in other.error.problems:
        yield _line(f"{problem.code}: {problem.message}")
        if problem.fix:
            yield _line(f"  {problem.fix}")


def _comparison(found: Comparison) -> Iterator[RenderableType]:
    yield Text.assemble("\n", (printable(f"{found.first.label} → {found.second.label}"), "bold underline"))
    yield from _inputs(found.inputs)
    yield from _goals(found)
    yield from _pay(found)
    yield from _limits(found)
    yield from _targets(found)
    moved = [bridge for bridge in found.bridges if bridge.parts]
    for bridge in moved[:SHOWN_BRIDGES]:
        yield from _bridge(found, bridge)
    if len(moved) > SHOWN_BRIDGES:
        yield _line(f"… and {len(moved) - SHOWN_BRIDGES:,} more bridges in --json and --html", "dim")


def _inputs(changes: tuple[InputChange, ...]) -> Iterator[RenderableType]:
    yield _heading("What was asked differently")
    if not changes:
        yield _line("Nothing.")
        return
    grid = Grid(("value", "first", "second", "where"), left=4)
    for item in changes[:SHOWN_INPUTS]:
        where = " → ".join(dict.fromkeys(s.origin for s in (item.first, item.second) if s))
        grid.add(item.path, setting_text(item.first), setting_text(item.second), where)
    yield grid
    if len(changes) > SHOWN_INPUTS:
        yield _line(f"… and {len(changes) - SHOWN_INPUTS:,} more")


def setting_text(setting: Setting | None) -> str:
    """Write a value of the file as a planner reads it; "–" where a side does not have it."""
    return "–" if setting is None else _value_text(setting.value)


def _value_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value:,.10g}"
    return ", ".join(_value_text(item) for item in value) if isinstance(value, list) else str(value)


def _goals(found: Comparison) -> Iterator[RenderableType]:
    if not found.goals:
        return
    yield _heading("Goals")
    grid = Grid(("goal", "target", "plan", "short by"))
    for goal in found.goals:
        grid.add(*goal_row(found, goal))
    yield grid
    drawn = [(goal_name(found, goal), goal.odds) for goal in found.goals if goal.odds]
    if found.all_goals and len(found.goals) > 1:
        drawn.append(("All goals together", found.all_goals))
    if drawn:
        yield _heading("Odds, from the same draws")
        yield _odds_grid(drawn)


def _odds_grid(drawn: list[tuple[str, OddsDifference]]) -> Grid:
    grid = Grid(("goal", "first", "second", "difference in points (95 % interval)", "verdict"))
    for name, odds in drawn:
        pair = percent(odds.first.estimate), percent(odds.second.estimate)
        grid.add(name, *pair, points(odds.difference), verdict(odds))
    return grid


def goal_row(found: Comparison, item: GoalChange) -> list[str]:
    """Return name, target, plan and shortfall of a goal; two values where they differ."""
    either = item.second or item.first
    assert either is not None
    kpi = _kpi(found, either.goal.kpi)
    values = [(v.target, v.plan, v.shortfall) if v else (None, None, None) for v in (item.first, item.second)]
    target, plan, short = (_pair(a, b, kpi) for a, b in zip(*values, strict=True))
    return [goal_name(found, item), f"{target} {kpi.unit}".rstrip(), plan, short]


def goal_name(found: Comparison, item: GoalChange) -> str:
    """Return a goal's name: the KPI's, and the unit's where it is not the whole organization."""
    value = item.second or item.first
    assert value is not None
    side = found.second if item.second else found.first
    name = side.scenario.kpis[value.goal.kpi].name
    return name if value.goal.unit == 0 else f"{name} ({side.scenario.units.names[value.goal.unit]})"


def _kpi(found: Comparison, kpi: str) -> Kpi:
    return (found.second if kpi in found.second.scenario.kpis else found.first).scenario.kpis[kpi]


def _pair(first: float | None, second: float | None, kpi: Kpi) -> str:
    """Write two values, one where they are the same."""
    texts = ["–" if v is None else amount(v, "", kpi.step) for v in (first, second)]
    return texts[0] if texts[0] == texts[1] else " → ".join(texts)


def points(difference: Estimate) -> str:
    """Write a difference of odds in percentage points with its interval, as "-17.4 (-17.9 to -16.8)"."""
    d = difference
    return f"{100 * d.estimate:+.1f} ({100 * d.low:+.1f} to {100 * d.high:+.1f})"


def verdict(odds: OddsDifference) -> Text:
    """Say whether a difference of odds is more than chance."""
    if not odds.is_resolved:
        return Text("not resolved", style="dim")
    return Text("better", style="green") if odds.difference.estimate > 0 else Text("worse", style="yellow")


def _pay(found: Comparison) -> Iterator[RenderableType]:
    pay, currency = found.pay, found.second.scenario.currency
    spent = (found.first.initiatives, found.second.initiatives)
    if not any((*pay.plan, *spent)):
        return
    yield _heading("What it costs")
    if any(pay.plan):
        yield _line(_money("Pay at plan", *pay.plan, currency))
    if pay.drawn and pay.difference:
        d = pay.difference
        yield _line(
            f"Pay over the draws, on average: {amount(pay.drawn[0])} → {amount(pay.drawn[1], currency)}, "
            f"paired difference {change(d.estimate)} ({change(d.low)} to {change(d.high, currency)})."
        )
    if any(spent):
        yield _line(_money("Initiatives", *spent, currency))


def _money(what: str, first: float, second: float, currency: str) -> str:
    if amount(first) == amount(second):
        return f"{what}: {amount(first, currency)} in both."
    return f"{what}: {amount(first)} → {amount(second, currency)} ({change(second - first)})."


def _limits(found: Comparison) -> Iterator[RenderableType]:
    begun = [item for item in found.limits if item.begins]
    ceased = [item for item in found.limits if not item.begins]
    if not found.limits:
        return
    yield _heading("What holds the plan back")
    for text, items in (("Used up now", begun), ("No longer used up", ceased)):
        if items:
            more = f" … and {len(items) - SHOWN_LIMITS:,} more" if len(items) > SHOWN_LIMITS else ""
            named = ", ".join(limit_text(found, item) for item in items[:SHOWN_LIMITS])
            yield _line(f"{text}: {named}{more}.")


def limit_text(found: Comparison, item: LimitChange) -> str:
    """Return a limit's name for a planner with its size, as "hours of Team North (900)"."""
    side = found.second if item.second else found.first
    limit = item.second or item.first
    assert limit is not None
    return f"{_limit_name(side.scenario, limit.name, limit.resource)} ({amount(limit.limit)})"


def _limit_name(scenario: Scenario, name: str, resource: str) -> str:
    kind, _, rest = name.partition(".")
    if kind == "budget":
        return f"{rest} budget"
    return f"{resource} of {scenario.units.names[scenario.units.position[rest.rpartition('@')[2]]]}"


def _targets(found: Comparison) -> Iterator[RenderableType]:
    yield _heading("Targets")
    if not found.targets:
        yield _line(f"None of {found.n_targets:,} targets moves.")
        return
    yield _line(f"{len(found.targets):,} of {found.n_targets:,} targets move; the farthest:")
    grid = Grid(("unit", "KPI", "first", "second", "change"), left=2)
    for move in found.targets[:SHOWN_TARGETS]:
        grid.add(*target_row(found, move))
    yield grid


def target_row(found: Comparison, move: TargetMove) -> list[str]:
    """Return unit, KPI, both targets and the change of one that moved."""
    kpi = _kpi(found, move.kpi)
    texts = ["–" if v is None else amount(v, "", kpi.step) for v in (move.first, move.second)]
    moved = "" if move.first is None or move.second is None else change(move.second - move.first, kpi.unit, kpi.step)
    return [unit_name(found, move.unit), kpi.name, *texts, moved]


def unit_name(found: Comparison, unit: str) -> str:
    """Return a unit's name on the side that has it."""
    side = found.second if unit in found.second.scenario.units.position else found.first
    return side.scenario.units.names[side.scenario.units.position[unit]]


def _bridge(found: Comparison, bridge: Bridge) -> Iterator[RenderableType]:
    kpi = _kpi(found, bridge.kpi)
    yield _heading(f"From plan to plan: {bridge_title(found, bridge)}")
    grid = Grid(("", "amount"))
    grid.add(f"plan of {found.first.label}", amount(bridge.first, "", kpi.step))
    for name, value in bridge_steps(found, bridge, SHOWN_PARTS):
        grid.add(f"  {name}", change(value, "", kpi.step))
    grid.add(f"plan of {found.second.label}", amount(bridge.second, kpi.unit, kpi.step))
    yield grid


def bridge_title(found: Comparison, bridge: Bridge) -> str:
    """Return the name of a bridge's KPI, and of its unit where it is not the whole organization."""
    name, root = _kpi(found, bridge.kpi).name, found.second.scenario.units.ids[0]
    return name if bridge.unit == root else f"{name} ({unit_name(found, bridge.unit)})"


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
    return [*steps, (f"{len(rest)} smaller parts", sum(part.amount for part in rest))] if rest else steps


def part_name(found: Comparison, part: BridgePart) -> str:
    """Return what a part of a bridge is, in a planner's words."""
    about = part.about or ""
    if part.kind == "stretch":
        return f"{_kpi(found, about).name} of {unit_name(found, part.unit or '')}"
    if part.kind in ("initiative", "factor"):
        return _named(found, part.kind, about)
    return {"baseline": "baseline", "execution": "share of stretch expected", "links": "strength of the drivers"}[
        part.kind
    ]


def _named(found: Comparison, kind: str, about: str) -> str:
    sides: tuple[Side, Side] = found.second, found.first
    for side in sides:
        entries = side.scenario.initiatives if kind == "initiative" else side.scenario.factors
        if about in entries:
            return str(entries[about].name)
    return about
