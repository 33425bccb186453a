"""Promised odds: plans against closed forms and brute force, draw by draw, and what is published of them."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
from scipy.optimize import brentq, minimize
from scipy.stats import multivariate_normal

import kpiopt
from kpiopt.cli import main
from kpiopt.errors import Uncertified
from kpiopt.graph import build_graph
from kpiopt.program.formulation.cascade import build_cascade
from kpiopt.program.formulation.cuts import build_cut, matching_tail, tail_weights, with_cuts
from kpiopt.program.formulation.promises import Cuts, needed_draws
from kpiopt.program.solver.answer import SolverOptions
from kpiopt.report.promised.sentences import promise_sentences
from kpiopt.run.promised import promise_results, solve_with_promises
from kpiopt.simulation.planning.margins import checking_draws, planning_draws

HEAD = """
schema = 1
name = "Promised"
currency = "USD"
[kpi.sales]
name = "Sales"
unit = "USD"
roll_up = "sum"
drivers.market = 10
[factor.market]
name = "Market"
value = { normal = [0, 1] }
[unit.company]
[unit.north]
parent = "company"
[unit.south]
parent = "company"
[cell."north/sales"]
baseline = 100
max_stretch = 100
effort.hours = 1
[cell."south/sales"]
baseline = 100
max_stretch = 100
effort.hours = 3
[decide]
order = ["goals", "cost", "reference"]
effort_price = { hours = 1 }
[goal.sales]
target = 220
"""
MORE = {"p80": "p_min = 0.8\n", "p95": "p_min = 0.95\n", "p30": "p_min = 0.3\n"}


def scenario(tmp_path: Path, text: str) -> kpiopt.Scenario:
    path = tmp_path / "promised.toml"
    path.write_text(text)
    return kpiopt.load(path)


def solved(tmp_path: Path, text: str, **options) -> kpiopt.Run:
    return kpiopt.solve(scenario(tmp_path, text), simulate=False, **options)


@pytest.mark.parametrize(("key", "p"), [("p80", 0.8), ("p95", 0.95), ("p30", 0.3)])
def test_margin_of_a_gaussian_goal_is_z_times_sigma(tmp_path, key, p):
    """All chance is one normal factor of sd 10: odds of p need a plan of target + z_p 10, the cheap cell first."""
    run = solved(tmp_path, HEAD + MORE[key])
    (goal,), (promise,) = run.goals, run.promises
    assert goal.plan - 220 == pytest.approx(NormalDist().inv_cdf(p) * 10, abs=0.02)
    assert promise.is_kept and goal.met and goal.shortfall == 0
    margins = planning_draws(run.graph).margins(run.plan.stretch, run.plan.levels)[0]
    beyond = np.count_nonzero(margins >= promise.added - 1e-6)
    assert beyond == needed_draws(p, promise.draws) and promise.hits <= beyond + 4
    assert run.plan.stretch[1] == 0


def test_odds_of_other_draws_are_near_the_promise(tmp_path):
    run = kpiopt.solve(scenario(tmp_path, HEAD + "p_min = 0.8\n"))
    (promise,) = run.promises
    assert promise.fresh.low <= 0.8 <= promise.fresh.high or abs(promise.fresh.estimate - 0.8) < 0.003
    assert not promise.is_doubtful
    assert run.simulation.seed == 0 and promise.fresh == run.simulation.goals[0].odds


def test_risk_is_spread_where_that_is_cheapest(tmp_path):
    """Two actions of the same mean and independent normal effects: the cheapest mix for odds of 0.9, by calculus."""
    market = '[factor.market]\nname = "Market"\nvalue = { normal = [0, 1] }\n'
    text = HEAD.replace("drivers.market = 10\n", "").replace(market, "")
    text = text.replace("max_stretch = 100\n", "").replace("effort.hours = 1\n", "").replace("effort.hours = 3\n", "")
    text = (
        text.replace("effort_price = { hours = 1 }\n", "")
        + """p_min = 0.9
