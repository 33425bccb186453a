"""What would buy odds that are missed: every published repair, applied to the file, gives the promised odds."""

from __future__ import annotations

import json
from statistics import NormalDist

import numpy as np
import pytest
from scipy.stats import multivariate_normal

import kpiopt
from kpiopt.cli import main
from kpiopt.errors import Uncertified
from kpiopt.program.solver.answer import SolverOptions
from kpiopt.report.promised.sentences import repair_sentences
from kpiopt.run import odds_repair
from kpiopt.runs.run_document import seal
from tests.run.test_promised import HEAD, joint, scenario

HOURS = HEAD.replace("[unit.company]", "[unit.company]\ncapacity.hours = 30") + "p_min = 0.95\n[odds]\ndraws = 2048\n"
Z = NormalDist().inv_cdf(0.95)


def applied(tmp_path, repair) -> kpiopt.Run:
    """Solve the file with the words of a repair, as a planner would."""
    return kpiopt.solve(kpiopt.load(tmp_path / "promised.toml", overrides=list(repair.assignments)), simulate=False)


def test_hours_and_target_that_buy_the_odds(tmp_path):
    """Odds of 0.95 take 20 + z 10 hours, and 30 hours keep them of 230 - z 10; both as closely as draws tell."""
    run = kpiopt.solve(scenario(tmp_path, HOURS), simulate=False)
    hours, target = run.missed_odds.repairs
    assert float(hours.assignments[0].rpartition("=")[2]) == pytest.approx(20 + 10 * Z, abs=0.05)
    assert float(target.assignments[0].rpartition("=")[2]) == pytest.approx(230 - 10 * Z, abs=0.05)
    assert run.missed_odds.best["sales"] == pytest.approx(NormalDist().cdf(1.0), abs=0.002)
    for repair in (hours, target):
        assert all(promise.is_kept for promise in applied(tmp_path, repair).promises)
    words = " ".join(repair_sentences(run))
    assert "The best odds of Sales that were found within the limits are 84" in words
    assert "if you give company" in words and '--set \'unit."company".capacity."hours"=' in words


def test_a_limit_that_does_not_help_is_not_told(tmp_path):
    """The stretch is used up: no hours help, only the target."""
    text = HOURS.replace("target = 220", "target = 420").replace("hours = 30", "hours = 500")
    run = kpiopt.solve(scenario(tmp_path, text), simulate=False)
    (repair,) = run.missed_odds.repairs
    assert repair.assignments[0].startswith('goal."sales".target=')
    assert applied(tmp_path, repair).promises[0].is_kept


def test_all_goals_together_are_bought_by_hours_or_by_all_targets(tmp_path):
    text = joint(0.8, 0.3).replace("[odds]", "[odds]\ndraws = 1024")
    text = text.replace("[unit.company]", "[unit.company]\ncapacity.hours = 24")
    run = kpiopt.solve(scenario(tmp_path, text), simulate=False)
    hours, targets = run.missed_odds.repairs
    assert len(targets.assignments) == 2 and hours.text.startswith("give company")
    exact = multivariate_normal([0, 0], [[1, 0.3], [0.3, 1]])
    most = max(exact.cdf([a - 11, (24 - a - 11) / 2]) for a in np.linspace(10, 14, 81))
    assert run.missed_odds.best["all goals"] == pytest.approx(most, abs=0.02)
    for repair in (hours, targets):
        assert applied(tmp_path, repair).promises[0].is_kept


def test_a_hard_goal_says_what_would_give_it_its_odds(tmp_path):
    text = HOURS.replace("p_min = 0.95\n", "p_min = 0.95\nhard = true\n")
    with pytest.raises(Uncertified) as caught:
        kpiopt.solve(scenario(tmp_path, text), simulate=False)
    told = {problem.code: problem for problem in caught.value.problems}
    assert "84" in told["N-best-odds"].message
    fixes = [p.fix.removeprefix("--set ").strip("'") for p in caught.value.problems if p.code == "N-alternative"]
    assert len(fixes) == 2
    for fix in fixes:
        again = kpiopt.load(tmp_path / "promised.toml", overrides=[fix])
        assert kpiopt.solve(again, simulate=False).promises[0].is_kept


