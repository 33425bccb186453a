"""A run: everything one solve produced, from the scenario's graph to the odds of its goals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kpiopt.deadline import NotDone
from kpiopt.errors import Problem, problem_as_dict
from kpiopt.graph import CausalGraph
from kpiopt.plan import Plan
from kpiopt.program.formulation.cascade import Cascade
from kpiopt.program.order.next_steps import NextStep
from kpiopt.program.order.prices import LimitResult
from kpiopt.program.order.steps import Solution, StepResult
from kpiopt.program.trust.certificate import Certificate
from kpiopt.run.answer import finite, locks_as_dict, odds_over, pay_as_dict
from kpiopt.run.asks import CushionResult, FairnessResult, Gap
from kpiopt.run.chosen import chosen_as_dict
from kpiopt.run.frames import ODDS_COLUMNS, Shown, frame_of
from kpiopt.run.initiatives import initiatives_as_dict
from kpiopt.run.promised import PromiseResult
from kpiopt.run.robust import VariantResult
from kpiopt.scenario.scenario import Goal, Scenario
from kpiopt.simulation.certainty import certain_inputs
from kpiopt.simulation.results import Simulation

if TYPE_CHECKING:
    import polars as pl

    from kpiopt.run.odds_repair import MissedOdds


@dataclass(frozen=True)
class GoalResult:
    """A goal in the plan, in the KPI's own unit.

    Attributes
    ----------
    asked : float
        Unrounded target of the goal's node: what is asked so that `plan` can be expected.
    shortfall : float
        By how much the plan falls short; above 0 as well where it is met but for a part of the KPI's step.
    met : bool
        Whether the plan value reaches the target, both rounded as in draws.
    """

    goal: Goal
    unit: str
    baseline: float
    target: float
    plan: float
    asked: float
    shortfall: float
    met: bool


@dataclass(frozen=True)
class Spending:
    """What the plan costs.

    Attributes
    ----------
    pay : float
        Target incentives, pay for stretch and what initiatives use of pay at plan, of the whole organization.
    pay_limit : float or None
        Limit of the organization's pay budget.
    initiatives : float
        What initiatives take from budgets of money other than pay.
    """

    pay: float
    pay_limit: float | None
    initiatives: float


@dataclass(frozen=True, slots=True)
class BrokenLimit:
    """A limit that a plan does not keep.

    Attributes
    ----------
    name : str
        "capacity.<resource>@<unit>", "budget.<id>", "max_stretch@<unit>/<kpi>", "lock@<unit>/<kpi>" and others that
        docs/comparing.md lists.
    limit, used : float
        In the unit of the resource or the KPI; for what compares peers or periods, as a share.
    """

    name: str
    limit: float
    used: float


@dataclass(frozen=True)
class JudgedPlan:
    """A plan that no program made, judged like one; nothing about it is certified.

    Attributes
    ----------
    label : str
        What it is called, such as the rule that made it.
    limits : tuple of LimitResult
        Use of every capacity and budget, without prices.
    worst_stretch, fairness : float, float or None
        Largest stretch relative to max(|baseline|, step), of cells that nobody locked; value of the step "fairness",
        None without peers.
    notes : tuple of Problem
        What the rule leaves.
    """

    label: str
    plan: Plan
    goals: tuple[GoalResult, ...]
    limits: tuple[LimitResult, ...]
    spending: Spending
    simulation: Simulation | None
    broken: tuple[BrokenLimit, ...]
    worst_stretch: float
    fairness: float | None
    notes: tuple[Problem, ...]

    @property
    def graph(self) -> CausalGraph:
        """The graph of the plan."""
        return self.plan.graph

    @property
    def scenario(self) -> Scenario:
        """The scenario behind the plan."""
        return self.plan.graph.scenario

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON document "kpiopt.rule/1"."""
        columns = ("unit", "kpi", "period", "baseline", "plan", "target", "stretch", "odds", "odds_low", "odds_high")
        return {
            "schema": "kpiopt.rule/1",
            "scenario": self.scenario.name,
            "variant": self.scenario.variant,
            "rule": self.label,
            "certified": False,
            **judged_as_dict(self),
            "targets": self.plan.targets.select(columns).to_dicts(),
            "notes": [problem_as_dict(note) for note in (*self.notes, *self.plan.notes)],
            "simulation": self.simulation.as_dict() if self.simulation else None,
        }


def judged_as_dict(judged: JudgedPlan) -> dict[str, Any]:
    """Return how a judged plan did: the entry of `rules` in "kpiopt.solve/1"."""
    everything = judged.simulation.all_goals if judged.simulation else None
    return {
        "goals": [_goal_as_dict(judged, i) for i in range(len(judged.goals))],
        "goals_met": sum(goal.met for goal in judged.goals),
        "all_goals": everything.as_dict() if everything else None,
        "pay": pay_as_dict(judged.scenario, judged.spending.pay, judged.spending.pay_limit, judged.simulation),
        "fairness": judged.fairness,
        "worst_stretch": judged.worst_stretch,
        "broken_limits": [broken_as_dict(limit) for limit in judged.broken],
    }


