"""A scenario changed in memory is the one that reading the file with the same override gives."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

import kpiopt
from kpiopt.errors import KpioptError, UsageError
from kpiopt.reading.toml.text import read_path
from kpiopt.scenario.checks.axes import axis_path
from kpiopt.scenario.load import FileReader
from kpiopt.scenario.numbers.inputs import WRITTEN, Inputs
from kpiopt.studies.sensitivity.moves import moves_of
from kpiopt.studies.sensitivity.outcome import parse_outcome
from kpiopt.studies.sweep.axes import read_axes

ROOT = Path(__file__).parents[3]
SCENARIOS = ROOT / "scenarios"
CASES = sorted(
    [*SCENARIOS.glob("*.toml"), *SCENARIOS.glob("by_period/*.toml"), *(ROOT / "tests" / "cases").glob("*.toml")]
)
TALK = {"warnings", "files"}


def same(a, b):
    """Deep equality, arrays by their values."""
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(map(same, a, b))
    if hasattr(a, "__dataclass_fields__"):
        return type(a) is type(b) and all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    return a == b or (isinstance(a, float) and a != a and b != b)


def changed_numbers(inputs):
    """Another value for every number that can be changed in memory."""
    plain = {path: number.value for path, number in (inputs.plain | inputs.single).items()}
    means = {path: quantity.mean for path, quantity in inputs.quantities.items()}
    others = {path: round(value * 1.25 + 1.0, 2) for path, value in (plain | means).items()}
    return [(p, v) for p, v in others.items() if p.partition(".")[0] in WRITTEN and not inputs.is_outside_file(p, v)]


SOME = 10
"""Numbers of a scenario that the ordinary run looks at; the nightly one looks at every third."""


@pytest.mark.parametrize("most", [SOME, pytest.param(None, marks=pytest.mark.nightly)])
@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_every_number_that_is_changed_means_what_the_file_means(path, most):
    base = kpiopt.load(path)
    inputs = Inputs(base)
    found = changed_numbers(inputs)
    for name, value in found[:: max(3, len(found) // most) if most else 3]:
        try:
            changed = inputs.written({name: value})
        except KpioptError as refused:
            assert refused.problems[0].code in ("E-sensitivity-path", "E-cell-box"), name  # read again, or refused
            continue
        read = kpiopt.load(path, overrides=[f"{axis_path(inputs, name, [value])}={value}"])
        differing = [
            f.name
            for f in fields(read)
            if f.name not in TALK and not same(getattr(changed, f.name), getattr(read, f.name))
        ]
        assert differing == [] or (differing == ["document"] and changed.document == read.document), name


def test_several_numbers_at_once():
    base = kpiopt.load(SCENARIOS / "hand-solved.toml")
    changed = Inputs(base).written({"budget.pay.limit": 650, "goal.sales.target": 107_000})
    assert (changed.budgets["pay"].limit, changed.goals["sales"].target) == (650.0, 107_000.0)
    assert base.budgets["pay"].limit == 700.0


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("budget.pay.limit", -1),
        ("budget.pay.limit", 1e-12),
        ("budget.pay.limit", 1e15),
        ("budget.pay.limit", "600"),
        ("budget.pay.limit", True),
        ("budget.pay.limits", 600),
        ("budget.gold.limit", 600),
        ("goal.sales.weight", 0),
        ("goal.sales.priority", 2),
        ("kpi.sales.step", 10),
        ("no path", 1),
    ],
)
def test_everything_else_is_read_again(path, value):
    scenario = kpiopt.load(SCENARIOS / "hand-solved.toml")
    with pytest.raises(UsageError):  # there is no reader
        Inputs(scenario).written({path: value})


def test_what_is_read_again_and_what_is_changed_in_memory_come_together():
    path = SCENARIOS / "hand-solved.toml"
    inputs = Inputs(kpiopt.load(path), lambda further: kpiopt.load(path, overrides=further))
    changed = inputs.written({"kpi.sales.step": 10, "budget.pay.limit": 650, "cells.max_stretch": 0.5})
    assert (changed.kpis["sales"].step, changed.budgets["pay"].limit) == (10.0, 650.0)
    assert np.array_equal(changed.cells.max_stretch, 0.5 * inputs.scenario.cells.max_stretch)


def test_a_baseline_takes_along_ranges_and_all_that_is_rolled_up_and_leaves_what_totals_say(tmp_path):
    (tmp_path / "s.toml").write_text(TOTALS)
    inputs = Inputs(kpiopt.load(tmp_path / "s.toml"))
    changed = inputs.written({"cell.a/sales.baseline": 200})
    read = kpiopt.load(tmp_path / "s.toml", overrides=['cell."a/sales".baseline=200'])
    assert same(changed.totals, read.totals) and changed.totals.high.tolist() == [15.0]
    assert same(changed.cells, read.cells) and changed.cells.max_stretch.max() == 20.0


TOTALS = """
schema = 1
name = "totals"
currency = "USD"
[kpi.sales]
name = "Sales"
unit = "USD"
[guardrail.usual]
where = {}
growth = [0.0, 0.1]
[unit.top]
[unit.a]
parent = "top"
[unit.b]
parent = "top"
[cell."a/sales"]
baseline = 100
[cell."b/sales"]
baseline = 100
[cell."top/sales"]
max_stretch = 15
"""


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("factor.market", "factor.market.value"),
        ("kpi.satisfaction.drivers.availability", "kpi.satisfaction.drivers.availability.contribution"),
        ("kpi.retention.drivers.satisfaction", "kpi.retention.drivers.satisfaction"),
        ("execution.habits", "execution.habits.value"),
        ("cells.max_stretch", "cells.max_stretch"),
        ("budget.cash.limit", "budget.cash.limit"),
    ],
)
def test_a_quantity_is_named_with_or_without_what_it_is_written_under(text, path):
    inputs = Inputs(kpiopt.load(SCENARIOS / "scorecard.toml"))
    assert axis_path(inputs, text, [1.0]) == path
    assert inputs.value(text) == inputs.value(path)


def test_quoted_keys():
    assert read_path('cell."x/sales".max_stretch') == ("cell", "x/sales", "max_stretch")
    assert read_path("budget.pay.limit = 3") is None


def test_an_override_of_a_driver_that_is_a_table_keeps_its_place():
    path = SCENARIOS / "scorecard.toml"
    name = "kpi.satisfaction.drivers.availability"
    short, full = (kpiopt.load(path, overrides=[f"{name}{inside}=2.5"]) for inside in ("", ".contribution"))
    assert short.document == full.document
    (driver,) = (d for d in short.kpis["satisfaction"].drivers if d.cause == "availability")
    assert (driver.contribution.mean, driver.at) == (2.5, "team")


@pytest.mark.parametrize("outcome", ["odds:zzz", "shortfall:zzz"])
def test_a_wrong_name_lists_the_right_ones(outcome):
    scenario = kpiopt.load(SCENARIOS / "scorecard.toml")
    with pytest.raises(UsageError) as refused:
        parse_outcome(scenario, outcome)
    assert refused.value.problems[0].fix.startswith(f"write one of {', '.join(list(scenario.goals)[:8])}")


GOLDEN = ROOT / "tests" / "program" / "golden"
SPELLED = {
    "actions": ("unit.a.capacity.hours", "initiative.crm.levels[1]", "initiative.crm.setup.cash",
                "initiative.crm.effects.out", "initiative.course.uses.hours", "budget.cash.limit"),
    "by_period": ("kpi.sales.drivers.quality", "kpi.skill.carry", "goal.first.target",
                  "guardrail.smooth.ramp", 'cell."bob/quality".min_stretch'),
    "chosen": ("assign.reps.kpis[1]", "assign.reps.least_weight", 'cell."bob/calls".weight'),
    "curves": ("kpi.errors.drivers.visits.curve[2][1]", "initiative.ads.effects.sales.curve[1][0]",
               "kpi.sales.baseline"),
    "everything": ("factor.market.value.normal[1]", "uncertainty.execution.uniform[0]", "kpi.visits.max",
                   'cell."eve/sales".lock_target', "goal.sales.weight", "kpi.sales.drivers.visits.contribution"),
    "shared_out": ("over_assignment.team", "reconcile.weight", "fairness.band", "guardrail.south.most", "factor.market",
                   'cell."south/sales".commit'),
    "tiers": ("effort_curve.usual.tiers[1][1]", "decide.effort_price.hours", 'cell."c/out".effort.hours'),
}  # fmt: skip


def spelled(name, path):
    """What a number becomes under --set, on a sweep's axis, and where a study moves it."""
    file = GOLDEN / f"{name}.toml"
    inputs = Inputs(kpiopt.load(file), FileReader(file))
    now = inputs.value(path)
    value = now + 1 if isinstance(now, int) or now.is_integer() else round(now * 1.01 + 0.001, 6)
    value = int(value) if float(value).is_integer() else value
    text = f"{path}={value}"
    (axis,) = read_axes(inputs.scenario, [text])
    return kpiopt.load(file, overrides=text), inputs.written({axis.path: value}), inputs.at(path, value)


