"""Joint draws of the future: units, regions and the organization are drawn together, so totals are coherent."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from kpiopt.learning.pool import CHUNK, T_FREEDOM, Pool, PoolData, pass_up
from kpiopt.learning.tree import leaves, send_up

Floats = NDArray[np.float64]

CLIP = 4.0
"""Largest t score of noise: the exponential of a t has no mean."""


def draw_future(pool: Pool, horizon: int, draws: int, rng: np.random.Generator) -> Iterator[tuple[int, Floats]]:
    """Draw the values of every unit in the periods after its history, on the link scale.

    Parameters
    ----------
    pool : Pool
    horizon, draws : int
    rng : Generator

    Yields
    ------
    (int, (draws, horizon) float)
        Unit and its values; the same draw is the same future for all units.
    """
    past = pool.data.values.shape[1]
    data = PoolData(
        _padded(pool.data.values, horizon, np.nan), pool.data.small, pool.data.group, pool.data.groups,
        pool.data.per_year, pool.data.phase, _padded(pool.data.known, horizon, 0.0),
    )  # fmt: skip
    scale = _padded(pool.scale, horizon, 1.0)
    parts = data.components(past + horizon)
    levels = pass_up(data, parts, scale, pool.variance)
    root = levels.root_mean + rng.standard_normal((draws, past + horizon)) @ _factor(levels.root_covariance).T
    above = [root]
    if levels.region is not None:
        above = [
            root
            + (levels.region_vector[r] - root @ levels.region_precision[r]) @ levels.region.covariance[r]
            + rng.standard_normal(root.shape) @ _factor(levels.region.covariance[r]).T
            for r in range(data.groups)
        ]
    own = parts.covariances(pool.variance)[2]
    for start in range(0, len(data.values), CHUNK):
        rows = np.arange(start, min(start + CHUNK, len(data.values)))
        precision, vector = leaves(data.values[rows], pool.noise(rows)[:, None] * scale[rows] + data.known[rows])
        covariance = send_up(precision, vector, own).covariance
        weight = np.diagonal(precision, axis1=1, axis2=2)
        factor = np.linalg.cholesky(covariance[:, past:, past:] + 1e-9 * np.eye(horizon))
        for j, unit in enumerate(rows.tolist()):
            total = above[data.group[unit]]
            rest = vector[j, :past] - total[:, :past] * weight[j, :past]
            noise = np.sqrt(pool.noise(rows)[j] * pool.own[unit]) * _noise(rng, (draws, horizon))
            yield unit, (
                pool.mean + total[:, past:] + rest @ covariance[j, :past, past:]
                + rng.standard_normal((draws, horizon)) @ factor[j].T + noise
            )  # fmt: skip


def _padded(values: Floats, horizon: int, fill: float) -> Floats:
    return np.concatenate([values, np.full((len(values), horizon), fill)], axis=1)


def _factor(covariance: Floats) -> Floats:
    return np.asarray(np.linalg.cholesky(covariance + 1e-9 * np.eye(len(covariance))), dtype=np.float64)


def _noise(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    return np.asarray(np.clip(rng.standard_t(T_FREEDOM, shape), -CLIP, CLIP), dtype=np.float64)
