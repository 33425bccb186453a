"""Response curves: what reaches a curve is the change of its hub, what it hands on has a column of its own.

Where it bends against the favour of the goals, rows are enough: no plan gains by standing off the curve, and the plan's
values are read from the curve itself. Elsewhere straight pieces are filled one after the other, by whole numbers.
Symbols: u_v what reaches curve v, y_v what it hands on, q_vj how far piece j is filled, z_vj whether it is full.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from kpiopt.graph import CausalGraph, NodeKind
from kpiopt.program.formulation.blocks import Columns, ProgramBuilder, Terms, label_of
from kpiopt.program.formulation.elimination import Elimination
from kpiopt.scenario.scenario import Floats, Integers

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class ResponseColumns:
    """Columns of the curves.

    Attributes
    ----------
    hub : (n_curves,) int
        Position of each curve among the hubs, ascending.
    response : Columns
        y_v, one for each of them.
    pieces : tuple of (ends, values)
        Ends of the straight pieces that what reaches each curve can come to, and the curve's values there.
    side : (n_curves,) int
        1 where rows hold y_v from above, -1 from below, 0 where pieces are filled.
    part : Columns
        q_vj, one for each piece of those that are filled.
    part_of : (n_parts,) int
        Position in `response` of each of them.
    full : Columns
        z_vj, one for each piece but the last.
    """

    hub: Integers
    response: Columns
    pieces: tuple[tuple[Floats, Floats], ...]
    side: Integers
    part: Columns
    part_of: Integers
    full: Columns


def add_responses(
    build: ProgramBuilder, graph: CausalGraph, ways: Elimination, change: Columns, wanted: tuple[Flags, Flags]
) -> ResponseColumns:
    """y_v in the box of what curve v makes of u_v;  q_vj in [0, length of piece j];  z_vj in {0, 1}.

    Parameters
    ----------
    wanted : pair of (n_hubs,) bool
        Whether more and whether less of each hub's change may help, before anything that hubs do to each other.
    """
    place = graph.curves.place(ways.hub)
    hub = np.flatnonzero(place >= 0)
    curves = [graph.curves.curve[i] for i in place[hub].tolist()]
    boxes = zip(curves, change.lower[hub].tolist(), change.upper[hub].tolist(), strict=True)
    pieces = tuple(curve.pieces(low, high) for curve, low, high in boxes)
    side = _sides(graph, ways, hub, pieces, wanted)
    labels = [change.label(h) for h in hub.tolist()]
    ends = [(y.min(), y.max()) for _, y in pieces]
    low, high = np.array(ends, dtype=np.float64).reshape(-1, 2).T
    room = 1e-6 * np.maximum(np.maximum(np.abs(low), np.abs(high)), 1e-3)
    response = build.add_columns("response", low - room, high + room, labels.__getitem__)
    counts = [len(x) - 1 if s == 0 and len(x) > 2 else 0 for (x, _), s in zip(pieces, side.tolist(), strict=True)]
    of = np.repeat(np.arange(len(hub)), counts)
    lengths = [np.diff(pieces[i][0]) for i, count in enumerate(counts) if count]
    names = [f"{labels[i]}: {x:.10g}" for i, n in enumerate(counts) for x in pieces[i][0][1 : n + 1].tolist()]
    length = np.concatenate([np.empty(0), *lengths])
    part = build.add_columns("part", np.zeros(len(of)), length, names.__getitem__)
    inner = np.flatnonzero(of[1:] == of[:-1])
    ones = np.ones(len(inner))
    label = partial(label_of, [names[i] for i in inner.tolist()])
    full = build.add_columns("full", 0.0 * ones, ones, label, ones.astype(bool))
    return ResponseColumns(hub, response, pieces, side, part, of, full)


def _sides(
    graph: CausalGraph,
    ways: Elimination,
    hub: Integers,
    pieces: Sequence[tuple[Floats, Floats]],
    wanted: tuple[Flags, Flags],
) -> Integers:
    """Decide curve by curve whether rows are enough: 1 where more helps a concave one, -1 where less a convex one.

    Follows the ways back: what helps a goal, helps a hub that has a way to it. Where both more and less may help, or a
    curve rises and falls, whole numbers are left.
    """
    more, less = (flags.copy() for flags in wanted)
    of, side = {h: i for i, h in enumerate(hub.tolist())}, np.zeros(len(hub), dtype=np.int64)
    node_hub = np.full(graph.n_nodes, -1, dtype=np.int64)
    node_hub[ways.hub] = np.arange(len(ways.hub))
    leaves = [np.empty(0, dtype=np.int64)] * len(ways.hub)
    from_hub = np.flatnonzero(node_hub[ways.tail] >= 0)
    for way in from_hub.tolist():
        leaves[node_hub[ways.tail[way]]] = np.append(leaves[node_hub[ways.tail[way]]], way)
    for h in range(len(ways.hub) - 1, -1, -1):
        rises, into = ways.weight[leaves[h]] > 0.0, ways.into[leaves[h]]
        up = bool(np.any(np.where(rises, more[into], less[into])))
        down = bool(np.any(np.where(rises, less[into], more[into])))
        if h in of:
            slope = _slopes(*pieces[of[h]])
            if not (up and down):
                side[of[h]] = _bends_against(slope, up)
            up, down = (
                (up and bool(np.any(slope > 0.0))) or (down and bool(np.any(slope < 0.0))),
                (down and bool(np.any(slope > 0.0))) or (up and bool(np.any(slope < 0.0))),
            )
        more[h], less[h] = more[h] or up, less[h] or down
    return side


def _bends_against(slope: Floats, more: bool) -> int:
    """Return 1 for slopes that fall where more is wanted, -1 for slopes that rise where less is, else 0."""
    if len(slope) < 2:
        return 0
    falls, rises = bool(np.all(np.diff(slope) < 0.0)), bool(np.all(np.diff(slope) > 0.0))
    return 1 if more and falls else -1 if not more and rises else 0


def add_curve_rows(build: ProgramBuilder, columns: ResponseColumns, change: Columns) -> None:
    """y_v <= k_j + m_j u_v for each piece j of slope m_j where more of y_v helps and slopes fall;  >= the other way.

    = where there is one piece. Elsewhere y_v - sum_j m_j q_vj = y_v at the least u_v.
    """
    row: dict[str, list[float]] = {key: [] for key in ("of", "slope", "low", "high")}
    labels, filled = list[str](), list[int]()
    for i, ((x, y), side) in enumerate(zip(columns.pieces, columns.side.tolist(), strict=True)):
        if side == 0 and len(x) > 2:
            filled.append(i)
            continue
        for j, slope in enumerate(_slopes(x, y).tolist()):
            constant = float(y[j] - slope * x[j])
            row["of"].append(i)
            row["slope"].append(slope)
            row["low"].append(-np.inf if side > 0 else constant)
            row["high"].append(np.inf if side < 0 else constant)
            labels.append(f"{columns.response.label(i)}: {slope:.10g}")
    of, each = np.array(row["of"], dtype=np.int64), np.arange(len(labels))
    parts = np.arange(len(columns.part_of))
    at = len(labels) + np.searchsorted(np.array(filled, dtype=np.int64), columns.part_of)
    start = [float(columns.pieces[i][1][0]) for i in filled]
    rise = np.concatenate([np.empty(0), *(_slopes(*columns.pieces[i]) for i in filled)])
    more = len(labels) + np.arange(len(filled))
    terms = [
        Terms(columns.response, each, of, np.ones(len(of))),
        Terms(change, each, columns.hub[of], -np.array(row["slope"], dtype=np.float64)),
        Terms(columns.response, more, np.array(filled, dtype=np.int64), np.ones(len(filled))),
        Terms(columns.part, at, parts, -rise),
    ]
    labels += [columns.response.label(i) for i in filled]
    low, high = (np.array([*row[end], *start], dtype=np.float64) for end in ("low", "high"))
    build.add_rows("curve", terms, low, high, partial(label_of, labels))


def _slopes(x: Floats, y: Floats) -> Floats:
    return np.diff(y) / np.where(np.diff(x) > 0.0, np.diff(x), 1.0)


def add_part_rows(build: ProgramBuilder, columns: ResponseColumns, change: Columns) -> None:
    """u_v - sum_j q_vj = the least u_v;  q_vj >= length_j z_vj and q_v(j+1) <= length_(j+1) z_vj, piece by piece."""
    of, n = columns.part_of, len(columns.full)
    filled, row = np.unique(of, return_inverse=True)
    start = np.array([columns.pieces[i][0][0] for i in filled.tolist()], dtype=np.float64)
    terms = [
        Terms(change, np.arange(len(filled)), columns.hub[filled], np.ones(len(filled))),
        Terms(columns.part, row, np.arange(len(of)), -np.ones(len(of))),
    ]
    build.add_rows(
        "pieces", terms, start, start, partial(label_of, [columns.response.label(i) for i in filled.tolist()])
    )
    inner, each, length = np.flatnonzero(of[1:] == of[:-1]), np.arange(n), columns.part.upper
    terms = [
        Terms(columns.part, each, inner, np.ones(n)),
        Terms(columns.full, each, each, -length[inner]),
        Terms(columns.part, n + each, inner + 1, np.ones(n)),
        Terms(columns.full, n + each, each, -length[inner + 1]),
    ]
    nothing, endless = np.zeros(n), np.full(n, np.inf)
    labels = [f"{columns.full.label(i)}, {end}" for end in ("full", "next") for i in range(n)]
    low, high = np.concatenate([nothing, -endless]), np.concatenate([endless, nothing])
    build.add_rows("filled", terms, low, high, partial(label_of, labels))


def response_ways(graph: CausalGraph, ways: Elimination, columns: ResponseColumns) -> Terms:
    """- c_vh y_v for ways from curves."""
    here = np.flatnonzero(graph.kind[ways.tail] == NodeKind.CURVE)
    member = np.searchsorted(columns.hub, np.searchsorted(ways.hub, ways.tail[here]))
    return Terms(columns.response, ways.into[here], member, -ways.weight[here])
