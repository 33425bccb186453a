"""`kpiopt sensitivity` as a planner calls it."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from kpiopt.cli import main
from kpiopt.errors import ExitCode
from kpiopt.program.solver.answer import SolverOptions
from kpiopt.scenario.load import FileReader
from kpiopt.scenario.numbers.inputs import Inputs
from kpiopt.scenario.settings import SimulationSettings
from kpiopt.studies.family import FamilySettings
from kpiopt.studies.sensitivity.moves import KINDS, moves_of
from kpiopt.studies.sensitivity.outcome import parse_outcome
from kpiopt.studies.sensitivity.tornado import TornadoJob

SCENARIOS = Path(__file__).parents[2] / "scenarios"
HAND_SOLVED = str(SCENARIOS / "hand-solved.toml")


def call(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["sensitivity", *words])
    out, err = capsys.readouterr()
    return code, out, err


def document(capsys: pytest.CaptureFixture[str], *words: str) -> dict:
    code, out, _ = call(capsys, HAND_SOLVED, *words, "--json")
    assert code == ExitCode.OK
    return json.loads(out)


def test_tornado_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    found = document(capsys, "--output", "kpi:sales", "--change", "budget.pay.limit=500:700")
    assert found["schema"] == "kpiopt.sensitivity/1"
    assert found["output"]["estimate"] == pytest.approx(108_000.0)
    assert found["output"]["unit"] == "USD"
    bars = {bar["input"]: bar for bar in found["tornado"]}
    assert bars["kpi.sales.drivers.visits"]["kind"] == "uncertain"
    assert bars["budget.pay.limit"]["low"]["value"] == 500.0
    assert bars["budget.pay.limit"]["low"]["broken_limits"] == ["budget.pay"]
    low = bars["kpi.sales.drivers.visits"]["low"]
    assert low["fixed"]["estimate"] == pytest.approx(108_000.0 - 17.5 * 20.0 * 1.2815515655)
    assert low["replanned"]["estimate"] == pytest.approx(108_000.0)
    assert low["replanning_worth"]["estimate"] == pytest.approx(17.5 * 20.0 * 1.2815515655)
    assert found["break_even"] is None and found["sobol"] is None and found["information"] is None


def test_everything_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    found = document(
        capsys, "--method", "morris", "--method", "sobol", "--group", "visits=kpi.sales.drivers.*", "--break-even",
        "budget.pay.limit", "--range", "500:800", "--alternatives", "0.02", "--information", "--draws", "512",
    )  # fmt: skip
    assert found["tornado"] is None
    assert found["morris"][0]["group"] == "visits"
    assert found["sobol"]["groups"][0]["total"]["estimate"] == pytest.approx(1.0, abs=0.1)
    crossing = found["break_even"][0]["kind"]["below"]
    assert crossing["outside"] <= 600.0 < crossing["inside"] and crossing["confirmed"]
    assert {entry["name"] for entry in found["alternatives"]["ranges"]} >= {"ann/visits", "bob/sales"}
    assert [entry["input"] for entry in found["information"]] == ["kpi.sales.drivers.visits", "everything named"]
    assert found["simulation"]["draws"] == 512


def test_words_on_the_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    code, out, _ = call(
        capsys, HAND_SOLVED, "--output", "odds:sales", "--method", "tornado", "--method", "sobol", "--method", "morris",
        "--break-even", "budget.pay.limit", "--alternatives", "0.02", "--information", "--draws", "512",
    )  # fmt: skip
    assert code == ExitCode.OK
    assert "Visits on Sales" in out
    assert "falls below 600:" in out
    assert "budget.pay: has room → used up" in out
    assert "every step may give up 2.0 % of its value" in out
    assert "made anew" in out and "worth +100.0 … +0.0" in out
    assert "+43.8   +40.6 … +46.9" in out


def test_only_some_inputs(capsys: pytest.CaptureFixture[str]) -> None:
    found = document(capsys, "--output", "pay", "--input", "goal.*", "--draws", "64")
    assert {bar["input"] for bar in found["tornado"]} == {"goal.sales.target", "goal.complaints.target"}
    found = document(capsys, "--output", "shortfall", "--kind", "limit")
    assert {bar["kind"] for bar in found["tornado"]} == {"limit"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--output", "luck"], "there is no output 'luck'"),
        (["--change", "budget.pay.limit"], "write PATH=LOW:HIGH"),
        (["--change", "budget.pay.limit=9"], "write LOW:HIGH"),
        (["--change", "budget.pay.limit=9:5"], "the lower one first"),
        (["--change", "budget.pay.limit=nan:inf"], "two finite numbers"),
        (["--change", "budget.pay.limit=-5:10"], "budget.pay.limit cannot be -5"),
        (["--change", "kpi.sales.step=-5:10"], "kpi.sales.step cannot be -5"),
        (["--change", "budget.pai.limit=1:2"], "did you mean 'budget.pay.limit'"),
        (["--method", "sobol", "--group", "visits"], "write NAME=A,B"),
        (["--method", "sobol", "--group", "a=factor.wind"], "no uncertain quantity"),
        (["--break-even", "budget.pay"], "is not a number of the scenario"),
        (["--input", "factor.*"], "is no input that is moved here"),
        (["--method", "guess"], "guess"),
        (["--range", "1:2"], "--range belongs to --break-even"),
        (["--group", "a=kpi.sales.drivers.visits"], "--group belongs to --method morris"),
        (["--change", "budget.pay.limit=600:700", "--method", "sobol"], "--change belongs to --method tornado"),
        (["--kind", "goal", "--alternatives", "0.1"], "--kind belongs to --method tornado or --information"),
        (["--change", "budget.pay.limit=6:7", "--change", "budget.pay.limit=5:7"], "twice for budget.pay.limit"),
        (
            ["--change", "kpi.sales.drivers.visits=6:7", "--change", "kpi.sales.drivers.visits.contribution=5:7"],
            "moved twice, by two names",
        ),
        (["--method", "sobol", "--group", "a=*", "--group", "a=*"], "--group is given twice for a"),
        (["--break-even", "budget.pay.limit", "--range=-5:900"], "budget.pay.limit cannot be -5"),
    ],
)
def test_what_cannot_be_asked_is_said(capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    code, out, err = call(capsys, HAND_SOLVED, *words)
    assert code == ExitCode.USAGE
    assert message in err
    assert out == ""


def test_a_scenario_without_a_plan_ends_as_solve_does(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, _ = call(capsys, HAND_SOLVED, "--variant", "impossible")
    assert code == ExitCode.INFEASIBLE


def test_a_scenario_without_goals_pay_or_chance(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text(
        'schema = 1\nname = "tiny"\n[kpi.output]\n[unit.plant]\n[unit.a]\nparent = "plant"\n'
        '[cell."a/output"]\nbaseline = 100\nmax_stretch = 5\n',
        encoding="utf-8",
    )
    everything = ["--method", "tornado", "--method", "morris", "--method", "sobol", "--information"]
    code, out, _ = call(capsys, str(path), *everything, "--alternatives", "0.1")
    assert code == ExitCode.OK
    assert "Plan value of output: 100" in out
    assert "Nothing that is uncertain changes it." in out
    assert call(capsys, str(path), "--output", "pay")[0] == ExitCode.USAGE


def test_the_same_question_has_the_same_answer(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--method", "tornado", "--method", "morris", "--method", "sobol", "--draws", "256"]
    assert document(capsys, *words) == document(capsys, *words)


def test_the_answer_does_not_depend_on_where_inputs_are_moved(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--input", "budget.pay.limit", "--input", "kpi.sales.drivers.visits", "--draws", "64"]
    assert document(capsys, *words, "--executor", "threads:2") == document(capsys, *words)
    assert document(capsys, *words, "--workers", "2") == document(capsys, *words)
    code, _, err = call(capsys, HAND_SOLVED, "--executor", "moon")
    assert code == ExitCode.USAGE and "there is no executor 'moon'" in err


def test_what_moves_inputs_can_be_sent_to_other_processes() -> None:
    reader = FileReader(HAND_SOLVED)
    inputs, settings = Inputs(reader(), reader), SimulationSettings(draws=64)
    outcome = parse_outcome(inputs.scenario, "kpi:sales")
    job = pickle.loads(
        pickle.dumps(TornadoJob(FamilySettings(SolverOptions(), False), inputs, outcome, settings))
    )  # fmt: skip
    (move,) = moves_of(inputs, {"budget.pay.limit": (500.0, 700.0)}, KINDS, ["budget.pay.limit"])
    bar = job.prepare()(move)
    assert bar.low.broken == ("budget.pay",) and bar.high.broken == ()


def test_where_the_file_ends_is_no_change_of_the_plan(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, HAND_SOLVED, "--break-even", "kpi.visits.step", "--draws", "64")
    assert code == ExitCode.OK
    assert "stays as long as the file allows it: not when it falls below 0." in out
    assert out.count("not allowed") == 1


def test_numbers_of_single_cells_have_names(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--input", "cell.*.max_stretch", "--input", "unit.ann.*", "--output", "kpi:visits", "--draws", "64"]
    code, out, _ = call(capsys, HAND_SOLVED, *words)
    assert code == ExitCode.OK
    assert "Largest stretch of Sales, Ann" in out
    named = document(capsys, *words)
    assert {bar["input"] for bar in named["tornado"]} >= {"unit.ann.capacity.hours", "cell.bob/sales.max_stretch"}


def test_what_is_left_out_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--set", "goal.complaints.target=0", "--kind", "goal", "--output", "kpi:sales"]
    code, out, _ = call(capsys, HAND_SOLVED, *words)
    assert code == ExitCode.OK
    assert "Not moved (1): numbers at 0, of which a tenth is nothing: goal.complaints.target" in " ".join(out.split())
    assert document(capsys, *words)["left_out"][0]["count"] == 1
