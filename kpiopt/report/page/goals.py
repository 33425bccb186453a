"""What is known first: headline and tiles; then each goal with its bridge and its exceedance curve."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from kpiopt.graph import NodeKind
from kpiopt.plan.limit_names import limit_words
from kpiopt.report.charts.bridge import bridge_figure, bridge_range
from kpiopt.report.charts.exceedance import exceedance_figure, is_spread
from kpiopt.report.drawing.short import short
from kpiopt.report.numbers import NO_GAP, amount, change, goal_amounts, odds_of_all, target_step, with_unit
from kpiopt.report.page.page import Card, PageFigure, PageSection, PageTable
from kpiopt.report.page.source import ReportSource
from kpiopt.scenario.scenario import Floats, Kpi
from kpiopt.simulation.hits import goal_rule
from kpiopt.simulation.odds import Estimate
from kpiopt.studies.explain import Part, explain_target

MOST_GOALS = 10
"""Goals with pictures of their own; the table has all."""
MOST_STEPS = 7
TINY = 1e-9

Goal = Mapping[str, Any]


def goal_title(source: ReportSource, goal: Goal) -> str:
    """Return a goal's name: its KPI, its unit where that is not the organization, its id where names are equal."""
    title = _plain_title(source, goal)
    same = [g for g in source.document["goals"] if _plain_title(source, g) == title]
    return title if len(same) == 1 else f"{title} ({goal['goal']})"


def _plain_title(source: ReportSource, goal: Goal) -> str:
    units = source.scenario.units
    name = source.scenario.kpis[goal["kpi"]].name
    position = units.position[goal["unit"]]
    name = name if position == 0 else f"{name} of {units.names[position]}"
    return name if goal["period"] is None else f"{name} in {goal['period']}"


def headline(source: ReportSource) -> str:
    """Say what the summary says first: met on average, how likely all of it is, and where better odds begin."""
    goals = source.document["goals"]
    if not goals:
        return "The plan is possible; the scenario names no goals."
    short, n = [g for g in goals if not g["met"]], len(goals)
    subject = "The goal is" if n == 1 else "Both goals are" if n == 2 else f"All {n} goals are"
    fall = f"{len(short)} of {n} goals {'falls' if len(short) == 1 else 'fall'}" if n > 1 else "The goal falls"
    met = f"{fall} short on average: {_names(source, short)}" if short else f"{subject} met on average"
    together = source.all_goals
    if together is None:
        return f"{met} (odds were not estimated)."
    said = f"{met}; {odds_of_all(n, together)}."
    if n == 1:
        return said
    least = min((g for g in goals if g["odds"]), key=lambda g: g["odds"]["estimate"])
    holds = any(entry["binding"] for entry in source.document["limits"])
    raised = f" A lower target{', or more of what is used up,' if holds else ''} would raise the odds."
    odds = Estimate.from_dict(least["odds"])
    how = f"odds {odds.text}" if odds.estimate or not odds.is_certain else "never reached"
    missed = f" Missed most often: {goal_title(source, least)}, {how}." if odds.estimate < 1.0 else ""
    return said + missed + (raised if together.estimate < 0.5 else "")


def _names(source: ReportSource, goals: list[Goal]) -> str:
    names = [goal_title(source, goal) for goal in goals[:4]]
    return ", ".join(names) + (" …" if len(goals) > 4 else "")


def tiles(source: ReportSource) -> list[Card]:
    """Return the report's figures in large print."""
    document = source.document
    goals = document["goals"]
    met = sum(g["met"] for g in goals)
    certificate = document["certificate"]
    gap = certificate["relative_gap"]
    proof = f"every step checked without the solver, {f'gap {gap:.0e}' if gap > NO_GAP else 'no gap'}"
    cards = [Card("Plan", "certified" if certificate["passed"] else "not certified", proof,
                  "good" if certificate["passed"] else "bad")]  # fmt: skip
    if goals:
        cards.append(Card("Goals met on average", f"{met} of {len(goals)}", "by the plan's expected values",
                          "good" if met == len(goals) else "bad"))  # fmt: skip
    together = source.all_goals
    if together is not None:
        value, _, interval = together.text.partition(" (")
        note = f"95 % interval {interval.rstrip(')')}" if interval else ""
        cards.append(Card("Odds of all goals", value, note, "good" if together.estimate >= 0.7 else "bad"))
    return [*cards, *_pay_tile(source), _limit_tile(source)]


