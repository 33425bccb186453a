"""Totals, own cells, and what is nobody's: in the program, in targets.csv and in words."""

from __future__ import annotations

import io
from collections import defaultdict
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from rich.console import Console

import kpiopt
from kpiopt.errors import Infeasible, InputError
from kpiopt.report.summary import render_summary
from kpiopt.run.run import Run
from kpiopt.run.solve import SolveOptions, solve_scenario
from kpiopt.scenario.load import load_scenario
from tests.from_text import run_of
from tests.nights import rest_at_night
from tests.second_linprog import solve_by_linprog

ROOT = Path(__file__).parents[3]
FAULTS = ROOT / "tests" / "data" / "faults"
SHIPPED = sorted((ROOT / "scenarios").glob("*.toml"))

REGIONS = """
schema = 1
name = "Regions"
[kpi.sales]
unit = "USD"
step = 10
drivers.market = { contribution = 20, at = "region" }
[factor.market]
value = 8
[unit.company]
[unit.north]
name = "North"
parent = "company"
level = "region"
[unit.south]
parent = "company"
[unit.ann]
parent = "north"
[unit.bob]
parent = "north"
[cell."north/sales"]
TOTAL
[cell."ann/sales"]
baseline = 1000
max_stretch = 300
[cell."bob/sales"]
baseline = 3000
max_stretch = 300
[cell."south/sales"]
baseline = 1000
max_stretch = 600
[goal.sales]
target = 5760
"""


def row_of(run: Run, unit: str, kpi: str = "sales") -> dict[str, object]:
    return next(row for row in run.targets.to_dicts() if (row["unit"], row["kpi"]) == (unit, kpi))


def test_a_lock_of_an_inner_unit_holds_for_its_total_and_adds_nothing(tmp_path: Path) -> None:
    run = run_of(tmp_path, REGIONS.replace("TOTAL", 'lock = 100\nlock_reason = "rebuilding"\nlock_owner = "Eve"'))
    north = row_of(run, "north")
    assert north["stretch"] == pytest.approx(100.0)
    assert north["plan"] == pytest.approx(4000 + 100 + 160)
    assert (north["lock_reason"], north["lock_owner"], north["binding"]) == ("rebuilding", "Eve", "lock")
    assert north["unassigned"] == pytest.approx(160.0)
    assert row_of(run, "ann")["target"] + row_of(run, "bob")["target"] == 4100.0  # type: ignore[operator]
    assert row_of(run, "company")["plan"] == pytest.approx(5760.0)
    assert "total[north/sales]: 1 stretch[ann/sales] + 1 stretch[bob/sales] = 100" in str(run.cascade.program)


def test_a_range_of_an_inner_unit_holds_for_its_total(tmp_path: Path) -> None:
    run = run_of(tmp_path, REGIONS.replace("TOTAL", "max_stretch = 60"))
    assert row_of(run, "north")["stretch"] == pytest.approx(60.0)
    assert row_of(run, "north")["binding"] == "max_stretch"
    wide = run_of(tmp_path, REGIONS.replace("TOTAL", "max_stretch = 600"))
    assert "total[" not in str(wide.cascade.program)


def test_a_locked_target_of_an_inner_unit_is_its_value(tmp_path: Path) -> None:
    run = run_of(tmp_path, REGIONS.replace("TOTAL", "lock_target = 4230"))
    assert row_of(run, "north")["plan"] == pytest.approx(4230.0)
    assert row_of(run, "north")["target"] == 4230.0
    assert row_of(run, "north")["stretch"] == pytest.approx(70.0)


def test_a_lock_of_a_total_off_the_grid_leaves_one_cell_off_it(tmp_path: Path) -> None:
    run = run_of(tmp_path, REGIONS.replace("TOTAL", "lock = 105").replace("drivers.market", "#"))
    targets = [row_of(run, unit)["target"] for unit in ("north", "ann", "bob")]
    assert targets[0] == 4105.0 and sum(targets[1:]) == 4105.0  # type: ignore[arg-type]
    assert sum(t % 10 == 0 for t in targets[1:]) == 1  # type: ignore[operator]
    assert row_of(run, "south")["target"] % 10 == 0  # type: ignore[operator]


