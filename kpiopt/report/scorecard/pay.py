"""What pays what: a unit's variable pay at some attainments, as in the draws, with every target attained alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kpiopt.graph.initiative_use import use_of_levels
from kpiopt.report.charts.pay_curve import pay_curve_figure
from kpiopt.report.numbers import amount, percent
from kpiopt.report.page.page import PageFigure, PageTable
from kpiopt.report.page.source import ReportSource
from kpiopt.scenario.scenario import Kpi
from kpiopt.simulation.payout import payout_share

SHOWN = (0.9, 1.0, 1.1)
TOGETHER = (0.8, 0.9, 1.0, 1.1, 1.2)
CURVE = np.linspace(0.6, 1.4, 81)


@dataclass(frozen=True, slots=True)
class PaidCell:
    """A cell that variable pay depends on; amounts of money in the scenario's currency.

    Attributes
    ----------
    weight : float
        Share of the target incentive.
    rate : float
        Pay for one more of the unit's own improvement.
    """

    kpi: Kpi
    target: float
    stretch: float
    weight: float
    rate: float

    def actual(self, attainment: float) -> float:
        """Return the value that is some attainment of the target."""
        return self.target * (attainment if self.kpi.sign > 0 else 2.0 - attainment)

    def commission(self, attainment: float) -> float:
        """Return what own improvement pays, as if the whole difference to the target came from it."""
        improved = self.stretch + self.kpi.sign * (self.actual(attainment) - self.target)
        return self.rate * max(0.0, improved)


@dataclass(frozen=True, slots=True)
class UnitPay:
    """How a unit is paid.

    Attributes
    ----------
    incentive : float
        Target incentive.
    plan : str
        Id of its pay plan, empty for pay in proportion to attainment.
    initiatives : float
        What its initiatives use of pay, whatever is attained.
    """

    source: ReportSource
    incentive: float
    plan: str
    cells: tuple[PaidCell, ...]
    initiatives: float

    def share(self, attainment: float) -> float:
        """Return the share of target incentive that an attainment earns."""
        plan = self.source.scenario.pay_plans[self.plan] if self.plan else None
        return float(payout_share(plan, np.array([attainment]))[0])

    def of(self, cell: PaidCell, attainment: float) -> float:
        """Return what one target pays at an attainment."""
        return self.incentive * cell.weight * self.share(attainment) + cell.commission(attainment)

    def total(self, attainment: float) -> float:
        """Return what all targets pay, each attained alike."""
        return sum(self.of(cell, attainment) for cell in self.cells) + self.initiatives


def unit_pay(source: ReportSource, unit: int) -> UnitPay | None:
    """Return how a unit is paid; None where nothing that it does changes its pay."""
    graph, cells, units = source.graph, source.scenario.cells, source.scenario.units
    incentive = float(np.nan_to_num(units.target_incentive[unit]))
    kpis, paid = list(source.scenario.kpis.values()), []
    for cell in np.flatnonzero(cells.unit == unit).tolist():
        weight = float(np.nan_to_num(cells.weight[cell])) if incentive else 0.0
        rate, target = float(np.nan_to_num(cells.pay_rate[cell])), float(source.targets[graph.cell_node[cell]])
        if weight or rate:
            paid.append(PaidCell(kpis[cells.kpi[cell]], target, float(source.stretch[cell]), weight, rate))
    if not paid:
        return None
    uses = use_of_levels(graph, source.levels, "pay")
    spent = float(uses[graph.level_unit == unit].sum())
    return UnitPay(source, incentive, units.pay_plans[unit], tuple(paid), spent)


def pay_blocks(pay: UnitPay) -> Iterator[PageFigure | PageTable]:
    """Return the curve of all targets together, and what each pays at some attainments."""
    currency = pay.source.scenario.currency
    curve = [(float(a), pay.total(float(a))) for a in CURVE]
    rows = [(percent(a, 0), amount(pay.total(a), currency)) for a in TOGETHER]
    table = PageTable("", ("every target attained to", "pay"), rows)
    yield PageFigure("What attainment pays", pay_curve_figure(curve, [(a, pay.total(a)) for a in SHOWN], currency),
                     f"all targets alike{f', {currency}' if currency else ''}", table=table)  # fmt: skip
    columns = ["target", "weight", *(f"{part} {percent(a, 0)}" for a in SHOWN for part in ("is at", "pays at"))]
    rows_of_cells = [
        (cell.kpi.name, percent(cell.weight, 0) if cell.weight else "",
         *(text for a in SHOWN for text in (amount(cell.actual(a), cell.kpi.unit, cell.kpi.step),
                                            amount(pay.of(cell, a), currency))))
        for cell in pay.cells
    ]  # fmt: skip
    total = ("all together", "", *(text for a in SHOWN for text in ("", amount(pay.total(a), currency))))
    yield PageTable("What pays what", columns, [*rows_of_cells, total], note=" ".join(_notes(pay)))


def _notes(pay: UnitPay) -> Iterator[str]:
    currency = pay.source.scenario.currency
    if pay.incentive:
        yield f"Your target incentive is {amount(pay.incentive, currency)}; it is split by the weights."
    down = [cell.kpi.name for cell in pay.cells if cell.kpi.sign < 0]
    if down:
        yield f"Lower is better for {', '.join(down)}: there, 90 % is a value 10 % above the target."
    rated = [cell for cell in pay.cells if cell.rate]
    if rated:
        names = ", ".join(f"{amount(c.rate, currency)} per {c.kpi.unit or 'one more'} of {c.kpi.name}" for c in rated)
        yield f"Paid for your own improvement: {names}; the table takes the difference to the target as yours."
    if pay.initiatives:
        yield f"{amount(pay.initiatives, currency)} are spent on your initiatives, whatever is attained."
