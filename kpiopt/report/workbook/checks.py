"""Checks that a reader can follow: what stands in one sheet is what another comes to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from kpiopt.report.workbook.rows import PlanRows, number
from kpiopt.report.workbook.sheet import FIRST, Column, Field, Formula, Sheet, letters_of
from kpiopt.report.workbook.targets import target_in

CHECK_COLUMNS = (
    Column("check", width=64), Column("one side", "plain"), Column("other side", "plain"),
    Column("tolerance", "plain"), Column("difference", "plain"), Column("result", "text", "wrong"),
)  # fmt: skip
TOLERANCE = 1e-9

Check = tuple[str, Formula, Formula | float]


def checks_sheet(plan: PlanRows, sheets: Mapping[str, Sheet], trees: Mapping[str, int]) -> Sheet:
    """Return a sheet of formulas that tie the other sheets together.

    Parameters
    ----------
    sheets : mapping of str to Sheet
        By name.
    trees : mapping of str to int
        Name of a KPI's sheet -> position of the KPI.
    """
    found = [
        *(check for name, position in trees.items() for check in _tree_checks(plan, sheets, name, position)),
        *_period_checks(sheets), *_goal_checks(plan, sheets),
        *_limit_checks(sheets), *_pay_checks(plan, sheets), *_count_checks(plan, sheets),
    ]  # fmt: skip
    at, rows = letters_of(CHECK_COLUMNS), list[list[Field]]()
    for place, (what, one, other) in enumerate(found):
        r = FIRST + place
        one_value, other_value = float(one.value), float(other.value if isinstance(other, Formula) else other)
        tolerance = TOLERANCE * max(1.0, abs(one_value), abs(other_value))
        difference = one_value - other_value if abs(one_value - other_value) > tolerance else 0.0
        a, b, e, d = (f"{at[name]}{r}" for name in ("one side", "other side", "tolerance", "difference"))
        rows.append([
            what, one, other, Formula(f"={TOLERANCE:.0E}*MAX(1,ABS({a}),ABS({b}))", tolerance),
            Formula(f"=IF(ABS({a}-{b})<={e},0,{a}-{b})", difference),
            Formula(f'=IF({d}=0,"OK","DIFFERS")', "DIFFERS" if difference else "OK"),
        ])  # fmt: skip
    remark = "Every line is a formula over the other sheets: change a number there, and its line says DIFFERS"
    return Sheet("Checks", "Checks that tie out", CHECK_COLUMNS, rows, remark)


def overall(checks: Sheet) -> Formula:
    """Return one word for all checks, as a formula."""
    results = checks.span("result")
    agree = all(isinstance(row[-1], Formula) and row[-1].value == "OK" for row in checks.rows)
    text = f'=IF(COUNTIF({results},"OK")=ROWS({results}),"All checks tie out","Some checks do not tie out")'
    return Formula(text, "All checks tie out" if agree else "Some checks do not tie out")


def _tree_checks(plan: PlanRows, sheets: Mapping[str, Sheet], name: str, position: int) -> Iterator[Check]:
    """The last units and what is nobody's add up to the organization; its row is that of the targets table."""
    sheet, kpi, targets = sheets[name], plan.kpis[position], sheets["Targets"]
    tops = plan.tops(position)
    if len(tops) != 1:
        return
    row, graph = plan.row_at[tops[0]], plan.source.graph
    nodes = plan.nodes[graph.kpi[plan.nodes] == position].tolist()
    wanted = [(header, header, row) for header in ("baseline", "plan", "target")]
    wanted += [
        (target_in(period), "target", plan.row_at[plan.at_period(tops[0], t)]) for t, period in enumerate(plan.periods)
    ]
    for header, field, row in wanted:
        top = number(plan.rows[row][field])
        if top is None or row not in plan.chosen:
            continue
        here = Formula(f"={sheet.cell(header, 0)}", top)
        yield (
            f"{kpi.name}: {header} here and in Targets",
            here,
            Formula(f"={targets.cell(field, plan.chosen.index(row))}", top),
        )
        cushioned = field == "target" and any(plan.rows[plan.row_at[n]].get("over_assignment") for n in nodes)
        if kpi.roll_up == "sum" and not cushioned:
            leaves = _leaves(sheet, header)
            text = f"=SUMPRODUCT({sheet.span('last')},{sheet.span(header)})"
            yield f"{kpi.name}: {header} of the last units, and what is nobody's, add up", Formula(text, leaves), here
    if kpi.roll_up == "mean" and not any(plan.rows[plan.row_at[n]].get("over_assignment") for n in nodes):
        text = f"=SUM({sheet.span('beyond')})"
        yield (
            f"{kpi.name}: targets that differ from the mean of those below by more than rounding",
            Formula(text, sum(_values(sheet, "beyond"))), 0.0,
        )  # fmt: skip


