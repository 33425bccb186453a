"""A path is spelled alike after --set, in sweeps and in studies, or refused with the reason that is true there."""

from __future__ import annotations

import pytest

import kpiopt
from kpiopt.errors import InputError, KpioptError, UsageError
from kpiopt.scenario.load import FileReader
from kpiopt.scenario.numbers.inputs import Inputs
from kpiopt.studies.sensitivity.moves import moves_of
from kpiopt.studies.sweep.axes import read_axes

TEXT = """
schema = 1
name = "Spelled"
currency = "USD"
[kpi.sales]
step = 2
[unit.co]
[unit.a]
parent = "co"
level = "p"
capacity.hours = 100
[cell."a/sales"]
baseline = 100
max_stretch = 30
effort.hours = 1
[noise.n]
sd = 0.05
[budget.cash]
limit = 100
[initiative.x]
units = ["a"]
max = 2
uses.cash = 10
effects.sales = 1
[goal.sales]
target = 120
"""


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "spelled.toml"
    file.write_text(TEXT)
    return file


def inputs(path) -> Inputs:
    return Inputs(kpiopt.load(path), FileReader(path))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cell.a/sales.max_stretch", 25.0), ('cell."a/sales".max_stretch', 25.0), ("cell.a/sales.effort.hours", 2.0),
        ("noise.n.sd", 0.04), ("kpi.sales.step", 3.0), ("goal.sales.target", 119.0), ("unit.a.capacity.hours", 90.0),
        ("initiative.x.effects.sales", 2.0), ("budget.cash.limit", 90.0),
    ],
)  # fmt: skip
def test_a_number_is_reached_by_one_path_in_every_command(path, name, value):
    written = kpiopt.load(path, overrides=f"{name}={value}")
    swept = read_axes(kpiopt.load(path), [f"{name}={value}"])[0]
    assert kpiopt.load(path, overrides=f"{swept.path}={value}").document == written.document
    (move,) = moves_of(inputs(path), only=[name])
    assert (move.low, move.high) == pytest.approx((0.9 * move.now, 1.1 * move.now))
    (given,) = [m for m in moves_of(inputs(path), {name: (0.5 * value, value)}, only=[name]) if m.path == move.path]
    assert (given.low, given.high) == (0.5 * value, value)
    assert Inputs(written).value(name) if name == "goal.sales.target" else True


def test_typed_ids_of_other_alphabets_need_no_quotes(tmp_path):
    file = tmp_path / "spelled.toml"
    file.write_text(
        TEXT.replace("[unit.a]", '[unit."Süd-1"]').replace("a/sales", "Süd-1/sales").replace('["a"]', '["Süd-1"]')
    )
    assert kpiopt.load(file, overrides="cell.Süd-1/sales.max_stretch=7").cells.max_stretch.tolist() == [7.0]


@pytest.mark.parametrize(
    ("factor", "edit"),
    [("cells.max_stretch", "scale = { max_stretch = 1.1 }"), ("cells.sales.baseline", "scale = { baseline = 1.1 }"),
     ("cells.effort.hours", "scale = { effort = { hours = 1.1 } }"),
     ("cells.sales.effort.hours", "scale = { effort = { hours = 1.1 } }")],
)  # fmt: skip
def test_a_factor_on_the_tables_is_refused_by_set_with_the_edit_that_does_it(path, factor, edit):
    with pytest.raises(UsageError, match="is a factor on what the tables hold") as caught:
        kpiopt.load(path, overrides=f"{factor}=1.1")
    (problem,) = caught.value.problems
    assert problem.code == "E-set-key" and edit in problem.fix
    assert ('where = { kpi = "sales" }' in problem.fix) == factor.startswith("cells.sales")
    edited = kpiopt.load(path, overrides=problem.fix.partition("--set '")[2].rstrip("'"))
    moved = inputs(path).at(factor, 1.1)
    for field in ("max_stretch", "min_stretch", "pay_rate"):
        assert getattr(edited.cells, field).tolist() == pytest.approx(getattr(moved.cells, field).tolist(), nan_ok=True)
    assert edited.cells.effort["hours"].tolist() == pytest.approx(moved.cells.effort["hours"].tolist())


def test_a_scale_of_capacities_is_named_by_its_path(path):
    with pytest.raises(UsageError) as caught:
        kpiopt.load(path, overrides="units.capacity.hours=1.1")
    assert "capacity.hours.scale=1.1" in caught.value.problems[0].fix
    assert kpiopt.load(path, overrides="capacity.hours.scale=1.1").units.capacity["hours"][1] == pytest.approx(110)


@pytest.mark.parametrize(
    ("slip", "right"),
    [("goal.sale.target=1", "sales"), ("budget.cas.limit=1", "cash"), ("kpi.sals.step=1", "sales"),
     ("initiative.xx.max=1", "x"), ("capacity.hour.scale=2", "hours"), ("cell.b/sales.baseline=1", "a/sales")],
)  # fmt: skip
def test_a_slip_in_an_id_is_told_once_and_to_the_point(path, slip, right):
    with pytest.raises(InputError) as caught:
        kpiopt.load(path, overrides=slip)
    (problem,) = caught.value.problems
    assert problem.code == "E-set-unknown" and right in problem.fix


@pytest.mark.parametrize("name", ["goal.sales.p_min", "odds.p_min", "simulation.draws", "goal.sales.priority"])
def test_what_is_not_moved_bit_by_bit_is_told_so_whether_it_is_written_or_not(path, name):
    for given, only in (({name: (0.5, 0.6)}, ()), ({}, [name])):
        with pytest.raises(UsageError, match="nothing that can be moved bit by bit"):
            moves_of(inputs(path), given, only=only)
    path.write_text(TEXT + "p_min = 0.5\n[odds]\np_min = 0.5\n[simulation]\ndraws = 64\n")
    with pytest.raises(UsageError, match="nothing that can be moved bit by bit"):
        moves_of(inputs(path), {name: (0.5, 0.6)})


def test_a_named_number_at_0_or_of_another_kind_is_refused_for_that(path):
    path.write_text(TEXT.replace("sd = 0.05", "sd = 0.0"))
    with pytest.raises(UsageError, match="a tenth is nothing"):
        moves_of(inputs(path), only=["noise.n.sd"])
    with pytest.raises(UsageError, match="which --kind leaves out"):
        moves_of(inputs(path), kinds=("goal",), only=["kpi.sales.step"])
    with pytest.raises(KpioptError, match=r"fac\* is no input"):
        moves_of(inputs(path), only=["fac*"])


def test_of_a_scenario_at_hand_it_is_said_that_the_file_has_to_be_read(path):
    with pytest.raises(UsageError, match="needs its file to be read"):
        moves_of(Inputs(kpiopt.load(path)), {"noise.n.sd": (0.01, 0.02)})
