"""Pay: hand-computed cases, closed forms, budgets and scopes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from kpiopt.errors import ModelError
from kpiopt.graph import CausalGraph, build_graph
from kpiopt.scenario.quantity import Quantity
from kpiopt.scenario.scenario import Budget, PayPlan, Scenario, SimulationSettings, Uncertainty
from kpiopt.simulation.payout import build_payout, payout_share
from kpiopt.simulation.results import PayOdds
from kpiopt.simulation.simulate import simulate
from tests.builders import Cell, build_kpi, build_scenario, build_units

SETTINGS = SimulationSettings(16384, 5)
CURVE = PayPlan("rep", (0.0, 0.7, 1.0, 1.3), (0.0, 0.0, 1.0, 1.9), None)


def staff(
    cells: list[Cell],
    *,
    execution: Quantity | None = None,
    budgets: tuple[Budget, ...] = (),
    plans: dict[str, PayPlan] | None = None,
    signs: dict[str, int] | None = None,
) -> Scenario:
    """A company with two people whose target incentive is 1,000 and 2,000."""
    units = build_units({"co": None, "ann": "co", "bob": "co"}, incentives={"ann": 1000.0, "bob": 2000.0})
    units = replace(units, pay_plans=("", *(["rep"] * 2 if plans else [""] * 2)))
    kpis = [build_kpi(k, sign=(signs or {}).get(k, 1)) for k in sorted({c.kpi for c in cells})]
    scenario = build_scenario(units, kpis, cells, budgets=budgets)
    return replace(
        scenario,
        pay_plans=plans or {},
        uncertainty=Uncertainty((execution or Quantity.number(1.0),)),
    )


def pay_of(
    scenario: Scenario, stretch: list[float], targets: dict[str, float] | None = None
) -> tuple[CausalGraph, PayOdds]:
    graph = build_graph(scenario)
    asked = graph.baseline + graph.asked_change(np.array(stretch), np.zeros(0))
    for name, target in (targets or {}).items():
        unit, kpi = name.split("/")
        asked[graph.find_node(kpi, unit)] = target
    pay = simulate(graph, np.array(stretch), np.zeros(0), asked, SETTINGS).pay
    assert pay is not None
    return graph, pay


def test_payout_curve_is_linear_between_points_flat_outside_and_capped() -> None:
    attainment = np.array([-1, 0.7, 0.85, 1.0, 1.15, 1.3, 9])
    assert payout_share(CURVE, attainment) == pytest.approx([0, 0, 0.5, 1, 1.45, 1.9, 1.9])
    assert payout_share(replace(CURVE, cap=1.2), attainment).max() == 1.2
    assert payout_share(None, attainment).tolist() == attainment.tolist()


def test_pay_by_hand() -> None:
    """Ann: 0.6 x sales 120 of 150, 0.4 x complaints 12 against 10 (lower is better), 3 per unit of stretch."""
    scenario = staff(
        [
            Cell("ann", "sales", 100.0, 50.0, weight=0.6, pay_rate=3.0),
            Cell("ann", "complaints", 12.0, 5.0, weight=0.4),
            Cell("bob", "sales", 100.0, 50.0, weight=1.0),
        ],
        signs={"complaints": -1},
    )
    # Cells in order: ann complaints, ann sales, bob sales.
    graph, pay = pay_of(scenario, [0.0, 20.0, 0.0], {"ann/sales": 150.0, "ann/complaints": 10.0, "bob/sales": 80.0})
    ann = 1000 * (0.6 * 120 / 150 + 0.4 * (2 - 12 / 10)) + 3 * 20
    bob = 2000 * 100 / 80
    assert pay.unit_mean == pytest.approx([ann, bob])
    assert pay.total.mean.estimate == pytest.approx(ann + bob)
    assert pay.plan == 3000 + 60
    assert pay.all_hit == pytest.approx(3000 + 60)
    assert [graph.scenario.units.ids[u] for u in pay.units] == ["ann", "bob"]


def test_curves_and_all_hit() -> None:
    scenario = staff(
        [Cell("ann", "sales", 100.0, 50.0, weight=1.0), Cell("bob", "sales", 100.0, 50.0, weight=1.0)],
        plans={"rep": PayPlan("rep", (0.5, 1.0, 1.5), (0.0, 0.8, 2.0), 1.5)},
    )
    _, pay = pay_of(scenario, [0.0, 0.0], {"ann/sales": 125.0, "bob/sales": 50.0})
    assert pay.unit_mean == pytest.approx([1000 * 0.8 * (0.8 - 0.5) / 0.5, 2000 * 1.5])
    assert pay.all_hit == pytest.approx(0.8 * 3000)


def test_commission_never_falls_below_zero() -> None:
    """Realised stretch 10 xi with xi ~ N(0.5, 1), paid at 2 per unit where positive: closed form of E max(0, .)."""
    scenario = staff([Cell("ann", "sales", 100.0, 50.0, pay_rate=2.0)], execution=Quantity("normal", (0.5, 1.0)))
    scenario = replace(scenario, units=replace(scenario.units, target_incentive=np.full(3, np.nan)))
    _, pay = pay_of(scenario, [10.0])
    expected = 20 * (0.5 * stats.norm.cdf(0.5) + stats.norm.pdf(0.5))
    assert pay.total.mean.estimate == pytest.approx(expected, rel=0.01)
    assert pay.total.p5 == 0
    assert pay.plan == 20


def test_distribution_of_pay_and_budgets_by_scope() -> None:
    """Pay of each is linear in execution: normal with known mean and spread; budgets at chosen quantiles."""
    limits = {"all": 3400.0, "bob": 2170.0}
    scenario = staff(
        [Cell("ann", "sales", 100.0, 50.0, weight=1.0), Cell("bob", "sales", 100.0, 50.0, weight=1.0)],
        execution=Quantity("normal", (1.0, 0.5)),
        budgets=(
            Budget("all", "pay", limits["all"], 0),
            Budget("bob", "pay", limits["bob"], 2),
            Budget("cash", "cash", 1.0, 0),
        ),
    )
    _, pay = pay_of(scenario, [20.0, 40.0], {"ann/sales": 110.0, "bob/sales": 130.0})
    ann = stats.norm(1000 * 120 / 110, 1000 * 10 / 110)
    bob = stats.norm(2000 * 140 / 130, 2000 * 20 / 130)
    total = stats.norm(ann.mean() + bob.mean(), np.hypot(ann.std(), bob.std()))
    assert list(pay.over) == ["all", "bob"]
    assert pay.over["all"].estimate == pytest.approx(total.sf(3400.0), abs=0.016)
    assert pay.over["bob"].estimate == pytest.approx(bob.sf(2170.0), abs=0.016)
    assert pay.unit_mean == pytest.approx([ann.mean(), bob.mean()], rel=1e-3)
    assert [pay.total.p5, pay.total.p50, pay.total.p95] == pytest.approx(
        total.ppf([0.05, 0.5, 0.95]).tolist(), rel=0.01
    )


def test_pay_follows_causes_from_elsewhere_but_commission_does_not() -> None:
    """What a unit attains counts all causes; the pay rate counts its own realised stretch."""
    scenario = staff([Cell("ann", "sales", 100.0, 50.0, weight=1.0, pay_rate=1.0)])
    graph, pay = pay_of(scenario, [10.0], {"ann/sales": 100.0})
    assert pay.unit_mean == pytest.approx([1000 * 1.1 + 10, 0.0])
    assert graph.n_nodes == 2


@pytest.mark.parametrize("target", [0.0, -5.0])
def test_a_target_that_is_not_above_zero_cannot_decide_about_pay(target: float) -> None:
    scenario = staff([Cell("ann", "sales", 100.0, 50.0, weight=1.0)])
    with pytest.raises(ModelError, match=f"the target of ann/sales is {target:g}"):
        pay_of(scenario, [0.0], {"ann/sales": target})


def test_nobody_paid_means_no_pay() -> None:
    scenario = staff([Cell("ann", "sales", 100.0, 50.0)])
    scenario = replace(scenario, units=replace(scenario.units, target_incentive=np.full(3, np.nan)))
    graph = build_graph(scenario)
    assert simulate(graph, np.array([1.0]), np.zeros(0), settings=SETTINGS).pay is None


def test_pay_varies_with_what_is_uncertain_however_little_it_pays() -> None:
    scenario = staff([Cell("ann", "sales", 100.0, 50.0, pay_rate=0.5), Cell("bob", "sales", 100.0, 50.0)])
    scenario = replace(scenario, units=replace(scenario.units, target_incentive=np.full(3, np.nan)))
    graph = build_graph(scenario)
    payout = build_payout(graph, np.array([10.0, 0.0]), np.zeros(0), graph.baseline)
    nodes, cells = np.zeros(graph.n_nodes, dtype=bool), np.ones(2, dtype=bool)
    assert payout.varies(nodes, cells).tolist() == [True]
    assert payout.varies(nodes, ~cells).tolist() == [False]
