"""Write a synthetic cascade of any size: an organization tree, about 5 cells a person, 100 KPIs with causes.

    python benchmarks/generate.py 100000 /tmp/cascade-100k
    kpiopt solve /tmp/cascade-100k/scenario.toml

The same size and seed give the same bytes. Baselines, efforts and capacities are drawn so that about a tenth of the
people have no hours left and the goals of the second priority fall short. Its [sweep] takes the pay budget in 100 steps
from what target incentives leave of it to all of it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

CELLS_PER_PERSON = 5
PEOPLE_PER_TEAM = 10
TEAMS_PER_DEPARTMENT = 20
SWEEP_POINTS = 100
ROLES = ("hunter", "farmer", "service")


def organization(n_people: int) -> list[tuple[str, str, str, str]]:
    """Return (unit, parent, level, role) rows, parents first."""
    rows = [("company", "", "company", "")]
    for team in range(-(-n_people // PEOPLE_PER_TEAM)):
        department = f"d{team // TEAMS_PER_DEPARTMENT:04d}"
        if team % TEAMS_PER_DEPARTMENT == 0:
            rows.append((department, "company", "department", ""))
        rows.append((f"t{team:05d}", department, "team", ""))
        people = range(team * PEOPLE_PER_TEAM, min((team + 1) * PEOPLE_PER_TEAM, n_people))
        rows += [(f"p{p:06d}", f"t{team:05d}", "person", ROLES[p % len(ROLES)]) for p in people]
    return rows


def write_units(path: Path, rows: list[tuple[str, str, str, str]], rng: np.random.Generator) -> int:
    """Write units.csv; people have hours and a target incentive. Return the sum of incentives."""
    total = 0
    lines = ["unit,parent,level,role,target_incentive,capacity.hours"]
    for unit, parent, level, role in rows:
        person = ","
        if level == "person":
            incentive = 1000 + int(rng.integers(0, 50)) * 100
            person = f"{incentive},{rng.uniform(15, 60):.2f}"
            total += incentive
        lines.append(f"{unit},{parent},{level},{role},{person}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return total


def write_cells(path: Path, people: list[str], n_kpis: int, rng: np.random.Generator) -> np.ndarray:
    """Write cells.csv; return the total baseline of each KPI."""
    n = len(people) * CELLS_PER_PERSON
    kpi = np.concatenate([rng.choice(n_kpis, CELLS_PER_PERSON, replace=False) for _ in people])
    baseline, effort, rate = rng.uniform(50, 150, n), rng.uniform(0.5, 2.0, n), rng.uniform(1.0, 3.0, n)
    growth = rng.uniform(0.1, 0.4, n)
    lines = ["unit,kpi,baseline,max_stretch,effort.hours,pay_rate,weight"]
    for i in range(n):
        person = people[i // CELLS_PER_PERSON]
        numbers = f"{baseline[i]:.2f},{baseline[i] * growth[i]:.3f},{effort[i]:.4f},{rate[i]:.4f}"
        lines.append(f"{person},k{kpi[i]:03d},{numbers},{1 / CELLS_PER_PERSON}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return np.bincount(kpi, np.round(baseline, 2), n_kpis)


def write_scenario(
    path: Path, totals: np.ndarray, n_people: int, pay: int, draws: int, rng: np.random.Generator
) -> None:
    """Write scenario.toml: every tenth KPI is an outcome with a goal, driven by nine others at the root."""
    lines = ["schema = 1", f'name = "Synthetic cascade, {n_people} people"', 'currency = "USD"', ""]
    for k in range(len(totals)):
        lines += [f"[kpi.k{k:03d}]", f'name = "KPI {k}"', 'unit = "pieces"', "step = 1"]
        if k % 10 == 0:
            lines += [f"[kpi.k{k:03d}.drivers]"]
            lines += [f"k{j:03d} = {rng.uniform(0.02, 0.2):.4f}" for j in range(k + 1, min(k + 10, len(totals)))]
        lines.append("")
    for k in range(0, len(totals), 5):
        target = totals[k] * (1.10 if k % 10 == 0 else 1.05)
        lines += [f"[goal.k{k:03d}]", f"target = {target:.0f}", f"priority = {1 + (k % 10) // 5}", ""]
    lines += ["[budget.pay]", f"limit = {pay}", "", "[uncertainty]", 'execution = "0.7 to 1.1"']
    lines += ["common = 0.3", "", "[simulation]", f"draws = {draws}", "seed = 7", ""]
    first = pay - 60 * n_people * (SWEEP_POINTS - 1) / SWEEP_POINTS
    axis = f"{{ from = {first:.0f}, to = {pay}, steps = {SWEEP_POINTS} }}"
    lines += ["[sweep]", f'"budget.pay.limit" = {axis}', ""]
    lines += ["[tables]", 'units = "units.csv"', 'cells = "cells.csv"', ""]
    path.write_text("\n".join(lines), encoding="utf-8")


def generate(n_cells: int, folder: Path, *, n_kpis: int | None = None, seed: int = 7, draws: int = 1024) -> Path:
    """Write a scenario of about `n_cells` cells (by default 100 KPIs, fewer in a small one) and return its path."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    n_people = max(n_cells // CELLS_PER_PERSON, 1)
    rows = organization(n_people)
    incentives = write_units(folder / "units.csv", rows, rng)
    n_kpis = n_kpis or min(100, max(CELLS_PER_PERSON, n_people // 2))
    people = [unit for unit, _, level, _ in rows if level == "person"]
    totals = write_cells(folder / "cells.csv", people, n_kpis, rng)
    write_scenario(folder / "scenario.toml", totals, n_people, incentives + 60 * n_people, draws, rng)
    return folder / "scenario.toml"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cells", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    print(generate(arguments.cells, arguments.folder, seed=arguments.seed))
