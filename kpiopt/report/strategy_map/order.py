"""Who stands beside whom: few crossings of arrows, groups in one piece.

Sweeps of barycentres with a check of neighbours (Sugiyama, Tagawa & Toda 1981, DOI 10.1109/TSMC.1981.4308636); the
order with fewest crossings is kept. An arrow over several rows passes each of them at a point of its own.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kpiopt.report.strategy_map.content import StrategyMap
from kpiopt.report.strategy_map.rows import Rows

SWEEPS = 14

Order = list[list[str]]


@dataclass(frozen=True)
class Chains:
    """Arrows as chains through the rows.

    Attributes
    ----------
    of_arrow : tuple of tuple of str
        For each arrow its cause, the points it passes, its effect.
    row : mapping of str to int
        Of cards and points.
    group : mapping of str to str
        Of cards; points have none.
    """

    of_arrow: tuple[tuple[str, ...], ...]
    row: Mapping[str, int]
    group: Mapping[str, str]

    def links(self) -> Iterable[tuple[str, str]]:
        """Return the pieces between one row and the next."""
        for chain in self.of_arrow:
            for a, b in itertools.pairwise(chain):
                if self.row[a] != self.row[b]:
                    yield a, b


def lay_chains(found: StrategyMap, rows: Rows) -> Chains:
    """Give every arrow a point in each row that it passes."""
    row = dict(rows.of_card)
    chains = []
    for number, arrow in enumerate(found.arrows):
        start, end = row[arrow.cause], row[arrow.effect]
        step = 1 if end > start else -1
        points = [f"{number}@{r}" for r in range(start + step, end, step)] if start != end else []
        row |= {point: start + step * (i + 1) for i, point in enumerate(points)}
        chains.append((arrow.cause, *points, arrow.effect))
    return Chains(tuple(chains), row, {card.id: card.group for card in found.cards})


def order_rows(found: StrategyMap, rows: Rows, chains: Chains) -> Order:
    """Return what stands in each row, from left to right."""
    arranger = _Arranger(found, rows, chains)
    best = arranger.arrange({})
    fewest = arranger.crossings(best)
    places = arranger.places(best)
    for sweep in range(SWEEPS):
        wanted = arranger.wanted(places, downwards=sweep % 2 == 0, both=sweep >= SWEEPS // 2)
        order = arranger.arrange(wanted)
        places = arranger.places(order)
        count = arranger.crossings(order)
        if count < fewest:
            best, fewest = order, count
    return arranger.swapped(best)


class _Arranger:
    def __init__(self, found: StrategyMap, rows: Rows, chains: Chains) -> None:
        self._rows, self._chains = rows, chains
        self._bands = [[g.id for g in found.groups if g.band == band] for band in range(len(found.bands))]
        self._members: list[list[str]] = [[] for _ in range(rows.count)]
        for item, row in chains.row.items():
            self._members[row].append(item)
        self._beside: dict[str, list[str]] = defaultdict(list)
        for a, b in chains.links():
            self._beside[a].append(b)
            self._beside[b].append(a)

    def wanted(self, places: Mapping[str, float], *, downwards: bool, both: bool) -> dict[str, float]:
        """Return where each item would like to stand: in the middle of what it is tied to."""
        row, result = self._chains.row, dict(places)
        order = range(self._rows.count) if downwards else range(self._rows.count - 1, -1, -1)
        for r in order:
            for item in self._members[r]:
                tied = [o for o in self._beside[item] if both or (row[o] < r) == downwards]
                if tied:
                    result[item] = sum(result[o] for o in tied) / len(tied)
        return result

    def arrange(self, wanted: Mapping[str, float]) -> Order:
        """Order groups within bands, cards within groups, then put the points between."""
        order: Order = [[] for _ in range(self._rows.count)]
        for band, groups in enumerate(self._bands):
            rows = range(self._rows.first[band], self._rows.first[band + 1])
            cards = {g: [c for r in rows for c in self._cards(r, g)] for g in groups}
            if wanted:
                middle = {g: float(np.mean([wanted.get(c, 0.0) for c in cards[g]])) for g in groups}
                groups = sorted(groups, key=middle.__getitem__)
            for r in rows:
                for group in groups:
                    order[r] += sorted(self._cards(r, group), key=lambda c: wanted.get(c, 0.0))
                order[r] = self._with_points(r, order[r], wanted)
        return order

    def _cards(self, row: int, group: str) -> list[str]:
        return [item for item in self._members[row] if self._chains.group.get(item) == group]

    def _with_points(self, row: int, cards: list[str], wanted: Mapping[str, float]) -> list[str]:
        points = [item for item in self._members[row] if item not in self._chains.group]
        middle = 0.5 * (len(cards) - 1)
        at = {card: wanted.get(card, i - middle) for i, card in enumerate(cards)}
        floor = -np.inf
        for card in cards:  # cards keep their order, so the places that points are compared with must rise
            at[card] = floor = max(at[card], floor)
        both = [(at[c], 1, i, c) for i, c in enumerate(cards)]
        both += [(wanted.get(p, 0.0), 0 if wanted.get(p, 0.0) < 0 else 2, i, p) for i, p in enumerate(points)]
        return [item for *_, item in sorted(both)]

    def places(self, order: Order) -> dict[str, float]:
        """Return a first x of every item: rows centred, points a quarter as wide as cards."""
        result: dict[str, float] = {}
        for items in order:
            widths = [1.0 if item in self._chains.group else 0.25 for item in items]
            x = -0.5 * sum(widths)
            for item, width in zip(items, widths, strict=True):
                result[item] = x + 0.5 * width
                x += width
        return result

    def crossings(self, order: Order, rows: Iterable[int] | None = None) -> int:
        """Count crossings between each row and the next one."""
        at = {item: i for items in order for i, item in enumerate(items)}
        wanted = range(self._rows.count - 1) if rows is None else rows
        return sum(_crossings([(at[a], at[b]) for a, b in self._between(r)]) for r in wanted)

    def _between(self, row: int) -> list[tuple[str, str]]:
        if not hasattr(self, "_by_row"):
            by_row: dict[int, list[tuple[str, str]]] = defaultdict(list)
            for a, b in self._chains.links():
                upper, lower = (a, b) if self._chains.row[a] < self._chains.row[b] else (b, a)
                by_row[self._chains.row[upper]].append((upper, lower))
            self._by_row = by_row
        return self._by_row[row]

    def swapped(self, order: Order) -> Order:
        """Swap neighbours as long as that takes crossings away, at most a few rounds."""
        order = [list(items) for items in order]
        for _ in range(4):
            gained = [self._swap_in(order, row) for row in range(len(order))]
            if not any(gained):
                break
        return order

    def _swap_in(self, order: Order, row: int) -> bool:
        near = [r for r in (row - 1, row) if 0 <= r < self._rows.count - 1]
        gained, items = False, order[row]
        for i in range(len(items) - 1):
            if not self._may_swap(items[i], items[i + 1]):
                continue
            before = self.crossings(order, near)
            items[i], items[i + 1] = items[i + 1], items[i]
            if self.crossings(order, near) < before:
                gained = True
            else:
                items[i], items[i + 1] = items[i + 1], items[i]
        return gained

    def _may_swap(self, a: str, b: str) -> bool:
        """Cards change places within their group; points with anything."""
        group = self._chains.group
        return a not in group or b not in group or group[a] == group[b]


def _crossings(links: Sequence[tuple[int, int]]) -> int:
    if len(links) < 2:
        return 0
    ends = np.array(links)
    first, second = ends[:, 0, None] - ends[None, :, 0], ends[:, 1, None] - ends[None, :, 1]
    return int(np.count_nonzero(first * second < 0) // 2)
