"""What to decide now and later: by hand, and the farmer of Birge and Louveaux with the decisions of the book."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import linprog

import kpiopt
from kpiopt.cli import main
from kpiopt.deadline import Deadline
from kpiopt.errors import InputError, LimitReached
from kpiopt.graph import build_graph
from kpiopt.program.solver.answer import SolverOptions
from kpiopt.report.promised.prices import recourse_sentences
from kpiopt.simulation.planning.margins import planning_draws
from kpiopt.studies import recourse
from kpiopt.studies.recourse import study_recourse

HEAD = """
schema = 1
name = "Later"
currency = "USD"
periods = ["spring", "autumn"]
recourse = { from = "autumn", draws = 64 }
[unit.company]
[odds]
draws = 64
[simulation]
draws = 64
[decide]
order = ["goals", "cost", "reference"]
"""
KPI = '[kpi.{0}]\nname = "{0}"\nunit = "points"\nroll_up = "sum"\nkind = "flow"\nbaseline = {1}\n'


def written(folder: Path, text: str) -> Path:
    path = folder / "later.toml"
    path.write_text(text)
    return path


def either_or() -> str:
    """Half of the time a lacks 6, else b does; 6 of cash mend 6 of either, in autumn."""
    text = HEAD + KPI.format("a", 100) + "drivers.dry = -6\n" + KPI.format("b", 94) + "drivers.dry = 6\n"
    text += '[factor.dry]\nname = "Dry"\nvalue = { discrete = [[0, 0.5], [1, 0.5]] }\n[budget.cash]\nlimit = 6\n'
    for kpi in "ab":  # what begins in the second of two periods runs half of the time
        text += f"[goal.{kpi}]\ntarget = 100\nweight = 100\n"
        text += f'[initiative.mend_{kpi}]\nunits = ["company"]\nmax = 20\nuses = {{ cash = 1 }}\nstart = ["autumn"]\n'
        text += f"effects.{kpi} = 2\n"
    return text


def test_waiting_as_worked_out_by_hand(tmp_path):
    """Decided now, 6 of cash mend half of what lacks; decided later all of it. a is 100 from its goal of nothing,
    so its way counts as 100; b is 6 from it."""
    study = study_recourse(kpiopt.load(written(tmp_path, either_or())))
    assert study is not None and study.draws == 64
    # now: either (6 - x) / 100 in half of the draws or (6 - y) / 6 in the other half: all cash for b, weights alike
    assert study.fixed == pytest.approx(100 * 0.5 * 6 / 100, abs=1e-6)
    assert study.two_stages == pytest.approx(0.0, abs=1e-6) and study.known == pytest.approx(0.0, abs=1e-6)
    assert [(h.name, h.now, h.p95) for h in study.held_back] == [("budget.cash", 0.0, pytest.approx(6.0))]
    assert {later.decision.id: later.used for later in study.later} == {"mend_a": 0.5, "mend_b": 0.5}
    first = study.as_dict()["later"][0]
    assert (first["mean"], first["p5"], first["p95"]) == tuple(pytest.approx(v, abs=1e-5) for v in (3.0, 0.0, 6.0))
    assert {key: first[key] for key in first if key not in ("mean", "p5", "p95")} == {
        "name": "mend_a at company from autumn", "kind": "initiative", "id": "mend_a", "unit": "company",
        "period": "autumn", "measure": "", "used": 0.5,
    }  # fmt: skip
    words = " ".join(recourse_sentences(study.as_dict()))
    assert "Fix now: nothing." in words and "Decide later: mend_b at company from autumn, 3 on average" in words
    assert "Waiting is worth" in words and "Hold back of budget.cash" in words


CROPS = {"wheat": (2.5, 150, 200, 238, 170), "corn": (3.0, 230, 240, 210, 150), "beets": (20.0, 260, 0, None, 36)}
"""Tons of an acre, what planting costs, what is needed, what a ton costs to buy and brings."""
MOST = 300_000


def farm(folder: Path) -> kpiopt.Scenario:
    """Return the farm: planting in spring, buying and selling in autumn when the yields are known."""
    rows = [",".join(CROPS)] + [",".join(f"{s * c[0]:.12g}" for c in CROPS.values()) for s in (1.2, 1.0, 0.8)]
    (folder / "yields.csv").write_text("\n".join(rows) + "\n")
    text = HEAD + KPI.format("money", 0) + f"[goal.money]\ntarget = {MOST}\n[budget.land]\nlimit = 500\n"
    trades = [("sell_over", "beets", -1, 10, 20_000)]
    for crop, (_, cost, needed, buy, sell) in CROPS.items():
        text += KPI.format(crop, -needed) + f"[goal.{crop}]\ntarget = 0\nweight = {(needed or 1) * 1000 / MOST:.15g}\n"
        text += (
            f'[initiative.plant_{crop}]\nunits = ["company"]\nmax = 500\nuses = {{ land = 1 }}\nstart = ["spring"]\n'
        )
        text += f'effects.{crop} = {{ samples = "yields.csv#{crop}" }}\neffects.money = {-cost}\n'
        trades.append((f"sell_{crop}", crop, -1, sell, 6000))
        if buy:
            trades.append((f"buy_{crop}", crop, 1, -buy, 1000))
    for name, crop, tons, money, most in trades:
        text += f'[initiative.{name}]\nunits = ["company"]\nmax = {most}\nstart = ["autumn"]\n'
        text += f"effects.{crop} = {2 * tons}\neffects.money = {2 * money}\n"
    return kpiopt.load(written(folder, text))


def test_the_farmer_in_two_stages(tmp_path):
    """Published: 108,390 on draws, 107,240 on averages, 115,406 where yields are known; 170, 80 and 250 acres."""
    scenario = farm(tmp_path)
    study = study_recourse(scenario)
    assert study is not None
    acres = {decision.id.removeprefix("plant_"): amount for decision, amount in study.now}
    assert [acres[crop] for crop in CROPS] == pytest.approx([170, 80, 250], abs=1e-4)
    profit = {key: MOST * (1 - getattr(study, key)) for key in ("two_stages", "average", "known")}
    shares = [later.used for later in study.later if later.decision.id == "buy_corn"]
    assert profit["two_stages"] == pytest.approx(108_390, rel=0.03)  # 64 draws hit the three yields 21 or 22 times each
    exact = extensive(profit_shares(scenario))
    assert [profit[key] for key in ("two_stages", "known", "average")] == pytest.approx(exact, rel=1e-5)
    assert study.as_dict()["value_of_planning_on_draws"] > 0 and 0 < shares[0] < 1
    assert study.fixed > study.two_stages


def profit_shares(scenario: kpiopt.Scenario) -> list[float]:
    """Return how often each yield is drawn."""
    book = planning_draws(build_graph(scenario)).book
    wheat = next(i for i, q in enumerate(build_graph(scenario).quantities) if "plant_wheat" in q.name)
    drawn = book.values[book.quantity_row[wheat]]
    return [float(np.mean(np.isclose(drawn, 2.5 * s))) for s in (1.2, 1.0, 0.8)]


def extensive(share: list[float]) -> list[float]:
    """Return the profit in two stages, with yields known, and with the acres for average yields, by another solver."""
    factor = (1.2, 1.0, 0.8)

    def best(which: list[int], weight: list[float], acres: np.ndarray | None = None, factors=factor):
        n = 3 + 6 * len(which)  # acres; bought wheat, corn, sold wheat, corn, beets, beets over
        cost = np.zeros(n)
        cost[:3] = sum(weight) * np.array([150, 230, 260])
        rows, side = [np.r_[np.ones(3), np.zeros(n - 3)]], [500]
        for k, d in enumerate(which):
            at = 3 + 6 * k
            cost[at : at + 6] = weight[k] * np.array([238, 210, -170, -150, -36, -10])
            for crop, (tons, need, bought, sold) in enumerate(
                [(2.5, 200, 0, [2]), (3, 240, 1, [3]), (20, 0, None, [4, 5])]
            ):
                row = np.zeros(n)
                row[crop] = -tons * factors[d]
                if bought is not None:
                    row[at + bought] = -1
                row[[at + j for j in sold]] = 1
                rows, side = [*rows, row], [*side, -need]
        bounds = [(0, 500)] * 3 + [(0, None), (0, None), (0, None), (0, None), (0, 6000), (0, None)] * len(which)
        if acres is not None:
            bounds[:3] = [(a, a) for a in acres]
        return linprog(cost, A_ub=rows, b_ub=side, bounds=bounds)

    two = -best([0, 1, 2], share).fun
    known = -sum(share[d] * best([d], [1.0]).fun for d in range(3))
    mean = sum(s * f for s, f in zip(share, factor, strict=True))
    average = best([0], [1.0], factors=(mean,)).x[:3]
    return [two, known, -best([0, 1, 2], share, average).fun]


def test_recourse_stands_in_the_risk_study(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    written(tmp_path, either_or())
    assert main(["solve", "later.toml", "--risk", "--json"]) == 0
    recourse = json.loads(capsys.readouterr().out)["risk"]["recourse"]
    assert recourse["from"] == "autumn" and recourse["value_of_waiting"] == pytest.approx(3.0, abs=1e-6)
    assert recourse["held_back"][0]["name"] == "budget.cash"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('from = "autumn"', 'from = "spring"', "is the first one"),
        ('from = "autumn"', 'from = "winter"', "is none of them"),
        ('periods = ["spring", "autumn"]\n', "", "needs [periods]"),
    ],
)
def test_a_period_that_is_not_there_is_refused(tmp_path, old, new, words):
    with pytest.raises(InputError) as caught:
        kpiopt.load(written(tmp_path, HEAD.replace(old, new) + KPI.format("a", 1)))
    assert words in str(caught.value)


def test_what_cannot_be_looked_for_is_told(tmp_path):
    whole = either_or().replace("max = 20", "max = 20\nwhole = true")
    study = study_recourse(kpiopt.load(written(tmp_path, whole)))
    assert study is not None and "whole numbers" in " ".join(recourse_sentences(study.as_dict()))


STRETCH = """
[cell."company/{0}"]
baseline = 100
max_stretch = 10
effort.hours = 1
"""


def test_stretch_is_told_by_unit_and_period(tmp_path):
    """8 hours, half of them in autumn; a lacks 6 in half of the draws: what spring cannot save is done in autumn."""
    text = (
        HEAD
        + KPI.format("a", 100).replace("baseline = 100\n", "")
        + "drivers.dry = -6\n"
        + STRETCH.format("a")
        + "[goal.a]\ntarget = 100\n"
    )
    text += '[factor.dry]\nname = "Dry"\nvalue = { discrete = [[0, 0.5], [1, 0.5]] }\n'
    text = text.replace("[unit.company]", "[unit.company]\ncapacity.hours = 8")
    study = study_recourse(kpiopt.load(written(tmp_path, text)))
    assert study is not None
    ((now, spring),), (later,) = study.now, study.later
    assert (now.name, now.measure, later.decision.name) == (
        "a of company in spring",
        "points",
        "a of company in autumn",
    )
    assert spring == pytest.approx(2.0, abs=1e-5) and (later.used, later.p95) == (0.5, pytest.approx(4.0, abs=1e-5))
    words = " ".join(recourse_sentences(study.as_dict()))
    assert "Fix now: a of company in spring: 2 points." in words
    assert "Decide later: a of company in autumn, 2 points on average, 0 points to 4 points, used in 50" in words


def test_what_cuts_do_not_close_is_told_with_how_far_it_may_be_off(tmp_path, monkeypatch):
    scenario = kpiopt.load(written(tmp_path, either_or()))
    best = study_recourse(scenario)
    monkeypatch.setattr(recourse, "MOST_TRIES", 1)
    study = study_recourse(scenario)
    assert best is not None and study is not None and not study.reason
    assert (best.fixed_off, best.two_stages_off) == (0.0, 0.0) and study.fixed_off > 1e-3
    assert study.fixed - study.fixed_off <= best.fixed + 1e-9 <= study.fixed + 2e-9
    assert study.two_stages - study.two_stages_off <= best.two_stages + 1e-9
    words = " ".join(recourse_sentences(study.as_dict()))
    assert "ended before the best was proved" in words and "where all is decided now" in words
    assert "ended before" not in " ".join(recourse_sentences(best.as_dict()))


def test_the_time_limit_holds_while_draws_are_planned(tmp_path):
    """What is told is that the time is up, not that a draw had no plan."""
    scenario = kpiopt.load(written(tmp_path, either_or()))
    with pytest.raises(LimitReached, match="what waiting is worth"):
        study_recourse(scenario, SolverOptions(deadline=Deadline.after(0.0)))


def test_solve_tells_what_the_study_of_risk_is_at(tmp_path, monkeypatch):
    told = []

    def study(scenario, options, *, progress, **_):
        progress("odds of 50%")
        told.append(progress)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("kpiopt.studies.risk.study_risk", study)
    shown = []
    monkeypatch.setattr("kpiopt.cli.solve.showing_progress", lambda _: nullcontext(shown.append))
    written(tmp_path, either_or())
    main(["solve", "later.toml", "--risk", "--no-simulation"])
    assert told and "odds of 50%" in shown


def test_rules_that_the_study_would_leave_out_are_told(tmp_path):
    (tmp_path / "rules.py").write_text("def add_rules(model, scenario):\n    pass\n")
    study = study_recourse(kpiopt.load(written(tmp_path, either_or() + '[rules]\nfile = "rules.py"\n')))
    assert study is not None
    assert study.reason == "the scenario has rules of its own"
