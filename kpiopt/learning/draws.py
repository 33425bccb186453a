"""Joint draws of the future: units, regions and the organization are drawn together, so totals are coherent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from kpiopt.learning.components import Components
from kpiopt.learning.pool import CHUNK, Pool, PoolData, from_units, noise_of, own_noise, send_on
from kpiopt.learning.tree import leaves, send_up

Floats = NDArray[np.float64]

T_FREEDOM, CLIP, T_SD = 5.0, 4.0, 1.22
"""Degrees of freedom of drawn noise, its largest score (the exponential of a t has no mean), and its deviation as the
pool would find it, which gives what is far off less weight: the root of E min(t^2, (3 T_SD)^2)."""


def draw_future(
    pool: Pool, horizon: int, draws: int, rng: np.random.Generator, variances: Sequence[dict[str, float]] = ()
) -> Iterator[tuple[int, Floats]]:
    """Draw the values of every unit in the periods after its history, on the link scale.

    Parameters
    ----------
    variances : sequence of dict
        Variances that may be true; each makes every so many-th draw. Those of the pool where none are given.

    Yields
    ------
    (int, (draws, horizon) float)
        Unit and its values; the same draw is the same future for all units.
    """
    past, variances = pool.data.values.shape[1], list(variances) or [pool.variance]
    data = PoolData(
        _padded(pool.data.values, horizon, np.nan), pool.data.small, pool.data.group, pool.data.groups,
        pool.data.per_year, pool.data.phase, _padded(pool.data.known, horizon, 0.0),
    )  # fmt: skip
    scale = _padded(pool.scale, horizon, 1.0)
    parts = data.components(past + horizon)
    above = _draw_above(data, parts, scale, variances, rng, draws)
    at = _of_units(parts, variances)
    for start in range(0, len(data.values), CHUNK):
        rows = np.arange(start, min(start + CHUNK, len(data.values)))
        out = np.empty((len(rows), draws, horizon))
        for which in np.unique(at):
            take = np.isin(np.arange(draws) % len(variances), np.flatnonzero(at == which))
            variance = variances[which]
            precision, vector = leaves(data.values[rows], noise_of(data, scale, variance, rows))
            covariance = send_up(precision, vector, parts.own(variance, data.small[rows])).covariance
            weight = np.diagonal(precision, axis1=1, axis2=2)
            factor = np.linalg.cholesky(covariance[:, past:, past:] + 1e-9 * np.eye(horizon))
            sd = np.sqrt(own_noise(data, variance, rows) * pool.own[rows])
            for j, unit in enumerate(rows.tolist()):
                total = above[data.group[unit]][take]
                rest = vector[j, :past] - total[:, :past] * weight[j, :past]
                shape = len(total), horizon
                out[j, take] = (
                    pool.mean + total[:, past:] + rest @ covariance[j, :past, past:]
                    + rng.standard_normal(shape) @ factor[j].T + sd[j] * _noise(rng, shape)
                )  # fmt: skip
        yield from zip(rows.tolist(), out, strict=True)


def _of_units(parts: Components, variances: Sequence[dict[str, float]]) -> NDArray[np.int64]:
    """Return for each set of variances the first one that has the same of units and noise."""
    keys = [tuple(variance[name] for name in parts.of_units) for variance in variances]
    return np.array([keys.index(key) for key in keys])


def _draw_above(
    data: PoolData, parts: Components, scale: Floats, variances: Sequence[dict[str, float]],
    rng: np.random.Generator, draws: int,
) -> list[Floats]:  # fmt: skip
    """Draw the sum of all functions above the units of each region, (draws, T) float."""
    above = [np.empty((draws, data.values.shape[1])) for _ in range(data.groups)]
    at = _of_units(parts, variances)
    sent: dict[int, tuple[Floats, Floats, float]] = {}
    for number, variance in enumerate(variances):
        which = int(at[number])
        if which not in sent:
            sent = {which: from_units(data, parts, scale, variance)}
        levels = send_on(data, parts, variance, sent[which])
        shape = above[0][number :: len(variances)].shape
        root = levels.root_mean + rng.standard_normal(shape) @ _factor(levels.root_covariance).T
        for r in range(data.groups):
            drawn = root
            if levels.region is not None:
                drawn = (
                    root
                    + (levels.region_vector[r] - root @ levels.region_precision[r]) @ levels.region.covariance[r]
                    + rng.standard_normal(shape) @ _factor(levels.region.covariance[r]).T
                )
            above[r][number :: len(variances)] = drawn
    return above


def _padded(values: Floats, horizon: int, fill: float) -> Floats:
    return np.concatenate([values, np.full((len(values), horizon), fill)], axis=1)


def _factor(covariance: Floats) -> Floats:
    return np.asarray(np.linalg.cholesky(covariance + 1e-9 * np.eye(len(covariance))), dtype=np.float64)


def _noise(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    return np.asarray(np.clip(rng.standard_t(T_FREEDOM, shape), -CLIP, CLIP) / T_SD, dtype=np.float64)