def test_repairs_are_kept_with_the_run_and_verified(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    scenario(tmp_path, HOURS.replace("draws = 2048", "draws = 512"))
    assert main(["solve", "promised.toml", "--json", "--draws", "1024"]) == 0
    document = json.loads(capsys.readouterr().out)
    found = document["missed_odds"]
    assert found["best"][0]["promise"] == "sales" and len(found["repairs"]) == 2
    assert all(finding.passed for finding in kpiopt.verify(tmp_path / document["folder"]))
    assert main(["solve", "promised.toml", "--set", found["repairs"][0]["set"][0], "--no-simulation"]) == 0
    assert "All promises are kept if" not in capsys.readouterr().out


def test_claimed_repairs_are_tried_by_one_plan_each_and_none_is_looked_for(tmp_path, monkeypatch):
    """What a kept run says is confirmed as it stands; too little of a limit, or another limit, is left out."""
    run = kpiopt.solve(scenario(tmp_path, HOURS), simulate=False)
    repairs, plans = run.missed_odds.repairs, []
    solve = odds_repair.solve_promised
    monkeypatch.setattr(odds_repair, "solve_promised", lambda *a, **k: plans.append(1) or solve(*a, **k))
    monkeypatch.setattr(odds_repair, "find_repairs", lambda *a, **k: pytest.fail("it was looked for"))

    def confirmed(*claims):
        plans.clear()
        found, _ = odds_repair.mend_odds(run.cascade, run.solution, SolverOptions(), claims)
        return found

    assert confirmed(*(repair.moves for repair in repairs)) == run.missed_odds and len(plans) == 2
    ((hours, more),), ((target, lower),) = repairs[0].moves, repairs[1].moves
    for what, value in ((hours, more - 0.5), (target, lower + 0.5), ("capacity.hours@north", more), ("goal.x", lower)):
        assert confirmed([(what, value)]).repairs == ()
    assert len(confirmed(*[[(hours, more + i)] for i in range(9)]).repairs) == 4


@pytest.mark.parametrize(("key", "value"), [("to", 30.5), ("to", "much"), ("what", "capacity.hours@south")])
def test_a_bent_repair_is_found_by_verify(tmp_path, monkeypatch, capsys, key, value):
    monkeypatch.chdir(tmp_path)
    scenario(tmp_path, HOURS.replace("draws = 2048", "draws = 512"))
    assert main(["solve", "promised.toml", "--json", "--no-simulation"]) == 0
    folder = tmp_path / json.loads(capsys.readouterr().out)["folder"]
    document = json.loads((folder / "run.json").read_text())
    document["missed_odds"]["repairs"][0]["moves"][0][key] = value
    (folder / "run.json").write_text(json.dumps(seal(document)))
    assert any(not finding.passed and "repairs" in finding.detail for finding in kpiopt.verify(folder))


def test_budgets_buy_odds_of_initiatives_and_tell_when_two_limits_hold(tmp_path):
    """Cash and hours both stop the initiative: neither alone is enough, both together are."""
    text = HEAD.replace("[unit.company]", "[unit.company]\ncapacity.hours = 10")
    text = text.replace("max_stretch = 100\n", "").replace("effort.hours = 1\n", "").replace("effort.hours = 3\n", "")
    text += """p_min = 0.9
[initiative.calls]
units = ["company"]
max = 100
uses = { cash = 2, hours = 1 }
effects.sales = { normal = [1.0, 0.2] }
[budget.cash]
limit = 20
[odds]
draws = 1024
"""
    run = kpiopt.solve(scenario(tmp_path, text), simulate=False)
    both, target = run.missed_odds.repairs
    assert {word.partition(".")[0] for word in both.assignments} == {"budget", "unit"}
    for repair in (both, target):
        assert applied(tmp_path, repair).promises[0].is_kept


def test_hours_under_a_scale_are_those_of_the_file_in_words_moves_and_set(tmp_path, monkeypatch):
    """A planner who writes the figure that the text names first into the file keeps the promise, and verify agrees."""
    plain = kpiopt.solve(scenario(tmp_path, HOURS), simulate=False).missed_odds.repairs[0]
    text = HOURS.replace("hours = 30", "hours = 75") + "[capacity.hours]\nscale = 0.4\n"
    run = kpiopt.solve(scenario(tmp_path, text), simulate=False)
    hours = run.missed_odds.repairs[0]
    written = float(hours.assignments[0].rpartition("=")[2])
    ((_, has),) = hours.moves
    assert has == pytest.approx(plain.moves[0][1], rel=1e-3) and 0.4 * written == pytest.approx(has, rel=1e-12)
    assert (
        f"(in the file {written:,.10g} instead of 75, of which capacity.hours.scale = 0.4 makes {has:,.10g}"
        in hours.text
    )
    assert hours.as_dict()["moves"][0]["set"] == hours.assignments[0]
    assert all(promise.is_kept for promise in applied(tmp_path, hours).promises)
    found, _ = odds_repair.mend_odds(
        run.cascade, run.solution, SolverOptions(), [r.moves for r in run.missed_odds.repairs]
    )
    assert found == run.missed_odds


def test_hours_under_a_scale_of_0_are_no_repair(tmp_path):
    text = HOURS + "[capacity.hours]\nscale = 0.0\n"
    run = kpiopt.solve(scenario(tmp_path, text), simulate=False)
    assert [move for repair in run.missed_odds.repairs for move, _ in repair.moves] in ([], ["goal.sales"])
