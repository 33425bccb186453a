"""Factors with a value for each period: what they do by kind and lag, in draws, questions and files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import kpiopt
from kpiopt.cli.app import main
from kpiopt.errors import InputError
from kpiopt.run.run import Run
from kpiopt.scenario.numbers.inputs import Inputs
from kpiopt.studies.recourse import study_recourse

MARKET = """schema = 1
name = "A market by quarter"
[periods]
names = ["Q1", "Q2", "Q3"]
[kpi.driven]
kind = "KIND"
roll_up = "none"
SEASON
[kpi.driven.drivers]
market = { contribution = 2, lag = LAG }
[factor.market]
name = "Market"
value = VALUE
[goal.driven]
target = 150
[unit.co]
[cell."co/driven"]
baseline = 100
max_stretch = 1000
[uncertainty]
execution = 1
[simulation]
draws = 256
"""


def text_of(value: str = "[3, 5, 10]", kind: str = "flow", lag: int = 0) -> str:
    season = "" if kind == "stock" else "season = [0.2, 0.3, 0.5]"
    text = MARKET.replace("KIND", kind).replace("SEASON", season).replace("LAG", str(lag))
    return text.replace("VALUE", value)


def load(tmp_path: Path, text: str, *overrides: str) -> kpiopt.Scenario:
    path = tmp_path / "scenario.toml"
    path.write_text(text, "utf-8")
    return kpiopt.load(path, overrides=overrides)


def solve(tmp_path: Path, text: str, *overrides: str, simulate: bool = False) -> Run:
    return kpiopt.solve(load(tmp_path, text, *overrides), simulate=simulate)


def changes(run: Run) -> list[float]:
    """Return what the plan changes in each period and over the horizon, without what is worked for."""
    rows = run.targets.filter(run.targets["kpi"] == "driven").sort("period", nulls_last=True)
    kind = run.scenario.kpis["driven"].kind
    change = (rows["plan"] - rows["baseline"]).to_list()
    x = rows["stretch"].to_list()[:-1]
    assert run.scenario.periods is not None
    own = {"flow": x, "stock": np.cumsum(x).tolist()}.get(kind) or np.divide(x, run.scenario.periods.season[0]).tolist()
    whole = {"flow": sum(x), "rate": sum(x), "stock": sum(x)}[kind]
    return np.subtract(change, [*own, whole]).tolist()


@pytest.mark.parametrize(
    ("kind", "lag", "expected"),
    [  # c w_t f of a flow, c f else; over the horizon their sum, their mean by season, the last one
        ("flow", 0, [2 * 0.2 * 3, 2 * 0.3 * 5, 2 * 0.5 * 10, 1.2 + 3 + 10]),
        ("rate", 0, [6, 10, 20, 0.2 * 6 + 0.3 * 10 + 0.5 * 20]),
        ("stock", 0, [6, 10, 20, 20]),
        ("flow", 1, [0, 2 * 0.3 * 3, 2 * 0.5 * 5, 1.8 + 5]),
        ("rate", 1, [0, 6, 10, 0.3 * 6 + 0.5 * 10]),
        ("stock", 2, [0, 0, 6, 6]),
    ],
)
def test_a_value_acts_in_its_period(tmp_path: Path, kind: str, lag: int, expected: list[float]) -> None:
    run = solve(tmp_path, text_of(kind=kind, lag=lag))
    assert changes(run) == pytest.approx(expected, rel=1e-9, abs=1e-7)
    assert run.goals[0].plan == pytest.approx(150.0)


@pytest.mark.parametrize("lag", [0, 1, 2])
@pytest.mark.parametrize("kind", ["flow", "rate", "stock"])
def test_equal_values_are_one_value(tmp_path: Path, kind: str, lag: int) -> None:
    one, each = (solve(tmp_path, text_of(value, kind, lag)) for value in ("7.5", "[7.5, 7.5, 7.5]"))
    assert each.targets["target"].to_list() == one.targets["target"].to_list()
    assert each.targets["plan"].to_list() == pytest.approx(one.targets["plan"].to_list(), rel=1e-12)


def test_each_period_is_drawn_by_itself_and_one_value_once(tmp_path: Path) -> None:
    """Sums of c w_t f_t: sd 2 sqrt(sum w^2) = 1.233 where periods are independent, 2 where one draw holds in all."""
    normal = "{ normal = [5, 1] }"
    each, more = text_of(f"[{normal}, {normal}, {normal}]"), "simulation.draws=4096"
    alone, once = (solve(tmp_path, text, more, simulate=True) for text in (each, text_of(normal)))
    pairs = [
        f'"factor.market/{a} ~ factor.market/{b}" = 0.999999' for a, b in (("Q1", "Q2"), ("Q1", "Q3"), ("Q2", "Q3"))
    ]
    tied = "\n".join(["[correlation]", *pairs, "[simulation]"])
    together = solve(tmp_path, each.replace("[simulation]", tied), more, simulate=True)
    sds = []
    for run in (alone, once, together):
        assert run.simulation is not None
        found = run.simulation.distribution(run.graph.find_node("driven"))
        assert found is not None
        sds.append(found.sd)
    assert sds == pytest.approx([2 * np.sqrt(0.2**2 + 0.3**2 + 0.5**2), 2.0, 2.0], rel=0.02)


def test_a_value_of_one_period_is_moved_as_the_file_would(tmp_path: Path) -> None:
    text = text_of("[3, 5, 10]")
    path = tmp_path / "scenario.toml"

    def read(overrides: object) -> kpiopt.Scenario:
        return kpiopt.load(path, overrides=list(overrides))  # type: ignore[call-overload]

    inputs = Inputs(load(tmp_path, text), read)
    assert inputs.value("factor.market/Q2") == 5.0
    moved, written = inputs.at("factor.market/Q2", 8.0), inputs.written({"factor.market/Q2": 8.0})
    other = load(tmp_path, text.replace("[3, 5, 10]", "[3, 8, 10]"))
    assert written.document["factor"]["market"]["value"] == [3, 8.0, 10]
    for scenario in (moved, written):
        assert [f.value.mean for f in scenario.factors.values()] == [3.0, 8.0, 10.0]
        run = kpiopt.solve(scenario, simulate=False)
        assert changes(run) == pytest.approx(changes(kpiopt.solve(other, simulate=False)), abs=1e-9)


def test_set_and_a_sweep_name_a_period(tmp_path: Path) -> None:
    assert changes(solve(tmp_path, text_of("1"), "factor.market.value=[3, 5, 10]")) == pytest.approx(
        [1.2, 3.0, 10.0, 14.2], abs=1e-7
    )
    path = tmp_path / "scenario.toml"
    path.write_text(
        text_of().replace("max_stretch = 1000", "max_stretch = 0") + '[sweep]\n"factor.market/Q2" = [5, 8]\n'
    )
    assert kpiopt.sweep(path, simulate=False).frame["goal.driven.plan"].to_list() == pytest.approx([114.2, 116.0])


def test_a_value_of_one_period_is_explained_and_set_in_the_draws(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "scenario.toml"
    path.write_text(text_of(), "utf-8")
    assert main(["solve", str(path), "--out", str(tmp_path / "runs")]) == 0
    folder = str(next((tmp_path / "runs").glob("*-*")))
    capsys.readouterr()
    assert main(["explain", folder, "co/driven/Q2"]) == 0
    told = capsys.readouterr().out
    assert "Market in Q2" in told and "Market in Q3" not in told
    assert main(["simulate", folder, "--do", "factor.market/Q2=6", "--json"]) == 0
    means = {entry["node"]: entry["mean"] for entry in json.loads(capsys.readouterr().out)["kpis"]}
    rows = kpiopt.solve(kpiopt.load(path), simulate=False).targets.filter(kpi="driven")
    plan = {f"co/driven/{p}" if p else "co/driven": v for p, v in rows.select("period", "plan").iter_rows()}
    more = {"co/driven/Q2": 2 * 0.3, "co/driven": 2 * 0.3}
    assert means == pytest.approx({node: value + more.get(node, 0.0) for node, value in plan.items()}, rel=1e-6)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("VALUE", "[1, 2]", "E-factor-periods"),
        ("VALUE", "[]", "E-factor-periods"),
        ("VALUE", '[1, 2, "3 to"]', "E-quantity"),
        ("VALUE", "[1, [2], 3]", "E-quantity"),
        ('[periods]\nnames = ["Q1", "Q2", "Q3"]', "", "E-no-periods"),
        ("[factor.market]", '[factor."market/Q2"]\nvalue = 1\n[factor.market]', "E-ambiguous-id"),
    ],
)
def test_what_cannot_be_is_said(tmp_path: Path, old: str, new: str, code: str) -> None:
    raw = MARKET.replace("SEASON", "").replace("KIND", "flow").replace("LAG", "0")
    with pytest.raises(InputError) as caught:
        load(tmp_path, raw.replace(old, new).replace("VALUE", "[1, 2, 3]"))
    assert code in {problem.code for problem in caught.value.problems}


def test_a_workbook_keeps_the_values(tmp_path: Path) -> None:
    path, book = tmp_path / "scenario.toml", tmp_path / "book.xlsx"
    path.write_text(text_of('[3, "4 to 6", { normal = [10, 1] }]'), "utf-8")
    assert main(["convert", str(path), str(book)]) == 0
    was, now = kpiopt.load(path), kpiopt.load(book)
    assert now.factors == was.factors


def test_recourse_does_not_know_a_later_value_before_its_time(tmp_path: Path) -> None:
    late = text_of('["2 to 4", 5, "8 to 12"]') + '[recourse]\nfrom = "Q2"\ndraws = 16\n'
    found = study_recourse(load(tmp_path, late))
    assert found is not None and found.reason == "Market in Q3 is not known yet when Q2 begins"
    early = late.replace('"8 to 12"', "10")
    found = study_recourse(load(tmp_path, early))
    assert found is not None and not found.reason
