"""What all figures share: colours, layout, names that fit, short numbers."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any

from kpiopt.errors import printable

BLUE, GREEN, RED, AMBER, GREY = "--blue", "--green", "--red", "--amber", "--grey"
PURPLE, TEAL = "--purple", "--teal"
INK, LINE, PALE, PAPER = "--ink", "--line", "--pale", "--paper"
"""Colours are properties of the page's style, so that a figure is as light or dark as its page."""

Figure = dict[str, Any]

SHARE = ".3~%"
"""Format of shares on axes."""

TWO_LINES = 18
"""Columns of a name that stands beside its row in at most two lines."""

MINUS = "\u2212"


def layout(*, height: int = 360, showlegend: bool = True) -> Figure:
    """Return the layout that figures start from."""
    axis = {"gridcolor": LINE, "zerolinecolor": LINE, "linecolor": LINE, "automargin": True, "separatethousands": True}
    return {
        "height": height,
        "showlegend": showlegend,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "margin": {"l": 48, "r": 24, "t": 24, "b": 40},
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": INK},
        "paper_bgcolor": PAPER,
        "plot_bgcolor": PAPER,
        "hoverlabel": {"bgcolor": PAPER, "bordercolor": LINE, "font": {"color": INK}},
        "separators": ".,",
        "xaxis": dict(axis),
        "yaxis": dict(axis),
    }


def plain(name: str) -> str:
    """Return a name that Plotly shows as it is: it would take tags in it for formatting."""
    return html.escape(printable(name), quote=False)


def distinct(names: Sequence[str]) -> list[str]:
    """Tell equal labels apart by invisible characters, as Plotly puts equal labels in one place."""
    seen: dict[str, int] = {}
    result = []
    for name in names:
        seen[name] = seen.get(name, -1) + 1
        result.append(name + "\u200b" * seen[name])
    return result


def wrapped(name: str, width: int, lines: int) -> str:
    """Fold a name for a label: at most so many lines of so many columns, the rest as "…"."""
    found = list(_lines(printable(name), width))
    if len(found) > lines:
        found = [*found[: lines - 1], _cut(found[lines - 1], width - 1) + "…"]
    return "<br>".join(html.escape(line, quote=False) for line in found)


def _lines(name: str, width: int) -> Iterator[str]:
    """Yield lines that break between words, and within a word only where it is longer than a line."""
    line = ""
    for word in name.split():
        longer = f"{line} {word}".strip()
        if _columns(longer) <= width:
            line = longer
            continue
        if line:
            yield line
        while _columns(word) > width:
            head = _cut(word, width)
            yield head
            word = word[len(head) :]
        line = word
    yield line


def _cut(text: str, width: int) -> str:
    """Return as much of a text as fits, at least one character."""
    end = 1
    while end < len(text) and _columns(text[: end + 1]) <= width:
        end += 1
    return text[:end]


def _columns(text: str) -> int:
    """Return how many columns a text takes; Chinese, Japanese and Korean characters take two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def short(value: float, digits: int = 3, *, sign: bool = False) -> str:
    """Write an amount with a few digits, as "1.64 M" or "+98,027".

    Examples
    --------
    >>> short(1_635_400), short(0.06657), short(41.40), short(98_027, sign=True)
    ('1.64 M', '0.0666', '41.4', '+98,027')
    """
    scale, suffix = _scale(value, 1e5)
    return _signed(value, _stripped(_rounded(abs(value) / scale, digits)), sign=sign) + suffix


def short_steps(values: Sequence[float]) -> list[str]:
    """Write changes with their signs, all in the scale of the largest, as "+210 k" and "−9.2 k"."""
    scale, suffix = _scale(max(map(abs, values), default=0.0), 1e4)
    texts = [_signed(value, _stripped(_rounded(abs(value) / scale, 3)), sign=True) for value in values]
    return [text + suffix if text != "0" else text for text in texts]


def short_pair(first: float, second: float) -> tuple[str, str]:
    """Write two amounts alike, with as many digits as it takes to tell them apart."""
    size = max(abs(first), abs(second))
    scale, suffix = _scale(size, 1e5)
    sizes = [abs(value) / scale for value in (first, second)]
    for digits in range(4, 12):
        decimals = len(_rounded(size / scale, digits).partition(".")[2])
        texts = [f"{value:,.{decimals}f}" for value in sizes]
        if texts[0] != texts[1] or abs(first) == abs(second):
            break
    while "." in texts[0] and all(text[-1] in "0." for text in texts):
        texts = [text[:-1] for text in texts]
    before, after = (_signed(v, text, sign=False) + suffix for v, text in zip((first, second), texts, strict=True))
    return before, after


def _scale(size: float, thousands: float) -> tuple[float, str]:
    """Return what to divide by and its name; thousands are named from a size on."""
    limits = ((1e9, 1e9, " bn"), (1e6, 1e6, " M"), (thousands, 1e3, " k"))
    return next(((scale, suffix) for limit, scale, suffix in limits if abs(size) >= limit), (1.0, ""))


def _signed(value: float, size: str, *, sign: bool) -> str:
    if not size.strip("0.,"):
        return size
    return f"{MINUS if value < 0 else '+' if sign else ''}{size}"


def _rounded(size: float, digits: int) -> str:
    """Write a positive number with so many significant digits, whole numbers in full."""
    if not size:
        return "0"
    decimals = digits - 1 - int(f"{size:.{digits - 1}e}".rpartition("e")[2])
    return f"{size:,.{max(0, decimals)}f}"


def _stripped(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text
