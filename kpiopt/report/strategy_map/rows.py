"""Which row each card stands in: effects above their causes, groups no wider than the map.

Within a band the rows are the optimum of a small program (Gansner et al. 1993, DOI 10.1109/32.221135): minimise the
sum of the arrows' heights, each at least one row. Rows that are too wide for the map are broken, group by group.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from kpiopt.report.strategy_map.content import Arrow, Card, StrategyMap
from kpiopt.report.strategy_map.program import Drafting
from kpiopt.report.strategy_map.tracing import reached

FEWEST_ROWS, MOST_ROWS = 2, 4
"""Rows that arrows within a band may ask for, on maps of many bands and of few."""

ROWS_PER_COLUMN = 1.28
"""Rows of a map as wide as a landscape page, for each card that stands side by side."""

FOOT = 1
"""So many more cards stand side by side at the foot, where they are low."""


@dataclass(frozen=True)
class Rows:
    """Rows from top to bottom.

    Attributes
    ----------
    first : tuple of int
        First row of each band, and behind the last one the number of rows.
    """

    of_card: dict[str, int]
    first: tuple[int, ...]

    @property
    def count(self) -> int:
        """Number of rows."""
        return self.first[-1]

    def band(self, row: int) -> int:
        """Return the band of a row."""
        return max(band for band, first in enumerate(self.first[:-1]) if first <= row)


def columns_for(n_cards: int) -> int:
    """Return how many cards stand side by side: fewer on small maps, so that texts stay large."""
    return next((columns for most, columns in ((8, 4), (18, 5), (30, 6), (60, 7)) if n_cards <= most), 9)


def rows_for(columns: int, n_bands: int) -> int:
    """Return how many rows arrows may ask for within a band, so that the map fits a landscape page."""
    return min(max(round(ROWS_PER_COLUMN * columns / max(1, n_bands)), FEWEST_ROWS), MOST_ROWS)


def assign_rows(found: StrategyMap) -> Rows:
    """Put every card of a map into a row."""
    band_of = {group.id: group.band for group in found.groups}
    most = columns_for(len([c for c in found.cards if c.kind in ("kpi", "objective")]))
    high = rows_for(most, len(found.bands))
    of_card: dict[str, int] = {}
    first = [0]
    for band in range(len(found.bands)):
        cards = [card for card in found.cards if band_of[card.group] == band]
        rows = _broken(
            cards, _stacked(cards, found.arrows, high), most + FOOT if found.bands[band].id == "foot" else most
        )
        used = sorted(set(rows.values()))
        of_card |= {card: first[-1] + used.index(row) for card, row in rows.items()}
        first.append(first[-1] + len(used))
    return Rows(of_card, tuple(first))


def _stacked(cards: Sequence[Card], arrows: Sequence[Arrow], high: int) -> dict[str, int]:
    """Return rows within a band, 0 on top, by the arrows within it."""
    ids = {card.id for card in cards}
    inside = [a for a in arrows if a.cause in ids and a.effect in ids and a.cause != a.effect]
    inside = _kept_in_order(inside, high)
    if not inside:
        return dict.fromkeys((card.id for card in cards), 0)
    draft = Drafting()
    column = {card.id: draft.column() for card in cards}
    for arrow in inside:
        draft.apart(column[arrow.effect], column[arrow.cause], 1.0)
        draft.near(column[arrow.effect], column[arrow.cause], 1.0 + arrow.share)
    lowest = draft.column(0.1)
    for place in column.values():
        draft.apart(place, lowest, 0.0)
    values = draft.solve()
    rows = {card.id: round(values[column[card.id]]) for card in cards}
    joined = {a.cause for a in inside} | {a.effect for a in inside}
    for card in cards:
        if card.id not in joined:
            rows[card.id] = _emptiest(card, cards, rows)
    return rows


def _kept_in_order(arrows: Sequence[Arrow], high: int) -> list[Arrow]:
    """Return the arrows that rows follow, the strongest first.

    Left out are those that would close a circle of KPIs (they can be circular though units are not) or make a band
    higher than `high` rows.
    """
    kept: list[Arrow] = []
    above: dict[str, int] = defaultdict(int)  # the longest chain of kept arrows that begins at a card, in arrows
    below: dict[str, int] = defaultdict(int)  # … that ends at it
    for arrow in sorted(arrows, key=lambda a: (-a.share, a.cause, a.effect)):
        is_circle = arrow.cause in reached(kept, arrow.effect, upstream=False)
        if is_circle or below[arrow.cause] + 1 + above[arrow.effect] >= high:
            continue
        kept.append(arrow)
        for card in reached(kept, arrow.cause, upstream=True):
            above[card] = _longest(kept, card, upstream=False)
        for card in reached(kept, arrow.effect, upstream=False):
            below[card] = _longest(kept, card, upstream=True)
    return kept


def _longest(arrows: Sequence[Arrow], card: str, *, upstream: bool) -> int:
    """Return the number of arrows of the longest chain from a card; there are no circles."""
    following = [a.cause if upstream else a.effect for a in arrows if (a.effect if upstream else a.cause) == card]
    return max((1 + _longest(arrows, other, upstream=upstream) for other in following), default=0)


def _emptiest(card: Card, cards: Sequence[Card], rows: dict[str, int]) -> int:
    """Return the row in which a card that nothing ties fits best: where its group has fewest cards."""
    group = [rows[other.id] for other in cards if other.group == card.group and other.id != card.id]
    return min(range(max(rows.values()) + 1), key=lambda row: (group.count(row), row))


def _broken(cards: Sequence[Card], rows: dict[str, int], most: int) -> dict[str, int]:
    """Break rows of the widest groups until all groups fit side by side."""
    rows = dict(rows)
    groups = list(dict.fromkeys(card.group for card in cards))
    while True:
        widest = {group: _widest(cards, rows, group) for group in groups}
        if sum(width for width, _ in widest.values()) <= most or all(width <= 1 for width, _ in widest.values()):
            return rows
        group = max(groups, key=lambda g: widest[g][0])
        width, row = widest[group]
        members = [card.id for card in cards if card.group == group]
        there = [id for id in members if rows[id] == row]
        for id in members:
            if rows[id] > row or id in there[(width + 1) // 2 :]:
                rows[id] += 1


def _widest(cards: Sequence[Card], rows: dict[str, int], group: str) -> tuple[int, int]:
    """Return how many cards the widest row of a group has, and which row that is."""
    count: dict[int, int] = defaultdict(int)
    for card in cards:
        if card.group == group:
            count[rows[card.id]] += 1
    row = max(count, key=lambda r: (count[r], -r))
    return count[row], row
