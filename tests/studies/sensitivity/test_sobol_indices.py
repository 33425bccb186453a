"""Sobol' indices: closed forms of linear maps, the Ishigami function and a product; groups."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr

from kpiopt.simulation.streams import Streams, lay_out
from kpiopt.studies.sensitivity.sobol_indices import SECOND, VarianceShare, estimate_indices

A, B = 7.0, 0.1


def two_samples(n_inputs: int, draws: int = 1 << 15, seed: int = 4) -> list[tuple[np.ndarray, np.ndarray]]:
    layout = lay_out(draws, "sobol")
    names = [f"x{i}" for i in range(n_inputs)]
    streams = [Streams(seed, [prefix + n for n in names], layout) for prefix in ("", SECOND)]
    return [
        tuple(s.replicate(r).scores(0, layout.size)(slice(None)) for s in streams)  # type: ignore[misc]
        for r in range(layout.replicates)
    ]


def ishigami(z: np.ndarray) -> np.ndarray:
    x1, x2, x3 = np.pi * (2.0 * ndtr(z) - 1.0)
    return np.sin(x1) + A * np.sin(x2) ** 2 + B * x3**4 * np.sin(x1)


def check(found: tuple[VarianceShare, ...], first: list[float], total: list[float], within: float) -> None:
    for share, s, t in zip(found, first, total, strict=True):
        assert share.first.estimate == pytest.approx(s, abs=within)
        assert share.total.estimate == pytest.approx(t, abs=within)
        assert share.first.low - within / 4 <= s <= share.first.high + within / 4
        assert share.total.low - within / 4 <= t <= share.total.high + within / 4


def test_a_linear_map_has_its_squared_slopes_as_shares() -> None:
    slopes = np.array([3.0, 2.0, 1.0, 0.0])
    groups = [np.array([i]) for i in range(4)]
    found, variance = estimate_indices(lambda z: slopes @ z + 100.0, two_samples(4), groups)
    shares = (slopes**2 / np.sum(slopes**2)).tolist()
    assert variance == pytest.approx(np.sum(slopes**2), rel=0.01)
    check(found, shares, shares, 0.02)


def test_a_group_has_the_share_of_its_members() -> None:
    slopes = np.array([3.0, 2.0, 1.0, 0.0])
    found, _ = estimate_indices(lambda z: slopes @ z, two_samples(4), [np.array([0, 2]), np.array([1, 3])])
    check(found, [10 / 14, 4 / 14], [10 / 14, 4 / 14], 0.02)


def test_ishigami_has_its_published_indices() -> None:
    """First and total indices by the closed forms of the variance's parts."""
    v1, v2 = 0.5 * (1.0 + B * np.pi**4 / 5.0) ** 2, A**2 / 8.0
    v13 = B**2 * np.pi**8 * (1.0 / 18.0 - 1.0 / 50.0)
    whole = v1 + v2 + v13
    found, variance = estimate_indices(ishigami, two_samples(3), [np.array([i]) for i in range(3)])
    assert variance == pytest.approx(whole, rel=0.02)
    check(found, [v1 / whole, v2 / whole, 0.0], [(v1 + v13) / whole, v2 / whole, v13 / whole], 0.02)


def test_a_product_is_all_interaction() -> None:
    found, variance = estimate_indices(lambda z: z[0] * z[1], two_samples(2), [np.array([0]), np.array([1])])
    assert variance == pytest.approx(1.0, rel=0.03)
    check(found, [0.0, 0.0], [1.0, 1.0], 0.05)


def test_what_does_not_vary_has_no_shares() -> None:
    found, variance = estimate_indices(lambda z: np.full(z.shape[1], 3.0), two_samples(1, 64), [np.array([0])])
    assert variance == 0.0
    assert found[0].first.estimate == found[0].total.high == 0.0
