"""How well variances are known: sets of them that the past does not rule out.

Ranges that take estimated variances for true are too narrow where there are few units or few periods. So sets of
variances are drawn around the estimate, from a normal curve that bends there as the penalised likelihood does along
each of them, and those that the likelihood itself finds likelier are taken more often (sampling, importance,
resampling; Rubin 1987, doi:10.1080/01621459.1987.10478461).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kpiopt.learning.pool import LOG_SD_RANGE, Pool, from_units, penalties, send_on

Floats = NDArray[np.float64]

TRIED = 64
"""Sets of variances of which the likely ones are taken."""
STEP = 0.3
"""Step of the differences of the likelihood, on the log scale."""
MANY = 60
"""Units that tell their own variances well enough: with more, only those of regions and the organization differ."""


def likely_variances(pool: Pool, count: int, rng: np.random.Generator) -> list[dict[str, float]]:
    """Draw sets of variances that may be true.

    Parameters
    ----------
    count : int
        How many, 64 at most.
    """
    data, scale = pool.data.of(pool.sample), pool.scale[pool.sample]
    parts = data.components(data.values.shape[1])
    centre, width = penalties(parts)
    above = len(parts.root) + len(parts.region)
    free = np.arange(len(width)) < (above if len(data.values) > MANY else len(width))
    sent = from_units(data, parts, scale, pool.variance)

    def height(logs: Floats) -> float:
        variance = dict(zip(parts.names, np.exp(2.0 * logs).tolist(), strict=True))
        same = np.array_equal(logs[above:], pool.logs[above:])
        levels = send_on(data, parts, variance, sent if same else from_units(data, parts, scale, variance))
        return levels.log_likelihood - 0.5 * float((((logs - centre) / width) ** 2).sum())

    top = height(pool.logs)
    steps = STEP * np.eye(len(width))[free]
    bend = np.array([2.0 * top - height(pool.logs + step) - height(pool.logs - step) for step in steps]) / STEP**2
    scores = rng.standard_normal((TRIED, int(free.sum())))
    tried = np.repeat(pool.logs[None], TRIED, axis=0)
    tried[:, free] += scores / np.sqrt(np.maximum(bend, 0.5 * width[free] ** -2))
    tried = np.clip(tried, *LOG_SD_RANGE)
    heights = np.array([height(logs) for logs in tried]) + 0.5 * (scores**2).sum(axis=1)
    weight = np.exp(heights - heights.max())
    share = np.cumsum(weight / weight.sum())
    taken = np.searchsorted(share, (np.arange(count) + rng.random()) / count).clip(max=TRIED - 1)
    return [
        pool.variance | dict(zip(parts.names, np.exp(2.0 * tried[i]).tolist(), strict=True)) for i in taken.tolist()
    ]