[initiative.a]
units = ["company"]
max = 100
uses = { cash = 1.0 }
effects.sales = { normal = [1.0, 0.3] }
[initiative.b]
units = ["company"]
max = 100
uses = { cash = 1.1 }
effects.sales = { normal = [1.0, 0.2] }
[budget.cash]
limit = 1000
"""
    )
    run = solved(tmp_path, text + "[odds]\ndraws = 8192\n")
    z = NormalDist().inv_cdf(0.9)
    best = minimize(
        lambda x: x[0] + 1.1 * x[1], [30, 30], bounds=[(0, 100)] * 2,
        constraints={"type": "ineq", "fun": lambda x: x.sum() - z * np.hypot(0.3 * x[0], 0.2 * x[1]) - 20},
    )  # fmt: skip
    ours = run.plan.levels @ [1.0, 1.1]
    assert ours == pytest.approx(best.fun, rel=2e-3)
    assert run.plan.levels == pytest.approx(best.x, abs=0.6)


def joint(p: float, rho: float) -> str:
    return f"""
schema = 1
name = "Two goals"
[kpi.a]
name = "A"
unit = "points"
roll_up = "sum"
drivers.x = 1
[kpi.b]
name = "B"
unit = "points"
roll_up = "sum"
drivers.y = 2
[factor.x]
name = "X"
value = {{ normal = [0, 1] }}
[factor.y]
name = "Y"
value = {{ normal = [0, 1] }}
[correlation]
"factor.x ~ factor.y" = {rho}
[unit.company]
[cell."company/a"]
baseline = -10
max_stretch = 40
effort.hours = 1
[cell."company/b"]
baseline = -10
max_stretch = 40
effort.hours = 1
[goal.a]
target = 1
[goal.b]
target = 1
[odds]
p_min = {p}
[decide]
order = ["goals", "cost", "reference"]
effort_price = {{ hours = 1 }}
"""


@pytest.mark.parametrize(("p", "rho"), [(0.8, 0.6), (0.6, -0.4)])
def test_joint_odds_are_those_of_the_bivariate_normal(tmp_path, p, rho):
    """The least a + b for which P(a + x >= 1, b + 2 y >= 1) is p."""
    run = solved(tmp_path, joint(p, rho))
    a, b = run.plan.stretch - 10
    exact = multivariate_normal([0, 0], [[1, rho], [rho, 1]])
    assert exact.cdf([a - 1, (b - 1) / 2]) == pytest.approx(p, abs=0.006)

    def cost(u: float) -> float:
        v = brentq(lambda v: exact.cdf([u, v]) - p, -3, 12)
        return 1 + u + 1 + 2 * v

    least = min(cost(u) for u in np.linspace(NormalDist().inv_cdf(p) + 0.02, 4, 150))
    assert a + b == pytest.approx(least, rel=0.02)
    assert {goal.goal.id: goal.met for goal in run.goals} == {"a": True, "b": True}
    assert run.promises[0].goals == ("a", "b")


def test_what_cannot_be_promised_is_short_by_the_quantile(tmp_path):
    """At most 60 hours leave a plan of 260 - 0: odds of 0.95 of a target of 300 lack what the 5 % point lacks."""
    run = solved(tmp_path, HEAD.replace("target = 220", "target = 420") + "p_min = 0.95\n")
    (goal,), (promise,) = run.goals, run.promises
    assert goal.plan == pytest.approx(400)
    assert goal.shortfall == pytest.approx(20 + NormalDist().inv_cdf(0.95) * 10, abs=0.05)
    assert not goal.met and not promise.is_kept
    assert promise.planned == pytest.approx(NormalDist().cdf(-2.0), abs=0.001)
    assert run.solution.steps[0].value == pytest.approx(goal.shortfall / 220, rel=1e-5)


def test_a_hard_goal_without_its_odds_has_no_plan(tmp_path):
    text = HEAD.replace("target = 220", "target = 420") + "p_min = 0.95\nhard = true\n"
    with pytest.raises(Uncertified) as caught:
        solved(tmp_path, text)
    problem, *notes = caught.value.problems
    assert [note.code for note in notes] == ["N-best-odds", "N-alternative"]
    assert problem.code == "E-odds-out-of-reach" and "2.3%" in problem.message and "383.5" in problem.fix
    run = solved(tmp_path, HEAD + "p_min = 0.95\nhard = true\n")
    assert run.promises[0].is_kept and run.solution.steps[0].label == "hard promises"


WHOLE = """
schema = 1
name = "Whole"
currency = "USD"
[kpi.sales]
name = "Sales"
unit = "USD"
roll_up = "sum"
baseline = 0
[unit.company]
[initiative.a]
units = ["company"]
max = 5
whole = true
uses = { cash = 4 }
effects.sales = { lognormal = [1.0, 6.0] }
[initiative.b]
units = ["company"]
max = 5
whole = true
uses = { cash = 3 }
effects.sales = { uniform = [0.0, 4.0] }
[initiative.c]
units = ["company"]
max = 2
whole = true
uses = { cash = 7 }
effects.sales = { triangular = [2.0, 5.0, 8.0] }
[budget.cash]
limit = 60
[goal.sales]
target = 14
p_min = 0.85
[odds]
draws = 512
[decide]
order = ["goals", "cost", "reference"]
"""


def test_whole_numbers_against_every_choice(tmp_path):
    """Of all 108 choices the cheapest that keeps the odds on the planning draws, and on those it is checked on."""
    model = scenario(tmp_path, WHOLE)
    planned, checked = planning_draws(build_graph(model)), checking_draws(build_graph(model))
    run = kpiopt.solve(model, simulate=False)
    best = np.inf
    for levels in product(range(6), range(6), range(3)):
        at = np.zeros(0), np.array(levels, dtype=float)
        hits = np.count_nonzero(planned.margins(*at)[0] >= 0)
        if hits >= needed_draws(0.85, 512) and np.mean(checked.margins(*at)[0] >= 0) >= 0.8495:
            best = min(best, float(np.dot(levels, [4, 3, 7])))
    ours = float(np.dot(run.plan.levels, [4, 3, 7]))
    assert np.array_equal(run.plan.levels, np.rint(run.plan.levels))
    assert run.promises[0].is_kept
    assert ours == best


def test_a_plan_without_promises_is_left_alone(tmp_path):
    model = scenario(tmp_path, HEAD)
    cascade = build_cascade(build_graph(model))
    assert cascade.promises == ()
    held, _ = solve_with_promises(cascade, SolverOptions())
    assert held is cascade
    assert kpiopt.solve(model, simulate=False).promises == ()


def test_the_plan_depends_neither_on_the_order_of_the_file_nor_on_the_seed_of_the_simulation(tmp_path):
    text = joint(0.7, 0.3) + '[goal.c]\nkpi = "a"\ntarget = 2\np_min = 0.6\npriority = 2\n'
    first, second = text.index("[kpi.a]"), text.index("[kpi.b]")
    turned = (
        text[:first] + text[second : text.index("[factor.x]")] + text[first:second] + text[text.index("[factor.x]") :]
    )
    text, turned = (each.replace("[odds]", "[odds]\ndraws = 1024") for each in (text, turned))
    runs = [solved(tmp_path, each) for each in (text, turned)]
    runs.append(kpiopt.solve(kpiopt.load(tmp_path / "promised.toml", overrides=["simulation.seed=5"]), simulate=False))
    plans = [dict(zip(r.targets["kpi"], r.targets["plan"], strict=True)) for r in runs]
    assert plans[0] == pytest.approx(plans[1], rel=1e-9) and plans[1] == plans[2]


def test_effects_are_what_margins_change_by(tmp_path):
    """Bounded KPI, drawn contributions, drawn execution, lower is better: the adjoint against differences."""
    text = HEAD.replace(
        "drivers.market = 10\n", 'drivers.market = "5 to 15"\ndrivers.calls = { normal = [-2, 0.5] }\nmax = 230\n'
    )
    text += """
