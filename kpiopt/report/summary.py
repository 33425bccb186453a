"""The answer on a terminal: is the plan possible, what is asked of whom, what holds it back, what it costs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Group
from rich.text import Text

from kpiopt.plan.limit_names import stopped_words
from kpiopt.report.asks.sentences import beside_sentences
from kpiopt.report.goal_names import goal_kpi, target_words, targets_by_period
from kpiopt.report.grid import FirstThatFits, Grid, Sentence, heading, indented, narrower
from kpiopt.report.limits import (
    initiative_lines,
    kept_words,
    locked_text,
    next_steps,
    over_budget_lines,
    period_budget_lines,
    priced_limits,
    prices_of_less,
    used_up,
    without_price,
)
from kpiopt.report.numbers import (
    amount,
    certain_words,
    change,
    change_of_target,
    goal_amounts,
    lock_words,
    odds_of_all,
    share_of_baseline,
    target_step,
    with_unit,
)
from kpiopt.report.outlook import curve_sentences
from kpiopt.report.promised.sentences import missed_promises, promise_sentences, repair_sentences, required_words
from kpiopt.report.rule import beside_lines
from kpiopt.run.run import GoalResult, Run, unassigned_of
from kpiopt.scenario.scenario import Integers, Kpi
from kpiopt.simulation.certainty import certain_inputs, count_inputs
from kpiopt.simulation.hits import fall_short

if TYPE_CHECKING:
    from rich.console import RenderableType

LARGEST_ASKS = 5
SHOWN_UNITS = 8
SHOWN_KPIS = 3
SHOWN_PRICES = 6
SHOWN_LOCKS = 8
SHOWN_INPUTS = 4
LIKELY = 0.8
"""Odds of all goals from which on a headline is green."""


TOLD_HERE = frozenset({"W-rounding-total", "W-unassigned"})
"""Findings that the summary says in its own words, with the amounts that this plan has."""


def render_summary(run: Run, folder: Path | None = None) -> Group:
    """Lay out a run for a reader who knows the business and not the tool.

    Parameters
    ----------
    folder : Path, optional
        The run folder, named at the end with the commands that go on from there.

    Returns
    -------
    Group
        Renderable with rich, for any width.
    """
    parts = [*_verdict(run), *_goals(run), *_asks(run), *_limits(run), *_money(run)]
    return Group(*parts, *(_next_steps(folder) if folder else ()))


def _verdict(run: Run) -> Iterator[RenderableType]:
    """Possible? certified? in one look."""
    short = [g for g in run.goals if not g.met]
    if not run.goals:
        verdict, style = "the plan is possible; the scenario names no goals", "bold"
    elif not short:
        verdict, style = (
            f"the plan is possible, and {_met_words(run)}",
            "bold green" if _is_likely(run) else "bold yellow",
        )
    else:
        verb, n = "falls" if len(short) == 1 else "fall", len(run.goals)
        fall = f"{len(short)} of {n} goals {verb}" if n > 1 else "its goal falls"
        verdict = f"the plan is possible, but {fall} short{_together_words(run)}"
        style = "bold yellow"
    yield Sentence(f"{run.scenario.name}{_variant(run)}: {verdict}{missed_promises(run)}.", style)
    yield from (indented(text, "" if is_well else "yellow") for text, is_well in promise_sentences(run))
    yield from (indented(text) for text in (*repair_sentences(run), *_weakest_goal(run)))
    residual = max(step.certificate.primal_residual for step in run.solution.steps)
    gap = max(step.certificate.relative_gap for step in run.solution.steps)
    yield indented(
        f"Certified: every step was checked without the solver (residual {_tiny(residual)}, gap {_tiny(gap)}).",
        "dim",
    )
    yield from (indented(f"Not complete: {part.text}.", "yellow") for part in run.not_done)


def _met_words(run: Run) -> str:
    """Say what is met, the worst truth first: on average, and how likely all of it is."""
    count = len(run.goals)
    subject = "the goal is" if count == 1 else "both goals are" if count == 2 else f"all {count} goals are"
    met = "met on average" if fall_short(run.graph, run.plan.expected)[1].all() else "met"
    if run.simulation is None:
        return f"{subject} {met} (odds were not estimated)"
    together = run.simulation.all_goals if count > 1 else run.simulation.goals[0].odds
    if together is None:
        return f"{subject} {met}"
    return f"{subject} {met}; {odds_of_all(count, together)}"


def _together_words(run: Run) -> str:
    together = run.simulation.all_goals if run.simulation else None
    return f"; {odds_of_all(len(run.goals), together)}" if together and len(run.goals) > 1 else ""


def _is_likely(run: Run) -> bool:
    """Whether the goals together are as good as a plan may be called green for."""
    together = run.simulation.all_goals if run.simulation else None
    return together is not None and together.estimate >= LIKELY


def _weakest_goal(run: Run) -> Iterator[str]:
    """Say which goal is missed most often: what would raise the odds begins there."""
    if run.simulation is None or run.promises or not _is_unlikely(run):
        return
    drawn = zip(run.goals, run.simulation.goals, strict=True)
    weakest, found = min(drawn, key=lambda pair: pair[1].odds.estimate)
    odds = "never reached" if found.odds.is_certain else f"odds {found.odds.text}"
    why = "A plan that meets goals on average keeps no margin; a" if all(goal.met for goal in run.goals) else "A"
    more = ", or more of what holds the plan back," if any(limit.binding for limit in run.limits) else ""
    yield f"Missed most often: {_goal_name(run, weakest)}, {odds}. {why} lower target{more} would raise the odds."


def _is_unlikely(run: Run) -> bool:
    """Whether the goals are more likely missed than hit, all together."""
    together = run.simulation.all_goals if run.simulation else None
    return together is not None and together.estimate < 0.5


def _tiny(value: float) -> str:
    return f"{value:.0e}" if value > 1e-99 else "0"


def _variant(run: Run) -> str:
    return f" (variant {run.scenario.variant})" if run.scenario.variant else ""


def _goals(run: Run) -> Iterator[RenderableType]:
    """Baseline, target, plan, odds of each goal."""
    if not run.goals:
        return
    yield heading("Goals")
    odds = "odds in %\n(95 % interval)"
    columns = ("goal", "baseline", "target", "plan", "short by", odds, "required")
    shown = columns if any(goal.goal.p_min is not None for goal in run.goals) else columns[:-1]
    grid = Grid(shown)
    for i, goal in enumerate(run.goals):
        grid.add(*_goal_fields(run, goal, i)[: len(shown)])
    yield narrower(grid, "baseline", "required")  # targets.csv has the baselines, the headline what is promised
    yield from (indented(text) for text in (*_certain_sentences(run), *_asked_sentences(run)))
    if run.simulation and run.simulation.all_goals and len(run.goals) > 1:
        yield indented(f"All goals together: {run.simulation.all_goals.text}.")
    yield from map(indented, (*curve_sentences(run.simulation, run.plan.expected), *beside_lines(run)))


def _certain_sentences(run: Run) -> Iterator[str]:
    """Say which odds are no odds, and which inputs were taken as certain."""
    if run.simulation is None:
        return
    for result, found in zip(run.goals, run.simulation.goals, strict=True):
        if found.odds.is_certain:
            yield f"{_goal_name(run, result)}: {certain_words(found.odds)}."
        elif found.rare:
            what = "missed" if found.rare.outcome == "miss" else "hit"
            yield f"{_goal_name(run, result)} is {what} with odds of {found.rare.odds.text}, sampled apart."
    inputs, n_inputs = certain_inputs(run.scenario), count_inputs(run.scenario)
    if inputs:
        all_of_them = len(inputs) == n_inputs
        named = ", ".join(inputs[:SHOWN_INPUTS]) + (" …" if len(inputs) > SHOWN_INPUTS else "")
        share = f"all {n_inputs}" if all_of_them else f"{len(inputs)} of {n_inputs}"
        yield f"Taken as certain, {share} inputs: {named}."


def _goal_fields(run: Run, result: GoalResult, i: int) -> list[str | Text]:
    kpi, goal = run.scenario.kpis[result.goal.kpi], result.goal
    name = with_unit(_goal_name(run, result), kpi)
    target, plan, missing, baseline = goal_amounts(kpi, result.target, result.plan, result.baseline)
    if goal.p_min is not None:
        missing = amount(result.shortfall, "", kpi.step)
    short = Text("met", style="green") if result.met else Text(missing, style="yellow")
    odds = run.simulation.goals[i].odds if run.simulation else None
    required = "" if goal.p_min is None else required_words(run, goal.id, goal.p_min)
    return [name, baseline, target, plan, short, odds.text.replace(" %", "") if odds else "", required]


def _goal_name(run: Run, result: GoalResult) -> str:
    name, period = goal_kpi(run.scenario, result.goal.id), run.scenario.period_name(result.goal.period)
    name = name if result.goal.unit == 0 else f"{name} of {run.scenario.units.names[result.goal.unit]}"
    return name if period is None else f"{name} in {period}"


def _kpi_name(kpi: Kpi) -> str:
    """Return a KPI's name with its unit of measure, unless that says the same."""
    return with_unit(kpi.name, kpi)


