"""Colours in light and dark, safe for the colour-blind: blue, teal, ochre and vermilion differ in lightness too.

Pictures name classes, never colours, so that one picture serves a page in both lights, paper, PNG and PDF. Contrast of
text and background is at least 4.5 to 1 (WCAG 2.2); hues after Okabe and Ito (2008), darkened for text.
"""

from __future__ import annotations

from collections.abc import Mapping

LIGHT = {
    "ink": "#1c2733", "soft": "#55616f", "line": "#d9dfe6", "paper": "#ffffff", "desk": "#f4f6f9", "track": "#e6ebf0",
    "blue": "#27589a", "teal": "#147a68", "ochre": "#a86510", "red": "#b5372c", "grey": "#687482", "pale": "#a9b3bf",
    "purple": "#6d4a9c", "raise": "#41618f", "lower": "#c2601c", "up": "#147a68", "down": "#b5372c",
    "band0": "#e9f0fa", "band1": "#e7f5f0", "band2": "#fcf3e0", "band3": "#f2ecf9", "band4": "#eef1f4",
    "edge0": "#2f5f9f", "edge1": "#1d7c61", "edge2": "#93670f", "edge3": "#6d4a9c", "edge4": "#5a6674",
}  # fmt: skip
DARK = {
    "ink": "#e7ebf0", "soft": "#a9b4c1", "line": "#343e4a", "paper": "#1a212b", "desk": "#10151c", "track": "#333d49",
    "blue": "#6ea2ea", "teal": "#45c0a5", "ochre": "#e0a243", "red": "#f0806f", "grey": "#95a1af", "pale": "#5c6875",
    "purple": "#b594df", "raise": "#86a8d9", "lower": "#f0965a", "up": "#45c0a5", "down": "#f0806f",
    "band0": "#1a2738", "band1": "#172b27", "band2": "#2c2618", "band3": "#271f36", "band4": "#1f262e",
    "edge0": "#7cabec", "edge1": "#55c2a0", "edge2": "#dcae55", "edge3": "#b594df", "edge4": "#9aa6b3",
}  # fmt: skip
BANDS = 5
FONT = '"Helvetica Neue",Helvetica,Arial,"Liberation Sans",sans-serif'


def css(rules: str, *, dark: bool = True) -> str:
    """Fill rules in which `@name` stands for a colour; the colours of a dark page are added where wanted.

    Parameters
    ----------
    rules : str
        One rule a line: `.card{fill:@paper}`.
    dark : bool
        False for paper, PNG and PDF, whose readers know no media queries.
    """
    lines = rules.strip().splitlines()
    light = "".join(_filled(line, LIGHT) for line in lines)
    if not dark:
        return light
    coloured = "".join(_filled(line, DARK) for line in lines if "@" in line)
    return f"{light}@media screen and (prefers-color-scheme:dark){{{coloured}}}"


def _filled(rule: str, colours: Mapping[str, str]) -> str:
    for name in sorted(colours, key=len, reverse=True):
        rule = rule.replace(f"@{name}", colours[name])
    return rule


def tone_of_odds(odds: float) -> str:
    """Return the class of a probability: likely, open or unlikely."""
    return "likely" if odds >= 0.7 else "open" if odds >= 0.5 else "unlikely"
