"""The draws of one simulation computed by an executor: the same odds, to the last bit, wherever they are drawn."""

from __future__ import annotations

from collections.abc import Iterator

from kpiopt.simulation.simulate import Span, SpanCounter, SpanTally, Spread
from kpiopt.workers.executor import Ready, answers
from kpiopt.workers.job import Executor, Place


def spread_by(executor: Executor) -> Spread | None:
    """Return how an executor computes a simulation; None where that is in this process, one span after another."""
    if executor.place is Place.SERIAL:
        return None

    def spread(counter: SpanCounter, spans: list[Span]) -> Iterator[SpanTally | None]:
        yield from answers(Ready(counter), spans, executor)

    return spread
