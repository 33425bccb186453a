"""Levers of a page: what moving an initiative or a KPI does, as data that the page's own script works with."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kpiopt.errors import printable
from kpiopt.graph import CausalGraph, EdgeKind
from kpiopt.graph.hand_down import weight_above
from kpiopt.plan.limit_names import limit_words
from kpiopt.report.numbers import decimals_of_step
from kpiopt.report.page.goals import goal_title
from kpiopt.report.page.lever_bends import bend_entries, bent_size, reached_entries
from kpiopt.report.page.lever_uses import LeverUses
from kpiopt.report.page.source import ReportSource
from kpiopt.report.strategy_map.collect import card_id
from kpiopt.report.strategy_map.content import Card, StrategyMap
from kpiopt.scenario.periods import split_period
from kpiopt.scenario.scenario import Floats
from kpiopt.simulation.odds import FEW, GRID_VARIANCE, student
from kpiopt.studies.bends import MOST_BENDS, Shown, bend_nodes
from kpiopt.studies.in_reach import without_idle_bounds
from kpiopt.studies.levers import MOST_DRAWS, Lever, LeverEffects, find_levers, lever_settings, measure_levers

MOST_BYTES = 2_600_000
"""Of the vectors of effects, as they stand in the page."""
MOST_LEVERS, MOST_LEVERS_BY_PERIOD, MOST_TRIES = 120, 240, 24
LIGHT = 50_000_000
"""Numbers that the levers of a page take where every run's page has them."""
LARGEST = 32767
TINY = 1e-12


def lever_data(source: ReportSource, found: StrategyMap) -> dict[str, Any] | None:
    """Return what the script of the levers works with; None where there is nothing to move or too much to draw."""
    graph, levers = _moved_graph(source)
    settings = lever_settings(graph)
    if settings is None or not levers or not source.scenario.goals or source.simulation is None:
        return None
    flows = _flows(source, found)
    shown = Shown(np.array([c.node for c in found.cards if _is_shown(c)], dtype=np.int64), flows)
    effects = measure_levers(graph, source.stretch, source.levels, levers, settings, shown)
    vectors, uses = _Vectors(effects.layout.draws, len(effects.bends.bends)), LeverUses(source)
    bends = bend_entries(effects.bends, [n for n, c in enumerate(found.cards) if _is_shown(c)], vectors.add)
    if bends is None:
        return None
    entries = [_entry(source, found, effects, i, vectors, uses, flows) for i in _largest_first(source, effects)]
    kept = [entry for entry in entries if entry is not None]
    layout, periods = effects.layout, source.scenario.periods
    goals = source.document["goals"]
    return {
        "replicates": layout.replicates, "size": layout.size, "few": FEW, "grid": GRID_VARIANCE,
        "student": student(max(1, layout.replicates - 1)),
        "goals": [printable(goal_title(source, g)) for g in goals],
        "margins": [_b64(_float32(margin)) for margin in effects.margins],
        "bends": bends, "bases": [_b64(base.astype("<f4")) for base in effects.bends.base],
        "vectors": _b64(vectors.array()), "scales": vectors.scales,
        "levers": kept, "limits": _limits(source),
        "cards": [[_unit_of_change(c), decimals_of_step(step) if (step := _step(source, c.id)) else None,
                   printable(c.name)] for c in found.cards],
        "left_out": _count(source) - len(kept), "periods": [] if periods is None else list(periods.names),
    }  # fmt: skip


def _moved_graph(source: ReportSource) -> tuple[CausalGraph, tuple[Lever, ...]]:
    """Return the graph that levers are measured on, without bounds that nobody can reach with them, and the levers.

    Where all of them reach more bounds than there is room for, initiatives stay, and KPIs with which there still is.
    """
    most = MOST_LEVERS if source.scenario.periods is None else MOST_LEVERS_BY_PERIOD
    levers = find_levers(source.graph, most)
    settings = lever_settings(source.graph, bends=len(source.graph.curves.node))
    if settings is None or not levers:
        return source.graph, levers

    def reached_by(chosen: Sequence[Lever]) -> CausalGraph:
        ends = [_ends(source, lever) for lever in chosen]
        own = [lever.own for lever in chosen]
        return without_idle_bounds(source.graph, source.stretch, source.levels, own, ends, settings)

    every = reached_by(levers)
    if len(bend_nodes(every)) <= MOST_BENDS:
        return every, levers
    chosen = [lever for lever in levers if lever.name.startswith("initiative.")]
    graph = reached_by(chosen)
    if len(bend_nodes(graph)) > MOST_BENDS:
        return every, levers
    for lever in [lever for lever in levers if lever.name.startswith("kpi.")][:MOST_TRIES]:
        more = reached_by([*chosen, lever])
        if len(bend_nodes(more)) <= MOST_BENDS:
            chosen, graph = [*chosen, lever], more
    return graph, tuple(chosen)


