"""Who is asked what: the cascade as an icicle, stretch by unit and KPI, peers side by side."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from kpiopt.report.charts.heat import Slice, heat_map_figure, icicle_figure, split_map_figure
from kpiopt.report.charts.marks import PeerRow, peers_figure
from kpiopt.report.drawing.short import short
from kpiopt.report.numbers import amount, percent, relative_change, target_step
from kpiopt.report.page.page import PageFigure, PageSection, PageTable
from kpiopt.report.page.source import ReportSource
from kpiopt.scenario.scenario import Floats, Kpi
from kpiopt.simulation.results import peer_labels

MOST_ICICLES, MOST_SLICES, MANY_SLICES = 2, 260, 12
MOST_UNITS, MOST_KPIS = 40, 14
MOST_GROUPS, MOST_PEERS = 16, 40


def cascade_section(source: ReportSource) -> PageSection:
    """Return who is asked what."""
    blocks = [*_icicles(source), *_heat_map(source), *_peers(source)]
    return PageSection("Who is asked what", blocks=blocks)


def _icicles(source: ReportSource) -> Iterator[PageFigure]:
    """Draw the cascade of the goals' KPIs that add up, then of others; the first that have units below."""
    scenario, shown = source.scenario, 0
    wanted = dict.fromkeys([*(g.kpi for g in scenario.goals.values()), *scenario.kpis])
    for kpi in (scenario.kpis[k] for k in wanted):
        if kpi.roll_up != "sum" or shown == MOST_ICICLES:
            continue
        slices, left_out = _slices(source, kpi)
        if len(slices) < 2:
            continue
        shown += 1
        gap = " What is open at the right is nobody's: causes above add it." if _has_gap(source, kpi) else ""
        adds = "Each row adds up to the row above."
        if source.document.get("over_assignment"):
            adds = "Rows are as wide as the row above; targets with a cushion add up to more."
        note = f"{adds}{_shades(source, kpi)}{gap}{left_out}"
        title = f"Cascade, {kpi.name}"
        many = len(slices) > MANY_SLICES
        yield PageFigure(
            title, icicle_figure(slices, title, full=many), f"targets in {kpi.unit}" if kpi.unit else "", wide=many,
            full=many, note=note, table=_cascade_table(source, kpi, slices),
        )  # fmt: skip


def _slices(source: ReportSource, kpi: Kpi) -> tuple[list[Slice], str]:
    """Return the slices of a KPI's cascade, level by level as long as they can be read."""
    graph, units = source.graph, source.scenario.units
    root = graph.find_node(kpi.id, 0)
    if root < 0 or not source.targets[root] > 0:
        return [], ""
    below: dict[int, list[int]] = defaultdict(list)
    position, above = source.scenario.kpi_position[kpi.id], graph.roll_up_above[0]
    for child in np.flatnonzero((above >= 0) & (graph.kpi == position) & (graph.period < 0)).tolist():
        below[int(above[child])].append(child)
    growth = _growth(source)
    most = float(np.nanmax(np.abs(growth[graph.kpi == position]), initial=1e-12))
    row, slices = [(root, 0.0, 1.0)], []
    for depth in range(64):
        slices += [
            _slice(source, kpi, node, depth, left, width, float(growth[node]) / most) for node, left, width in row
        ]
        following = []
        for node, left, width in row:
            children = np.array(below[node], dtype=np.int64)
            children = children[units.order_in_file(graph.unit[children])].tolist()
            values = [max(0.0, float(source.targets[n])) for n in children]
            whole = max(sum(values), float(source.targets[node]))
            for child, value in zip(children, values, strict=True):
                following.append((child, left, width * value / whole if whole else 0.0))
                left += following[-1][2]
        if not following:
            return slices, ""
        if len(slices) + len(following) > MOST_SLICES:
            deepest = int(units.depth[graph.unit[following[0][0]]])
            return slices, f" {len(following):,} units at depth {deepest} and what is below them are left out."
        row = following
    return slices, ""


