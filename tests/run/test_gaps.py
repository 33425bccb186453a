"""Top-down meets bottom-up: offers, what goals would ask, the plan, and a last step that goes towards the offers."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from kpiopt.cli import main
from kpiopt.scenario.load import check_scenario
from tests.from_text import run_of
from tests.nights import rest_at_night

TWO = """
schema = 1
name = "two"
[kpi.s]
[unit.co]
[unit.a]
parent = "co"
[unit.b]
parent = "co"
[cell."a/s"]
baseline = 100
max_stretch = 60
commit = 120
[cell."b/s"]
baseline = 100
max_stretch = 60
[goal.s]
target = 230
[decide]
order = ["goals", "reference"]
"""


def findings(tmp_path: Path, text: str, code: str) -> list[str]:
    (tmp_path / "s.toml").write_text(text, "utf-8")
    return [p.message for p in check_scenario(tmp_path / "s.toml")[1] if p.code == code]


def test_the_last_step_goes_towards_the_offer_by_hand(tmp_path: Path) -> None:
    """30 are to be shared: nearest to (0, 0) is (15, 15), nearest to (0.5 x 20, 0) is (20, 10)."""
    assert run_of(tmp_path, TWO).plan.stretch.tolist() == pytest.approx([15, 15])
    assert run_of(tmp_path, TWO + "[reconcile]\nweight = 0.5\n").plan.stretch.tolist() == pytest.approx([20, 10])
    assert run_of(tmp_path, TWO + "[reconcile]\nweight = 1\n").plan.stretch.tolist() == pytest.approx([25, 5])


def test_from_a_reference_the_last_step_goes_the_share_of_the_way(tmp_path: Path) -> None:
    """Half the way from 110 to 120 is 115: nearest to (15, 0) of all that come to 30 is (22.5, 7.5)."""
    text = TWO.replace("commit = 120", "commit = 120\nreference = 110") + "[reconcile]\nweight = 0.5\n"
    assert run_of(tmp_path, text).plan.stretch.tolist() == pytest.approx([22.5, 7.5])


def test_lower_is_better_goes_down_to_the_offer(tmp_path: Path) -> None:
    text = TWO.replace("[kpi.s]", '[kpi.s]\ndirection = "down"').replace("target = 230", "target = 170")
    run = run_of(tmp_path, text.replace("commit = 120", "commit = 80") + "[reconcile]\nweight = 0.5\n")
    assert run.plan.stretch.tolist() == pytest.approx([20, 10])


def test_weight_0_and_offers_without_reconcile_change_no_target(tmp_path: Path) -> None:
    plain = run_of(tmp_path, TWO.replace("commit = 120\n", ""))
    for text in (TWO, TWO + "[reconcile]\nweight = 0\n"):
        assert run_of(tmp_path, text).targets.equals(plain.targets)
    assert plain.as_dict()["gap"] == []


def test_the_gap_at_every_level_by_hand(tmp_path: Path) -> None:
    """Top-down 15 % each; bottom-up 120 and, where nothing is offered, the baseline."""
    gap = run_of(tmp_path, TWO + "[reconcile]\nweight = 0.5\n").as_dict()["gap"]
    assert [(row["unit"], row["top_down"], row["bottom_up"]) for row in gap] == [("co", 230, 220), ("a", 115, 120)]
    assert [row["plan"] for row in gap] == pytest.approx([230, 120])
    assert [row["target"] for row in gap] == pytest.approx([230, 120])


def test_a_unit_above_may_offer_itself(tmp_path: Path) -> None:
    gap = run_of(tmp_path, TWO + '[cell."co/s"]\ncommit = 215\n').as_dict()["gap"]
    assert [(row["unit"], row["bottom_up"]) for row in gap] == [("co", 215), ("a", 120)]


def test_a_mean_of_offers_is_weighted_and_without_a_goal_nothing_comes_from_above(tmp_path: Path) -> None:
    """Sizes 3 and 1: (3 x 120 + 100) / 4 = 115."""
    text = TWO.replace("[kpi.s]", '[kpi.s]\nroll_up = "mean"').replace("[goal.s]\ntarget = 230", "")
    text = text.replace("commit = 120", "commit = 120\nsize = 3").replace("60\n[decide]", "60\nsize = 1\n[decide]")
    text = text.replace('[cell."b/s"]', '[cell."b/s"]\nsize = 1')
    gap = run_of(tmp_path, text).as_dict()["gap"]
    assert [(row["unit"], row["top_down"], row["bottom_up"]) for row in gap] == [("co", None, 115), ("a", None, 120)]


def test_the_run_shows_the_gaps_and_is_accepted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "s.toml").write_text(TWO + "[simulation]\ndraws = 64\n", "utf-8")
    assert main(["solve", str(tmp_path / "s.toml"), "--out", str(tmp_path / "runs")]) == 0
    assert "Offered and asked, s of co: 220 and 230; the goal in proportion: 230." in capsys.readouterr().out
    (run,) = (tmp_path / "runs").iterdir()
    rows = (run / "gap.csv").read_text("utf-8").splitlines()
    assert rows[0] == "unit,kpi,top_down,bottom_up,plan,target" and rows[1].startswith("co,s,230.0,220.0,")
    assert main(["verify", str(run)]) == 0
    assert "Top-down meets bottom-up" in (run / "report.html").read_text("utf-8")


def test_with_periods_offers_hold_for_the_horizon(tmp_path: Path) -> None:
    run = run_of(tmp_path, TWO + "[reconcile]\nweight = 0.5\n[periods]\nnames = ['x', 'y']\n")
    assert run.plan.whole_stretch.tolist() == pytest.approx([20, 10])
    assert [(row["unit"], row["top_down"], row["bottom_up"]) for row in run.as_dict()["gap"]] == [
        ("co", 230, 220), ("a", 115, 120)
    ]  # fmt: skip


@pytest.mark.parametrize("seed", rest_at_night(range(10), 2))
def test_random_offers_against_a_plain_recursion(tmp_path: Path, seed: int) -> None:
    random.seed(seed)
    parent = {"co": ""} | {f"u{i}": random.choice(["co", *(f"u{j}" for j in range(i))]) for i in range(8)}
    children = {unit: [c for c in parent if parent[c] == unit] for unit in parent}
    base = {unit: random.randint(50, 200) for unit in parent if not children[unit]}
    offer = {unit: random.randint(50, 250) for unit in parent if random.random() < 0.4}
    text = 'schema = 1\nname = "r"\n[kpi.s]\n'
    for unit in parent:
        text += f"[unit.{unit}]\n" + (f'parent = "{parent[unit]}"\n' if parent[unit] else "")
    for unit in parent:
        row = f"baseline = {base[unit]}\nmax_stretch = 9\n" if unit in base else ""
        row += f"commit = {offer[unit]}\n" if unit in offer else ""
        text += f'[cell."{unit}/s"]\n{row}' if row else ""

    def rolled(unit: str) -> tuple[float, bool]:
        below = [rolled(child) for child in children[unit]]
        if unit in offer:
            return offer[unit], True
        return (sum(v for v, _ in below), any(k for _, k in below)) if below else (base[unit], False)

    found = {row["unit"]: row["bottom_up"] for row in run_of(tmp_path, text).as_dict()["gap"]}
    assert found == {unit: pytest.approx(rolled(unit)[0]) for unit in parent if rolled(unit)[1]}


@pytest.mark.parametrize(
    ("stated", "a", "said"),
    [
        (220, 1200, "likely a/s is 10 times too large, a slip of the decimal point"),
        (120_100, 120, "likely a/s is 1,000 times too small, thousands for units"),
        (0.22, 120, "likely the figure itself is 1,000 times too small, thousands for units"),
        (217, 120, ""),
    ],
)
def test_children_that_do_not_add_up_are_named_with_the_likely_slip(
    tmp_path: Path, stated: float, a: float, said: str
) -> None:
    text = TWO.replace("commit = 120", f"commit = {a}").replace('[cell."b/s"]', '[cell."b/s"]\ncommit = 100')
    (message,) = findings(tmp_path, text + f'[cell."co/s"]\ncommit = {stated}\n', "W-reconciliation")
    assert message.startswith(f"co/s states a commit of {stated:,}") and message.endswith(said or ")")


def test_an_offer_ten_times_its_baseline_is_named(tmp_path: Path) -> None:
    (message,) = findings(tmp_path, TWO.replace("commit = 120", "commit = 1050"), "W-outlier")
    assert message.endswith("likely 10 times too large, a slip of the decimal point")
    assert findings(tmp_path, TWO, "W-outlier") == []
