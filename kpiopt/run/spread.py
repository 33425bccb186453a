"""The draws of one simulation computed by an executor: the same odds, to the last bit, wherever they are drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kpiopt.simulation.simulate import Span, SpanCounter, SpanTally, Spread
from kpiopt.workers.executor import execute
from kpiopt.workers.job import Executor, Failure, Place


@dataclass(frozen=True)
class DrawJob:
    """What is done with every span of draws.

    Attributes
    ----------
    counter : SpanCounter
    """

    counter: SpanCounter

    def prepare(self) -> Callable[[Span], SpanTally | None]:
        """Return the function that counts a span."""
        return self.counter


def spread_by(executor: Executor) -> Spread | None:
    """Return how an executor computes a simulation; None where that is in this process, one span after another.

    Parameters
    ----------
    executor : Executor
    """
    if executor.place is Place.SERIAL:
        return None

    def spread(counter: SpanCounter, spans: list[Span]) -> Iterator[SpanTally | None]:
        found: dict[str, SpanTally | Failure | None] = {}
        points = {str(i): span for i, span in enumerate(spans)}
        execute(DrawJob(counter), points, executor, found.__setitem__)
        for key in points:
            tally = found.pop(key)
            if isinstance(tally, Failure):
                raise tally.as_error()
            yield tally

    return spread
