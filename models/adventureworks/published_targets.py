"""Write the published monthly targets as a document that `kpiopt check` can judge.

    python models/adventureworks/published_targets.py

reads `data/targets_monthly_tidy.csv` and writes `targets/`: the director, the managers under him, the representatives
under the manager of the group that `SalespersonRegion.csv`, of the same source, puts them in; one KPI for each month,
in thousand USD. Nothing is corrected.
"""

from __future__ import annotations

from history import DIRECTOR_KEY, HERE, read_groups, read_rows, read_sellers, slug, write_rows

FOLDER = HERE / "targets"
TARGETS = "targets_monthly_tidy.csv"


def write_units() -> dict[int, str]:
    """Write who reports to whom; return EmployeeKey -> unit id."""
    director = next(r["Salesperson"] for r in read_rows("salespeople.csv") if int(r["EmployeeKey"]) == DIRECTOR_KEY)
    sellers, groups = read_sellers(), read_groups()
    manager_of = {groups[seller.key]: seller.id for seller in sellers if seller.role == "manager"}
    rows = [[slug(director), director, "", "director"]]
    rows += [[s.id, s.name, slug(director), "manager"] for s in sellers if s.role == "manager"]
    rows += [[s.id, s.name, manager_of[groups[s.key]], "representative"] for s in sellers if s.role == "representative"]
    write_rows(FOLDER / "units.csv", ["unit", "name", "parent", "level"], rows)
    return {DIRECTOR_KEY: slug(director)} | {seller.key: seller.id for seller in sellers}


def kpi_of(month: str) -> str:
    """Return the KPI id of a month such as 2019-08."""
    return "target_" + month.replace("-", "_")


def write_cells(unit_of: dict[int, str]) -> list[str]:
    """Write every published figure, by month; return the months."""
    found = [(row["month"], unit_of[int(row["EmployeeKey"])], row["target_kusd"]) for row in read_rows(TARGETS)]
    rows = [[unit, kpi_of(month), f"{float(target):g}"] for month, unit, target in sorted(found)]
    write_rows(FOLDER / "cells.csv", ["unit", "kpi", "baseline"], rows)
    return sorted({month for month, _, _ in found})


def write_model(months: list[str]) -> None:
    """Write the document with one KPI for each month."""
    text = [
        "# Written by published_targets.py; change that, not this.",
        "schema = 1",
        'name = "AdventureWorks published targets"',
        'currency = "USD"',
        "",
    ]
    for month in months:
        text += [f"[kpi.{kpi_of(month)}]", f'name = "Target {month}"', 'unit = "kUSD"', 'roll_up = "sum"', ""]
    text += ["[tables]", 'units = "units.csv"', 'cells = "cells.csv"']
    (FOLDER / "model.toml").write_bytes(("\n".join(text) + "\n").encode())


def main() -> None:
    """Write everything."""
    FOLDER.mkdir(exist_ok=True)
    write_model(write_cells(write_units()))


if __name__ == "__main__":
    main()
