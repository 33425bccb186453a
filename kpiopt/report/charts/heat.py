"""Shades: the icicle of a cascade, and the heat map of stretch by unit and KPI."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from kpiopt.report.charts.frame import NARROW, SIZE, Figure, both
from kpiopt.report.drawing.fit import fit, text_width
from kpiopt.report.drawing.palette import css
from kpiopt.report.drawing.svg import Svg, draw, picture

SHADES = 30
"""So many that nobody sees where one ends."""
FLAT, UPRIGHT = 46.0, 118.0
LEAST_TURNED = 17.0
MOST_LINES = 48
LEVELS = ("#f6ece0", "#f3d9b8", "#edba80", "#e2955a", "#cb6a3c", "#a33f22")
DARK_LEVELS = ("#2b2621", "#45351f", "#6b4a22", "#965f2a", "#c47c3d", "#f0a765")
BLUES = ("#eaf0f8", "#c9daee", "#9fbce0", "#7199cd", "#3f70b0", "#1f4a86")
DARK_BLUES = ("#1c2430", "#22344b", "#2b4a70", "#3a6699", "#5787c4", "#86b3ee")


def shade_style(*, dark: bool = True) -> str:
    """Return the style of shades: light to dark on a light page, dark to light on a dark one."""
    none = css(".chart .none{fill:@track}", dark=dark)
    light = _shades_style(LEVELS, BLUES, "#1c2733", "#ffffff")
    if not dark:
        return light + none
    in_the_dark = _shades_style(DARK_LEVELS, DARK_BLUES, "#e7ebf0", "#10151c")
    return f"{light}@media screen and (prefers-color-scheme:dark){{{in_the_dark}}}{none}"


def _shades_style(warm: Sequence[str], blue: Sequence[str], first: str, last: str) -> str:
    """Return the rules of both scales, with the ink that is read best on each shade."""
    rules = []
    for letter, inked, scale in (("h", "t", warm), ("b", "u", blue)):
        for i in range(SHADES):
            fill = _between(scale, i / (SHADES - 1))
            ink = first if _contrast(first, fill) >= _contrast(last, fill) else last
            rules.append(f".chart .{letter}{i}{{fill:{fill}}}.chart .{inked}{i}{{fill:{ink}}}")
    return "".join(rules)


def _between(scale: Sequence[str], share: float) -> str:
    """Return the colour at a share of the way along a scale."""
    place = share * (len(scale) - 1)
    at = min(int(place), len(scale) - 2)
    one, other = ([int(c[k : k + 2], 16) for k in (1, 3, 5)] for c in scale[at : at + 2])
    return "#" + "".join(f"{round(a + (place - at) * (b - a)):02x}" for a, b in zip(one, other, strict=True))


def _contrast(one: str, other: str) -> float:
    """Return the contrast of two colours as the WCAG defines it."""
    lights = sorted(_light(colour) for colour in (one, other))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def _light(colour: str) -> float:
    parts = (int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5))
    red, green, blue = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def shade(share: float) -> int:
    """Return the shade of a share between 0 and 1."""
    return max(0, min(SHADES - 1, round(share * (SHADES - 1))))


@dataclass(frozen=True, slots=True)
class Slice:
    """One unit of an icicle.

    Attributes
    ----------
    depth : int
        0 for the root.
    left, width : float
        As shares of the whole.
    text, hint : str
        Value in the picture; all there is to say.
    share : float
        Shade, between 0 and 1.
    """

    name: str
    depth: int
    left: float
    width: float
    text: str
    hint: str
    share: float


def icicle_figure(slices: Sequence[Slice], name: str, *, full: bool = False) -> Figure:
    """Draw a cascade: each row adds up to the row above; in narrow places a line for each unit."""
    return both(lambda width: (_lines if width <= NARROW else _rows)(slices, name, width), full=full)


def _rows(slices: Sequence[Slice], name: str, width: float) -> Svg:
    """Draw row below row; rows in which a name does not fit across are as tall as it takes to turn it."""
    depths, tops, y = 1 + max(s.depth for s in slices), [], 0.0
    for depth in range(depths):
        there = [s for s in slices if s.depth == depth]
        turned = [text for s in there if not _fits(s, width) for text in (s.name, s.text.partition(" (")[0])]
        longest = max((text_width(text, SIZE, bold=True) for text in turned), default=0.0)
        tall = max(FLAT, min(UPRIGHT, 14 + longest))
        tops.append((y, tall))
        y += tall + 2
    return picture(width, y + 2, name, *(_slice(s, width, *tops[s.depth]) for s in slices))


def _fits(found: Slice, width: float) -> bool:
    room = found.width * width
    return room < LEAST_TURNED or text_width(found.name, SIZE, bold=True) <= room - 12


def _slice(found: Slice, width: float, y: float, tall: float) -> Svg:
    x, wide, level = found.left * width, found.width * width, shade(found.share)
    pieces = [
        draw("title", found.hint),
        draw("rect", x=x, y=y + 1, width=wide, height=tall, rx=3, class_=f"h{level} gap"),
    ]
    values = (found.text, found.text.partition(" (")[0])  # a figure is never cut within
    if _fits(found, width) and wide >= LEAST_TURNED:
        pieces.append(draw("text", found.name, x=x + 6, y=y + 20, class_=f"t{level} strong"))
        fitting = [value for value in values if text_width(value, SIZE) <= wide - 12]
        pieces += [draw("text", value, x=x + 6, y=y + 36, class_=f"t{level}") for value in fitting[:1]]
    elif wide >= LEAST_TURNED:
        lines = [(fit(found.name, SIZE, tall - 12, bold=True), f"t{level} strong")]
        fitting = [value for value in values if text_width(value, SIZE) <= tall - 12]
        lines += [(value, f"t{level}") for value in fitting[:1] if wide >= 2 * LEAST_TURNED]
        for i, (text, look) in enumerate(lines):
            place = f"translate({x + 0.5 * wide + 4 + 15 * (i - 0.5 * (len(lines) - 1)):.1f} {y + tall - 5:.1f})"
            pieces.append(draw("text", text, transform=f"{place} rotate(-90)", class_=look))
    return draw("g", *pieces)


def _lines(slices: Sequence[Slice], name: str, width: float) -> Svg:
    """Draw a line for each unit, those below it indented under it: its name, a bar, its value."""
    deepest = max(s.depth for s in slices)
    while deepest > 1 and sum(s.depth <= deepest for s in slices) > MOST_LINES:
        deepest -= 1
    shown = sorted((s for s in slices if s.depth <= deepest), key=lambda s: (round(s.left, 9), s.depth))
    left = min(0.4 * width, 12 + max(8 * s.depth + text_width(s.name, SIZE) for s in shown))
    room = width - left - 8 - max(text_width(s.text, SIZE) for s in shown)
    pieces = []
    for i, found in enumerate(shown):
        y, level, bar = 24.0 * i, shade(found.share), max(1.0, room * found.width)
        label = fit(found.name, SIZE, left - 8 - 8 * found.depth, bold=not found.depth)
        look = "strong" if not found.depth else "soft"
        pieces += [
            draw("text", label, x=8 * found.depth, y=y + 16, class_=look),
            draw("rect", draw("title", found.hint), x=left, y=y + 3, width=bar, height=18, rx=2, class_=f"h{level}"),
            draw("text", found.text, x=left + bar + 5, y=y + 16),
        ]
    return picture(width, 24.0 * len(shown) + 4, name, *pieces)


def heat_map_figure(
    rows: Sequence[str], columns: Sequence[str], shares: Sequence[Sequence[float | None]], name: str,
    texts: Sequence[Sequence[str]] = (), *, tone: str = "",
) -> Figure:  # fmt: skip
    """Draw a table of shares as shades; None is left empty.

    Parameters
    ----------
    shares : sequence of sequence of float or None
        Between 0 and 1, row by row.
    texts : sequence of sequence of str, optional
        What is written of each share; the share in per cent without them.
    tone : str
        "odds" for shades of blue: the more the better.
    """
    fields = [
        [(s, texts[i][j] if texts else "" if s is None else f"{100 * s:.0f}") for j, s in enumerate(row)]
        for i, row in enumerate(shares)
    ]
    unit = "" if texts else " %"
    return both(lambda width: _heat_map(rows, columns, fields, name, width, unit, "b" if tone == "odds" else "h"))


def split_map_figure(
    rows: Sequence[str], columns: Sequence[str], parts: Sequence[str],
    shares: Sequence[Sequence[Sequence[float] | None]], name: str,
) -> Figure:  # fmt: skip
    """Draw a table whose fields are split into parts, as bars: how much of each falls to which; None is left empty.

    Parameters
    ----------
    shares : sequence of sequence of sequence of float or None
        Of each part, adding up to 1; row by row.
    """

    def bars(row: str, column: str, share: Sequence[float] | None, x: float, y: float, slot: float) -> Iterator[Svg]:
        said = "nothing" if share is None else ", ".join(
            f"{part} {100 * s:.0f} %" for part, s in zip(parts, share, strict=True)
        )  # fmt: skip
        hint = draw("title", f"{row}, {column}: {said}")
        yield draw("rect", hint, x=x + 1, y=y + 1, width=slot - 2, height=22, rx=2, class_="none")
        wide = (slot - 6) / len(parts)
        for i, s in enumerate(share or ()):
            if s > 0:
                yield draw("rect", x=x + 3 + i * wide, y=y + 21 - 18 * min(1.0, s), width=max(0.6, wide - 0.6),
                           height=18 * min(1.0, s), class_="blue")  # fmt: skip

    return both(lambda width: _grid(rows, columns, shares, name, width, bars))


def _heat_map(
    rows: Sequence[str], columns: Sequence[str], fields: Sequence[Sequence[tuple[float | None, str]]], name: str,
    width: float, unit: str, shades: str,
) -> Svg:  # fmt: skip
    def square(
        row: str, column: str, field: tuple[float | None, str], x: float, y: float, slot: float
    ) -> Iterator[Svg]:
        (share, said), ink = field, "u" if shades == "b" else "t"
        level = None if share is None else shade(share)
        kind = "none" if level is None else f"{shades}{level}"
        hint = f"{row}, {column}: {f'{said}{unit}' if said else 'no decision'}"
        yield draw("rect", draw("title", hint), x=x + 1, y=y + 1, width=slot - 2, height=22, rx=2, class_=kind)
        if share is not None and slot >= 30 and text_width(said, SIZE) <= slot - 4:
            yield draw("text", said, x=x + 0.5 * slot, y=y + 16, text_anchor="middle", class_=f"{ink}{level}")

    return _grid(rows, columns, fields, name, width, square)


def _grid(
    rows: Sequence[str], columns: Sequence[str], fields: Sequence[Sequence[Any]], name: str, width: float,
    drawn: Callable[[str, str, Any, float, float, float], Iterable[Svg]],
) -> Svg:  # fmt: skip
    """Draw names at the left and on top, and every field at its place."""
    left = min(0.34 * width, 12 + max(text_width(r, SIZE) for r in rows))
    tall = min(150.0, 12 + max(text_width(c, SIZE) for c in columns))
    slot = min(130.0, (width - left - 4) / len(columns))
    pieces = []
    for j, column in enumerate(columns):
        place = f"translate({left + (j + 0.5) * slot + 4:.1f} {tall - 5:.1f}) rotate(-90)"
        pieces.append(draw("text", fit(column, SIZE, tall - 8), transform=place, class_="soft"))
    for i, row in enumerate(rows):
        y = tall + 24.0 * i
        pieces.append(draw("text", fit(row, SIZE, left - 8), x=left - 6, y=y + 16, text_anchor="end"))
        for j, field in enumerate(fields[i]):
            pieces += drawn(row, columns[j], field, left + j * slot, y, slot)
    return picture(width, tall + 24.0 * len(rows) + 4, name, *pieces)
