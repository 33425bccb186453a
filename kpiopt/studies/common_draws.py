"""Draws that many plans and assumptions share: the scores of every source of chance are drawn once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kpiopt.deadline import NEVER, Deadline
from kpiopt.scenario.scenario import Floats, SimulationSettings
from kpiopt.simulation.propagate import Block, Propagation
from kpiopt.simulation.redraw import MOST_NUMBERS
from kpiopt.simulation.simulate import block_size
from kpiopt.simulation.streams import Layout, Points, Streams, lay_out


@dataclass(frozen=True, slots=True)
class KeptPoints(Points):
    """Scores of one replicate that were drawn before.

    Attributes
    ----------
    kept : (n_streams, size) float
        Standard normal scores.
    """

    kept: Floats

    def uniforms(self, start: int, stop: int, rows: slice = slice(None)) -> Floats:
        """Return the probabilities of the scores, (n_rows, stop - start) float in (0, 1)."""
        from scipy.special import ndtr

        return np.asarray(ndtr(self.kept[rows, start:stop]))

    def scores(self, start: int, stop: int) -> Callable[[slice], Floats]:
        """Return a function of rows: the scores themselves, free to be overwritten."""
        return lambda rows: self.kept[rows, start:stop].copy()


class CommonDraws:
    """The draws of one seed, for any number of plans.

    Parameters
    ----------
    settings : SimulationSettings
        `precision` is not looked at.
    """

    def __init__(self, settings: SimulationSettings, deadline: Deadline = NEVER) -> None:
        self.settings, self.deadline = settings, deadline
        self.layout: Layout = lay_out(settings.draws, settings.method)
        self._kept: tuple[tuple[str, ...], list[Floats]] = ((), [])

    def collect(self, propagation: Propagation, value: Callable[[Block], Floats]) -> Floats:
        """Return a value of every draw, (n_replicates, size) float.

        Parameters
        ----------
        propagation : Propagation
            A plan and the assumptions it is looked at under.
        value : callable
            Block -> (n_draws,) float.

        Raises
        ------
        LimitReached
        """
        names, layout = propagation.inputs.names, self.layout
        block = block_size(propagation.graph.n_nodes, layout)
        found = np.empty((layout.replicates, layout.size))
        for replicate, points in enumerate(self._points(names)):
            for start in range(0, layout.size, block):
                self.deadline.require("all draws were done")
                stop = min(start + block, layout.size)
                drawn = propagation.run(points.scores(start, stop), stop - start, replicate * layout.size + start)
                found[replicate, start:stop] = value(drawn)
        return found

    def _points(self, names: tuple[str, ...]) -> list[Points]:
        """Return the points of every replicate."""
        streams = Streams(self.settings.seed, names, self.layout)
        fresh = [streams.replicate(r) for r in range(self.layout.replicates)]
        if not names or len(names) * self.layout.draws > MOST_NUMBERS:
            return fresh
        if self._kept[0] != names:
            self._kept = names, [points.scores(0, self.layout.size)(slice(None)) for points in fresh]
        return [KeptPoints(kept) for kept in self._kept[1]]
