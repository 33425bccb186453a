"""One plan for several variants, worst regret first: by hand, against a search, kept, verified and refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import linprog

import kpiopt
from kpiopt.cli import main
from kpiopt.errors import Infeasible, InputError, UsageError
from kpiopt.report.page.kept_files import summary_text
from kpiopt.run.solve import SolveOptions, judge_scenario

TEXT = """
schema = 1
name = "Robust"
currency = "USD"
[kpi.a]
name = "A"
unit = "points"
roll_up = "sum"
[kpi.b]
name = "B"
unit = "points"
roll_up = "sum"
[unit.company]
capacity.hours = 20
[cell."company/a"]
baseline = 100
max_stretch = 40
effort.hours = 1
[cell."company/b"]
baseline = 100
max_stretch = 40
effort.hours = 1
[goal.a]
target = 110
[goal.b]
target = 110
[decide]
order = ["goals", "cost", "reference"]
effort_price = { hours = 1 }
robust = ["more_a", "more_b"]
[variant.more_a]
goal.a.target = 120
goal.b.target = 101
[variant.more_b]
goal.a.target = 101
goal.b.target = 140
"""


def written(folder: Path, text: str = TEXT) -> Path:
    path = folder / "robust.toml"
    path.write_text(text)
    return path


def test_regret_is_shared_as_worked_out_by_hand(tmp_path):
    """Alone more_a takes 19 hours for a, more_b 19 for b. Of a + b = 20 the regrets 1 - a/20 - 0.05 and a/40 - 0.025
    are equal at a = 13, where both are 0.3."""
    run = kpiopt.solve(written(tmp_path), simulate=False)
    assert run.plan.stretch == pytest.approx([13, 7], abs=1e-9)
    assert [(r.variant, r.alone) for r in run.variants] == [
        ("more_a", pytest.approx(0.05)), ("more_b", pytest.approx(0.525)),
    ]  # fmt: skip
    assert [r.regret for r in run.variants] == pytest.approx([0.3, 0.3])
    assert run.solution.steps[0].label == "robust 1" and run.solution.steps[0].value == pytest.approx(0.3)
    assert run.goals[0].target == 110  # goals, targets and odds are those of the scenario itself


@pytest.mark.parametrize("seed", range(4))
def test_worst_regret_against_a_program_of_its_own(tmp_path, seed):
    """Random weights, targets and limits: the same least worst regret by another solver on the extensive form."""
    rng = np.random.default_rng(seed)
    names, data, text = ("one", "two", "three"), [], TEXT[: TEXT.index("[variant.more_a]")]
    text = text.replace('["more_a", "more_b"]', json.dumps(names))
    for name in names:
        gap, weight, hours = (
            rng.uniform(2, 40, 2).round(1),
            rng.uniform(0.5, 2, 2).round(2),
            float(rng.integers(10, 30)),
        )
        data.append((gap, weight, hours))
        text += f"[variant.{name}]\nunit.company.capacity.hours = {hours}\n"
        text += "".join(
            f"goal.{k}.target = {100 + gap[i]:.1f}\ngoal.{k}.weight = {weight[i]}\n" for i, k in enumerate("ab")
        )
    run = kpiopt.solve(written(tmp_path, text), simulate=False)

    def least(variants, cost_of_regret):
        """Columns a, b, then two shortfalls for each variant, then the regret."""
        n = 3 + 2 * len(variants)
        rows, side = [], []
        for v, (gap, weight, hours, alone) in enumerate(variants):
            for i in range(2):
                row = np.zeros(n)
                row[i] = row[2 + 2 * v + i] = -1
                rows, side = [*rows, row], [*side, -gap[i]]
            row = np.zeros(n)
            row[:2] = 1
            rows, side = [*rows, row], [*side, hours]
            row = np.zeros(n)
            row[2 + 2 * v : 4 + 2 * v], row[-1] = weight / gap, -1
            rows, side = [*rows, row], [*side, alone]
        row = np.zeros(n)
        row[:2] = 1
        cost = np.zeros(n)
        cost[-1] = cost_of_regret
        limits = [(0, 40)] * 2 + [(0, None)] * (n - 2)
        return linprog(cost, A_ub=[*rows, row], b_ub=[*side, 20], bounds=limits).fun

    alone = [least([(gap, weight, hours, 0.0)], 1.0) for gap, weight, hours in data]
    # the scenario's own 20 hours limit the plan, and not what a variant could have for itself
    for v, (gap, weight, hours) in enumerate(data):
        grid = np.linspace(0, 40, 4001)
        other = np.clip(hours - grid, 0, 40)
        lack = weight[0] / gap[0] * np.maximum(gap[0] - grid, 0) + weight[1] / gap[1] * np.maximum(gap[1] - other, 0)
        alone[v] = float(lack[grid <= hours].min())
    best = least([(*each, own) for each, own in zip(data, alone, strict=True)], 1.0)
    assert run.solution.steps[0].value == pytest.approx(best, abs=2e-3)
    assert max(r.regret for r in run.variants) == pytest.approx(best, abs=2e-3)
    assert run.plan.stretch.sum() <= min(20, *(hours for _, _, hours in data)) + 1e-9


def test_a_robust_run_in_memory_is_verified_with_its_variants(tmp_path):
    """The least regret of another claim would be another plan's."""
    run = kpiopt.solve(written(tmp_path), simulate=False)
    findings = kpiopt.verify(run)
    assert findings and all(finding.passed for finding in findings)
    bent = (replace(run.variants[0], alone=run.variants[0].alone + 0.1), *run.variants[1:])
    assert not all(finding.passed for finding in kpiopt.verify(replace(run, variants=bent)))


