"""The odds of a plan: draws through the graph, counted as they go by."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from kpiopt.deadline import NEVER, Deadline
from kpiopt.errors import LimitReached, Problem, UsageError
from kpiopt.graph import CausalGraph, NodeKind
from kpiopt.scenario.scenario import Floats, Integers, SimulationSettings
from kpiopt.simulation.certainty import drawn_cells, varying_nodes
from kpiopt.simulation.hits import build_hit_rule, goal_rule
from kpiopt.simulation.payout import Payout, build_payout, pay_limits, rules_by_period
from kpiopt.simulation.propagate import Propagation
from kpiopt.simulation.rare import estimate_rare_odds
from kpiopt.simulation.results import GoalOdds, Simulation, summarise
from kpiopt.simulation.streams import Layout, Streams, lay_out
from kpiopt.simulation.tally import Counts, Kept, Watch, count_block, make_room, no_counts

MAX_DRAWS = 1 << 30
ODDS_RULE = "odds are told with their interval, which takes at least two whole nets of draws"
MAX_SEED = (1 << 64) - 1
FIRST_DRAWS = 1 << 12
HARDLY_EVER = 25
"""A goal's outcome with fewer draws than this is estimated by importance sampling as well."""

PRECISE_ENOUGH = 1 << 24
"""With `precision`, estimates stop here at the latest."""


Spread = Callable[["SpanCounter", "list[Span]"], "Iterator[SpanTally | None]"]
"""Computes the tally of each span wherever it likes, and yields them in the order of the spans."""


def simulate(
    graph: CausalGraph,
    stretch: Floats,
    levels: Floats,
    targets: Floats | None = None,
    settings: SimulationSettings | None = None,
    *,
    spread: Spread | None = None,
    fixed: Mapping[int, float] | None = None,
    shift: Floats | None = None,
    watch_nodes: Integers | None = None,
    rare: bool = True,
    deadline: Deadline = NEVER,
) -> Simulation:
    """Estimate the odds of a plan.

    Parameters
    ----------
    stretch : (n_cells,) float
        Planned stretch, each in its KPI's unit; 0 where a cell has none.
    levels : (n_levels,) float
        Levels of initiatives.
    targets : (n_nodes,) float, optional
        Target of each node, as rounded and published; the unrounded asked values by default.
    settings : SimulationSettings, optional
        The scenario's own by default. With `precision` draws grow until every goal's interval is that narrow.
    spread : callable, optional
        Who computes, such as threads or other machines; the result does not depend on it, to the last bit.
    fixed : mapping of int to float, optional
        Nodes that are set to a value whatever their causes do.
    shift : (n_nodes,) float, optional
        What is added at nodes in every draw, in each KPI's unit.
    watch_nodes : (n,) int, optional
        Further nodes whose distribution is wanted, beside those of goals and all KPIs at the root.
    rare : bool
        Whether the odds of rare outcomes are estimated by importance sampling as well.
    deadline : Deadline
        When drawing ends; the odds are then those of the draws, or of the whole nets, that were done before it, and
        `Simulation.asked` says how many were to come.

    Raises
    ------
    UsageError
        Where draws, seed, method or precision cannot be.
    NumericsError
        Where the correlations are not positive definite, or a value is not finite in some draw.
    ModelError
        Where pay depends on a target that is not above 0.
    LimitReached
        Where the time is up before there are draws to estimate odds from.
    """
    settings = settings or graph.scenario.simulation
    _check_settings(settings)
    if targets is None:
        targets = graph.baseline + graph.asked_change(stretch, levels)
    study = _Study.prepare(graph, stretch, levels, targets, settings.seed, fixed, watch_nodes, shift)
    # A cell has the same scores in all periods: importance sampling would count them more than once.
    study = replace(study, deadline=deadline, rare=rare and graph.scenario.periods is None)
    spread = spread or map
    if settings.precision is None:
        return study.run(lay_out(settings.draws, settings.method), spread)
    return _simulate_to_precision(study, settings, spread)


def _simulate_to_precision(study: _Study, settings: SimulationSettings, spread: Spread) -> Simulation:
    """Repeat with more draws until the interval is narrow enough; the last answer is that of its number of draws."""
    precision = settings.precision or 0.0
    draws = FIRST_DRAWS
    best: Simulation | None = None
    while True:
        try:
            simulation = study.run(lay_out(draws, settings.method), spread)
        except LimitReached:
            if best is None:
                raise
            return replace(best, asked=draws)
        if best is not None and simulation.asked and simulation.draws <= best.draws:
            return replace(best, asked=draws)
        if simulation.asked:
            return simulation
        best, half = simulation, simulation.half_width
        if half <= precision:
            return simulation
        if draws >= PRECISE_ENOUGH:
            return replace(simulation, notes=(*simulation.notes, _not_precise(half, precision, draws)))
        wanted = draws * min(64.0, (half / precision) ** 2)
        draws = min(PRECISE_ENOUGH, max(2 * draws, 1 << int(np.ceil(np.log2(wanted)))))


