"""Which KPIs people answer for, where the plan chooses: a cell is spared or not.

Symbols: s_n is 1 where a unit is spared cell n, which then keeps its baseline. Of choices that are equally good the one
that spares the last cells by id is the plan; which cells without a stretch make up a least number is told afterwards,
the first ones by id, and not searched for.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from kpiopt.graph import CausalGraph
from kpiopt.program.formulation.blocks import Columns, ProgramBuilder, Terms, label_of
from kpiopt.scenario.scenario import Floats, Integers

NOBODY = np.empty(0, dtype=np.int64)


def chosen_cells(graph: CausalGraph) -> Integers:
    """Return the rows of the horizon's cells that are chosen or not, (n,) int."""
    return NOBODY if graph.scenario.chosen is None else graph.scenario.chosen.cell


def add_spared(build: ProgramBuilder, graph: CausalGraph) -> Columns:
    """s_n in {0, 1}, whether a unit is spared cell n;  1 where it weighs too little to be chosen.

    Only where `[assign.NAME]` chooses; a locked cell is never spared.
    """
    chosen, cell = graph.scenario.chosen, chosen_cells(graph)
    light = np.zeros(0) if chosen is None else chosen.light.astype(float)
    label = partial(label_of, [graph.node_name(node) for node in graph.whole_node[cell].tolist()])
    return build.add_columns("spared", light, np.ones(len(cell)), label, np.ones(len(cell), dtype=bool))


def add_spared_rows(
    build: ProgramBuilder, graph: CausalGraph, spared: Columns, stretch: Columns, stretch_base: Integers
) -> None:
    """x_n + most_n s_n <= most_n  and  x_n + min_stretch_n s_n >= min_stretch_n, so that a spared cell has no stretch.

    most_n is the end of the box of x_n. The second only where it is above 0; with periods x_n is sum_t x_nt.

    Parameters
    ----------
    stretch_base : (n_stretch,) int
        Row of the horizon's cells of each stretch.
    """
    cell, horizon = chosen_cells(graph), graph.scenario.horizon
    boxes = np.bincount(stretch_base, stretch.upper, len(horizon)).astype(np.float64)[cell]
    most = boxes if graph.scenario.periods is None else np.minimum(boxes, horizon.max_stretch[cell])
    least = horizon.min_stretch[cell]
    _add_side(build, "spared_most", spared, stretch, (cell, stretch_base), most, np.arange(len(cell)), is_upper=True)
    _add_side(
        build, "spared_least", spared, stretch, (cell, stretch_base), least, np.flatnonzero(least > 0.0), is_upper=False
    )


def _add_side(
    build: ProgramBuilder,
    name: str,
    spared: Columns,
    stretch: Columns,
    where: tuple[Integers, Integers],
    bound: Floats,
    here: Integers,
    *,
    is_upper: bool,
) -> None:
    """sum_t x_nt + bound_n s_n on one side of bound_n, for some of the chosen cells."""
    cell, base = where
    order = np.argsort(cell[here])
    place = np.minimum(np.searchsorted(cell[here], base, sorter=order), max(len(here) - 1, 0))
    member = np.flatnonzero(cell[here][order[place]] == base) if len(here) else NOBODY
    row = order[place[member]] if len(here) else NOBODY
    each, value = np.arange(len(here)), bound[here]
    terms = [Terms(stretch, row, member, np.ones(len(member))), Terms(spared, each, here, value)]
    open_side = np.full(len(here), -np.inf if is_upper else np.inf)
    label = partial(label_of, [spared.label(j) for j in here.tolist()])
    low, high = (open_side, value) if is_upper else (value, open_side)
    build.add_rows(name, terms, low, high, label)


def add_kpis_rows(build: ProgramBuilder, graph: CausalGraph, spared: Columns) -> None:
    """sum_{n of u} (1 - s_n) + the locked cells of u <= most_u, for each unit u whose KPIs are chosen.

    Of those with a min_stretch above 0 alone, sum (1 - s_n) >= least_u - the locked cells - all others that weigh
    enough: these make up the least number with a stretch of 0. Left out where that says nothing.
    """
    chosen = graph.scenario.chosen
    if chosen is None:
        return
    n, each = len(chosen.unit), np.arange(len(spared))
    ids = [graph.scenario.units.ids[u] for u in chosen.unit.tolist()]
    count = np.bincount(chosen.of_unit, minlength=n)
    terms = [Terms(spared, chosen.of_unit, each, np.ones(len(each)))]
    most = (count + chosen.n_locked - chosen.most).astype(float)
    build.add_rows("kpis", terms, most, np.full(n, np.inf), partial(label_of, ids))
    bound = graph.scenario.horizon.min_stretch[chosen.cell] > 0.0
    fillers = np.bincount(chosen.of_unit, ~bound & ~chosen.light, n).astype(np.int64)
    wanted = chosen.least - chosen.n_locked - fillers
    here = np.flatnonzero(wanted > 0)
    member = each[bound & np.isin(chosen.of_unit, here)]
    terms = [Terms(spared, np.searchsorted(here, chosen.of_unit[member]), member, np.ones(len(member)))]
    least = (np.bincount(chosen.of_unit[member], minlength=n) - wanted)[here].astype(float)
    label = partial(label_of, [ids[place] for place in here.tolist()])
    build.add_rows("kpis_least", terms, np.full(len(here), -np.inf), least, label)
