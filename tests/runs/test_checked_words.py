"""Python calls refuse values of a wrong kind as they refuse everything else: by a UsageError that names the option."""

from __future__ import annotations

import inspect
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import kpiopt
from kpiopt.errors import ModelError, UsageError
from kpiopt.graph import build_graph
from kpiopt.runs.checked_words import OPTIONS
from kpiopt.simulation.intervene import read_act
from tests.run.test_robust import TEXT as ROBUST

HAND_SOLVED = Path(__file__).parents[2] / "scenarios" / "hand-solved.toml"
CALLS = [getattr(kpiopt, name) for name in kpiopt.__all__ if inspect.isfunction(getattr(kpiopt, name))]
ABOUT = {"path", "scenario", "run", "sources"}
"""What a call is about: not an option; checked by what reads it."""
EACH = [
    (call, name) for call in CALLS for name in inspect.signature(call).parameters if name not in ABOUT
]  # fmt: skip
NOTHING = object()
WRONG = [NOTHING, 3.5j, b"12", {"a": object()}, [object()], {"a", "b"}]
RANGES = [("draws", 1), ("draws", True), ("draws", 9.0), ("seed", -1), ("workers", 0), ("time_limit", float("nan")),
          ("ends", (2, 1)), ("changes", {"a": (2, 1)}), ("changes", {"a": 3}), ("groups", {"a": []}),
          ("confidence", "0.8"), ("draws", "9"), ("simulate", 1), ("simulate", None), ("overrides", None),
          ("alternatives", "1")]  # fmt: skip


def given(call, **options):
    """Call with something to be about that is at hand; options are looked at first."""
    about = [HAND_SOLVED, *(["all"] if "target" in inspect.signature(call).parameters else [])]
    if "target" in options:
        about = about[:1]
    return call(*about, **options)


def test_every_call_is_here() -> None:
    assert {call.__name__ for call in CALLS} == {
        "load", "check", "solve", "simulate", "compare", "sweep", "sensitivity", "explain", "verify"
    }  # fmt: skip
    assert {name for _, name in EACH} == set(OPTIONS)


@pytest.mark.parametrize(("call", "name"), EACH, ids=[f"{c.__name__}-{n}" for c, n in EACH])
def test_every_option_refuses_another_kind_by_name(call, name) -> None:
    for wrong in WRONG:
        with pytest.raises(UsageError, match=rf"{name} = .* is not what is asked for here"):
            given(call, **{name: wrong})


@pytest.mark.parametrize(("name", "value"), RANGES)
def test_a_value_out_of_range_is_refused_wherever_the_option_is_taken(name, value) -> None:
    for call in [call for call, other in EACH if other == name]:
        with pytest.raises(UsageError, match=f"{name} is "):
            given(call, **{name: value})


def test_numbers_and_lists_of_arrays_are_taken() -> None:
    taken = {"draws": np.int64(512), "seed": np.uint8(3), "time_limit": np.float32(9), "confidence": np.float64(0.5),
             "ends": np.array([1, 2]), "over": np.array(["a=1,2"]), "changes": {"a": [1, 2]},
             "groups": {"a": "factor.*"}}  # fmt: skip
    assert [name for name, value in taken.items() if not OPTIONS[name][0](value)] == []


def test_all_wrong_options_are_told_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        kpiopt.solve(HAND_SOLVED, draws="9", confidence="0.8")
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize("call", CALLS, ids=[c.__name__ for c in CALLS])
def test_what_a_call_is_about_is_refused_as_well(call) -> None:
    more = ["all"] if "target" in inspect.signature(call).parameters else []
    for wrong in (None, 5, ["a"], b"a"):
        with pytest.raises(UsageError):
            call(wrong, *more)


def test_nothing_to_compare_is_an_error_of_use() -> None:
    with pytest.raises(UsageError, match="nothing to compare"):
        kpiopt.compare()


def test_dir_lists_what_is_offered() -> None:
    assert set(kpiopt.__all__) <= set(dir(kpiopt))


def ways(path: Path) -> list[object]:
    """Return the three things that a scenario can be asked by."""
    scenario = kpiopt.load(path)
    return [path, scenario, kpiopt.solve(scenario, simulate=False, beside=())]


def test_a_promise_is_refused_of_a_robust_plan_whichever_way_it_is_asked(tmp_path) -> None:
    path = tmp_path / "robust.toml"
    path.write_text(ROBUST)
    for source in ways(path):
        with pytest.raises(ModelError) as caught:
            kpiopt.solve(source, confidence=0.6, beside=(), simulate=False)
        assert {problem.code for problem in caught.value.problems} == {"E-robust"}


def test_a_promise_is_refused_along_a_curve_whichever_way_it_is_asked(tmp_path) -> None:
    path = tmp_path / "curve.toml"
    path.write_text(CURVED)
    for source in ways(path):
        with pytest.raises(ModelError) as caught:
            kpiopt.solve(source, confidence=0.6, beside=(), simulate=False)
        assert [problem.code for problem in caught.value.problems] == ["E-curve-odds"]


def test_a_promise_without_effect_is_warned_of_whichever_way_it_is_asked(tmp_path) -> None:
    path = tmp_path / "idle.toml"
    path.write_text(CURVED.replace("curve = [[0, 0], [10, 30]]", "contribution = 3") + '[decide]\norder = ["cost"]\n')
    for source in ways(path):
        run = kpiopt.solve(source, confidence=0.6, beside=(), simulate=False)
        told = [w.message for w in run.scenario.warnings if "the odds required of all goals" in w.message]
        assert len(told) == 1, source


