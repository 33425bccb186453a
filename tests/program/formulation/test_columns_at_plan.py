"""What the columns of a plan come to: pay, money, stretch of those that are not spared, by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kpiopt.graph import build_graph
from kpiopt.program.formulation.cascade import Cascade, build_cascade
from kpiopt.program.formulation.chosen import chosen_cells
from kpiopt.program.formulation.objectives import money_at_plan
from kpiopt.scenario.load import load_scenario

GOLDEN = Path(__file__).parents[1] / "golden"
PAID = """
schema = 1
name = "Paid"
currency = "USD"
[kpi.k]
[unit.co]
[unit.a]
parent = "co"
target_incentive = 1000
[unit.b]
parent = "co"
target_incentive = 200
[cell."a/k"]
baseline = 100
max_stretch = 20
weight = 1
pay_rate = 3
[cell."b/k"]
baseline = 100
max_stretch = 20
weight = 1
[initiative.course]
units = ["a"]
max = 4
uses = { pay = 7, cash = 2, gold = 100 }
setup = { pay = 5, cash = 11, gold = 1000 }
effects = { k = 3 }
[goal.k]
target = 220
[budget.pay]
limit = 5000
[budget.cash]
limit = 500
money = true
[budget.gold]
limit = 5000
money = false
"""


def cascade_of(folder: Path, text: str) -> Cascade:
    (folder / "s.toml").write_text(text)
    return build_cascade(build_graph(load_scenario(folder / "s.toml")))


def test_pay_and_money_of_a_plan(tmp_path: Path) -> None:
    columns = cascade_of(tmp_path, PAID).columns
    x = np.zeros(1000)
    assert (columns.pay_at_plan(x), money_at_plan(columns, x)) == (1200, 0)
    x[columns.stretch.positions] = [4.0, 9.0]  # only a has a rate
    x[columns.level.positions] = 2.0
    assert (columns.pay_at_plan(x), money_at_plan(columns, x)) == (1200 + 12 + 14, 4)
    x[columns.actions.on.positions] = 1.0
    assert (columns.pay_at_plan(x), money_at_plan(columns, x)) == (1200 + 12 + 14 + 5, 4 + 11)
    assert columns.stretch_of_cells(x).tolist() == [4, 9]
    assert columns.counted(x) is x


def test_locked_below_zero_is_paid_and_executed_as_it_is(tmp_path: Path) -> None:
    text = PAID.replace(
        "max_stretch = 20\nweight = 1\npay_rate = 3", "max_stretch = 20\nweight = 1\npay_rate = 3\nlock = -2"
    )
    columns = cascade_of(tmp_path, text + "[uncertainty]\nexecution = 0.8\n").columns
    assert columns.is_given_up.tolist() == [True, False]
    assert columns.execution.tolist() == pytest.approx([1.0, 0.8])
    x = np.zeros(1000)
    x[columns.stretch.positions] = [-2.0, 9.0]
    assert columns.pay_at_plan(x) == 1200


def test_a_spared_cell_has_no_stretch() -> None:
    columns = build_cascade(build_graph(load_scenario(GOLDEN / "chosen.toml"))).columns
    x = np.zeros(1000)
    x[columns.stretch.positions] = 5.0
    assert columns.stretch_of_cells(x).sum() == 5.0 * len(columns.stretch)
    for i, cell in enumerate(chosen_cells(columns.graph).tolist()):
        for share, left in ((0.4, 5.0), (0.6, 0.0)):
            x[columns.spared.positions] = 0.0
            x[columns.spared.positions[i]] = share
            found = columns.stretch_of_cells(x)
            here = columns.scenario.cell_base == cell
            assert found[here].tolist() == [left] * int(here.sum())
            assert found[~here & columns.scenario.cells.has_decision].min() == 5.0
