"""What odds cost, as a planner reads it; all of it from the JSON form of the study, which is kept with the run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.text import Text

from kpiopt.report.grid import Grid, Sentence
from kpiopt.report.numbers import amount, change, percent
from kpiopt.scenario.scenario import Scenario

if TYPE_CHECKING:
    from rich.console import RenderableType

SHOWN = 6
STAGES = (
    ("fixed", "are lacking where all is decided now"),
    ("two_stages", "where the later part is decided when the draw is known"),
    ("known", "where all of it is"),
)
OFF = (("fixed_off", "where all is decided now"), ("two_stages_off", "where the later part waits"))
PRICE_COLUMNS = ("all goals", "promise", "cost", "step in cost", "largest stretch")


def render_risk(study: Mapping[str, Any], scenario: Scenario) -> Group:
    """Lay out what each odds of all goals cost, and what planning on draws is worth.

    Parameters
    ----------
    study : mapping
        As `RiskStudy.as_dict` gives it.
    """
    grid = Grid(PRICE_COLUMNS, left=2)
    for row in price_rows(study, scenario.currency):
        grid.add(*row)
    sentences = (*missed_sentences(study), *risk_sentences(study), *margin_sentences(study, scenario))
    lines: list[RenderableType] = [Sentence(text, "", 2) for text in sentences]
    return Group(Text("\nWhat odds cost", style="bold"), grid, *lines)


def price_rows(study: Mapping[str, Any], currency: str) -> Iterator[tuple[str, ...]]:
    """Yield a row for each of the odds: what they cost, how much more than the ones before, and the largest stretch."""
    before: float | None = None
    for price in study["prices"]:
        cost, kept = price["cost"], price["kept"]
        more = "" if before is None or not kept else change(cost - before, currency)
        stretch = percent(price["largest_stretch"], 2)
        promise = "kept" if kept else f"missed: {percent(price['planned'])}"
        yield percent(price["odds"], 0), promise, amount(cost, currency), more, stretch
        before = cost if kept else before


def missed_sentences(study: Mapping[str, Any]) -> Iterator[str]:
    """Say by how much the goals would have to give way where odds cannot be kept."""
    for price in study["prices"]:
        if not price["kept"]:
            yield (
                f"Odds of {percent(price['odds'], 0)} could be kept if every goal gave way by "
                f"{percent(price['shortfall'])} of the distance from its baseline to its target."
            )


def risk_sentences(study: Mapping[str, Any]) -> Iterator[str]:
    """Say where it becomes expensive, and what draws are worth to the plan."""
    if study["knee"] is not None:
        yield f"Beyond {percent(study['knee'], 0)} each further point costs much more."
    worth = _points(study["value_of_planning_on_draws"])
    average, best = (_share(share) for share in (study["average"]["odds"], study["best"]))
    yield (
        f"Planned on averages, all goals are hit in {average} of {study['draws']:,} draws; the best plan found within "
        f"the same limits hits them in {best}: planning on draws is worth {worth}."
    )
    if study["known"] is not None:
        yield (
            f"Were each draw known before anything is decided, {_share(study['known'])} could be hit: "
            f"knowing is worth at most {_points(study['value_of_knowing'])} more than the best plan found."
        )
    yield from recourse_sentences(study.get("recourse"))
    if study.get("exact"):
        yield _exact(study["exact"][-1], is_all=not study.get("exact_reason"))
    if study.get("exact_reason"):
        yield f"Whether the promises allow a better plan was not solved exactly, draw by draw: {study['exact_reason']}."


def recourse_sentences(found: Mapping[str, Any] | None) -> Iterator[str]:
    """Say what to fix now, what to hold back and decide later, and what waiting is worth."""
    if not found:
        return
    start = found["from"]
    if "reason" in found:
        yield f"What to decide from {start} on was not looked for: {found['reason']}."
        return
    lacks = ", ".join(f"{percent(found[key], 2)} {words}" for key, words in STAGES)
    yield (
        f"Deciding again from {start} on: of the distances from the goals' baselines to their targets, on average over "
        f"{found['draws']:,} draws, {lacks}."
    )
    off = [f"by {percent(found[key], 2)} {words}" for key, words in OFF if found.get(key)]
    if off:
        yield f"The search ended before the best was proved: less could be lacking, at most {' and '.join(off)}."
    yield f"Waiting is worth {percent(found['value_of_waiting'], 2)} of these distances."
    now = "; ".join(f"{entry['name']}: {_amount(entry, 'amount')}" for entry in found["now"][:SHOWN]) or "nothing"
    yield f"Fix now: {now}{_more(found['now'])}."
    for entry in found["held_back"][:SHOWN]:
        yield (
            f"Hold back of {entry['name']}: {entry['now']:,.6g} of {entry['limit']:,.6g} are used now, later "
            f"{entry['mean']:,.6g} on average and {entry['p95']:,.6g} in all but the worst 5 % of the draws."
        )
    for entry in found["later"][:SHOWN]:
        mean, low, high = (_amount(entry, key) for key in ("mean", "p5", "p95"))
        used = percent(entry["used"], 0)
        yield f"Decide later: {entry['name']}, {mean} on average, {low} to {high}, used in {used} of the draws."
    if len(found["later"]) > SHOWN:
        yield f"Decide later as well{_more(found['later'])}; all of them stand in risk.json."
    yield f"The targets of this plan wait for nothing: they decide now what is to be done from {start} on."


def _amount(entry: Mapping[str, Any], key: str) -> str:
    return f"{entry[key]:,.6g} {entry.get('measure', '')}".rstrip()


def _more(entries: Sequence[Any]) -> str:
    return f" and {len(entries) - SHOWN:,} more" if len(entries) > SHOWN else ""


def _exact(step: Mapping[str, Any], *, is_all: bool) -> str:
    """Say what the plan gives away against its promises solved exactly, draw by draw."""
    if not step["gap"]:
        where = "any step" if is_all else f"the steps up to {step['step']}"
        return f"Solved exactly, draw by draw, the same promises allow no plan that is better in {where}."
    plan, exact = (f"{step[key]:.6g}" for key in ("plan", "exact"))
    return (
        f"Solved exactly, draw by draw, the promises would allow {exact} in step {step['step']}; this plan has {plan}."
    )


def margin_sentences(study: Mapping[str, Any], scenario: Scenario) -> Iterator[str]:
    """Say what is kept in hand of each goal, who carries it, and when the plan still breaks."""
    judged = study["judged"]
    for entry in study["margins"]:
        kpi = scenario.kpis[scenario.goals[entry["goal"]].kpi]
        now, before = (change(entry[key], kpi.unit, kpi.step) for key in ("margin", "average"))
        carried = ", ".join(f"{part['by']} {change(part['amount'], kpi.unit, kpi.step)}" for part in entry["carried"])
        who = f"; the difference is carried by {carried}" if carried else ""
        yield f"{entry['goal']}: {judged} keeps {now} in hand on average, the plan on averages {before}{who}."
    for entry in study["breaks"]:
        when = f"; {entry['fails_mostly_when']}" if entry["fails_mostly_when"] else ""
        missed = percent(entry["share_of_misses"], 0)
        yield f"Where {judged} misses, {entry['goal']} is missed in {missed} of these draws{when}."


def _share(share: float) -> str:
    """Write odds, never as 0 % or 100 %."""
    if share < 0.001:
        return "less than 0.1 %"
    return "more than 99.9 %" if share > 0.999 else percent(share)


def _points(share: float) -> str:
    return f"{100 * share:.1f} points of odds"
