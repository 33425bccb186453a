"""What a plan promises, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from kpiopt.program.formulation.columns import TOGETHER
from kpiopt.report.numbers import amount, percent
from kpiopt.run.promised import PromiseResult, promised_target
from kpiopt.run.run import Run

DISTANCE = "of the distance from each goal's baseline to its target"


def promise_name(run: Run, promise: PromiseResult) -> str:
    """Return what a promise is about: the goal's KPI and unit, or several goals."""
    if len(promise.goals) > 1 or promise.name in (TOGETHER, "odds"):
        every = len(promise.goals) == len(run.goals)
        return "all goals together" if every else f"{' and '.join(promise.goals)} together"
    goal = run.scenario.goals[promise.goals[0]]
    name = run.scenario.kpis[goal.kpi].name
    return name if goal.unit == 0 else f"{name} of {run.scenario.units.names[goal.unit]}"


def repair_sentences(run: Run) -> Iterator[str]:
    """Say the best odds there are where promises are missed, and what would buy the rest."""
    if run.missed_odds is None:
        return
    from kpiopt.run.odds_repair import set_words  # only where there is something to mend

    for promise in run.promises:
        best = run.missed_odds.best.get(promise.name)
        if best is not None:
            name = promise_name(run, promise)
            yield f"The best odds of {name} that were found within the limits are {percent(best)}."
    for number, repair in enumerate(run.missed_odds.repairs):
        opening = "All promises are kept" if number == 0 else "Or"
        yield f"{opening} if you {repair.text} (tried): {set_words(repair.assignments)}"


def robust_sentences(run: Run) -> Iterator[str]:
    """Say what each variant gives up for the one plan, the one that gives up most first, by the order of steps."""
    steps = dict.fromkeys(result.step for result in run.variants)
    for step in steps:
        found = sorted((r for r in run.variants if r.step == step), key=lambda r: -r.regret)
        shares = ", ".join(
            f"{r.variant} {percent(max(r.regret, 0.0))} ({percent(r.plan)}, alone {percent(r.alone)})" for r in found
        )
        yield (
            f"One plan for {len(found)} variant{'s' * (len(found) > 1)}, worst regret first. What each gives up in "
            f"step {step}, as weighted shares of the distances from its goals' baselines to their targets: {shares}."
        )


def missed_promises(run: Run) -> str:
    """Name the promises that are not kept; "" where all are."""
    missed = [promise_name(run, promise) for promise in run.promises if not promise.is_kept and promise.name != "odds"]
    return f"; the odds required of {' and '.join(missed)} are missed" if missed else ""


def promise_sentences(run: Run) -> Iterator[tuple[str, bool]]:
    """Yield what is promised and what became of it, and whether that is as it should be."""
    for promise in run.promises:
        name, odds = promise_name(run, promise), percent(promise.p_min, _decimals(promise.p_min))
        fresh = f"{promise.fresh.text} in draws that it was not made on" if promise.fresh else "odds were not estimated"
        if promise.name == "odds":
            yield (
                f"The best odds that were found of {name}: {percent(promise.planned)} of {promise.draws:,} draws that "
                f"the plan was made on; {fresh}.",
                True,
            )
            continue
        planned = f"{percent(promise.planned)} of the {promise.draws:,} draws that the plan was made on; {fresh}"
        if promise.is_kept:
            yield f"Promised: {name}, odds of at least {odds}. Kept: {planned}.{_cushion(run, promise)}", True
        else:
            yield f"Promised: {name}, odds of at least {odds}. Missed: {planned}. {_lacking(run, promise)}", False
        if promise.added:
            yield _made_again(run, promise), True
        if promise.is_doubtful:
            again = f", although it was made {_times(promise.made_again)} again" if promise.made_again else ""
            yield f"The draws that judge the plan say less than {odds}{again}; more [odds] draws would tell.", False
    times = run.cascade.cuts.made_again
    if times and not any(promise.added for promise in run.promises):
        yield (
            f"The plan was made {_times(times)} again: it fell short in draws for checking, so that more of the draws "
            "that it was made on are hit than is promised.",
            True,
        )
    left = run.cascade.cuts.left
    if left:
        share = f"{100 * left:.5f}".rstrip("0")
        yield f'The steps after "cvar" may have given up {share} % of its value; with less, they were not proved.', True
    for text in robust_sentences(run):
        yield text, True


def _made_again(run: Run, promise: PromiseResult) -> str:
    """Say that draws for checking fell short, and what was asked for besides."""
    if promise.name in run.scenario.goals:
        kpi = run.scenario.kpis[run.scenario.goals[promise.goals[0]].kpi]
        more = f"{promise.added:.3g} {kpi.unit}".rstrip()
    else:
        more = f"{percent(promise.added, 2)} {DISTANCE}"
    return (
        f"The plan was made {_times(promise.made_again)} again: it fell short of {promise_name(run, promise)} in draws "
        f"for checking, so that {more} more are asked of the draws that it was made on."
    )


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def required_words(run: Run, goal: str, p_min: float) -> str:
    """Return the promised odds of a goal and whether they are met."""
    found = next((promise for promise in run.promises if promise.name == goal), None)
    met = "" if found is None else ", met" if found.is_kept else ", missed"
    return f"{percent(p_min, _decimals(p_min))}{met}"


def _cushion(run: Run, promise: PromiseResult) -> str:
    if promise.cushion <= 0.0:
        return ""
    if promise.name not in run.scenario.goals:
        return f" For that the plan keeps in hand, on average, {percent(promise.cushion)} {DISTANCE}."
    kpi = run.scenario.kpis[run.scenario.goals[promise.goals[0]].kpi]
    return f" On average {amount(promise.cushion, kpi.unit, kpi.step)} are kept in hand for that."


def _lacking(run: Run, promise: PromiseResult) -> str:
    if promise.name not in run.scenario.goals:
        lacking = f"{percent(promise.shortfall)} of the distance from its baseline to its target"
        return f"These odds could be promised if every goal gave way by {lacking}."
    return f"These odds could be promised of {promised_target(run.scenario, promise)}."


def _decimals(share: float) -> int:
    return next((d for d in range(4) if abs(round(100 * share, d) - 100 * share) < 1e-9), 4)