def are_light(source: ReportSource) -> bool:
    """Return whether levers take so little that every run's page has them: about a fifth of a second."""
    graph, settings = source.graph, source.scenario.simulation
    if source.simulation is None or not source.scenario.goals:
        return False
    sweeps = min(_count(source), MOST_LEVERS) + min(len(bend_nodes(graph)), MOST_BENDS)
    return (graph.n_nodes + len(graph.tail)) * sweeps * min(settings.draws, MOST_DRAWS) <= LIGHT


def why_no_levers(source: ReportSource) -> str:
    """Say why nothing can be moved on the page; "" where it is only that there is nothing to move."""
    bends = len(bend_nodes(_moved_graph(source)[0]))
    if not bends:
        return ""
    return (
        f"Nothing can be moved here: curves and bounds of KPIs act at {bends:,} places, and a page has room for "
        f"{MOST_BENDS} at most. kpiopt simulate RUN --act … --do … answers the same questions."
    )


def _count(source: ReportSource) -> int:
    """Return how many things could be moved."""
    cells, periods = source.scenario.cells, source.scenario.periods
    kpis = len(np.unique(cells.kpi[cells.has_decision]))
    return source.graph.n_levels + kpis * (1 if periods is None else len(periods) + 1)


def lever_cards(data: dict[str, Any], found: StrategyMap) -> set[str]:
    """Return the ids of the cards that get a lever."""
    return {found.cards[entry["card"]].id for entry in data["levers"]}


def _step(source: ReportSource, card: str) -> float | None:
    kind, _, id = card.partition(".")
    return source.scenario.kpis[id].step if kind == "kpi" else None


def _largest_first(source: ReportSource, effects: LeverEffects) -> list[int]:
    """Order levers by the most that they can change any goal, in the spread of its margin."""
    spread = np.maximum(effects.margins.std(axis=1), TINY)
    most = [max(abs(end) for end in _range(source, lever)[:2]) for lever in effects.levers]
    straight = np.abs(effects.on_goals.mean(axis=2)) + bent_size(effects.bends)
    moved = (straight / spread).max(axis=1, initial=0.0) * np.array(most)
    order = np.argsort(-np.round(moved, 9), kind="stable")
    return [int(i) for i in order]


def _range(source: ReportSource, lever: Lever) -> tuple[float, float, float]:
    """Return the least and the largest move of a lever, and where it stands: an initiative's level, else 0."""
    graph, cells, scenario = source.graph, source.scenario.horizon, source.scenario
    if lever.name.startswith("initiative."):
        row = int(graph.level[np.flatnonzero(lever.own)[0]])
        most = list(scenario.initiatives.values())[graph.level_initiative[row]].maximum
        level = float(source.levels[row])
        return -level, most - level, level
    kpi, period = period_of(source, lever.name.removeprefix("kpi."))
    position = scenario.kpi_position[kpi]
    above, counts = weight_above(graph, 0)[graph.cell_node], np.abs(graph.per_stretch)
    room = np.where((scenario.cells.kpi == position) & scenario.cells.has_decision, above * counts, 0.0)
    down, up = source.whole_stretch - cells.min_stretch, cells.max_stretch - source.whole_stretch
    base = np.arange(len(cells))
    if scenario.periods is not None:
        last = len(scenario.periods) - 1
        base = base * len(scenario.periods) + (last if period < 0 else period)
        # What the horizon's value counts of the period is not asked of the move in that period itself.
        room = room if period < 0 else _by_itself(source, room, position, period)
        if period >= 0:
            down = np.minimum(down, (source.stretch - scenario.cells.min_stretch)[base])
            up = np.minimum(up, (scenario.cells.max_stretch - source.stretch)[base])
    worse, better = float(room[base] @ np.nan_to_num(down)), float(room[base] @ np.nan_to_num(up))
    return (-worse, better, 0.0) if scenario.kpi_sign[position] > 0 else (-better, worse, 0.0)


