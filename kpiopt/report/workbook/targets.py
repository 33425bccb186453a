"""Who is asked what: all targets as one table, and each KPI that is split among units as a tree that adds up."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np

from kpiopt.errors import printable
from kpiopt.report.numbers import with_unit
from kpiopt.report.workbook.rows import PlanRows, Row, is_same, number, odds_fields
from kpiopt.report.workbook.sheet import FIRST, Bars, Column, Field, Formula, Sheet, letters_of

MOST_TREES, MOST_BARS, MOST_PIECES, LONGEST_FORMULA = 12, 20, 200, 4000
NOBODY = "nobody's: causes above the units"

TARGET_COLUMNS = (
    Column("unit id"), Column("unit"), Column("KPI"), Column("in"), Column("better", width=8),
    Column("baseline", "number"), Column("plan", "number"), Column("target", "number"),
    Column("change asked", "number"), Column("growth asked", "share", "growth"), Column("stretch", "number"),
    Column("least stretch", "number"), Column("most stretch", "number"), Column("used of range", "share", "heat"),
    Column("headroom", "number"), Column("reference", "number"), Column("odds", "odds", "bar"),
    Column("odds from", "odds"), Column("odds to", "odds"), Column("stopped by", "text", "red"),
    Column("nobody's", "number"), Column("lock reason"), Column("lock owner"), Column("cushion", "share"),
)  # fmt: skip
PERIOD_COLUMNS = (
    Column("unit id"), Column("unit"), Column("KPI"), Column("in"), Column("over the periods", width=12),
    Column("target", "number"),
)  # fmt: skip
HOW = {"flow": "adds up", "rate": "a mean", "stock": "a level"}
TREE_COLUMNS = (
    Column("unit"), Column("unit id"),
    Column("baseline", "number"), Column("target", "number"), Column("change asked", "number"),
    Column("growth asked", "share", "growth"), Column("plan", "number"), Column("stretch", "number"),
    Column("most stretch", "number"), Column("used of range", "share", "heat"), Column("headroom", "number"),
    Column("odds", "odds", "bar"), Column("odds from", "odds"), Column("odds to", "odds"),
    Column("stopped by", "text", "red"), Column("counts", "share", width=9), Column("last", "flag", width=6),
)  # fmt: skip
MEAN_COLUMNS = (Column("mean below", "number"), Column("by rounding", "number"), Column("beyond", "flag", width=8))
"""For what is a mean: what the targets below come to, what rounding makes of it, and whether it is more than that."""


def targets_sheet(plan: PlanRows) -> Sheet:
    """Return all targets as one table, the columns of targets.csv with what follows from them."""
    graph, scenario = plan.source.graph, plan.source.scenario
    columns = plan.with_period(TARGET_COLUMNS, 3)
    at, rows, formats = letters_of(columns), [], []
    for place, i in enumerate(plan.chosen):
        row, node = plan.rows[i], int(plan.nodes[i])
        kpi = plan.kpis[int(graph.kpi[node])]
        values = {name: number(row[name]) for name in ("baseline", "plan", "target", "stretch", "reference", "odds")}
        low, high = number(row["min_stretch"]), number(row["max_stretch"])
        rows.append([
            row["unit"], scenario.units.names[int(graph.unit[node])], kpi.name,
            *plan.when(int(graph.period[node])), kpi.unit,
            "higher" if kpi.sign > 0 else "lower", values["baseline"], values["plan"], values["target"],
            *_asked(at, FIRST + place, values["baseline"], values["target"]), values["stretch"], low, high,
            *_room(at, FIRST + place, values["stretch"], low, high), values["reference"],
            *odds_fields(values["odds"], row["odds_low"], row["odds_high"]), plan.stopped_by(row),
            number(row["unassigned"]) or None, row["lock_reason"], row["lock_owner"],
            row.get("over_assignment"),
        ])  # fmt: skip
        formats.append(plan.number_formats[int(graph.kpi[node])])
    left = len(plan.nodes) - len(rows)
    more = f"; {left:,} rows further down are left out, all are in targets.csv" if left else ""
    remark = f"{len(rows):,} rows; plan: what can be expected; target: what is asked{more}"
    return Sheet("Targets", "All targets", columns, rows, remark, formats, key_columns=3 + bool(plan.periods))


def periods_sheet(plan: PlanRows) -> Sheet | None:
    """Return every target with those of its periods beside it, and what these come to; None without periods."""
    if not plan.periods:
        return None
    graph, scenario = plan.source.graph, plan.source.scenario
    columns = (*PERIOD_COLUMNS, *(Column(target_in(name), "number") for name in plan.periods),
               Column("periods come to", "number"), Column("differs", "flag", width=8))  # fmt: skip
    at, rows, formats = letters_of(columns), list[list[Field]](), list[str]()
    for i in plan.chosen:
        node = int(plan.nodes[i])
        if graph.period[node] >= 0:
            continue
        kpi, r = plan.kpis[int(graph.kpi[node])], FIRST + len(rows)
        target = number(plan.source.targets[node])
        amounts = [number(plan.source.targets[plan.at_period(node, t)]) for t in range(len(plan.periods))]
        rows.append([
            plan.rows[i]["unit"], scenario.units.names[int(graph.unit[node])], kpi.name, kpi.unit, HOW[kpi.kind],
            target, *amounts, *_come_to(at, r, kpi.kind, target, amounts, plan.periods),
        ])  # fmt: skip
        formats.append(plan.number_formats[int(graph.kpi[node])])
    remark = "Targets by period; what adds up comes to the target in all, of a level the last period's is the target"
    return Sheet("Periods", "Targets by period", columns, rows, remark, formats, key_columns=3)


def target_in(period: str) -> str:
    """Return the header of a column of targets in a period."""
    return f"target {period}"


def _come_to(
    at: dict[str, str], row: int, kind: str, target: float | None, amounts: list[float | None], names: Sequence[str]
) -> list[Field]:
    """Return what the targets of the periods come to, and 1 where that is not the target; nothing for a mean."""
    if kind == "rate" or target is None or any(a is None for a in amounts):
        return [None, None]
    known = [a for a in amounts if a is not None]
    total = sum(known) if kind == "flow" else known[-1]
    places = [f"{at[target_in(name)]}{row}" for name in names]
    t, p = f"{at['target']}{row}", f"{at['periods come to']}{row}"
    differs = float(not is_same(target, total, 1.0))
    return [
        Formula(f"=SUM({','.join(places)})" if kind == "flow" else f"={places[-1]}", total),
        Formula(f"=IF(ABS({t}-{p})<=1E-09*MAX(1,ABS({t}),ABS({p})),0,1)", differs),
    ]


def _asked(at: dict[str, str], row: int, baseline: float | None, target: float | None) -> list[Field]:
    """Return what is asked over the baseline, and as a share of it."""
    if baseline is None or target is None:
        return [None, None]
    b, t = f"{at['baseline']}{row}", f"{at['target']}{row}"
    growth: float | str = (target - baseline) / abs(baseline) if baseline else ""
    return [Formula(f"={t}-{b}", target - baseline), Formula(f'=IF({b}=0,"",({t}-{b})/ABS({b}))', growth)]


def _room(at: dict[str, str], row: int, stretch: float | None, low: float | None, high: float | None) -> list[Field]:
    """Return how much of its range a stretch takes, and what is left."""
    if stretch is None or high is None:
        return [None, None]
    x, most = f"{at['stretch']}{row}", f"{at['most stretch']}{row}"
    left = Formula(f"={most}-{x}", high - stretch)
    least = f"{at['least stretch']}{row}" if "least stretch" in at else ""
    if low is None:
        return [None, left]
    low = low if least else 0.0
    share: float | str = (stretch - low) / (high - low) if high > low else ""
    return [Formula(f'=IF({most}>{least or 0},({x}-{least or 0})/({most}-{least or 0}),"")', share), left]


def tree_sheets(plan: PlanRows) -> tuple[list[Sheet], list[int], int]:
    """Return a sheet for each of the first KPIs that are split among units, their positions, and how many are left."""
    found = list(plan.cascades())
    names: list[str] = []
    for position in found[:MOST_TREES]:
        names.append(sheet_name(plan.kpis[position].name, names))
    rows = max(50, plan.most // max(1, len(names)))
    sheets = [_Tree(plan, p, name, rows).sheet() for p, name in zip(found, names, strict=False)]
    return sheets, found[:MOST_TREES], len(found) - len(names)


def sheet_name(text: str, taken: Sequence[str]) -> str:
    """Return a name that Excel takes for a sheet, unlike those that are taken: letters, digits and blanks."""
    plain = re.sub(r"[^\w .%-]+", " ", printable(text)).strip(" .'") or "KPI"
    reserved = {"history", "summary", "goals", "targets", "periods", "limits", "odds", "initiatives", "pay", "rules",
                "checks", "proof", *(name.casefold() for name in taken)}  # fmt: skip
    name = plain[:28].strip()
    for count in range(2, len(reserved) + 3):
        if name.casefold() not in reserved:
            break
        name = f"{plain[:24].strip()} ({count})"
    return name


class _Tree:
    """One KPI along the organization: each unit above is a formula over the rows below it."""

    def __init__(self, plan: PlanRows, position: int, name: str, most: int) -> None:
        self.plan, self.kpi, self.position, self.name = plan, plan.kpis[position], position, name
        self.is_sum = self.kpi.roll_up == "sum"
        by_period = (Column(target_in(period), "number") for period in plan.periods)
        means = () if self.is_sum else MEAN_COLUMNS
        self.columns = (*TREE_COLUMNS[:4], *by_period, *means, *TREE_COLUMNS[4:])
        self.at = letters_of(self.columns)
        self.order: list[tuple[int, int, bool]] = []  # node, depth, whether it is what is nobody's there
        depth = self._deepest(most)
        for top in plan.tops(position):
            self._walk(top, 0, depth)
        self.children = self._below()

    def _deepest(self, most: int) -> int:
        """Return how deep the tree can be shown with so many rows."""
        row, total, depth = self.plan.tops(self.position), 0, 0
        while row:
            total += len(row)
            if total > most:
                return max(1, depth - 1)
            row, depth = [child for node in row for child in self.plan.below.get(node, ())], depth + 1
        return depth

    def _walk(self, top: int, depth: int, deepest: int) -> None:
        stack = [(top, depth, False)]
        while stack:
            node, depth, nobody = stack.pop()
            self.order.append((node, depth, nobody))
            if nobody or depth >= deepest or not self.plan.below.get(node):
                continue
            rest = [(node, depth + 1, True)] if self._has_nobody(node) else []
            stack += [*rest, *((child, depth + 1, False) for child in reversed(self.plan.below[node]))]

    def _has_nobody(self, node: int) -> bool:
        """Whether something of plan or target is nobody's at a unit, in some period."""
        return any(any(self._nobody(node, t)) for t in range(-1, len(self.plan.periods)))

    def _nobody(self, node: int, period: int = -1) -> tuple[float, float]:
        """Return what of plan and target is nobody's at a unit."""
        row = self._fields(node, period)
        asked = row["unassigned_target"] if self.is_sum or period >= 0 else self.plan.nobody_asked(node)
        return number(row["unassigned"]) or 0.0, number(asked) or 0.0

    def _fields(self, node: int, period: int) -> Row:
        """Return the row of the targets table of a unit, in a period or of the horizon."""
        return self.plan.rows[self.plan.row_at[node if period < 0 else self.plan.at_period(node, period)]]

    def sheet(self) -> Sheet:
        """Return the sheet."""
        rows = [self._row(i) for i in range(len(self.order))]
        formats = [self.plan.number_formats[self.position]] * len(rows)
        graph, nodes = self.plan.source.graph, self.plan.nodes
        everywhere = int(np.count_nonzero((graph.kpi[nodes] == self.position) & (graph.period[nodes] < 0)))
        hidden = everywhere - sum(not nobody for _, _, nobody in self.order)
        how = "" if self.is_sum else ", weighted by the column counts; targets are rounded each on its own"
        what = "sum" if self.is_sum else "mean"
        more = f"; {hidden:,} units further down are left out" if hidden else ""
        title = with_unit(self.kpi.name, self.kpi)
        cushion = ", but for targets with a cushion" if self.plan.source.document.get("over_assignment") else ""
        remark = f"Each unit is the {what} of the indented rows below it{cushion}{how}{more}."
        return Sheet(self.name, title, self.columns, rows, remark, formats,
                     [depth for _, depth, _ in self.order], [bool(below) for below in self.children],
                     charts=tuple(self._charts(rows)))  # fmt: skip

    def _below(self) -> list[list[int]]:
        """Return for each row the rows that roll up to it."""
        found: list[list[int]] = [[] for _ in self.order]
        path: list[int] = []
        for i, (_, depth, _) in enumerate(self.order):
            del path[depth:]
            if path:
                found[path[-1]].append(i)
            path.append(i)
        return found

    def _row(self, i: int) -> list[Field]:
        node, depth, nobody = self.order[i]
        row = self.plan.rows[self.plan.row_at[node]]
        counts = 1.0 if nobody or not depth else float(self.plan.share_above[node])
        if nobody:
            more, more_asked = self._nobody(node)
            later = [self._nobody(node, t)[1] if self.is_sum else None for t in range(len(self.plan.periods))]
            return [NOBODY, "", 0.0, more_asked, *later,
                    *[None] * (2 if self.is_sum else 5), more, *[None] * 8, counts, 1.0]  # fmt: skip
        children = self.children[i]
        baseline, plan, target = (number(row[name]) for name in ("baseline", "plan", "target"))
        low, stretch, high = number(row["min_stretch"]), number(row["stretch"]), number(row["max_stretch"])
        return [
            self.plan.unit_name(node), row["unit"],
            self._rolled("baseline", children, baseline),
            self._rolled("target", children, target) if self.is_sum else target, *self._by_period(node, children),
            *self._below_a_mean(i, target),
            *_asked(self.at, FIRST + i, baseline, target), self._rolled("plan", children, plan), stretch, high,
            *_room(self.at, FIRST + i, stretch, low, high),
            *odds_fields(row["odds"], row["odds_low"], row["odds_high"]), self.plan.stopped_by(row),
            counts, 0.0 if children else 1.0,
        ]  # fmt: skip

    def _by_period(self, node: int, children: list[int]) -> Iterator[Field]:
        """Yield the target in each period."""
        for t in range(len(self.plan.periods)):
            target = number(self._fields(node, t)["target"])
            yield self._rolled("target", children, target, t) if self.is_sum else target

    def _below_a_mean(self, i: int, target: float | None) -> list[Field]:
        """Return for a mean what the targets below come to, what rounding adds to that, and 1 where it cannot."""
        children = self.children[i]
        if self.is_sum or target is None or not children:
            return [] if self.is_sum else [None] * 3
        text, parts = self._over("target", children)
        if not text:
            return [None] * 3
        mean = sum(parts)
        r, rounded = FIRST + i, target - mean
        by = f"{self.at['by rounding']}{r}"
        most = self.most_rounding
        return [Formula(text, mean), Formula(f"={self.at['target']}{r}-{self.at['mean below']}{r}", rounded),
                Formula(f"=IF(ABS({by})<={most:.9E},0,1)", float(abs(rounded) > most))]  # fmt: skip

    @cached_property
    def most_rounding(self) -> float:
        """By how much rounding can part a target from the mean of those below: twice what it moves one at most."""
        graph, nodes = self.plan.source.graph, self.plan.nodes
        nodes = nodes[(graph.kpi[nodes] == self.position) & (graph.period[nodes] < 0)]
        target, asked = self.plan.source.targets[nodes], self.plan.asked[nodes]
        return float(2.0 * np.nanmax(np.abs(target - asked)) + 1e-9 * max(1.0, np.nanmax(np.abs(target))))

    def _amount(self, name: str, i: int, period: int = -1) -> float:
        """Return an amount of a row, as its own number."""
        node, _, nobody = self.order[i]
        if nobody:
            plan, target = self._nobody(node, period)
            return {"baseline": 0.0, "plan": plan, "target": target}[name]
        return number(self._fields(node, period)[name]) or 0.0

    def _rolled(self, name: str, children: list[int], value: float | None, period: int = -1) -> Field:
        """Return an amount as a formula over the rows below, where it is what they come to."""
        if not children or value is None:
            return value
        text, parts = self._over(name, children, period)
        if not text:
            return value
        return Formula(text, value) if is_same(sum(parts), value, sum(map(abs, parts))) else value

    def _over(self, name: str, children: list[int], period: int = -1) -> tuple[str, list[float]]:
        """Return a formula over rows below, "" where it would be too long, and what each of them adds to it."""
        counts = [1.0 if self.is_sum or self.order[j][2] else float(self.plan.share_above[self.order[j][0]])
                  for j in children]  # fmt: skip
        parts = [self._amount(name, j, period) * c for j, c in zip(children, counts, strict=True)]
        pieces = list(_runs(children))
        column = self.at[name if period < 0 else target_in(self.plan.periods[period])]
        weight = self.at["counts"]
        if self.is_sum:
            text = f"=SUM({','.join(_span(column, *run) for run in pieces)})"
        else:
            text = "=" + "+".join(f"SUMPRODUCT({_span(column, *run)},{_span(weight, *run)})" for run in pieces)
        return "" if len(pieces) > MOST_PIECES or len(text) > LONGEST_FORMULA else text, parts

    def _charts(self, rows: list[list[Field]]) -> Iterator[Bars]:
        """Draw the first level that has several units."""
        depths = [depth for _, depth, _ in self.order]
        level = next((d for d in range(max(depths) + 1) if depths.count(d) > 1), 0)
        shown = [i for i, d in enumerate(depths) if d == level and not self.order[i][2]][:MOST_BARS]
        if level == 0 or len(shown) < 2:
            return
        series = []
        for name in ("baseline", "target"):
            values = [Formula(f"={self.at[name]}{FIRST + i}", self._amount(name, i)) for i in shown]
            series.append((name, values))
        names = [Formula(f"={self.at['unit']}{FIRST + i}", str(rows[i][0])) for i in shown]
        yield Bars("Baseline and target by unit", names, series, self.plan.number_formats[self.position])


def _runs(rows: list[int]) -> Iterator[tuple[int, int]]:
    """Yield first and last of each run of rows that follow each other."""
    start = previous = rows[0]
    for row in rows[1:]:
        if row != previous + 1:
            yield start, previous
            start = row
        previous = row
    yield start, previous


def _span(column: str, first: int, last: int) -> str:
    cell = f"{column}{FIRST + first}"
    return cell if first == last else f"{cell}:{column}{FIRST + last}"
