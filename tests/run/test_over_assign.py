"""Over-assignment: cushions on top of targets, given or found from odds; the plan stays as it is."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from kpiopt.cli import main
from kpiopt.errors import Uncertified
from kpiopt.run.run import Run
from tests.from_text import codes, run_of
from tests.nights import rest_at_night

TREE = """
schema = 1
name = "tree"
[kpi.sales]
step = 10
[unit.co]
[unit.d1]
parent = "co"
level = "division"
[unit.d2]
parent = "co"
level = "division"
[unit.t1]
parent = "d1"
level = "team"
capacity.hours = 25
[unit.t2]
parent = "d1"
level = "team"
[unit.t3]
parent = "d2"
level = "team"
[unit.p1]
parent = "t1"
level = "rep"
[unit.p2]
parent = "t1"
level = "rep"
[cell."p1/sales"]
baseline = 103
max_stretch = 50
effort.hours = 1
[cell."p2/sales"]
baseline = 207
max_stretch = 50
effort.hours = 1
[cell."t2/sales"]
baseline = 331
max_stretch = 80
[cell."t3/sales"]
baseline = 409
max_stretch = 90
[goal.sales]
target = 1150
"""


def targets_of(run: Run, kpi: str = "sales") -> dict[str, float]:
    frame = run.targets.filter(run.targets["kpi"] == kpi)
    return dict(zip(frame["unit"], frame["target"], strict=True))


def test_a_cushion_by_hand(tmp_path: Path) -> None:
    """All are asked for 100 / 1050 = 9.52 % more, p1 and p2 for 12.5 each at most: 25 hours.

    The rest of 75 is 10.135 % of 740: t2 364.55, t3 450.45. Teams 1.05 times that: t1 351.75, t2 382.77: 734.52, or
    730 in steps, 10 more than 350 + 380 comes to nothing: 35 + 38. t3 472.97, or 470. Reps 1.05 x 1.02 = 1.071 times
    theirs, 358.785 or 360 together.
    """
    plain = run_of(tmp_path, TREE)
    run = run_of(tmp_path, TREE + "[over_assignment]\nteam = 0.05\nrep = 0.02\n")
    target, was = targets_of(run), targets_of(plain)
    assert {u: target[u] for u in ("co", "d1", "d2")} == {u: was[u] for u in ("co", "d1", "d2")}
    asked = dict(zip(run.targets["unit"], run.plan.asked[run.plan.nodes], strict=True))
    assert target["t1"] + target["t2"] == round((asked["t1"] + asked["t2"]) * 1.05 / 10) * 10
    assert target["t3"] == round(asked["t3"] * 1.05 / 10) * 10
    assert target["p1"] + target["p2"] == round((asked["p1"] + asked["p2"]) * 1.071 / 10) * 10
    assert np.array_equal(run.plan.stretch, plain.plan.stretch)
    assert np.array_equal(run.plan.expected, plain.plan.expected)
    shares = dict(zip(run.targets["unit"], run.targets["over_assignment"], strict=True))
    assert shares == {"co": None, "d1": None, "d2": None, "t1": 0.05, "t2": 0.05, "t3": 0.05, "p1": 0.071, "p2": 0.071}


def test_lower_is_better_is_asked_for_less(tmp_path: Path) -> None:
    text = TREE.replace("[kpi.sales]", '[kpi.sales]\ndirection = "down"').replace("target = 1150", "target = 1000")
    run = run_of(tmp_path, text + "[over_assignment]\nteam = 0.1\n")
    asked = dict(zip(run.targets["unit"], run.plan.asked[run.plan.nodes], strict=True))
    target = targets_of(run)
    assert target["t3"] == round(asked["t3"] * 0.9 / 10) * 10
    assert target["p1"] + target["p2"] == target["t1"]


def test_no_cushion_is_none_to_the_last_digit(tmp_path: Path) -> None:
    plain, run = run_of(tmp_path, TREE), run_of(tmp_path, TREE + "[over_assignment]\nteam = 0\n")
    assert plain.targets.equals(run.targets)
    assert run.as_dict()["over_assignment"][0] == {
        "level": "team", "share": 0.0, "odds": None, "goal": None, "wanted": None, "planned": None
    }  # fmt: skip


def test_what_is_unassigned_is_not_multiplied_below_it(tmp_path: Path) -> None:
    """100 come to the division alone: its teams add up to 1.05 x (target - 100)."""
    text = TREE.replace("step = 10", "step = 0.01") + "[factor.m]\nvalue = 100\n[kpi.sales.drivers]\n"
    text += 'm = { contribution = 1, at = "d1" }\n[over_assignment]\nteam = 0.05\n'
    run = run_of(tmp_path, text)
    target = targets_of(run)
    assert target["t1"] + target["t2"] == pytest.approx(1.05 * (target["d1"] - 100), abs=0.02)
    assert target["p1"] + target["p2"] == pytest.approx(target["t1"], abs=1e-9)
    row = run.targets.filter(run.targets["unit"] == "d1").row(0, named=True)
    assert row["unassigned"] == pytest.approx(100) and row["unassigned_target"] is None


def test_a_locked_target_includes_its_cushion(tmp_path: Path) -> None:
    """520 with 4 % on top: the plan comes to 500, a stretch of 91 beyond the range of 90, and 50 of it elsewhere."""
    text = TREE.replace("max_stretch = 90", 'max_stretch = 90\nlock_target = 520\nlock_reason = "agreed"')
    run = run_of(tmp_path, text + "[over_assignment]\nteam = 0.04\n")
    assert targets_of(run)["t3"] == 520
    stretch = dict(zip(run.targets["unit"], run.targets["stretch"], strict=True))
    assert stretch["t3"] == pytest.approx(91)
    assert run.as_dict()["locks"][0]["lock_target"] == pytest.approx(520)
    assert targets_of(run)["d2"] == 500


def test_a_locked_target_off_the_grid_is_kept(tmp_path: Path) -> None:
    text = TREE.replace("max_stretch = 90", "max_stretch = 90\nlock_target = 517")
    assert targets_of(run_of(tmp_path, text + "[over_assignment]\nteam = 0.04\n"))["t3"] == 517


def test_a_locked_total_is_kept(tmp_path: Path) -> None:
    text = TREE + '[cell."t1/sales"]\nlock_target = 340\n[over_assignment]\nteam = 0.05\n'
    run = run_of(tmp_path, text)
    target = targets_of(run)
    assert target["t1"] == 340 and target["p1"] + target["p2"] == 340
    assert run.plan.asked[run.graph.find_node("sales", "t1")] == pytest.approx(340 / 1.05)
    assert codes(tmp_path, text.replace("340", "343")) == ["E-over-assignment-lock"]


def test_a_cushion_stays_inside_the_bounds_of_its_kpi(tmp_path: Path) -> None:
    text = TREE.replace("step = 10", "step = 10\nmax = 1204") + "[over_assignment]\ndivision = 0.8\n"
    run = run_of(tmp_path, text)
    assert max(targets_of(run).values()) <= 1204


def test_what_a_cushion_would_use_is_told(tmp_path: Path) -> None:
    """t1 is full at 25 hours: 5 % of 335 more is 16.75 hours more."""
    text = TREE.replace("target = 1150", "target = 1245") + "[over_assignment]\nteam = 0.05\n"
    run = run_of(tmp_path, text)
    (note,) = [n for n in run.plan.notes if n.code == "W-over-assignment-use"]
    assert "41.75 of capacity.hours@t1, where there are 25" in note.message


def test_pay_goes_by_targets_with_their_cushion(tmp_path: Path) -> None:
    """Nothing is uncertain: t3 attains what is planned, and is paid in proportion."""
    text = TREE.replace('[unit.t3]\nparent = "d2"', '[unit.t3]\nparent = "d2"\ntarget_incentive = 1000')
    text = text.replace("baseline = 409", "baseline = 409\nweight = 1") + "[simulation]\ndraws = 64\n"
    run = run_of(tmp_path, text + "[over_assignment]\nteam = 0.05\n", simulate=True)
    assert run.simulation is not None and run.simulation.pay is not None
    plan = run.plan.expected[run.graph.find_node("sales", "t3")]
    assert run.simulation.pay.total.mean.estimate == pytest.approx(1000 * plan / targets_of(run)["t3"])


TWO_OUTCOMES = """
schema = 1
name = "two"
[kpi.s]
[unit.co]
[unit.t]
parent = "co"
level = "team"
[cell."t/s"]
baseline = 100
max_stretch = 40
[goal.s]
target = 110
[uncertainty]
execution = { discrete = [[0.5, 0.5], [1.0, 0.5]] }
[simulation]
draws = 1024
[odds]
draws = 1024
"""


def test_the_smallest_cushion_for_the_odds_by_hand(tmp_path: Path) -> None:
    """Mean execution is 0.75, so 13.33 are asked and 113.33 is the target.

    At execution 0.5 the goal needs 20: 6.67 more, 5.88 % of 113.33, or 5.9 % to the next tenth.
    """
    run = run_of(tmp_path, TWO_OUTCOMES + '[over_assignment]\nteam = { goal = "s", odds = 0.8 }\n', simulate=True)
    (entry,) = run.as_dict()["over_assignment"]
    assert (entry["share"], entry["planned"], entry["odds"]["estimate"]) == (0.059, 1.0, 1.0)
    assert targets_of(run, "s")["t"] == pytest.approx(113.3333333 * 1.059)
    assert run.plan.stretch[0] == pytest.approx(40 / 3)
    run = run_of(tmp_path, TWO_OUTCOMES + '[over_assignment]\nteam = { goal = "s", odds = 0.4 }\n')
    assert run.as_dict()["over_assignment"][0]["share"] == 0.0


def test_odds_that_no_cushion_gives_are_told(tmp_path: Path) -> None:
    text = TWO_OUTCOMES.replace("[0.5, 0.5], [1.0, 0.5]", "[0.0, 0.3], [1.0, 0.7]")
    with pytest.raises(Uncertified) as caught:
        run_of(tmp_path, text + '[over_assignment]\nteam = { goal = "s", odds = 0.8 }\n')
    assert caught.value.problems[0].code == "E-over-assignment-odds"


@pytest.mark.parametrize(
    ("section", "code"),
    [
        ("teams = 0.05", "E-unknown-level"),
        ("team = 1.5", "E-value"),
        ("team = -0.1", "E-value"),
        ("team = 0.05\nkpi = ['quality']", "E-over-assignment"),
        ("team = 0.05\nkpi = ['sale']", "E-unknown-kpi"),
        ("team = { goal = 'sales' }", "E-over-assignment"),
        ("team = { goal = 'nothing', odds = 0.8 }", "E-unknown-goal"),
        ("team = '5 %'", "E-over-assignment"),
        ("team = { goal = 'sales', odd = 0.8 }", "E-unknown-key"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, section: str, code: str) -> None:
    text = TREE + '[kpi.quality]\nroll_up = "mean"\n[over_assignment]\n' + section
    assert code in codes(tmp_path, text)


def test_open_locks_are_refused(tmp_path: Path) -> None:
    text = TREE.replace("max_stretch = 90", "max_stretch = 90\nlock_target = 500")
    text += "[over_assignment]\nteam = { goal = 'sales', odds = 0.6 }\n"
    assert codes(tmp_path, text) == ["E-over-assignment-lock"]


def test_a_kept_run_with_cushions_is_accepted_and_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = TREE + "[uncertainty]\nexecution = '0.6 to 1.1'\n[simulation]\ndraws = 256\n[odds]\ndraws = 256\n"
    text += "[over_assignment]\nrep = 0.02\nteam = { goal = 'sales', odds = 0.8 }\n"
    (tmp_path / "s.toml").write_text(text, "utf-8")
    assert main(["solve", str(tmp_path / "s.toml"), "--out", str(tmp_path / "runs")]) == 0
    assert "Over-assigned: targets of level team" in capsys.readouterr().out
    (run,) = (tmp_path / "runs").iterdir()
    assert main(["verify", str(run)]) == 0
    capsys.readouterr()
    assert main(["explain", str(run), "p1/sales"]) == 0
    assert "asked and not planned" in capsys.readouterr().out
    page = (run / "report.html").read_text("utf-8")
    assert "Over-assignment" in page and "targets with a cushion add up to more" in page
    document = json.loads((run / "run.json").read_text("utf-8"))
    assert [entry["level"] for entry in document["over_assignment"]] == ["team", "rep"]


def random_tree(seed: int) -> tuple[str, dict[str, str], dict[str, str], dict[str, float]]:
    """Return a scenario, each unit's parent and level, and the cushions, at random."""
    random.seed(seed)
    parent, level, leaves = {"co": ""}, {"co": "top"}, []
    for a in range(random.randint(1, 3)):
        parent[f"a{a}"], level[f"a{a}"] = "co", "area"
        for t in range(random.randint(1, 3)):
            parent[f"a{a}t{t}"], level[f"a{a}t{t}"] = f"a{a}", random.choice(["team", "desk"])
            reps = [f"a{a}t{t}r{r}" for r in range(random.randint(0, 3))]
            parent |= dict.fromkeys(reps, f"a{a}t{t}")
            level |= dict.fromkeys(reps, "rep")
            leaves += reps or [f"a{a}t{t}"]
    shares = {name: random.choice([0.0, 0.013, 0.05, 0.2]) for name in set(level.values()) if random.random() < 0.7}
    text = f'schema = 1\nname = "r"\n[kpi.s]\nstep = {random.choice([0.5, 1, 7])}\n'
    text += f'direction = "{random.choice(["up", "down"])}"\n'
    for unit in parent:
        text += f'[unit.{unit}]\nlevel = "{level[unit]}"\n' + (f'parent = "{parent[unit]}"\n' if parent[unit] else "")
    for unit in leaves:
        text += (
            f'[cell."{unit}/s"]\nbaseline = {random.uniform(50, 200):.3f}\nmax_stretch = {random.uniform(5, 30):.2f}\n'
        )
    text += f"[goal.s]\ntarget = {random.uniform(90, 110) * len(leaves):.2f}\n[uncertainty]\nexecution = 0.9\n"
    section = "".join(f"{name} = {share}\n" for name, share in shares.items())
    return text, parent, level, shares if section else {}


