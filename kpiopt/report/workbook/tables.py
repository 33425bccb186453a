"""The other tables of a run: goals, odds, limits, initiatives, pay, the plans of rules, proof."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from kpiopt.graph.initiative_use import use_of_levels
from kpiopt.plan.limit_names import limit_words
from kpiopt.report.numbers import gap_words
from kpiopt.report.page.goals import goal_title
from kpiopt.report.workbook.book import FORMATS
from kpiopt.report.workbook.rows import IN_ALL, PlanRows, number, odds_fields
from kpiopt.report.workbook.sheet import FIRST, Bars, Column, Field, Formula, Sheet, letters_of
from kpiopt.scenario.periods import split_period

MOST_GOALS_BESIDE, MOST_BARS = 8, 20

GOAL_COLUMNS = (
    Column("goal"), Column("in"), Column("better", width=8), Column("baseline", "number"), Column("target", "number"),
    Column("plan", "number"), Column("growth planned", "share", "growth"), Column("short by", "number"),
    Column("met on average"), Column("asked", "number"), Column("priority", "plain", width=9),
    Column("required odds", "share"), Column("odds", "odds", "bar"), Column("odds from", "odds"),
    Column("odds to", "odds"),
)  # fmt: skip
ODDS_COLUMNS = (
    Column("KPI"), Column("unit"), Column("in"), Column("goal", "number"), Column("5 % of draws below", "number"),
    Column("half of draws below", "number"), Column("95 % of draws below", "number"), Column("mean", "number"),
    Column("standard deviation", "number"),
)  # fmt: skip
LIMIT_COLUMNS = (
    Column("limit"), Column("name in the file"), Column("is", "plain"), Column("used", "plain"),
    Column("used share", "share", "bar"), Column("left", "plain"), Column("binding", "text", "red"),
    Column("shadow price", "plain"), Column("of the step"), Column("per"), Column("holds from", "plain"),
    Column("holds to", "plain"),
)  # fmt: skip
PAY_COLUMNS = (
    Column("unit id"), Column("unit"), Column("pay at plan", "money"), Column("when all is hit", "money"),
    Column("mean over draws", "money"), Column("mean of plan", "share"),
)  # fmt: skip
RULE_COLUMNS = (
    Column("plan"), Column("goals met", "plain"), Column("odds of all goals", "odds", "bar"),
    Column("odds from", "odds"), Column("odds to", "odds"), Column("pay at plan", "money"),
    Column("largest stretch", "share"), Column("limits broken", "plain"), Column("such as", "wrap", width=60),
)  # fmt: skip
PROOF_COLUMNS = (
    Column("step"), Column("value", "plain"), Column("unit"), Column("primal residual"), Column("relative gap"),
    Column("proved"),
)  # fmt: skip


def goals_sheet(plan: PlanRows) -> Sheet:
    """Return the goals with what is planned, what is missing and how likely each is."""
    source, at, rows, formats = plan.source, letters_of(GOAL_COLUMNS), [], []
    for place, goal in enumerate(source.document["goals"]):
        kpi = source.scenario.kpis[goal["kpi"]]
        r, better = FIRST + place, 1 if kpi.sign > 0 else -1
        growth: float | str = (goal["plan"] - goal["baseline"]) / abs(goal["baseline"]) if goal["baseline"] else ""
        b, p, t = (f"{at[name]}{r}" for name in ("baseline", "plan", "target"))
        missing = max(0.0, better * (goal["target"] - goal["plan"]))
        odds = goal["odds"] or {}
        rows.append([
            goal_title(source, goal), kpi.unit, "higher" if kpi.sign > 0 else "lower", goal["baseline"],
            goal["target"], goal["plan"], Formula(f'=IF({b}=0,"",({p}-{b})/ABS({b}))', growth),
            Formula(f"=MAX(0,{t}-{p})" if better > 0 else f"=MAX(0,{p}-{t})", missing),
            "yes" if goal["met"] else "no", goal["asked"], goal["priority"], goal["p_min"],
            *odds_fields(odds.get("estimate"), odds.get("low"), odds.get("high")),
        ])  # fmt: skip
        formats.append(plan.number_formats[source.scenario.kpi_position[kpi.id]])
    together = source.all_goals
    remark = f"Odds that all are hit together: {together.text}" if together else "Odds were not simulated"
    return Sheet("Goals", "Goals", GOAL_COLUMNS, rows, remark, formats, charts=tuple(_odds_chart(at, rows)))


def _odds_chart(at: Mapping[str, str], rows: list[list[Field]]) -> Iterator[Bars]:
    """Draw the odds of the goals, where they were simulated."""
    place = [c.header for c in GOAL_COLUMNS].index("odds")
    known = [(i, row[place]) for i, row in enumerate(rows) if isinstance(row[place], float)][:MOST_BARS]
    if known:
        names = [Formula(f"={at['goal']}{FIRST + i}", str(rows[i][0])) for i, _ in known]
        values = [Formula(f"={at['odds']}{FIRST + i}", float(str(value))) for i, value in known]
        yield Bars("Odds of each goal", names, [("odds", values)], FORMATS["odds"], is_share=True)


def odds_sheet(plan: PlanRows) -> Sheet | None:
    """Return how the values of watched KPIs spread over the draws."""
    drawn, graph, scenario = plan.source.simulation, plan.source.graph, plan.source.scenario
    if drawn is None:
        return None
    rows, columns = list[list[Field]](), plan.with_period(ODDS_COLUMNS, 2)
    targets = {g.node: scenario.goals[g.goal].target for g in drawn.goals}
    order = np.arange(len(drawn.nodes))
    if plan.periods:  # the periods of a KPI stand together
        order = np.lexsort((graph.period[drawn.nodes], graph.kpi[drawn.nodes], graph.unit[drawn.nodes]))
    for node, found in ((int(drawn.nodes[i]), drawn.distributions[i]) for i in order.tolist()):
        kpi = plan.kpis[int(graph.kpi[node])]
        rows.append([
            kpi.name, plan.unit_name(node), *plan.when(int(graph.period[node])), kpi.unit, targets.get(node),
            found.p5, found.p50, found.p95, found.mean.estimate, found.sd,
        ])  # fmt: skip
    formats = [plan.number_formats[int(graph.kpi[node])] for node in drawn.nodes[order].tolist()]
    remark = f"{drawn.draws:,} draws, seed {drawn.seed}; odds of the goals stand in the sheet Goals"
    return Sheet("Odds", "How values spread over the draws", columns, rows, remark, formats, key_columns=2)


def limits_sheet(plan: PlanRows) -> Sheet | None:
    """Return every capacity, budget and rule: how much is used and what one more is worth."""
    columns, scenario = plan.with_period(LIMIT_COLUMNS, 1), plan.source.scenario
    at, rows = letters_of(columns), []
    entries = plan.source.document["limits"]
    for place, entry in enumerate(entries[: plan.most]):
        limit, used, r = f"{at['is']}{FIRST + place}", f"{at['used']}{FIRST + place}", FIRST + place
        share: float | str = entry["used"] / entry["limit"] if entry["limit"] else ""
        plain, when = split_period(scenario.periods, entry["name"])
        period = [when.removeprefix(" in ") or IN_ALL] if scenario.periods is not None else []
        rows.append([
            limit_words(scenario, plain), *period, entry["name"], entry["limit"], entry["used"],
            Formula(f'=IF({limit}=0,"",{used}/{limit})', share), _left(at, r, entry),
            "at its limit" if entry["binding"] else None, number(entry["shadow_price"]),
            entry["step"] if entry["shadow_price"] is not None else None,
            entry["unit"], *(entry[end] if entry["binding"] else None for end in ("from", "to")),
        ])  # fmt: skip
    if not rows:
        return None
    left = len(entries) - len(rows)
    more = f"; {left:,} are left out, all are in limits.csv" if left else ""
    remark = f"Shadow price: what one more of the limit is worth, within the range in which it holds{more}"
    return Sheet("Limits", "What holds the plan back", columns, rows, remark)


def _left(at: Mapping[str, str], row: int, entry: Mapping[str, Any]) -> Field:
    """Return what is left of a limit; nothing of one that binds, whatever the solver's last digits say."""
    if entry["name"].startswith("rules."):  # some of them are to be exceeded
        return None
    limit, used, binding = (f"{at[name]}{row}" for name in ("is", "used", "binding"))
    left = 0.0 if entry["binding"] else entry["limit"] - entry["used"]
    return Formula(f'=IF({binding}="",{limit}-{used},0)', left)


