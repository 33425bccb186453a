"""The whole road from files to a `Scenario`, on the example that the format is described with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kpiopt.errors import InputError, ModelError, NumericsError, ScenarioError, TableError, UsageError
from kpiopt.scenario.load import check_scenario, load_scenario
from kpiopt.scenario.scenario import Scenario

EXAMPLE = """
schema = 1
name = "FY27 base plan"
currency = "USD"

[perspective.financial]
name = "Financial"

[objective.grow]
name = "Grow reseller revenue"
perspective = "financial"
critical = true

[kpi.sales]
name = "Reseller sales"
objective = "grow"
unit = "USD"
direction = "up"
roll_up = "sum"
step = 1000
kind = "flow"

[kpi.sales.drivers]
coverage = "0.8 to 1.6"
satisfaction = { contribution = 120_000, at = "organization" }
market = { contribution = 900_000 }

[kpi.coverage]
unit = "visits"
baseline = 100

[kpi.satisfaction]
unit = "points"
baseline = { normal = [70, 2] }
roll_up = "mean"

[factor.market]
name = "Market growth"
value = { normal = [0, 1] }

[initiative.coaching]
name = "Coaching programme"
units = { level = "team" }
max = 40
uses = { hours = 6, cash = 500 }
[initiative.coaching.effects]
coverage = 0.02

[goal.sales]
target = 44_000_000
weight = 2
priority = 1
p_min = 0.8

[capacity.hours]
scale = 0.5
[budget.pay]
limit = 700_000
[budget.cash]
limit = 90_000
scope = "north"

[pay_plan.rep]
payout = [[0.0, 0.0], [0.7, 0.0], [1.0, 1.0], [1.3, 1.9]]
cap = 1.9

[decide]
order = ["goals", "fairness", "cost", "reference"]
slack = { fairness = 0.01 }
peers = ["level", "role"]
effort_price = { hours = 45 }

[uncertainty]
execution = "0.55 to 1.05"
common = 0.3
[correlation]
"factor.market ~ kpi.sales.drivers.coverage" = 0.4

[simulation]
draws = 4096
seed = 7
method = "random"

[variant.lean]
budget.pay.limit = 600_000

[sweep]
"budget.pay.limit" = { from = 500_000, to = 900_000, steps = 9 }

