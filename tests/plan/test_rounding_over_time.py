"""Rounded targets of what builds up: what they ask of every period is worked out from the targets alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import kpiopt


def stock(seed: int) -> str:
    """Write an organization whose skill fades, with time that binds and promises for single periods."""
    random = np.random.default_rng(seed)
    count, carry = int(random.integers(2, 5)), random.choice([0.25, 0.5, 0.8, 1.0])
    names = [f"P{t}" for t in range(count)]
    lines = [f'schema = 1\nname = "fading"\nperiods = {names}'.replace("'", '"')]
    lines += [f'[kpi.skill]\nkind = "stock"\ncarry = {carry}\nstep = {random.choice([1, 2])}', "[unit.co]"]
    for i in range(int(random.integers(1, 4))):
        lines += [f'[unit.t{i}]\nparent = "co"\ncapacity.hours = {count * int(random.integers(2, 12))}']
        base = round(float(random.uniform(20, 60)), 2)
        lines += [f'[cell."t{i}/skill"]\nbaseline = {base}\nmax_stretch = {round(base / 2, 2)}\neffort.hours = 3']
    for name in names:
        if random.random() < 0.7:
            lines += [f'[goal.{name}]\nkpi = "skill"\nperiod = "{name}"\ntarget = {int(random.integers(60, 200))}']
    return "\n".join([*lines, "[goal.skill]\ntarget = 150", ""])


@pytest.mark.parametrize("seeds", [range(12), pytest.param(range(12, 200), marks=pytest.mark.nightly)], ids=str)
def test_limits_hold_for_rounded_targets_of_what_builds_up(tmp_path: Path, seeds: range) -> None:
    path, tight, rounded = tmp_path / "scenario.toml", 0, 0
    for seed in seeds:
        path.write_text(stock(seed), "utf-8")
        scenario = kpiopt.load(path)
        run = kpiopt.solve(scenario, simulate=False)
        table, carry = run.targets, scenario.periods.carry[0]
        for unit, hours in zip(scenario.units.ids[1:], scenario.units.capacity["hours"][1:], strict=True):
            rows = table.filter((table["unit"] == unit) & table["period"].is_not_null())
            built = (rows["target"] - rows["baseline"]).to_numpy()
            worked = built - carry * np.append(0.0, built[:-1])  # what is still there need not be done again
            left = hours / len(built) - 3.0 * np.maximum(worked, 0.0)
            assert left.min() >= -1e-7 * hours, (seed, unit, left)
            tight += int(left.min() < 3.0)
        target = table.filter(table["period"].is_not_null()).pivot("period", index="unit", values="target").drop("unit")
        whole = target.to_numpy()
        assert np.allclose(whole[0], whole[1:].sum(axis=0), rtol=1e-12), seed
        if "W-rounding-refused" not in [note.code for note in run.plan.notes]:
            rounded += 1
            assert np.all(whole % scenario.kpi_step[0] == 0.0), seed
    assert tight >= len(seeds)
    assert rounded >= len(seeds) / 2
