"""The pooled structural model of many series: variances by penalised marginal likelihood.

On the link scale the value of unit i in period t is

    z_it = F_root(t) + F_region(t) + F_i(t) + e_it
    var e_it = (v0 + v1 w_i) k_i / l_it        w_i = mean size / size_i, 20 at most

with the functions of `components`. The log standard deviations have a normal penalty, so that what the data do not tell
stays near what is usual; l_it are weights below 1 of what is far off, k_i the unit's own variance, shrunk to 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from kpiopt.learning.components import PENALTY, Components, build_components
from kpiopt.learning.tree import Upward, gather, leaves, send_down, send_up

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SAMPLE = 400
"""Units from which variances are estimated, stratified by size; levels and seasons come from all."""
SMALLEST = 20.0
"""Largest w_i: noise grows no further below a twentieth of the mean size."""
FAR = 3.0
"""Standard deviations of noise beyond which a value counts less and less."""
SHRINK = 8.0
"""Values that a unit's own noise variance is shrunk by."""
LOG_SD_RANGE = (-6.0, 1.5)
MOST_STEPS, SAME_LEVEL = 30, 0.01
"""Steps at most towards the levels of counts, and the move of their logarithms that counts as none."""
LEAST_LEVEL = -20.0
"""Least logarithm of a level of counts."""
CHUNK = 500


@dataclass(frozen=True)
class Counts:
    """Counts as they were seen.

    Attributes
    ----------
    seen : (n, T) float
        NaN where not seen.
    dispersion : float
        Their variance as a share of their mean.
    mean : float
        Logarithm of the level that values are held against.
    """

    seen: Floats
    dispersion: float
    mean: float = 0.0


@dataclass(frozen=True)
class PoolData:
    """Series on the link scale.

    Attributes
    ----------
    values : (n, T) float
        NaN where not seen.
    small : (n,) float
        w_i.
    group : (n,) int
        Region of each unit.
    groups : int
        Number of regions.
    per_year, phase : int
        Of the grid.
    known : (n, T) float
        Noise variance that is known beforehand: of counts, of measurement.
    counts : Counts or None
        Counts that the values stand for; None where the values are what was seen.
    """

    values: Floats
    small: Floats
    group: Integers
    groups: int
    per_year: int
    phase: int
    known: Floats
    counts: Counts | None = None

    def of(self, rows: Integers) -> PoolData:
        """Return some of the units, their regions numbered anew."""
        _, group = np.unique(self.group[rows], return_inverse=True)
        return replace(
            self, values=self.values[rows], small=self.small[rows], group=group.astype(np.int64),
            groups=int(group.max(initial=0)) + 1, known=self.known[rows],
            counts=None if self.counts is None else replace(self.counts, seen=self.counts.seen[rows]),
        )  # fmt: skip

    def components(self, count: int) -> Components:
        """Build the components on the first `count` periods."""
        return build_components(count, self.per_year, self.phase, has_regions=self.groups > 1)


@dataclass(frozen=True)
class Pool:
    """A fitted pool.

    Attributes
    ----------
    data : PoolData
        Values less `mean`.
    mean : float
        Mean of all values on the link scale.
    variance : dict of str to float
        Of each component.
    scale : (n, T) float
        k_i / l_it.
    own : (n,) float
        k_i.
    at_bound : tuple of str
        Components whose variance ended at a bound of the search.
    logs : (n_components,) float
        Log standard deviation of each component as estimated, in the order of their names.
    sample : (n_sampled,) int
        Units from which variances were estimated.
    """

    data: PoolData
    mean: float
    variance: dict[str, float]
    scale: Floats
    own: Floats
    at_bound: tuple[str, ...]
    logs: Floats
    sample: Integers


@dataclass(frozen=True)
class Levels:
    """The messages of one pass, and the posterior of root and regions."""

    root_mean: Floats
    root_covariance: Floats
    region: Upward | None
    region_precision: Floats
    region_vector: Floats
    log_likelihood: float

    def above(self, group: Integers) -> tuple[Floats, Floats]:
        """Return mean and covariance of all above the units of these regions."""
        if self.region is None:
            k = len(group)
            return np.repeat(self.root_mean[None], k, axis=0), np.repeat(self.root_covariance[None], k, axis=0)
        k = len(self.region_vector)
        mean, covariance = send_down(
            self.region_precision, self.region_vector, self.region,
            np.repeat(self.root_mean[None], k, axis=0), np.repeat(self.root_covariance[None], k, axis=0),
        )  # fmt: skip
        return mean[group], covariance[group]


