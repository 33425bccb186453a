"""How wide a text will be, and texts that fit a place.

Widths are those of Arial and what is drawn instead of it (Liberation Sans, Helvetica), by kinds of characters, on the
safe side.
"""

from __future__ import annotations

import unicodedata

from kpiopt.errors import printable

_NARROW = frozenset("iljtfrI.,:;'|!()[]/-` ")
_WIDE = frozenset("mwMW@%\u2026\u2192")
BOLD = 1.06


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Return how wide a text is, in the unit of its font size."""
    width = sum(_width(c) for c in text)
    return width * size * (BOLD if bold else 1.0)


def _width(character: str) -> float:
    if character in _NARROW:
        return 0.34
    if character in _WIDE:
        return 0.95
    if character.isascii():
        return 0.71 if character.isupper() else 0.57
    return (
        1.05 if unicodedata.east_asian_width(character) in "WF" else 0.0 if unicodedata.combining(character) else 0.75
    )


def fit(text: str, size: float, room: float, *, bold: bool = False) -> str:
    """Cut a text to the room it has, with an ellipsis where it does not fit.

    Examples
    --------
    >>> fit("Order lines of North America", 12, 110)
    'Order lines of N…'
    """
    text = printable(text)
    if text_width(text, size, bold=bold) <= room:
        return text
    while text and text_width(text + "…", size, bold=bold) > room:
        text = text[:-1]
    return text.rstrip() + "…"


def fold(text: str, size: float, room: float, lines: int, *, bold: bool = False) -> list[str]:
    """Break a text between words into at most so many lines; the last one is cut where the rest does not fit."""
    words, found = printable(text).split(), [""]
    for i, word in enumerate(words):
        longer = f"{found[-1]} {word}".strip()
        if text_width(longer, size, bold=bold) <= room or not found[-1]:
            found[-1] = longer
        elif len(found) < lines:
            found.append(word)
        else:
            found[-1] = " ".join([found[-1], *words[i:]])
            break
    return [fit(line, size, room, bold=bold) for line in found]
