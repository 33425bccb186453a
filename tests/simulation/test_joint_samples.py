"""Columns of one file of samples are drawn row by row together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kpiopt.cli import main
from kpiopt.errors import InputError
from kpiopt.graph import build_graph
from kpiopt.scenario.load import load_scenario
from kpiopt.scenario.scenario import Scenario
from kpiopt.simulation.inputs import build_inputs
from kpiopt.simulation.results import Simulation
from kpiopt.simulation.simulate import simulate

TEXT = """
schema = 1
name = "Joint samples"
[kpi.sales]
unit = "USD"
[unit.top]
[unit.a]
parent = "top"
[unit.b]
parent = "top"
[cell."a/sales"]
baseline = { samples = "joint.csv#a" }
[cell."b/sales"]
baseline = { samples = "./joint.csv#b" }
[goal.sales]
target = 190
[simulation]
draws = 16384
"""


def read(folder: Path, rows: np.ndarray, text: str = TEXT) -> Scenario:
    lines = ["a,b", *(f"{a!r},{b!r}" for a, b in rows.tolist())]
    (folder / "joint.csv").write_text("\n".join(lines) + "\n")
    (folder / "scenario.toml").write_text(text)
    return load_scenario(folder / "scenario.toml")


def drawn(scenario: Scenario) -> Simulation:
    graph = build_graph(scenario)
    return simulate(graph, np.zeros(len(scenario.cells)), np.zeros(graph.n_levels))


def history(n: int = 999) -> np.ndarray:
    """Two columns of mean 100 that move together, rounded as in a file."""
    rng = np.random.default_rng(8)
    common = rng.normal(0, 9, n)
    return np.round(100 + np.stack([common, common], axis=1) + rng.normal(0, 3, (n, 2)), 4)


def test_a_draw_is_a_row(tmp_path: Path) -> None:
    rows = history(97)
    scenario = read(tmp_path, rows)
    inputs = build_inputs(build_graph(scenario), np.zeros(2))
    assert inputs.names == ("samples.joint.csv",)
    score = np.random.default_rng(1).standard_normal((1, 5000))
    values, _ = inputs.draw_shared(lambda part: score[part].copy(), 5000)
    assert {tuple(pair) for pair in values.T.tolist()} == {tuple(row) for row in rows.tolist()}


def test_spread_and_odds_are_those_of_the_sums_of_rows(tmp_path: Path) -> None:
    rows = history()
    found = drawn(read(tmp_path, rows))
    sums = rows.sum(axis=1)
    assert found.distributions[0].sd == pytest.approx(sums.std(), rel=0.01)
    assert found.goals[0].odds.low <= np.mean(sums >= 190) <= found.goals[0].odds.high
    means = rows.mean(axis=0)
    assert found.graph.baseline[[found.graph.find_node("sales", u) for u in "ab"]] == pytest.approx(means)


def test_rows_that_cancel_leave_nothing_but_their_sum(tmp_path: Path) -> None:
    a = np.linspace(50, 150, 101)
    found = drawn(read(tmp_path, np.stack([a, 200 - a], axis=1)))
    assert found.distributions[0].sd == pytest.approx(0, abs=1e-9)


def test_one_column_alone_is_drawn_as_before(tmp_path: Path) -> None:
    """Its stream is the quantity's own, its values go by rank, so that it can be correlated."""
    text = TEXT.replace('{ samples = "./joint.csv#b" }', "100")
    inputs = build_inputs(build_graph(read(tmp_path, history(), text)), np.zeros(2))
    assert inputs.names == ("cell.a/sales.baseline",)
    assert inputs.quantities[0].kind == "samples"


def test_files_of_the_same_name_are_drawn_apart(tmp_path: Path) -> None:
    text = TEXT.replace("./joint.csv#b", "other/joint.csv#b")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "joint.csv").write_text("a,b\n1,2\n3,4\n")
    inputs = build_inputs(build_graph(read(tmp_path, history(), text)), np.zeros(2))
    assert len(inputs.names) == 2


def test_what_is_not_whole_or_said_twice_is_refused(tmp_path: Path) -> None:
    rows = history(5)
    scenario = read(tmp_path, rows, TEXT + '[correlation]\n"cell.a/sales.baseline ~ cell.b/sales.baseline" = 0.5\n')
    with pytest.raises(InputError, match=r"other quantities are samples of joint\.csv as well"):
        build_inputs(build_graph(scenario), np.zeros(2))
    (tmp_path / "joint.csv").write_text("a,b\n1,2\n,4\n5,6\n")
    (tmp_path / "scenario.toml").write_text(TEXT)
    with pytest.raises(InputError, match=r"row 2 .* has a value in only one of a and b"):
        load_scenario(tmp_path / "scenario.toml")


@pytest.mark.parametrize("where", ["", "variant.linked."])
def test_check_says_it_like_solve(tmp_path: Path, capsys: pytest.CaptureFixture[str], where: str) -> None:
    pair = '"cell.a/sales.baseline ~ cell.b/sales.baseline" = 0.5\n'
    read(tmp_path, history(5), TEXT)
    assert main(["check", str(tmp_path / "scenario.toml")]) == 0
    (tmp_path / "scenario.toml").write_text(f"{TEXT}[{where}correlation]\n{pair}")
    assert main(["check", str(tmp_path / "scenario.toml")]) == 3
    said = capsys.readouterr().err
    assert "E-correlation-samples" in said and "cell.a/sales.baseline" in said and "cell.b/sales.baseline" in said
    assert not where or "linked" in said
    assert "scenario.toml:" in said and '| "cell.a/sales.baseline' in said


SAMPLED = 'schema = 1\nname = "s"\n[kpi.v]\nbaseline = 1\ndrivers = { f = 1 }\n[factor.f]\n' \
    'value = { samples = "s.csv#x" }\n[unit.co]\n[goal.v]\ntarget = 2\n'  # fmt: skip


@pytest.mark.parametrize("text", ["x;y\n1.5;2\n1.25;3\n", "x\ty\n1.5\t2\n1.25\t3\n", "sep=;\nx;y\n1.5;2\n1.25;3\n"])
def test_what_plainly_separates_a_file_of_samples_is_seen(tmp_path, text):
    (tmp_path / "s.csv").write_text(text)
    (tmp_path / "s.toml").write_text(SAMPLED)
    assert load_scenario(tmp_path / "s.toml").factors["f"].value.mean == 1.375


@pytest.mark.parametrize(("number", "fix"), [("1,5", "write 1.5"), ("1.299", "write the numbers without separators")])
def test_files_of_samples_are_asked_about_what_can_be_done(tmp_path, number, fix):
    """No table of the document names them, so that nothing can be declared of them."""
    (tmp_path / "s.csv").write_text(f"x;y\n{number};2\n")
    (tmp_path / "s.toml").write_text(SAMPLED)
    with pytest.raises(InputError, match=fix) as failed:
        load_scenario(tmp_path / "s.toml")
    assert "declare" not in str(failed.value)