def _asked_sentences(run: Run) -> Iterator[str]:
    """Say where more is asked than expected, because not all that is planned gets done."""
    for result in run.goals:
        kpi = run.scenario.kpis[result.goal.kpi]
        more = kpi.sign * (result.asked - result.plan)
        if more > 1e-6 * max(1.0, abs(result.plan)):
            asked, plan = amount(result.asked, kpi.unit, kpi.step), amount(result.plan, kpi.unit, kpi.step)
            target = target_words(run, result)
            yield f"{_goal_name(run, result)}: {asked} are asked so that {plan} can be expected{target}."


def _asks(run: Run) -> Iterator[RenderableType]:
    """Who is asked what: the units below the root, and the largest relative stretches."""
    cells = run.scenario.horizon
    yield heading("Who is asked what")
    shown = _targeted_kpis(run)[:SHOWN_KPIS]
    if shown and len(run.scenario.units) > 1:
        yield _unit_table(run, shown)
        left = len(_targeted_kpis(run)) - len(shown)
        if left > 0:
            yield indented(
                f"{len(shown)} of {len(shown) + left} KPIs are shown, those of the goals first; all are in targets.csv."
            )
    if shown and run.scenario.periods is not None:
        yield targets_by_period(run, [(_kpi_name(kpi), kpi) for kpi in shown])
    asked = np.flatnonzero(run.plan.whole_stretch > 0)
    decided = int(cells.has_decision.sum())
    largest = "; the largest, relative to baseline:" if len(asked) else "."
    yield indented(
        f"{len(asked):,} of {decided:,} targets that can be stretched are{largest}"
        if decided
        else "Nothing can be stretched."
    )
    if len(asked):
        yield _ask_table(run, asked)
    yield from map(indented, [*_lock_lines(run), *_unassigned_lines(run), *_rounding_lines(run)])
    yield from map(indented, beside_sentences(run.beside_as_dict(), run.scenario))
    open_targets = _open_targets(run)
    if open_targets:
        steps = ", ".join(step.label for step in run.solution.steps[:-1])
        yield indented(
            f"The steps {steps} leave {open_targets:,} of them open; the plan closest to the reference was taken."
        )


