"""The way of each arrow: out of one card, through the gaps between rows, into the other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from kpiopt.report.drawing.fit import fit, text_width
from kpiopt.report.drawing.svg import number
from kpiopt.report.strategy_map.content import Group, StrategyMap
from kpiopt.report.strategy_map.positions import Box, Layout

MARGIN = 20.0
NAME_LEFT, NAME_HIGH, STAR_ROOM = 9.0, 28.0, 14.0
LEAST_STEP = 6.0
NAMES_RIGHT = 40.0
"""Where the names of perspectives end."""
STEP = 13.0
TIP = 7.0
FLAT, NEAR, LANE = 24.0, 12.0, 7.0
"""How far a bend goes across to have a lane of its own, how near others are told apart, and how far lanes are."""

Place = tuple[float, float]
Leg = tuple[Place, Place]


@dataclass(frozen=True, slots=True)
class Route:
    """An arrow as paths.

    Attributes
    ----------
    line, tip : str
        Data of the two paths.
    """

    line: str
    tip: str


@dataclass(frozen=True, slots=True)
class _Port:
    """One end of an arrow: which side of which card, and where the arrow goes from there."""

    arrow: int
    card: str
    is_top: bool
    towards: float


def group_label(group: Group, box: Box) -> tuple[str, float]:
    """Return the name that stands at the left on top of a group, and how far to the right it reaches."""
    shift = STAR_ROOM if group.critical else 0.0
    name = fit(group.name, 11, box.width - 2 * NAME_LEFT - shift, bold=True)
    return name, box.x + NAME_LEFT + shift + text_width(name, 11, bold=True) + 4


def route_arrows(found: StrategyMap, layout: Layout) -> list[Route]:
    """Return the way of every arrow of a map."""
    labels = _labels(found, layout)
    ports = _spread(list(_ports(found, layout)), layout, labels)
    above = {card.id: layout.groups[card.group].y for card in found.cards if card.id in labels}
    aside = _clear_of_names(found, layout)
    names = [(b.x, group_label(g, b)[1], b.y) for g in found.groups if g.name for b in [layout.groups[g.id]]]
    routes, ways, ends = list[Route | None](), list[list[Leg]](), list[str]()
    for i, arrow in enumerate(found.arrows):
        chain = layout.chains.of_arrow[i]
        start, end = layout.cards[arrow.cause], layout.cards[arrow.effect]
        row = layout.chains.row
        x1, x2 = ports[i, arrow.cause], ports[i, arrow.effect]
        if row[arrow.cause] == row[arrow.effect]:
            routes.append(_beside(start, end, x1, x2))
            ways.append([])
            ends.append("")
            continue
        up = row[arrow.cause] > row[arrow.effect]
        y1, y2 = (start.y, end.bottom) if up else (start.bottom, end.y)
        passed = [layout.points[point] for point in chain[1:-1]]
        xs = [aside.get(point, layout.points[point].middle) for point in chain[1:-1]]
        stops = [(x, *((b.bottom, b.y) if up else (b.y, b.bottom))) for x, b in zip(xs, passed, strict=True)]
        tip = TIP if up else -TIP
        # Straight past the name of the group, which would hide a bend.
        if up and above.get(arrow.cause, -1.0) > (stops[0][1] if stops else y2 + tip):
            stops.insert(0, (x1, y1, above[arrow.cause]))
        elif not up and (stops[-1][2] if stops else y1) < above.get(arrow.effect, -1.0):
            stops.append((x2, above[arrow.effect], y2 + tip))
        routes.append(None)
        ways.append([_over_names(leg, k, names) for k, leg in enumerate(_legs((x1, y1), stops, (x2, y2 + tip)))])
        ends.append(_tip(x2, y2, up=up))
    lanes = _lanes(ways)
    return [
        route or Route(_through(way, [lanes.get((i, k)) for k in range(len(way))]), tip)
        for i, (route, way, tip) in enumerate(zip(routes, ways, ends, strict=True))
    ]


def _legs(start: Place, stops: list[tuple[float, float, float]], end: Place) -> list[Leg]:
    """Return the bends of a way, between its straight parts."""
    places, legs = [start], []
    for middle, entry, leave in stops:
        legs.append((places[-1], (middle, entry)))
        places.append((middle, leave))
    return [*legs, (places[-1], end)]


def _over_names(leg: Leg, place: int, names: list[tuple[float, float, float]]) -> Leg:
    """Begin a bend upwards only above the names of groups that it would pass behind."""
    (x, y), (to, end) = leg
    if place and end < y and abs(to - x) >= FLAT:
        over = [top for left, right, top in names if end < top < y <= top + NAME_HIGH and min(x, to) < right
                and left < max(x, to)]  # fmt: skip
        y = min([y, *over])
    return (x, y), (to, end)


def _lanes(ways: list[list[Leg]]) -> dict[tuple[int, int], float]:
    """Return the height of the flat part of bends that would lie on each other: apart, ordered so that few cross."""
    flat = {}
    for i, way in enumerate(ways):
        for k, (a, b) in enumerate(way):
            if abs(a[0] - b[0]) >= FLAT:
                flat[i, k] = (a, b) if a[1] >= b[1] else (b, a)  # from below to above
    left, found = sorted(flat, key=lambda at: flat[at][0][1] + flat[at][1][1]), dict[tuple[int, int], float]()
    while left:
        (below, above), together = flat[left[0]], []
        middle = 0.5 * (below[1] + above[1])
        for at in left:
            (low, high) = flat[at]
            if 0.5 * (low[1] + high[1]) - middle < NEAR and high[1] < middle < low[1]:
                together.append(at)
        left = [at for at in left if at not in together]
        right = sorted((at for at in together if flat[at][1][0] > flat[at][0][0]), key=lambda at: flat[at][0][0])
        back = sorted((at for at in together if at not in right), key=lambda at: -flat[at][0][0])
        ordered = [*back, *right]
        top = max(flat[at][1][1] for at in together)
        lowest = min(0.5 * (flat[at][0][1] + flat[at][1][1]) for at in together)  # names of groups stand below it
        apart = min(LANE, max(0.0, lowest - top - 3.0) / max(1, len(ordered) - 1))
        for n, at in enumerate(ordered):
            found[at] = lowest + (n + 1 - len(ordered)) * apart
    return found


def _ports(found: StrategyMap, layout: Layout) -> Iterator[_Port]:
    row = layout.chains.row
    for i, arrow in enumerate(found.arrows):
        chain = layout.chains.of_arrow[i]
        for card, following in ((arrow.cause, chain[1]), (arrow.effect, chain[-2])):
            box = layout.points.get(following) or layout.cards[following]
            is_top = row[following] <= row[card]
            yield _Port(i, card, is_top, box.middle)


def _labels(found: StrategyMap, layout: Layout) -> dict[str, float]:
    """Return the cards right below the name of their group, and where that name ends."""
    ends = {g.id: group_label(g, layout.groups[g.id])[1] for g in found.groups if g.name}
    below = [c for c in found.cards if c.group in ends and layout.cards[c.id].y < layout.groups[c.group].y + NAME_HIGH]
    return {card.id: ends[card.group] for card in below}


def _clear_of_names(found: StrategyMap, layout: Layout) -> dict[str, float]:
    """Return where arrows that would pass behind a group's name pass beside the group, or beside the name."""
    cards, places = list(layout.cards.values()), dict[str, float]()
    for group in (g for g in found.groups if g.name):
        box, (_, end) = layout.groups[group.id], group_label(group, layout.groups[group.id])
        top = box.y + NAME_HIGH
        row = [b for b in cards if b.y < top < b.bottom + LEAST_STEP] + [
            b for name, b in layout.groups.items() if name != group.id and b.y < top < b.bottom
        ]
        points = [p for p, b in layout.points.items() if box.y < b.y <= top and box.x - 2 < b.middle < end + 3]
        for point in sorted(points, key=lambda p: layout.points[p].middle):
            others = [places.get(p, b.middle) for p, b in layout.points.items() if p != point and box.y < b.y <= top]
            tried = [box.x - LEAST_STEP * (i + 1) for i in range(4)] + [end + LEAST_STEP * (i + 1) for i in range(8)]
            free = [
                x for x in tried
                if x > NAMES_RIGHT and not any(b.x - 4 < x < b.right + 4 for b in row)
                and all(abs(x - other) >= LEAST_STEP - 0.5 for other in others)
            ]  # fmt: skip
            if free:
                places[point] = min(free, key=lambda x: abs(x - layout.points[point].middle))
    return places