def initiatives_sheet(plan: PlanRows) -> Sheet | None:
    """Return the level of each initiative, what it uses and what it adds to each goal."""
    source, graph, scenario = plan.source, plan.source.graph, plan.source.scenario
    initiatives = list(scenario.initiatives.values())
    if not initiatives:
        return None
    resources = list(dict.fromkeys(r for i in initiatives for r in i.resources))
    goals = source.document["goals"][:MOST_GOALS_BESIDE]
    effects = source.effect_on_goals()
    columns = plan.with_period((
        Column("initiative"), Column("unit"), Column("level", "plain"), Column("at most", "plain"),
        Column("share", "share", "bar"), *(Column(f"uses {r}", "plain") for r in resources),
        *(Column(f"adds to {goal_title(source, g)}", "plain", width=14) for g in goals),
    ), 2, "begins in")  # fmt: skip
    at, rows = letters_of(columns), list[list[Field]]()
    used = {r: use_of_levels(graph, source.levels, r) for r in resources}
    units = scenario.units.place if len(scenario.units.place) else np.arange(len(scenario.units))
    order = np.lexsort((graph.level_start, units[graph.level_unit], graph.level_initiative))[: plan.most]
    for place, i in enumerate(order.tolist()):
        initiative, level = initiatives[int(graph.level_initiative[i])], float(source.levels[i])
        r, adds = FIRST + place, [float(effects[g["goal"]][graph.level_node[i]]) * level for g in goals]
        share: float | str = level / initiative.maximum if initiative.maximum else ""
        rows.append([
            initiative.name, scenario.units.names[int(graph.level_unit[i])], *plan.when(int(graph.level_start[i])),
            level, initiative.maximum,
            Formula(f'=IF({at["at most"]}{r}=0,"",{at["level"]}{r}/{at["at most"]}{r})', share),
            *(float(used[x][i]) if x in initiative.resources else None for x in resources), *adds,
        ])  # fmt: skip
    left = len(graph.level_unit) - len(rows)
    more = f"; {left:,} are left out, all are in initiatives.csv" if left else ""
    remark = f"What a level adds to a goal's plan value, along all paths of the map{more}"
    return Sheet("Initiatives", "Initiatives", columns, rows, remark, key_columns=2)


