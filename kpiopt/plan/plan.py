"""The plan: what is expected of every node, what is asked, and the rounded targets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kpiopt.errors import Problem
from kpiopt.graph import CausalGraph, NodeKind
from kpiopt.plan.chosen import spared_cells, without_spared
from kpiopt.plan.factors import without_cushioned_locks
from kpiopt.plan.parts_of_plan import stretch_box
from kpiopt.plan.rounding import round_targets
from kpiopt.scenario.scenario import Cells, Floats, Integers, Scenario
from kpiopt.scenario.totals import Totals

if TYPE_CHECKING:
    import polars as pl

Texts = NDArray[np.object_]
NOT_CHOSEN = "not chosen"
"""What stops a cell that its unit is spared."""


@dataclass(frozen=True)
class Plan:
    """An allocation of targets.

    Attributes
    ----------
    graph : CausalGraph
    stretch : (n_cells,) float
        Planned stretch of each cell, in the KPI's unit.
    levels : (n_levels,) float
        Levels of the initiatives.
    expected : (n_nodes,) float
        Plan values: baseline plus expected change.
    asked : (n_nodes,) float
        Unrounded targets: baseline plus stretch in full plus the expected effect of causes.
    target : (n_nodes,) float
        Rounded targets.
    rounded_stretch : (n_cells,) float
        Stretch that the rounded targets ask of each cell.
    is_rounded : (n_kpis,) bool
        KPIs whose targets are multiples of their step.
    notes : tuple of Problem
        What rounding had to give up.
    binding_limits : (n_cells,) object array of str, or None
        Binding capacities and budgets of each cell, where the caller knows them.
    odds : (3, n_nodes) float, or None
        Probability that each node attains its target and the ends of its interval, where it was simulated.
    factor, cushioned : (n_nodes,) float, or None
        With over-assignment: what each target is multiplied by, and the unrounded target with that.
    """

    graph: CausalGraph
    stretch: Floats
    levels: Floats
    expected: Floats
    asked: Floats
    target: Floats
    rounded_stretch: Floats
    is_rounded: NDArray[np.bool_]
    notes: tuple[Problem, ...] = ()
    binding_limits: Texts | None = None
    odds: Floats | None = None
    factor: Floats | None = None
    cushioned: Floats | None = None

    def annotate(self, *, binding_limits: Texts | None = None, odds: Floats | None = None) -> Plan:
        """Return the plan with findings that its table shows, keeping those that are not given.

        `binding_limits`, (n_cells,) str; `odds`, (3, n_nodes) float: estimate and the ends of its interval.
        """
        return replace(
            self,
            binding_limits=self.binding_limits if binding_limits is None else binding_limits,
            odds=self.odds if odds is None else odds,
        )

    @cached_property
    def nodes(self) -> Integers:
        """Nodes of the table's rows: by unit, depth first, then KPI as in the file, the horizon before its periods."""
        graph, node = self.graph, np.flatnonzero(self.graph.kind == NodeKind.KPI)
        return node[np.lexsort((graph.period[node], graph.kpi[node], graph.unit[node]))]

    @cached_property
    def binding(self) -> Texts:
        """What stops each cell, (n_cells,) str: "max_stretch", "min_stretch", "lock" or "not chosen", then limits."""
        scenario = self.graph.scenario
        own = self.whole_binding if scenario.periods is None else self._binding_of_periods()
        if self.binding_limits is None:
            return own
        off = spared_cells(self.graph, self.stretch)[scenario.cell_base]
        limits = np.where(off | (own == "lock"), "", self.binding_limits)
        both = (own != "") & (limits != "")
        return np.asarray(own + np.where(both, "; ", "") + limits, dtype=object)

    def _binding_of_periods(self) -> Texts:
        """The bound of its own at which a cell's stretch in a single period stands, (n_cells,) str."""

        def of(scenario: Scenario) -> Texts:
            own = np.full(len(scenario.cells), "", dtype=object)
            here = np.flatnonzero(~np.isnan(_own_of_periods(scenario)).all(axis=0))
            if len(here):
                own[here] = _own_binding(scenario.cells, self.stretch)[here]
            return own

        return self._with_variants(of)

    def _with_variants(self, of: Callable[[Scenario], Texts]) -> Texts:
        """Return what stops cells in the scenario; "max_stretch (lean)" where a variant of a robust plan alone does."""
        scenario = self.graph.scenario
        own = of(scenario)
        for name, other in scenario.robust:
            if len(other.horizon) != len(scenario.horizon):
                continue
            theirs = of(other)
            alone = (theirs != "") & ((own == "") | ((own == "min_stretch") & (theirs != "min_stretch")))
            own[alone] = [f"{text} ({name})" for text in theirs[alone]]
        return own

    @cached_property
    def whole_binding(self) -> Texts:
        """The bound at which each cell's stretch over the horizon stands, (n_horizon_cells,) str."""

        def of(scenario: Scenario) -> Texts:
            own = _own_binding(scenario.horizon, self.whole_stretch)
            own[scenario.totals.cell] = self._binding_of_totals(scenario.totals)
            return own

        own = self._with_variants(of)
        own[spared_cells(self.graph, self.stretch)] = NOT_CHOSEN
        return own

    @cached_property
    def whole_stretch(self) -> Floats:
        """Stretch of each cell over the horizon, (n_horizon_cells,) float."""
        scenario = self.graph.scenario
        if scenario.periods is None:
            return self.stretch
        return np.bincount(scenario.cell_base, self.stretch, len(scenario.horizon)).astype(np.float64)

    def _binding_of_totals(self, totals: Totals) -> Texts:
        """The bound at which the total of each row about one stands."""
        stretch, _, _ = self._ranges()
        text = _at_bounds(stretch[totals.cell], totals.low, totals.high)
        text[totals.is_locked | ~np.isnan(totals.target)] = "lock"
        return text

    @cached_property
    def targets(self) -> pl.DataFrame:
        """One row for each cell and each inner unit that has the KPI.

        Columns unit, kpi, period, baseline, plan, target, stretch, min_stretch, max_stretch, reference, binding, odds,
        odds_low, odds_high, lock_reason, lock_owner, unassigned, unassigned_target, over_assignment; full precision
        except `target`.
        Null where there is nothing to say. For a total, the stretch is the roll-up of those
        below.
        """
        import polars as pl  # only where a table is wanted

        graph, scenario, node = self.graph, self.graph.scenario, self.nodes
        cell = np.where(graph.whole_cell[node] >= 0, graph.whole_cell[node], graph.cell[node] // scenario.n_periods)
        stretch, low, high = self._ranges()
        unit = np.array(scenario.units.ids, dtype=object)[graph.unit[node]]
        kpi = np.array(scenario.kpi_ids, dtype=object)[graph.kpi[node]]
        horizon = scenario.horizon
        low_of_period, high_of_period = (None, None) if scenario.periods is None else _own_of_periods(scenario)
        columns = {
            "baseline": graph.baseline[node],
            "plan": self.expected[node],
            "target": self.target[node],
            "stretch": self._at_rows(stretch, None if scenario.periods is None else self.stretch),
            "min_stretch": self._at_rows(low, low_of_period),
            "max_stretch": self._at_rows(high, high_of_period),
            "reference": self._at_rows(horizon.reference, scenario.cells.reference),
        }
        odds = np.full((3, graph.n_nodes), np.nan) if self.odds is None else self.odds
        binding = self._at_rows(self.whole_binding, self.binding)
        return pl.DataFrame(
            [
                pl.Series("unit", unit.tolist(), dtype=pl.String),
                pl.Series("kpi", kpi.tolist(), dtype=pl.String),
                pl.Series("period", [scenario.period_name(p) for p in graph.period[node].tolist()], dtype=pl.String),
                *(pl.Series(name, values, dtype=pl.Float64).fill_nan(None) for name, values in columns.items()),
                pl.Series("binding", binding.tolist(), dtype=pl.String),
                *(
                    pl.Series(name, values[node], dtype=pl.Float64).fill_nan(None)
                    for name, values in zip(("odds", "odds_low", "odds_high"), odds, strict=True)
                ),
                pl.Series("lock_reason", self._texts(cell, "lock_reason"), dtype=pl.String),
                pl.Series("lock_owner", self._texts(cell, "lock_owner"), dtype=pl.String),
                pl.Series("unassigned", self.unassigned[node], dtype=pl.Float64).fill_nan(None),
                pl.Series("unassigned_target", self.unassigned_target[node], dtype=pl.Float64).fill_nan(None),
                pl.Series("over_assignment", self.over_assignment[node], dtype=pl.Float64).fill_nan(None),
            ]
        )

    def _texts(self, cell: Integers, field: str) -> list[str | None]:
        """What is said about the lock of each of the table's rows; in a period, about that of the period."""
        graph, scenario = self.graph, self.graph.scenario
        of_whole, of_cells = getattr(scenario.horizon, field), getattr(scenario.cells, field)
        by_period = graph.cell[self.nodes] if scenario.periods is not None else np.full(len(cell), -1)
        places = zip(cell.tolist(), by_period.tolist(), strict=True)
        return [of_whole.get(whole) if at < 0 else of_cells.get(at) for whole, at in places]

    @cached_property
    def unassigned(self) -> Floats:
        """What is nobody's: plan value less the roll-up of the values below; NaN where nothing is below. (n_nodes,)."""
        graph, inner = self.graph, self._is_inner
        delta = self.expected - graph.baseline
        own = graph.own_change(self.stretch, self.levels) + graph.cause_matrix @ delta
        return np.where(inner, graph.over_time(own), np.nan)

    @property
    def unassigned_target(self) -> Floats:
        """The same of the targets, where they add up: target less the sum of those below."""
        graph = self.graph
        adds_up = np.array([k.roll_up == "sum" for k in graph.scenario.kpis.values()], dtype=bool)
        here = np.flatnonzero(self._is_inner)
        here = here[adds_up[graph.kpi[here]]]
        left, below = np.full(graph.n_nodes, np.nan), graph.units_matrix @ self.target
        left[here] = self.target[here] - below[here]
        if self.factor is not None:  # children with a cushion of their own add up to more
            child = np.flatnonzero(graph.roll_up_above[0] >= 0)
            parent = graph.roll_up_above[0][child]
            left[parent[self.factor[child] != self.factor[parent]]] = np.nan
        hair = 1e-12 * (np.abs(self.target) + np.abs(below))
        return np.where(np.abs(left) <= hair, 0.0, left)

    @property
    def over_assignment(self) -> Floats:
        """Share by which each target is more than the plan asks, on purpose; NaN where it is not. (n_nodes,) float."""
        if self.factor is None:
            return np.full(self.graph.n_nodes, np.nan)
        return np.where(self.factor != 1.0, np.round(np.abs(self.factor - 1.0), 12), np.nan)

    @cached_property
    def _is_inner(self) -> NDArray[np.bool_]:
        """Which nodes others roll up to, (n_nodes,) bool."""
        inner = np.zeros(self.graph.n_nodes, dtype=bool)
        above = self.graph.roll_up_above[0]
        inner[above[above >= 0]] = True
        return inner

    def _ranges(self) -> tuple[Floats, Floats, Floats]:
        """Stretch of every cell and its range, NaN where there is none; of a total, what rolls up to it."""
        cells, totals = self.graph.scenario.horizon, self.graph.scenario.totals
        decided = np.where(cells.has_decision, 0.0, np.nan)
        stretch, low, high = self.whole_stretch.copy(), cells.min_stretch + decided, cells.max_stretch + decided
        node = self.graph.whole_node
        stretch[totals.cell] = rolled_up_stretch(self.graph, stretch)[node[totals.cell]]
        low[totals.cell] = np.where(np.isfinite(totals.low), totals.low, np.nan)
        high[totals.cell] = np.where(np.isfinite(totals.high), totals.high, np.nan)
        return stretch, low, high

    def _at_rows(self, whole: NDArray[Any], by_period: NDArray[Any] | None = None) -> NDArray[Any]:
        """Values of cells at the table's rows: of the horizon and, where they are given, of each period."""
        graph, node = self.graph, self.nodes
        nothing = np.array(["" if whole.dtype == object else np.nan], dtype=whole.dtype)
        if graph.scenario.periods is None:
            return np.concatenate([whole if by_period is None else by_period, nothing])[graph.cell[node]]
        if by_period is None:
            by_period = np.repeat(nothing, len(graph.scenario.cells))
        at = np.where(graph.period[node] < 0, graph.whole_cell[node], len(whole) + graph.cell[node])
        at = np.where((graph.whole_cell[node] < 0) & (graph.cell[node] < 0), -1, at)
        return np.concatenate([whole, by_period, nothing])[at]

    def __repr__(self) -> str:
        stretched = np.count_nonzero(self.stretch)
        return f"Plan({self.graph.scenario.name!r}: {len(self.nodes):,} targets, {stretched:,} cells stretched)"


def build_plan(graph: CausalGraph, stretch: Floats, levels: Floats) -> Plan:
    """Compute what a solution means for every node, and round the targets.

    Parameters
    ----------
    stretch : (n_cells,) float
        In the KPI's unit, 0 where a cell has no decision.
    levels : (n_levels,) float
    """
    own, asked = asked_inside_bounds(graph, stretch, levels)
    opened = without_cushioned_locks(without_spared(graph, stretch), stretch)
    rounding = round_targets(opened, graph.over_time(own), asked, stretch, levels)
    expected = np.clip(graph.baseline + graph.expected_change(stretch, levels), *graph.bounds)
    return Plan(
        graph, stretch, levels, expected, asked, rounding.target, rounding.stretch, rounding.is_rounded, rounding.notes
    )


def asked_inside_bounds(graph: CausalGraph, stretch: Floats, levels: Floats) -> tuple[Floats, Floats]:
    """Return what is asked of every node, no more than its bounds allow; what lies beyond is nobody's and not asked.

    Returns
    -------
    own : (n_nodes,) float
        What is asked at a node itself, by effort and causes, and not of those that roll up to it.
    asked : (n_nodes,) float
        The unrounded targets without cushions.
    """
    own = graph.own_change(stretch, levels, executed=False)
    own += graph.cause_matrix @ graph.expected_change(stretch, levels)
    if not len(graph.bounded):
        return own, graph.baseline + graph.sweep(own, graph.roll_up_matrix)
    is_held = np.zeros(graph.n_nodes, dtype=bool)
    is_held[graph.bounded] = True
    if graph.scenario.periods is not None:
        is_held &= graph.period >= 0
    change = own.copy()
    for start, stop in pairwise(graph.level_bounds):
        here = slice(start, stop)
        change[here] += graph.roll_up_matrix[here] @ change
        asked = graph.baseline[here] + change[here]
        beyond = np.where(is_held[here], asked - np.clip(asked, *graph.bounds[:, here]), 0.0)
        own[here] -= beyond
        change[here] -= beyond
    return own, graph.baseline + change


def rolled_up_stretch(graph: CausalGraph, stretch: Floats) -> Floats:
    """Return the stretch of every node over the horizon: its cell's, and what rolls up to it, (n_nodes,) float.

    Parameters
    ----------
    stretch : (n_horizon_cells,) float
    """
    total = np.zeros(graph.n_nodes)
    total[graph.whole_node] = stretch
    if graph.scenario.periods is None:
        return graph.sweep(total, graph.roll_up_matrix)
    row, member, weight = graph.ways_up(graph.whole_node, np.flatnonzero(graph.period < 0))
    top = np.flatnonzero(graph.period < 0)[row]
    return np.bincount(top, weight * stretch[member], graph.n_nodes).astype(np.float64)


def _own_of_periods(scenario: Scenario) -> Floats:
    """Least and largest stretch that rows of single periods give, NaN where there is none, (2, n_cells) float."""
    cells, periods = scenario.cells, scenario.periods
    ends = np.full((2, len(cells)), np.nan)
    if periods is not None and periods.single is not None:
        single, fixed = periods.single, ~np.isnan(periods.single.lock.ravel())
        for end, given, bound in zip(
            ends, (single.min_stretch, single.max_stretch), (cells.min_stretch, cells.max_stretch), strict=True
        ):
            end[:] = np.where(fixed | ~np.isnan(given.ravel()), np.where(fixed, cells.lock, bound), np.nan)
    return ends


def _own_binding(cells: Cells, stretch: Floats) -> Texts:
    """The bound of each cell at which its stretch stands."""
    text = _at_bounds(stretch, *stretch_box(cells, stretch))
    text[cells.is_locked] = "lock"
    text[~cells.has_decision] = ""
    return text


def _at_bounds(stretch: Floats, low: Floats, high: Floats) -> Texts:
    """The bound at which each stretch stands, "" where it stands at none; all (n,)."""
    ends = [np.where(np.isfinite(end), end, stretch) for end in (low, high)]
    near = 1e-7 * (ends[1] - ends[0]) + 1e-9 * np.maximum(np.abs(ends[0]), np.abs(ends[1]))
    text = np.full(len(stretch), "", dtype=object)
    text[stretch <= low + near] = "min_stretch"
    text[stretch >= high - near] = "max_stretch"
    return text
