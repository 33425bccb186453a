"""`curve` of a driver or an effect: what a cause does where that is no fixed amount per unit of it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from kpiopt.errors import ModelError
from kpiopt.reading.findings import Findings
from kpiopt.reading.key_path import KeyPath, dotted
from kpiopt.scenario.bounds import ROUNDING
from kpiopt.scenario.curve import NO_ODDS, WITHOUT_PROMISE, Curve
from kpiopt.scenario.format.document import ScenarioDocument
from kpiopt.scenario.format.strategy_map import LinkEntry
from kpiopt.scenario.resolve.periods import period_names
from kpiopt.scenario.settings import RISK_STEPS


def resolve_curve(findings: Findings, model: ScenarioDocument, path: KeyPath, entry: LinkEntry) -> Curve | None:
    """Return the curve of a driver or an effect; None where it has none, or a wrong one, which is noted."""

    def refuse(message: str, rule: str, fix: str, code: str = "E-curve") -> None:
        at = (*path, "curve") if entry.curve is not None else path
        findings.at(code, f"{dotted(path)} {message}", at, rule=rule, fix=fix, kind=ModelError)

    if entry.curve is None:
        if entry.contribution is None:
            rule = "contribution: change of the driven KPI per unit change of the cause, or a curve in its place"
            refuse("has neither a contribution nor a curve", rule, "add contribution = …", "E-missing-key")
        return None
    points = tuple((float(x), float(y)) for x, y in entry.curve)
    if entry.contribution is not None:
        rule = "a curve stands in the place of a contribution"
        refuse("has both a contribution and a curve", rule, "remove one of them; a variant cannot take one away")
    if any(b <= a for a, b in pairwise(x for x, _ in points)):
        shown = ", ".join(f"{x:g}" for x, _ in points)
        rule = "points are [change of the cause, change of the KPI], the cause ascending"
        refuse(f"has points that do not ascend: {shown}", rule, "put the points in order")
        return None
    curve = Curve(points)
    start, size = float(curve.at(np.zeros(()))), float(np.abs(curve.effect).max())
    if abs(start) > ROUNDING * size:
        message = f"says that no change of the cause changes the KPI by {start:g}"
        rule = "a curve tells changes: it is 0 at 0, also where its first or last slope goes on to there"
        refuse(message, rule, "add the point [0, 0], or subtract this amount from all effects")
    if path[0] == "initiative" and len(period_names(model)) > 1:
        begins = model.initiative[str(path[1])].start
        if begins is None or len(begins) != 1:
            rule = "a curve is about the level that is running, and levels begun in several periods add up to it"
            refuse(
                "is a curve, and the initiative may begin in several periods", rule,
                'name one period, start = ["…"], or write contribution = …', "E-periods-curve",
            )  # fmt: skip
    return curve


def check_curves_and_odds(findings: Findings, model: ScenarioDocument) -> None:
    """Note promised odds in a plan with curves: margins of draws are then no longer linear in the decisions."""
    links = [("kpi", k, "drivers", d) for k, kpi in model.kpi.items() for d, e in kpi.drivers.items() if e.curve]
    links += [
        ("initiative", i, "effects", k) for i, it in model.initiative.items() for k, e in it.effects.items() if e.curve
    ]
    if not links:
        return
    wanted: list[KeyPath] = [("goal", g, "p_min") for g, goal in model.goal.items() if goal.p_min is not None]
    wanted += [("odds", "p_min")] if model.odds.p_min is not None else []
    wanted += [("decide", "order")] if set(model.decide.order) & set(RISK_STEPS) else []
    for path in wanted:
        message = f"{dotted(path)} asks the plan for odds, and {dotted(links[0])} is a curve"
        fix = f"leave the promise out; {WITHOUT_PROMISE}, or write a contribution in place of the curve"
        findings.at("E-curve-odds", message, path, rule=NO_ODDS, fix=fix, kind=ModelError)
