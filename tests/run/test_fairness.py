"""Peers compared: band, load, leximin, equal odds, guardrails beside peers, and the price of it."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import linprog

from kpiopt.cli import main
from kpiopt.errors import Infeasible, InputError
from kpiopt.run.run import Run
from tests.from_text import codes, run_of
from tests.nights import rest_at_night

THREE = """
schema = 1
name = "three"
currency = "USD"
[kpi.s]
[unit.co]
[unit.a]
parent = "co"
level = "t"
capacity.hours = 10
[unit.b]
parent = "co"
level = "t"
capacity.hours = 40
[unit.c]
parent = "co"
level = "t"
capacity.hours = 50
[cell."a/s"]
baseline = 100
max_stretch = 50
pay_rate = 1
effort.hours = 1
[cell."b/s"]
baseline = 100
max_stretch = 50
pay_rate = 2
effort.hours = 1
[cell."c/s"]
baseline = 100
max_stretch = 5
pay_rate = 3
effort.hours = 1
[goal.s]
target = 320
"""


def steps_of(run: Run) -> list[tuple[str, float]]:
    return [(step.label, step.value) for step in run.solution.steps]


def test_a_band_by_hand(tmp_path: Path) -> None:
    """c gives 5 at most: with a band of 2 points the mean is 7 % at most, and 21 of 20 can be had: a and b share 15.

    With a band of 1 point it is 6 %: 18, and the goal falls short by 2.
    """
    run = run_of(tmp_path, THREE + "[fairness]\nband = 0.02\n")
    assert run.plan.stretch.tolist() == pytest.approx([7.5, 7.5, 5])
    run = run_of(tmp_path, THREE + "[fairness]\nband = 0.01\n")
    assert run.goals[0].shortfall == pytest.approx(2)
    assert run.plan.stretch.tolist() == pytest.approx([6.5, 6.5, 5])


def test_a_band_as_wide_as_can_be_is_none(tmp_path: Path) -> None:
    plain, run = run_of(tmp_path, THREE), run_of(tmp_path, THREE + "[fairness]\nband = 1e9\n")
    assert run.plan.stretch.tolist() == pytest.approx(plain.plan.stretch.tolist(), abs=1e-9)
    assert [value for _, value in steps_of(run)] == pytest.approx([value for _, value in steps_of(plain)])


def test_locked_cells_leave_the_band_and_the_mean(tmp_path: Path) -> None:
    """c is locked at 20 %: a and b give 5 each, with no heed to it."""
    text = THREE.replace("max_stretch = 5\n", "max_stretch = 5\nlock = 20\n").replace("target = 320", "target = 330")
    run = run_of(tmp_path, text + "[fairness]\nband = 0.01\n")
    assert run.plan.stretch.tolist() == pytest.approx([5, 5, 20])
    (group,) = run.as_dict()["fairness"]["groups"]
    assert (group["name"], group["count"]) == ("s, level t", 2)
    assert (group["largest"], group["mean"]) == pytest.approx((0.05, 0.05))


def test_load_by_hand(tmp_path: Path) -> None:
    """20 hours over 10, 40 and 50, c at most 5: a and b are asked for 15 of 50 hours, 30 % each."""
    run = run_of(tmp_path, THREE + '[fairness]\nmeasure = "load"\n')
    assert run.plan.stretch.tolist() == pytest.approx([3, 12, 5])
    assert dict(steps_of(run))["fairness"] == pytest.approx(0.3)
    (group,) = run.as_dict()["fairness"]["groups"]
    assert group == {
        "name": "hours, level t", "count": 3, "largest": pytest.approx(0.3), "mean": pytest.approx(0.7 / 3)
    }  # fmt: skip


def test_leximin_goes_on_after_the_worst(tmp_path: Path) -> None:
    """a must give 40: after it, b and c share 20 evenly instead of by price, where b would give 20."""
    text = THREE.replace("max_stretch = 50\npay_rate = 1", "max_stretch = 50\nmin_stretch = 40\npay_rate = 1")
    text = text.replace("max_stretch = 5\n", "max_stretch = 30\n").replace("target = 320", "target = 360")
    text = text.replace("capacity.hours = 10", "capacity.hours = 100")
    assert run_of(tmp_path, text).plan.stretch.tolist() == pytest.approx([40, 20, 0])
    run = run_of(tmp_path, text + "[fairness]\nleximin = true\n")
    assert run.plan.stretch.tolist() == pytest.approx([40, 10, 10])
    assert [label for label, _ in steps_of(run)] == [
        "goals 1", "fairness 1", "fairness 2", "fairness 3", "cost", "reference"
    ]  # fmt: skip
    assert [value for label, value in steps_of(run) if "fair" in label] == pytest.approx([0.4, 0.5, 0.6])


@pytest.mark.parametrize("seed", rest_at_night(range(12), 2))
def test_leximin_is_filling_up_like_water(tmp_path: Path, seed: int) -> None:
    """One total and ranges: everyone rises to the same level, inside their own range."""
    random.seed(seed)
    n = random.randint(2, 7)
    base = np.array([random.uniform(50, 300) for _ in range(n)])
    low = np.array([random.choice([0, random.uniform(0, 10)]) for _ in range(n)])
    high = low + np.array([random.uniform(1, 40) for _ in range(n)])
    gap = random.uniform(low.sum(), high.sum())
    text = 'schema = 1\nname = "r"\n[kpi.s]\n[unit.co]\n'
    for i in range(n):
        text += f'[unit.u{i}]\nparent = "co"\n[cell."u{i}/s"]\nbaseline = {base[i]}\nmin_stretch = {low[i]}\n'
        text += f"max_stretch = {high[i]}\npay_rate = {random.randint(0, 5)}\n"
    text += f"[goal.s]\ntarget = {base.sum() + gap}\n[fairness]\nleximin = true\nprice = false\n"
    run = run_of(tmp_path, text)
    down, up = 0.0, 10.0
    for _ in range(200):
        level = (down + up) / 2
        down, up = (level, up) if np.clip(level * base, low, high).sum() < gap else (down, level)
    assert run.plan.stretch == pytest.approx(np.clip(up * base, low, high), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("seed", rest_at_night(range(12), 2))
def test_bands_and_guardrails_beside_peers_against_another_program(tmp_path: Path, seed: int) -> None:
    """The least shortfall of one goal under a band, most and least: dense rows, solved by scipy."""
    random.seed(seed)
    n, band = random.randint(2, 6), random.choice([0.02, 0.05, 0.2])
    most, least = random.choice([1.05, 1.3, 3.0]), random.choice([0.0, 0.5, 0.9])
    base = np.array([random.uniform(50, 300) for _ in range(n)])
    high = np.array([random.uniform(0, 60) for _ in range(n)])
    group = [random.choice(["x", "y"]) for _ in range(n)]
    text = 'schema = 1\nname = "r"\n[kpi.s]\n[unit.co]\n'
    for i in range(n):
        text += f'[unit.u{i}]\nparent = "co"\nlevel = "{group[i]}"\n'
        text += f'[cell."u{i}/s"]\nbaseline = {base[i]}\nmax_stretch = {high[i]}\n'
    gap = high.sum()
    text += f"[goal.s]\ntarget = {base.sum() + gap}\n[fairness]\nband = {band}\nprice = false\n"
    text += f"[guardrail.near]\nmost = {most}\nleast = {least}\n"
    rows, ends = [], []
    for i in range(n):
        peers = [j for j in range(n) if group[j] == group[i]]
        mean = np.array([(1 / base[j] / len(peers)) if j in peers else 0.0 for j in range(n)])
        own = np.eye(n)[i] / base[i]
        rows += [own - mean, mean - own, own - most * mean, least * mean - own]
        ends += [band, band, 0.0, 0.0]
    best = linprog(-np.ones(n), np.array(rows), ends, bounds=list(zip(np.zeros(n), high, strict=True)))
    run = run_of(tmp_path, text)
    assert run.goals[0].shortfall == pytest.approx(gap + best.fun, rel=1e-6, abs=1e-6)


def test_most_and_least_of_peers_by_hand(tmp_path: Path) -> None:
    """b at most 1.2 times the mean u, c 5 % at most: a + b = 2.4 u at most and a, b, c = 3 u.

    With u = 5 / 0.6 / 100 everyone is at the guardrail: 10 + 10 + 5.
    """
    text = THREE.replace("target = 320", "target = 400") + "[guardrail.near]\nmost = 1.2\n"
    run = run_of(tmp_path, text.replace("capacity.hours = 10", "capacity.hours = 100"))
    assert run.plan.stretch.tolist() == pytest.approx([10, 10, 5])
    assert codes(tmp_path, THREE + "[guardrail.g]\nleast = 1\nmost = 0.5\n") == ["E-guardrail-peers"]
    assert codes(tmp_path, THREE + "[guardrail.g]\nmost = 2\n[fairness]\nmeasure = 'load'\n") == ["E-guardrail-peers"]


def test_the_price_of_fairness_by_hand(tmp_path: Path) -> None:
    """Without, a gives 10 (hours) at 1 and b 10 at 2: 30. With, 7.5, 7.5 and 5: 37.5."""
    run = run_of(tmp_path, THREE + "[fairness]\nprice = true\n", simulate=True)
    price = run.as_dict()["fairness"]["price"]
    assert (price["cost"], price["cost_with"]) == pytest.approx((30, 37.5))
    assert price["goals"][0]["plan"] == pytest.approx(320) and price["odds"]["estimate"] == 1.0
    assert run_of(tmp_path, THREE).as_dict()["fairness"]["price"] is None


def test_it_is_told_and_verified(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = THREE + "[fairness]\nband = 0.03\nleximin = true\n[simulation]\ndraws = 64\n"
    (tmp_path / "s.toml").write_text(text, "utf-8")
    assert main(["solve", str(tmp_path / "s.toml"), "--out", str(tmp_path / "runs")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "If peers were not compared: 1 of 1 goals met on average" in said
    (run,) = (tmp_path / "runs").iterdir()
    assert main(["verify", str(run)]) == 0
    assert "What comparing peers costs" in (run / "report.html").read_text("utf-8")


def test_with_periods_the_stretch_of_the_horizon_is_compared(tmp_path: Path) -> None:
    run = run_of(tmp_path, THREE + "[fairness]\nband = 0.02\nleximin = true\n[periods]\nnames = ['x', 'y']\n")
    assert run.plan.whole_stretch.tolist() == pytest.approx([7.5, 7.5, 5])


def test_a_band_that_leaves_no_plan_is_among_what_contradicts(tmp_path: Path) -> None:
    text = THREE.replace("max_stretch = 50\npay_rate = 1", "max_stretch = 50\nmin_stretch = 45\npay_rate = 1")
    with pytest.raises(Infeasible) as caught:
        run_of(tmp_path, text.replace("capacity.hours = 10", "capacity.hours = 90") + "[fairness]\nband = 0.01\n")
    assert "band" in " ".join(problem.message for problem in caught.value.problems)


def test_what_is_too_large_or_too_much_is_refused(tmp_path: Path) -> None:
    units = "".join(f'[unit.u{i}]\nparent = "co"\n[cell."u{i}/s"]\nbaseline = 1\nmax_stretch = 1\n' for i in range(50))
    text = 'schema = 1\nname = "many"\n[kpi.s]\n[unit.co]\n' + units + "[goal.s]\ntarget = 60\n"
    with pytest.raises(InputError) as caught:
        run_of(tmp_path, text + "[fairness]\nleximin = true\n")
    assert caught.value.problems[0].code == "E-leximin-size"
    assert codes(
        tmp_path, THREE + "[effort_curve.e]\ntiers = [[0.1, 1], [0.2, 2]]\n[fairness]\nmeasure = 'load'\n"
    ) == ["E-fairness"]
    assert codes(tmp_path, THREE + "[decide]\nfairness = 'chance'\n[fairness]\nband = 0.1\n[noise.n]\nsd = 0.1\n") == [
        "E-fairness"
    ]
    assert set(codes(tmp_path, THREE + "[decide]\nfairness = 'chance'\n")) == {"E-chance-noise"}


NOISY = """
schema = 1
name = "noisy"
[kpi.s]
[unit.co]
[unit.a]
parent = "co"
[unit.b]
parent = "co"
[cell."a/s"]
baseline = 1000
max_stretch = 500
noise_sd = 0.1
[cell."b/s"]
baseline = 1000
max_stretch = 500
noise_sd = 0.3
[goal.s]
target = 2200
[uncertainty]
execution = "0.5 to 0.9"
[decide]
fairness = "chance"
[simulation]
draws = 65536
"""


def odds_of(run: Run) -> dict[str, float]:
    return dict(zip(run.targets["unit"], run.targets["odds"], strict=True))


def test_peers_have_equal_odds_of_attaining(tmp_path: Path) -> None:
    """The one whose baseline scatters three times as much is asked for more; both attain it as often."""
    run = run_of(tmp_path, NOISY, simulate=True)
    odds = odds_of(run)
    assert abs(odds["a"] - odds["b"]) < 0.005
    assert run.plan.stretch[1] > 1.8 * run.plan.stretch[0]
    plain = odds_of(run_of(tmp_path, NOISY.replace('"chance"', '"stretch"'), simulate=True))
    assert abs(plain["a"] - plain["b"]) > 0.03


def test_additive_noise_and_certain_execution_make_stretch_proportional_to_noise(tmp_path: Path) -> None:
    """Targets at the same quantile z of 1000 + 30 z and 1000 + 90 z: 200 come to 50 and 150, whatever z is."""
    text = NOISY.replace('execution = "0.5 to 0.9"', "execution = 1")
    text = text.replace("noise_sd = 0.1\n", "").replace("noise_sd = 0.3\n", "")
    for unit, sd in (("a", 30), ("b", 90)):
        text += f'[noise.{unit}]\nwhere = {{ unit = "{unit}" }}\nsd = {sd}\nadditive = true\n'
    run = run_of(tmp_path, text.replace("target = 2200", "target = 2060"))
    assert run.plan.stretch.tolist() == pytest.approx([15, 45], rel=1e-6)


def test_lower_is_better_is_mirrored(tmp_path: Path) -> None:
    text = NOISY.replace("[kpi.s]", '[kpi.s]\ndirection = "down"').replace("target = 2200", "target = 1800")
    odds = odds_of(run_of(tmp_path, text, simulate=True))
    assert abs(odds["a"] - odds["b"]) < 0.005


@pytest.mark.parametrize("seed", range(4))
def test_random_peers_have_equal_odds(tmp_path: Path, seed: int) -> None:
    random.seed(seed)
    n = random.randint(3, 5)
    text = NOISY.partition("[unit.a]")[0]
    base = [random.randint(500, 2000) for _ in range(n)]
    for i in range(n):
        text += f'[unit.u{i}]\nparent = "co"\n[cell."u{i}/s"]\nbaseline = {base[i]}\nmax_stretch = {base[i]}\n'
        text += f"noise_sd = {random.uniform(0.05, 0.15):.3f}\n"
    text += f"[goal.s]\ntarget = {1.06 * sum(base)}\n[uncertainty]\nexecution = '0.3 to 0.7'\n"
    text += "[decide]\nfairness = 'chance'\n[simulation]\ndraws = 32768\n"
    odds = odds_of(run_of(tmp_path, text, simulate=True))
    own = [odds[f"u{i}"] for i in range(n)]
    assert max(own) - min(own) < 0.012
