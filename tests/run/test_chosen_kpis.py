"""Which KPIs people answer for, where the plan chooses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import LinearConstraint, milp

import kpiopt
from kpiopt.cli import main
from kpiopt.errors import Infeasible
from kpiopt.plan.chosen import spared_cells
from kpiopt.report.asks.sentences import chosen_sentences
from kpiopt.run.run import Run

# Each unit of s brings 1 to the total, of q 2, of r 3. A may have two KPIs: q and r bring 50 of the 52 that are
# wanted with b's lock of 2 at q (4) and b's s. So a/s is not chosen.
HAND = """
schema = 1
name = "Who answers for what"
[kpi]
s = { step = 1 }
q = { step = 1 }
r = { step = 1 }
[kpi.total]
roll_up = "none"
baseline = 0
drivers = { s = 1, q = 2, r = 3 }
[unit]
co = {}
a = { parent = "co", level = "rep" }
b = { parent = "co", level = "rep" }
[cell]
"a/s" = { baseline = 100.5, max_stretch = 10 }
"a/q" = { baseline = 100, max_stretch = 10 }
"a/r" = { baseline = 100, max_stretch = 10 }
"b/s" = { baseline = 100, max_stretch = 10 }
"b/q" = { baseline = 100, max_stretch = 10, lock = 2, lock_reason = "agreed" }
[goal.total]
target = 70
[assign.reps]
where = { level = "rep" }
kpis = [1, 2]
choose = true
"""


def solve(folder: Path, *changes: str, text: str = HAND, simulate: bool = False) -> Run:
    (folder / "s.toml").write_text(text, "utf-8")
    return kpiopt.solve(folder / "s.toml", simulate=simulate, overrides=changes)


def stretches(run: Run) -> dict[str, float]:
    rows = run.targets.filter(run.targets["stretch"].is_not_null() & run.targets["period"].is_null())
    return {f"{r['unit']}/{r['kpi']}": round(r["stretch"], 6) for r in rows.iter_rows(named=True)}


def answers(run: Run) -> dict[str, dict[str, str]]:
    """Return why each unit has a KPI ("+") or not ("-")."""
    return {
        entry["unit"]: {k["kpi"]: ("+ " if k["chosen"] else "- ") + k["why"] for k in entry["kpis"]}
        for entry in run.as_dict()["assign"]
    }


def test_the_two_kpis_that_bring_most_are_chosen(tmp_path: Path) -> None:
    """2 x 10 + 3 x 10 of a, 10 + 2 x 2 of b: 64 of 70."""
    run = solve(tmp_path)
    assert stretches(run) == {"a/s": 0, "a/q": 10, "a/r": 10, "b/s": 10, "b/q": 2}
    assert run.goals[0].shortfall == pytest.approx(6)
    part = "its stretch is part of the plan"
    assert answers(run) == {
        "a": {"s": "- the unit has its most of 2 KPIs", "q": f"+ {part}", "r": f"+ {part}"},
        "b": {"s": f"+ {part}", "q": "+ locked: agreed"},
    }
    a = run.as_dict()["assign"][0]["kpis"]
    assert [k["contributes"] for k in a] == [{"total": 10.0}, {"total": 20.0}, {"total": 30.0}]
    binding = {(r["unit"], r["kpi"]): (r["binding"], r["target"]) for r in run.targets.iter_rows(named=True)}
    assert binding["a", "s"] == ("not chosen", 101.0)  # the multiple nearest to its baseline, and no stretch beyond


def test_what_is_not_chosen_need_not_keep_its_least_stretch(tmp_path: Path) -> None:
    run = solve(tmp_path, 'cell."a/s".min_stretch=5', 'cell."a/q".min_stretch=5', "goal.total.target=10")
    assert stretches(run)["a/s"] == 0.0
    assert answers(run)["a"]["s"].startswith("-")
    taken = solve(tmp_path, 'cell."a/s".min_stretch=5', "assign.reps.kpis=[2, 3]", "goal.total.target=10")
    assert answers(taken)["a"]["s"] == "- no step of the order asks for it"
    assert all(v == 0.0 or v >= 5.0 or k != "a/s" for k, v in stretches(taken).items())


def test_the_least_number_is_made_up_by_the_first_by_id(tmp_path: Path) -> None:
    """Nothing is wanted, so nobody is stretched: q comes before r and s."""
    run = solve(tmp_path, "goal.total.target=4")
    assert stretches(run) == {"a/s": 0, "a/q": 0, "a/r": 0, "b/s": 0, "b/q": 2}
    assert answers(run)["a"]["q"] == "+ makes up 1 KPIs"
    assert answers(run)["a"]["r"] == answers(run)["b"]["s"] == "- no step of the order asks for it"


def test_a_light_kpi_is_not_chosen_and_one_without_weight_may_be(tmp_path: Path) -> None:
    run = solve(tmp_path, 'cell."a/r".weight=0.05', "assign.reps.least_weight=0.1")
    assert stretches(run) == {"a/s": 10, "a/q": 10, "a/r": 0, "b/s": 10, "b/q": 2}
    assert answers(run)["a"]["r"] == "- weighs 0.05 in pay, which is too little"


def test_a_lock_is_chosen_and_counts(tmp_path: Path) -> None:
    run = solve(tmp_path, 'cell."a/s".lock=1')
    assert stretches(run) == {"a/s": 1, "a/q": 0, "a/r": 10, "b/s": 10, "b/q": 2}
    assert answers(run)["a"]["s"] == "+ locked"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (["assign.reps.kpis=[3, 3]"], "b has 2 KPIs that may be chosen"),
        (["assign.reps.kpis=[0, 0]"], "b has 1 locked KPIs"),
        (['cell."b/q".weight=0.01', "assign.reps.least_weight=0.1"], "b/q is locked, and weighs 0.01 in pay"),
        (["assign.more={kpis=[3, 3], choose=true}"], "no number of KPIs is right for a"),
        (["fairness.band=0.1"], "assign 'reps' chooses KPIs, and a band holds stretches near those of peers"),
        (
            ["guardrail.far={where={level='rep'}, most=1.2}"],
            "assign 'reps' chooses KPIs, and a guardrail beside peers holds",
        ),
    ],
)
def test_what_no_choice_could_keep_is_refused(tmp_path: Path, changes: list[str], said: str) -> None:
    (tmp_path / "s.toml").write_text(HAND, "utf-8")
    found = kpiopt.check(tmp_path / "s.toml", overrides=changes).errors
    assert [p.code for p in found] == ["E-assign-choose"] * len(found)
    assert any(p.message.startswith(said) for p in found), found


def test_where_too_few_kpis_are_the_reason_more_of_them_are_the_repair(tmp_path: Path) -> None:
    with pytest.raises(Infeasible) as caught:
        solve(tmp_path, "goal.total.hard=true")
    repairs = [caught.value.details["repair"], *caught.value.details["alternatives"]]
    assert 'assign."reps".kpis=[1, 3]' in [s for r in repairs for s in r["set"]]
    assert solve(tmp_path, "goal.total.hard=true", "assign.reps.kpis=[1, 3]").goals[0].met


def test_a_rule_that_spreads_over_all_kpis_breaks_the_number(tmp_path: Path) -> None:
    text = HAND.replace("[goal.total]\ntarget = 70", "[goal]\ns.target = 210\nq.target = 210\nr.target = 105")
    judged = solve(tmp_path, text=text).as_dict()["rules"]["proportional"]
    assert {"name": "assign.reps@a", "limit": 2.0, "used": 3.0} in judged["broken_limits"]


def test_a_kept_run_is_verified_and_odds_are_those_of_the_choice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "s.toml").write_text(HAND + "[uncertainty]\nexecution = '0.7 to 1.1'\n[simulation]\ndraws = 256\n")
    assert main(["solve", str(tmp_path / "s.toml"), "--out", str(tmp_path / "runs"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [k["chosen"] for k in document["assign"][0]["kpis"]] == [False, True, True]
    assert main(["verify", document["run"], "--out", str(tmp_path / "runs")]) == 0


def test_the_summary_says_who_answers_for_what(tmp_path: Path) -> None:
    run = solve(tmp_path)
    assert list(chosen_sentences(run.as_dict(), run.scenario)) == [
        "a answers for q, r; not for s (the unit has its most of 2 KPIs).",
        "b answers for s, q.",
    ]


def test_that_weights_stay_is_told(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(HAND, "utf-8")
    told = kpiopt.check(tmp_path / "s.toml", overrides=['cell."a/r".weight=0.5']).warnings
    assert "assign 'reps' chooses among KPIs with a weight in pay" in [p.message for p in told]


def test_with_periods_a_kpi_is_chosen_for_all_of_them(tmp_path: Path) -> None:
    text = HAND.replace("schema = 1", 'schema = 1\nperiods.names = ["h1", "h2"]').replace(
        'roll_up = "none"', 'roll_up = "none"\nkind = "flow"'
    )
    run = solve(tmp_path, 'cell."a/s".min_stretch=5', text=text)
    assert stretches(run) == {"a/s": 0, "a/q": 10, "a/r": 10, "b/s": 10, "b/q": 2}
    assert run.goals[0].shortfall == pytest.approx(6)
    assert answers(run)["a"]["s"].startswith("-")
    light = solve(tmp_path, 'cell."a/r".weight=0.05', "assign.reps.least_weight=0.1", 'cell."a/s".min_stretch=5',
                  text=text)  # fmt: skip
    assert stretches(light) == {"a/s": 10, "a/q": 10, "a/r": 0, "b/s": 10, "b/q": 2}


def organization(rng: np.random.Generator) -> dict[str, Any]:
    """A small organization: people with KPIs of which some are chosen."""
    people, kpis = int(rng.integers(1, 4)), int(rng.integers(2, 5))
    most = int(rng.integers(1, kpis + 1))
    n = people * kpis
    stretch = rng.integers(2, 12, n).astype(float)
    least = np.where(rng.random(n) < 0.3, np.floor(stretch / 2), 0.0)
    return {
        "people": people, "kpis": kpis, "most": most, "least": int(rng.integers(0, most + 1)),
        "max": stretch, "min": least, "rate": rng.integers(1, 9, n).astype(float),
        "brings": rng.integers(1, 6, kpis).astype(float), "share": float(rng.choice([0.2, 0.5, 0.9])),
        "locked": np.where(rng.random(n) < 0.1, 1.0, np.nan), "light": rng.random(n) < 0.1,
    }  # fmt: skip


def text_of(found: dict[str, Any], target: float) -> str:
    kpis, people = found["kpis"], found["people"]
    lines = ["schema = 1", 'name = "random"', 'decide.order = ["goals", "cost"]', "[kpi]"]
    lines += [f"k{k} = {{}}" for k in range(kpis)]
    drivers = ", ".join(f"k{k} = {found['brings'][k]}" for k in range(kpis))
    lines += [f'total = {{ roll_up = "none", baseline = 0, drivers = {{ {drivers} }} }}', "[unit]", "co = {}"]
    lines += [f'p{p} = {{ parent = "co", level = "rep" }}' for p in range(people)] + ["[cell]"]
    for n in range(people * kpis):
        lock = "" if np.isnan(found["locked"][n]) else f", lock = {found['locked'][n]}"
        light = ", weight = 0.01" if found["light"][n] else ""
        lines.append(
            f'"p{n // kpis}/k{n % kpis}" = {{ baseline = 50, max_stretch = {found["max"][n]}, '
            f"min_stretch = {found['min'][n]}, pay_rate = {found['rate'][n]}{lock}{light} }}"
        )
    lines += ["[goal.total]", f"target = {target}", "[assign.all]", f"kpis = [{found['least']}, {found['most']}]"]
    return "\n".join([*lines, "least_weight = 0.02", "choose = true"])


def optimum(found: dict[str, Any], target: float) -> tuple[float, float] | None:
    """Least shortfall, then least pay, by another formulation: semicontinuous stretches, on or off."""
    n, kpis = len(found["max"]), found["kpis"]
    locked = ~np.isnan(found["locked"])
    brings = np.tile(found["brings"], found["people"])
    # columns: x (n), on (n), shortfall
    upper = np.concatenate([np.where(locked, found["locked"], found["max"]), np.where(found["light"], 0, 1), [1e4]])
    lower = np.concatenate([np.where(locked, found["locked"], 0), locked.astype(float), [0]])
    if np.any(lower > upper):
        return None
    high = np.where(locked, found["locked"], found["max"])
    low = np.where(locked, found["locked"], found["min"])
    eye, none = np.eye(n), np.zeros((n, 1))
    rows = [
        LinearConstraint(np.hstack([eye, -np.diag(high), none]), -np.inf, 0),
        LinearConstraint(np.hstack([eye, -np.diag(low), none]), 0, np.inf),
        LinearConstraint(np.concatenate([brings, np.zeros(n), [1.0]])[None], target, np.inf),
        LinearConstraint(
            np.hstack([np.zeros((found["people"], n)), np.kron(np.eye(found["people"]), np.ones(kpis)),
                       np.zeros((found["people"], 1))]), found["least"], found["most"]),
    ]  # fmt: skip
    whole = np.concatenate([np.zeros(n), np.ones(n), [0]])
    short = np.concatenate([np.zeros(2 * n), [1.0]])
    first = milp(short, integrality=whole, bounds=(lower, upper), constraints=rows)
    if first.x is None:
        return None
    rows.append(LinearConstraint(short[None], -np.inf, first.fun + 1e-9))
    cost = np.concatenate([found["rate"], np.zeros(n + 1)])
    second = milp(cost, integrality=whole, bounds=(lower, upper), constraints=rows)
    return float(first.fun), float(second.fun)


def compare(folder: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    found = organization(rng)
    reach = float(np.tile(found["brings"], found["people"]) @ found["max"])
    target = round(found["share"] * reach, 1)
    wanted = optimum(found, target)
    text = text_of(found, target)
    if wanted is None:
        (folder / "s.toml").write_text(text, "utf-8")
        assert {p.code for p in kpiopt.check(folder / "s.toml").errors} == {"E-assign-choose"}
        return
    run = solve(folder, text=text)
    assert run.goals[0].shortfall == pytest.approx(wanted[0], abs=1e-6)
    assert run.spending.pay == pytest.approx(wanted[1], abs=1e-5)
    told = spared_cells(run.graph, run.plan.stretch)[run.scenario.chosen.cell]
    proved = run.cascade.columns.spared.of(run.solution.x) > 0.5
    moved = run.plan.stretch[run.scenario.chosen.cell] != 0.0
    assert np.array_equal(told & moved, proved & moved) and not np.any(told & ~proved)
    chosen = np.bincount(run.scenario.chosen.of_unit, ~told) + run.scenario.chosen.n_locked
    assert np.all((chosen >= found["least"]) & (chosen <= found["most"]))
    spared = spared_cells(run.graph, run.plan.stretch)
    assert np.all(run.plan.rounded_stretch[spared] == 0.0)


@pytest.mark.parametrize("seed", [*range(10), 11, 12])
def test_random_organizations_have_the_optimum_of_another_solver(tmp_path: Path, seed: int) -> None:
    compare(tmp_path, seed)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", [10, *range(13, 42)])
def test_more_random_organizations_have_the_optimum_of_another_solver(tmp_path: Path, seed: int) -> None:
    compare(tmp_path, seed)