def factor(
    unit: str, parent: Mapping[str, str], level: Mapping[str, str], shares: Mapping[str, float], sign: int
) -> float:
    found = 1.0
    while unit:
        found *= 1.0 + sign * shares.get(level[unit], 0.0)
        unit = parent[unit]
    return found


@pytest.mark.parametrize("seed", rest_at_night(range(100), 2))
def test_random_trees_against_the_sentence_of_the_design(tmp_path: Path, seed: int) -> None:
    """Each target is its own times the product over its path, to a step; children add up to their parent or total."""
    text, parent, level, shares = random_tree(seed)
    plain = run_of(tmp_path, text)
    section = "[over_assignment]\n" + "".join(f"{name} = {share}\n" for name, share in shares.items())
    run = run_of(tmp_path, text + (section if shares else ""))
    step, sign = float(run.scenario.kpis["s"].step or 0), run.scenario.kpis["s"].sign
    asked = dict(zip(run.targets["unit"], run.plan.asked[run.plan.nodes], strict=True))
    target, was = targets_of(run, "s"), targets_of(plain, "s")
    f = {unit: factor(unit, parent, level, shares, sign) for unit in asked}
    for unit in asked:
        if f[unit] == 1.0:
            assert target[unit] == was[unit]
        else:
            assert abs(target[unit] - f[unit] * asked[unit]) < 2 * step
        assert math.isclose(target[unit] / step, round(target[unit] / step), abs_tol=1e-9)
        below = [child for child in asked if parent[child] == unit]
        if below and all(math.isclose(f[child], f[unit]) for child in below):
            assert math.isclose(sum(target[child] for child in below), target[unit], abs_tol=1e-9)
        moved = [child for child in below if f[child] != 1.0]
        if moved and not any(math.isclose(f[child], f[unit]) for child in below):
            total = sum(f[child] * asked[child] for child in moved) / step
            assert abs(sum(target[child] for child in moved) / step - total) <= 0.5 + 1e-6