def _not_precise(half: float, precision: float, draws: int) -> Problem:
    return Problem(
        "W-precision",
        f"after {draws:,} draws the widest interval is still ± {half:.2g}, not ± {precision:.2g}",
        fix="accept this precision, or ask for a number of draws instead",
    )


def _check_settings(settings: SimulationSettings) -> None:
    problems = []
    if not 2 <= settings.draws <= MAX_DRAWS:
        problems.append(Problem("E-draws", f"{settings.draws:,} draws", rule=f"draws are 2 to {MAX_DRAWS:,}"))
    if not 0 <= settings.seed <= MAX_SEED:
        problems.append(Problem("E-seed", f"the seed is {settings.seed}", rule="a seed is 0 to 2^64 - 1"))
    if settings.method not in ("sobol", "random"):
        problems.append(Problem("E-method", f'"{settings.method}" is no method', rule='write "sobol" or "random"'))
    if settings.precision is not None and not 0 < settings.precision < 1:
        problems.append(Problem("E-precision", f"precision is {settings.precision:g}", rule="it is between 0 and 1"))
    if problems:
        raise UsageError(*problems)


@dataclass(frozen=True)
class _Study:
    """A plan and all that the draws are asked."""

    graph: CausalGraph
    propagation: Propagation
    watch: Watch
    seed: int
    deadline: Deadline = NEVER
    rare: bool = True

    @classmethod
    def prepare(
        cls,
        graph: CausalGraph,
        stretch: Floats,
        levels: Floats,
        targets: Floats,
        seed: int,
        fixed: Mapping[int, float] | None,
        watch_nodes: Integers | None,
        shift: Floats | None,
    ) -> _Study:
        payout = build_payout(graph, stretch, levels, targets)
        propagation = Propagation(graph, stretch, levels, fixed, payout.rated_cells, shift)
        goals = goal_rule(graph)
        own = np.flatnonzero((graph.kind == NodeKind.KPI) & np.isfinite(targets))
        varies = varying_nodes(graph, stretch, levels, fixed)
        watch = Watch(
            goals=goals,
            people=build_hit_rule(graph, own, targets[own]),
            nodes=_watched(graph, goals.nodes, watch_nodes),
            centre=graph.expected_change(stretch, levels),
            payout=payout,
            pay_by_period=rules_by_period(graph, payout, levels),
            pay_limits=pay_limits(graph.scenario, payout),
            varies=varies,
            pay_varies=payout.varies(varies, drawn_cells(graph, stretch)),
        )
        return cls(graph, propagation, watch, seed)

    @property
    def payout(self) -> Payout:
        return self.watch.payout

    def run(self, layout: Layout, spread: Spread) -> Simulation:
        kept = make_room(self.watch, layout)
        counts = [no_counts(self.watch) for _ in range(layout.replicates)]
        block = block_size(self.graph.n_nodes, layout)
        streams = Streams(self.seed, self.propagation.inputs.names, layout)
        counter = SpanCounter(
            self.propagation, self.watch, self.graph.baseline, streams, block, kept.per_replicate, self.deadline
        )
        spans, done = list(_spans(layout, block)), 0
        for span, tally in zip(spans, spread(counter, spans), strict=True):
            if tally is None:
                break
            counts[span.replicate].add(tally.counts)
            tally.keep(kept, span)
            done = span.replicate * layout.size + span.stop
        drawn = layout if done == layout.draws else _cut(layout, done)
        if drawn is None:
            raise self.deadline.reached("there were draws to estimate odds from", ODDS_RULE)
        kept, counts = _first(kept, drawn), counts[: drawn.replicates]
        found = summarise(self.graph, self.watch, drawn, self.seed, counts, kept, self.propagation.inputs.notes)
        found = found if drawn is layout else replace(found, asked=layout.draws)
        return self._refine(found) if self.rare else found

    def _refine(self, simulation: Simulation) -> Simulation:
        """Add the odds of rare outcomes by importance sampling."""
        goals: list[GoalOdds] = []
        for position, goal in enumerate(simulation.goals):
            if self.deadline.ends("rare odds", position, len(simulation.goals)):
                late = len(simulation.goals) - position
                return replace(simulation, goals=(*goals, *simulation.goals[position:]), unrefined=late)
            events = min(goal.odds.estimate, 1 - goal.odds.estimate) * simulation.draws
            if events < HARDLY_EVER and not goal.odds.is_certain:
                outcome = "hit" if goal.odds.estimate < 0.5 else "miss"
                rare = estimate_rare_odds(self.propagation, self.watch.goals, position, outcome, self.seed)
                goals.append(replace(goal, rare=rare))
            else:
                goals.append(goal)
        return replace(simulation, goals=tuple(goals))