def test_a_promise_is_the_same_whichever_way_it_is_asked() -> None:
    path = HAND_SOLVED
    found = [kpiopt.solve(source, confidence=0.6, beside=(), simulate=False) for source in ways(path)]
    assert len({tuple(run.plan.target.tolist()) for run in found}) == 1
    assert {run.scenario.odds.p_min for run in found} == {0.6}


def test_what_an_option_changes_is_told_by_a_comparison_whichever_way_it_is_asked() -> None:
    """Odds to promise, draws and seed are part of the question: of a path and of a scenario at hand alike."""
    options = {"confidence": 0.6, "draws": 64, "seed": 9}
    told = []
    for source in (HAND_SOLVED, kpiopt.load(HAND_SOLVED)):
        plain = kpiopt.solve(source, beside=(), simulate=False)
        asked = kpiopt.solve(source, **options, beside=(), simulate=False)
        document = asked.scenario.document
        drawn = document["simulation"]
        assert (document["odds"]["p_min"], drawn["draws"], drawn["seed"]) == (0.6, 64, 9)
        (other,) = kpiopt.compare(plain, asked).others
        told.append({change.path: change.second.value for change in other.inputs})
    assert told[0] == told[1]
    assert {"odds.p_min", "simulation.draws", "simulation.seed"} <= set(told[0])


def test_a_number_of_draws_takes_the_place_of_a_precision() -> None:
    precise = kpiopt.load(HAND_SOLVED, overrides="simulation.precision=0.01")
    assert precise.document["simulation"]["precision"] == 0.01
    run = kpiopt.solve(precise, draws=64, simulate=False)
    assert "precision" not in run.scenario.document["simulation"]


def test_names_that_are_not_there_are_answered_with_those_that_are() -> None:
    scenario = kpiopt.load(HAND_SOLVED)
    goal, kpi, unit = next(iter(scenario.goals)), next(iter(scenario.kpis)), scenario.units.ids[0]
    tables = {"goal": (scenario.goals, goal), "KPI": (scenario.kpis, kpi), "unit": (scenario.units.position, unit)}
    for what, (table, name) in tables.items():
        with pytest.raises(KeyError, match=f"there is no {what} '{name}z': did you mean '{name}'"):
            table[f"{name}z"]
        assert table.get(f"{name}z") is None and f"{name}z" not in table
    copy = pickle.loads(pickle.dumps(replace(scenario, goals=dict(scenario.goals))))
    with pytest.raises(KeyError, match=goal):
        copy.goals["?"]
    run = kpiopt.solve(scenario, beside=(), draws=64)
    assert run.simulation.goal(goal).goal == goal
    with pytest.raises(KeyError, match=f"there is no goal '{goal}z': did you mean '{goal}'"):
        run.simulation.goal(f"{goal}z")


def test_an_option_that_is_none_is_answered_with_the_nearest() -> None:
    with pytest.raises(TypeError, match=r"solve\(\) takes no option 'tme_limit': did you mean 'time_limit'"):
        kpiopt.solve(HAND_SOLVED, tme_limit=3)
    with pytest.raises(TypeError, match=r"load\(\) takes no option 'x': write one of path, variant, overrides"):
        kpiopt.load(HAND_SOLVED, x=3)


def test_an_act_of_no_initiative_is_answered() -> None:
    scenario = kpiopt.load(HAND_SOLVED)
    graph = build_graph(replace(scenario, initiatives={}))
    with pytest.raises(UsageError, match="the scenario has no initiatives"):
        read_act(graph, "trainin=1")


def test_a_table_is_no_rule_beside_in_python_either() -> None:
    with pytest.raises(UsageError, match="is a table"):
        kpiopt.solve(HAND_SOLVED, beside="plan.csv")


def test_study_options_that_change_nothing_are_refused_in_python_either() -> None:
    for options in ({"methods": "sobol", "changes": {"goal.sales.target": (1, 2)}}, {"groups": {"a": ["b"]}},
                    {"ends": (1, 2)}, {"methods": (), "only": "factor.*", "alternatives": 0.01},
                    {"methods": (), "kinds": "limit", "alternatives": 0.01}):  # fmt: skip
        with pytest.raises(UsageError, match="would change nothing here"):
            kpiopt.sensitivity(HAND_SOLVED, **options)


def test_studies_answer_of_a_robust_plan_whichever_way_they_are_asked(tmp_path) -> None:
    path = tmp_path / "robust.toml"
    path.write_text(ROBUST)
    swept = [kpiopt.sweep(source, "goal.a.target=100,110", simulate=False).frame for source in ways(path)]
    assert swept[0]["goal.a.plan"].to_list() == [100.0, 110.0]
    assert all(frame.equals(swept[0]) for frame in swept)
    bars = [kpiopt.sensitivity(source, draws=64).tornado for source in ways(path)]
    assert all(bar == bars[0] for bar in bars)


CURVED = """
schema = 1
name = "Curved"
currency = "USD"
[kpi.calls]
[kpi.sales]
drivers.calls = { curve = [[0, 0], [10, 30]] }
[unit.co]
[cell."co/calls"]
baseline = 100
max_stretch = 10
[cell."co/sales"]
baseline = 1000
[goal.sales]
target = 1010
"""