def test_an_own_cell_stands_beside_the_units_below(tmp_path: Path) -> None:
    run = run_of(tmp_path, REGIONS.replace("TOTAL", "own = true\nbaseline = 500\nmax_stretch = 50"))
    own, north = row_of(run, "north, own"), row_of(run, "north")
    assert run.scenario.units.names[run.scenario.units.position["north, own"]] == "North, own"
    assert own["baseline"] == 500.0
    assert north["baseline"] == 4500.0
    below = [row_of(run, unit) for unit in ("north, own", "ann", "bob")]
    assert north["plan"] == pytest.approx(sum(row["plan"] for row in below) + 160)  # type: ignore[misc]
    assert north["target"] == sum(row["target"] for row in below) + 160  # type: ignore[misc]


def test_effort_and_pay_of_a_total_are_refused_a_weight_is_not(tmp_path: Path) -> None:
    for field in ("effort.hours = 1", "pay_rate = 2"):
        with pytest.raises(InputError) as caught:
            run_of(tmp_path, REGIONS.replace("TOTAL", field))
        assert [problem.code for problem in caught.value.problems] == ["E-total-field"]
    run_of(tmp_path, REGIONS.replace("TOTAL", "weight = 1"))


def test_a_contradicting_total_is_mended_in_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(Infeasible) as caught:
        run_of(tmp_path, REGIONS.replace("TOTAL", "lock = 700"))
    said = " ".join(str(problem) for problem in caught.value.problems)
    assert "north/sales" in said
    assert 'cell."north/sales".lock=600' in said


PHANTOM = """
schema = 1
name = "Nobody's market"
[kpi.sales]
unit = "USD"
step = 1
drivers.market = { contribution = 2000, at = "company" SPREAD }
[factor.market]
value = { normal = [8, 4] }
[unit.company]
[unit.ann]
parent = "company"
size = 3
[unit.bob]
parent = "company"
size = 1
[cell."ann/sales"]
baseline = 150_000
max_stretch = 20_000
[cell."bob/sales"]
baseline = 50_000
[goal.sales]
target = 220_000
"""


def test_what_is_nobodys_is_shown_and_warned_of(tmp_path: Path) -> None:
    run = run_of(tmp_path, PHANTOM.replace("SPREAD", ""))
    company = row_of(run, "company")
    assert (company["unassigned"], company["unassigned_target"]) == (16_000.0, 16_000.0)
    assert run.as_dict()["unassigned"] == [{"unit": "company", "kpi": "sales", "amount": 16_000.0}]
    assert [problem.code for problem in run.scenario.warnings] == ["W-unassigned"]
    console = Console(width=140, record=True, file=io.StringIO())
    console.print(render_summary(run))
    assert "Nobody's: +16,000 USD of sales at company" in console.export_text()


@pytest.mark.parametrize(("spread", "ann"), [("baseline", 12_000.0), ("size", 12_000.0), ("even", 8_000.0)])
def test_what_is_handed_down_reaches_every_cell_decided_or_not(tmp_path: Path, spread: str, ann: float) -> None:
    text = PHANTOM.replace("SPREAD", f', spread = "{spread}"')
    run = run_of(tmp_path, text)
    assert not run.scenario.warnings
    rows = {unit: row_of(run, unit) for unit in ("company", "ann", "bob")}
    assert rows["company"]["unassigned"] == 0.0
    assert rows["company"]["plan"] == pytest.approx(220_000)
    assert rows["bob"]["target"] == 50_000 + 16_000 - ann
    assert rows["ann"]["target"] == 150_000 + ann + 4_000


def test_the_draws_of_a_root_are_the_same_handed_down_or_not(tmp_path: Path) -> None:
    sd = []
    for spread in ("", ', spread = "size"'):
        text = PHANTOM.replace("SPREAD", spread).replace("contribution = 2000", 'contribution = "1500 to 2500"')
        (tmp_path / "s.toml").write_text(text, encoding="utf-8")
        run = solve_scenario(kpiopt.load(tmp_path / "s.toml"))
        assert run.simulation is not None
        sd.append(run.simulation.distributions[0].sd)
    assert sd[0] > 7000
    assert sd[0] == pytest.approx(sd[1], rel=1e-9)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)