def test_a_robust_run_is_kept_told_and_verified(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    written(tmp_path)
    words = ["solve", "robust.toml", "--json", "--draws", "64"]
    assert main(words) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["robust"][0] == {
        "variant": "more_a", "step": "goals 1", "alone": pytest.approx(0.05), "plan": pytest.approx(0.35),
        "regret": pytest.approx(0.3),
    }  # fmt: skip
    folder = Path(document["folder"])
    assert "worst regret first" in (folder / "summary.txt").read_text()
    assert all(finding.passed for finding in kpiopt.verify(folder))
    bent = (folder / "scenario.toml").read_text().replace("target = 140", "target = 139")
    (folder / "scenario.toml").write_text(bent)
    assert not all(finding.passed for finding in kpiopt.verify(folder))
    # what is typed stands on top of every variant, in the kept scenario too
    assert main([*words, "--set", "goal.b.target=105"]) == 0
    typed = json.loads(capsys.readouterr().out)
    assert typed["run"] != document["run"]
    assert all(finding.passed for finding in kpiopt.verify(Path(typed["folder"])))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"more_b"]', '"more_c"]', "there is no variant 'more_c'"),
        ('"more_b"]', '"more_a"]', "named twice"),
        ("[goal.a]\n", "[goal.a]\np_min = 0.7\n", "does not go with promised odds"),
        ('["goals", "cost"', '["met", "goals", "cost"', "the step `met`"),
        ("goal.b.target = 140", 'goal.b.target = "many"', "in variant 'more_b'"),
        ("goal.b.target = 140", "goal.b.target = 140\ngoal.b.p_min = 0.9", "promises odds"),
    ],
)
def test_what_cannot_be_judged_is_refused(tmp_path, old, new, words):
    with pytest.raises(InputError) as caught:
        kpiopt.load(written(tmp_path, TEXT.replace(old, new, 1)))
    assert words in str(caught.value)


def test_variants_that_leave_no_plan_are_named(tmp_path):
    apart = TEXT + 'cell."company/a".min_stretch = 15\n'
    with pytest.raises(InputError, match="the variants leave no range to company/a"):
        text = apart.replace("[variant.more_a]\n", '[variant.more_a]\ncell."company/a".max_stretch = 10\n')
        kpiopt.solve(written(tmp_path, text), simulate=False)
    with pytest.raises(Infeasible, match="variant 'more_b' has no plan by itself"):
        kpiopt.solve(written(tmp_path, apart + "unit.company.capacity.hours = 10\n"), simulate=False)


def test_a_sweep_of_a_robust_plan_gives_the_plans_of_its_values(tmp_path):
    """In the scenario and in all variants: a limit, a target that variants set themselves, and a variant without a
    plan."""
    path = written(tmp_path)
    for axis, values in (("capacity.hours.scale", (0.8, 1.0, 1.2)), ("goal.a.target", (105.0, 112.0))):
        swept = kpiopt.sweep(path, over=f"{axis}={','.join(map(str, values))}", simulate=False)
        for value, point in zip(values, swept.results, strict=True):
            run = kpiopt.solve(kpiopt.load(path, overrides=[f"{axis}={value}"]), simulate=False)
            assert dict(point.steps) == pytest.approx(
                {step.label: step.value for step in run.solution.steps if step.name != "reference"}, abs=1e-9
            )
    apart = TEXT + 'cell."company/a".min_stretch = 15\n'
    swept = kpiopt.sweep(written(tmp_path, apart), over="capacity.hours.scale=0.5,1.0", simulate=False)
    assert [point.status for point in swept.results] == ["infeasible", "optimal"]


def test_sensitivity_of_a_robust_plan_moves_its_variants_as_well(tmp_path):
    """With H hours (see above) a = (2 H - 1) / 3 up to H = 21, where more_a has all it wants, and 41 / 3 beyond: A is
    met down to 15.5 hours, B = H - a from 23.67 on."""
    found = kpiopt.sensitivity(written(tmp_path), draws=64, break_even=["capacity.hours.scale"], information=True)
    crossing = found.break_evens[0]
    assert crossing.kind_below.value == pytest.approx(15.5 / 20, abs=0.002)
    assert crossing.kind_above.value == pytest.approx((10 + 41 / 3) / 20, abs=0.002)
    moved = kpiopt.sensitivity(written(tmp_path), draws=64)
    paths = [bar.move.path for bar in moved.tornado.bars]
    assert "goal.a.target" not in paths and "capacity.hours.scale" in paths
    assert any("variants of [decide] robust set themselves: goal.a.target" in left.what for left in moved.left_out)
    with pytest.raises(UsageError, match="set by variant 'more_a' itself"):
        kpiopt.sensitivity(written(tmp_path), draws=64, break_even=["goal.a.target"])


