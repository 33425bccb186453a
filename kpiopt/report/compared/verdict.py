"""Who wins a comparison, in one sentence: judged by the odds of all goals, draw by draw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kpiopt.report.numbers import amount, points
from kpiopt.report.rule import broken_words
from kpiopt.simulation.difference import OddsDifference, compare_odds
from kpiopt.studies.comparison.compare import Comparison, Side, Unsolved
from kpiopt.studies.comparison.contenders import Comparisons


def headline(found: Comparisons) -> str:
    """Say which scenario has the best odds of all goals, by how much, at what cost, and which cannot win."""
    return " ".join([*_best(found), *_left_out(found)])


def all_sides(found: Comparisons) -> list[Side]:
    """Return the scenarios that have a plan, the first one first."""
    return [found.base, *(other.second for other in found.others if isinstance(other, Comparison))]


def paired(first: Side, second: Side) -> OddsDifference | None:
    """Return the difference of the odds of all goals, from the same draws; None where one of them has none."""
    if first.simulation is None or second.simulation is None:
        return None
    return next((odds for odds in compare_odds(first.simulation, second.simulation) if odds.goal is None), None)


def _best(found: Comparisons) -> Iterator[str]:
    sides = [side for side in _alike(found) if not side.broken]
    drawn = [side for side in sides if side.simulation and side.simulation.all_goals]
    if len(drawn) < 2:
        met = ", ".join(f"{side.label} {sum(g.met for g in side.goals)} of {len(side.goals)}" for side in sides)
        if len(sides) > 1:
            yield f"Goals met on average: {met}."
        return
    best = max(drawn, key=_odds)
    others = [(side, paired(side, best)) for side in drawn if side is not best]
    level = [side for side, odds in others if odds and not odds.is_resolved]
    text = best.simulation.all_goals.text if best.simulation and best.simulation.all_goals else ""
    if level:
        labels = [side.label for side in drawn if side is best or side in level]
        yield (
            f"{_listed(labels)} have the best odds of all goals, {text} for {best.label}; "
            "the draws do not tell them apart."
        )
    else:
        more = next((odds for side, odds in others if side is found.base and odds), None)
        against = f", {points(more.difference)} points against {found.base.label}" if more else ""
        yield f"{best.label} has the best odds of all goals: {text}{against}."
    cheaper = _cost(best) - _cost(found.base)
    currencies = {side.scenario.currency for side in (best, found.base)}
    if best is not found.base and found.base not in level and len(currencies) == 1 and amount(abs(cheaper)) != "0":
        unit = currencies.pop()
        yield (
            f"Its plan costs {amount(abs(cheaper), unit)} {'more' if cheaper > 0 else 'less'} in pay and initiatives."
        )


def _left_out(found: Comparisons) -> Iterator[str]:
    alike = _alike(found)
    for side in all_sides(found):
        if side.broken:
            yield f"{side.label} cannot be done as it stands: {broken_words(side.scenario, side.broken)}."
        elif side not in alike:
            yield f"{side.label} has other goals or targets than {found.base.label}: its odds answer another question."
    if none := [other.label for other in found.others if isinstance(other, Unsolved)]:
        yield f"No plan: {_listed(none)}."


def _alike(found: Comparisons) -> list[Side]:
    """Return the scenarios that have the same goals as the first one, and the same targets of them."""
    others = [other for other in found.others if isinstance(other, Comparison)]
    return [found.base, *(other.second for other in others if _same_question(other))]


def _same_question(other: Comparison) -> bool:
    return other.same_goals and all(
        goal.first and goal.second and goal.first.target == goal.second.target for goal in other.goals
    )


def _odds(side: Side) -> float:
    assert side.simulation is not None and side.simulation.all_goals is not None
    return side.simulation.all_goals.estimate


def _cost(side: Side) -> float:
    return side.pay + side.initiatives


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