def test_shipped_targets_add_up_through_every_level(path: Path) -> None:
    scenario = kpiopt.load(path)
    run = solve_scenario(scenario, options=SolveOptions(simulate=False))
    parent = dict(zip(scenario.units.ids, scenario.units.parent.tolist(), strict=True))
    rows = {(row["unit"], row["kpi"]): row for row in run.targets.to_dicts()}
    below: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for unit, kpi in rows:
        if parent[unit] >= 0 and scenario.kpis[kpi].roll_up == "sum":
            below[scenario.units.ids[parent[unit]], kpi].append((unit, kpi))
    for key, children in below.items():
        row, scale = rows[key], 1e-12 * abs(rows[key]["plan"])
        assert abs(row["plan"] - sum(rows[c]["plan"] for c in children) - row["unassigned"]) <= scale
        assert row["target"] == pytest.approx(
            sum(rows[c]["target"] for c in children) + row["unassigned_target"], abs=0
        )
        step = scenario.kpis[key[1]].step
        if step:
            assert abs(row["unassigned_target"] - row["unassigned"]) <= step
            assert row["unassigned"] != 0.0 or row["unassigned_target"] == 0.0


def random_world(seed: int) -> str:
    """A company, two regions, five people; totals, own cells, locks, spread causes of both roll-ups."""
    rng = np.random.default_rng(seed)
    spread = str(rng.choice(["", ', spread = "baseline"', ', spread = "size"', ', spread = "even"']))
    at = str(rng.choice(["region", "organization", "person"]))
    lines = ["schema = 1", 'name = "Random"', "[kpi.leads]", f'roll_up = "{rng.choice(["sum", "mean"])}"', "step = 1"]
    lines += [
        "[kpi.sales]",
        f'direction = "{rng.choice(["up", "down"])}"',
        f'roll_up = "{rng.choice(["sum", "mean"])}"',
    ]
    lines += ["step = 1", f'drivers.leads = {{ contribution = {rng.uniform(-1, 2):.2f}, at = "{at}"{spread} }}']
    lines += [f'drivers.market = {{ contribution = {rng.uniform(-1, 1):.2f}, at = "region"{spread} }}']
    lines += ["[factor.market]", "value = 3", "[uncertainty]", f"execution = {rng.choice([1.0, 0.7])}"]
    lines += ["[unit.top]", "capacity.h = 110", "[unit.n]", 'parent = "top"', 'level = "region"']
    lines += ["[unit.s]", 'parent = "top"', 'level = "region"']
    people = {"a": "n", "b": "n", "c": "s", "d": "s", "e": "s"}
    for unit, parent in people.items():
        lines += [f"[unit.{unit}]", f'parent = "{parent}"', 'level = "person"', f"size = {rng.integers(1, 5)}"]
        for kpi in ("leads", "sales"):
            lines += [f'[cell."{unit}/{kpi}"]', f"baseline = {rng.uniform(20, 60):.1f}"]
            if rng.uniform() < 0.8:
                lines += ["max_stretch = 9", f"min_stretch = {rng.choice([0, 0, 1])}", "effort.h = 2"]
    for unit in ("top", "n", "s"):
        for kpi in ("leads", "sales"):
            kind = rng.choice(["", "", "max_stretch = 4", "lock = 3", "min_stretch = 2\nmax_stretch = 20", "own", "t"])
            if kind == "own":
                lines += [f'[cell."{unit}/{kpi}"]', "own = true", "baseline = 30", "max_stretch = 6", "size = 2"]
            elif kind == "t":
                lines += [f'[cell."{unit}/{kpi}"]', f"lock_target = {rng.uniform(40, 55):.1f}"]
            elif kind:
                lines += [f'[cell."{unit}/{kpi}"]', str(kind)]
    lines += [
        "[goal.sales]",
        f"target = {rng.choice([60, 240])}",
        "[goal.leads]",
        "target = 100",
        "priority = 2",
        'at = "n"',
    ]
    return "\n".join(lines)


