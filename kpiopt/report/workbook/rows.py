"""The rows of a plan: the targets table with names, number formats and the tree that it adds up along."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from kpiopt.graph import NodeKind
from kpiopt.plan.limit_names import stopped_words
from kpiopt.plan.plan import asked_inside_bounds
from kpiopt.report.numbers import decimals_of_step
from kpiopt.report.page.source import ReportSource
from kpiopt.report.workbook.sheet import Column
from kpiopt.scenario.scenario import Floats, Integers, Kpi

ALMOST = 1e-9
MOST_DIGITS = 6
IN_ALL = "in all"
"""What stands for the horizon where others name a period."""

Row = dict[str, Any]


@dataclass(frozen=True)
class PlanRows:
    """A plan as rows, and how they stand together.

    Attributes
    ----------
    most : int
        Rows that one table may have.
    """

    source: ReportSource
    most: int

    @cached_property
    def kpis(self) -> list[Kpi]:
        """KPIs by position."""
        return list(self.source.scenario.kpis.values())

    @cached_property
    def nodes(self) -> Integers:
        """Node of each row of the targets table, in its order."""
        graph = self.source.graph
        node = np.flatnonzero(graph.kind == NodeKind.KPI)
        return node[np.lexsort((graph.period[node], graph.kpi[node], graph.unit[node]))]

    @cached_property
    def row_at(self) -> dict[int, int]:
        """Node -> row of the targets table."""
        return {node: row for row, node in enumerate(self.nodes.tolist())}

    @cached_property
    def rows(self) -> list[Row]:
        """All rows of the targets table."""
        return self.source.table.to_dicts()

    @cached_property
    def chosen(self) -> list[int]:
        """Rows that the workbook has: all, or those nearest to the top."""
        if len(self.nodes) <= self.most:
            return list(range(len(self.nodes)))
        depth = self.source.scenario.units.depth[self.source.graph.unit[self.nodes]]
        return sorted(np.argsort(depth, kind="stable")[: self.most].tolist())

    @cached_property
    def number_formats(self) -> list[str]:
        """Number format of each KPI: the decimals of its step, or about four digits."""
        graph, formats = self.source.graph, []
        for position, kpi in enumerate(self.kpis):
            here = self.nodes[graph.kpi[self.nodes] == position]
            values = np.abs(np.concatenate([graph.baseline[here], np.nan_to_num(self.source.targets[here])]))
            formats.append(number_format(kpi.step, float(values.max(initial=0.0))))
        return formats

    @cached_property
    def below(self) -> dict[int, list[int]]:
        """Node -> the nodes of the same KPI that roll up to it, in the order of the file; of the horizon."""
        graph, units = self.source.graph, self.source.scenario.units
        above, found = graph.roll_up_above[0], dict[int, list[int]]()
        tails = np.flatnonzero((above >= 0) & (graph.period < 0))
        for tail in tails[units.order_in_file(graph.unit[tails])].tolist():
            found.setdefault(int(above[tail]), []).append(tail)
        return found

    @cached_property
    def periods(self) -> tuple[str, ...]:
        """Names of the periods; none where the plan has none."""
        periods = self.source.scenario.periods
        return () if periods is None else periods.names

    def at_period(self, node: int, period: int) -> int:
        """Return the node of the same unit and KPI in a period, of the horizon for -1."""
        graph = self.source.graph
        return int(graph.find_nodes(graph.unit[[node]], int(graph.kpi[node]), period)[0])

    def when(self, period: int) -> list[str]:
        """Return the field of a column for the period; none where the plan has no periods."""
        return [self.periods[period] if period >= 0 else IN_ALL] if self.periods else []

    def with_period(self, columns: tuple[Column, ...], after: int, name: str = "period") -> tuple[Column, ...]:
        """Return columns with one for the period, behind so many of them; as they are where there are none."""
        return (*columns[:after], Column(name, width=10), *columns[after:]) if self.periods else columns

    @cached_property
    def asked(self) -> Floats:
        """Targets before rounding, without cushions, (n_nodes,) float."""
        return asked_inside_bounds(self.source.graph, self.source.stretch, self.source.levels)[1]

    def nobody_asked(self, node: int) -> float:
        """Return what of a target before rounding is nobody's: more than those below come to."""
        below = self.below.get(node, [])
        left = float(self.asked[node] - self.share_above[below] @ self.asked[below]) if below else 0.0
        return 0.0 if is_same(left, 0.0, abs(float(self.asked[node]))) else left

    @cached_property
    def share_above(self) -> Floats:
        """What each node counts in the one that it rolls up to, (n_nodes,) float."""
        return self.source.graph.roll_up_above[1]

    def tops(self, position: int) -> list[int]:
        """Return the nodes of a KPI that roll up to nothing."""
        graph = self.source.graph
        own = self.nodes[(graph.kpi[self.nodes] == position) & (graph.period[self.nodes] < 0)]
        return [int(node) for node in own[graph.roll_up_above[0][own] < 0]]

    def cascades(self) -> Iterator[int]:
        """Yield the KPIs that are split among units: those of goals first."""
        goals = dict.fromkeys(goal.kpi for goal in self.source.scenario.goals.values())
        position = self.source.scenario.kpi_position
        for kpi in dict.fromkeys([*goals, *self.source.scenario.kpis]):
            if any(self.below.get(top) for top in self.tops(position[kpi])):
                yield position[kpi]

    def stopped_by(self, row: Row) -> str | None:
        """Return what stops a target in words."""
        return stopped_words(self.source.scenario, row["binding"]) if row["binding"] else None

    def unit_name(self, node: int) -> str:
        """Return the name of a node's unit."""
        return self.source.scenario.units.names[int(self.source.graph.unit[node])]


def number_format(step: float | None, largest: float) -> str:
    """Return the number format of amounts: the decimals of their step, or about four digits of the largest."""
    if step is not None:
        decimals = decimals_of_step(step)
    elif largest >= 1000 or not largest:
        decimals = 0
    else:
        decimals = min(MOST_DIGITS, max(0, 3 - math.floor(math.log10(largest))))
    return "#,##0" + (f".{'0' * decimals}" if decimals else "")


def number(value: Any) -> float | None:
    """Return a number that a cell can hold, None where there is none."""
    return None if value is None or not math.isfinite(value) else float(value)


def is_same(first: float, second: float, size: float = 0.0) -> bool:
    """Whether two amounts are the same but for rounding in their last digits."""
    return abs(first - second) <= ALMOST * max(abs(first), abs(second), size)


def odds_fields(estimate: Any, low: Any, high: Any) -> list[float | str | None]:
    """Return odds with the ends of their interval; as words where they are certain, empty where there are none."""
    if number(estimate) is None:
        return [None, None, None]
    if low == high:
        return ["certain" if estimate else "never", None, None]
    return [number(estimate), number(low), number(high)]
