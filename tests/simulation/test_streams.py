"""Streams: keyed by seed and name, order-free, stratified, independent."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.special import ndtri

from kpiopt.simulation.streams import REPLICATES, Layout, Streams, as_uniform, lay_out, mix, stream_keys

NAMES = [f"factor.f{i}" for i in range(40)]
GOLDEN_KEYS = [15971846606249437132]
GOLDEN_UNIFORMS = {
    "random": [
        [0.7080404661599201, 0.3923538978185318, 0.03693316455011375, 0.5381338638019034],
        [0.12715774136057523, 0.4655607984394824, 0.6589370048309368, 0.9104051408430024],
    ],
    "sobol": [
        [0.20925539298332296, 0.6773968473717105, 0.4433261201775167, 0.9114675745659042],
        [0.6495637524349149, 0.39045450897538103, 0.13134526551584713, 0.9086729958944488],
    ],
}


def points(
    method: str, seed: int = 7, names: list[str] | None = None, size: int = 256, replicate: int = 0
) -> np.ndarray:
    layout = Layout(method, REPLICATES if method == "sobol" else 1, size)
    return Streams(seed, names or NAMES, layout).replicate(replicate).uniforms(0, size)


def test_splitmix_gives_its_published_numbers() -> None:
    """First outputs for seed 1234567, as published with the generator's reference implementation."""
    state = np.uint64(1234567) + np.arange(1, 6, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    assert mix(state).tolist() == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


def test_uniforms_stay_strictly_inside_and_are_symmetric() -> None:
    words = np.array([0, 2**64 - 1, 2**63, 2**63 - 1], dtype=np.uint64)
    u = as_uniform(words)
    assert u.tolist() == [2.0**-53, 1 - 2.0**-53, 0.5 + 2.0**-53, 0.5 - 2.0**-53]
    assert np.isfinite(ndtri(u)).all()


def test_frozen_numbers() -> None:
    """Golden values: a change here changes every published odds."""
    assert stream_keys(0, ["factor.market"]).tolist() == GOLDEN_KEYS
    for method, golden in GOLDEN_UNIFORMS.items():
        assert points(method, 7, ["factor.market", "uncertainty.execution"], 4).tolist() == golden


@pytest.mark.parametrize("method", ["random", "sobol"])
def test_a_stream_depends_on_nothing_but_seed_and_name(method: str) -> None:
    whole = points(method)
    some = points(method, names=["new", NAMES[5], NAMES[2]])
    assert np.array_equal(some[1:], whole[[5, 2]])
    assert not np.array_equal(points(method, seed=0)[0], points(method, seed=1)[0])


@pytest.mark.parametrize("method", ["random", "sobol"])
def test_any_block_in_any_order_gives_the_same_bits(method: str) -> None:
    layout = Layout(method, REPLICATES if method == "sobol" else 1, 1024)
    streams = Streams(3, NAMES, layout)
    whole = streams.replicate(0).uniforms(0, 1024)
    for block in (1, 16, 256):
        for start in reversed(range(0, 1024, block)):
            part = streams.replicate(0).uniforms(start, start + block, slice(4, 9))
            assert np.array_equal(part, whole[4:9, start : start + block])


def test_every_stream_of_the_net_is_perfectly_stratified() -> None:
    for replicate in range(REPLICATES):
        ranks = np.sort(np.floor(points("sobol", replicate=replicate) * 256).astype(int), axis=1)
        assert np.array_equal(ranks, np.tile(np.arange(256), (len(NAMES), 1)))


def test_random_streams_are_uniform() -> None:
    p_values = [stats.kstest(row, "uniform").pvalue for row in points("random", size=1 << 14)]
    assert stats.kstest(p_values, "uniform").pvalue > 1e-3


def test_the_same_point_of_a_net_is_uniform_over_replicates_and_seeds() -> None:
    found = np.array([points("sobol", seed, NAMES[:2], 16, r)[:, [0, 15]] for seed in range(100) for r in range(16)])
    for column in found.reshape(len(found), 4).T:
        assert stats.kstest(column, "uniform").pvalue > 1e-4


@pytest.mark.parametrize("method", ["random", "sobol"])
@pytest.mark.parametrize("size", [16, 256])
def test_streams_are_uncorrelated_with_the_spread_of_random_orders(method: str, size: int) -> None:
    """Rank correlations of 780 pairs in each replicate: variance 1 / (n - 1), and no outliers."""
    names = [f"factor.f{i}" for i in range(40)]
    ranks = [stats.rankdata(points(method, 5, names, size, r), axis=1) for r in range(16 if method == "sobol" else 1)]
    above = np.triu_indices(40, 1)
    scaled = np.concatenate([np.corrcoef(r)[above] for r in ranks]) * np.sqrt(size - 1)
    assert abs(scaled.mean()) < 5 / np.sqrt(len(scaled))
    assert scaled.var() == pytest.approx(1, abs=6 * np.sqrt(2 / len(scaled)))
    assert np.abs(scaled).max() < 5.5


def test_replicates_are_independent() -> None:
    whole = np.array([points("sobol", 5, NAMES, 256, r) for r in range(16)])
    for row in range(0, 40, 8):
        correlation = np.corrcoef(whole[:, row])[np.triu_indices(16, 1)]
        assert np.abs(correlation * np.sqrt(255)).max() < 4.5


def test_pairs_fill_the_square() -> None:
    """Chi-square of 16 x 16 squares over random streams; its own distribution over pairs must look right."""
    u = points("random", size=1 << 13)
    p_values = []
    for i in range(0, 40, 2):
        counts, *_ = np.histogram2d(u[i], u[i + 1], bins=16, range=[[0, 1], [0, 1]])
        p_values.append(stats.chisquare(counts.ravel()).pvalue)
    assert stats.kstest(p_values, "uniform").pvalue > 1e-3


@pytest.mark.parametrize(
    ("draws", "method", "expected"),
    [(1000, "random", 1000), (1000, "sobol", 1024), (16384, "sobol", 16384), (16385, "sobol", 32768), (2, "sobol", 32)],
)
def test_layout_holds_the_draws(draws: int, method: str, expected: int) -> None:
    layout = lay_out(draws, method)
    assert layout.draws == expected
    assert layout.replicates == (16 if method == "sobol" else 1)


def test_the_net_integrates_sums_far_better_and_odds_no_worse_than_random_draws() -> None:
    """Spread of the replicates' estimates against that of as many random draws, in ten dimensions."""
    names = NAMES[:10]
    net = [points("sobol", 1, names, 1024, r) for r in range(REPLICATES)]
    net += [points("sobol", 2, names, 1024, r) for r in range(REPLICATES)]
    plain = [points("random", seed, names, 1024) for seed in range(32)]

    def spread(samples: list[np.ndarray], power: str) -> float:
        sums = [ndtri(u).sum(axis=0) / np.sqrt(10) for u in samples]
        return float(np.std([s.mean() if power == "mean" else (s > 1).mean() for s in sums]))

    assert spread(net, "mean") < spread(plain, "mean") / 20
    assert spread(net, "odds") < 1.2 * spread(plain, "odds")
