"""`simulate` and `explain`: a kept plan is looked at again."""

import json
from pathlib import Path

import pytest

from kpiopt.cli import main


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> tuple[Path, dict]:
    """A folder with the starter scenario, with parts of sessions too, and its run."""
    folder = tmp_path_factory.mktemp("kept")
    assert main(["init", str(folder)]) == 0
    path = folder / "scenario.toml"
    path.write_text(path.read_text().replace("whole = true\n", ""))
    assert main(["solve", str(path), "--out", str(folder / "runs")]) == 0
    (run,) = (folder / "runs").iterdir()
    return run, json.loads((run / "run.json").read_text())


def answer(capsys, *words: str) -> dict:
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_simulating_a_run_again_repeats_its_odds_to_the_last_bit(kept, capsys):
    run, document = kept
    again = answer(capsys, "simulate", str(run))
    assert [g["odds"] for g in again["goals"]] == [g["odds"] for g in document["goals"]]
    assert again["all_goals"] == document["all_goals"]
    assert again["pay"]["mean"] == document["pay"]["mean"]


def test_other_draws_give_other_odds_inside_the_interval(kept, capsys):
    run, document = kept
    again = answer(capsys, "simulate", str(run), "--seed", "12345", "--draws", "16384")
    assert again["simulation"]["draws"] == 16384
    odds, before = again["all_goals"], document["all_goals"]
    assert odds["estimate"] != before["estimate"]
    assert odds["low"] < before["high"]
    assert before["low"] < odds["high"]


def test_a_plan_under_another_scenario(kept, capsys):
    """With execution certain, what is planned is what comes: 1 session of nothing else changes."""
    run, _ = kept
    scenario = str(run.parents[1] / "scenario.toml")
    words = ["--set", "uncertainty.execution=0.5", "--set", "factor.market.value=0"]
    worse = answer(capsys, "simulate", str(run), "--under", scenario, *words)
    assert all(g["odds"]["estimate"] == 0 for g in worse["goals"])
    assert all(g["odds"]["high"] > 0 or g["odds"].get("certain") for g in worse["goals"])


def test_an_action_is_followed_along_the_map(kept, capsys):
    """More coaching: 6 visits a session, and sales by what a visit brings; complaints stay."""
    run, document = kept
    levels = sum(entry["level"] for entry in document["initiatives"])
    change = answer(capsys, "simulate", str(run), "--act", "coaching=5")["change"]
    kpis = {entry["node"]: entry for entry in change["kpis"]}
    assert kpis["company/visits"]["change"]["estimate"] == pytest.approx(6 * (20 - levels))
    assert kpis["company/sales"]["change"]["low"] > 300 * 6 * (20 - levels)
    assert kpis["company/complaints"]["change"]["estimate"] == pytest.approx(0, abs=1e-12)
    sales = next(entry for entry in change["odds"] if entry["goal"] == "sales")
    assert sales["resolved"]
    assert sales["difference"]["estimate"] == pytest.approx(sales["after"]["estimate"] - sales["before"]["estimate"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--act", "coachin=5"], "coaching"),
        (["--do", "sales=x"], "sales=x"),
        (["--set", "simulation.seed=1"], "--under"),
    ],
)
def test_actions_that_cannot_be_are_usage_errors(kept, capsys, words, message):
    assert main(["simulate", str(kept[0]), *words]) == 2
    assert message in capsys.readouterr().err


def test_the_text_of_an_action_shows_before_and_after(kept, capsys):
    assert main(["simulate", str(kept[0]), "--act", "coaching@ann=5"]) == 0
    out = capsys.readouterr().out
    assert "before" in out
    assert "Sales at The company" in out


def test_explaining_a_target_agrees_with_the_run(kept, capsys):
    run, _ = kept
    found = answer(capsys, "explain", str(run), "ann/sales")
    line = next(t for t in (run / "targets.csv").read_text().splitlines() if t.startswith("ann,sales,"))
    fields = line.split(",")
    assert (found["baseline"], found["target"]) == (float(fields[3]), float(fields[5]))
    assert found["expected"] == pytest.approx(float(fields[4]))
    assert found["own_asked"] == pytest.approx(float(fields[6]))
    assert main(["explain", str(run), "ann/sales"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Sales at Ann: ")
    assert "Customer visits at Ann" in out


def test_a_damaged_run_is_not_explained(kept, capsys, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(kept[0], copy)
    (copy / "targets.csv").write_text("x")
    assert main(["explain", str(copy), "ann/sales"]) == 8
    assert "targets.csv" in capsys.readouterr().err


def test_simulate_says_what_the_odds_hinge_on(kept, capsys):
    """Importance, when it fails, odds given the others and peers' spread, each odds figure with its interval."""
    run, document = kept
    found = answer(capsys, "simulate", str(run))
    assert [d["goal"] for d in found["drivers"]] == [g["goal"] for g in found["goals"] if "certain" not in g["odds"]]
    shares = [i["share_of_variance"] for d in found["drivers"] for i in d["importances"]]
    assert shares
    assert all(0 < share <= 1.05 for share in shares)
    for goal in (*found["goals"], *document["goals"]):
        assert {"odds", "given_others", "rare"} <= goal.keys()
    for peers in found["peers"]:
        low, middle, high = (peers[name] for name in ("lowest", "median", "highest"))
        assert low["estimate"] <= middle["estimate"] <= high["estimate"]
        assert all(e["low"] < e["high"] or e["certain"] for e in (low, middle, high))
    assert main(["simulate", str(run)]) == 0
    text = capsys.readouterr().out
    assert "What the odds hinge on" in text
    assert ("How equal the chances of peers are" in text) == bool(found["peers"])


def test_one_executor_for_every_command_that_draws(kept, capsys):
    """Odds are the same to the last bit, and what says two things is refused by each command alike."""
    run, document = kept
    scenario, out = str(run.parents[1] / "scenario.toml"), str(run.parent)
    runs = ["--out", out]
    commands = [["solve", scenario, *runs], ["simulate", str(run)], ["compare", scenario, *runs],
                ["sweep", scenario, *runs, "--over", "budget.cash.limit=4000,5000"], ["verify", str(run)]]  # fmt: skip
    for words in commands:
        assert main([*words, "--executor", "processes:2", "--workers", "2"]) == 2, words[0]
        assert "E-executor" in capsys.readouterr().err
    for place in (["--workers", "2"], ["--executor", "threads:2"]):
        again = answer(capsys, "simulate", str(run), *place)
        assert [g["odds"] for g in again["goals"]] == [g["odds"] for g in document["goals"]]
        solved = answer(capsys, "solve", scenario, *runs, "--force", *place)
        assert solved["goals"] == document["goals"] and solved["all_goals"] == document["all_goals"]
    serial = answer(capsys, "compare", scenario, str(run), *runs)
    assert answer(capsys, "compare", scenario, str(run), *runs, "--executor", "threads:2") == serial
