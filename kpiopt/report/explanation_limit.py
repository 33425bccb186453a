"""What a limit or an initiative is about, on a terminal: who uses it, what more is worth, what it does for goals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.text import Text

from kpiopt.errors import printable
from kpiopt.graph import CausalGraph
from kpiopt.plan.limit_names import limit_words, unit_of_limit
from kpiopt.program.trust.tolerances import is_used_up
from kpiopt.report.goal_names import goal_at
from kpiopt.report.grid import Grid
from kpiopt.report.limits import Entries, kept_words, less_sentence, more_sentence, next_sentences, use_words
from kpiopt.report.numbers import amount, change, percent
from kpiopt.scenario.links import Initiative
from kpiopt.scenario.periods import split_period
from kpiopt.scenario.scenario import Scenario
from kpiopt.studies.explain_limit import LevelExplanation, LimitExplanation, Use

if TYPE_CHECKING:
    from rich.console import RenderableType

SHOWN = 12


def limit_document(found: LimitExplanation) -> dict[str, Any]:
    """Return the JSON form: schema `kpiopt.explain/1`, with `limit` and `uses`."""
    return {"schema": "kpiopt.explain/1", "limit": dict(found.entry), "uses": [asdict(use) for use in found.uses]}


def initiative_document(initiative: Initiative, found: Sequence[LevelExplanation]) -> dict[str, Any]:
    """Return the JSON form: schema `kpiopt.explain/1`, with `initiative` and `units`."""
    units = [asdict(level) for level in found]
    uses, setup = dict(initiative.uses), {"setup": dict(initiative.setup)} if initiative.setup else {}
    return {"schema": "kpiopt.explain/1", "initiative": initiative.id, "uses_per_level": uses, **setup, "units": units}


def render_limit(graph: CausalGraph, found: LimitExplanation, goals: Entries = ()) -> Group:
    """Lay out a limit: how much is used, by whom, what one more and one less are worth."""
    entry, scenario = found.entry, graph.scenario
    name = limit_words(scenario, entry["name"])
    share = percent(entry["used"] / entry["limit"], 1) if entry["limit"] else "all"
    unit = unit_of_limit(scenario, entry["name"])
    used = "all of it is used" if entry["binding"] else f"{amount(entry['used'], unit)} are used ({share})"
    lines: list[RenderableType] = [Text(printable(f"{name}: {amount(entry['limit'], unit)}; {used}."), style="bold")]
    lines += [Text(printable(f"  {line}")) for line in limit_sentences(scenario, found, goals)]
    if found.uses:
        lines.append(Text("\nWhat it is used for", style="bold"))
        grid = Grid(("what", "uses", "share"))
        total = sum(use.amount for use in found.uses)
        for use in found.uses[:SHOWN]:
            grid.add(use_name(graph, use), amount(use.amount), percent(use.amount / total))
        rest = found.uses[SHOWN:]
        if rest:
            grid.add(f"… and {len(rest):,} more", amount(sum(use.amount for use in rest)), "")
        lines.append(grid)
    return Group(*lines)


def limit_sentences(scenario: Scenario, found: LimitExplanation, goals: Entries = ()) -> Iterator[str]:
    """Say what more and less of a limit would do; of whole numbers as the summary says it.

    Parameters
    ----------
    goals : sequence of mapping
        As the answer of the run has them.
    """
    entry = found.entry
    yield from _price_sentences(scenario, found, goals)
    yield from next_sentences(scenario, goals, [entry])


def _price_sentences(scenario: Scenario, found: LimitExplanation, goals: Entries) -> Iterator[str]:
    """Say what prices tell, which hold with the whole numbers as they are: a 0 beside a next step tells nothing."""
    entry = found.entry
    next_more, next_less = entry.get("next_more"), entry.get("next_less")
    more, less = entry["shadow_price_more"], entry["shadow_price_less"]
    if not entry["binding"]:
        unit = unit_of_limit(scenario, entry["name"])
        left = amount(entry["limit"] - entry["used"], unit)
        left += " is left" if left.split()[0] == "1" else " are left"
        is_known = more is not None or not (kept_words(scenario) or any(scenario.decide.slack.values()))
        untried = f"{left}; whether more would change anything was not tried"
        said = f"More of it would change nothing: {left}" if is_known else untried
        less = f"Less than {amount(entry['used'], unit)} would change the plan."
        kept = less if entry["used"] > 0.0 else "None of it is used."
        yield f"{left if next_more else said}. {kept}"
        return
    is_unknown = more is None and less is None and not entry["no_plan_with_less"]
    if is_unknown and not (next_more or next_less):
        yield "Its price is not computed: it is a rule of your own, or the time was up."
        return
    if more or (more is not None and not next_more):
        yield more_sentence(scenario, goals, entry)
    if entry["no_plan_with_less"]:
        if not next_less and entry["limit"]:
            yield less_sentence(scenario, goals, entry)
    elif less or (less is not None and not next_less):
        yield less_sentence(scenario, goals, entry)
    elif not next_less and entry["limit"] > 0.0:
        yield "What less of it would do is not known."
    if entry["from"] is not None or entry["to"] is not None:
        ends = [amount(entry[end]) if entry[end] is not None else "any amount" for end in ("from", "to")]
        kept = kept_words(scenario)
        yield f"That holds for limits from {ends[0]} to {ends[1]}{f', {kept}' if kept else ''}."


def use_name(graph: CausalGraph, use: Use) -> str:
    """Return what uses a limit, for a planner."""
    scenario = graph.scenario
    if use.name.startswith("target_incentive@"):
        return f"target incentive of {scenario.units.names[scenario.units.position[use.name.partition('@')[2]]]}"
    name, period = split_period(scenario.periods, use.name)
    if name.startswith("initiative."):
        initiative, _, unit = name.removeprefix("initiative.").partition("@")
        begun = period and f", begun{period}"
        return (
            f"{scenario.initiatives[initiative].name} at {scenario.units.names[scenario.units.position[unit]]}{begun}"
        )
    unit, _, kpi = name.rpartition("/")
    return f"{scenario.kpis[kpi].name} at {scenario.units.names[scenario.units.position[unit]]}{period}"


def render_initiative(graph: CausalGraph, initiative: Initiative, found: Sequence[LevelExplanation]) -> Group:
    """Lay out an initiative: level by unit, what one more level adds to each goal, why not more."""
    scenario = graph.scenario
    lines: list[RenderableType] = [Text(printable(f"{initiative.name}"), style="bold")]
    uses = ", ".join(use_words(scenario, *entry) for entry in initiative.uses.items())
    lines.append(Text(printable(f"  One level uses {uses or 'nothing'}.")))
    runs = ", ".join(use_words(scenario, *entry) for entry in initiative.runs.items())
    if runs:
        lines.append(Text(printable(f"  In every period in which it runs one level uses {runs}.")))
    setup = ", ".join(use_words(scenario, *entry) for entry in initiative.setup.items())
    if setup:
        lines.append(Text(printable(f"  It is set up once with {setup}, whatever the level.")))
    units = [list(levels) for _, levels in groupby(found, key=lambda level: level.unit)]
    for levels in units[:SHOWN]:
        lines += [Text(printable(f"  {sentence}")) for sentence in level_sentences(scenario, levels)]
    if len(units) > SHOWN:
        lines.append(Text(f"  … and {len(units) - SHOWN:,} more units; name one: initiative.{initiative.id}@UNIT"))
    if found:
        lines.append(Text("\nWhat it does for the goals", style="bold"))
        grid = Grid(("goal", "one more level", "all planned levels"))
        for i, first in enumerate(found[0].per_level):
            kpi = scenario.kpis[scenario.goals[first.goal].kpi]
            planned = sum(level.planned[i].per_unit for level in found)
            ends = sorted({level.per_level[i].per_unit for level in found})
            one = change(ends[-1], kpi.unit) if len(ends) == 1 else f"{change(ends[0])} to {change(ends[-1], kpi.unit)}"
            grid.add(goal_at(scenario, first.goal), one, change(planned, kpi.unit))
        lines.append(grid)
    return Group(*lines)


def and_words(words: Sequence[str]) -> str:
    """Join words as a sentence does: "a, b and c"."""
    return " and ".join([", ".join(words[:-1]), *words[-1:]]) if len(words) > 1 else "".join(words)


def level_sentences(scenario: Scenario, levels: Sequence[LevelExplanation]) -> Iterator[str]:
    """Say how much of an initiative one unit takes in all, when it begins, and why not more.

    Parameters
    ----------
    levels : sequence of LevelExplanation
        Of that unit: one for each period in which it may begin.
    """
    unit = scenario.units.names[scenario.units.position[levels[0].unit]]
    total, most = sum(level.level for level in levels), levels[0].maximum
    some = [level for level in levels if level.start and level.level > 0]
    begun = [f"{amount(level.level)} begun in {level.start}" for level in some]
    begun = [f"begun in {some[0].start}"] if len(some) == 1 else begun
    taken = f"{amount(total)} of {amount(most)}{', ' * bool(begun)}{and_words(begun)}"
    if is_used_up(most, total):
        why = "as much as it may"
    elif not total and any(level.unmet or level.excluded_by for level in levels):
        needed = [f"it needs {name}, which is not begun" for name in levels[0].unmet]
        why = ", and ".join([*needed, *(f"{name} excludes it" for name in levels[0].excluded_by)])
    elif all(level.limits for level in levels):
        always = [name for name in levels[0].limits if all(name in level.limits for level in levels)]
        names = always or list(dict.fromkeys(name for level in levels for name in level.limits))
        named, is_one = and_words([_the(scenario, name) for name in names]), len(names) == 1
        whenever = ", whenever it begins," if begun or len(levels) > 1 else ""
        of_them = " some of" if whenever and not always else ""
        used_up = f"more of it{whenever} would need{of_them} {named}, which {'is' if is_one else 'are'} used up"
        why = "; ".join([used_up, *(_lacks(scenario, levels[0]) if len(levels) == 1 else ())])
    elif all(level.limits or level.lacking for level in levels):
        why = "; ".join(_lacks(scenario, next(level for level in levels if level.lacking)))
    elif not any(effect.per_unit for level in levels for effect in level.per_level):
        why = "it reaches no goal"
    else:
        why = "the goals need no more of it, or other ways are better by the order of decisions"
    yield f"{unit}: {taken}; {why}."


def _lacks(scenario: Scenario, level: LevelExplanation) -> Iterator[str]:
    """Say which limits that are not used up leave too little for the next level."""
    begun = "to begin it" if level.next_level is None else f"a level of {amount(level.next_level or 0.0)}"
    begun += f" in {level.start}" if level.start else ""
    for lack in level.lacking:
        unit = unit_of_limit(scenario, lack.name)
        needed, left = amount(lack.needed, unit), amount(lack.left, unit)
        yield f"{begun} would take {needed} more of {_the(scenario, lack.name)}, which has {left} left"


def _the(scenario: Scenario, name: str) -> str:
    words = limit_words(scenario, name)
    return f"the {words}" if words.endswith("budget") else words
