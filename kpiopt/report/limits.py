"""What holds the plan back and what it runs, in words: limits and what more of each is worth; chosen initiatives."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from kpiopt.graph import straight
from kpiopt.graph.initiative_use import runs_at, use_of_levels
from kpiopt.plan.limit_names import limit_words
from kpiopt.program.order.prices import LimitResult
from kpiopt.program.trust.tolerances import USED_UP
from kpiopt.report.numbers import amount, change, decimals_of_step, percent, round_amount, target_step
from kpiopt.run.initiatives import contributions
from kpiopt.run.run import Run, limit_as_dict
from kpiopt.scenario.scenario import Floats, Kpi, Scenario
from kpiopt.simulation.odds import Estimate

Entries = Sequence[Mapping[str, Any]]
SHOWN_INITIATIVES = 8
SHOWN_ADDED = 3
LEAST_SHARE, LEAST_COST = 5e-6, 0.005
"""What is less than half a thousandth of a percentage point, or half a cent, is practically nothing."""
FIGURES = 12
POINTS = "percentage points"


@dataclass(frozen=True)
class PricedLimit:
    """A limit with a shadow price, in a planner's words.

    Attributes
    ----------
    name : str
        "hours of Team North".
    limit : str
        What it is now, with its unit.
    more : str
        The addition that is priced, "+1" or "+1,000".
    worth : str
        What the addition would do: "210 USD less cost".
    holds : str
        The range of the limit in which that is so.
    """

    name: str
    limit: str
    more: str
    worth: str
    holds: str


def priced_limits(run: Run) -> list[PricedLimit]:
    """Return the limits of which more is worth something, those of earlier steps first, then the most valuable."""
    priced = [limit for limit in run.limits if _more_is_worth(limit)]
    order = {step.label: i for i, step in enumerate(run.solution.steps)}
    value = {limit.name: float(f"{(limit.shadow_price or 0.0) * abs(limit.limit):.6g}") for limit in priced}
    priced.sort(key=lambda x: (order.get(x.step or "", len(order)), -value[x.name], x.name))
    return [_in_words(run, limit) for limit in priced]


def used_up(run: Run) -> list[str]:
    """Return the names of limits that are used up while more of them is known to be worth nothing."""
    idle = [x for x in run.limits if x.binding and not _more_is_worth(x)]
    idle = [x for x in idle if not _has_no_price(x)]
    return [limit_words(run.scenario, x.name) for x in idle if x.next_more is None and x.price_more is not None]


def without_price(run: Run) -> list[str]:
    """Return the names of limits that bind and whose price is not computed: rules, and further whole numbers."""
    return [limit_words(run.scenario, x.name) for x in run.limits if x.binding and _has_no_price(x)]


def _has_no_price(limit: LimitResult) -> bool:
    """Whether what more would bring is not known, also not that it is nothing."""
    return limit.price_more is None and not limit.shadow_price and limit.next_more is None


def next_steps(run: Run) -> list[str]:
    """Return sentences on limits that whole numbers use up: what the next step down and up would bring."""
    values = {step.label: step.value for step in run.solution.steps}
    limits = [limit_as_dict(limit) for limit in run.limits]
    return list(next_sentences(run.scenario, _goal_entries(run), limits, values))


def next_sentences(
    scenario: Scenario, goals: Entries, limits: Entries, values: Mapping[str, float] | None = None
) -> Iterator[str]:
    """Say of limits that whole numbers use up what the next step down and up would bring.

    Parameters
    ----------
    goals, limits : sequence of mapping
        As the answer of a run has them.
    values : mapping of str to float, or None
        Value of each step, to say what a change of it is beside.
    """
    for entry in limits:
        for side, is_more in (("next_less", False), ("next_more", True)):
            step = entry.get(side)
            if step is not None:
                yield _next_sentence(scenario, goals, entry, step, values or {}, is_more=is_more)


def _next_sentence(
    scenario: Scenario,
    goals: Entries,
    entry: Mapping[str, Any],
    step: Mapping[str, Any],
    values: Mapping[str, float],
    *,
    is_more: bool,
) -> str:
    start = entry["limit"] if step.get("start") is None else step["start"]
    has_room = abs(start - entry["limit"]) > USED_UP * max(1.0, abs(start))
    if step.get("at_once"):
        opening = _below(scenario, entry["name"], start) if has_room else _moved(scenario, entry, None, is_more=is_more)
    else:
        opening = _moved(scenario, entry, step["limit"], is_more=is_more)
        if has_room:
            until = f"{'Up' if is_more else 'Down'} to {amount(start)}"
            opening = f"{until} nothing gets {'better' if is_more else 'worse'}; {opening[0].lower()}{opening[1:]}"
    if not step["has_plan"]:
        return f"{opening}, there would be no plan."
    if step["step"] is None:
        way, further = ("better", "more") if is_more else ("worse", "less")
        return f"{opening}, nothing would get {way}; {further} than that was not tried."
    effect = effect_words(scenario, goals, step["step"], step["change"])
    if step["step"] in values and effect.endswith((f"{POINTS} lower", f"{POINTS} higher")):
        effect += f" than the {percent(values[step['step']], 2)} of the plan"
    levels = ", at other levels of initiatives" if step.get("other_levels", True) else ""
    return f"{opening}, {effect}{levels}."


def _moved(scenario: Scenario, entry: Mapping[str, Any], limit: float | None, *, is_more: bool) -> str:
    """Say to what a limit is moved: "With 400 less of the cash budget (3,600)"; without a limit, however little."""
    name, way = limit_words(scenario, entry["name"]), "more" if is_more else "less"
    size = "any" if limit is None else amount(float(f"{abs(limit - entry['limit']):.{FIGURES}g}"))
    told = f"below {amount(entry['limit'])}" if limit is None else amount(limit)
    if name.startswith("rule "):
        return f"With the limit of {name} {size} {'higher' if is_more else 'lower'} ({told})"
    return f"With {size} {way} of the {name} ({told})"


def _below(scenario: Scenario, name: str, limit: float) -> str:
    words = limit_words(scenario, name)
    return f"With {words if words.startswith('rule ') else f'the {words}'} below {amount(limit)}"


def _more_is_worth(limit: LimitResult) -> bool:
    return bool(limit.binding and limit.shadow_price and limit.price_more != 0.0)


def prices_of_less(run: Run) -> list[str]:
    """Return a sentence for each limit of which less would cost something else than more would bring."""
    return [_less_in_words(run, limit) for limit in run.limits if limit.binding and _has_two_prices(limit)]


def _has_two_prices(limit: LimitResult) -> bool:
    if not limit.price_less or (math.isinf(limit.price_less) and (limit.next_less is not None or not limit.limit)):
        return False
    return limit.step_less != limit.step_more or not math.isclose(limit.price_less, limit.price_more or 0.0)


def _less_in_words(run: Run, limit: LimitResult) -> str:
    return less_sentence(run.scenario, _goal_entries(run), limit_as_dict(limit))


def more_sentence(scenario: Scenario, goals: Entries, entry: Mapping[str, Any]) -> str:
    """Say what more of a limit would do, by its price and no further than that holds."""
    move = step_of(entry["limit"], entry["to"] if entry["shadow_price_more"] else None)
    gain = -move * (entry["shadow_price_more"] or 0.0)
    opening = _moved(scenario, entry, entry["limit"] + move, is_more=True)
    return f"{opening}, {effect_words(scenario, goals, entry['step_more'] or entry['step'], gain)}."


def less_sentence(scenario: Scenario, goals: Entries, entry: Mapping[str, Any]) -> str:
    """Say what less of a limit would do, by its price and no further than that holds."""
    if entry["no_plan_with_less"]:
        return f"{_moved(scenario, entry, None, is_more=False)}, there would be no plan."
    move = step_of(entry["limit"], entry.get("from_less"))
    loss = move * (entry["shadow_price_less"] or 0.0)
    opening = _moved(scenario, entry, entry["limit"] - move, is_more=False)
    return f"{opening}, {effect_words(scenario, goals, entry['step_less'], loss)}."


def step_of(limit: float, end: float | None) -> float:
    """Return the move that is told of a limit: a power of ten that goes no further than where its price ends."""
    move = round_amount(abs(limit))
    room = move if end is None else abs(end - limit)
    return move if room >= move or not room else 10.0 ** math.floor(math.log10(room) + USED_UP)


def kept_words(scenario: Scenario) -> str:
    """Say which whole numbers prices take as they are; "" where there are none."""
    kept = ["the whole-number levels of initiatives"] * any(
        i.whole or i.is_switched for i in scenario.initiatives.values()
    )
    kept += ["the goals that are met"] * ("met" in scenario.decide.order)
    kept += ["the choice of KPIs"] * (scenario.chosen is not None)
    return f"with {' and '.join(kept)} as they are" if kept else ""


def limit_unit(scenario: Scenario, limit: LimitResult) -> str:
    """Return what a limit is counted in: the currency for pay, else the resource."""
    return (scenario.currency or "units") if limit.resource == "pay" else limit.resource


def _in_words(run: Run, limit: LimitResult) -> PricedLimit:
    more = round_amount(abs(limit.limit))
    return PricedLimit(
        limit_words(run.scenario, limit.name),
        amount(limit.limit, limit_unit(run.scenario, limit)),
        change(more),
        worth_words(run.scenario, _goal_entries(run), limit.step, more * (limit.shadow_price or 0.0), "less"),
        f"{_side(limit.lower)} to {_side(limit.upper)}",
    )


def worth_words(scenario: Scenario, goals: Entries, step: str | None, gain: float, verb: str) -> str:
    """Say by how much a step becomes better ("less") or worse ("more"): in the unit of the one goal it is about.

    Parameters
    ----------
    goals : sequence of mapping
        As the answer of a run has them.
    verb : str
        "less" or "more" of what the step minimizes.
    """
    if not gain or not step:
        return "nothing"
    if step == "cost":
        return f"{amount(gain, scenario.currency)} {verb} cost"
    found = _effect(scenario, goals, step, gain, is_better=verb == "less")
    return f"{found.subject} {found.predicate}"


def effect_words(scenario: Scenario, goals: Entries, step: str | None, change: float) -> str:
    """Say what a change of a step's value, below 0 for the better, would be, as the end of a sentence.

    What is less than the digits in which planners read that value is practically nothing.
    """
    if not step or not change:
        return "nothing would change"
    found = _effect(scenario, goals, step, abs(change), is_better=change < 0.0)
    if found.size < found.shown:
        done = "gained" if change < 0.0 else "lost"
        return f"practically nothing would be {done}: {found.article}{found.subject} would differ by less than is shown"
    return f"{found.article}{found.subject} would be {found.predicate}"


class _Effect(NamedTuple):
    """What becomes better or worse, by how much in words and figures, and the least that is shown of it."""

    article: str
    subject: str
    predicate: str
    size: float
    shown: float


def _effect(scenario: Scenario, goals: Entries, step: str, gain: float, *, is_better: bool) -> _Effect:
    way, opposite = ("lower", "higher") if is_better else ("higher", "lower")
    if step == "cost":
        return _Effect("the ", "cost", f"{amount(gain, scenario.currency)} {way}", gain, LEAST_COST)
    if step == "maximize":
        return _Effect("the ", "weighted goal value", f"{amount(gain)} {opposite}", gain, LEAST_SHARE)
    kind, _, number = step.partition(" ")
    if kind == "met":
        return _Effect("the ", "weighted number of missed goals", f"{amount(gain)} {way}", gain, LEAST_SHARE)
    about = [g for g in goals if step in ("goals", f"goals {scenario.goals[g['goal']].priority}")]
    about = [g for g in about if not (g["met"] if is_better else g["hard"])]
    if len(about) == 1:
        kpi, goal = scenario.kpis[about[0]["kpi"]], scenario.goals[about[0]["goal"]]
        moved, side = gain * _scale(about[0]) / goal.weight, "closer to" if is_better else "further from"
        return _Effect("", kpi.name, f"{amount(moved, kpi.unit)} {side} its target", moved, _shown(about[0], kpi))
    subject = _lack_of(step)
    if kind == "fairness":
        which = "largest stretches" if number in ("", "1") else f"{number} largest stretches together"
        subject = f"average of the peer groups' {which}"
    return _Effect("" if subject.startswith("what ") else "the ", subject, f"{_points(gain)} {way}", gain, LEAST_SHARE)


def _shown(goal: Mapping[str, Any], kpi: Kpi) -> float:
    """Return half of the last digit in which a goal's value is shown: about the fourth, or as the KPI's step says."""
    digits = math.floor(math.log10(abs(goal["target"]) or abs(goal["baseline"]) or 1.0)) - 3
    return 0.5 * 10.0 ** (digits if kpi.step is None else min(digits, -decimals_of_step(kpi.step)))


def _goal_entries(run: Run) -> Entries:
    return [
        {"goal": g.goal.id, "kpi": g.goal.kpi, "met": g.met, "hard": g.goal.hard, "target": g.target,
         "baseline": g.baseline}
        for g in run.goals
    ]  # fmt: skip


def _lack_of(step: str) -> str:
    """Return what a step is about that brings goals closer: "goals 2" are the goals of priority 2."""
    kind, _, priority = step.partition(" ")
    if kind == "goals":
        return f"shortfall of the goals of priority {priority}" if priority else "shortfall of the goals"
    words = {"cvar": "weighted shortfall in the worst draws", "promise": "what all goals lack of their promised odds"}
    return words.get(kind, "what all goals lack of their best odds")


def _points(share: float) -> str:
    points = 100 * share
    return f"{points:.2g} {POINTS}" if 1e-4 <= points < 1.0 else f"{amount(points)} {POINTS}"


def _scale(goal: Mapping[str, Any]) -> float:
    """What a goal's shortfall is measured by: its distance from the baseline, else its size, else 1."""
    return abs(goal["target"] - goal["baseline"]) or abs(goal["target"]) or 1.0