def _leaves(sheet: Sheet, header: str) -> float:
    """Return the sum of a column over the last rows of a tree."""
    headers = [c.header for c in sheet.columns]
    last, at = headers.index("last"), headers.index(header)
    return sum(_value(row[at]) for row in sheet.rows if row[last])


def _value(field: Field) -> float:
    value = field.value if isinstance(field, Formula) else field
    return float(value) if isinstance(value, float | int) else 0.0


def _period_checks(sheets: Mapping[str, Sheet]) -> Iterator[Check]:
    """The periods come to the horizon, at every unit."""
    periods = sheets.get("Periods")
    if periods:
        text = f"=SUM({periods.span('differs')})"
        yield "Targets that those of the periods do not come to", Formula(text, sum(_values(periods, "differs"))), 0.0


def _goal_checks(plan: PlanRows, sheets: Mapping[str, Sheet]) -> Iterator[Check]:
    """The plan values of goals are those of their nodes in the targets table."""
    goals, targets = sheets["Goals"], sheets["Targets"]
    places = {row: i for i, row in enumerate(plan.chosen)}
    for i, goal in enumerate(plan.source.document["goals"]):
        row = plan.row_at[plan.source.goal_node(goal)]
        if row in places:
            here = Formula(f"={goals.cell('plan', i)}", goal["plan"])
            there = Formula(f"={targets.cell('plan', places[row])}", float(plan.rows[row]["plan"]))
            yield f"Goal {goals.rows[i][0]}: plan in Goals and in Targets", here, there


def _limit_checks(sheets: Mapping[str, Sheet]) -> Iterator[Check]:
    """No limit is used beyond what it is."""
    limits = sheets.get("Limits")
    if limits:
        over = sum(left < 0 for left in _values(limits, "left"))
        text = f'=COUNTIF({limits.span("left")},"<0")'
        yield "Limits that are used beyond what they are", Formula(text, float(over)), 0.0


def _pay_checks(plan: PlanRows, sheets: Mapping[str, Sheet]) -> Iterator[Check]:
    """Pay of the units adds up to the pay of the plan."""
    pay, drawn = sheets.get("Pay"), plan.source.simulation
    if pay and drawn is not None and drawn.pay is not None and len(pay.rows) == len(drawn.pay.units):
        total = sum(_values(pay, "pay at plan"))
        what = "Pay at plan: the units add up to the plan's"
        yield what, Formula(f"=SUM({pay.span('pay at plan')})", total), float(plan.source.document["pay"]["plan"])


def _values(sheet: Sheet, header: str) -> Sequence[float]:
    at = [c.header for c in sheet.columns].index(header)
    return [_value(row[at]) for row in sheet.rows]


def _count_checks(plan: PlanRows, sheets: Mapping[str, Sheet]) -> Iterator[Check]:
    """No target was lost on the way."""
    targets = sheets["Targets"]
    count = Formula(f"=COUNTA({targets.span('unit id')})", float(len(targets.rows)))
    yield "Rows in Targets, of those that the plan has", count, float(len(plan.chosen))
