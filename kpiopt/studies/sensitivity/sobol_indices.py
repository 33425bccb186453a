"""Sobol' indices: which share of an outcome's variance each group of inputs brings, alone and with the others.

References
----------
Sobol' (2001), Global sensitivity indices for nonlinear mathematical models. DOI 10.1016/S0378-4754(00)00270-6
Saltelli, Annoni, Azzini, Campolongo, Ratto and Tarantola (2010), Variance based sensitivity analysis of model output.
DOI 10.1016/j.cpc.2009.09.018
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kpiopt.scenario.scenario import Floats, Integers, SimulationSettings
from kpiopt.simulation.odds import Estimate, student
from kpiopt.simulation.streams import Streams, lay_out
from kpiopt.studies.sensitivity.source_groups import Response, SourceGroup

SECOND = "second sample of "


@dataclass(frozen=True, slots=True)
class VarianceShare:
    """One group's part in the variance.

    Attributes
    ----------
    first : Estimate
        Share that would go if the group were known.
    total : Estimate
        Share that would stay if everything but the group were known.
    """

    first: Estimate
    total: Estimate


def estimate_indices(
    function: Callable[[Floats], Floats], samples: Sequence[tuple[Floats, Floats]], groups: Sequence[Integers]
) -> tuple[tuple[VarianceShare, ...], float]:
    """Estimate first and total indices of a function of independent groups of inputs.

    Parameters
    ----------
    function : callable
        Points (n_inputs, n) -> values (n,).
    samples : sequence of (A, B)
        Independent replicates of two independent samples, each (n_inputs, n) float with n a power of 2. Their spread
        gives the intervals.
    groups : sequence of (k,) int
        Inputs that belong together.

    Returns
    -------
    shares : tuple of VarianceShare
        All 0 where the outcome does not vary.
    variance : float
    """
    runs = [list(_pick_freeze(function, first, second, groups)) for first, second in samples]
    values = np.array([np.stack(run) for run in runs])  # (replicates, 2 + groups, n)
    whole = np.concatenate(list(values), axis=1)
    variance = float(np.var(whole[:2]))
    points = _indices(whole, variance)
    each = np.array([_indices(part, float(np.var(part[:2]))) for part in values])
    half = _half_widths(each)
    shares = [
        VarianceShare(_estimate(points[0, g], half[0, g]), _estimate(points[1, g], half[1, g]))
        for g in range(len(groups))
    ]
    return tuple(shares), variance


def _pick_freeze(
    function: Callable[[Floats], Floats], first: Floats, second: Floats, groups: Sequence[Integers]
) -> Iterator[Floats]:
    """Yield the values at A, at B, and at A with the inputs of each group taken from B."""
    yield function(first)
    yield function(second)
    for members in groups:
        mixed = first.copy()
        mixed[members] = second[members]
        yield function(mixed)


def _indices(values: Floats, variance: float) -> Floats:
    """Return first and total indices (2, n_groups) from values at A, B and the mixed points."""
    from scipy.stats import sobol_indices

    n_groups = len(values) - 2
    if variance <= 0.0 or not n_groups:
        return np.zeros((2, n_groups))
    centred = values - values[:2].mean()  # the indices are the same, their error is smaller
    mixed = centred[[2, 2]] if n_groups == 1 else centred[2:]  # SciPy fails on a single input; given twice it does not
    found = sobol_indices(func={"f_A": centred[[0]], "f_B": centred[[1]], "f_AB": mixed[:, None, :]}, n=values.shape[1])
    return np.array([np.ravel(found.first_order), np.ravel(found.total_order)])[:, :n_groups]


def _half_widths(each: Floats) -> Floats:
    """Half widths of Student's t intervals over replicates (n_replicates, 2, n_groups)."""
    n = len(each)
    return np.asarray(student(n - 1) * each.std(axis=0, ddof=1) / math.sqrt(n))


def _estimate(value: float, half: float) -> Estimate:
    """Return an index with its interval, both confined to 0 … 1, where every index lies."""
    low, middle, high = (min(1.0, max(0.0, float(v))) for v in (value - half, value, value + half))
    return Estimate(middle, low, high, "replicates")


def share_variance(
    response: Response, groups: Sequence[SourceGroup], settings: SimulationSettings
) -> tuple[tuple[tuple[SourceGroup, VarianceShare], ...], float]:
    """Share the variance of a plan's outcome out among groups; the largest total index first.

    Parameters
    ----------
    settings : SimulationSettings
        Seed and draws; nets are used whatever its method.

    Returns
    -------
    shares : tuple of (SourceGroup, VarianceShare)
    variance : float
        In the square of the outcome's unit.
    """
    settings = replace(settings, method="sobol")
    names = response.propagation.inputs.names
    samples = list(_two_samples(names, settings))
    shares, variance = estimate_indices(response.at, samples, [g.rows for g in groups])
    pairs = sorted(zip(groups, shares, strict=True), key=lambda pair: (-pair[1].total.estimate, pair[0].name))
    return tuple(pairs), variance


def _two_samples(names: Sequence[str], settings: SimulationSettings) -> Iterator[tuple[Floats, Floats]]:
    """Yield the scores of two independent samples in every replicate; the first is that of the simulation."""
    layout = lay_out(settings.draws, settings.method)
    streams = [Streams(settings.seed, [prefix + n for n in names], layout) for prefix in ("", SECOND)]
    for replicate in range(layout.replicates):
        first, second = (s.replicate(replicate).scores(0, layout.size)(slice(None)) for s in streams)
        yield first, second