def test_what_odds_cost_is_not_told_of_a_robust_plan(tmp_path, capsys):
    assert main(["solve", str(written(tmp_path)), "--risk", "--out", str(tmp_path / "runs")]) == 2
    assert "robust" in capsys.readouterr().err
    assert not list((tmp_path / "runs").glob("robust-*"))


def told(run) -> str:
    return " ".join(line.strip() for line in summary_text(run, Path("run")).splitlines())


LESS = TEXT.replace("[variant.more_a]", "[variant.more_a]\nunit.company.capacity.hours = 15")


def test_the_limits_of_variants_are_named_with_their_variant(tmp_path):
    """Of 20 hours more_a has 15: it alone stops the plan, and says so; what holds everywhere is named once."""
    run = kpiopt.solve(written(tmp_path, LESS), simulate=False)
    assert sum(run.plan.stretch) == pytest.approx(15)
    limits = {limit.name: limit for limit in run.limits}
    assert list(limits) == ["capacity.hours@company", "capacity.hours@company (more_a)"]
    held = limits["capacity.hours@company (more_a)"]
    assert (held.binding, held.limit, held.used) == (True, 15.0, pytest.approx(15))
    assert not limits["capacity.hours@company"].binding
    assert held.shadow_price is None and held.price_more is None
    assert set(run.targets["binding"].drop_nulls()) >= {"capacity.hours@company (more_a)"}
    text = told(run)
    assert "Used up: hours of company in variant more_a." in text
    found = kpiopt.explain(run, "capacity.hours@company (more_a)")
    assert sum(use.amount for use in found.uses) == pytest.approx(15)


def test_a_limit_that_all_variants_share_has_no_false_price(tmp_path):
    """Its copies in the variants would hold the plan where it is, and each variant could have more for itself."""
    run = kpiopt.solve(written(tmp_path), simulate=False)
    (held,) = run.limits
    assert held.name == "capacity.hours@company" and held.binding and held.price_more is None
    assert "more would be worth nothing" not in told(run)


def test_the_use_of_a_variants_hours_is_what_its_own_effort_curve_makes_of_it(tmp_path):
    text = LESS.replace("[variant.more_a]", "[effort_curve.hard]\ntiers = [[0.05, 1], [1, 1.5]]\n[variant.more_a]")
    text = text.replace("hours = 15", "hours = 30").replace("hours = 20", "hours = 100")
    run = kpiopt.solve(written(tmp_path, text), simulate=False)
    counted = sum(x + 0.5 * max(x - 5.0, 0.0) for x in run.plan.stretch)
    for limit in run.limits:
        assert limit.used == pytest.approx(counted)


LEAN = TEXT[: TEXT.index("[variant.more_a]")].replace('["more_a", "more_b"]', '["lean"]')


@pytest.mark.parametrize(
    ("variant", "moved", "low", "broken"),
    [
        ("capacity.hours.scale = 0.5", "unit.company.capacity.hours", 15.0, ["capacity.hours@company (lean)"]),
        ("capacity.hours.scale = 0.5", "unit.company.capacity.hours", 8.0,
         ["capacity.hours@company", "capacity.hours@company (lean)"]),
        ('cell."company/a".lock_target = 110', "cells.a.baseline", 0.9, ["range of company/a (lean)"]),
    ],
)  # fmt: skip
def test_what_the_old_plan_breaks_in_a_variant_is_named_with_it(tmp_path, variant, moved, low, broken):
    """Lean has half of the hours, 10, all of which the plan uses: with 15 hours it has 7.5, the scenario enough."""
    path = written(tmp_path, f"{LEAN}[variant.lean]\n{variant}\n")
    found = kpiopt.sensitivity(path, changes={moved: (low, 25.0 if low > 1.0 else 1.0)}, draws=64)
    bar = next(bar for bar in found.tornado.bars if bar.move.path == moved)
    assert (bar.low.input_value, list(bar.low.broken), bar.high.broken) == (low, broken, ())


def test_a_rule_breaks_what_a_variant_has(tmp_path):
    """A and B by their gaps take 20 hours, which the scenario has and the variant has not."""
    path = written(tmp_path, f"{LEAN}[variant.lean]\ncapacity.hours.scale = 0.5\n")
    judged = judge_scenario(kpiopt.load(path), "proportional", SolveOptions())
    assert [(limit.name, limit.limit, limit.used) for limit in judged.broken] == [
        ("capacity.hours@company (lean)", 10.0, pytest.approx(20.0))
    ]