def _side(value: float | None) -> str:
    return amount(value) if value is not None and math.isfinite(value) else "any"


def _locked_stretch(run: Run, cell: int) -> float:
    """Return the stretch of a locked cell: of a total that of all below it."""
    totals = run.scenario.totals
    at = np.flatnonzero(totals.is_locked & (totals.cell == cell))
    return float(totals.low[at[0]] if len(at) else run.plan.whole_stretch[cell])


def locked_text(run: Run, cell: int, kpi: Kpi) -> str:
    """Return the target of a locked cell; where its stretch is locked and causes add to it, both of these too."""
    target = float(run.plan.target[run.graph.whole_node[cell]])
    text, cells = amount(target, kpi.unit, target_step(kpi, target)), run.scenario.horizon
    own = kpi.sign * _locked_stretch(run, cell)
    caused = target - float(cells.baseline[cell]) - own
    if not math.isnan(cells.fixed_target[cell]) or abs(caused) <= max(0.5 * (kpi.step or 0.0), 1e-9 * abs(target)):
        return text
    added = f"{change(caused, kpi.unit, kpi.step)} from what drives it"
    return f"a stretch of {change(own, kpi.unit, target_step(kpi, own))}; with {added} the target is {text}"


def initiative_lines(run: Run) -> Iterator[str]:
    """Say which initiatives are chosen, where and when, what they use and what they add to the first goals."""
    graph, scenario = run.graph, run.scenario
    initiatives = list(scenario.initiatives.values())
    levels = run.plan.levels
    chosen = np.flatnonzero(runs_at(graph, levels))
    if not initiatives:
        return
    if not len(chosen):
        yield "No initiative is chosen."
        return
    cost, pay = amount(run.spending.initiatives, scenario.currency), float(use_of_levels(graph, levels, "pay").sum())
    paid = f", and {amount(pay, scenario.currency)} that is counted in pay" if pay else ""
    yield f"Initiatives: {len(chosen):,} of {len(levels):,} are chosen, for {cost}{paid}."
    chosen = chosen[scenario.units.order_in_file(graph.level_unit[chosen])]
    chosen = chosen[np.argsort(graph.level_initiative[chosen], kind="stable")]
    goals = {g.id: graph.goal_node(g) for g in scenario.goals.values()}
    added = contributions(straight(graph, run.plan.stretch, levels), levels, goals)
    for i in chosen[:SHOWN_INITIATIVES].tolist():
        initiative, unit = initiatives[graph.level_initiative[i]], scenario.units.names[graph.level_unit[i]]
        uses = ", ".join(
            use_words(scenario, resource, float(use_of_levels(graph, levels, resource)[i]))
            for resource in initiative.resources
        )
        start = scenario.period_name(int(graph.level_start[i]))
        begun = "" if start is None else f", begun in {start}"
        level = f"{amount(float(levels[i]))} of {amount(initiative.maximum)}"
        yield f"  {initiative.name} at {unit}{begun}: {level} ({uses}){_added(scenario, added, i)}"
    if len(chosen) > SHOWN_INITIATIVES:
        yield f"  … and {len(chosen) - SHOWN_INITIATIVES:,} more"


