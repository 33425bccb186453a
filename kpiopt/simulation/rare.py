"""Odds of rare outcomes: importance sampling, so that 1e-4 is told from 1e-6.

The most likely way to the rare outcome is sought in the space of normal scores: the nearest point to the origin at
which the goal is just missed (or just hit), by the iteration of Hasofer and Lind (1974) and Rackwitz and Fiessler
(1978, DOI 10.1016/0045-7949(78)90046-9). Seven eighths of the draws are then shifted there, one eighth is left where it
was, and every draw counts with the ratio of the two densities (defensive mixture: Hesterberg 1995, DOI
10.1080/00401706.1995.10484303), which bounds the weights by eight.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kpiopt.errors import NumericsError
from kpiopt.scenario.scenario import Floats
from kpiopt.simulation.hits import HitRule
from kpiopt.simulation.odds import Estimate, estimate_mean
from kpiopt.simulation.propagate import Propagation
from kpiopt.simulation.streams import Layout, Points, Streams, lay_out

RARE_DRAWS = 1 << 12
MAX_SOURCES = 2000
"""With more sources of chance the search for the point costs more than it is worth."""

UNSHIFTED = 8
"""One draw in so many stays unshifted."""

ENOUGH_EVENTS = 50.0
"""Effective number of rare outcomes below which the estimate is not trusted."""

FARTHEST = 37.0
"""Standard deviations beyond which a probability is no floating-point number any more."""

ITERATIONS = 30
STEP = 1e-4

Distance = Callable[[Floats], Floats]
"""Scores (n_rows, n) -> how far each draw is from the rare outcome, (n,); it happens below 0."""


@dataclass(frozen=True, slots=True)
class RareOdds:
    """The odds of a rare outcome.

    Attributes
    ----------
    outcome : str
        "miss" or "hit".
    odds : Estimate
        P(outcome).
    distance : float
        Distance of the most likely way to it, in standard deviations.
    """

    outcome: str
    odds: Estimate
    distance: float


def estimate_rare_odds(
    propagation: Propagation, rule: HitRule, position: int, outcome: str, seed: int
) -> RareOdds | None:
    """Estimate the odds of a goal's rare outcome.

    Parameters
    ----------
    rule : HitRule
        The goals' rule.
    position : int
        Which of its nodes.
    outcome : str
        "miss" or "hit".
    seed : int
        Streams are the goal's own, apart from those of its ordinary odds.

    Returns
    -------
    RareOdds or None
        None where no way to the outcome is found, too few draws reach it to be trusted, a value on the way is not
        finite, or there are more than `MAX_SOURCES` sources of chance: a refinement never fails a run.
    """
    names = propagation.inputs.names
    if not 0 < len(names) <= MAX_SOURCES:
        return None
    distance = _distance_to(propagation, rule, position, outcome)
    streams = Streams(seed, (f"rare/{position}/{name}" for name in names), lay_out(RARE_DRAWS, "sobol"))
    try:
        point = find_design_point(distance, len(names))
        if point is None:
            return None
        estimate, events = sample_rare(distance, point, streams)
    except NumericsError:
        return None
    if not events >= ENOUGH_EVENTS:
        return None
    return RareOdds(outcome, estimate, float(np.linalg.norm(point)))


def _distance_to(propagation: Propagation, rule: HitRule, position: int, outcome: str) -> Distance:
    node, threshold = int(rule.nodes[position]), float(rule.threshold[position])
    hit_above = not rule.is_down[position]
    sign = 1.0 if hit_above == (outcome == "miss") else -1.0

    def distance(scores: Floats) -> Floats:
        block = propagation.run(lambda rows: scores[rows].copy(), scores.shape[1])
        gap: Floats = sign * (block.delta[node] - threshold)
        return gap

    return distance


def find_design_point(distance: Distance, n_rows: int) -> Floats | None:
    """Return the nearest point to the origin where the distance is 0, (n_rows,); None where none is found."""
    point = np.zeros(n_rows)
    for _ in range(ITERATIONS):
        value, slope = _linearise(distance, point)
        steepness = float(slope @ slope)
        if steepness == 0 or not np.isfinite(steepness):
            return None
        following = slope * (float(slope @ point) - value) / steepness
        following *= min(1.0, FARTHEST / float(np.linalg.norm(following) or 1.0))
        if np.linalg.norm(following - point) < 1e-3 * (1 + np.linalg.norm(following)):
            return following
        # Half steps: full ones may circle around a curved limit.
        point = (point + following) / 2 if np.any(point) else following
    return point if abs(value) < 0.1 * np.sqrt(steepness) else None


def _linearise(distance: Distance, point: Floats) -> tuple[float, Floats]:
    """Value and gradient by central differences, in batches of rows."""
    n = len(point)
    slope = np.empty(n)
    batch = max(1, (1 << 20) // max(1, n))
    for start in range(0, n, batch):
        rows = np.arange(start, min(start + batch, n))
        moved = np.repeat(point[:, None], 2 * len(rows), axis=1)
        moved[rows, np.arange(len(rows))] += STEP
        moved[rows, len(rows) + np.arange(len(rows))] -= STEP
        found = distance(moved)
        slope[rows] = (found[: len(rows)] - found[len(rows) :]) / (2 * STEP)
    return float(distance(point[:, None])[0]), slope


def sample_rare(distance: Distance, point: Floats, streams: Streams) -> tuple[Estimate, float]:
    """Estimate P(distance < 0) with draws around a point.

    Returns
    -------
    odds : Estimate
    events : float
        Effective number of outcomes: (sum of weights)^2 / sum of squared weights.
    """
    layout = streams.layout
    weights = np.concatenate(
        [_weights(distance, point, streams.replicate(r), layout) for r in range(layout.replicates)]
    ).reshape(layout.replicates, layout.size)
    squares = np.square(weights)
    mean, _ = estimate_mean(weights.sum(axis=1), squares.sum(axis=1), layout.size)
    total = float(squares.sum())
    events = float(weights.sum()) ** 2 / total if total else 0.0
    return Estimate(mean.estimate, max(0.0, mean.low), mean.high, "weights"), events


def _weights(distance: Distance, point: Floats, points: Points, layout: Layout) -> Floats:
    """Weight of each draw of a replicate in which the outcome happens, 0 of the others."""
    weights = np.empty(layout.size)
    block = max(16, min(layout.size, (1 << 20) // len(point)))
    for start in range(0, layout.size, block):
        stop = min(start + block, layout.size)
        scores = points.scores(start, stop)(slice(0, len(point)))
        is_shifted = np.arange(start, stop) % UNSHIFTED != 0
        scores += point[:, None] * is_shifted
        weights[start:stop] = (distance(scores) < 0) / _density_ratio(point, scores)
    return weights


def _density_ratio(point: Floats, scores: Floats) -> NDArray[np.float64]:
    """Density that was drawn from over the true one: a mixture of shifted and unshifted normals, (n,)."""
    exponent = (point[:, None] * scores).sum(axis=0) - float(point @ point) / 2
    share = 1 - 1 / UNSHIFTED
    ratio: Floats = share * np.exp(np.minimum(exponent, 700.0)) + (1 - share)
    return ratio
