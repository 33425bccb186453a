"""Derive the numbers of the AdventureWorks model from its history.

    python models/adventureworks/derive.py

reads `data/` and writes `units.csv`, `cells.csv`, `estimates.toml` (contributions, uncertainty) and `derived.json`
(every estimate with its standard error and the number of observations). Same input, same bytes. Needs NumPy only.
What is estimated and what is assumed: README.md; assumed numbers stand in `Assumptions` and nowhere else.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import numpy as np
from history import (
    FULL_QUARTERS,
    HERE,
    LAST_YEAR,
    ROOT,
    TWO_YEARS,
    Floats,
    Months,
    Quarters,
    Seller,
    read_months,
    read_quarters,
    read_sellers,
    read_territories,
    slug,
    write_rows,
)
from numpy.typing import NDArray

TERRITORY_GROUPS = ("North America", "Europe", "Pacific")
QUARTERS_A_YEAR = 4
Z95 = 1.6448536269514722


@dataclass(frozen=True)
class Assumptions:
    """What the data do not hold. Change them here, run the script, and every table follows."""

    hours_free: float = 270.0
    """Hours a year that a representative can shift to new effort: 15 % of 1,800."""
    hours_per_order: float = 12.0
    """Hours to win one more order: half of 1,800 hours make about 110 orders, 8 hours each; new ones cost half more."""
    hours_per_line: float = 0.5
    """Hours to place one more product on an order that is made anyway."""
    hours_per_usd: float = 0.0005
    """Hours of negotiation for one more USD at the same orders and lines: one hour for 2,000 USD."""


@dataclass(frozen=True)
class Estimate:
    """A number from the history with its standard error."""

    value: float
    standard_error: float
    observations: int


@dataclass(frozen=True)
class Derived:
    """Everything that is estimated.

    Attributes
    ----------
    lines_per_order, usd_per_line : Estimate
        Contributions of orders to lines and of lines to sales.
    usd_per_order : Estimate
        Direct estimate of what an order is worth; only to check the chain orders -> lines -> sales.
    execution : Estimate
        Share of planned growth that was realised.
    execution_sd : float
        Standard deviation of that share from quarter to quarter, all sellers together.
    baseline_sd, market_sd : float
        Standard deviation of a seller's year of sales around its baseline (share of it), and of the common market (%).
    orders_share, lines_share : float
        Shares of the variance of a seller's sales that come by orders, and by lines beyond those; the rest is value.
    growth_of_orders, loss_of_value : float
        Median growth of orders of established sellers, and fall of USD per line, last year over the year before.
    """

    lines_per_order: Estimate
    usd_per_line: Estimate
    usd_per_order: Estimate
    execution: Estimate
    execution_sd: float
    baseline_sd: float
    market_sd: float
    orders_share: float
    lines_share: float
    growth_of_orders: float
    loss_of_value: float


def demean(values: Floats, groups: list[NDArray[np.int64]]) -> Floats:
    """Return the residuals of a regression on dummies of all groups (the within transformation), (n,) float."""
    dummies = np.concatenate([np.eye(group.max() + 1)[group] for group in groups], axis=1)
    fitted: Floats = dummies @ np.linalg.lstsq(dummies, values, rcond=None)[0]
    return values - fitted


def estimate_slope(y: Floats, x: Floats, cluster: NDArray[np.int64]) -> Estimate:
    """Least squares through the origin with a cluster-robust standard error.

    Parameters
    ----------
    y, x : (n,) float
    cluster : (n,) int
        Observations of one cluster (a seller) may depend on each other.

    References
    ----------
    Liang and Zeger (1986), DOI 10.1093/biomet/73.1.13, with the factor G / (G - 1) for G clusters.
    """
    slope = float(x @ y / (x @ x))
    score = np.bincount(cluster, x * (y - slope * x))
    n_clusters = len(np.unique(cluster))
    variance = score @ score / (x @ x) ** 2 * n_clusters / (n_clusters - 1)
    return Estimate(slope, float(np.sqrt(variance)), len(y))


def within(months: Months, values: Floats) -> Floats:
    """Deviations within sellers and months: what differs for good between either of them drops out."""
    groups = [np.unique(labels, return_inverse=True)[1] for labels in (months.key, months.month)]
    return demean(values, groups)


def estimate_contribution(effect: Floats, cause: Floats, months: Months) -> Estimate:
    """Slope of effect on cause within sellers and months."""
    seller = np.unique(months.key, return_inverse=True)[1]
    return estimate_slope(within(months, effect), within(months, cause), seller)


def explained_share(effect: Floats, cause: Floats, months: Months) -> float:
    """Share of the variance of effect that its cause explains within sellers and months (squared correlation)."""
    return float(np.corrcoef(within(months, effect), within(months, cause))[0, 1] ** 2)


def yearly_growth(quarters: Quarters) -> tuple[Floats, Floats, Floats, NDArray[np.int64]]:
    """Return planned growth, realised growth, sales before (USD) and seller of each seller-year with a year before.

    Planned growth is quota less the sales of the same quarters a year ago. The second year has three full quarters.
    """
    found: list[tuple[float, float, float, int]] = []
    for first in range(QUARTERS_A_YEAR, FULL_QUARTERS, QUARTERS_A_YEAR):
        year = slice(first, min(first + QUARTERS_A_YEAR, FULL_QUARTERS))
        before = quarters.sales[:, year.start - QUARTERS_A_YEAR : year.stop - QUARTERS_A_YEAR].sum(axis=1)
        quota, sales = quarters.quota[:, year].sum(axis=1), quarters.sales[:, year].sum(axis=1)
        complete = np.flatnonzero(~np.isnan(before))
        found += [(quota[i] - before[i], sales[i] - before[i], before[i], int(i)) for i in complete]
    planned, realised, before, seller = (np.array(column) for column in zip(*found, strict=True))
    return planned, realised, before, seller.astype(np.int64)


def estimate_execution_sd(quarters: Quarters) -> float:
    """Standard deviation over quarters of the slope of realised on planned growth, all sellers together."""
    before = quarters.sales[:, :-QUARTERS_A_YEAR]
    planned = np.nan_to_num(quarters.quota[:, QUARTERS_A_YEAR:] - before)
    realised = np.nan_to_num(quarters.sales[:, QUARTERS_A_YEAR:] - before)
    slope = (planned * realised).sum(axis=0) / (planned**2).sum(axis=0)
    return float(np.std(slope, ddof=1))


def estimate_market_sd(quarters: Quarters) -> float:
    """Standard deviation, in %, of the yearly change that continuing sellers have in common.

    The common change of a quarter is the median over sellers of log sales over the same quarter a year before. The
    first quarter is left out: it compares with the sellers' first one. Four independent quarters make a year.
    """
    change = np.log(quarters.sales[:, QUARTERS_A_YEAR:] / quarters.sales[:, :-QUARTERS_A_YEAR])
    common = np.median(change[~np.isnan(change).any(axis=1)], axis=0)[1:]
    return float(100 * np.std(common, ddof=1) / np.sqrt(QUARTERS_A_YEAR))


def totals_by_seller(months: Months, values: Floats) -> dict[int, float]:
    """EmployeeKey -> sum."""
    keys, seller = np.unique(months.key, return_inverse=True)
    return dict(zip(keys.tolist(), np.bincount(seller, values).tolist(), strict=True))


def estimate_limits(months: Months) -> tuple[float, float]:
    """Median growth of orders over sellers with 11 months or more in both years, and fall of USD per line in all."""
    year, before = months.between(*LAST_YEAR), months.between(TWO_YEARS[0], "2019-05")
    new, old = totals_by_seller(year, year.orders), totals_by_seller(before, before.orders)
    active = totals_by_seller(before, np.ones(len(before.key)))
    growth = [new[key] / old[key] - 1 for key in sorted(old) if active[key] >= 11]
    value = [float(part.sales.sum() / part.lines.sum()) for part in (before, year)]
    return float(np.median(growth)), 1 - value[1] / value[0]


def derive(months: Months, quarters: Quarters) -> Derived:
    """Estimate everything."""
    window = months.between(*TWO_YEARS)
    planned, realised, before, seller = yearly_growth(quarters)
    execution = estimate_slope(realised, planned, seller)
    residual = realised - execution.value * planned
    market_sd = estimate_market_sd(quarters)
    seller_variance = float(residual @ residual / (before @ before)) - (market_sd / 100) ** 2
    growth, loss = estimate_limits(months)
    by_orders = explained_share(window.sales, window.orders, window)
    return Derived(
        lines_per_order=estimate_contribution(window.lines, window.orders, window),
        usd_per_line=estimate_contribution(window.sales, window.lines, window),
        usd_per_order=estimate_contribution(window.sales, window.orders, window),
        execution=execution,
        execution_sd=estimate_execution_sd(quarters),
        baseline_sd=float(np.sqrt(seller_variance)),
        market_sd=market_sd,
        orders_share=by_orders,
        lines_share=explained_share(window.sales, window.lines, window) - by_orders,
        growth_of_orders=growth,
        loss_of_value=loss,
    )


def write_units(sellers: list[Seller], assumed: Assumptions) -> None:
    """Write company, groups, territories and sellers."""
    rows = [[ROOT, "AdventureWorks", "", "company", "", "", "", ""]]
    rows += [[slug(group), group, ROOT, "group", "", "", "", ""] for group in TERRITORY_GROUPS]
    for name, group in read_territories().values():
        rows.append([slug(name), name, slug(group), "territory", "", "", "", ""])
    for seller in sellers:
        sells = seller.role == "representative"
        bonus, plan = (f"{seller.bonus:g}", "bonus") if seller.bonus else ("", "")
        hours = f"{assumed.hours_free:g}" if sells else ""
        rows.append([seller.id, seller.name, seller.parent, "person", seller.role, bonus, plan, hours])
    header = ["unit", "name", "parent", "level", "role", "target_incentive", "pay_plan", "capacity.hours"]
    write_rows(HERE / "units.csv", header, rows)


def ninety_percent_range(mean: float, sd: float, decimals: int) -> str:
    """Return the 5 % and 95 % points of the lognormal distribution with a given mean and sd, as "a to b"."""
    variance = np.log1p((sd / mean) ** 2)
    middle, reach = np.log(mean) - variance / 2, Z95 * np.sqrt(variance)
    return f"{np.exp(middle - reach):.{decimals}f} to {np.exp(middle + reach):.{decimals}f}"


def write_cells(sellers: list[Seller], months: Months, derived: Derived, assumed: Assumptions) -> None:
    """Write three cells a seller, and for representatives a fourth: training days, none so far.

    The uncertainty of a seller's sales comes by orders, by lines and by value as it did in the months of two years.
    Commission is a share of sales. Stretch in orders and lines pays the commission on the sales they bring.
    """
    year = months.between(*LAST_YEAR)
    totals = [totals_by_seller(year, values) for values in (year.sales, year.orders, year.lines)]
    line, order = derived.usd_per_line.value, derived.lines_per_order.value * derived.usd_per_line.value
    shares = 1 - derived.orders_share - derived.lines_share, derived.orders_share, derived.lines_share
    rows = []
    for seller in sellers:
        sells = seller.role == "representative"
        sales_sd = derived.baseline_sd * totals[0][seller.key]
        for kpi, total, share, worth, hours, decimals in zip(
            ("sales", "orders", "lines"),
            totals,
            shares,
            (1.0, order, line),
            (assumed.hours_per_usd, assumed.hours_per_order, assumed.hours_per_line),
            (0, 3, 2),
            strict=True,
        ):
            baseline = ninety_percent_range(total[seller.key], np.sqrt(share) * sales_sd / worth, decimals)
            pay = f"{seller.commission * worth:.6g}" if sells else ""
            weight = "1" if seller.bonus and kpi == "sales" else ""
            rows.append([seller.id, kpi, baseline, pay, weight, f"{hours:g}" if sells else ""])
        if sells:
            rows.append([seller.id, "training_days", "0", "", "", ""])
    write_rows(HERE / "cells.csv", ["unit", "kpi", "baseline", "pay_rate", "weight", "effort.hours"], rows)


def driver_at_person(estimate: Estimate, decimals: int) -> str:
    """Return a driver with its standard error, acting on each person's own cell."""
    normal = f"{estimate.value:.{decimals}f}, {estimate.standard_error:.{decimals}f}"
    return f'{{ contribution = {{ normal = [{normal}] }}, at = "person" }}'


