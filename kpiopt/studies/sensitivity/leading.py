"""Which of many inputs are moved: thousands of baselines are told apart by their direct effect on the outcome."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from kpiopt.graph import CausalGraph, straight
from kpiopt.program.formulation.columns import scale_of_goals
from kpiopt.scenario.numbers.inputs import Inputs
from kpiopt.scenario.numbers.plain_numbers import unit_numbers
from kpiopt.scenario.scenario import Floats
from kpiopt.studies.family import Planned
from kpiopt.studies.sensitivity.moves import LeftOut, Move
from kpiopt.studies.sensitivity.outcome import Outcome, require_node

MOST_CELLS = 100
MOST_KPIS = 40
MOST_UNITS = 20
"""How many single cells, baselines of KPIs and capacities of units are moved unless they are named."""

TIGHT = 0.9
"""A capacity of which less is used is not felt when it is a tenth smaller."""


def leading_moves(
    moves: Sequence[Move], planned: Planned, outcome: Outcome
) -> tuple[tuple[Move, ...], tuple[LeftOut, ...]]:
    """Keep those of many moves of cells and of baselines that do most to the outcome, as far as effects are straight.

    Returns
    -------
    moves : tuple of Move
        In the given order.
    left_out : tuple of LeftOut
    """
    families = (
        ("uncertain quantities of single cells", MOST_CELLS, [m for m in moves if m.path.startswith("cell.")]),
        ("baselines of KPIs", MOST_KPIS, [m for m in moves if _is_baseline_of_kpi(m)]),
    )
    dropped: set[str] = set()
    left_out = []
    for what, most, family in families:
        if len(family) > most:
            effect = _direct_effects(family, planned, outcome)
            rest = [family[i].path for i in np.argsort(-effect, kind="stable")[most:].tolist()]
            dropped |= set(rest)
            fix = "--input PATTERN moves all that it names"
            left_out.append(LeftOut(len(rest), f"{what}, of less direct effect than the {most} that are moved", fix))
    return tuple(m for m in moves if m.path not in dropped), tuple(left_out)


def _is_baseline_of_kpi(move: Move) -> bool:
    return move.path.startswith("cells.") and move.path.endswith(".baseline")


def _direct_effects(moves: Iterable[Move], planned: Planned, outcome: Outcome) -> Floats:
    """Return what each move does to the outcome's nodes at once, through all causes, without a new plan."""
    graph = straight(planned.graph, planned.stretch, planned.levels, tangent=True)
    pulls = np.array([graph.sweep_back(w) for w in _weights(outcome, graph)]).reshape(-1, graph.n_nodes)
    by_cell = pulls[:, graph.cell_node]
    cells, scenario = graph.scenario.cells, graph.scenario
    row = {f"cell.{graph.node_name(int(node))}": i for i, node in enumerate(graph.whole_node.tolist())}
    asked, entering = graph.per_stretch * planned.stretch, pulls[:, graph.entry_node]
    share = graph.quantity_share[graph.cell_node]

    def effect(move: Move) -> float:
        width = move.high - move.low
        if _is_baseline_of_kpi(move):
            rows = cells.kpi == scenario.kpi_position[move.path[len("cells.") : -len(".baseline")]]
            return float(np.abs(by_cell[:, rows] @ cells.baseline[rows]).sum()) * width
        if move.path in scenario.uncertainty.paths:
            rows = cells.execution == scenario.uncertainty.paths.index(move.path)
            return float(np.abs(entering[:, rows] @ asked[rows]).sum()) * width
        rows = scenario.cell_base == row[move.path.rpartition(".")[0]]
        return float(np.abs(by_cell[:, rows] @ share[rows]).sum()) * width

    return np.array([effect(move) for move in moves])


def _weights(outcome: Outcome, graph: CausalGraph) -> Iterator[Floats]:
    """Yield what the outcome looks at, as weights of nodes."""
    if outcome.kind == "kpi":
        yield np.eye(1, graph.n_nodes, require_node(outcome, graph))[0]
    elif outcome.kind == "pay":
        cells, incentive = graph.scenario.cells, np.nan_to_num(graph.scenario.units.target_incentive)
        size = np.maximum(np.abs(cells.baseline), 1e-9)
        pay = np.nan_to_num(cells.weight) * incentive[cells.unit] / size
        yield np.bincount(graph.cell_node, pay, graph.n_nodes).astype(np.float64)
    else:
        goals = [g for g in graph.scenario.goals.values() if outcome.name in ("", g.id)]
        nodes = np.array([graph.goal_node(g) for g in goals], dtype=np.int64)
        for node, scale in zip(nodes.tolist(), scale_of_goals(tuple(goals), graph.baseline[nodes]), strict=True):
            yield np.eye(1, graph.n_nodes, node)[0] / scale


def capacity_moves(inputs: Inputs, planned: Planned) -> tuple[tuple[Move, ...], tuple[LeftOut, ...]]:
    """Return the moves of single units' capacities that would be felt, the fullest first.

    Where a unit uses less than 90 % of its capacity, a tenth more or less of it changes nothing: the plan stays
    possible, and with no limit loosened that held it, it stays the best.
    """
    arrays = planned.cascade.program.arrays()
    used = arrays.matrix @ planned.solution.x
    units = inputs.scenario.units
    holders: dict[str, set[int]] = {}
    full: dict[str, float] = {}
    for limit in planned.cascade.limits:
        if not limit.name.startswith("capacity.") or limit.value <= 0.0:
            continue
        holders.setdefault(limit.resource, set()).add(limit.unit)
        share = (limit.base + float(used[limit.row])) / limit.value
        if share >= TIGHT:
            path = f"unit.{units.ids[limit.unit]}.capacity.{limit.resource}"
            full[path] = max(share, full.get(path, 0.0))
    several = [path for path in full if len(holders[path.rpartition(".capacity.")[2]]) > 1]
    several.sort(key=lambda path: (-full[path], path))
    numbers = dict(unit_numbers(inputs.scenario))
    chosen = [path for path in several if path in numbers]
    moves = [Move(p, "limit", n.value, 0.9 * n.value, 1.1 * n.value) for p in chosen[:MOST_UNITS] for n in [numbers[p]]]
    rest = len(chosen) - len(moves)
    what = f"capacities of single units, no fuller than the {MOST_UNITS} that are moved"
    left = (LeftOut(rest, what, "--input 'unit.*.capacity.*' moves all"),) if rest else ()
    return tuple(moves), left