@pytest.mark.parametrize(("name", "path"), [(name, path) for name, paths in SPELLED.items() for path in paths])
def test_one_spelling_in_every_command(name, path):
    read, swept, moved = spelled(name, path)
    talk = TALK | {"document", "source", "sweep"}
    for field in fields(read):
        if field.name not in talk:
            assert same(getattr(swept, field.name), getattr(read, field.name)), field.name
    assert moved.name == read.name


@pytest.mark.parametrize(("path", "wrong"), [
    ("budget.pya.limit", "pya"), ("kpi.sales.drivers.nobody", "nobody"), ("factor.market.value.normal[7]", "[7]"),
    ("factor.market.value.normal[0][0]", "[0][0]"), ("nosuch.x", "nosuch"), ("goal.sales.targt", "targt"),
    ("kpi.sales.step[0]", "step[0]"),
])  # fmt: skip
def test_what_is_no_number_is_named_in_every_command(path, wrong):
    file = GOLDEN / "everything.toml"
    inputs = Inputs(kpiopt.load(file), FileReader(file))
    for ask in (
        lambda: kpiopt.load(file, overrides=[f"{path}=1"]),
        lambda: read_axes(inputs.scenario, [f"{path}=1"]),
        lambda: moves_of(inputs, {path: (1.0, 2.0)}, (), ()),
        lambda: moves_of(inputs, only=[path]),
    ):
        with pytest.raises(KpioptError) as caught:
            ask()
        assert wrong in caught.value.problems[0].message


def test_positions_of_one_array_are_put_together():
    file = GOLDEN / "everything.toml"
    words = ["factor.market.value.normal[1]=7", "factor.market.value.normal[0]=3"]
    assert kpiopt.load(file, overrides=words).factors["market"].value.parameters == (3.0, 7.0)
    with pytest.raises(UsageError, match=r"there is nothing at factor\.market\.value\.normal\[2\]") as caught:
        kpiopt.load(file, overrides=["factor.market.value.normal[2]=1"])
    assert caught.value.problems[0].fix == "it has positions 0 to 1"