[tables]
units = "units.csv"
cells = { path = "cells.csv", delimiter = ",", decimal = "." }
"""

UNITS = """unit,name,parent,level,role,size,target_incentive,pay_plan,capacity.hours
c,Cyd,south,rep,rep,,12000,rep,
south,,co,team,,,,,800
b,Bob,north,rep,rep,,10000,rep,
a,Ann,north,rep,rep,,10000,rep,
north,North,co,team,,,,,900
co,Company,,company,,,,,
"""

CELLS = """unit,kpi,baseline,min_stretch,max_stretch,effort.hours,pay_rate,weight,lock,lock_reason,reference
c,sales,11000000,0,2500000,0.0001,0.01,1,,,
b,sales,14000000,100,,0.0001,0.01,1,300,agreed in May,
a,sales,14000000 to 16000000,,2500000,0.0001,0.01,1,,,15500000
"""


def write(folder: Path, text: str = EXAMPLE, units: str = UNITS, cells: str = CELLS) -> Path:
    (folder / "units.csv").write_text(units)
    (folder / "cells.csv").write_text(cells)
    path = folder / "plan.toml"
    path.write_text(text)
    return path


@pytest.fixture
def example(tmp_path: Path) -> Scenario:
    return load_scenario(write(tmp_path))


def test_units_stand_depth_first_with_siblings_by_id(example: Scenario) -> None:
    assert example.units.ids == ("co", "north", "a", "b", "south", "c")
    assert example.units.parent.tolist() == [-1, 0, 1, 1, 0, 4]
    assert example.units.end.tolist() == [6, 4, 3, 4, 6, 6]
    assert example.units.depth.tolist() == [0, 1, 2, 2, 1, 2]
    assert example.units.names == ("Company", "North", "Ann", "Bob", "south", "Cyd")


def test_capacities_are_scaled_and_absent_ones_are_not_zero(example: Scenario) -> None:
    hours = example.units.capacity["hours"]
    assert hours[[1, 4]].tolist() == [450.0, 400.0]
    assert np.isnan(hours[[0, 2, 3, 5]]).all()


def test_cells_are_sorted_and_typed(example: Scenario) -> None:
    cells = example.cells
    assert [example.units.ids[u] for u in cells.unit] == ["a", "b", "c"]
    assert cells.has_decision.all()
    assert cells.max_stretch.tolist() == [2_500_000, 300, 2_500_000]
    assert cells.min_stretch.tolist() == [0, 300, 0]
    assert cells.lock_reason == {1: "agreed in May"}
    assert cells.reference[0] == 15_500_000 and np.isnan(cells.reference[1:]).all()
    assert cells.effort["hours"].tolist() == [0.0001] * 3


def test_a_distribution_as_baseline_plans_with_its_mean(example: Scenario) -> None:
    quantity = example.cells.baseline_quantity[0]
    assert quantity.kind == "lognormal"
    assert example.cells.baseline[0] == quantity.mean
    assert 14e6 < quantity.mean < 16e6
    assert example.cells.baseline[1:].tolist() == [14e6, 11e6]


def test_the_map_is_complete(example: Scenario) -> None:
    sales = example.kpis["sales"]
    assert (sales.sign, sales.roll_up, sales.step, sales.kind, sales.objective) == (1, "sum", 1000, "flow", "grow")
    coverage, satisfaction, market = sales.drivers
    assert (coverage.cause, coverage.is_factor, coverage.path) == ("coverage", False, "kpi.sales.drivers.coverage")
    assert coverage.contribution.kind == "lognormal"
    assert (satisfaction.lag, satisfaction.at, satisfaction.units.tolist()) == (0, "organization", [0])
    assert market.is_factor and market.contribution.mean == 900_000
    assert example.objectives["grow"].critical
    assert example.kpis["satisfaction"].baseline is not None


def test_the_rest_of_the_document_arrives(example: Scenario) -> None:
    coaching = example.initiatives["coaching"]
    assert coaching.units.tolist() == [1, 4]
    assert coaching.uses == {"hours": 6, "cash": 500}
    goal = example.goals["sales"]
    assert (goal.kpi, goal.unit, goal.target, goal.weight, goal.p_min) == ("sales", 0, 44e6, 2, 0.8)
    assert example.budgets["cash"].scope == 1 and example.budgets["pay"].resource == "pay"
    assert example.pay_plans["rep"].attainment == (0.0, 0.7, 1.0, 1.3)
    assert example.decide.slack == {"fairness": 0.01} and example.decide.effort_price == {"hours": 45}
    assert example.uncertainty.common == {"organization": 0.3}
    assert example.uncertainty.execution[0].kind == "lognormal"
    assert example.correlation == {("factor.market", "kpi.sales.drivers.coverage"): 0.4}
    assert (example.simulation.draws, example.simulation.seed, example.simulation.method) == (4096, 7, "random")
    assert example.sweep == {"budget.pay.limit": {"from": 500_000, "to": 900_000, "steps": 9}}
    assert example.variants == ("lean",) and example.variant is None
    assert {Path(name).name for name in example.files} == {"plan.toml", "units.csv", "cells.csv"}


def test_a_variant_and_overrides_change_what_is_loaded(tmp_path: Path) -> None:
    path = write(tmp_path)
    assert load_scenario(path, variant="lean").budgets["pay"].limit == 600_000
    changed = load_scenario(path, variant="lean", overrides=["budget.pay.limit=5e5", 'cell."c/sales".max_stretch=7'])
    assert changed.budgets["pay"].limit == 500_000
    assert changed.cells.max_stretch[2] == 7 and changed.cells.baseline[2] == 11e6
    with pytest.raises(UsageError):
        load_scenario(path, variant="lear")


def test_row_order_changes_nothing(tmp_path: Path, example: Scenario) -> None:
    def reversed_rows(text: str) -> str:
        head, *rows = text.strip().splitlines()
        return "\n".join([head, *rows[::-1]]) + "\n"

    cells = reversed_rows(CELLS)
    other = load_scenario(write(tmp_path, units=reversed_rows(UNITS), cells=cells))
    assert other.units.ids == example.units.ids
    for field in ("unit", "kpi", "baseline", "min_stretch", "max_stretch", "lock", "weight", "reference"):
        np.testing.assert_array_equal(getattr(other.cells, field), getattr(example.cells, field))


def test_errors_of_document_tables_and_meaning_come_together_in_file_order(tmp_path: Path) -> None:
    text = EXAMPLE.replace("direction =", "directoin =").replace("draws = 4096", 'draws = "4096"')
    text = text.replace('objective = "grow"', 'objective = "grwo"').replace("coverage = 0.02", "coverge = 0.02")
    path = write(tmp_path, text, UNITS.replace("b,Bob,north", "b,Bob,nroth"), CELLS.replace("c,sales", "c,sale"))
    scenario, problems, document = check_scenario(path)
    errors = problems.errors
    assert scenario is None and document is not None
    expected = [
        ("E-unknown-objective", "plan.toml", 'objective = "grwo"'),
        ("E-unknown-key", "plan.toml", "directoin"),
        ("E-unknown-kpi", "plan.toml", "coverge"),
        ("E-type", "plan.toml", "draws"),
        ("E-unknown-kpi", "cells.csv", "c,sale"),
        ("E-unknown-parent", "units.csv", "b,Bob"),
    ]
    assert [p.code for p in errors] == [code for code, _, _ in expected]
    for problem, (_, file, start) in zip(errors, expected, strict=True):
        assert problem.location is not None and problem.location.line is not None
        assert Path(problem.location.file).name == file
        assert (tmp_path / file).read_text().splitlines()[problem.location.line - 1].startswith(start)
    assert ["did you mean" in p.fix for p in errors] == [True, True, True, False, True, True]


def test_carets_stand_under_keys_and_values(tmp_path: Path) -> None:
    path = write(tmp_path, EXAMPLE.replace("step = 1000", "stp  = 1000").replace("weight = 2", "weight = -2"))
    _, problems, _ = check_scenario(path)
    columns = {p.code: p.location.column for p in problems.errors if p.location}
    assert columns == {"E-unknown-key": 1, "E-value": len("weight = ") + 1}


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ("weight = 2", 'weight = "2"', ScenarioError),
        ('objective = "grow"', 'objective = "shrink"', ModelError),
        ("target = 44_000_000", "target = 44e13", NumericsError),
        ("units.csv", "unit.csv", TableError),
    ],
)
def test_the_class_of_the_exception_tells_the_stage(tmp_path: Path, old: str, new: str, kind: type[InputError]) -> None:
    path = write(tmp_path, EXAMPLE.replace(old, new))
    with pytest.raises(kind) as caught:
        load_scenario(path)
    assert caught.value.exit_code == 3 and len(caught.value.problems) == 1


def test_a_table_that_cannot_be_read_hides_nothing_else_and_causes_no_echo(tmp_path: Path) -> None:
    text = EXAMPLE.replace('"financial"\ncritical', '"finances"\ncritical')
    path = write(tmp_path, text, units=UNITS.replace("unit,name", "unit,nmae"))
    _, problems, _ = check_scenario(path)
    assert [p.code for p in problems.errors] == ["E-unknown-perspective", "E-table-column"]


def test_mistakes_in_a_variant_that_is_not_chosen_are_reported(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        EXAMPLE.replace("budget.pay.limit = 600_000", "budget.pay.limt = 600_000"),
        cells=CELLS.replace(",100,,", ",,,"),
    )
    scenario, problems, _ = check_scenario(path)
    assert scenario is None
    (error,) = problems.errors
    assert error.code == "E-unknown-key" and "limit" in error.fix
    assert load_scenario(path).name == "FY27 base plan"


def test_an_unreadable_document_is_reported_not_raised(tmp_path: Path) -> None:
    scenario, problems, document = check_scenario(write(tmp_path, "schema = = 1"))
    assert scenario is None and document is None and problems.errors


def test_samples_are_read_from_a_file_beside_the_document(tmp_path: Path) -> None:
    (tmp_path / "history.csv").write_text("month,growth\n2024-01,1\n2024-02,\n2024-03,4\n")
    text = EXAMPLE.replace("{ normal = [0, 1] }", '{ samples = "history.csv#growth" }')
    scenario = load_scenario(write(tmp_path, text))
    assert scenario.factors["market"].value.mean == 2.5
    assert "history.csv" in {Path(name).name for name in scenario.files}


@pytest.mark.parametrize("reference", ["history.csv", "history.csv#none", "missing.csv#growth", "../../x.csv#growth"])
def test_samples_that_cannot_be_read_are_errors_at_their_place(tmp_path: Path, reference: str) -> None:
    (tmp_path / "history.csv").write_text("month,growth\n2024-01,1\n")
    text = EXAMPLE.replace("{ normal = [0, 1] }", f'{{ samples = "{reference}" }}')
    _, problems, _ = check_scenario(write(tmp_path, text))
    assert len(problems.errors) == 1


def test_a_table_that_is_not_named_rightly_causes_no_echo(tmp_path: Path) -> None:
    _, problems, _ = check_scenario(write(tmp_path, EXAMPLE.replace("cells = {", "cels = {")))
    assert [p.code for p in problems.errors] == ["E-unknown-key"]
    _, problems, _ = check_scenario(write(tmp_path, EXAMPLE.replace('units = "units.csv"', "units = 3")))
    assert [p.code for p in problems.errors] == ["E-type"]
