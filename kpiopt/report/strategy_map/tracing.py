"""What drives a card and what it drives, along all arrows."""

from __future__ import annotations

from collections.abc import Iterable

from kpiopt.report.strategy_map.content import Arrow


def reached(arrows: Iterable[Arrow], start: str, *, upstream: bool) -> set[str]:
    """Return all cards that drive a card, or that it drives, itself included."""
    steps: dict[str, set[str]] = {}
    for arrow in arrows:
        a, b = (arrow.effect, arrow.cause) if upstream else (arrow.cause, arrow.effect)
        steps.setdefault(a, set()).add(b)
    result, waiting = {start}, [start]
    while waiting:
        for following in steps.get(waiting.pop(), set()) - result:
            result.add(following)
            waiting.append(following)
    return result
