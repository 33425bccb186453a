"""Where cards stand: x by a small program that keeps arrows straight and the map narrow, y by rows.

minimise   sum over pieces of arrows of cost x |x_a - x_b|  +  width
so that    neighbours in a row keep their distance, groups hold their cards and do not touch each other
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import dataclass

from kpiopt.report.strategy_map.content import StrategyMap
from kpiopt.report.strategy_map.order import Chains, Order, lay_chains, order_rows
from kpiopt.report.strategy_map.program import Drafting
from kpiopt.report.strategy_map.rows import Rows, assign_rows

CARD, POINT = 166.0, 12.0
BESIDE = 14.0
INSET = 9.0
BETWEEN_GROUPS = 16.0
WIDE = 60.0
"""What a wider map costs, beside the bends of its arrows."""

LEFT = 60.0
"""Room for the names of perspectives, and for arrows that pass beside the first group."""
RIGHT = 14.0
TOP = 62.0
FOOT = 10.0
CHANNEL, NAME = 37.0, 14.0
"""Room between rows for arrows, and so much more where groups begin below, whose names stand there."""
BAND_TOP, BAND_BOTTOM, BETWEEN_BANDS = 32.0, 15.0, 14.0


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Right side."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """Lower side."""
        return self.y + self.height

    @property
    def middle(self) -> float:
        """Middle between left and right."""
        return self.x + 0.5 * self.width


@dataclass(frozen=True)
class Layout:
    """A map with places.

    Attributes
    ----------
    points : dict of str to Box
        Where arrows pass a row, as high as the row.
    """

    chains: Chains
    cards: dict[str, Box]
    groups: dict[str, Box]
    bands: tuple[Box, ...]
    points: dict[str, Box]
    width: float
    height: float


def lay_out_map(found: StrategyMap, heights: dict[str, float], least: float = 0.0) -> Layout:
    """Place everything.

    Parameters
    ----------
    heights : dict of str to float
        Height of each card.
    least : float
        Least width, that of the legend; a narrower map stands in the middle.
    """
    rows = assign_rows(found)
    chains = lay_chains(found, rows)
    order = order_rows(found, rows, chains)
    xs, spans, width = _place_across(found, rows, chains, order)
    full = max(LEFT + width + RIGHT, least)
    aside = LEFT + 0.5 * (full - LEFT - width - RIGHT)
    tops, sizes, bands = _place_down(found, rows, heights)
    items = {
        item: Box(
            aside + x - 0.5 * _width(item, chains),
            tops[chains.row[item]],
            _width(item, chains),
            sizes[chains.row[item]],
        )
        for item, x in xs.items()
    }
    cards = {c.id: Box(items[c.id].x, items[c.id].y, CARD, heights[c.id]) for c in found.cards}
    boxes = tuple(Box(6.0, y, full - 12.0, height) for y, height in bands)
    groups = {}
    for group in found.groups:
        inside = [cards[c.id] for c in found.cards if c.group == group.id]
        left, right = spans[group.id]
        top, bottom = min(b.y for b in inside) - 24.0, max(b.bottom for b in inside) + 8.0
        groups[group.id] = Box(aside + left, top, right - left, bottom - top)
    points = {item: box for item, box in items.items() if item not in chains.group}
    return Layout(chains, cards, groups, boxes, points, full, bands[-1][0] + bands[-1][1] + FOOT if bands else TOP)


def _width(item: str, chains: Chains) -> float:
    return CARD if item in chains.group else POINT


def _place_across(
    found: StrategyMap, rows: Rows, chains: Chains, order: Order
) -> tuple[dict[str, float], dict[str, tuple[float, float]], float]:
    """Return the middle of every item, left and right of every group, and the width of all."""
    draft = Drafting()
    column = {item: draft.column() for items in order for item in items}
    sides = {group.id: (draft.column(-0.02), draft.column(0.02)) for group in found.groups}
    width = draft.column(WIDE)
    for items in order:
        for a, b in itertools.pairwise(items):
            both_cards = a in chains.group and b in chains.group
            gap = BESIDE if both_cards else 0.4 * BESIDE
            draft.apart(column[a], column[b], 0.5 * (_width(a, chains) + _width(b, chains)) + gap)
        for item in items:
            half = 0.5 * _width(item, chains) + INSET
            left, right = sides[chains.group[item]] if item in chains.group else (None, width)
            draft.at_least(half, {column[item]: 1.0} if left is None else {column[item]: 1.0, left: -1.0})
            draft.apart(column[item], right, half)
    for before, after in _neighbours(rows, chains, order):
        draft.apart(sides[before][1], sides[after][0], BETWEEN_GROUPS)
    for _, right in sides.values():
        draft.apart(right, width, 0.0)
    for a, b in chains.links():
        passing = (a not in chains.group) + (b not in chains.group)
        draft.near(column[a], column[b], (1.0, 2.0, 6.0)[passing])
    values = draft.solve()
    spans = {group: (values[left], values[right]) for group, (left, right) in sides.items()}
    return {item: values[c] for item, c in column.items()}, spans, values[width]


def _neighbours(rows: Rows, chains: Chains, order: Order) -> set[tuple[str, str]]:
    """Return which group stands right of which, by band: all rows of a band have the same order of groups."""
    by_band: dict[int, list[list[str]]] = defaultdict(list)
    for row, items in enumerate(order):
        groups = dict.fromkeys(chains.group[item] for item in items if item in chains.group)
        by_band[rows.band(row)].append(list(groups))
    pairs = set()
    for orders in by_band.values():
        merged = _merged(orders)
        pairs |= set(itertools.pairwise(merged))
    return pairs


def _merged(orders: list[list[str]]) -> list[str]:
    """Merge orders that agree with each other into one."""
    after: dict[str, set[str]] = {g: set() for groups in orders for g in groups}
    for groups in orders:
        for i, group in enumerate(groups):
            after[group] |= set(groups[i + 1 :])
    merged: list[str] = []
    while len(merged) < len(after):
        merged.append(
            next(g for g in after if g not in merged and not any(g in after[o] for o in after.keys() - {*merged, g}))
        )
    return merged


def _place_down(
    found: StrategyMap, rows: Rows, heights: dict[str, float]
) -> tuple[list[float], list[float], list[tuple[float, float]]]:
    """Return top and height of every row, and top and height of every band."""
    sizes = [0.0] * rows.count
    for card in found.cards:
        sizes[rows.of_card[card.id]] = max(sizes[rows.of_card[card.id]], heights[card.id])
    first = {g.id: min(rows.of_card[c.id] for c in found.cards if c.group == g.id) for g in found.groups if g.name}
    tops, named = list[float](), set(first.values())
    bands, y = [], TOP
    for band in range(len(found.bands)):
        start = y
        y += BAND_TOP
        for row in range(rows.first[band], rows.first[band + 1]):
            tops.append(y)
            y += sizes[row] + (
                (CHANNEL + (NAME if row + 1 in named else 0.0)) if row + 1 < rows.first[band + 1] else 0.0
            )
        y += BAND_BOTTOM
        bands.append((start, y - start))
        y += BETWEEN_BANDS
    return tops, sizes, bands
