"""Of many inputs those are moved that do most; what is left out is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from kpiopt.scenario.load import load_scenario
from kpiopt.scenario.numbers.inputs import Inputs
from kpiopt.scenario.scenario import SimulationSettings
from kpiopt.studies.common_draws import CommonDraws
from kpiopt.studies.family import PlanFamily
from kpiopt.studies.sensitivity import leading
from kpiopt.studies.sensitivity.leading import capacity_moves, leading_moves
from kpiopt.studies.sensitivity.moves import moves_of
from kpiopt.studies.sensitivity.outcome import parse_outcome
from kpiopt.studies.sensitivity.tornado import make_tornado

PEOPLE = 30


@pytest.fixture
def inputs(tmp_path: Path) -> Inputs:
    """Thirty people whose uncertain baselines spread by 1 … 30; the last three have no hours left."""
    words = [
        'schema = 1\nname = "Many"\n[kpi.sales]\n[kpi.visits]\n[kpi.sales.drivers]\nvisits = 0.001\n[unit.company]',
        "[goal.sales]\ntarget = 3200",
        '[kpi.calls]\n[cell."p01/calls"]\nbaseline = 10',
    ]
    for i in range(1, PEOPLE + 1):
        hours = 5 if i > PEOPLE - 3 else 1000
        words.append(f'[unit.p{i:02d}]\nparent = "company"\nlevel = "person"\ncapacity.hours = {hours}')
        words.append(
            f'[cell."p{i:02d}/sales"]\nbaseline = {{ normal = [100, {i}] }}\nmax_stretch = 10\neffort.hours = 1'
        )
        words.append(f'[cell."p{i:02d}/visits"]\nbaseline = {{ normal = [100, 40] }}')
    path = tmp_path / "many.toml"
    path.write_text("\n".join(words), "utf-8")
    return Inputs(load_scenario(path), lambda more: load_scenario(path, overrides=more))


@pytest.mark.parametrize("output", ["odds", "kpi:sales"])
def test_baselines_of_most_effect_are_moved(inputs: Inputs, monkeypatch: pytest.MonkeyPatch, output: str) -> None:
    monkeypatch.setattr(leading, "MOST_CELLS", 12)
    monkeypatch.setattr(leading, "MOST_KPIS", 0)
    planned = PlanFamily(inputs.scenario).base
    moves, left_out = leading_moves(moves_of(inputs), planned, parse_outcome(inputs.scenario, output))
    cells = {m.path for m in moves if m.path.startswith("cell.")}
    assert cells == {f"cell.p{i:02d}/sales.baseline" for i in range(PEOPLE - 11, PEOPLE + 1)}
    assert [left.count for left in left_out] == [2 * PEOPLE - 12, 1]


def test_full_capacities_are_moved_and_the_others_would_not_be_felt(inputs: Inputs) -> None:
    family = PlanFamily(inputs.scenario)
    outcome = parse_outcome(inputs.scenario, "kpi:sales")
    moves, left_out = capacity_moves(inputs, family.base)
    assert [m.path for m in moves] == [f"unit.p{i}.capacity.hours" for i in (28, 29, 30)] and left_out == ()
    others = moves_of(inputs, only=["unit.*.capacity.hours"])
    draws = CommonDraws(SimulationSettings(draws=64, seed=0))
    found = make_tornado(family, inputs, outcome, others, draws)
    felt = {bar.move.path for bar in found.bars if bar.swing > 1e-9}
    assert felt <= {m.path for m in moves}


def test_the_fullest_come_first_and_the_rest_is_told(inputs: Inputs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leading, "MOST_UNITS", 2)
    moves, left_out = capacity_moves(inputs, PlanFamily(inputs.scenario).base)
    assert len(moves) == 2 and [left.count for left in left_out] == [1]
