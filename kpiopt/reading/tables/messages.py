"""Words of messages about tables."""

from __future__ import annotations

from collections.abc import Sequence

from kpiopt.errors import Location, Problem, TableError, printable

Explanation = tuple[str, str, str, str]
"""Code, message, rule and fix of one value."""


def show(value: object, width: int = 60) -> str:
    """Quote a value for a message: control and format characters escaped, long text cut."""
    text = printable(str(value)).replace("\t", "\\t")
    return f"'{text}'" if len(text) <= width else f"'{text[:width]}…'"


def listing(items: Sequence[object], limit: int = 8) -> str:
    """Join items for a message, "2, 5 and 9"; beyond `limit` the rest is counted."""
    texts = [str(item) for item in items]
    if len(texts) > limit:
        texts = [*texts[:limit], f"{len(items) - limit:,} more"]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


def refuse(code: str, message: str, display: str, *, rule: str = "", fix: str = "") -> TableError:
    """Return the error for a file that cannot be read as a table at all."""
    return TableError(Problem(code, message, rule, fix, Location(display)))
