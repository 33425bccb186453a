"""Rebuild the model on fitted baselines.

    python models/adventureworks/write_fitted.py

fits `model.toml` to `history_months.csv` with `kpiopt fit`, and writes into `fitted/` what that learned, and
`fitted/model.toml`: what follows from the fitted baselines by arithmetic (ratios at the company, what 1 % of a market
is worth), and `fitted/quarters.toml`: the seasons of a plan by quarter. Joint draws and the page are left out;
`kpiopt fit` makes them again.
"""

from __future__ import annotations

import csv
import tomllib
from itertools import combinations
from pathlib import Path

from derive import TERRITORY_GROUPS, ratio_at_company
from history import HERE, read_sellers, slug

from kpiopt.cli import main

GROUPS = [slug(group).replace("-", "_") for group in TERRITORY_GROUPS]
LEFT_OUT = ("draws.parquet", "fit.html", "execution.csv")


def fit(folder: Path) -> None:
    """Run `kpiopt fit` as a planner would; `fitted.toml` names the model relative to where it stands."""
    words = ["fit", HERE / "history_months.csv", "--model", HERE / "model.toml", "--out", folder]
    if code := main([str(word) for word in words]):
        raise SystemExit(code)
    for name in LEFT_OUT:
        (folder / name).unlink(missing_ok=True)


def fitted_baselines(folder: Path) -> dict[tuple[str, str], float]:
    """Return the mean of each cell's horizon, by unit and KPI."""
    with (folder / "baselines.csv").open(encoding="utf-8", newline="") as lines:
        return {(row["unit"], row["kpi"]): float(row["mean"]) for row in csv.DictReader(lines)}


def write_model(folder: Path) -> None:
    """Write the document that a scenario extends."""
    baseline, sellers = fitted_baselines(folder), read_sellers()
    sales, orders, lines = (
        sum(v for (_, k), v in baseline.items() if k == kpi) for kpi in ("sales", "orders", "lines")
    )
    text = [
        "# Written by write_fitted.py; change that, not this. What `kpiopt fit` learned stands in fitted.toml.",
        "schema = 1",
        'name = "AdventureWorks on fitted baselines"',
        'extends = "fitted.toml"',
        "",
        "# 1 % of the group's fitted sales for each 1 % of its market",
    ]
    for group in map(slug, TERRITORY_GROUPS):
        total = sum(baseline[seller.id, "sales"] for seller in sellers if seller.group == group)
        text += [f"[kpi.sales.drivers.market_{group.replace('-', '_')}]", f"contribution = {total / 100:.0f}"]
    text += [
        "",
        "# Markets move in what the noise of baselines has in common (fitted.toml); they are not counted twice.",
        *(f"[factor.market_{group}]\nvalue = 0" for group in GROUPS),
        "[correlation]",
        *(f'"factor.market_{a} ~ factor.market_{b}" = 0' for a, b in combinations(GROUPS, 2)),
        "",
        "# Neither was ever below 0, whatever orders and lines do in a draw.",
        "[kpi.sales]\nmin = 0\n[kpi.lines]\nmin = 0",
        "",
        f"# Ratios at the company: {sales:,.0f} USD, {orders:,.0f} orders, {lines:,.0f} lines, and their change.",
        *ratio_at_company("order_value", "sales", sales, orders),
        *ratio_at_company("lines_per_order", "lines", lines, orders),
    ]
    (folder / "model.toml").write_bytes(("\n".join(text) + "\n").encode())


def write_quarters(folder: Path) -> None:
    """Write the fitted seasons of months as those of the quarters from June on."""
    months = tomllib.loads((folder / "seasons.toml").read_text(encoding="utf-8"))["kpi"]
    text = ["# Written by write_fitted.py: seasons.toml by quarter, from June on.", "schema = 1"]
    for kpi, entry in months.items():
        season = [sum(entry["season"][i : i + 3]) for i in range(0, 12, 3)]
        text.append(f"[kpi.{kpi}]\nseason = [{', '.join(f'{share:.4f}' for share in season)}]")
    (folder / "quarters.toml").write_bytes(("\n".join(text) + "\n").encode())


if __name__ == "__main__":
    target = HERE / "fitted"
    fit(target)
    write_model(target)
    write_quarters(target)
    for path in target.iterdir():
        path.chmod(0o644)