def fit_pool(
    values: Floats, size: Floats, group: Integers, per_year: int, phase: int, known: Floats | None = None,
    counts: Counts | None = None,
) -> Pool:  # fmt: skip
    """Estimate the variances of many series.

    Parameters
    ----------
    values : (n, T) float
        On the link scale, NaN where not seen.
    size : (n,) float
        > 0.
    group : (n,) int
        Region of each unit, from 0.
    per_year, phase : int
        Of the grid.
    known : (n, T) float, optional
        Noise variance that is known beforehand; none by default.
    counts : Counts, optional
        What was counted: `values` and `known` are only where the search for their level begins.
    """
    known = np.zeros_like(values) if known is None else known
    mean = float(np.nanmean(values))
    counts = None if counts is None else replace(counts, mean=mean)
    groups = int(group.max(initial=0)) + 1
    data = PoolData(values - mean, smallness(size), group, groups, per_year, phase, known, counts)
    rows = spaced_by_size(size, SAMPLE)
    part = data.of(rows)
    scale, centre = np.ones_like(part.values), penalties(part.components(part.values.shape[1]))[0]
    part = linked(part, scale, _variances(part, centre))
    logs = _estimate(part, scale, None)
    for _ in range(2):
        part = linked(part, scale, _variances(part, logs))
        scale, _ = _weights(part, scale, _variances(part, logs))
        logs = _estimate(part, scale, logs)
    names = part.components(part.values.shape[1]).names
    variance = _variances(part, logs)
    if data.groups > 1 and part.groups == 1:
        variance |= {name: PENALTY[name][0] ** 2 for name in ("region_shock", "region_walk")}
    whole, own = np.ones_like(data.values), np.ones(len(size))
    for _ in range(2):
        data = linked(data, whole, variance)
        whole, own = _weights(data, whole, variance)
    data = linked(data, whole, variance)
    ends = tuple(n for n, x in zip(names, logs.tolist(), strict=True) if not LOG_SD_RANGE[0] < x < LOG_SD_RANGE[1])
    return Pool(data, mean, variance, whole, own, ends, logs, rows)


def smallness(size: Floats) -> Floats:
    """Return w_i of each unit, (n,) float."""
    small: Floats = np.minimum(size.mean() / size, SMALLEST)
    return small


def spaced_by_size(size: Floats, most: int) -> Integers:
    """Return all units, or so many that are evenly spaced by size."""
    if len(size) <= most:
        return np.arange(len(size))
    order = np.argsort(size, kind="stable")
    return np.sort(order[np.linspace(0, len(size) - 1, most).astype(np.int64)])


def _variances(data: PoolData, logs: Floats) -> dict[str, float]:
    names = data.components(data.values.shape[1]).names
    return dict(zip(names, np.exp(2.0 * logs).tolist(), strict=True))


def _estimate(data: PoolData, scale: Floats, start: Floats | None) -> Floats:
    """Return the log standard deviations of largest penalised likelihood."""
    parts = data.components(data.values.shape[1])
    centre, _ = penalties(parts)

    def cost(logs: Floats) -> tuple[float, Floats]:
        return cost_and_slope(data, parts, scale, logs)

    found = minimize(
        cost, centre if start is None else start, jac=True, method="L-BFGS-B",
        bounds=[LOG_SD_RANGE] * len(centre), options={"maxiter": 40, "ftol": 1e-7},
    )  # fmt: skip
    return np.asarray(found.x)


def penalties(parts: Components) -> tuple[Floats, Floats]:
    """Return middle and deviation of each component's log standard deviation beforehand."""
    return np.log([PENALTY[name][0] for name in parts.names]), np.array([PENALTY[name][1] for name in parts.names])


def cost_and_slope(data: PoolData, parts: Components, scale: Floats, logs: Floats) -> tuple[float, Floats]:
    """Return minus the penalised log likelihood, and its slope for each log standard deviation."""
    variance = dict(zip(parts.names, np.exp(2.0 * logs).tolist(), strict=True))
    likelihood, slope = likelihood_and_slope(data, parts, scale, variance)
    centre, width = penalties(parts)
    pull = (logs - centre) / width
    gradient = np.array([slope[n] * 2.0 * variance[n] for n in parts.names])
    return -likelihood + 0.5 * float(pull @ pull), gradient + pull / width


def pass_up(data: PoolData, parts: Components, scale: Floats, variance: dict[str, float]) -> Levels:
    """Send everything from the units up to the root, in chunks of units."""
    return send_on(data, parts, variance, from_units(data, parts, scale, variance))


