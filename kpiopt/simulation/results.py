"""What a simulation has to say: odds, distributions and pay, each with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from kpiopt.deadline import NotDone
from kpiopt.errors import Problem
from kpiopt.graph import CausalGraph
from kpiopt.reading.named import Named
from kpiopt.scenario.scenario import Floats, Integers
from kpiopt.simulation.odds import (
    CERTAIN,
    Estimate,
    QuantileEstimate,
    estimate_conditional_odds,
    estimate_mean,
    estimate_quantiles,
    interval_ends,
    judge_odds,
    judge_together,
)
from kpiopt.simulation.rare import RareOdds
from kpiopt.simulation.streams import Layout
from kpiopt.simulation.tally import Counts, Kept, Watch

QUANTILES = (0.05, 0.5, 0.95)
WORST_SHARE = 0.05


@dataclass(frozen=True)
class Distribution:
    """How a value spreads over the draws, in its own unit.

    Attributes
    ----------
    quantiles : tuple of QuantileEstimate
        The 5 %, 50 % and 95 % points.
    """

    mean: Estimate
    sd: float
    quantiles: tuple[QuantileEstimate, ...]

    @property
    def p5(self) -> float:
        """The 5 % point."""
        return self.quantiles[0].value

    @property
    def p50(self) -> float:
        """The median."""
        return self.quantiles[1].value

    @property
    def p95(self) -> float:
        """The 95 % point."""
        return self.quantiles[2].value


@dataclass(frozen=True)
class GoalOdds:
    """The odds of one goal.

    Attributes
    ----------
    odds : Estimate
        P(hit).
    given_others : Estimate or None
        P(hit | all other goals hit); None with a single goal, or where the others were never hit together.
    shortfall : float or None
        Mean distance to the target over the kept draws that miss, in the KPI's unit; None where none does.
    worst_shortfall : float or None
        The same over the worst 5 % of these misses; None below 20 misses.
    rare : RareOdds or None
        Odds of the rarer outcome by importance sampling, where ordinary draws hardly ever show it.
    """

    goal: str
    node: int
    odds: Estimate
    given_others: Estimate | None
    shortfall: float | None
    worst_shortfall: float | None
    rare: RareOdds | None = None


@dataclass(frozen=True)
class PayOdds:
    """Variable pay, in the scenario's currency.

    Attributes
    ----------
    plan, all_hit : float
        What the plan budgets (target incentives plus pay rates times stretch), and pay when every target is hit
        exactly.
    over : mapping of str to Estimate
        P(pay in the budget's scope > its limit), by budget id; of a budget that holds in every period, P(in some
        period), and by "id/period" that of each.
    units : (n_paid,) int
        Units that earn variable pay; the arrays below are in their order.
    unit_plan, unit_all_hit, unit_mean : (n_paid,) float
    """

    total: Distribution
    plan: float
    all_hit: float
    over: dict[str, Estimate]
    units: Integers
    unit_plan: Floats
    unit_all_hit: Floats
    unit_mean: Floats


@dataclass(frozen=True)
class PeerSpread:
    """How equal the chances of peers are to attain their targets: the same KPI and the same `peers` values.

    Attributes
    ----------
    group : tuple of str
        Values of `[decide] peers`.
    cells : int
        Cells with a decision in the group.
    lowest, median, highest : float
        Probabilities of attainment.
    estimates : tuple of Estimate
        The same three with their intervals.
    """

    kpi: str
    group: tuple[str, ...]
    cells: int
    lowest: float
    median: float
    highest: float
    estimates: tuple[Estimate, Estimate, Estimate]


@dataclass(frozen=True)
class Simulation:
    """The odds of one plan.

    Attributes
    ----------
    graph : CausalGraph
    layout : Layout
        Method, replicates and draws actually used.
    seed : int
    goals : tuple of GoalOdds
        In the scenario's order.
    all_goals : Estimate or None
        P(all goals hit); None without goals.
    nodes : (n_watched,) int
        Nodes of goals and KPIs at the root.
    distributions : tuple of Distribution
        Of the values of `nodes`.
    node_odds : (n_nodes,) float
        Probability that each node attains its target; NaN where it has none.
    node_intervals : (2, n_nodes) float
        The ends of its interval; equal where nothing uncertain reaches the node.
    pay : PayOdds or None
        None where nobody earns variable pay.
    kept : Kept
        The draws that were kept one by one.
    notes : tuple of Problem
    asked : int
        Draws that were asked for, where the time was up before they were done; else 0.
    unrefined : int
        Goals, the last ones, whose rare outcomes there was no time for.
    """

    graph: CausalGraph
    layout: Layout
    seed: int
    goals: tuple[GoalOdds, ...]
    all_goals: Estimate | None
    nodes: Integers
    distributions: tuple[Distribution, ...]
    node_odds: Floats
    node_intervals: Floats
    pay: PayOdds | None
    kept: Kept = field(repr=False)
    notes: tuple[Problem, ...] = ()
    asked: int = 0
    unrefined: int = 0

    @property
    def not_done(self) -> tuple[NotDone, ...]:
        """What the time did not reach."""
        found = []
        if self.asked:
            text = f"the odds are from {self.draws:,} of {self.asked:,} draws: the time was up"
            found.append(NotDone("odds", text, self.draws, self.asked))
        if self.unrefined:
            goals = len(self.goals)
            text = f"rare outcomes of {self.unrefined:,} of {goals:,} goals were not looked for in the time"
            found.append(NotDone("rare odds", text, goals - self.unrefined, goals))
        return tuple(found)

    def goal_as_dict(self, position: int) -> dict[str, Any]:
        """Return what the draws say about a goal, in JSON form.

        `given_others` are the odds where all other goals are hit; `rare` those of the rarer outcome ("hit" or "miss")
        by importance sampling, where ordinary draws hardly ever show it.
        """
        goal = self.goals[position]
        rare = {"outcome": goal.rare.outcome, **goal.rare.odds.as_dict()} if goal.rare else None
        return {
            "odds": goal.odds.as_dict(),
            "given_others": goal.given_others.as_dict() if goal.given_others else None,
            "rare": rare,
        }

    @property
    def draws(self) -> int:
        """Number of draws."""
        return self.layout.draws

    @property
    def half_width(self) -> float:
        """Half the width of the widest interval of a goal or of all goals; 0 without goals."""
        estimates = [g.odds for g in self.goals] + ([self.all_goals] if self.all_goals else [])
        return max(((e.high - e.low) / 2 for e in estimates), default=0.0)

    @cached_property
    def cell_odds(self) -> Floats:
        """Probability that each cell attains its target over the horizon, (n_horizon_cells,) float."""
        odds: Floats = self.node_odds[self.graph.whole_node]
        return odds

    def goal(self, goal: str) -> GoalOdds:
        """Return the odds of a goal by its id.

        Raises
        ------
        KeyError
            With the ids that there are, where there is no such goal.
        """
        return Named("goal", ((found.goal, found) for found in self.goals))[goal]

    def distribution(self, node: int) -> Distribution | None:
        """Return the distribution of a node's value, None where it was not watched."""
        at = int(np.searchsorted(self.nodes, node))
        return self.distributions[at] if at < len(self.nodes) and self.nodes[at] == node else None

    @cached_property
    def reading_order(self) -> tuple[int, ...]:
        """Positions in `nodes` as they are read: along the map, and a KPI's horizon before its periods."""
        nodes, graph = self.nodes.tolist(), self.graph
        if graph.scenario.periods is None:
            return tuple(range(len(nodes)))
        kpi, unit = graph.kpi[self.nodes].tolist(), graph.unit[self.nodes].tolist()
        places = list(zip(kpi, unit, strict=True))
        keys = [(kpi.index(k), places.index((k, u)), graph.period[n]) for k, u, n in zip(kpi, unit, nodes, strict=True)]
        return tuple(sorted(range(len(nodes)), key=keys.__getitem__))

    @cached_property
    def peer_spreads(self) -> tuple[PeerSpread, ...]:
        """Equal-chance fairness: the spread of attainment odds across peers, by KPI and group."""
        intervals = self.node_intervals[:, self.graph.whole_node]
        return measure_peer_spreads(self.graph, np.vstack([self.cell_odds, intervals]))

    def as_dict(self) -> dict[str, Any]:
        """Return how the draws were made, in JSON form."""
        layout = self.layout
        return {
            "draws": layout.draws,
            "seed": self.seed,
            "method": layout.method,
            "replicates": layout.replicates,
        }