def _spread(ports: list[_Port], layout: Layout, labels: dict[str, float]) -> dict[tuple[int, str], float]:
    """Give the arrows at one side of a card places beside each other, in the order of where they go.

    On top they keep clear of the name of the group, where there is room for that.
    """
    by_side: dict[tuple[str, bool], list[_Port]] = defaultdict(list)
    for port in ports:
        by_side[port.card, port.is_top].append(port)
    places = {}
    for (card, is_top), there in by_side.items():
        box = layout.cards[card]
        there.sort(key=lambda p: (p.towards, p.arrow))
        middle, room = box.middle, box.width - 2 * MARGIN
        free = max(box.x + MARGIN, labels.get(card, box.x) + 8)
        right = box.right - 0.5 * MARGIN
        if is_top and free > middle - 0.5 * STEP * (len(there) - 1) and right - free >= LEAST_STEP * (len(there) - 1):
            room = right - free
            middle = max(middle, free + 0.5 * min(room, STEP * (len(there) - 1)))
        step = min(STEP, room / max(1, len(there) - 1))
        for i, port in enumerate(there):
            places[port.arrow, card] = middle + (i - 0.5 * (len(there) - 1)) * step
    return places


def _through(legs: list[Leg], lanes: list[float | None]) -> str:
    """Return a path with upright tangents: straight through rows, bent between them."""
    text = f"M{number(legs[0][0][0])} {number(legs[0][0][1])}"
    for k, ((a, b), lane) in enumerate(zip(legs, lanes, strict=True)):
        text += (f"V{number(a[1])}" if k else "") + _bend(a, b, lane)
    return text