def _pay_tile(source: ReportSource) -> Iterator[Card]:
    pay, currency = source.document["pay"], source.scenario.currency
    if not pay or not (pay["plan"] or pay["limit"]):
        return
    limit = "" if pay["limit"] is None else f"of {amount(pay['limit'], currency)} at most; "
    over = pay.get("over_limit")
    where = " in some period" if pay["limit"] is None else ""
    note = f"odds of paying more than that{where}: {Estimate.from_dict(over).text}" if over else "by expected values"
    yield Card("Pay at plan", amount(pay["plan"], currency), f"{limit}{note}")


def _limit_tile(source: ReportSource) -> Card:
    binding = [entry for entry in source.document["limits"] if entry["binding"]]
    names = ", ".join(limit_words(source.scenario, entry["name"]) for entry in binding[:3])
    value = "1 limit" if len(binding) == 1 else f"{len(binding)} limits" if binding else "nothing"
    return Card("Used up", value, names + (" …" if len(binding) > 3 else ""), "bad" if binding else "good")


def goals_section(source: ReportSource) -> PageSection:
    """Return the goals as a table, then for each a bridge and an exceedance curve."""
    goals = source.document["goals"]
    if not goals:
        return PageSection("Goals", ["The scenario names no goals."])
    rows = [_row(source, goal) for goal in goals]
    columns = ["goal", "baseline", "target", "plan", "short by", "odds (95 % interval)", "required"]
    if not any(row[-1] for row in rows):
        rows, columns = [row[:-1] for row in rows], columns[:-1]
    blocks: list[PageTable | PageFigure] = [PageTable("Goals", columns, rows)]
    for goal in goals[:MOST_GOALS]:
        blocks += [*_bridge(source, goal), *_curve(source, goal)]
    lines = [f"The first {MOST_GOALS} goals have pictures."] if len(goals) > MOST_GOALS else []
    return PageSection("Goals", lines, blocks=blocks)


def _row(source: ReportSource, goal: Goal) -> list[str]:
    kpi = source.scenario.kpis[goal["kpi"]]
    name = with_unit(goal_title(source, goal), kpi)
    target, plan, missing, baseline = goal_amounts(kpi, goal["target"], goal["plan"], goal["baseline"])
    if goal["p_min"] is not None:
        missing = amount(goal["shortfall"], "", kpi.step)
    short = "met" if goal["met"] else missing
    odds = Estimate.from_dict(goal["odds"]).text if goal["odds"] else "not simulated"
    kept = {promise["promise"]: promise["kept"] for promise in source.document.get("promises", ())}
    verdict = "" if goal["goal"] not in kept else ", met" if kept[goal["goal"]] else ", missed"
    required = f"{100 * goal['p_min']:.4g} %{verdict}" if goal["p_min"] is not None else ""
    return [name, baseline, target, plan, short, odds, required]


def _bridge(source: ReportSource, goal: Goal) -> Iterator[PageFigure]:
    kpi, node = source.scenario.kpis[goal["kpi"]], source.goal_node(goal)
    found = explain_target(source.graph, source.stretch, source.levels, node)
    steps = _steps(source, found.origins, kpi)
    if not steps:
        return
    end = float(found.expected)
    shown = _few(steps)
    low, high = bridge_range(goal["baseline"], [value for _, value in shown])
    wanted, reached, missing, baseline = goal_amounts(kpi, goal["target"], end, goal["baseline"])
    rows = [
        ("baseline", baseline),
        *((name, change(value, "", kpi.step)) for name, value in steps),
        ("plan", reached),
        *([("goal", wanted), ("short by", missing)] if missing else []),
    ]
    table = PageTable("", ("", kpi.unit or "amount"), rows)
    yield PageFigure(
        f"Bridge, {goal_title(source, goal)}",
        bridge_figure(("baseline", goal["baseline"]), shown, ("plan", end), kpi.unit, more_is_better=kpi.sign > 0),
        _wanted(goal, wanted, kpi, float(source.targets[node])),
        note="" if low <= 0 <= high else "The axis does not begin at 0.",
        table=table,
    )