def summarise(
    graph: CausalGraph,
    watch: Watch,
    layout: Layout,
    seed: int,
    counts: Sequence[Counts],
    kept: Kept,
    notes: tuple[Problem, ...],
) -> Simulation:
    """Turn counts by replicate into estimates with intervals."""
    goal_hits = np.array([c.goals for c in counts])
    all_hits = np.array([c.all_goals for c in counts])
    others = np.array([c.others for c in counts])
    shifts = (graph.baseline + watch.centre)[watch.nodes].tolist()
    sums, squares = np.array([c.sums for c in counts]), np.array([c.squares for c in counts])
    odds = [
        judge_odds(goal_hits[:, i], layout.size, varies=bool(watch.varies[node]))
        for i, node in enumerate(watch.goals.nodes.tolist())
    ]
    node_odds = _node_odds(graph, watch, layout, counts)
    goals = [
        _goal_odds(graph, watch, kept, i, goal, odds[i], all_hits, others[:, i])
        for i, goal in enumerate(graph.scenario.goals)
    ]
    return Simulation(
        graph=graph,
        layout=layout,
        seed=seed,
        goals=tuple(goals),
        all_goals=judge_together(odds, all_hits, layout.size),
        nodes=watch.nodes,
        distributions=tuple(
            _distribution(sums[:, i], squares[:, i], layout.size, shifts[i], kept.values[i])
            for i in range(len(watch.nodes))
        ),
        node_odds=node_odds[0],
        node_intervals=node_odds[1:],
        pay=_pay_odds(graph, watch, layout, counts, kept) if len(watch.payout.units) else None,
        kept=kept,
        notes=notes,
    )


