"""Write the history as `kpiopt fit` and `kpiopt backtest` read it: by month, and by quarter with quotas.

`history_months.csv`: sales, orders and order lines of every seller; a month without sales between the first and the
last is 0. `history_quarters.csv`: sales of the eleven full quarters with the quotas that were set for them.
"""

from __future__ import annotations

import numpy as np
from history import HERE, read_months, read_quarters, read_sellers, write_rows

FIRST_YEAR, FIRST_MONTH, MONTHS = 2017, 7, 35


def month_name(position: int) -> str:
    """Return the name of a month, counted from the first."""
    year, month = divmod(FIRST_MONTH - 1 + position, 12)
    return f"{FIRST_YEAR + year}-{month + 1:02d}"


def month_rows() -> list[list[str]]:
    """Return unit, kpi, period, value for every month from each seller's first to the last."""
    months, names = read_months(), [month_name(i) for i in range(MONTHS)]
    rows = []
    for seller in read_sellers():
        mine = months.key == seller.key
        seen = set(months.month[mine].tolist())
        first = min(names.index(month) for month in seen)
        for kpi, values in (("sales", months.sales), ("orders", months.orders), ("lines", months.lines)):
            at = dict(zip(months.month[mine].tolist(), values[mine].tolist(), strict=True))
            rows += [[seller.id, kpi, name, f"{at.get(name, 0.0):.10g}"] for name in names[first:]]
    return rows


def quarter_rows() -> list[list[str]]:
    """Return unit, kpi, period, value, target for the quarters that are complete."""
    quarters, rows = read_quarters(), []
    for seller in read_sellers():
        at = int(np.searchsorted(quarters.key, seller.key))
        for i, (quota, sales) in enumerate(zip(quarters.quota[at], quarters.sales[at], strict=True)):
            if np.isfinite(sales):
                number = FIRST_YEAR * 4 + 2 + i
                name = f"{number // 4}-Q{number % 4 + 1}"
                rows.append([seller.id, "sales", name, f"{sales:.10g}", f"{quota:.10g}"])
    return rows


if __name__ == "__main__":
    write_rows(HERE / "history_months.csv", ["unit", "kpi", "period", "value"], month_rows())
    write_rows(HERE / "history_quarters.csv", ["unit", "kpi", "period", "value", "target"], quarter_rows())