def broken_as_dict(limit: BrokenLimit) -> dict[str, Any]:
    """Return a limit that is not kept in JSON form."""
    return {"name": limit.name, "limit": limit.limit, "used": limit.used}


@dataclass(frozen=True)
class Run(Shown, table="targets"):
    """A certified plan with its odds.

    Attributes
    ----------
    scenario, graph : Scenario, CausalGraph
        What was asked, and its causes and effects.
    cascade, solution : Cascade, Solution
        The program and what solved it, each step with its certificate.
    plan : Plan
        Stretch, plan value and target of every cell, and the levels of initiatives.
    targets, odds : polars.DataFrame
        The same as tables: columns of targets.csv and odds.csv.
    goals, limits : tuple of GoalResult, tuple of LimitResult
        What the plan means for each goal; what each limit holds back, with its shadow price.
    spending : Spending
        Pay at plan, and money for initiatives.
    simulation : Simulation or None
        Odds of goals and of targets; None without `simulate`.
    certificate : Certificate
        The weakest of all steps.
    rules : tuple of JudgedPlan
        The plans that a spreadsheet would give, judged from the same draws.
    seconds : dict of str to float
        Wall time of each phase.
    promises, missed_odds : tuple of PromiseResult, MissedOdds or None
        What became of promised odds; where some are missed the best there are, and what would buy the rest.
    not_done : tuple of NotDone
        Parts that the time did not reach: prices, odds. The plan stands without them.
    cushions : tuple of CushionResult
        What levels are asked on top of the plan, from the top down.
    gaps : tuple of Gap
        What goals would ask of units, what these offer, and the plan.
    fairness : FairnessResult or None
        How alike peers are treated.
    variants : tuple of VariantResult
        Of a robust plan: what it comes to in each of its variants.
    """

    scenario: Scenario
    graph: CausalGraph
    cascade: Cascade
    solution: Solution
    plan: Plan
    goals: tuple[GoalResult, ...]
    limits: tuple[LimitResult, ...]
    spending: Spending
    simulation: Simulation | None
    seconds: dict[str, float]
    not_done: tuple[NotDone, ...] = ()
    rules: tuple[JudgedPlan, ...] = ()
    promises: tuple[PromiseResult, ...] = ()
    cushions: tuple[CushionResult, ...] = ()
    missed_odds: MissedOdds | None = None
    gaps: tuple[Gap, ...] = ()
    fairness: FairnessResult | None = None
    variants: tuple[VariantResult, ...] = ()

    @property
    def targets(self) -> pl.DataFrame:
        """The targets table, see `Plan.targets`."""
        return self.plan.targets

    @property
    def odds(self) -> pl.DataFrame:
        """Distribution of every watched KPI, with the odds where it has a goal; the columns of odds.csv."""
        return odds_frame(self)

    @property
    def certificate(self) -> Certificate:
        """The weakest certificate of all steps."""
        return max(
            (step.certificate for step in self.solution.steps), key=lambda c: max(c.primal_residual, c.relative_gap)
        )

    def beside_as_dict(self) -> dict[str, Any]:
        """Return the entries of the JSON document about what stands on top of the plan and beside it."""
        return {
            "missed_odds": self.missed_odds.as_dict() if self.missed_odds else None,
            "over_assignment": [cushion.as_dict() for cushion in self.cushions],
            "gap": [gap.as_dict() for gap in self.gaps],
            "fairness": self.fairness.as_dict() if self.fairness else None,
            **({"assign": chosen_as_dict(self.plan)} if self.scenario.chosen is not None else {}),
            **({"robust": [result.as_dict() for result in self.variants]} if self.variants else {}),
        }

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON document "kpiopt.solve/1" without the run folder's name."""
        return run_as_dict(self)

    def __repr__(self) -> str:
        short = sum(not goal.met for goal in self.goals)
        fall = f"{short} {'falls' if short == 1 else 'fall'} short"
        goals = f"{len(self.goals)} goals, {fall if short else 'all met'}"
        odds = self.simulation.all_goals.text if self.simulation and self.simulation.all_goals else "not simulated"
        return f"Run({self.scenario.name!r}: {goals}, odds of all goals {odds})"


SCHEMA = "kpiopt.solve/1"


