"""What pays what: a unit's variable pay at some attainments, as in the draws, with every target attained alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
    periods : tuple of (str, float)
        Name and target of each, where every period is paid by itself.
    """

    kpi: Kpi
    target: float
    stretch: float
    weight: float
    rate: float
    periods: tuple[tuple[str, float], ...] = ()

    def actual(self, attainment: float, target: float | None = None) -> float:
        """Return the value that is some attainment of the target, or of that of a period."""
        target = self.target if target is None else target
        return target * (attainment if self.kpi.sign > 0 else 2.0 - attainment)

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
    graph, cells, units = source.graph, source.scenario.horizon, source.scenario.units
    incentive = float(np.nan_to_num(units.target_incentive[unit]))
    kpis, paid = list(source.scenario.kpis.values()), []
    for cell in np.flatnonzero(cells.unit == unit).tolist():
        weight = float(np.nan_to_num(cells.weight[cell])) if incentive else 0.0
        rate, node = float(np.nan_to_num(cells.pay_rate[cell])), int(graph.whole_node[cell])
        periods = _paid_periods(source, unit, node) if weight else ()
        if weight or rate:
            target, stretch = float(source.targets[node]), float(source.whole_stretch[cell])
            paid.append(PaidCell(kpis[cells.kpi[cell]], target, stretch, weight, rate, periods))
    if not paid:
        return None
    uses = use_of_levels(graph, source.levels, "pay")
    spent = float(uses[graph.level_unit == unit].sum())
    return UnitPay(source, incentive, units.pay_plans[unit], tuple(paid), spent)


def _paid_periods(source: ReportSource, unit: int, node: int) -> tuple[tuple[str, float], ...]:
    """Return the periods with the targets that they are paid by; none where the horizon is paid."""
    scenario, name = source.scenario, source.scenario.units.pay_plans[unit]
    if scenario.periods is None or not name or not scenario.pay_plans[name].by_period:
        return ()
    kpi = scenario.kpi_ids[source.graph.kpi[node]]
    nodes = [source.graph.find_node(kpi, unit, t) for t in range(len(scenario.periods))]
    return tuple((n, float(source.targets[at])) for n, at in zip(scenario.periods.names, nodes, strict=True))


def _rows(pay: UnitPay, cell: PaidCell) -> Iterator[tuple[str, ...]]:
    """Yield what a target pays at some attainments; where periods are paid, each of them, then own improvement."""
    currency, kpi = pay.source.scenario.currency, cell.kpi

    def row(name: str, weight: str, target: float, paid: Callable[[float], float]) -> tuple[str, ...]:
        fields = ((amount(cell.actual(a, target), kpi.unit, kpi.step), amount(paid(a), currency)) for a in SHOWN)
        return (name, weight, *(text for pair in fields for text in pair))

    if not cell.periods:
        yield row(kpi.name, percent(cell.weight, 0) if cell.weight else "", cell.target, lambda a: pay.of(cell, a))
        return
    part = cell.weight / len(cell.periods)
    for name, target in cell.periods:
        yield row(f"{kpi.name}, {name}", percent(part, 1), target, lambda a: pay.incentive * part * pay.share(a))
    if cell.rate:
        yield row(f"{kpi.name}, your own improvement", "", cell.target, cell.commission)


def pay_blocks(pay: UnitPay) -> Iterator[PageFigure | PageTable]:
    """Return the curve of all targets together, and what each pays at some attainments."""
    currency = pay.source.scenario.currency
    curve = [(float(a), pay.total(float(a))) for a in CURVE]
    rows = [(percent(a, 0), amount(pay.total(a), currency)) for a in TOGETHER]
    table = PageTable("", ("every target attained to", "pay"), rows)
    yield PageFigure("What attainment pays", pay_curve_figure(curve, [(a, pay.total(a)) for a in SHOWN], currency),
                     f"all targets alike{f', {currency}' if currency else ''}", table=table)  # fmt: skip
    columns = ["target", "weight", *(f"{part} {percent(a, 0)}" for a in SHOWN for part in ("value at", "pay at"))]
    rows_of_cells = [row for cell in pay.cells for row in _rows(pay, cell)]
    total = ("all together", "", *(text for a in SHOWN for text in ("", amount(pay.total(a), currency))))
    yield PageTable("What pays what", columns, [*rows_of_cells, total], note=" ".join(_notes(pay)))


def _notes(pay: UnitPay) -> Iterator[str]:
    currency = pay.source.scenario.currency
    if pay.incentive:
        yield f"Your target incentive is {amount(pay.incentive, currency)}; it is split by the weights."
    count = max((len(cell.periods) for cell in pay.cells), default=0)
    if count:
        yield f"Each of the {count} periods is paid by itself, with an equal part of it."
    down = [cell.kpi.name for cell in pay.cells if cell.kpi.sign < 0]
    if down:
        yield f"Lower is better for {', '.join(down)}: there, 90 % is a value 10 % above the target."
    rated = [cell for cell in pay.cells if cell.rate]
    if rated:
        names = ", ".join(f"{amount(c.rate, currency)} per {c.kpi.unit or 'one more'} of {c.kpi.name}" for c in rated)
        yield f"Paid for your own improvement: {names}; the table takes the difference to the target as yours."
    if pay.initiatives:
        yield f"{amount(pay.initiatives, currency)} are spent on your initiatives, whatever is attained."
