"""The plan: what is expected of every node, what is asked, and the rounded targets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kpiopt.errors import Problem
from kpiopt.graph import CausalGraph, NodeKind
from kpiopt.plan.parts import stretch_box
from kpiopt.plan.rounding import round_targets
from kpiopt.scenario.scenario import Cells, Floats, Integers

if TYPE_CHECKING:
    import polars as pl

Texts = NDArray[np.object_]


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
    notes : tuple of Problem
        What rounding had to give up.
    binding_limits : (n_cells,) object array of str, or None
        Binding capacities and budgets of each cell, where the caller knows them.
    odds : (3, n_nodes) float, or None
        Probability that each node attains its target and the ends of its interval, where it was simulated.
    """

    graph: CausalGraph
    stretch: Floats
    levels: Floats
    expected: Floats
    asked: Floats
    target: Floats
    rounded_stretch: Floats
    notes: tuple[Problem, ...] = ()
    binding_limits: Texts | None = None
    odds: Floats | None = None

    def annotate(self, *, binding_limits: Texts | None = None, odds: Floats | None = None) -> Plan:
        """Return the plan with findings that its table shows, keeping those that are not given."""
        return replace(
            self,
            binding_limits=self.binding_limits if binding_limits is None else binding_limits,
            odds=self.odds if odds is None else odds,
        )

    @cached_property
    def nodes(self) -> Integers:
        """Nodes of the table's rows: by unit, depth first, then KPI in the order of the file."""
        node = np.flatnonzero(self.graph.kind == NodeKind.KPI)
        return node[np.lexsort((self.graph.kpi[node], self.graph.unit[node]))]

    @cached_property
    def binding(self) -> Texts:
        """What stops each cell, (n_cells,) str: "max_stretch", "min_stretch" or "lock", then limits; else ""."""
        cells = self.graph.scenario.cells
        own = _own_binding(cells, self.stretch)
        if self.binding_limits is None:
            return own
        both = (own != "") & (self.binding_limits != "")
        return np.asarray(own + np.where(both, "; ", "") + self.binding_limits, dtype=object)

    @cached_property
    def targets(self) -> pl.DataFrame:
        """One row for each cell and each inner unit that has the KPI.

        Columns unit, kpi, period, baseline, plan, target, stretch, min_stretch, max_stretch, reference, binding, odds,
        odds_low, odds_high, lock_reason, lock_owner; full precision except `target`. Null where there is nothing to
        say: no cell, no decision, no period.
        """
        import polars as pl  # only where a table is wanted

        graph, cells, node = self.graph, self.graph.scenario.cells, self.nodes
        cell = graph.cell[node]
        decided = np.where(cells.has_decision, 0.0, np.nan)
        unit = np.array(graph.scenario.units.ids, dtype=object)[graph.unit[node]]
        kpi = np.array(graph.scenario.kpi_ids, dtype=object)[graph.kpi[node]]
        columns = {
            "baseline": graph.baseline[node],
            "plan": self.expected[node],
            "target": self.target[node],
            "stretch": _at_cells(self.stretch, cell),
            "min_stretch": _at_cells(cells.min_stretch + decided, cell),
            "max_stretch": _at_cells(cells.max_stretch + decided, cell),
            "reference": _at_cells(cells.reference, cell),
        }
        odds = np.full((3, graph.n_nodes), np.nan) if self.odds is None else self.odds
        binding = np.append(self.binding, "")[cell]
        return pl.DataFrame(
            [
                pl.Series("unit", unit.tolist(), dtype=pl.String),
                pl.Series("kpi", kpi.tolist(), dtype=pl.String),
                pl.Series("period", [None] * len(node), dtype=pl.String),
                *(pl.Series(name, values, dtype=pl.Float64).fill_nan(None) for name, values in columns.items()),
                pl.Series("binding", binding.tolist(), dtype=pl.String),
                *(
                    pl.Series(name, values[node], dtype=pl.Float64).fill_nan(None)
                    for name, values in zip(("odds", "odds_low", "odds_high"), odds, strict=True)
                ),
                pl.Series("lock_reason", [cells.lock_reason.get(i) for i in cell.tolist()], dtype=pl.String),
                pl.Series("lock_owner", [cells.lock_owner.get(i) for i in cell.tolist()], dtype=pl.String),
            ]
        )

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
    delta = graph.expected_change(stretch, levels)
    own = graph.own_change(stretch, levels, executed=False) + graph.cause_matrix @ delta
    asked = graph.baseline + graph.sweep(own, graph.roll_up_matrix)
    rounding = round_targets(graph, own, asked, stretch, levels)
    expected = graph.baseline + delta
    return Plan(graph, stretch, levels, expected, asked, rounding.target, rounding.stretch, rounding.notes)


def _at_cells(values: Floats, cell: Integers) -> Floats:
    """Values of cells at rows, NaN where a row has no cell."""
    return np.append(values, np.nan)[cell]


def _own_binding(cells: Cells, stretch: Floats) -> Texts:
    """The bound at which each cell's stretch stands."""
    low, high = stretch_box(cells, stretch)
    near = 1e-7 * (high - low) + 1e-9 * np.maximum(np.abs(low), np.abs(high))
    text = np.full(len(cells), "", dtype=object)
    text[stretch <= low + near] = "min_stretch"
    text[stretch >= high - near] = "max_stretch"
    text[cells.is_locked] = "lock"
    text[~cells.has_decision] = ""
    return text