def _lock_lines(run: Run) -> Iterator[str]:
    """Say what a person fixed, why, and who answers for it."""
    scenario, cells, kpis = run.scenario, run.scenario.horizon, list(run.scenario.kpis.values())
    locked = np.flatnonzero(cells.is_locked)
    locked = locked[scenario.units.order_in_file(cells.unit[locked])]
    for cell in locked[:SHOWN_LOCKS].tolist():
        kpi = kpis[cells.kpi[cell]]
        target = locked_text(run, cell, kpi)
        said = lock_words(cells.lock_reason.get(cell), cells.lock_owner.get(cell))
        yield f"Locked: {kpi.name} of {scenario.units.names[cells.unit[cell]]} at {target}{said}."
    if len(locked) > SHOWN_LOCKS:
        yield f"… and {len(locked) - SHOWN_LOCKS:,} more locks; targets.csv gives the reasons."


def _unassigned_lines(run: Run) -> Iterator[str]:
    """Say what is expected of a unit that is nobody's below it: of targets that add up what they leave."""
    units, beside = run.scenario.units, run.plan.unassigned_target
    found = [row for row in unassigned_of(run) if row.get("period") is None]
    for row in found[:SHOWN_LOCKS]:
        kpi, where = run.scenario.kpis[row["kpi"]], units.names[units.position[row["unit"]]]
        left = float(beside[run.graph.find_node(kpi.id, units.position[row["unit"]])])
        much = change(left if left and np.isfinite(left) else row["amount"], kpi.unit, kpi.step)
        yield f"Nobody's: {much} of {kpi.name} at {where} stands in no target below it."
    if len(found) > SHOWN_LOCKS:
        yield f"… and {len(found) - SHOWN_LOCKS:,} more; see the column unassigned of targets.csv."


