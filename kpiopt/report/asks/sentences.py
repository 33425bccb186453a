"""What the summary says about cushions, offers and the price of fairness."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kpiopt.report.numbers import amount, percent
from kpiopt.scenario.scenario import Scenario
from kpiopt.simulation.odds import Estimate

SHOWN_GAPS, NOISE = 4, 1e-9
SHOWN_UNITS = 6


def beside_sentences(document: Mapping[str, Any], scenario: Scenario) -> Iterator[str]:
    """Say what stands on top of the plan and beside it.

    Parameters
    ----------
    document : mapping
        With the entries `assign`, `over_assignment`, `gap` and `fairness` of the answer "kpiopt.solve/1".
    """
    yield from chosen_sentences(document, scenario)
    yield from cushion_sentences(document)
    yield from gap_sentences(document, scenario)
    yield from price_sentences(document, scenario)


def chosen_sentences(document: Mapping[str, Any], scenario: Scenario) -> Iterator[str]:
    """Say which KPIs units answer for where the plan chooses, and why not for the others."""
    units = document.get("assign", ())
    for entry in units[:SHOWN_UNITS]:
        on = [scenario.kpis[found["kpi"]].name for found in entry["kpis"] if found["chosen"]]
        off = [f"{scenario.kpis[found['kpi']].name} ({found['why']})" for found in entry["kpis"] if not found["chosen"]]
        who = scenario.units.names[scenario.units.position[entry["unit"]]]
        yield f"{who} answers for {', '.join(on) or 'no KPI'}{'; not for ' if off else ''}{', '.join(off)}."
    if len(units) > SHOWN_UNITS:
        yield f"… and {len(units) - SHOWN_UNITS:,} more whose KPIs are chosen; see `assign` in --json."


def cushion_sentences(document: Mapping[str, Any]) -> Iterator[str]:
    """Say what each level is asked on top of the plan, and for what odds.

    Parameters
    ----------
    document : mapping
        With the entry `over_assignment` of the answer "kpiopt.solve/1".
    """
    for entry in document.get("over_assignment", ()):
        much = f"Over-assigned: targets of level {entry['level']} are {percent(entry['share'])} more than the plan asks"
        if entry["goal"] is None:
            yield f"{much}."
            continue
        drawn = f"; from other draws {Estimate.from_dict(entry['odds']).text}" if entry["odds"] else ""
        why = f"the least that gives {entry['goal']} odds of {percent(entry['wanted'], 0)} when it is worked for"
        yield f"{much}, {why} ({percent(entry['planned'])} of the planning draws{drawn})."


def gap_sentences(document: Mapping[str, Any], scenario: Scenario) -> Iterator[str]:
    """Say where most lies between what units offer and what they are asked for."""
    gaps = largest_gaps(document) if document.get("gap") else []
    if document.get("gap") and not gaps:
        yield "Offered is what is asked, at every unit that offers something."
    for gap in gaps[:SHOWN_GAPS]:
        kpi, unit = scenario.kpis[gap["kpi"]], scenario.units.names[scenario.units.position[gap["unit"]]]
        offered, asked = (amount(gap[name], kpi.unit, kpi.step) for name in ("bottom_up", "target"))
        split = "" if gap["top_down"] is None else f"; the goal in proportion: {amount(gap['top_down'], '', kpi.step)}"
        yield f"Offered and asked, {kpi.name} of {unit}: {offered} and {asked}{split}."
    if len(gaps) > SHOWN_GAPS:
        yield f"… and {len(gaps) - SHOWN_GAPS:,} more; see gap.csv."


def largest_gaps(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the rows in which offer and target differ, the largest difference in relation to the target first."""
    rows = [
        row for row in document.get("gap") or () if abs(row["target"] - row["bottom_up"]) > 1e-9 * abs(row["target"])
    ]
    return sorted(rows, key=lambda row: -abs(row["target"] - row["bottom_up"]) / (abs(row["target"]) or 1.0))


def price_sentences(document: Mapping[str, Any], scenario: Scenario) -> Iterator[str]:
    """Say what goals, cost and odds would be if peers were not compared."""
    price = (document.get("fairness") or {}).get("price")
    if not price:
        return
    met = sum(goal["met"] for goal in price["goals"])
    odds = price["odds"] or (price["goals"][0]["odds"] if len(price["goals"]) == 1 else None)
    likely = f", odds {Estimate.from_dict(odds).text}" if odds else ""
    goals = f"{met} of {len(price['goals'])} goals met on average{likely}; " if price["goals"] else ""
    costs = f"{amount(price['cost'], scenario.currency)} instead of {amount(price['cost_with'], scenario.currency)}"
    yield f"If peers were not compared: {goals}cost {costs}."
