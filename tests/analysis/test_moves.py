"""Moves: changing one input in memory is what writing it into the file does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kpiopt.analysis.moves import Inputs, moves_of, plain_numbers
from kpiopt.analysis.quantities import fix_quantities, quantities_of
from kpiopt.errors import InputError, UsageError
from kpiopt.graph import build_graph
from kpiopt.program.blocks import program_text
from kpiopt.program.cascade import build_cascade
from kpiopt.scenario.load import load_scenario
from kpiopt.scenario.scenario import Scenario

SCENARIOS = Path(__file__).parents[2] / "scenarios"
SCORECARD, HAND_SOLVED = SCENARIOS / "scorecard.toml", SCENARIOS / "hand-solved.toml"


def inputs_of(path: Path) -> Inputs:
    return Inputs(load_scenario(path), lambda further: load_scenario(path, overrides=further))


def text(scenario: Scenario) -> list[str]:
    return list(program_text(build_cascade(build_graph(scenario)).program))


@pytest.mark.parametrize(
    ("path", "written", "value"),
    [
        ("factor.market", "factor.market.value", 1.5),
        ("kpi.retention.drivers.satisfaction", "kpi.retention.drivers.satisfaction", 0.31),
        ("kpi.satisfaction.drivers.availability", "kpi.satisfaction.drivers.availability.contribution", 2.0),
        ("kpi.operating_profit.drivers.contract_revenue", "kpi.operating_profit.drivers.contract_revenue", 0.75),
        ("kpi.retention.baseline", "kpi.retention.baseline", 91.0),
        ("initiative.field_app.effects.digital_adoption", "initiative.field_app.effects.digital_adoption", 9.0),
        ("uncertainty.execution", "uncertainty.execution", 0.7),
        ("execution.habits.value", "execution.habits.value", 0.95),
        ("budget.cash.limit", "budget.cash.limit", 90_000.0),
        ("goal.retention.target", "goal.retention.target", 93.0),
    ],
)
def test_a_changed_input_gives_the_program_of_the_changed_file(path: str, written: str, value: float) -> None:
    changed = Inputs(load_scenario(SCORECARD)).at(path, value)
    assert text(changed) == text(load_scenario(SCORECARD, overrides=[f"{written}={value!r}"]))
    assert text(changed) != text(load_scenario(SCORECARD))


def test_a_fixed_quantity_is_certain_but_keeps_its_stream() -> None:
    graph = build_graph(fix_quantities(load_scenario(SCORECARD), {"factor.market": 2.0}))
    names = [q.name for q in graph.quantities]
    assert names == [q.name for q in build_graph(load_scenario(SCORECARD)).quantities]
    market = graph.quantities[names.index("factor.market")].quantity
    assert (market.mean, market.standard_deviation) == (2.0, 0.0)
    assert set(market.at_score(np.array([-3.0, 0.0, 3.0])).tolist()) == {2.0}


def test_every_quantity_of_the_graph_can_be_moved() -> None:
    scenario = load_scenario(SCORECARD)
    names = {q.name for q in build_graph(scenario).quantities}
    assert names <= set(quantities_of(scenario))
    moved = {move.path for move in moves_of(Inputs(scenario), kinds=["uncertain"])}
    assert moved == names | {"uncertainty.execution", "execution.habits.value"}


def test_uncertain_quantities_move_between_their_ten_percent_points() -> None:
    (move,) = moves_of(Inputs(load_scenario(HAND_SOLVED)), kinds=["uncertain"])
    assert (move.path, move.now) == ("kpi.sales.drivers.visits", 100.0)
    assert (move.low, move.high) == pytest.approx((100 - 20 * 1.2815515655, 100 + 20 * 1.2815515655))


def test_plain_numbers_move_by_a_tenth_and_as_given() -> None:
    moves = {m.path: m for m in moves_of(inputs_of(HAND_SOLVED), {"budget.pay.limit": (650.0, 720.0)})}
    complaints = moves["kpi.sales.drivers.complaints"]
    assert (complaints.kind, complaints.low, complaints.high) == ("assumption", pytest.approx(-55), pytest.approx(-45))
    assert (moves["goal.sales.target"].kind, moves["goal.sales.target"].high) == ("goal", pytest.approx(118_800))
    assert (moves["budget.pay.limit"].kind, moves["budget.pay.limit"].low) == ("limit", 650.0)
    assert moves["capacity.hours.scale"].low == pytest.approx(0.9)


def test_every_plain_number_is_one_that_the_file_takes() -> None:
    inputs = inputs_of(HAND_SOLVED)
    for path, (_, value) in plain_numbers(inputs.scenario).items():
        assert inputs.value(path) == value
        assert isinstance(inputs.at(path, value), Scenario)


def test_a_path_that_is_no_number_is_refused() -> None:
    with pytest.raises(UsageError, match=r"did you mean 'budget\.pay\.limit'"):
        moves_of(inputs_of(HAND_SOLVED), {"budget.pay.limits": (1.0, 2.0)})


def test_a_value_that_the_file_forbids_is_refused() -> None:
    with pytest.raises(InputError, match="budget"):
        moves_of(inputs_of(HAND_SOLVED), {"budget.pay.limit": (-5.0, 2.0)})


GUARDED = """
schema = 1
name = "Guarded"
[kpi.sales]
[unit.company]
level = "company"
[unit.north]
parent = "company"
level = "region"
[unit.ann]
parent = "north"
level = "person"
[unit.bob]
parent = "north"
level = "person"
[cell."north/sales"]
[cell."ann/sales"]
baseline = "80 to 120"
[cell."bob/sales"]
baseline = 50
max_stretch = 5
[guardrail.all]
growth = [0.01, 0.1]
[goal.sales]
target = 200
"""


def test_guardrails_follow_a_baseline_also_where_it_is_rolled_up(tmp_path: Path) -> None:
    path = tmp_path / "guarded.toml"
    path.write_text(GUARDED, "utf-8")
    changed = inputs_of(path).at("cell.ann/sales.baseline", 110.0)
    written = load_scenario(path, overrides=['cell."ann/sales".baseline=110.0'])
    assert changed.cells.max_stretch.tolist() == written.cells.max_stretch.tolist()
    assert changed.cells.max_stretch.tolist() == pytest.approx([16.0, 11.0, 5.0])
    assert text(changed) == text(written)