def _shades(source: ReportSource, kpi: Kpi) -> str:
    """Say what the shades mean."""
    most = np.nanmax(np.abs(_growth(source)[source.graph.kpi == source.scenario.kpi_position[kpi.id]]), initial=0.0)
    return f" Colour: what is asked beside the baseline, from 0 (lightest) to {percent(float(most))} (strongest)."


def _has_gap(source: ReportSource, kpi: Kpi) -> bool:
    """Whether some unit's target is more than those of the units below it add up to."""
    graph, position = source.graph, source.scenario.kpi_position[kpi.id]
    child = np.flatnonzero((graph.roll_up_above[0] >= 0) & (graph.kpi == position) & (graph.period < 0))
    parent = graph.roll_up_above[0][child]
    below, above = np.bincount(parent, source.targets[child], graph.n_nodes), np.unique(parent)
    return bool(np.any(source.targets[above] - below[above] > 1e-9 * np.abs(source.targets[above])))


def _growth(source: ReportSource) -> Floats:
    size = np.abs(source.graph.baseline)
    return np.where(size > 0, (source.targets - source.graph.baseline) / np.where(size > 0, size, 1.0), 0.0)


def _slice(source: ReportSource, kpi: Kpi, node: int, depth: int, left: float, width: float, share: float) -> Slice:
    baseline, target = float(source.graph.baseline[node]), float(source.targets[node])
    name = source.scenario.units.names[source.graph.unit[node]]
    grows = relative_change(target, baseline)
    hint = f"{name}: {amount(target, kpi.unit, target_step(kpi, target))} ({grows})"
    return Slice(name, depth, left, width, f"{short(target)} ({grows})", hint, abs(share))


def _cascade_table(source: ReportSource, kpi: Kpi, slices: list[Slice]) -> PageTable:
    rows = [("\u2003" * s.depth + s.name, *s.hint.removeprefix(f"{s.name}: ").rpartition(" (")[::2]) for s in slices]
    return PageTable(
        "", ("unit", "target", "growth"), [(name, target, grows.rstrip(")")) for name, target, grows in rows]
    )


