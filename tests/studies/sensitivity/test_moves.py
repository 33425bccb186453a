"""Moves: changing one input in memory is what writing it into the file does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kpiopt.errors import UsageError
from kpiopt.graph import build_graph
from kpiopt.program.formulation.blocks import program_text
from kpiopt.program.formulation.cascade import build_cascade
from kpiopt.scenario.load import load_scenario
from kpiopt.scenario.numbers.inputs import Inputs
from kpiopt.scenario.numbers.quantities import fix_quantities, quantities_of
from kpiopt.scenario.scenario import Scenario
from kpiopt.studies.sensitivity.moves import KINDS, moves_of, unmoved
from tests.studies.written import written

SCENARIOS = Path(__file__).parents[3] / "scenarios"
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


IN_MEMORY_ONLY = ("units.target_incentive", "pay_plan.")


@pytest.mark.parametrize("path", [HAND_SOLVED, SCORECARD], ids=lambda p: p.stem)
def test_every_plain_number_is_what_writing_it_into_the_file_gives(path: Path) -> None:
    """The same program and the same laws of chance; a tenth more, as the tornado has it."""
    inputs = inputs_of(path)
    assert len(inputs.plain) >= 12
    for name, number in inputs.plain.items():
        assert inputs.value(name) == number.value
    for name, number in list(inputs.plain.items())[:: max(1, len(inputs.plain) // 20)]:
        if name.startswith(IN_MEMORY_ONLY) or number.value == 0.0:
            continue
        value = 1.1 * number.value
        require_same(inputs.at(name, value), load_scenario(path, overrides=written(inputs.scenario, name, value)))


@pytest.mark.parametrize("family", ["unit.", "cell.", "cells."])
def test_numbers_of_tables_are_changed_as_in_the_file(family: str) -> None:
    inputs = inputs_of(SCORECARD)
    names = [name for name in inputs.single if name.startswith(family)]
    assert len(names) > 5
    for name in names[:: max(1, len(names) // 8)]:
        value = 1.1 * inputs.value(name)
        require_same(inputs.at(name, value), load_scenario(SCORECARD, overrides=written(inputs.scenario, name, value)))


def require_same(first: Scenario, second: Scenario) -> None:
    graphs = build_graph(first), build_graph(second)
    programs = [build_cascade(graph).program.arrays() for graph in graphs]
    for field in ("column_lower", "column_upper", "row_lower", "row_upper"):
        ours, theirs = (getattr(program, field) for program in programs)
        assert ours == pytest.approx(theirs, rel=1e-12)
    assert abs(programs[0].matrix - programs[1].matrix).max() <= 1e-9 * abs(programs[1].matrix).max()
    assert graphs[0].baseline == pytest.approx(graphs[1].baseline, rel=1e-12)
    assert first.goals == second.goals and first.decide == second.decide and first.correlation == second.correlation
    assert first.uncertainty == second.uncertainty and first.pay_plans == second.pay_plans
    pairs = [(a.units.target_incentive, b.units.target_incentive) for a, b in [(first, second)]]
    pairs += [(getattr(first.cells, f), getattr(second.cells, f)) for f in ("pay_rate", "weight", "size")]
    for ours, theirs in pairs:
        assert ours == pytest.approx(theirs, rel=1e-12, nan_ok=True)


def test_whole_numbers_move_by_at_least_one() -> None:
    path = "initiative.leadership_coaching.max"
    whole = load_scenario(SCORECARD, overrides=["initiative.leadership_coaching.whole=true", f"{path}=3"])
    (move,) = moves_of(Inputs(whole), only=[path])
    assert (move.low, move.high) == (2.0, 4.0)


def test_what_is_not_moved_is_told() -> None:
    rare = "{discrete=[[0, 0.95], [10, 0.05]]}"
    overrides = [f"factor.market.value={rare}", "budget.cash.limit=0"]
    inputs = Inputs(load_scenario(SCORECARD, overrides=overrides))
    told = {left.what.partition(":")[0]: left for left in unmoved(inputs, KINDS)}
    assert "budget.cash.limit" in told["numbers at 0, of which a tenth is nothing"].what
    assert told["quantities with the same 10 % and 90 % point"].count == 1
    assert unmoved(inputs, ["goal"]) == ()


def test_single_cells_and_units_move_when_they_are_named() -> None:
    inputs = inputs_of(HAND_SOLVED)
    moves = moves_of(inputs, only=["unit.*.capacity.hours", 'cell."ann/visits".max_stretch'])
    assert [(m.path, m.now) for m in moves] == [
        ("unit.ann.capacity.hours", 30.0), ("unit.bob.capacity.hours", 30.0), ("cell.ann/visits.max_stretch", 60.0)
    ]  # fmt: skip


def test_a_path_that_is_no_number_is_refused() -> None:
    with pytest.raises(UsageError, match=r"did you mean 'budget\.pay\.limit'"):
        moves_of(inputs_of(HAND_SOLVED), {"budget.pay.limits": (1.0, 2.0)})


def test_a_value_that_the_file_forbids_is_refused() -> None:
    with pytest.raises(UsageError, match=r"--change budget\.pay\.limit=-5:2: budget\.pay\.limit cannot be -5"):
        moves_of(inputs_of(HAND_SOLVED), {"budget.pay.limit": (-5.0, 2.0)})


@pytest.mark.parametrize("path", ["simulation.draws", "goal.sales.priority", "schema"])
def test_settings_and_ranks_are_not_moved(path: str) -> None:
    inputs = inputs_of(HAND_SOLVED)
    scenario = load_scenario(HAND_SOLVED, overrides=["simulation.draws=512", "goal.sales.priority=2"])
    with pytest.raises(UsageError, match="nothing that can be moved"):
        Inputs(scenario, inputs.read).value(path)


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


def test_guardrails_follow_a_baseline_and_leave_the_total_free(tmp_path: Path) -> None:
    path = tmp_path / "guarded.toml"
    path.write_text(GUARDED, "utf-8")
    changed = inputs_of(path).at("cell.ann/sales.baseline", 110.0)
    written = load_scenario(path, overrides=['cell."ann/sales".baseline=110.0'])
    assert changed.cells.max_stretch.tolist() == written.cells.max_stretch.tolist()
    assert changed.cells.max_stretch.tolist() == pytest.approx([0.0, 11.0, 5.0])
    assert changed.totals.high.tolist() == written.totals.high.tolist() == []  # north's row brings no range with it
    assert text(changed) == text(written)