def from_units(
    data: PoolData, parts: Components, scale: Floats, variance: dict[str, float]
) -> tuple[Floats, Floats, float]:
    """Return what units send to their regions, precision and vector, and their share of the log likelihood."""
    size = data.values.shape[1]
    precision, vector = np.zeros((data.groups, size, size)), np.zeros((data.groups, size))
    total = 0.0
    for rows in _chunks(len(data.values), CHUNK):
        noise = noise_of(data, scale, variance, rows)
        below, pull = leaves(data.values[rows], noise)
        up = send_up(below, pull, parts.own(variance, data.small[rows]))
        total += float(up.log_likelihood.sum()) + _seen_likelihood(data.values[rows], noise)
        more, further = gather(up.precision, up.vector, data.group[rows], data.groups)
        precision, vector = precision + more, vector + further
    return precision, vector, total


def send_on(
    data: PoolData, parts: Components, variance: dict[str, float], sent: tuple[Floats, Floats, float]
) -> Levels:
    """Send what came from the units on to the root."""
    common, regional = parts.above(variance)
    precision, vector, total = sent
    region = send_up(precision, vector, regional) if data.groups > 1 else None
    top, top_vector = (region.precision, region.vector) if region else (precision, vector)
    top, top_vector = top.sum(axis=0)[None], top_vector.sum(axis=0)[None]
    root = send_up(top, top_vector, common)
    total += float(root.log_likelihood[0]) + (float(region.log_likelihood.sum()) if region else 0.0)
    mean = (root.covariance[0] @ top_vector[0]).ravel()
    return Levels(mean, root.covariance[0], region, precision, vector, total)