def _slider(source: ReportSource, lever: Lever) -> tuple[float, float, float]:
    """Return between which values a lever can be pulled, and in which steps.

    That is an initiative's level, or by how much a KPI is moved, up to a quarter beyond its range.
    """
    kind, _, id = period_of(source, lever.name)[0].partition(".")
    if kind == "initiative":
        initiative = source.scenario.initiatives[id.partition("@")[0]]
        return 0.0, initiative.maximum, 1.0 if initiative.whole else _tidy(initiative.maximum)
    least, most, _ = _range(source, lever)
    step = _tidy(most - least or 1.0)
    room = math.ceil((0.25 * (most - least) or 1.0) / step)
    first, last = math.floor(least / step + TINY) - room, math.ceil(most / step - TINY) + room
    return float(f"{first * step:.12g}"), float(f"{last * step:.12g}"), step


def _ends(source: ReportSource, lever: Lever) -> tuple[float, float]:
    """Return the least and the largest move of a lever that can be pulled."""
    first, last, _ = _slider(source, lever)
    level = _range(source, lever)[2]
    return first - level, last - level


def _tidy(size: float) -> float:
    """Return a round number, at most a fiftieth of a size, of which the size is a multiple where there is one.

    Examples
    --------
    >>> _tidy(6), _tidy(1), _tidy(5.25), _tidy(9_000)
    (0.1, 0.02, 0.05, 100.0)
    """
    power = 10.0 ** math.floor(math.log10(size / 50))
    every = [float(f"{times * power * scale:.12g}") for scale in (1.0, 0.1, 0.01) for times in (5, 2, 1)]
    steps = [step for step in every if step <= size / 50 * (1 + TINY)]
    return next((step for step in steps if abs(size / step - round(size / step)) <= 1e-9 * size / step), steps[0])


def _by_itself(source: ReportSource, room: Floats, kpi: int, period: int) -> Floats:
    """Return what cells count in the value of their period at the root, from what they count in the horizon's."""
    periods, kind = source.scenario.periods, list(source.scenario.kpis.values())[kpi].kind
    assert periods is not None
    if kind == "stock":
        carry = float(periods.carry[kpi])
        counted = carry ** (len(periods) - 1 - period)
    else:
        counted = 1.0 if kind == "flow" else float(periods.season[kpi, period])
    return room / counted if counted > TINY else np.zeros_like(room)


def period_of(source: ReportSource, name: str) -> tuple[str, int]:
    """Split "name/period" into the name and the period's position; -1 where it names none."""
    plain, when = split_period(source.scenario.periods, name)
    periods = source.scenario.periods
    return plain, periods.position[when.removeprefix(" in ")] if periods is not None and when else -1


def _entry(
    source: ReportSource,
    found: StrategyMap,
    effects: LeverEffects,
    i: int,
    vectors: _Vectors,
    uses: LeverUses,
    arrows: sp.csr_array,
) -> dict[str, Any] | None:
    """Return one lever, None where it moves no goal or the page has no room for it."""
    lever, names = effects.levers[i], {card.id: n for n, card in enumerate(found.cards)}
    plain, period = period_of(source, lever.name)
    kind, _, rest = plain.partition(".")
    id, _, unit = rest.partition("@")
    card = names.get(f"{kind}.{id}")
    on_goals = [[g, *vectors.add(effects.on_goals[i, g])] for g in range(len(effects.margins))]
    on_goals = [entry for entry in on_goals if entry[2]]
    reached = reached_entries(effects.bends, i, vectors.add)
    if card is None or not on_goals + reached or any(entry[1] is None for entry in on_goals + reached):
        return None
    least, most, level = _range(source, lever)
    scenario = source.scenario
    whole = kind == "initiative" and scenario.initiatives[id].whole
    where = scenario.units.names[scenario.units.position[unit]] if unit else ""
    flows = effects.on_nodes[i]
    return {
        "name": lever.name, "card": card, "title": printable(found.cards[card].name), "where": printable(where),
        "whole": whole, "unit": _unit_of_change(found.cards[card]), "least": least, "most": most, "level": level,
        "slide": _slider(source, lever),
        "goals": on_goals, "bends": reached,
        "nodes": [[n, flows[c.node]] for n, c in enumerate(found.cards)
                  if _is_shown(c) and abs(flows[c.node]) > TINY],
        "arrows": [[n, v] for n, v in enumerate((arrows @ effects.carried[i]).tolist()) if abs(v) > TINY],
        "uses": uses.of(lever),
        **({"levels": [0.0, *scenario.initiatives[id].levels]} if unit and scenario.initiatives[id].levels else {}),
        **({} if scenario.periods is None else {"period": period}),
    }  # fmt: skip


