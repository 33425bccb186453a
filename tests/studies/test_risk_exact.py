"""Plans that keep promised odds by rows, against every choice there is and against the exact program."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest

import kpiopt
from kpiopt.program.formulation.promises import needed_draws
from kpiopt.report.promised.prices import missed_sentences, price_rows, risk_sentences
from kpiopt.simulation.planning.margins import planning_draws
from kpiopt.studies.risk_exact import ExactPlan, solve_exactly

MOST = 3


def random_text(seed: int, draws: int, *, whole: bool = True) -> tuple[str, list[int], float]:
    """Return a scenario of two goals and three initiatives, what each costs, and the promised odds."""
    rng = np.random.default_rng(seed)
    text = 'schema = 1\nname = "Random"\ncurrency = "USD"\n[unit.company]\n'
    text += "".join(f'[kpi.{k}]\nname = "{k}"\nunit = "USD"\nroll_up = "sum"\nbaseline = 0\n' for k in "ab")
    cost = rng.integers(2, 9, 3).tolist()
    for i, price in enumerate(cost):
        low = rng.uniform(0.3, 1.5)
        text += f'[initiative.i{i}]\nunits = ["company"]\nmax = {MOST}\nwhole = {str(whole).lower()}\n'
        text += (
            f"uses = {{ cash = {price} }}\neffects.a = {{ lognormal = [{low:.3f}, {low * rng.uniform(2, 6):.3f}] }}\n"
        )
        text += f"effects.b = {{ normal = [{rng.uniform(0.5, 2):.3f}, {rng.uniform(0.2, 0.9):.3f}] }}\n"
    p = float(rng.choice([0.7, 0.8, 0.9]))
    text += f"[budget.cash]\nlimit = 300\n[goal.a]\ntarget = {rng.uniform(3, 7):.2f}\n"
    text += f"[goal.b]\ntarget = {rng.uniform(2, 5):.2f}\n[odds]\np_min = {p}\ndraws = {draws}\n"
    return text + '[decide]\norder = ["goals", "cost", "reference"]\n', cost, p


def solved(folder: Path, text: str) -> kpiopt.Run:
    (folder / "random.toml").write_text(text)
    return kpiopt.solve(folder / "random.toml", simulate=False)


def against_every_choice(run: kpiopt.Run, cost: list[int], p: float) -> None:
    """Never worse than the cheapest choice by more than the sampling error of the odds, and the gap is told."""
    (promise,), draws = run.cascade.promises, planning_draws(run.graph)
    n = draws.book.layout.draws
    found = []
    for levels in product(range(MOST + 1), repeat=3):
        margin, _ = promise.margins(draws.margins(np.zeros(0), np.array(levels, dtype=float)))
        found.append((np.count_nonzero(margin >= run.promises[0].added - 1e-9), float(np.dot(levels, cost))))
    ours = float(np.dot(run.plan.levels, cost))
    assert run.promises[0].is_kept
    least = min(price for hits, price in found if hits >= needed_draws(p, n))
    beyond = p + 1.96 * np.sqrt(p * (1 - p) / n)
    assert least <= ours <= min((price for hits, price in found if hits / n >= beyond), default=np.inf)
    steps = solve_exactly(run.cascade, run.solution).steps
    assert steps[-1].step == "cost"
    assert (steps[-1].plan, steps[-1].exact) == pytest.approx((ours, least), rel=1e-5)
    assert steps[-1].gap == pytest.approx(ours - least, abs=1e-3)


@pytest.mark.parametrize("seed", [1])
def test_whole_numbers_against_every_choice(tmp_path, seed):
    text, cost, p = random_text(seed, 64)
    against_every_choice(solved(tmp_path, text), cost, p)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(10, 40))
def test_many_whole_numbers_against_every_choice(tmp_path, seed):
    text, cost, p = random_text(seed, 256)
    run = solved(tmp_path, text)
    if run.promises[0].is_kept:
        against_every_choice(run, cost, p)


def test_the_gap_of_levels_that_are_not_whole_is_told(tmp_path):
    """The exact program can only be better, and what it says is put into words."""
    text, cost, _ = random_text(3, 32, whole=False)
    run = solved(tmp_path, text)
    step = solve_exactly(run.cascade, run.solution).steps[-1]
    assert step.step == "cost" and step.plan == pytest.approx(float(np.dot(run.plan.levels, cost)), rel=1e-9)
    assert 0.85 * step.plan <= step.exact <= step.plan * (1 + 1e-6)
    told = {"step": "cost", "plan": 21.5, "exact": 21.0, "gap": 0.5}
    study = {"knee": None, "value_of_planning_on_draws": 0.1, "average": {"odds": 0.4}, "best": 0.5, "draws": 32}
    (words,) = [line for line in risk_sentences({**study, "known": None, "exact": [told]}) if "exactly" in line]
    assert words == "Solved exactly, draw by draw, the promises would allow 21 in step cost; this plan has 21.5."


def test_what_is_not_solved_exactly_says_why_and_what_to_write(tmp_path):
    text, _, _ = random_text(3, 64, whole=False)

    def reason(text: str) -> str:
        run = solved(tmp_path, text)
        found = solve_exactly(run.cascade, run.solution)
        assert found.steps == ()
        return found.reason

    assert reason(text.replace('name = "a"\n', 'name = "a"\nmax = 50\n')) == (
        "margins are not linear where KPIs have bounds or curves"
    )
    many = "1,024 draws times 2 promised goals are more than 2,000; write [odds] draws = 512"
    assert reason(text.replace("draws = 64", "draws = 1024")) == many
    with_odds = text.replace('"goals", "cost"', '"goals", "odds", "cost"')
    assert reason(with_odds) == "that is not done with the step odds; leave it out of [decide] order"
    study = {"knee": None, "value_of_planning_on_draws": 0.1, "average": {"odds": 0.4}, "best": 0.5, "draws": 1024}
    said = list(risk_sentences({**study, "known": None, "exact": [], "exact_reason": many}))
    assert said[-1].endswith("not solved exactly, draw by draw: " + many + ".")
    run = solved(tmp_path, text[: text.index("p_min")] + "draws = 64\n" + text[text.index("[decide]") :])
    assert solve_exactly(run.cascade, run.solution) == ExactPlan()


def test_what_the_time_does_not_reach_of_the_exact_promises_is_said(tmp_path, monkeypatch):
    """500 draws are 512; what the time does not reach is said."""
    text = random_text(3, 500, whole=False)[0].replace("lognormal", "normal")
    run = solved(tmp_path, text)
    monkeypatch.setattr("kpiopt.studies.risk_exact.SECONDS", 0.0)
    late = solve_exactly(run.cascade, run.solution)
    assert late == ExactPlan(
        (), "step goals 1 was not solved to the end in 0 s, or in the time of the command; write [odds] draws = 256"
    )


DISCRETE = """
schema = 1
name = "Alike"
currency = "USD"
[kpi.a]
unit = "u"
roll_up = "sum"
baseline = 100
[kpi.a.drivers]
f0 = { contribution = 1 }
f1 = { contribution = 1 }
[factor.f0]
value = { discrete = [[-5.1, 0.25], [5.4, 0.25], [1.4, 0.25], [-6, 0.25]] }
[factor.f1]
value = { discrete = [[4.9, 0.25], [5.8, 0.25], [-2.6, 0.25], [3.8, 0.25]] }
[initiative.i]
units = ["company"]
max = 20
uses = { cash = 10 }
effects.a = { discrete = [[1, 0.5], [2, 0.5]] }
[initiative.j]
units = ["company"]
max = 10
uses = { cash = 30 }
effects.a = 2
[goal.a]
target = 115
[budget.cash]
limit = 600
[odds]
p_min = 0.8
draws = 1024
[decide]
order = ["goals", "cost"]
[unit.company]
"""


def test_draws_that_are_alike_count_as_often_as_they_are_drawn(tmp_path):
    """1,024 draws of levels that are not whole, of which 32 differ: as a search over fine steps of both levels."""
    run = solved(tmp_path, DISCRETE)
    draws = planning_draws(run.graph)
    step = solve_exactly(run.cascade, run.solution).steps[-1]
    best = np.inf
    for i in np.linspace(0, 20, 201):
        margin = draws.margins(np.zeros(0), np.array([i, 0.0]))[0]
        lacking = -np.partition(margin, len(margin) - needed_draws(0.8, len(margin)))
        j = max(0.0, float(lacking[len(margin) - needed_draws(0.8, len(margin))]) / 2.0)
        best = min(best, 10 * i + 30 * j if j <= 10 else np.inf)
    assert step.step == "cost" and best - 2.0 <= step.exact <= best + 0.01
    assert step.plan >= step.exact - 1e-6


def test_the_table_of_prices_has_what_costs_less_but_stretches_more():
    price = {"odds": 0.8, "planned": 0.81, "kept": True, "shortfall": 0.0, "cost": 900.0, "largest_stretch": 0.1}
    missed = price | {"odds": 0.9, "planned": 0.824, "kept": False, "shortfall": 0.044, "largest_stretch": 0.1174}
    study = {"prices": [price | {"odds": 0.7, "cost": 1000.0, "largest_stretch": 0.09}, price, missed]}
    assert list(price_rows(study, "EUR")) == [
        ("70 %", "kept", "1,000 EUR", "", "9.00 %"),
        ("80 %", "kept", "900 EUR", "-100 EUR", "10.00 %"),
        ("90 %", "missed: 82.4 %", "900 EUR", "", "11.74 %"),
    ]
    (said,) = missed_sentences(study)
    assert (
        said
        == "Odds of 90 % could be kept if every goal gave way by 4.4 % of the distance from its baseline to its target."
    )