def pay_sheet(plan: PlanRows) -> Sheet | None:
    """Return the variable pay of each unit."""
    drawn, units = plan.source.simulation, plan.source.scenario.units
    if drawn is None or drawn.pay is None:
        return None
    pay, at, rows = drawn.pay, letters_of(PAY_COLUMNS), list[list[Field]]()
    for place, i in enumerate(units.order_in_file(pay.units).tolist()[: plan.most]):
        unit, planned, mean, r = int(pay.units[i]), float(pay.unit_plan[i]), float(pay.unit_mean[i]), FIRST + place
        p, m = f"{at['pay at plan']}{r}", f"{at['mean over draws']}{r}"
        share: float | str = mean / planned if planned else ""
        rows.append([
            units.ids[unit], units.names[unit], planned, float(pay.unit_all_hit[i]), mean,
            Formula(f'=IF({p}=0,"",{m}/{p})', share),
        ])  # fmt: skip
    left = len(pay.units) - len(rows)
    more = f"; {left:,} units are left out" if left else ""
    currency = f", {plan.source.scenario.currency}" if plan.source.scenario.currency else ""
    return Sheet("Pay", f"Variable pay{currency}", PAY_COLUMNS, rows, f"Confidential: pay of single units{more}",
                 key_columns=2)  # fmt: skip


def rules_sheet(plan: PlanRows) -> Sheet | None:
    """Return this plan and those that rules would give, judged by the same draws."""
    rules, document = plan.source.document["rules"], plan.source.document
    if not rules:
        return None
    met = sum(g["met"] for g in document["goals"])
    ours = {"goals_met": met, "all_goals": document["all_goals"], "pay": document["pay"], "broken_limits": []}
    rows: list[list[Field]] = []
    for name, judged in (("this plan", ours), *rules.items()):
        odds, broken = judged["all_goals"] or {}, judged["broken_limits"]
        names = ", ".join(limit_words(plan.source.scenario, limit["name"]) for limit in broken[:6])
        rows.append([
            name, judged["goals_met"], *odds_fields(odds.get("estimate"), odds.get("low"), odds.get("high")),
            judged["pay"]["plan"] if judged["pay"] else None, number(judged.get("worst_stretch")), len(broken),
            f"{names} …" if len(broken) > 6 else names,
        ])  # fmt: skip
    remark = (
        f"Of {len(document['goals'])} goals; the plan that a spreadsheet's rule would give, judged by the same draws"
    )
    return Sheet("Rules", "Beside the plans of simple rules", RULE_COLUMNS, rows, remark)


def proof_sheet(plan: PlanRows) -> Sheet:
    """Return the certificate of each step and what rounding had to give up."""
    rows: list[list[Field]] = []
    for step in plan.source.document["steps"]:
        proof = step["certificate"]
        name = f"{step['step']} {step['priority']}" if "priority" in step else step["step"]
        rows.append([
            name, step["value"], step["unit"], f"{proof['primal_residual']:.1e}", gap_words(proof["relative_gap"]),
            "yes" if proof["passed"] else "no",
        ])  # fmt: skip
    remark = f"Each step was checked without the solver; check it again: kpiopt verify {plan.source.name}"
    return Sheet("Proof", "Proof of each step", PROOF_COLUMNS, rows, remark)