def _chunks(count: int, chunk: int) -> list[Integers]:
    return [part for part in np.array_split(np.arange(count), max(1, -(-count // chunk))) if len(part)]


def noise_of(data: PoolData, scale: Floats, variance: dict[str, float], rows: Integers) -> Floats:
    """Return the noise variance of each value of some units, (k, T) float."""
    return own_noise(data, variance, rows)[:, None] * scale[rows] + data.known[rows]


def own_noise(data: PoolData, variance: dict[str, float], rows: Integers) -> Floats:
    """Return the noise variance of some units without their own scale, (k,) float."""
    return variance["noise"] + variance["small_noise"] * data.small[rows]


def _seen_likelihood(values: Floats, noise: Floats) -> float:
    seen = np.isfinite(values)
    return float(-0.5 * (np.log(2.0 * np.pi * noise[seen]) + values[seen] ** 2 / noise[seen]).sum())


def likelihood_and_slope(
    data: PoolData, parts: Components, scale: Floats, variance: dict[str, float]
) -> tuple[float, dict[str, float]]:
    """Return the log likelihood, and the slope of minus it for each variance: one pass up and one down."""
    rows = np.arange(len(data.values))
    noise = noise_of(data, scale, variance, rows)
    precision, vector = leaves(data.values, noise)
    up = send_up(precision, vector, parts.own(variance, data.small))
    likelihood = float(up.log_likelihood.sum()) + _seen_likelihood(data.values, noise)
    sent = *gather(up.precision, up.vector, data.group, data.groups), likelihood
    levels = send_on(data, parts, variance, sent)
    mean, covariance = send_down(precision, vector, up, *levels.above(data.group))
    weight = np.diagonal(precision, axis1=1, axis2=2)
    pulled = vector - weight * mean
    spread = weight - weight**2 * np.diagonal(covariance, axis1=1, axis2=2)
    slope: dict[str, float] = {}
    for kind, share in ((parts.unit, np.ones(len(rows))), (parts.small, data.small)):
        at_units = np.diag(share @ weight) - np.einsum(
            "it,itu,iu->tu", share[:, None] * weight, covariance, weight, optimize=True
        ) - (share[:, None] * pulled).T @ pulled  # fmt: skip
        slope |= {name: 0.5 * float((at_units * matrix).sum()) for name, matrix in kind.items()}
    if levels.region is not None:
        above, above_covariance = levels.above(np.arange(data.groups))
        at_regions = _curvature(levels.region_precision, levels.region_vector, above, above_covariance)
        slope |= {name: 0.5 * float((at_regions * matrix).sum()) for name, matrix in parts.region.items()}
        top, top_vector = levels.region.precision, levels.region.vector
    else:
        top, top_vector = levels.region_precision, levels.region_vector
    at_root = _curvature(
        top.sum(axis=0)[None], top_vector.sum(axis=0)[None], levels.root_mean[None], levels.root_covariance[None]
    )
    slope |= {name: 0.5 * float((at_root * matrix).sum()) for name, matrix in parts.root.items()}
    rest = np.where(np.isfinite(data.values), (spread - pulled**2) * scale, 0.0)
    slope |= {"noise": 0.5 * float(rest.sum()), "small_noise": 0.5 * float((rest * data.small[:, None]).sum())}
    return levels.log_likelihood, slope


def _curvature(precision: Floats, vector: Floats, mean: Floats, covariance: Floats) -> Floats:
    pulled = vector - (precision @ mean[..., None])[..., 0]
    total: Floats = (precision - precision @ covariance @ precision).sum(axis=0) - pulled.T @ pulled
    return total


def _weights(data: PoolData, scale: Floats, variance: dict[str, float]) -> tuple[Floats, Floats]:
    """Return k_i / l_it and k_i from the expected squared noise of each value.

    l = min(1, FAR^2 n / E e^2) are weights of Huber's; k_i is the mean of l E e^2 / n, shrunk to 1. Weights that differ
    for usual values as well, as those of t noise do, would let noise fit what is a function of time.
    """
    weighted, own = np.ones_like(scale), np.ones(len(scale))
    for found in posteriors(data, scale, variance):
        rows = found.rows
        seen = np.isfinite(data.values[rows])
        square = np.where(seen, found.noise**2 + found.noise_variance, 0.0)
        square = square / own_noise(data, variance, rows)[:, None]
        robust = np.where(seen, np.minimum(1.0, FAR**2 / np.maximum(square, 1e-300)), 1.0)
        own[rows] = (SHRINK + (square * robust).sum(axis=1)) / (SHRINK + seen.sum(axis=1))
        weighted[rows] = own[rows][:, None] / robust
    return weighted, own


@dataclass(frozen=True)
class Posterior:
    """What is known afterwards of some units: of level with noise, and of noise alone.

    Attributes
    ----------
    rows : (k,) int
        The units.
    level, level_variance, noise, noise_variance : (k, T) float
    """

    rows: Integers
    level: Floats
    level_variance: Floats
    noise: Floats
    noise_variance: Floats


def posteriors(data: PoolData, scale: Floats, variance: dict[str, float]) -> Iterator[Posterior]:
    """Pass up and down; of what is seen beyond the functions of time, noise has its share of the variance.

    The rest of it is what is known beforehand, of counting or measuring.
    """
    parts = data.components(data.values.shape[1])
    levels = pass_up(data, parts, scale, variance)
    for rows in _chunks(len(data.values), CHUNK):
        total = noise_of(data, scale, variance, rows)
        precision, vector = leaves(data.values[rows], total)
        up = send_up(precision, vector, parts.own(variance, data.small[rows]))
        mean, covariance = send_down(precision, vector, up, *levels.above(data.group[rows]))
        spread = np.diagonal(covariance, axis1=1, axis2=2)
        own = total - data.known[rows]
        share = own / total
        noise = share * (np.where(np.isfinite(data.values[rows]), data.values[rows], mean) - mean)
        left = own * (1.0 - share)
        yield Posterior(
            rows, mean + noise, (1.0 - share) ** 2 * spread + left, noise, share**2 * spread + left
        )  # fmt: skip


def linked(data: PoolData, scale: Floats, variance: dict[str, float]) -> PoolData:
    """Return the data, counts on the link scale, at the normal posterior that is nearest to the true one.

    With y ~ Poisson(exp(f)) and f ~ N(m, s^2) afterwards, the expected count w = exp(m + s^2 / 2) makes

        z = m + (y - w) / w        var z = d / w

    values of normal noise with the same posterior (Gaussian variational approximation, Opper and Archambeau 2009,
    doi:10.1162/neco.2008.08-07-592). So what is expected of the past adds up to what was counted. Logarithms of
    counts do not: those of small counts are far too high, or too low.
    """
    if data.counts is None:
        return data
    seen, offset = data.counts.seen, data.counts.mean
    most = np.log(max(float(np.nanmax(seen)), 1.0)) + 2.0
    for _ in range(MOST_STEPS):
        values, known, moved = data.values.copy(), data.known.copy(), 0.0
        for found in posteriors(data, scale, variance):
            at = np.clip(offset + found.level + 0.5 * found.level_variance, LEAST_LEVEL, most)
            expected, rows = np.exp(at), found.rows
            values[rows] = found.level + (seen[rows] - expected) / expected
            fresh = np.where(np.isfinite(seen[rows]), data.counts.dispersion / expected, 0.0)
            known[rows], before = fresh, data.known[rows]
            at_seen = np.isfinite(seen[rows])
            moved = max(moved, float(np.abs(np.log(fresh[at_seen] / before[at_seen])).max(initial=0.0)))
        data = replace(data, values=values, known=known)
        if moved < SAME_LEVEL:
            break
    return data
