"""The AdventureWorks history as arrays: sellers, their months and their quotas. Read by the two deriving scripts."""

from __future__ import annotations

import csv
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
HERE = Path(__file__).parent
DATA = HERE / "data"
ROOT = "adventureworks"
DIRECTOR_KEY = 277
LAST_YEAR = ("2019-06", "2020-05")
TWO_YEARS = ("2018-06", "2020-05")
FULL_QUARTERS = 11


@dataclass(frozen=True)
class Seller:
    """One person who sells, joined over both sources.

    Attributes
    ----------
    key : int
        EmployeeKey.
    parent : str
        Home territory; for a regional manager the group.
    group : str
        Group of that territory.
    commission : float
        Share of sales.
    bonus : float
        USD a year, due if the quota is met.
    """

    key: int
    id: str
    name: str
    role: str
    parent: str
    group: str
    commission: float
    bonus: float


@dataclass(frozen=True)
class Months:
    """Seller-months that have sales, (n,) each."""

    key: NDArray[np.int64]
    month: NDArray[np.str_]
    sales: Floats
    orders: Floats
    lines: Floats

    def between(self, first: str, last: str) -> Months:
        """Return the months from first to last, both included."""
        keep = (self.month >= first) & (self.month <= last)
        return Months(self.key[keep], self.month[keep], self.sales[keep], self.orders[keep], self.lines[keep])


@dataclass(frozen=True)
class Quarters:
    """Quota and sales by seller (rows, sorted by key) and full quarter (columns), NaN where there is none; USD."""

    key: NDArray[np.int64]
    quota: Floats
    sales: Floats


def slug(name: str) -> str:
    """Return an id: lower case, words joined by "-"."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return "-".join(plain.lower().split())


def read_rows(file: str) -> list[dict[str, str]]:
    """Read a comma-separated file with a header."""
    with (DATA / file).open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def read_tab_separated(file: str) -> list[list[str]]:
    """Read a tab-separated file without a header."""
    with (DATA / file).open(encoding="utf-8", newline="") as lines:
        return list(csv.reader(lines, delimiter="\t"))


def read_territories() -> dict[str, tuple[str, str]]:
    """TerritoryID -> (name, group)."""
    return {row[0]: (row[1], row[3]) for row in read_tab_separated("SalesTerritory.csv")}


def pair_sellers() -> dict[str, int]:
    """BusinessEntityID -> EmployeeKey: the only person with the same sum of quotas in the other source."""
    ours: dict[float, int] = {}
    sums: dict[int, float] = {}
    for row in read_rows("quota_vs_actual_quarterly.csv"):
        key = int(row["EmployeeKey"])
        sums[key] = sums.get(key, 0.0) + float(row["quota_usd"])
    for key, total in sums.items():
        ours[total] = key
    theirs: dict[str, float] = {}
    for person, _, quota, *_ in read_tab_separated("SalesPersonQuotaHistory.csv"):
        theirs[person] = theirs.get(person, 0.0) + float(quota)
    if len(ours) != len(sums) or sorted(ours) != sorted(theirs.values()):
        raise ValueError("the quota sums do not pair the sellers of the two sources one to one")
    return {person: ours[total] for person, total in theirs.items()}


def read_homes() -> dict[str, str]:
    """BusinessEntityID -> TerritoryID of the person's latest assignment.

    `TerritoryID` in SalesPerson.csv says otherwise for four people; the sales by territory side with the assignments.
    """
    homes: dict[str, str] = {}
    for person, territory, *_ in sorted(read_tab_separated("SalesTerritoryHistory.csv"), key=lambda row: row[2]):
        homes[person] = territory
    return homes


def read_groups() -> dict[int, str]:
    """EmployeeKey -> the group that holds all territories the person answers for, where it is one."""
    territories = read_territories()
    found: dict[int, set[str]] = {}
    for row in read_rows("SalespersonRegion.csv"):
        group = territories[row["SalesTerritoryKey"]][1]
        found.setdefault(int(row["EmployeeKey"]), set()).add(group)
    return {key: groups.pop() for key, groups in found.items() if len(groups) == 1}


def read_sellers() -> list[Seller]:
    """Return all sellers by id; who has no home territory of their own manages a group and stands under it."""
    names = {int(row["EmployeeKey"]): row["Salesperson"] for row in read_rows("salespeople.csv")}
    territories, homes, groups, pairs = read_territories(), read_homes(), read_groups(), pair_sellers()
    sellers = []
    for person, _, _, bonus, commission, *_ in read_tab_separated("SalesPerson.csv"):
        key = pairs[person]
        home, group = territories[homes[person]] if person in homes else (groups[key], groups[key])
        role = "representative" if person in homes else "manager"
        sellers.append(
            Seller(key, slug(names[key]), names[key], role, slug(home), slug(group), float(commission), float(bonus))
        )
    return sorted(sellers, key=lambda seller: seller.id)


def read_months() -> Months:
    """Return sales, orders and order lines by seller and month."""
    rows = read_rows("actuals_monthly.csv")
    return Months(
        np.array([int(row["EmployeeKey"]) for row in rows]),
        np.array([row["month"] for row in rows]),
        *(np.array([float(row[name]) for row in rows]) for name in ("sales_usd", "orders", "lines")),
    )


def read_quarters() -> Quarters:
    """Return quotas and sales of the quarters that are complete."""
    rows = [row for row in read_rows("quota_vs_actual_quarterly.csv") if int(row["quarter_index"]) < FULL_QUARTERS]
    keys = np.unique([int(row["EmployeeKey"]) for row in rows])
    quota = np.full((len(keys), FULL_QUARTERS), np.nan)
    sales = quota.copy()
    for row in rows:
        at = np.searchsorted(keys, int(row["EmployeeKey"])), int(row["quarter_index"])
        quota[at], sales[at] = float(row["quota_usd"]), float(row["sales_usd"])
    return Quarters(keys, quota, sales)


def write_rows(path: Path, header: list[str], rows: list[list[str]]) -> None:
    """Write a CSV file, the same bytes on every system."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