def _rounding_lines(run: Run) -> Iterator[str]:
    """Say which rounded totals are not the nearest, because limits of their parts forbid it."""
    told = [note.message for note in run.plan.notes if note.code in TOLD_HERE]
    yield from (f"{message[0].upper()}{message[1:]}." for message in told[:SHOWN_LOCKS])
    if len(told) > SHOWN_LOCKS:
        yield f"… and {len(told) - SHOWN_LOCKS:,} more totals; run.json has them all."


def _targeted_kpis(run: Run) -> list[Kpi]:
    """Return the KPIs of the goals first, then others that have targets."""
    with_cells = (run.scenario.kpi_ids[k] for k in np.unique(run.scenario.horizon.kpi).tolist())
    shown = dict.fromkeys([*(g.goal.kpi for g in run.goals), *with_cells])
    return [run.scenario.kpis[kpi] for kpi in shown]


def _unit_table(run: Run, kpis: list[Kpi]) -> Grid:
    """Targets of the root and of the units right below it, in the order of the file."""
    units = run.scenario.units
    children = np.flatnonzero(units.parent == 0)
    below = children[units.order_in_file(children)].tolist()
    grid = Grid(("unit", *(_kpi_name(kpi).replace(", ", ",\n") for kpi in kpis)))
    for unit in [0, *below[:SHOWN_UNITS]]:
        indent = "  " if unit else ""
        grid.add(indent + units.names[unit], *(_target_text(run, unit, kpi) for kpi in kpis))
    if len(below) > SHOWN_UNITS:
        grid.add(f"  … and {len(below) - SHOWN_UNITS:,} more", *("" for _ in kpis))
    return grid


def _target_text(run: Run, unit: int, kpi: Kpi) -> str:
    node = run.graph.find_node(kpi.id, unit)
    if node < 0:
        return ""
    baseline, target = float(run.graph.baseline[node]), float(run.plan.target[node])
    step = target_step(kpi, target)
    return f"{amount(target, '', step)} ({change_of_target(target, baseline, kpi.unit, step)})"


def _ask_table(run: Run, asked: Integers) -> FirstThatFits:
    """The cells with the largest stretch relative to their baseline."""
    scenario, cells, plan = run.scenario, run.scenario.horizon, run.plan
    size, stretch = run.graph.stretch_scale[:: scenario.n_periods], plan.whole_stretch
    share = stretch / np.where(size > 0, size, 1.0)
    stopped = plan.binding if scenario.periods is None else plan.whole_binding
    asked = asked[scenario.units.order_in_file(cells.unit[asked])]
    largest = asked[np.argsort(-np.round(share[asked], 6), kind="stable")[:LARGEST_ASKS]]
    grid = Grid(("unit", "KPI", "stopped by", "baseline", "target", "stretch"), left=3)
    kpis = list(scenario.kpis.values())
    for cell in largest.tolist():
        kpi, target = kpis[cells.kpi[cell]], float(plan.target[run.graph.whole_node[cell]])
        step = target_step(kpi, target)
        moved = change(kpi.sign * stretch[cell], "%" if kpi.unit.strip() == "%" else "", step)
        grid.add(
            scenario.units.names[cells.unit[cell]],
            kpi.name,
            stopped_words(scenario, str(stopped[cell])),
            amount(float(cells.baseline[cell]), "", step),
            amount(target, kpi.unit, step),
            f"{moved} ({share_of_baseline(cells.baseline[cell], share[cell])})",
        )
    grid = grid if any(stopped[largest]) else grid.without("stopped by")
    return narrower(grid, "baseline", "target")  # targets.csv has both


