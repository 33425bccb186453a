"""Settings of peers, offers and odds that change nothing are told, and so are peers who cannot have equal odds."""

from __future__ import annotations

from pathlib import Path

import pytest

import kpiopt

PEERS = """
schema = 1
name = "Peers"
unit = { co = { level = "company" }, a = { parent = "co", level = "rep" }, b = { parent = "co", level = "rep" } }
kpi.sales = { step = 0.01 }
goal.sales.target = 330
noise.all.sd = 0.05
[cell]
"a/sales" = { baseline = 200, max_stretch = 200, execution = { normal = [0.7, 0.03] } }
"b/sales" = { baseline = 100, max_stretch = 100, execution = { normal = [EXECUTION, 0.03] } }
"""


def found(folder: Path, *more: str, execution: float = 0.8) -> dict[str, str]:
    """Codes and messages of what `check` says."""
    (folder / "s.toml").write_text(PEERS.replace("EXECUTION", str(execution)))
    said = kpiopt.check(folder / "s.toml", overrides=more)
    assert not said.errors, said.errors
    return {problem.code: problem.message for problem in said.warnings}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (['decide.fairness="chance"', 'decide.order=["goals", "cost"]'], "the step `fairness` is not in the order"),
        (['fairness.measure="load"'], "no cell has effort"),
        (["reconcile.weight=0.5"], "no cell with a decision has a commit"),
        (['odds.goals=["sales"]'], "[odds] goals changes nothing"),
        (["odds.priority=2"], "[odds] priority changes nothing"),
        (['assign.x={where={level="rep"}}'], "assign 'x' asks for nothing"),
        (['assign.x={where={level="company"}, kpis=[1, 2]}'], "assign 'x' chooses units without cells"),
    ],
)
def test_what_changes_nothing_is_told(tmp_path, settings, words):
    assert words in found(tmp_path, *settings).get("W-no-effect", "")


def test_who_keeps_its_odds_however_much_is_asked_is_named(tmp_path):
    equal = 'decide.fairness="chance"'
    assert "W-chance" not in found(tmp_path, equal)
    assert "the odds of b/sales hardly fall" in found(tmp_path, equal, execution=1.0)["W-chance"]


def test_a_plan_that_peers_hold_back_does_not_say_that_nothing_does(tmp_path):
    from kpiopt.report.summary import render_summary

    (tmp_path / "s.toml").write_text(PEERS.replace("EXECUTION", "0.8"))
    run = kpiopt.solve(
        tmp_path / "s.toml", simulate=False, overrides=["fairness.band=0.0", 'cell."b/sales".max_stretch=1']
    )
    assert not run.goals[0].met
    from rich.console import Console

    console = Console(width=200)
    with console.capture() as shown:
        console.print(render_summary(run))
    assert "how far peers may differ ([fairness] band)" in shown.get()