@pytest.mark.parametrize("block", rest_at_night(range(10), 1))
def test_random_totals_agree_with_a_second_solution(tmp_path: Path, block: int) -> None:
    answered = 0
    for seed in range(10 * block, 10 * block + 10):
        text = random_world(seed)
        (tmp_path / "s.toml").write_text(text, encoding="utf-8")
        values = solve_by_linprog(tmp_path / "s.toml")
        try:
            run = run_of(tmp_path, text)
        except Infeasible:
            assert values is None, seed
            continue
        assert values is not None, seed
        got = [step.value for step in run.solution.steps if step.name in ("goals", "fairness")]
        assert got == pytest.approx(values, abs=1e-6), seed
        answered += 1
        assert_rows_add_up(run)
    assert answered >= 3


def assert_rows_add_up(run: Run) -> None:
    """Targets and plans of `sum` KPIs are those below plus what is nobody's."""
    parent, frame = run.scenario.units.parent, run.targets.with_columns(pl.col("unassigned").fill_null(0.0))
    rows = {(row["unit"], row["kpi"]): row for row in frame.to_dicts()}
    for (unit, kpi), row in rows.items():
        position = run.scenario.units.position[unit]
        children = [run.scenario.units.ids[i] for i in np.flatnonzero(parent == position).tolist()]
        below = [rows[child, kpi] for child in children if (child, kpi) in rows]
        if below and run.scenario.kpis[kpi].roll_up == "sum":
            assert row["plan"] == pytest.approx(sum(r["plan"] for r in below) + row["unassigned"])
            assert row["target"] == pytest.approx(sum(r["target"] for r in below) + row["unassigned_target"])


def run_of_fault(name: str, *overrides: str) -> Run:
    return solve_scenario(load_scenario(FAULTS / name, overrides=overrides), options=SolveOptions(simulate=False))


def test_what_works_above_the_cells_is_shown_as_nobodys_until_it_is_handed_down() -> None:
    run = run_of_fault("real/phantom.toml")
    company, ann = (run.graph.find_node("sales", unit) for unit in ("company", "ann"))
    assert "W-unassigned" in [problem.code for problem in run.scenario.warnings]
    assert run.plan.unassigned[company] == pytest.approx(16_000.0)
    assert run.plan.target[[company, ann]].tolist() == [220_000.0, 102_000.0]
    run = run_of_fault("real/phantom.toml", 'kpi.sales.drivers.market.spread="baseline"')
    assert "W-unassigned" not in [problem.code for problem in run.scenario.warnings]
    assert [row_of(run, unit)["target"] for unit in ("company", "ann", "bob")] == [220_000.0, 110_000.0, 110_000.0]
    assert row_of(run, "company")["unassigned"] == pytest.approx(0.0)


def test_a_lock_of_a_department_holds_for_its_total_and_leaves_the_others_on_the_grid() -> None:
    run = run_of_fault("hospital/lock3.toml")
    graph, plan, position = run.graph, run.plan, run.scenario.units.position
    park = graph.find_node("waiting", "park-surgery")
    teams = [unit for unit in position if unit.startswith("park-surgery-")]
    nodes = [graph.find_node("waiting", unit) for unit in teams]
    sizes = graph.size[nodes]
    stretch = [plan.stretch[graph.cell[node]] for node in nodes]
    assert np.average(stretch, weights=sizes) == pytest.approx(1.0, abs=1e-9)
    assert np.average(graph.baseline[nodes], weights=sizes) == pytest.approx(graph.baseline[park])
    others = [n for n in range(graph.n_nodes) if graph.kpi[n] == run.scenario.kpi_position["waiting"] and n != park]
    tenths = plan.target[others] / 0.1
    assert tenths == pytest.approx(np.round(tenths), abs=1e-6)
    row = row_of(run, "park-surgery", "waiting")
    assert "Dr. M." in str(row["lock_reason"]) and row["binding"] == "lock"
