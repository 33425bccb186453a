"""Exact inference on a tree of Gaussian functions of time: the organization, its regions, its units.

Every node has a function on the grid of periods; what is seen at a unit is the sum of the functions on its path plus
noise. A node's children reach it as a precision J and a vector h; its own function, with covariance B = L L', is
integrated out, and what is left goes up::

    C = (B^-1 + J)^-1 = L (I + L' J L)^-1 L'      J' = J - J C J      h' = h - J C h
    log p += -1/2 log |I + L' J L| + 1/2 h' C h

and down again, with mean g and covariance G of all that is above::

    mean = g + C (h - J g)      covariance = C + (I - C J) G (I - C J)'

A tree has no circles, so one pass each way is exact, and the cost is linear in the number of units. (Belief
propagation in Gaussian trees, Pearl 1988; Bishop 2006, section 8.4.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

JITTER = 1e-10
"""Share of the mean variance that is added to a covariance's diagonal, so that it has a Cholesky factor."""


@dataclass(frozen=True)
class Upward:
    """What nodes send up, and what they keep for the way down.

    Attributes
    ----------
    covariance : (k, T, T) float
        C of each node.
    gain : (k, T, T) float
        J C.
    precision, vector : (k, T, T) and (k, T) float
        J' and h' for the parent.
    log_likelihood : (k,) float
        Each node's share of the log likelihood.
    """

    covariance: Floats
    gain: Floats
    precision: Floats
    vector: Floats
    log_likelihood: Floats


def send_up(precision: Floats, vector: Floats, covariance: Floats) -> Upward:
    """Integrate out the functions of nodes.

    Parameters
    ----------
    precision, vector : (k, T, T) and (k, T) float
        What reaches each node from below.
    covariance : (T, T) or (k, T, T) float
        Prior covariance of the nodes' own functions.
    """
    size = covariance.shape[-1]
    mean = np.trace(covariance, axis1=-2, axis2=-1)[..., None, None] / size
    root = np.linalg.cholesky(covariance + JITTER * mean * np.eye(size))
    turned = np.swapaxes(root, -1, -2)
    inner = turned @ precision @ root
    inner[:, np.arange(size), np.arange(size)] += 1.0
    logs = 2.0 * np.log(np.diagonal(np.linalg.cholesky(inner), axis1=1, axis2=2)).sum(axis=1)
    posterior = root @ np.linalg.inv(inner) @ turned
    weighted = (posterior @ vector[..., None])[..., 0]
    gain = precision @ posterior
    return Upward(
        posterior, gain, precision - gain @ precision, vector - (precision @ weighted[..., None])[..., 0],
        -0.5 * logs + 0.5 * (vector * weighted).sum(axis=1),
    )  # fmt: skip


def send_down(precision: Floats, vector: Floats, up: Upward, mean: Floats, covariance: Floats) -> tuple[Floats, Floats]:
    """Return mean and covariance of the sum of functions down to nodes, given those of all above.

    Parameters
    ----------
    precision, vector : (k, T, T) and (k, T) float
        What reached each node from below.
    up : Upward
        What the nodes sent up.
    mean, covariance : (k, T) and (k, T, T) float
        Of all that is above each node.
    """
    rest = vector - (precision @ mean[..., None])[..., 0]
    below = mean + (up.covariance @ rest[..., None])[..., 0]
    passing = np.eye(precision.shape[-1]) - np.swapaxes(up.gain, 1, 2)
    return below, up.covariance + passing @ covariance @ np.swapaxes(passing, 1, 2)


def leaves(values: Floats, variance: Floats) -> tuple[Floats, Floats]:
    """Return precision and vector of observed values, (n, T, T) and (n, T); NaN is not seen and has precision 0."""
    n, size = values.shape
    seen = np.isfinite(values)
    weight = np.where(seen, 1.0 / variance, 0.0)
    precision = np.zeros((n, size, size))
    precision[:, np.arange(size), np.arange(size)] = weight
    return precision, weight * np.where(seen, values, 0.0)


def gather(precision: Floats, vector: Floats, group: Integers, count: int) -> tuple[Floats, Floats]:
    """Add up what units send to their groups."""
    size = vector.shape[1]
    order = np.argsort(group, kind="stable")
    present, start = np.unique(group[order], return_index=True)
    total, pull = np.zeros((count, size, size)), np.zeros((count, size))
    total[present] = np.add.reduceat(precision[order], start, axis=0)
    pull[present] = np.add.reduceat(vector[order], start, axis=0)
    return total, pull
