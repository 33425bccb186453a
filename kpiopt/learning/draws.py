"""Joint draws of the future: units, regions and the organization are drawn together, so totals are coherent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kpiopt.learning.components import Components
from kpiopt.learning.likely import MANY
from kpiopt.learning.pool import CHUNK, Pool, PoolData, from_units, linked, noise_of, own_noise, send_on
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
    each = [_with_future(data, horizon) for data in _data_of(pool, variances)]
    data = each[0]
    scale = _padded(pool.scale, horizon, 1.0)
    parts = data.components(past + horizon)
    at = np.arange(len(variances)) if len(each) > 1 else _of_units(parts, variances)
    falls = np.array([_of_walks(pool, variance, horizon) for variance in variances])
    above = _draw_above(each, at, parts, scale, variances, rng, draws)
    for start in range(0, len(data.values), CHUNK):
        rows = np.arange(start, min(start + CHUNK, len(data.values)))
        out = np.empty((len(rows), draws, horizon))
        for which in np.unique(at):
            take = np.isin(np.arange(draws) % len(variances), np.flatnonzero(at == which))
            fall = falls[np.flatnonzero(take) % len(falls)]
            data, variance = each[which % len(each)], variances[which]
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
                    pool.mean - fall + total[:, past:] + rest @ covariance[j, :past, past:]
                    + rng.standard_normal(shape) @ factor[j].T + sd[j] * _noise(rng, shape)
                )  # fmt: skip
        yield from zip(rows.tolist(), out, strict=True)


def _data_of(pool: Pool, variances: Sequence[dict[str, float]]) -> list[PoolData]:
    """Return what draws are made from, one for all sets of variances, or one for each.

    Where few units tell the variances of counts, each set has levels at which it expects what was counted: else those
    with large variances would expect far more.
    """
    if pool.data.counts is None or len(pool.data.values) > MANY:
        return [pool.data]
    return [linked(pool.data, pool.scale, variance) for variance in variances]


def _with_future(data: PoolData, horizon: int) -> PoolData:
    values, known = _padded(data.values, horizon, np.nan), _padded(data.known, horizon, 0.0)
    return replace(data, values=values, known=known, counts=None)


def _of_walks(pool: Pool, variance: dict[str, float], horizon: int) -> Floats:
    """Return what the logarithm of counts falls by, so that walks leave the expected count where it is, (horizon,).

    Else counts would be expected to grow the more, the less is known of where they go.
    """
    if pool.data.counts is None:
        return np.zeros(horizon)
    walks = sum(variance.get(name, 0.0) for name in ("common_walk", "region_walk", "walk"))
    return 0.5 * walks * np.arange(1, horizon + 1) / pool.data.per_year


def _of_units(parts: Components, variances: Sequence[dict[str, float]]) -> NDArray[np.int64]:
    """Return for each set of variances the first one that has the same of units and noise."""
    keys = [tuple(variance[name] for name in parts.of_units) for variance in variances]
    return np.array([keys.index(key) for key in keys])


def _draw_above(
    each: list[PoolData], at: NDArray[np.int64], parts: Components, scale: Floats,
    variances: Sequence[dict[str, float]], rng: np.random.Generator, draws: int,
) -> list[Floats]:  # fmt: skip
    """Draw the sum of all functions above the units of each region, (draws, T) float."""
    data = each[0]
    above = [np.empty((draws, data.values.shape[1])) for _ in range(data.groups)]
    sent: dict[int, tuple[Floats, Floats, float]] = {}
    for number, variance in enumerate(variances):
        which, data = int(at[number]), each[number % len(each)]
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
