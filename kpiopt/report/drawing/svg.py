"""SVG, element by element: only known elements and attributes, every text escaped.

Names from data reach a picture through `draw` alone, as text or as the value of a known attribute, so that nothing in
them can become an element, a script or a link.
"""

from __future__ import annotations

import html
from collections.abc import Iterable

from kpiopt.errors import InternalError, printable

ELEMENTS = frozenset(["circle", "desc", "g", "line", "path", "rect", "style", "svg", "text", "title", "tspan"])
ATTRIBUTES = frozenset([
    "aria-hidden", "aria-label", "aria-labelledby", "aria-pressed", "class", "cx", "cy", "d", "fill-opacity",
    "height", "id", "preserveAspectRatio", "r", "role", "rx", "stroke-width", "tabindex", "text-anchor",
    "transform", "viewBox", "width", "x", "x1", "x2", "xmlns", "y", "y1", "y2",
])  # fmt: skip
MARK = "data-"


class Svg(str):
    """A finished piece of SVG; any other string is text and is escaped."""

    __slots__ = ()


def draw(element: str, *children: str, **attributes: str | float | None) -> Svg:
    """Write one element.

    Parameters
    ----------
    children : str
        Pieces of SVG as they are, other strings as text.
    attributes : str or float or None
        `class_` and underscores stand for `class` and hyphens; None leaves an attribute out.

    Raises
    ------
    InternalError
        For an element or attribute that pictures do not use.

    Examples
    --------
    >>> draw("text", "a < b", x=1.5, class_="small")
    '<text x="1.5" class="small">a &lt; b</text>'
    """
    if element not in ELEMENTS:
        raise InternalError(f"pictures have no element {element}")
    written = "".join(_attribute(name, value) for name, value in attributes.items() if value is not None)
    inner = "".join(child if isinstance(child, Svg) else escape(child) for child in children)
    return Svg(f"<{element}{written}>{inner}</{element}>" if inner else f"<{element}{written}/>")


def _attribute(name: str, value: str | float) -> str:
    key = name.rstrip("_").replace("_", "-") if name != "viewBox" else name
    if key not in ATTRIBUTES and not key.startswith(MARK):
        raise InternalError(f"pictures have no attribute {key}")
    return f' {key}="{escape(value) if isinstance(value, str) else number(value)}"'


def escape(text: str) -> str:
    """Escape a text for SVG and HTML; control and format characters become visible."""
    return html.escape(printable(text), quote=True)


def number(value: float) -> str:
    """Write a coordinate: at most one decimal, none where there is nothing behind it."""
    text = f"{value:.1f}"
    return text.removesuffix(".0").replace("-0", "0") if text in ("-0.0", "0.0") else text.removesuffix(".0")


def join(pieces: Iterable[Svg]) -> Svg:
    """Put pieces one after another."""
    return Svg("".join(pieces))


def picture(width: float, height: float, title: str, *children: Svg, class_: str = "chart", role: str = "img") -> Svg:
    """Write a whole picture that scales with its place, named for who cannot see it."""
    return draw(
        "svg", draw("title", title), *children,
        xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {number(width)} {number(height)}",
        class_=class_, role=role, aria_label=title, width=width, height=height,
    )  # fmt: skip
