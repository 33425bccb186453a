"""A sensitivity study on a terminal: what the plan hinges on, in a planner's words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from kpiopt.errors import printable
from kpiopt.program.formulation.promises import Promise
from kpiopt.report.grid import Grid, capital, heading, indented
from kpiopt.report.input_names import input_name
from kpiopt.report.numbers import amount, change, percent
from kpiopt.scenario.settings import RISK_STEPS
from kpiopt.simulation.inputs import ORGANIZATION_PART
from kpiopt.simulation.odds import Estimate
from kpiopt.studies.sensitivity.break_even import BreakEven, Crossing
from kpiopt.studies.sensitivity.information import EVERYTHING
from kpiopt.studies.sensitivity.near_optimal import Alternatives
from kpiopt.studies.sensitivity.outcome import Outcome
from kpiopt.studies.sensitivity.study import Sensitivity
from kpiopt.studies.sensitivity.tornado import Bar, End, Tornado

if TYPE_CHECKING:
    from rich.console import RenderableType

SHOWN_BARS = 20
SHOWN_GROUPS = 25
SHOWN_RANGES = 12
SHOWN_MOVES = 8
SHOWN_CHANGES = 4
SHOWN_BROKEN = 3
HALF_BAR = 14
NOTICEABLE = 1e-6
LEARNT = {EVERYTHING: "all named quantities at once", ORGANIZATION_PART: "Execution, the part all have in common"}


def render_sensitivity(found: Sensitivity) -> Group:
    """Lay out a study for a reader who knows the business and not the tool."""
    outcome = found.outcome
    now = Text.assemble((f"{capital(outcome.label)}: ", "bold"), value_text(outcome, found.base.estimate))
    parts: list[RenderableType] = [Text(printable(found.scenario.name), style="bold"), now]
    if found.outcome.is_drawn:
        parts.append(indented(f"from {found.settings.draws:,} draws; everything below uses the same ones"))
    parts += (indented(f"Not complete: {part.text}.", "yellow") for part in found.not_done)
    if found.tornado:
        parts += _tornado(found, found.tornado)
    parts += [*_screening(found), *_shares(found)]
    for item in found.break_evens:
        parts += _break_even(found, item)
    if found.alternatives:
        parts += _alternatives(found, found.alternatives)
    return Group(*parts, *_information(found))


def value_text(outcome: Outcome, estimate: Estimate) -> str:
    """Write a value of the outcome: odds with their interval, amounts with their unit."""
    if outcome.kind == "odds":
        return estimate.text
    return amount(estimate.estimate, outcome.measure)


def change_text(outcome: Outcome, value: float) -> str:
    """Write a change of the outcome; odds in percentage points."""
    if outcome.kind == "odds":
        return f"{100 * value:+.1f}"
    return change(value)


def _unit(outcome: Outcome) -> str:
    if outcome.kind == "odds":
        return "percentage points"
    weighted = outcome.kind == "shortfall" and not outcome.name
    return "shares of what the goals ask" if weighted else outcome.measure or "its own unit"


def _aim(promises: Sequence[Promise]) -> str:
    """Say how far a new plan goes."""
    if any(promise.name in RISK_STEPS for promise in promises):
        return "A new plan keeps as much in hand as its order asks for, also where things go well."
    if promises:
        return "A new plan keeps the promised odds and no more: where things go well, it asks for less."
    return "A new plan aims at the goals and no farther: where things go well, it asks for less."


def _tornado(found: Sensitivity, tornado: Tornado) -> Iterator[RenderableType]:
    outcome = found.outcome
    yield heading("What it hinges on")
    yield indented(
        f"Each input is moved alone: change in {_unit(outcome)} at its lower and its upper value, with the plan as it "
        f"is (█) and made anew (▒), and what making it anew is worth; {'more' if outcome.better > 0 else 'less'} is "
        f"better. {_aim(found.planned.cascade.promises)}"
    )
    shown = [bar for bar in tornado.bars if bar.swing > NOTICEABLE * _largest(tornado) or bar.stops][:SHOWN_BARS]
    scale = max((abs(c.estimate) for bar in shown for c in _changes(bar)), default=0.0)
    for position, bar in enumerate(shown):
        yield from _bar(found, position + 1, bar, scale)
    rest = len(tornado.bars) - len(shown)
    if rest:
        yield indented(f"{rest:,} more inputs move it less or not at all.", "dim")
    for item in found.left_out:
        yield indented(f"Not moved ({item.count:,}): {item.what}; {item.fix}.", "dim")


def _largest(tornado: Tornado) -> float:
    return max((bar.swing for bar in tornado.bars), default=0.0)


def _changes(bar: Bar) -> Iterator[Estimate]:
    found = (c for end in (bar.low, bar.high) for c in (end.fixed_change, end.replanned_change))
    yield from (c for c in found if c is not None)


def _bar(found: Sensitivity, position: int, bar: Bar, scale: float) -> Iterator[RenderableType]:
    outcome, move = found.outcome, bar.move
    title = Text.assemble(
        f"{position:>3}. ",
        (printable(input_name(found.scenario, move.path)), "bold"),
        f"  {amount(move.low)} … {amount(move.high)}  ",
        (printable(move.path), "dim"),
    )
    yield title
    fixed = bar.low.fixed_change, bar.high.fixed_change
    anew = bar.low.replanned_change, bar.high.replanned_change
    yield indented(f"as it is   {draw_bar(fixed, scale, '█')}  {_pair(outcome, fixed)}", indent=5)
    worth = _pair(outcome, (bar.low.worth, bar.high.worth))
    yield indented(f"made anew  {draw_bar(anew, scale, '▒')}  {_pair(outcome, anew)}   worth {worth}", indent=5)
    for end in (bar.low, bar.high):
        yield from (indented(text, "yellow", 5) for text in _remarks(end))


def _pair(outcome: Outcome, ends: tuple[Estimate | None, Estimate | None]) -> str:
    """Write the changes at both ends."""
    return " … ".join("no plan" if e is None else change_text(outcome, e.estimate) for e in ends)


def _remarks(end: End) -> Iterator[str]:
    if end.problem is not None:
        yield f"at {amount(end.input_value)}: {end.problem.message}"
    if end.broken:
        shown, more = end.broken[:SHOWN_BROKEN], len(end.broken) - SHOWN_BROKEN
        rest = f" and {more:,} more" if more > 0 else ""
        yield f"at {amount(end.input_value)} the plan as it is breaks {', '.join(shown)}{rest}"


def draw_bar(changes: Sequence[Estimate | None], scale: float, ink: str) -> str:
    """Draw changes as a bar to both sides of a middle line, as "     ███|██   "."""
    values = [0.0, *(c.estimate for c in changes if c is not None)]
    left, right = _length(-min(values), scale), _length(max(values), scale)
    return f"{' ' * (HALF_BAR - left)}{ink * left}|{ink * right}{' ' * (HALF_BAR - right)}"


def _length(size: float, scale: float) -> int:
    return 0 if scale <= 0.0 or size <= 0.0 else max(1, round(HALF_BAR * size / scale))


def _screening(found: Sensitivity) -> Iterator[RenderableType]:
    if not found.screening:
        return
    smooth = found.outcome.kind == "odds"
    yield heading("Screening (Morris)")
    what = "the margin by which it is hit" if smooth else found.outcome.label
    yield indented(f"Mean size of the effect on {what}, per full range of probability; spread: bends or interactions.")
    grid = Grid(("group", "effect", "95 % interval", "direction", "spread"))
    for group, effects in found.screening[:SHOWN_GROUPS]:
        s = effects.strength
        direction = "" if effects.mean is None else change(effects.mean)
        name = _group_name(found, group.name)
        grid.add(name, amount(s.estimate), f"{amount(s.low)} … {amount(s.high)}", direction, amount(effects.spread))
    yield grid
    yield from _more(len(found.screening))


def _group_name(found: Sensitivity, name: str) -> str:
    return ", ".join(input_name(found.scenario, part) for part in name.split(", "))


def _shares(found: Sensitivity) -> Iterator[RenderableType]:
    if found.variance is None:
        return
    yield heading("Where the uncertainty comes from (Sobol' indices)")
    what = "whether it is hit" if found.outcome.kind == "odds" else found.outcome.label
    yield indented(f"Share of the variance of {what}: alone, and together with the others.")
    grid = Grid(("group", "alone", "95 % interval", "in all", "95 % interval"))
    if not found.variance:
        yield indented("Nothing that is uncertain changes it.")
        return
    for group, share in found.shares[:SHOWN_GROUPS]:
        fields = [text for e in (share.first, share.total) for text in (percent(e.estimate), _interval(e))]
        grid.add(_group_name(found, group.name), *fields)
    yield grid
    yield from _more(len(found.shares))


def _more(count: int) -> Iterator[RenderableType]:
    if count > SHOWN_GROUPS:
        yield indented(f"{count - SHOWN_GROUPS:,} more groups bring less.", "dim")


def _interval(estimate: Estimate) -> str:
    return f"{percent(estimate.low)} … {percent(estimate.high)}"


def _break_even(found: Sensitivity, item: BreakEven) -> Iterator[RenderableType]:
    yield heading(f"Break-even: {input_name(found.scenario, item.path)}, now {amount(item.now)}")
    yield indented(f"searched from {amount(item.low)} to {amount(item.high)}  ({item.path})", "dim")
    parts: tuple[tuple[str, Crossing | None, Crossing | None], ...] = (
        ("The plan becomes another one", item.kind_below, item.kind_above),
        ("A target moves by more than a step", item.targets_below, item.targets_above),
    )
    for what, below, above in parts:
        for word, crossing in (("falls below", below), ("rises above", above)):
            if crossing is not None and not (crossing.is_forbidden and what is parts[1][0]):
                yield from _crossing(item, what, word, crossing)
        if below is None and above is None:
            yield indented(f"{what}: nowhere in this range.")


def _crossing(item: BreakEven, what: str, word: str, crossing: Crossing) -> Iterator[RenderableType]:
    value = f"{crossing.value:,.12g}"
    if crossing.is_forbidden:
        yield indented(f"The plan stays as long as the file allows it: not when it {word} {value}.")
    elif crossing.inside == item.now:
        yield indented(f"{what} as soon as it {word} its present value:")
    else:
        yield indented(f"{what} when it {word} {value}:")
    if not crossing.confirmed and not crossing.is_forbidden:
        yield indented("Solving both sides from scratch does not confirm it.", "yellow", 4)
    for text in crossing.changes[:SHOWN_CHANGES]:
        yield indented(text.replace("->", "→"), indent=4)
    if len(crossing.changes) > SHOWN_CHANGES:
        yield indented(f"… and {len(crossing.changes) - SHOWN_CHANGES:,} more", indent=4)


def _alternatives(found: Sensitivity, item: Alternatives) -> Iterator[RenderableType]:
    yield heading(f"Nearly as good plans: every step may give up {percent(item.slack)} of its value")
    moving = [r for r in item.ranges if r.share > NOTICEABLE]
    if not moving:
        yield indented("No target could be any different.")
        return
    yield indented(f"{len(moving):,} of {len(item.ranges):,} targets and initiatives could move; those with most room:")
    grid = Grid(("what", "now", "least", "most", "room"))
    for r in moving[:SHOWN_RANGES]:
        grid.add(r.name, amount(r.now), amount(r.low), amount(r.high), percent(r.share))
    yield grid
    yield indented(
        f"A plan as different as could be found; its decisions differ by {percent(item.distance)} on average:"
    )
    yield _different(found, item)


def _different(found: Sensitivity, item: Alternatives) -> Grid:
    graph, plan, other = found.planned.graph, found.planned.plan, item.different
    rows = [(graph.node_name(n), float(plan.target[n]), float(other.target[n])) for n in plan.nodes.tolist()]
    levels = zip(graph.level_node.tolist(), plan.levels.tolist(), other.levels.tolist(), strict=True)
    rows += [(graph.node_name(n), a, b) for n, a, b in levels]
    moved = [row for row in rows if row[1] != row[2]]
    moved.sort(key=lambda row: -abs(row[2] - row[1]) / max(abs(row[1]), 1.0))
    grid = Grid(("what", "now", "then", "change"))
    for name, a, b in moved[:SHOWN_MOVES]:
        grid.add(name, amount(a), amount(b), change(b - a))
    return grid


def _information(found: Sensitivity) -> Iterator[RenderableType]:
    if not found.information:
        return
    outcome = found.outcome
    yield heading("What knowing it before planning would be worth")
    yield indented(f"Gain in {_unit(outcome)}, better is +; the plan is made anew where that serves this outcome.")
    grid = Grid(("input", "worth", "95 % interval", "always re-planned"))
    for item in found.information:
        name = LEARNT.get(item.name) or input_name(found.scenario, item.name)
        w = item.worth
        ends = f"{change_text(outcome, w.low)} … {change_text(outcome, w.high)}"
        grid.add(name, change_text(outcome, w.estimate), ends, change_text(outcome, item.replanning.estimate))
    yield grid
