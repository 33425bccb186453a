"""Why an initiative is not taken further, and what stops a cell that is locked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import kpiopt
from kpiopt.cli.app import main
from kpiopt.report.explanation_limit import level_sentences
from kpiopt.studies.explain_limit import explain_initiative

BASE = """schema = 1
name = "more"
currency = "USD"
[kpi.g]
unit = "USD"
baseline = 1000
drivers.v = 3
[kpi.v]
unit = "x"
step = 1
[unit.co]
capacity.h = 30
[unit.a]
parent = "co"
[unit.b]
parent = "co"
[cell."a/v"]
baseline = 100
max_stretch = 20
effort.h = 1
lock_target = 108
[cell."b/v"]
baseline = 100
max_stretch = 30
effort.h = 1
[budget.cash]
limit = 4
[goal.g]
target = 1200
[initiative.i]
effects.g = 5
"""


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (
            "max = 2\nwhole = true\nuses.cash = 3",
            "co: 1 of 2; a level of 2 would take 3 USD more of the cash budget, which has 1 USD left.",
        ),
        (
            "levels = [0, 1, 3]\nuses.cash = 2",
            "co: 1 of 3; a level of 3 would take 4 USD more of the cash budget, which has 2 USD left.",
        ),
        (
            "max = 1\nwhole = true\nuses.cash = 1\nsetup.cash = 4",
            "co: 0 of 1; a level of 1 would take 5 USD more of the cash budget, which has 4 USD left.",
        ),
        (
            "max = 9\nsetup.cash = 6",
            "co: 0 of 9; to begin it would take 6 USD more of the cash budget, which has 4 USD left.",
        ),
        ("max = 9\nuses.cash = 1", "co: 4 of 9; more of it would need the cash budget, which is used up."),
        (
            'max = 1\nneeds = ["j"]\n[initiative.j]\nname = "Jobs"\nmax = 1\nwhole = true\nuses.cash = 5',
            "co: 0 of 1; it needs Jobs, which is not begun.",
        ),
        (
            'max = 1\nnot_with = ["j"]\n[initiative.j]\nname = "Jobs"\nmax = 1\neffects.g = 9',
            "co: 0 of 1; Jobs excludes it.",
        ),
        ("max = 3\nwhole = true\nuses.cash = 1", "co: 3 of 3; as much as it may."),
    ],
)
def test_what_stops_an_initiative_is_said(tmp_path: Path, lines: str, why: str) -> None:
    (tmp_path / "s.toml").write_text(BASE + lines)
    run = kpiopt.solve(tmp_path / "s.toml", simulate=False)
    scenario, entries = run.scenario, run.as_dict()["limits"]
    found = explain_initiative(run.graph, run.plan.stretch, run.plan.levels, entries, scenario.initiatives["i"], "")
    assert [*level_sentences(scenario, found)] == [why]


def test_a_locked_cell_is_stopped_by_its_lock_alone_and_goals_are_listed(tmp_path: Path, capsys, monkeypatch) -> None:
    (tmp_path / "s.toml").write_text(BASE + "max = 1")
    monkeypatch.chdir(tmp_path)
    assert main(["solve", "s.toml", "--no-simulation"]) == 0
    run = kpiopt.solve("s.toml", simulate=False)
    rows = {(row["unit"], row["kpi"]): row["binding"] for row in run.plan.targets.iter_rows(named=True)}
    assert (rows["a", "v"], rows["b", "v"]) == ("lock", "capacity.h@co")
    name = next(iter((tmp_path / "runs").iterdir())).name
    assert main(["explain", name, "a/v"]) == 0
    assert "It is held by" not in capsys.readouterr().out
    assert main(["explain", name, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["goals"] == ["g"]
    assert main(["explain", name]) == 0
    assert "goal.g" in capsys.readouterr().out.split()
    assert main(["explain", name, "goal.g"]) == 0


def test_one_that_is_left_is_one(tmp_path: Path, capsys, monkeypatch) -> None:
    (tmp_path / "s.toml").write_text(BASE + "max = 2\nwhole = true\nuses.cash = 3")
    monkeypatch.chdir(tmp_path)
    assert main(["solve", "s.toml", "--no-simulation"]) == 0
    capsys.readouterr()
    assert main(["explain", next((tmp_path / "runs").iterdir()).name, "cash"]) == 0
    assert "1 USD is left. Less than 3 USD" in capsys.readouterr().out