def ratio_at_company(kpi: str, above: str, amount: float, orders: float) -> list[str]:
    """Return a KPI that is amount / orders: baseline and the two derivatives."""
    return [
        f"[kpi.{kpi}]",
        f"baseline = {amount / orders:.7g}",
        f"[kpi.{kpi}.drivers]",
        f"{above} = {1 / orders:.6g}        # 1 / orders",
        f"orders = {{ contribution = {-amount / orders**2:.6g}, trade_off = true }}        # - {above} / orders^2",
    ]


def write_estimates(sellers: list[Seller], months: Months, derived: Derived) -> None:
    """Write the part of the model that is estimated, as a document that `model.toml` extends."""
    year = months.between(*LAST_YEAR)
    sales, orders, lines = (float(values.sum()) for values in (year.sales, year.orders, year.lines))
    sold = totals_by_seller(year, year.sales)
    by_group = {slug(g): sum(sold[s.key] for s in sellers if s.group == slug(g)) for g in TERRITORY_GROUPS}
    per_line, per_order = derived.usd_per_line, derived.lines_per_order
    text = [
        "# Written by derive.py from data/; change that, not this. Standard errors and counts: derived.json.",
        "schema = 1",
        "",
        "[kpi.sales.drivers]",
        "# USD per order line, within sellers and months of two years",
        f"lines = {driver_at_person(per_line, 0)}",
        "# 1 % of the group's sales for each 1 % of its market",
    ]
    for group, total in by_group.items():
        text.append(f'market_{group.replace("-", "_")} = {{ contribution = {total / 100:.0f}, at = "{group}" }}')
    text += [
        "",
        f"# A ratio at the company: sales / orders = {sales:,.0f} USD / {orders:,.0f}, and its change to first order.",
        *ratio_at_company("order_value", "sales", sales, orders),
        "",
        "[kpi.lines.drivers]",
        "# lines that come with one more order, within sellers and months of two years",
        f"orders = {driver_at_person(per_order, 2)}",
        "",
        f"# lines / orders = {lines:,.0f} / {orders:,.0f}, in the same way",
        *ratio_at_company("lines_per_order", "lines", lines, orders),
        "",
        "# Year-to-year movement that continuing sellers have in common, in %; 0 on average is a choice, see README.",
    ]
    for group in by_group:
        text += [f"[factor.market_{group.replace('-', '_')}]", f"value = {{ normal = [0, {derived.market_sd:.1f}] }}"]
    text += [
        "",
        "[uncertainty]",
        "# share of the growth over last year that quotas asked for and sellers realised; how it moves by quarter",
        f"execution = {{ normal = [{derived.execution.value:.2f}, {derived.execution_sd:.2f}] }}",
        "",
        "# How far a representative may be stretched over the baseline.",
        "[guardrail.orders]",
        'where = { kpi = "orders", role = "representative" }',
        f"growth = [0, {derived.growth_of_orders:.2f}]        # what the median established seller grew last year",
        "[guardrail.lines]",
        'where = { kpi = "lines", role = "representative" }',
        "growth = [0, 0.05]        # assumed: lines per order have not moved for a year",
        "[guardrail.value]",
        'where = { kpi = "sales", role = "representative" }',
        f"growth = [0, {derived.loss_of_value / 3:.2f}]        # a third of the USD per line lost last year",
    ]
    (HERE / "estimates.toml").write_bytes(("\n".join(text) + "\n").encode())


def main() -> None:
    """Derive and write everything."""
    sellers, months, assumed = read_sellers(), read_months(), Assumptions()
    derived = derive(months, read_quarters())
    write_units(sellers, assumed)
    write_cells(sellers, months, derived, assumed)
    write_estimates(sellers, months, derived)
    record = {"estimated": asdict(derived), "assumed": asdict(assumed), "baseline_year": LAST_YEAR}
    (HERE / "derived.json").write_bytes((json.dumps(record, indent=2) + "\n").encode())


if __name__ == "__main__":
    main()