def _bend(a: Place, b: Place, lane: float | None) -> str:
    if a == b:
        return ""
    if abs(a[0] - b[0]) < 0.5:
        return f"L{number(b[0])} {number(b[1])}"
    middle = 0.5 * (a[1] + b[1]) if lane is None else lane
    return f"C{number(a[0])} {number(middle)} {number(b[0])} {number(middle)} {number(b[0])} {number(b[1])}"


def _tip(x: float, y: float, *, up: bool) -> str:
    base = y + TIP if up else y - TIP
    return f"M{number(x)} {number(y)}L{number(x - 4)} {number(base)}H{number(x + 4)}Z"


def _beside(start: Box, end: Box, x1: float, x2: float) -> Route:
    """Join two cards of one row: straight where they are neighbours, in an arch where they are not."""
    gap = max(end.x - start.right, start.x - end.right)
    if gap < 60:
        right = end.x > start.x
        y = start.y + 0.5 * min(start.height, end.height)
        a, b = (start.right, end.x) if right else (start.x, end.right)
        base = b - TIP if right else b + TIP
        tip = f"M{number(b)} {number(y)}L{number(base)} {number(y - 4)}V{number(y + 4)}Z"
        return Route(f"M{number(a)} {number(y)}H{number(base)}", tip)
    top = start.y - 22.0
    out, into = f"{number(x1)} {number(start.y)}", f"{number(x2)} {number(end.y - TIP)}"
    return Route(f"M{out}C{number(x1)} {number(top)} {number(x2)} {number(top)} {into}", _tip(x2, end.y, up=False))
