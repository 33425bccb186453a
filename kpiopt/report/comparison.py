"""A comparison on a terminal: what is different, and whether it is better."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from kpiopt.errors import printable
from kpiopt.report.comparison_text import (
    bridge_step,
    bridge_steps,
    bridge_title,
    goal_row,
    kpi_of,
    level_row,
    limit_text,
    listed_inputs,
    listed_targets,
    measure_lines,
    money_lines,
    odds_note,
    odds_rows,
    rule_lines,
    setting_text,
    side_names,
    target_row,
    targets_line,
    verdict,
)
from kpiopt.report.grid import Grid, heading, indented
from kpiopt.report.numbers import amount, change, points
from kpiopt.simulation.difference import OddsDifference
from kpiopt.studies.comparison.bridge import Bridge
from kpiopt.studies.comparison.compare import Comparison, InputChange, Side, Unsolved
from kpiopt.studies.comparison.contenders import Comparisons

if TYPE_CHECKING:
    from rich.console import RenderableType

SHOWN_INPUTS = 20
SHOWN_TARGETS = 8
SHOWN_LEVELS = 8
SHOWN_LIMITS = 6
SHOWN_PARTS = 7
SHOWN_BRIDGES = 5
STYLES = {"better": "green", "worse": "yellow", "no difference seen": "dim", "the same": "dim"}


def render_comparisons(found: Comparisons) -> Group:
    """Lay out all comparisons: one overview where there are several, then each of them."""
    parts = list(_overview(found)) if len(found.others) > 1 else []
    for other in found.others:
        parts += _unsolved(other) if isinstance(other, Unsolved) else _comparison(other)
    return Group(*parts)


def _overview(found: Comparisons) -> Iterator[RenderableType]:
    """All scenarios in one table, those that have a plan."""
    yield Text(printable(f"{found.base.label} and {len(found.others)} others"), style="bold")
    grid = Grid(("scenario", "goals met", "odds of all goals", "pay at plan", "initiatives"))
    for side in [found.base, *(o.second for o in found.others if isinstance(o, Comparison))]:
        grid.add(*_overview_row(side))
    yield grid
    for other in found.others:
        if isinstance(other, Unsolved):
            yield indented(f"{other.label}: no plan; {other.error.problems[0].message}.", "yellow")


def _overview_row(side: Side) -> list[str]:
    everything = side.simulation.all_goals if side.simulation else None
    met = sum(goal.met for goal in side.goals)
    money = (amount(value, side.scenario.currency) for value in (side.pay, side.initiatives))
    return [side.label, f"{met} of {len(side.goals)}", everything.text if everything else "", *money]


def _unsolved(other: Unsolved) -> Iterator[RenderableType]:
    yield heading(f"{other.label}: no plan")
    for problem in other.error.problems:
        yield indented(f"{problem.code}: {problem.message}")
        if problem.fix:
            yield indented(f"  {problem.fix}")


def _comparison(found: Comparison) -> Iterator[RenderableType]:
    yield Text.assemble("\n", (printable(f"{found.first.label} → {found.second.label}"), "bold underline"))
    yield from (indented(text) for text in rule_lines(found))
    yield from _inputs(found, listed_inputs(found))
    yield from _goals(found)
    yield from _costs(found)
    yield from _levels(found)
    yield from _limits(found)
    yield from _targets(found)
    moved = [bridge for bridge in found.bridges if bridge.parts]
    for bridge in moved[:SHOWN_BRIDGES]:
        yield from _bridge(found, bridge)
    if len(moved) > SHOWN_BRIDGES:
        yield indented(f"… and {len(moved) - SHOWN_BRIDGES:,} more bridges in --json and --html", "dim")


def _inputs(found: Comparison, changes: list[InputChange]) -> Iterator[RenderableType]:
    yield heading("What was asked differently")
    if not changes:
        yield indented("Nothing.")
        return
    grid = Grid(("value", *side_names(found), "where"), left=4)
    for item in changes[:SHOWN_INPUTS]:
        where = " → ".join(dict.fromkeys(s.origin for s in (item.first, item.second) if s))
        grid.add(item.path, setting_text(item.first), setting_text(item.second), where)
    yield grid
    if len(changes) > SHOWN_INPUTS:
        yield indented(f"… and {len(changes) - SHOWN_INPUTS:,} more in --json", "dim")


def _goals(found: Comparison) -> Iterator[RenderableType]:
    for line in measure_lines(found):
        yield Text()
        yield indented(line, "yellow")
    if not found.goals:
        return
    yield heading("Goals")
    grid = Grid(("goal", "target", "plan", "short by"))
    for goal in found.goals:
        grid.add(*goal_row(found, goal))
    yield grid
    if drawn := odds_rows(found):
        yield heading("Odds from the same draws, with 95 % intervals")
        yield _odds_grid(found, drawn)
        if note := odds_note(found):
            yield indented(note, "dim")


def _odds_grid(found: Comparison, drawn: list[tuple[str, OddsDifference]]) -> Grid:
    """Odds never stand without their interval; it has its own line, so that a table fits a terminal."""
    grid = Grid(("goal", *side_names(found), "difference in points", "verdict"))
    for name, odds in drawn:
        texts = (odds.first.text, odds.second.text, points(odds.difference))
        said = verdict(odds)
        grid.add(name, *(Text(text.replace(" (", "\n(")) for text in texts), Text(said, style=STYLES[said]))
    return grid


def _costs(found: Comparison) -> Iterator[RenderableType]:
    if lines := list(money_lines(found)):
        yield heading("What it costs")
        yield from map(indented, lines)


def _levels(found: Comparison) -> Iterator[RenderableType]:
    if not found.initiatives:
        return
    yield heading("Initiatives at another level")
    grid = Grid(("initiative", "unit", *side_names(found), "change"), left=2)
    for item in found.initiatives[:SHOWN_LEVELS]:
        grid.add(*level_row(found, item))
    yield grid
    if len(found.initiatives) > SHOWN_LEVELS:
        yield indented(f"… and {len(found.initiatives) - SHOWN_LEVELS:,} more in --json and --html", "dim")


def _limits(found: Comparison) -> Iterator[RenderableType]:
    begun = [item for item in found.limits if item.begins]
    ceased = [item for item in found.limits if not item.begins]
    if not found.limits:
        return
    yield heading("What holds the plan back")
    for text, items in (("Used up now", begun), ("No longer used up", ceased)):
        if items:
            more = f" … and {len(items) - SHOWN_LIMITS:,} more" if len(items) > SHOWN_LIMITS else ""
            named = ", ".join(limit_text(found, item) for item in items[:SHOWN_LIMITS])
            yield indented(f"{text}: {named}{more}.")


def _targets(found: Comparison) -> Iterator[RenderableType]:
    yield heading("Targets")
    listed = listed_targets(found, SHOWN_TARGETS)
    more = "; the first of them:" if len(found.targets) > len(listed) else ":" if listed else "."
    if listed and listed[0].share is not None:
        more = "; the farthest first:"
    yield indented(f"{targets_line(found)}{more}")
    if listed:
        grid = Grid(("unit", "KPI", *side_names(found), "change"), left=2)
        for move in listed:
            grid.add(*target_row(found, move))
        yield grid


def _bridge(found: Comparison, bridge: Bridge) -> Iterator[RenderableType]:
    unit, step = kpi_of(found, bridge.kpi).unit, bridge_step(found, bridge)
    yield heading(f"From plan to plan: {bridge_title(found, bridge)}")
    grid = Grid(("", f"amount {unit}".rstrip()))
    grid.add(f"plan of {found.first.label}", amount(bridge.first, "", step))
    for name, value in bridge_steps(found, bridge, SHOWN_PARTS):
        grid.add(f"  {name}", change(value, "", step))
    grid.add(f"plan of {found.second.label}", amount(bridge.second, "", step))
    yield grid