@dataclass(frozen=True, slots=True)
class Span:
    """Draws start … stop - 1 of one replicate: the unit of work of one worker."""

    replicate: int
    start: int
    stop: int


@dataclass(frozen=True)
class SpanTally:
    """What was counted in a span, and those of its draws that are kept.

    Attributes
    ----------
    kept : Kept
        The span's first draws, of one replicate.
    """

    counts: Counts
    kept: Kept

    def keep(self, room: Kept, span: Span) -> None:
        """Put the kept draws where they belong."""
        place = slice(span.start, span.start + self.kept.per_replicate)
        room.values[:, span.replicate, place] = self.kept.values[:, 0]
        room.hits[:, span.replicate, place] = self.kept.hits[:, 0]
        room.pay[span.replicate, place] = self.kept.pay[0]


@dataclass(frozen=True)
class SpanCounter:
    """Counts one span of draws, block by block; it can be pickled.

    Attributes
    ----------
    baseline : (n_nodes,) float
        Mean baselines.
    block : int
        Draws that go through the graph at a time.
    n_kept : int
        How many first draws of each replicate are kept.
    deadline : Deadline
        After which nothing is counted any more.
    """

    propagation: Propagation
    watch: Watch
    baseline: Floats
    streams: Streams
    block: int
    n_kept: int
    deadline: Deadline = NEVER

    def __call__(self, span: Span) -> SpanTally | None:
        """Count a span; None where the time is up before its end."""
        points = self.streams.replicate(span.replicate)
        counts, kept = no_counts(self.watch), self._make_room(span)
        workspace = self.propagation.make_workspace(self.block)
        for start in range(span.start, span.stop, self.block):
            first = span.replicate * self.streams.layout.size + start
            if self.deadline.ends("odds", first, self.streams.layout.draws):
                return None
            stop = min(start + self.block, span.stop)
            drawn = self.propagation.run(points.scores(start, stop), stop - start, first, workspace)
            counts.add(count_block(self.watch, self.baseline, drawn, kept, 0, start - span.start))
        return SpanTally(counts, kept)

    def _make_room(self, span: Span) -> Kept:
        shape = (1, max(0, min(span.stop, self.n_kept) - span.start))
        n_watched, n_goals = len(self.watch.nodes), len(self.watch.goals.nodes)
        hits = np.empty((n_goals, *shape), dtype=bool)
        return Kept(self.watch.nodes, np.empty((n_watched, *shape)), hits, np.empty(shape))


def _watched(graph: CausalGraph, goal_nodes: Integers, further: Integers | None) -> Integers:
    """Nodes whose distribution is wanted: KPIs at the root, goals, and those asked for."""
    at_root = np.flatnonzero((graph.kind == NodeKind.KPI) & (graph.unit == 0))
    return np.unique(np.concatenate([at_root, goal_nodes, np.empty(0, np.int64) if further is None else further]))


def block_size(n_nodes: int, layout: Layout) -> int:
    """Return how many draws go through the graph at a time: a power of two that depends on the model only.

    Small graphs stay within the processor's cache; large ones within some 64 MB.
    """
    small = 1 << max(8, min(12, ((1 << 18) // max(1, n_nodes)).bit_length() - 1))
    large = 1 << max(4, ((1 << 23) // max(1, n_nodes)).bit_length() - 1)
    return min(small, large, 1 << (layout.size - 1).bit_length())


def _spans(layout: Layout, block: int) -> Iterator[Span]:
    length = max(16 * block, 1024)
    for replicate in range(layout.replicates):
        for start in range(0, layout.size, length):
            yield Span(replicate, start, min(start + length, layout.size))


def _cut(layout: Layout, done: int) -> Layout | None:
    """Return the layout of the draws that were done: whole replicates, at least two; None where these are too few."""
    if layout.replicates == 1:
        return Layout(layout.method, 1, done) if done > 1 else None
    whole = done // layout.size
    return Layout(layout.method, whole, layout.size) if whole > 1 else None


def _first(kept: Kept, layout: Layout) -> Kept:
    """Return the kept draws that belong to a layout with fewer draws."""
    whole, size = slice(layout.replicates), slice(layout.size)
    return replace(kept, values=kept.values[:, whole, size], hits=kept.hits[:, whole, size], pay=kept.pay[whole, size])