def _node_odds(graph: CausalGraph, watch: Watch, layout: Layout, counts: Sequence[Counts]) -> Floats:
    """Odds of each node's own target, with intervals by the same rule as those of goals."""
    nodes, hits = watch.people.nodes, np.array([c.people for c in counts])
    odds = np.full((3, graph.n_nodes), np.nan)
    odds[0, nodes] = hits.sum(axis=0) / layout.draws
    odds[1:, nodes] = np.where(watch.varies[nodes], interval_ends(hits, layout.size), odds[0, nodes])
    return odds


def _goal_odds(
    graph: CausalGraph,
    watch: Watch,
    kept: Kept,
    i: int,
    goal: str,
    odds: Estimate,
    all_hits: Integers,
    others: Integers,
) -> GoalOdds:
    node = int(watch.goals.nodes[i])
    given = estimate_conditional_odds(all_hits, others) if len(watch.goals.nodes) > 1 else None
    values = kept.values[np.searchsorted(kept.nodes, node)]
    target = graph.scenario.goals[goal].target
    shortfall = np.sort(np.maximum(graph.sign[node] * (target - values[~kept.hits[i]]), 0.0))
    n_worst = int(len(shortfall) * WORST_SHARE)
    return GoalOdds(
        goal=goal,
        node=node,
        odds=odds,
        given_others=given,
        shortfall=float(shortfall.mean()) if len(shortfall) else None,
        worst_shortfall=float(shortfall[-n_worst:].mean()) if n_worst else None,
    )


def _distribution(sums: Floats, squares: Floats, size: int, shift: float, kept: Floats) -> Distribution:
    mean, sd = estimate_mean(sums, squares, size)
    shifted = Estimate(mean.estimate + shift, mean.low + shift, mean.high + shift, mean.method)
    return Distribution(shifted, sd, estimate_quantiles(kept, QUANTILES))


def _pay_odds(graph: CausalGraph, watch: Watch, layout: Layout, counts: Sequence[Counts], kept: Kept) -> PayOdds:
    payout = watch.payout
    total = np.array([c.total_pay for c in counts]), np.array([c.total_pay_squares for c in counts])
    over = np.array([c.over for c in counts])
    mean = np.sum([c.pay for c in counts], axis=0) / layout.draws
    return PayOdds(
        total=_distribution(*total, layout.size, float(payout.plan.sum()), kept.pay),
        plan=float(payout.plan.sum()),
        all_hit=float(payout.all_hit.sum()),
        over={
            held.name: judge_odds(over[:, i], layout.size, varies=bool(watch.pay_varies[held.scope].any()))
            for i, held in enumerate(watch.pay_limits)
        },
        units=payout.units,
        unit_plan=payout.plan,
        unit_all_hit=payout.all_hit,
        unit_mean=payout.plan + mean,
    )


def measure_peer_spreads(graph: CausalGraph, cell_odds: Floats) -> tuple[PeerSpread, ...]:
    """Return the spread of attainment odds over groups of peers with at least two cells with a decision.

    Parameters
    ----------
    cell_odds : (3, n_horizon_cells) float
        Odds of each cell and the ends of their intervals.
    """
    scenario, whole = graph.scenario, graph.scenario.horizon
    groups: dict[tuple[str, ...], list[int]] = {}
    decided = np.flatnonzero(whole.has_decision & np.isfinite(cell_odds[0]))
    labels = [peer_labels(graph, name) for name in scenario.decide.peers]
    for cell in decided.tolist():
        unit = int(whole.unit[cell])
        key = (scenario.kpi_ids[whole.kpi[cell]], *(label[unit] for label in labels))
        groups.setdefault(key, []).append(cell)
    return tuple(
        _peer_spread(key, cell_odds[:, members]) for key, members in sorted(groups.items()) if len(members) > 1
    )


def _peer_spread(key: tuple[str, ...], odds: Floats) -> PeerSpread:
    """The worst and the best of some odds (3, n) and the median of each of their three figures."""
    three = odds[:, odds[0].argmin()], np.median(odds, axis=1), odds[:, odds[0].argmax()]
    low, middle, high = (Estimate(float(x), float(a), float(b), CERTAIN if a == b else "exact") for x, a, b in three)
    return PeerSpread(key[0], key[1:], odds.shape[1], low.estimate, middle.estimate, high.estimate, (low, middle, high))


def peer_labels(graph: CausalGraph, name: str) -> Sequence[str]:
    """Return the value of one `peers` attribute for every unit."""
    units = graph.scenario.units
    if name == "parent":
        return ["" if p < 0 else units.ids[p] for p in units.parent.tolist()]
    return {"level": units.levels, "role": units.roles, "pay_plan": units.pay_plans, "unit": units.ids}[name]
