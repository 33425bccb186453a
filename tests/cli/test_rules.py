"""Rules of the planner's own: the page's example, and how a rule reaches the answer."""

import csv
import json
import re
from pathlib import Path

import pytest

from kpiopt.cli import main

PAGE = (Path(__file__).parents[2] / "docs" / "rules.md").read_text()
TOML, PYTHON = (re.search(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)[1] for kind in ("toml", "python"))


def solve(folder: Path, rules: str, capsys) -> tuple[Path, dict[str, dict], str]:
    """The run, its limits by name as in run.json, and the summary."""
    (folder / "scenario.toml").write_text(TOML)
    (folder / "rules.py").write_text(rules)
    words = ["solve", str(folder / "scenario.toml"), "--out", str(folder / "runs"), "--no-simulation", "--allow-code"]
    assert main(words) == 0
    (run,) = (path for path in (folder / "runs").iterdir() if path.is_dir() and not path.name.startswith("."))
    limits = {entry["name"]: entry for entry in json.loads((run / "run.json").read_text())["limits"]}
    return run, limits, " ".join(capsys.readouterr().out.split())


def test_the_example_of_the_page(tmp_path, capsys):
    run, limits, summary = solve(tmp_path, PYTHON, capsys)
    assert list(limits) == ["budget.cash", "rules.north_leads", "rules.sessions[north]", "rules.sessions[south]"]
    assert all(f"`{name}`" in PAGE for name in limits if name.startswith("rules."))
    with (run / "limits.csv").open() as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    assert list(rows) == list(limits)
    lead = limits["rules.north_leads"]
    assert lead["limit"] == 0 and lead["binding"] and abs(lead["used"]) < 1e-9
    assert "rule north_leads" in summary
    for words in (["verify", str(run)], ["verify", str(run), "--allow-code"]):
        assert main(words) == 0


def test_a_rule_has_the_price_that_was_worked_out_by_hand(tmp_path, capsys):
    """North + south = 40 with south / 0.5 <= north: one more to the right takes 1/2.5 from north, 0.4 % of its 100."""
    rules = PYTHON.replace("<= 3)", "<= 0)")
    _, limits, summary = solve(tmp_path, rules, capsys)
    lead = limits["rules.north_leads"]
    assert lead["binding"] and lead["step"] == "fairness"
    assert lead["shadow_price"] == pytest.approx(0.004, rel=1e-9)
    assert lead["to"] == pytest.approx(10.0)  # north and south then have 20 each
    assert "rule north_leads average of the peer groups'" in summary


@pytest.mark.parametrize(
    ("rule", "limit", "used", "binds"),
    [
        ('pyo.Constraint(expr=m.stretch["north/sales"] == 25)', 25.0, 25.0, True),
        ('pyo.Constraint(expr=(14, m.stretch["south/sales"], 16))', 14.0, 14.0, True),
        ('pyo.Constraint(expr=(-1000, m.stretch["south/sales"], 1000))', None, None, False),
        ('pyo.Constraint(expr=m.stretch["north/sales"] >= 25)', 25.0, 25.0, True),
        ('pyo.Constraint(expr=m.stretch["north/sales"] >= -5)', -5.0, None, False),
    ],
)
def test_other_kinds_of_rules_have_a_use_and_no_price(tmp_path, capsys, rule, limit, used, binds):
    rules = f"import pyomo.environ as pyo\ndef add_rules(m, scenario):\n    m.mine = {rule}\n"
    run, limits, summary = solve(tmp_path, rules, capsys)
    mine = limits["rules.mine"]
    assert mine["binding"] is binds
    assert limit is None or mine["limit"] == limit
    assert used is None or mine["used"] == pytest.approx(used, rel=1e-9)
    assert mine["shadow_price"] is None and mine["unit"] is None
    assert ("without a price" in summary and "rule mine" in summary) is binds
    assert main(["verify", str(run), "--allow-code"]) == 0


def test_components_of_the_page_are_those_of_the_model(tmp_path, capsys):
    """Every name and index form of the page's table, in a scenario that has them all."""
    assert main(["init", str(tmp_path)]) == 0
    named = re.findall(r"^\| `model\.(\w+)` \| `\"(.*?)\"`", PAGE, re.MULTILINE)
    assert len(named) == 9
    path = tmp_path / "scenario.toml"
    path.write_text(path.read_text() + '\n[rules]\nfile = "rules.py"\n')
    (tmp_path / "rules.py").write_text(
        "import json, pathlib, pyomo.environ as pyo\n"
        "def add_rules(model, scenario):\n"
        "    found = {c.name: list(c) for c in model.component_objects((pyo.Var, pyo.Constraint))}\n"
        f"    pathlib.Path({str(tmp_path / 'found.json')!r}).write_text(json.dumps(found))\n"
    )
    assert main(["export", str(path), "--out", str(tmp_path / "x.lp"), "--allow-code"]) == 0
    found = json.loads((tmp_path / "found.json").read_text())
    for name, form in named:
        members = found.get(name) or next((found[k] for k in found if k.startswith(name.partition("_")[0])), [])
        assert members, name
        separators = re.sub(r"[\w …]", "", form)
        assert all(all(mark in member for mark in separators) for member in members), (name, members[:2])
    assert {name for name in found if name != "fairness" and not name.startswith("capacity")} <= {n for n, _ in named}


def test_scenarios_with_rules_are_compared_where_that_is_allowed(tmp_path, capsys):
    solve(tmp_path, PYTHON, capsys)
    [scenario] = tmp_path.glob("*.toml")
    words = ["compare", str(scenario), f"{scenario}@even", "--no-simulation"]
    assert main(words) == 3
    assert "--allow-code" in capsys.readouterr().err
    assert main([*words, "--allow-code"]) == 0