def _heat_map(source: ReportSource) -> Iterator[PageFigure]:
    """Shade the stretch of cells within their ranges: units down, KPIs across; the most stretched first."""
    cells, scenario = source.scenario.horizon, source.scenario
    span = np.where(cells.has_decision, cells.max_stretch - cells.min_stretch, np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(span > 0, (source.whole_stretch - cells.min_stretch) / span, np.nan)
    decided = np.flatnonzero(np.isfinite(share))
    if not len(decided):
        return
    kpis = _most(cells.kpi[decided], share[decided], MOST_KPIS)
    most = np.array(_most(cells.unit[decided], share[decided], MOST_UNITS), dtype=np.int64)
    units = most[scenario.units.order_in_file(most)].tolist()
    at = {(int(cells.unit[i]), int(cells.kpi[i])): min(1.0, max(0.0, float(share[i]))) for i in decided.tolist()}
    ids = list(scenario.kpis.values())
    table = [[at.get((unit, kpi)) for kpi in kpis] for unit in units]
    figure = heat_map_figure([scenario.units.names[u] for u in units], [ids[k].name for k in kpis], table,
                             "Stretch by unit and KPI, in % of the range")  # fmt: skip
    n_units, n_kpis = len(np.unique(cells.unit[decided])), len(np.unique(cells.kpi[decided]))
    left_out = f"; {len(units)} of {n_units:,} units, {len(kpis)} of {n_kpis} KPIs, the most stretched" if (
        n_units > len(units) or n_kpis > len(kpis)) else ""  # fmt: skip
    note = "Colour: 0 (lightest) to 100 (strongest), as much as the range allows. Grey: nothing is decided there."
    yield PageFigure("Stretch by unit and KPI", figure, f"in % of each range{left_out}", note=note)
    if scenario.periods is not None:
        yield _when(source, units, kpis, left_out)


def _when(source: ReportSource, units: list[int], kpis: list[int], left_out: str) -> PageFigure:
    """Show when the stretch of the same units and KPIs is worked for: each square split into its periods."""
    scenario, periods = source.scenario, source.scenario.periods
    assert periods is not None
    cells, worked = scenario.horizon, source.stretch.reshape(-1, len(periods))
    total = worked.sum(axis=1)
    at = {
        (int(cells.unit[i]), int(cells.kpi[i])): [float(x) / float(total[i]) for x in worked[i]]
        for i in np.flatnonzero(cells.has_decision & (total > 0)).tolist()
    }
    names, ids = scenario.units.names, list(scenario.kpis.values())
    rows, columns = [names[u] for u in units], [ids[k].name for k in kpis]
    title = "When the stretch is worked for"
    table = [[at.get((unit, kpi)) for kpi in kpis] for unit in units]
    figure = split_map_figure(rows, columns, periods.names, table, title)
    note = f"Each bar is a period, {periods.names[0]} to {periods.names[-1]}: its share of the horizon's stretch."
    return PageFigure(title, figure, f"by unit, KPI and period{left_out}", note=note)


def _most(keys: np.ndarray[tuple[int], np.dtype[np.int64]], shares: Floats, most: int) -> list[int]:
    """Return the keys with the largest mean shares, in their own order."""
    found, inverse = np.unique(keys, return_inverse=True)
    mean = np.bincount(inverse, shares) / np.bincount(inverse)
    chosen = np.argsort(-np.round(mean, 9), kind="stable")[:most]
    return sorted(int(found[i]) for i in chosen)


def _peers(source: ReportSource) -> Iterator[PageFigure]:
    """Draw how much of their baseline peers are asked: the same KPI, the same values of `peers`."""
    graph, scenario = source.graph, source.scenario
    cells, kpis = scenario.horizon, list(scenario.kpis.values())
    size = np.maximum(np.abs(cells.baseline), scenario.kpi_step[cells.kpi])
    labels = [peer_labels(graph, name) for name in scenario.decide.peers]
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for cell in np.flatnonzero(cells.has_decision & (size > 0)).tolist():
        unit = int(cells.unit[cell])
        groups[kpis[cells.kpi[cell]].name, *(label[unit] for label in labels)].append(cell)
    share = source.whole_stretch / np.where(size > 0, size, 1.0)
    several = {key: found for key, found in groups.items() if len(found) > 1}
    if not several:
        return
    ordered = sorted(several, key=lambda key: -float(np.ptp(share[several[key]])))
    rows = [_peer_row(source, key, several[key], share) for key in ordered[:MOST_GROUPS]]
    more = f"; the {len(rows)} least equal of {len(several)} groups" if len(several) > len(rows) else ""
    yield PageFigure("Fairness among peers", peers_figure(rows, "stretch as a share of the baseline"),
                     f"one dot a unit, same {' and '.join(scenario.decide.peers) or 'KPI'}{more}")  # fmt: skip


def _peer_row(source: ReportSource, key: tuple[str, ...], cells: list[int], share: Floats) -> PeerRow:
    ordered = sorted(cells, key=lambda cell: float(share[cell]))
    if len(ordered) > MOST_PEERS:
        ordered = [ordered[round(i * (len(ordered) - 1) / (MOST_PEERS - 1))] for i in range(MOST_PEERS)]
    names = source.scenario.units.names
    role = "".join(f", {part}" for part in dict.fromkeys(key[1:]) if part and part != key[0])
    hints = [f"{names[source.scenario.horizon.unit[c]]}: {100 * share[c]:.1f} %" for c in ordered]
    return PeerRow(key[0], f"{role} ({len(cells)})", [float(share[c]) for c in ordered], hints)