def _wanted(goal: Goal, wanted: str, kpi: Kpi, target: float) -> str:
    wanted = f"{wanted} {kpi.unit}".rstrip()
    asked, rounded = (amount(v, kpi.unit, target_step(kpi, target)) for v in (goal["asked"], target))
    if kpi.sign * (goal["asked"] - goal["plan"]) <= TINY * max(1.0, abs(goal["plan"])):
        return f"goal {wanted}"
    as_target = f" (as a target {rounded})" if math.isfinite(target) and rounded != asked else ""
    return f"goal {wanted}; {asked} are asked so that the plan can be expected{as_target}"


def _steps(source: ReportSource, origins: tuple[Part, ...], kpi: Kpi) -> list[tuple[str, float]]:
    """Add up where a change comes from: effort by KPI, initiatives and factors by name; the largest first."""
    graph, scenario = source.graph, source.scenario
    factors, initiatives = list(scenario.factors.values()), list(scenario.initiatives.values())
    sums: dict[tuple[int, int], float] = defaultdict(float)
    for part in origins:
        kind = int(graph.kind[part.node])
        kind = int(NodeKind.KPI) if kind == NodeKind.BUILT else kind  # what a stock builds up is worked for at its KPI
        position = (graph.kpi, graph.factor, graph.level)[kind][part.node]
        position = graph.level_initiative[position] if kind == NodeKind.INITIATIVE else position
        sums[kind, int(position)] += part.contribution
    names = {
        key: list(scenario.kpis.values())[key[1]].name if key[0] == NodeKind.KPI
        else factors[key[1]].name if key[0] == NodeKind.FACTOR
        else initiatives[key[1]].name
        for key in sums
    }  # fmt: skip
    twice = {name for name in names.values() if list(names.values()).count(name) > 1}
    kinds = {NodeKind.KPI: "effort", NodeKind.FACTOR: "influence", NodeKind.INITIATIVE: "initiative"}
    named = [
        (f"{names[key]} ({kinds[NodeKind(key[0])]})" if names[key] in twice else names[key], value)
        for key, value in sums.items()
    ]
    size = max((abs(value) for _, value in named), default=0.0)
    return sorted((entry for entry in named if abs(entry[1]) > TINY * size), key=lambda e: -abs(e[1]))


def _few(steps: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """Put the smallest steps together."""
    if len(steps) <= MOST_STEPS:
        return steps
    rest = steps[MOST_STEPS - 1 :]
    return [*steps[: MOST_STEPS - 1], (f"{len(rest)} others", sum(value for _, value in rest))]


def _curve(source: ReportSource, goal: Goal) -> Iterator[PageFigure]:
    drawn = source.simulation
    if drawn is None or not goal["odds"]:
        return
    kpi, node = source.scenario.kpis[goal["kpi"]], source.goal_node(goal)
    values = drawn.kept.values[drawn.nodes.tolist().index(node)].ravel()
    if not is_spread(values):
        return
    position = list(source.scenario.goals).index(goal["goal"])
    hit = float(source.graph.baseline[node] + goal_rule(source.graph).threshold[position])
    figure = exceedance_figure(
        values, (goal["target"], hit), Estimate.from_dict(goal["odds"]), kpi.unit, goal["plan"], sign=kpi.sign
    )
    caption = f"how likely each level is; {drawn.draws:,} draws; grey dashes: the plan"
    yield PageFigure(
        f"Odds, {goal_title(source, goal)}", figure, caption, note=_reached(values, kpi), table=_levels(values, kpi)
    )


def _reached(values: Floats, kpi: Kpi) -> str:
    """Say which levels are reached in 9, 5 and 1 of 10 draws: the first can be promised, the last hardly be hoped."""
    safe, half, hope = (
        f"{short(float(v), 4)} {kpi.unit}".strip() for v in np.quantile(values, [0.1, 0.5, 0.9][:: kpi.sign])
    )
    verb = "at least" if kpi.sign > 0 else "at most"
    return f"In 9 of 10 draws {verb} {safe}, in half of them {half}, in 1 of 10 {hope}."


def _levels(values: Floats, kpi: Kpi) -> PageTable:
    shares = np.array([0.99, 0.95, 0.9, 0.75, 0.5, 0.25, 0.1, 0.05, 0.01])
    levels = np.quantile(values, 1.0 - shares if kpi.sign > 0 else shares)
    rows = [(f"{100 * s:.0f} %", amount(float(v))) for s, v in zip(shares, levels, strict=True)]
    return PageTable("", ("odds", f"{kpi.unit or 'value'}, {'at least' if kpi.sign > 0 else 'at most'}"), rows)
