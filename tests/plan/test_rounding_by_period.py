"""Rounding by period under capacities: what is taken back of a period stays within the range over the horizon."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest

import kpiopt


def crew(seed: int) -> str:
    """Write people whose hours bind in every period, with several flows and little stretch over the horizon."""
    random = np.random.default_rng(seed)
    lines = ['schema = 1\nname = "crew"\nperiods = ["Q1", "Q2", "Q3", "Q4"]', '[decide]\norder = ["goals"]']
    kpis = [f"k{i}" for i in range(3)]
    lines += [f"[kpi.{kpi}]\nstep = 1" for kpi in kpis] + ["[unit.co]"]
    for i in range(4):
        lines += [f'[unit.p{i}]\nparent = "co"\ncapacity.hours = {round(float(random.uniform(8, 30)), 2)}']
        for kpi in kpis:
            base = round(float(random.uniform(50, 150)), 2)
            lines += [f'[cell."p{i}/{kpi}"]\nbaseline = {base}\nmax_stretch = {round(base * 0.2, 2)}']
            lines += [f"effort.hours = {round(float(random.uniform(0.5, 2.0)), 3)}"]
    lines += [f"[goal.{kpi}]\ntarget = {int(random.integers(480, 560))}" for kpi in kpis]
    return "\n".join(lines)


@pytest.mark.parametrize("seeds", [range(4), pytest.param(range(4, 150), marks=pytest.mark.nightly)], ids=str)
def test_hours_by_period_refuse_no_step_that_ranges_over_the_horizon_leave(tmp_path: Path, seeds: range) -> None:
    path, tight = tmp_path / "scenario.toml", 0
    for seed in seeds:
        path.write_text(crew(seed), "utf-8")
        scenario = kpiopt.load(path)
        run = kpiopt.solve(scenario, simulate=False)
        assert "W-rounding-refused" not in [note.code for note in run.plan.notes], seed
        cell = {(u, k, p): v for u, k, p, v in run.targets.select("unit", "kpi", "period", "target").iter_rows()}
        assert all(value % 1.0 == 0.0 for value in cell.values()), seed
        people, quarters = scenario.units.ids[1:], scenario.periods.names
        for kpi, quarter in product(scenario.kpi_ids, (*quarters, None)):
            assert cell["co", kpi, quarter] == sum(cell[p, kpi, quarter] for p in people)
        base = {
            (scenario.units.ids[u], scenario.kpi_ids[k]): (b, least, most, effort)
            for u, k, b, least, most, effort in zip(
                scenario.horizon.unit,
                scenario.horizon.kpi,
                scenario.horizon.baseline,
                scenario.horizon.min_stretch,
                scenario.horizon.max_stretch,
                scenario.horizon.effort["hours"],
                strict=True,
            )
        }
        for (person, kpi), (baseline, least, most, _) in base.items():
            year = cell[person, kpi, None]
            assert year == sum(cell[person, kpi, quarter] for quarter in quarters)
            assert np.floor(baseline + least) <= year <= baseline + most + 1e-6, (seed, person, kpi)
        hours = dict(zip(people, scenario.units.capacity["hours"][1:].tolist(), strict=True))
        for person, quarter in product(people, quarters):
            used = sum(
                effort * max(cell[p, kpi, quarter] - baseline / 4, 0.0)
                for (p, kpi), (baseline, _, _, effort) in base.items()
                if p == person
            )
            assert used <= hours[person] / 4 * (1 + 1e-7), (seed, person, quarter)
            tight += used > hours[person] / 4 - 1.0
    assert tight >= len(seeds)


@pytest.mark.parametrize(("step", "halves", "notes"), [("1", [3.0, 3.0], ["W-rounding-total"]), ("0.5", None, [])])
def test_no_half_is_asked_for_more_than_the_range_of_the_year(tmp_path: Path, step, halves, notes) -> None:
    """7 would be nearest to 6.75, but a half of 4 asks for 0.855 of the 0.74 that the year has; a finer step helps."""
    path = tmp_path / "scenario.toml"
    lines = ['schema = 1\nname = "halves"\nperiods = ["H1", "H2"]', f"[kpi.s]\nstep = {step}", "[unit.co]"]
    lines += ['[unit.t]\nparent = "co"', '[cell."t/s"]\nbaseline = 6.29\nmax_stretch = 0.74', "[goal.s]\ntarget = 6.75"]
    path.write_text("\n".join([*lines, ""]), "utf-8")
    run = kpiopt.solve(kpiopt.load(path), simulate=False)
    company = run.targets.filter(run.targets["unit"] == "co")
    by_half = company.filter(company["period"].is_not_null())["target"].to_list()
    assert by_half == halves or halves is None
    year = company.filter(company["period"].is_null())["target"].item()
    assert year == sum(by_half)
    assert (abs(year - 6.75) <= float(step) / 2.0) == (not notes)
    assert [note.code for note in run.plan.notes if note.code.startswith("W-rounding")] == notes