def run_as_dict(run: Run) -> dict[str, Any]:
    """Return a run as the JSON document "kpiopt.solve/1"; the run folder adds its name and the manifest."""
    simulation = run.simulation
    everything = simulation.all_goals if simulation else None
    return {
        "schema": SCHEMA,
        "status": "optimal",
        "steps": [_step_as_dict(step, run.cascade.cuts.left) for step in run.solution.steps],
        "goals": [_goal_as_dict(run, i) for i in range(len(run.goals))],
        "all_goals": everything.as_dict() if everything else None,
        "promises": [promise.as_dict() for promise in run.promises],
        **run.beside_as_dict(),
        "limits": [{**limit_as_dict(limit), **odds_over(run.simulation, limit.name)} for limit in run.limits],
        "pay": pay_as_dict(run.scenario, run.spending.pay, run.spending.pay_limit, run.simulation),
        "initiatives": initiatives_as_dict(run.plan),
        "rules": {judged.label: judged_as_dict(judged) for judged in run.rules},
        "locks": locks_as_dict(run.plan),
        "unassigned": unassigned_of(run),
        "certificate": {**run.certificate.as_dict(), "passed": all(s.certificate.passed for s in run.solution.steps)},
        "free_targets": int(np.count_nonzero(run.cascade.columns.stretch.of(run.solution.free.astype(float)))),
        "rounding": [problem_as_dict(note) for note in run.plan.notes],
        "certain_inputs": list(certain_inputs(run.scenario)) if simulation else None,
        "simulation": simulation.as_dict() if simulation else None,
        "not_done": [part.as_dict() for part in run.not_done],
    }


def _step_as_dict(step: StepResult, left: float) -> dict[str, Any]:
    """Return a step; of "cvar" with the share of its value that is left to later steps, where that was needed."""
    given_up = {"left": left} if step.name == "cvar" and left else {}
    return {
        "step": step.name, **({} if step.priority is None else {"priority": step.priority}), "value": step.reached,
        **given_up, "unit": step.unit, "attempt": step.attempt, "certificate": step.certificate.as_dict(),
    }  # fmt: skip


def _goal_as_dict(run: Run | JudgedPlan, position: int) -> dict[str, Any]:
    result = run.goals[position]
    drawn = run.simulation.goal_as_dict(position) if run.simulation else {"odds": None}
    return {
        "goal": result.goal.id,
        "kpi": result.goal.kpi,
        "unit": result.unit,
        "period": run.scenario.period_name(result.goal.period),
        "baseline": result.baseline,
        "target": result.target,
        "plan": result.plan,
        "asked": result.asked,
        "shortfall": result.shortfall,
        "met": result.met,
        "priority": result.goal.priority,
        "hard": result.goal.hard,
        "p_min": result.goal.p_min,
        **drawn,
    }


def limit_as_dict(limit: LimitResult) -> dict[str, Any]:
    """Return a limit as the answer has it."""
    return {
        "name": limit.name,
        "limit": limit.limit,
        "used": limit.used,
        "binding": limit.binding,
        "step": limit.step,
        "shadow_price": limit.shadow_price,
        "from": finite(limit.lower),
        "to": finite(limit.upper),
        "shadow_price_less": finite(limit.price_less),
        "step_less": limit.step_less,
        "from_less": finite(limit.lower_less),
        "shadow_price_more": finite(limit.price_more),
        "step_more": limit.step_more,
        "no_plan_with_less": limit.price_less == float("inf"),
        "next_less": _next_as_dict(limit.next_less),
        "next_more": _next_as_dict(limit.next_more),
        "unit": limit.unit or None,
    }


def _next_as_dict(step: NextStep | None) -> dict[str, Any] | None:
    if step is None:
        return None
    return asdict(step)


def unassigned_of(run: Run) -> list[dict[str, Any]]:
    """Return what works at a unit above cells of a KPI and is nobody's there, in the KPI's unit."""
    graph, amounts = run.graph, run.plan.unassigned
    nodes = run.plan.nodes[np.nan_to_num(amounts[run.plan.nodes]) != 0.0]
    return [
        {
            "unit": run.scenario.units.ids[graph.unit[node]],
            "kpi": run.scenario.kpi_ids[graph.kpi[node]],
            **({} if run.scenario.periods is None else {"period": run.scenario.period_name(int(graph.period[node]))}),
            "amount": float(amounts[node]),
        }
        for node in nodes.tolist()
    ]


def odds_frame(run: Run) -> pl.DataFrame:
    """Return odds.csv: the distribution of every watched KPI, with the odds where it has a goal."""
    return frame_of(list(_odds_rows(run)), ODDS_COLUMNS)


def _odds_rows(run: Run) -> Iterator[dict[str, Any]]:
    simulation = run.simulation
    if simulation is None:
        return
    watched = ((int(simulation.nodes[i]), simulation.distributions[i]) for i in simulation.reading_order)
    for node, distribution in watched:
        plain = {
            "kpi": run.scenario.kpi_ids[run.graph.kpi[node]], "unit": run.scenario.units.ids[run.graph.unit[node]],
            "period": run.scenario.period_name(int(run.graph.period[node])),
            "mean": distribution.mean.estimate, "sd": distribution.sd,
            "p5": distribution.p5, "p50": distribution.p50, "p95": distribution.p95,
        }  # fmt: skip
        hits = [(g, o.odds) for g, o in zip(run.goals, simulation.goals, strict=True) if o.node == node]
        yield from ({**plain, "goal": g.target, **o.as_dict()} for g, o in hits)
        if not hits:
            yield plain
