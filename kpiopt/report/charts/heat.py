"""Shades: the icicle of a cascade, and the heat map of stretch by unit and KPI."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from kpiopt.report.charts.frame import SIZE, Figure, both
from kpiopt.report.drawing.fit import fit, text_width
from kpiopt.report.drawing.palette import css
from kpiopt.report.drawing.svg import Svg, draw, picture

SHADES = 6
LEVELS = ("#f6ece0", "#f3d9b8", "#edba80", "#e2955a", "#cb6a3c", "#a33f22")
DARK_LEVELS = ("#2b2621", "#45351f", "#6b4a22", "#965f2a", "#c47c3d", "#f0a765")


def shade_style(*, dark: bool = True) -> str:
    """Return the style of shades: light to dark on a light page, dark to light on a dark one."""
    light = "".join(
        f".chart .h{i}{{fill:{c}}}.chart .t{i}{{fill:{'#ffffff' if i > 3 else '#1c2733'}}}"
        for i, c in enumerate(LEVELS)
    )
    none = css(".chart .none{fill:@track}", dark=dark)
    if not dark:
        return light + none
    in_the_dark = "".join(
        f".chart .h{i}{{fill:{c}}}.chart .t{i}{{fill:{'#10151c' if i > 3 else '#e7ebf0'}}}"
        for i, c in enumerate(DARK_LEVELS)
    )
    return f"{light}@media screen and (prefers-color-scheme:dark){{{in_the_dark}}}{none}"


def shade(share: float) -> int:
    """Return the shade of a share between 0 and 1."""
    return max(0, min(SHADES - 1, int(share * SHADES)))


@dataclass(frozen=True, slots=True)
class Slice:
    """One unit of an icicle.

    Attributes
    ----------
    name : str
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
    """Draw a cascade: each row adds up to the row above."""
    rows = 1 + max(s.depth for s in slices)
    return both(lambda width: picture(width, rows * 48.0 + 2, name, *(_slice(s, width) for s in slices)), full=full)


def _slice(found: Slice, width: float) -> Svg:
    x, wide, y, level = found.left * width, found.width * width, 48.0 * found.depth, shade(found.share)
    pieces = [
        draw("title", found.hint),
        draw("rect", x=x, y=y + 1, width=wide, height=46, rx=3, class_=f"h{level} gap"),
    ]
    if wide > 40:
        name = fit(found.name, SIZE, wide - 12, bold=True)
        if len(name) > 3 or not name.endswith("…"):
            pieces.append(draw("text", name, x=x + 6, y=y + 20, class_=f"t{level} strong"))
        values = (found.text, found.text.partition(" (")[0])  # a figure is never cut within
        fitting = [value for value in values if text_width(value, SIZE) <= wide - 12]
        pieces += [draw("text", value, x=x + 6, y=y + 36, class_=f"t{level}") for value in fitting[:1]]
    return draw("g", *pieces)


def heat_map_figure(
    rows: Sequence[str], columns: Sequence[str], shares: Sequence[Sequence[float | None]], name: str,
    texts: Sequence[Sequence[str]] = (),
) -> Figure:  # fmt: skip
    """Draw a table of shares as shades; None is left empty.

    Parameters
    ----------
    rows, columns : sequence of str
    shares : sequence of sequence of float or None
        Between 0 and 1, row by row.
    name : str
    texts : sequence of sequence of str, optional
        What is written of each share; the share in per cent without them.
    """
    fields = [
        [(s, texts[i][j] if texts else "" if s is None else f"{100 * s:.0f}") for j, s in enumerate(row)]
        for i, row in enumerate(shares)
    ]
    return both(lambda width: _heat_map(rows, columns, fields, name, width, "" if texts else " %"))


def split_map_figure(
    rows: Sequence[str], columns: Sequence[str], parts: Sequence[str],
    shares: Sequence[Sequence[Sequence[float] | None]], name: str,
) -> Figure:  # fmt: skip
    """Draw a table whose fields are split into parts, as bars: how much of each falls to which; None is left empty.

    Parameters
    ----------
    rows, columns, parts : sequence of str
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
    width: float, unit: str,
) -> Svg:  # fmt: skip
    def square(
        row: str, column: str, field: tuple[float | None, str], x: float, y: float, slot: float
    ) -> Iterator[Svg]:
        share, said = field
        level = None if share is None else shade(share)
        kind = "none" if level is None else f"h{level}"
        hint = f"{row}, {column}: {f'{said}{unit}' if said else 'no decision'}"
        yield draw("rect", draw("title", hint), x=x + 1, y=y + 1, width=slot - 2, height=22, rx=2, class_=kind)
        if share is not None and slot >= 30 and text_width(said, SIZE) <= slot - 4:
            yield draw("text", said, x=x + 0.5 * slot, y=y + 16, text_anchor="middle", class_=f"t{level}")

    return _grid(rows, columns, fields, name, width, square)


def _grid(
    rows: Sequence[str], columns: Sequence[str], fields: Sequence[Sequence[Any]], name: str, width: float,
    drawn: Callable[[str, str, Any, float, float, float], Iterable[Svg]],
) -> Svg:  # fmt: skip
    """Draw names at the left and on top, and every field at its place."""
    left = min(0.34 * width, 12 + max(text_width(r, SIZE) for r in rows))
    tall = min(150.0, 12 + max(text_width(c, SIZE) for c in columns))
    slot = min(64.0, (width - left - 4) / len(columns))
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