def _added(scenario: Scenario, added: dict[str, Floats], row: int) -> str:
    """Say what an initiative is expected to change of the goals' values; of two goals on a KPI the same once."""
    parts: list[tuple[str, str, str]] = []
    for name, by in added.items():
        goal, kpi = scenario.goals[name], scenario.kpis[scenario.goals[name].kpi]
        moved, period = change(float(by[row]), kpi.unit), scenario.period_name(goal.period)
        if by[row] and (moved, kpi.id) not in [part[:2] for part in parts]:
            where = "" if goal.unit == 0 else f" of {scenario.units.names[goal.unit]}"
            parts.append((moved, kpi.id, where if period is None else f"{where} in {period}"))
    told = [f"{moved} of {scenario.kpis[kpi].name}{place}" for moved, kpi, place in parts]
    more = f" and {len(told) - SHOWN_ADDED} more" if len(told) > SHOWN_ADDED else ""
    return f": {', '.join(told[:SHOWN_ADDED])}{more}" if told else ""


def use_words(scenario: Scenario, resource: str, used: float) -> str:
    """Say how much of a resource is used; of pay, and of a budget that is money, in the currency."""
    is_money = any(budget.resource == resource and budget.money for budget in scenario.budgets.values())
    is_money |= resource == "pay" and bool(scenario.currency)
    return f"{amount(used, scenario.currency)} of {resource}" if is_money else amount(used, resource)


def period_budget_lines(run: Run) -> Iterator[str]:
    """Say of each pay budget that holds in every period where most of it is used at plan."""
    currency = run.scenario.currency
    for held in run.scenario.budgets.values():
        rows = [row for row in run.limits if row.name.startswith(f"budget.{held.id}/")]
        if held.resource == "pay" and held.by_period and rows:
            most = max(rows, key=lambda row: row.used)
            yield (
                f"Budget {held.id} in every period: {amount(held.limit, currency)}, of which at most "
                f"{amount(most.used, currency)} is used at plan, in {most.period}."
            )


def over_budget_lines(scenario: Scenario, over: Mapping[str, Estimate]) -> Iterator[str]:
    """Say the odds that draws cost more than each pay budget; where it holds in every period, of each."""
    for budget in scenario.budgets.values():
        if budget.id not in over:
            continue
        text = f"Probability of paying more than budget {budget.id}"
        if not budget.by_period:
            yield f"{text}: {over[budget.id].text}."
            continue
        names = [scenario.period_name(t) for t in range(scenario.n_periods)]
        each = "; ".join(f"{name} {over[f'{budget.id}/{name}'].text}" for name in names)
        yield f"{text} in some period: {over[budget.id].text} ({each})."