def _unit_of_change(card: Card) -> str:
    """Return the unit of a change on a card: that of a KPI in % is so many points."""
    return "points" if card.unit.strip() == "%" else printable(card.unit)


def _is_shown(card: Card) -> bool:
    return card.kind == "kpi" and card.node >= 0


def _flows(source: ReportSource, found: StrategyMap) -> sp.csr_array:
    """Return which edges of the graph make up each arrow of the map, by what they count at the root."""
    graph, above = source.graph, weight_above(source.graph, 0)
    number = {(a.cause, a.effect): n for n, a in enumerate(found.arrows)}
    curve = graph.curves.place(graph.tail)
    tail = np.where(curve >= 0, graph.curves.tail[curve], graph.tail) if len(graph.curves.node) else graph.tail
    into_curves = np.isin(graph.head, graph.curves.node)
    between = ~np.isin(graph.edge_kind, [EdgeKind.ROLL_UP, EdgeKind.TIME]) & ~into_curves & (above[graph.head] != 0)
    arrows, edges = [], []
    for edge in np.flatnonzero(between).tolist():
        arrow = number.get((card_id(graph, int(tail[edge])), card_id(graph, int(graph.head[edge]))))
        if arrow is not None:
            arrows.append(arrow)
            edges.append(edge)
    shape = (len(found.arrows), len(graph.tail))
    return sp.csr_array((above[graph.head[edges]] if edges else [], (arrows, edges)), shape=shape)


def _limits(source: ReportSource) -> list[list[Any]]:
    return [
        [printable(limit_words(source.scenario, e["name"])), e["limit"], e["used"]] for e in source.document["limits"]
    ]


class _Vectors:
    """Effects by draw, quantised to 16 bits; equal ones, up to a factor, stand once."""

    def __init__(self, draws: int, bends: int) -> None:
        self._rows: list[NDArray[np.int16]] = []
        self._known: dict[bytes, int] = {}
        self._most = int(MOST_BYTES * 3 / 4 / 2 / draws) - 2 * bends  # what reaches a bend stands in 32 bits
        self.scales: list[float] = []

    def add(self, values: Floats) -> tuple[int | None, float]:
        """Return the number of a vector and the factor it is taken times; -1 for a constant, None without room."""
        low, high = float(values.min()), float(values.max())
        peak = float(values[np.argmax(np.abs(values))])
        if high - low <= 1e-9 * abs(peak) or abs(peak) <= TINY:
            return -1, 0.0 if abs(peak) <= TINY else float(values.mean())
        row = np.rint(values * (LARGEST / peak)).astype(np.int16)
        key = row.tobytes()
        if key not in self._known:
            if len(self._rows) >= self._most:
                return None, peak
            self._known[key] = len(self._rows)
            self._rows.append(row)
        return self._known[key], peak / LARGEST

    def array(self) -> NDArray[np.int16]:
        """Return all vectors, one after another."""
        return np.concatenate(self._rows).astype("<i2") if self._rows else np.empty(0, dtype="<i2")


def _float32(margin: Floats) -> NDArray[np.float32]:
    """Round margins to 32 bits and keep their signs: what is hit stays hit."""
    short = margin.astype("<f4")
    return np.where((short >= 0) == (margin >= 0), short, np.float32(-1e-30)).astype("<f4")


def _b64(values: NDArray[Any]) -> str:
    return base64.b64encode(values.tobytes()).decode()


def lever_lines(data: dict[str, Any]) -> Iterator[str]:
    """Say what the levers rest on and what was left out."""
    draws = data["replicates"] * data["size"]
    yield (
        f"Every move is judged in the same {draws:,} draws, before and after; changes on cards are means over them. "
        "Arrows that a move does not go along are pale meanwhile."
    )
    if data["periods"]:
        yield (
            "A KPI's lever moves all periods: what adds up by its season, all else alike in each; or the chosen period "
            "alone. An initiative's is begun in the chosen period, else in the first in which it may."
        )
    if data["left_out"]:
        yield (
            f"{data['left_out']:,} levers that move no goal, move the goals least, or meet more bounds of KPIs than a "
            "page has room for, are left out."
        )