[uncertainty]
execution = "0.5 to 1.1"
common = 0.4
[kpi.calls]
name = "Complaints"
unit = "calls"
direction = "down"
roll_up = "sum"
[cell."north/calls"]
baseline = 20
max_stretch = 10
[goal.calls]
target = 15
p_min = 0.7
[odds]
draws = 256
"""
    graph = build_graph(scenario(tmp_path, text))
    draws, rng = planning_draws(graph), np.random.default_rng(3)
    stretch, weight = rng.uniform(5, 10, len(graph.scenario.cells)), rng.random((2, 256))
    before = draws.margins(stretch, np.zeros(0))
    cells, _ = draws.effects(stretch, np.zeros(0), weight)
    for cell in range(len(stretch)):
        moved = stretch.copy()
        moved[cell] += 1e-6
        change = float(np.sum(weight * (draws.margins(moved, np.zeros(0)) - before))) / 1e-6
        assert cells[cell] == pytest.approx(change, rel=1e-5, abs=1e-6)
    assert (
        np.any(before[0] < before[0].max()) and np.count_nonzero(before[0] == before[0].max()) > 3
    )  # some are cut off


def test_the_tail_matches_the_margin_that_the_share_reaches():
    margin = np.random.default_rng(1).normal(3, 2, 1000)
    for p in (0.5, 0.8, 0.99):
        needed = needed_draws(p, 1000)
        tail, reached = matching_tail(margin, needed), np.sort(margin)[1000 - needed]
        weight = tail_weights(margin, tail)
        assert weight.sum() == pytest.approx(tail)
        if tail < 1000:
            assert weight @ margin / tail == pytest.approx(reached, abs=1e-9)
    assert matching_tail(np.full(50, 2.0), 40) == 50
    assert needed_draws(0.8, 10) == 8 and needed_draws(0.81, 10) == 9


def test_a_cut_is_above_the_mean_of_the_worst_everywhere(tmp_path):
    """A tangent never says less than the mean margin of as many worst draws at any other plan."""
    model = scenario(tmp_path, WHOLE)
    cascade, draws = build_cascade(build_graph(model)), planning_draws(build_graph(model))
    (promise,) = cascade.promises
    rng = np.random.default_rng(0)
    here = np.zeros(0), rng.uniform(0, 5, 3)
    margin, worst = promise.margins(draws.margins(*here))
    weight = tail_weights(margin, 90.5)
    cut = build_cut(draws, cascade.columns, 0, promise, weight, worst, here)
    for levels in [here[1], *rng.uniform(0, 5, (20, 3))]:
        margin, _ = promise.margins(draws.margins(np.zeros(0), levels))
        assert tail_weights(margin, 90.5) @ margin / 90.5 <= cut.level @ levels + cut.constant + 1e-9


def test_a_kept_run_is_verified_and_a_bent_row_is_found(tmp_path, monkeypatch, capsys):
    from kpiopt.runs.kept_cuts import CUTS_FILE, cuts_bytes, held_to

    monkeypatch.chdir(tmp_path)
    scenario(tmp_path, joint(0.7, 0.3).replace("[odds]", "[odds]\ndraws = 1024"))
    assert main(["solve", "promised.toml", "--json", "--draws", "1024"]) == 0
    document = json.loads(capsys.readouterr().out)
    (promise,) = document["promises"]
    assert promise["kept"] and promise["planned"] >= 0.7 and promise["odds"] == document["all_goals"]
    assert all(finding.passed for finding in kpiopt.verify(Path(document["folder"])))
    cascade = build_cascade(build_graph(kpiopt.load(Path(document["folder"]) / "scenario.toml")))
    held, wrong = held_to(cascade, Path(document["folder"]))
    assert wrong == []
    bent = replace(held.cuts.cuts[0], constant=held.cuts.cuts[0].constant + 1e-3)
    (tmp_path / CUTS_FILE).write_bytes(cuts_bytes(replace(held.cuts, cuts=(bent, *held.cuts.cuts[1:]))))
    assert len(held_to(cascade, tmp_path)[1]) == 1


def test_confidence_promises_all_goals(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    scenario(tmp_path, HEAD)
    assert main(["solve", "promised.toml", "--json", "--draws", "1024", "--confidence", "0.75"]) == 0
    (promise,) = json.loads(capsys.readouterr().out)["promises"]
    assert (promise["promise"], promise["p_min"], promise["kept"]) == ("all goals", 0.75, True)


def test_sweep_and_replanning_keep_promises(tmp_path):
    from kpiopt.studies.family import PlanFamily
    from kpiopt.studies.sweep.axes import Point
    from kpiopt.studies.sweep.point import PointSolver, SweepJob

    model = scenario(tmp_path, HEAD + "p_min = 0.8\n")
    whole = kpiopt.solve(model, simulate=False)
    job = SweepJob(tmp_path / "promised.toml", simulate=False)
    (goal,) = PointSolver(job).answer(Point(0, (("goal.sales.target", 230),))).goals
    assert goal.met and goal.plan == pytest.approx(whole.goals[0].plan + 10, abs=1e-3)
    replanner = PlanFamily(model)
    assert replanner.base.stretch == pytest.approx(whole.plan.stretch)
    other = kpiopt.load(tmp_path / "promised.toml", overrides=["goal.sales.p_min=0.9"])
    planned = replanner.plan(replanner.pose(other))
    (result,) = promise_results(planned.cascade, planned.stretch, planned.levels)
    assert result.is_kept and result.p_min == 0.9


def test_odds_without_the_step_goals_are_told(tmp_path):
    text = HEAD.replace('order = ["goals", "cost", "reference"]', 'order = ["cost", "reference"]')
    found = kpiopt.check(scenario_path(tmp_path, text + "p_min = 0.8\n[odds]\np_min = 0.5\n"))
    assert sum("change nothing" in problem.message for problem in found.warnings) == 2


def scenario_path(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "promised.toml"
    path.write_text(text)
    return path


def test_the_rows_of_a_promise_worked_out_by_hand(tmp_path):
    """One row for two worst draws and half a third one: mean execution and market of these, as the draws have them."""
    text = (
        joint(0.75, 0.0).replace("[odds]", "[odds]\ndraws = 32") + "[uncertainty]\nexecution = { uniform = [0, 1] }\n"
    )
    cascade = build_cascade(build_graph(scenario(tmp_path, text)))
    assert "goal[a]: " in str(cascade.program) and "0 <= together[all goals] <= 1" in str(cascade.program)
    draws, (promise,) = planning_draws(cascade.graph), cascade.promises
    stretch = np.array([12.0, 13.0])
    margin, counted = promise.margins(draws.margins(stretch, np.zeros(0)))
    values = draws.margins(stretch, np.zeros(0)) + 1
    market = draws.book.values
    execution = (values + 10 - market * [[1], [2]]) / stretch[:, None]
    order = np.argsort(margin)[:3]
    assert promise.scale == pytest.approx([11, 11])
    weight = tail_weights(margin, 2.5)
    assert weight[order].tolist() == [1, 1, 0.5] and weight.sum() == 2.5
    cut = build_cut(draws, cascade.columns, 0, promise, weight, counted, (stretch, np.zeros(0)))
    drawn = list(zip([1, 1, 0.5], order, strict=True))
    by_hand = [sum(w * execution[g, d] for w, d in drawn if counted[g, d]) for g in (0, 1)]
    assert cut.stretch == pytest.approx(np.array(by_hand) / 2.5 / 11)
    held = with_cuts(cascade, Cuts((cut,), np.array([0.25])))
    row = next(line for line in str(held.program).splitlines() if line.startswith("promise[all goals 1]: "))
    assert row.endswith("+ 1 together[all goals]") and float(row.split(": ")[1].split()[0]) == pytest.approx(
        0.25 - cut.constant
    )


def test_a_certain_goal_of_several_is_hit_for_certain(tmp_path):
    """b has nothing uncertain: all goals with odds of 0.8 need all of b, and z_0.8 more of a."""
    run = solved(tmp_path, joint(0.8, 0.0).replace("drivers.y = 2\n", ""))
    a, b = run.plan.stretch - 10
    assert b == pytest.approx(1, abs=1e-9) and a == pytest.approx(1 + NormalDist().inv_cdf(0.8), abs=0.01)
    assert run.promises[0].is_kept and run.promises[0].planned == pytest.approx(0.8, abs=0.002)


def test_the_step_odds_finds_the_best_split_of_what_there_is(tmp_path):
    """24 hours for two goals, one twice as uncertain: the split of largest joint odds, by search over all splits."""
    text = joint(0.5, 0.3).replace("[odds]\np_min = 0.5\n", "[odds]\ndraws = 4096\n")
    text = text.replace('["goals", "cost", "reference"]', '["odds", "reference"]')
    text = text.replace("[unit.company]", "[unit.company]\ncapacity.hours = 24")
    run = solved(tmp_path, text)
    exact = multivariate_normal([0, 0], [[1, 0.3], [0.3, 1]])
    most = max(exact.cdf([a - 11, (24 - a - 11) / 2]) for a in np.linspace(10, 14, 81))
    a, b = run.plan.stretch
    assert a + b == pytest.approx(24, abs=1e-6)
    assert exact.cdf([a - 11, (b - 11) / 2]) == pytest.approx(most, abs=0.004)
    (promise,) = run.promises
    assert promise.name == "odds" and promise.planned == pytest.approx(most, abs=0.01)
    assert [step.label for step in run.solution.steps] == ["odds", "reference"]


PORTFOLIO = """
schema = 1
name = "Three assets"
currency = "USD"
[kpi.lost]
name = "Loss"
unit = "USD"
roll_up = "sum"
direction = "down"
baseline = 10
[kpi.gain]
name = "Expected gain"
unit = "USD"
roll_up = "sum"
baseline = 0
[kpi.invested]
name = "Invested"
unit = "USD"
roll_up = "sum"
baseline = 0
[unit.company]
[goal.lost]
target = 5
[goal.gain]
target = {gain}
hard = true
[goal.invested]
target = 1
hard = true
[budget.cash]
limit = 1
[odds]
draws = {draws}
[decide]
order = ["cvar", "reference"]
cvar = 0.95
[correlation]
"""


@pytest.mark.parametrize(("left", "said"), [(0.0, None), (1e-7, "0.00001 %"), (1e-5, "0.001 %")])
def test_what_the_steps_after_cvar_may_have_given_up_is_said(tmp_path, left, said):
    text = PORTFOLIO.format(gain=0.0, draws=64) + "[initiative.i]\nmax = 1\nuses = { cash = 1 }\n"
    text += "effects = { gain = 1, invested = 1, lost = { normal = [0, 1] } }\n"
    run = solved(tmp_path, text)
    run = replace(run, cascade=replace(run.cascade, cuts=replace(run.cascade.cuts, left=left)))
    told = [sentence for sentence, _ in promise_sentences(run) if "cvar" in sentence]
    assert told == ([f'The steps after "cvar" may have given up {said} of its value; with less, they were not proved.']
                    if said else [])  # fmt: skip
    steps = run.as_dict()["steps"]
    assert [step.get("left") for step in steps] == [left or None, None]


@pytest.mark.parametrize(
    ("level", "loss", "reached"), [(0.95, 0.115908, 0.0902), pytest.param(0.90, 0.096975, 0.067847)]
)
def test_cvar_of_a_published_portfolio(tmp_path, level, loss, reached):
    """Rockafellar and Uryasev (2000), tables 3 and 4: mean loss of the worst draws, and the loss that they exceed."""
    mean = np.array([0.010111, 0.0043532, 0.0137058])
    cov = np.array(
        [
            [0.00324625, 0.00022983, 0.00420395],
            [0.00022983, 0.00049937, 0.00019247],
            [0.00420395, 0.00019247, 0.00764097],
        ]
    )
    names = ("stocks", "bonds", "small")
    sd = np.sqrt(np.diag(cov))
    text = PORTFOLIO.format(gain=0.011, draws=16384).replace("cvar = 0.95", f"cvar = {level}")
    for i, j in ((0, 1), (0, 2), (1, 2)):
        a, b = (f"initiative.{names[k]}.effects.lost" for k in (i, j))
        text += f'"{a} ~ {b}" = {cov[i, j] / sd[i] / sd[j]}\n'
    for name, m, s in zip(names, mean, sd, strict=True):
        text += f"[initiative.{name}]\nunits = ['company']\nmax = 1\nuses = {{ cash = 1 }}\n"
        text += f"effects.gain = {m}\neffects.invested = 1\neffects.lost = {{ normal = [{-m}, {s}] }}\n"
    run = solved(tmp_path, text)
    step = run.solution.steps[0]
    value = step.value * 5 - 5  # every draw lacks 10 - 5 and its loss, as a share of the way of 5
    assert step.label == "cvar" and value == pytest.approx(loss, rel=0.02)
    lost = -5.0 - planning_draws(run.graph).margins(run.plan.stretch, run.plan.levels)[0]
    assert np.quantile(lost, level) == pytest.approx(reached, rel=0.03)
    labels = [run.graph.node_name(node).split(".")[1] for node in run.graph.level_node]
    weights = dict(zip(labels, run.plan.levels, strict=True))
    assert [weights[f"{n}@company"] for n in names] == pytest.approx([0.452013, 0.115573, 0.432414], abs=0.06)


def test_stock_of_the_newsvendor(tmp_path):
    """Snyder and Shen: shortage costs 0.70, holding 0.18, demand 50 and 8: stock 56.604, the 0.70 / 0.88 quantile."""
    text = HEAD.replace("drivers.market = 10", "drivers.market = -1").replace("normal = [0, 1]", "normal = [50, 8]")
    text = text.replace("target = 220", f"target = 200\np_min = {0.7 / 0.88}")
    run = solved(tmp_path, text)
    assert run.plan.stretch.sum() == pytest.approx(56.604, abs=0.05)


def test_what_odds_cost(tmp_path, monkeypatch):
    """Cost rises with the odds as z_p does; the plan on averages hits every other time."""
    from kpiopt.report.promised.prices import risk_sentences
    from kpiopt.studies import risk

    monkeypatch.setattr(risk, "SHARES", (0.5, 0.7, 0.9))
    study = risk.study_risk(scenario(tmp_path, HEAD + "[odds]\ndraws = 2048\n"))
    assert [p.cost for p in study.prices] == pytest.approx(
        [20 + 10 * NormalDist().inv_cdf(p) for p in (0.5, 0.7, 0.9)], abs=0.1
    )
    assert all(price.kept for price in study.prices) and study.knee == 0.7
    assert study.average == pytest.approx(0.5, abs=0.002) and study.average_cost == pytest.approx(20)
    assert study.best > 0.999 and study.known == 1.0
    assert "planning on draws is worth" in " ".join(risk_sentences(study.as_dict()))


@pytest.mark.parametrize(("draws", "seed", "adds_margin"), [(512, 1, True), (128, 2, False)])
def test_a_plan_that_other_draws_deny_is_made_again(tmp_path, draws, seed, adds_margin):
    """Fitted to few draws, odds of 0.7 are too low elsewhere; margin or more draws bring them back, and are told."""
    from kpiopt.report.promised.sentences import promise_sentences

    text = joint(0.7, 0.3).replace("[odds]", f"[odds]\ndraws = {draws}\nseed = {seed}")
    run = kpiopt.solve(scenario(tmp_path, text))
    (promise,) = run.promises
    assert 1 <= promise.made_again <= 3 and promise.is_kept and (promise.added > 0) == adds_margin
    assert promise.planned > promise.p_min and not promise.is_doubtful
    assert promise.fresh.estimate == pytest.approx(0.7, abs=0.006)
    words = " ".join(line for line, _ in promise_sentences(run))
    assert "made once again" in words and "draws for checking" in words
    unseen = kpiopt.solve(kpiopt.load(tmp_path / "promised.toml", overrides=["simulation.seed=9"]), simulate=False)
    assert np.array_equal(unseen.plan.stretch, run.plan.stretch)  # the draws that judge had no part in it


def test_who_carries_what_is_kept_in_hand(tmp_path, monkeypatch):
    """Odds of 0.9 take z 10 more of the cheap cell; the plan for 80 % is told, as the scenario promises nothing."""
    from kpiopt.studies import risk

    monkeypatch.setattr(risk, "SHARES", (0.8, 0.9))
    model = scenario(tmp_path, HEAD + "[odds]\ndraws = 1024\n")
    study = risk.study_risk(model)
    assert study.judged == "the plan for odds of 80%"
    (margin,), (breaks,) = study.margins, study.breaks
    assert margin.margin == pytest.approx(10 * NormalDist().inv_cdf(0.8), abs=0.1)
    assert margin.average == pytest.approx(0.0, abs=0.05)
    assert margin.carried == (("north", pytest.approx(margin.margin - margin.average, abs=1e-6)),)
    assert breaks.share == 1.0 and "factor.market < " in breaks.when
    monkeypatch.setattr(risk, "SHARES", (0.8,))
    own = risk.study_risk(model, plan=(np.array([30.0, 5.0]), np.zeros(0)))
    assert own.judged == "the plan for odds of 80%"  # a plan that promises nothing keeps nothing in hand
    promised = kpiopt.load(tmp_path / "promised.toml", overrides=["goal.sales.p_min=0.7"])
    own = risk.study_risk(promised, plan=(np.array([30.0, 5.0]), np.zeros(0)))
    assert own.judged == "this plan" and own.margins[0].margin == pytest.approx(15.0, abs=0.05)
    assert dict(own.margins[0].carried) == {"north": pytest.approx(10.0), "south": pytest.approx(5.0)}


def test_what_odds_cost_is_kept_with_the_run_and_stands_in_its_report(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    scenario(tmp_path, HEAD + "p_min = 0.8\n[odds]\ndraws = 256\n")
    words = ["solve", "promised.toml", "--risk", "--json", "--draws", "256"]
    assert main(words) == 0
    document = json.loads(capsys.readouterr().out)
    folder = Path(document["folder"])
    assert document["risk"]["judged"] == "this plan" and len(document["risk"]["prices"]) == 5
    steps = document["risk"]["exact"]  # the promise alone decides what the plan costs, so nothing is given away
    assert steps[-1]["step"] == "cost" and steps[-1]["plan"] == pytest.approx(steps[-1]["exact"], rel=2e-4)
    assert json.loads((folder / "risk.json").read_text()) == document["risk"]
    page = (folder / "report.html").read_text()
    assert (
        "What odds cost" in page and "What the plan promises" in page and "the difference is carried by north" in page
    )
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["risk"] == document["risk"]  # read, not studied again
    assert all(finding.passed for finding in kpiopt.verify(folder))
    assert main([*words[:2], "--json", "--draws", "256"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert "risk" not in plain and plain["goals"] == document["goals"]