def _open_targets(run: Run) -> int:
    """Count the stretches that the steps before the reference did not fix."""
    block = run.cascade.columns.stretch
    return int(np.count_nonzero(run.solution.free[block.positions]))


def _beside_peers(run: Run) -> str:
    """Say that a plan may be held back by what peers do."""
    rows = {row.name for row in run.cascade.program.rows if len(row)}
    said = {"band": "[fairness] band", "peers": "least and most of guardrails"}
    held = [text for name, text in said.items() if name in rows]
    return f"; what may hold it back is how far peers may differ ({', '.join(held)})" if held else ""


def _limits(run: Run) -> Iterator[RenderableType]:
    """What holds the plan back."""
    priced, others = priced_limits(run), used_up(run)
    sentences, rules = [*prices_of_less(run), *next_steps(run)], without_price(run)
    yield heading("What holds the plan back")
    if not (priced or others or sentences or rules):
        yield indented(f"No capacity and no budget is used up{_beside_peers(run)}.")
    if priced:
        grid = Grid(("limit, used up", "what more of it is worth", "more", "now", "holds from"), left=2)
        for limit in priced[:SHOWN_PRICES]:
            grid.add(limit.name, limit.worth, limit.more, limit.limit, limit.holds)
        yield grid
    if len(priced) > SHOWN_PRICES:
        yield indented(f"… and {len(priced) - SHOWN_PRICES:,} more in limits.csv")
    kept = kept_words(run.scenario)
    if priced and kept:
        yield indented(f"These prices hold {kept}.")
    if others:
        named = ", ".join(others[:SHOWN_PRICES]) + (" …" if len(others) > SHOWN_PRICES else "")
        yield indented(f"Used up too, but more would be worth nothing: {named}.")
    if rules:
        yield indented(_unpriced(run, ", ".join(rules[:SHOWN_PRICES]) + (" …" if len(rules) > SHOWN_PRICES else "")))
    for sentence in sentences[:SHOWN_PRICES]:
        yield indented(sentence)


def _unpriced(run: Run, named: str) -> str:
    if run.variants:
        return (
            f"Used up: {named}. What more of them would be worth is not told: what each variant could have for itself "
            "would move as well."
        )
    return f"Binding too, but without a price (equations, lower limits, ranges, and further whole numbers): {named}."


def _money(run: Run) -> Iterator[RenderableType]:
    """Pay and initiatives."""
    lines = [*_pay_lines(run), *initiative_lines(run)]
    if lines:
        yield heading("What it costs")
        yield from (indented(text) for text in lines)


def _pay_lines(run: Run) -> Iterator[str]:
    currency, spending = run.scenario.currency, run.spending
    pay = run.simulation.pay if run.simulation else None
    if not spending.pay and spending.pay_limit is None:
        return
    limit = "" if spending.pay_limit is None else f" of a budget of {amount(spending.pay_limit, currency)}"
    yield f"Pay at plan: {amount(spending.pay, currency)}{limit}."
    yield from period_budget_lines(run)
    if pay is None:
        return
    total = pay.total
    yield (
        f"Pay over the draws: {amount(total.mean.estimate, currency)} on average, "
        f"{amount(total.p5)} to {amount(total.p95, currency)} in 9 of 10; "
        f"{amount(pay.all_hit, currency)} when every target is hit exactly."
    )
    yield from over_budget_lines(run.scenario, pay.over)


def _next_steps(folder: Path) -> Iterator[RenderableType]:
    yield heading("Where it is")
    yield indented(f"{folder}: targets.csv, goals.csv, limits.csv, odds.csv, report.html, run.json …")
    yield indented(f"kpiopt runs show {folder}     this summary again", "dim")
    yield indented(f"kpiopt verify {folder}        check the certificate without the solver", "dim")
