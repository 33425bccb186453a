"""Screening: linear maps exactly, the Ishigami function against every move on the grid."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from kpiopt.errors import UsageError
from kpiopt.studies.sensitivity.screening import LEVELS, screen

A, B = 7.0, 0.1


def ishigami(u: np.ndarray) -> np.ndarray:
    x1, x2, x3 = np.pi * (2.0 * u - 1.0)
    return np.sin(x1) + A * np.sin(x2) ** 2 + B * x3**4 * np.sin(x1)


def single(n: int) -> list[np.ndarray]:
    return [np.array([i]) for i in range(n)]


def test_a_linear_map_has_its_slopes_as_effects_without_spread() -> None:
    slopes = np.array([3.0, -2.0, 0.0, 0.5])
    found = screen(lambda u: slopes @ u + 4.0, single(4), 4, seed=1)
    assert [e.strength.estimate for e in found] == pytest.approx(np.abs(slopes))
    assert [e.mean for e in found] == pytest.approx(slopes)
    assert [e.spread for e in found] == pytest.approx([0.0] * 4, abs=1e-12)


def every_move(function, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean absolute effect and mean effect of each input over the whole grid."""
    grid = np.array(list(product(range(LEVELS), repeat=n)))
    strength, mean = np.empty(n), np.empty(n)
    for i in range(n):
        low = grid[grid[:, i] < LEVELS // 2]
        high = low + np.eye(n, dtype=int)[i] * (LEVELS // 2)
        effect = (function(((high + 0.5) / LEVELS).T) - function(((low + 0.5) / LEVELS).T)) / 0.5
        strength[i], mean[i] = np.abs(effect).mean(), effect.mean()
    return strength, mean


def test_ishigami_effects_are_those_of_all_moves_on_the_grid() -> None:
    strength, mean = every_move(ishigami, 3)
    found = screen(ishigami, single(3), 3, seed=3, trajectories=4000)
    for i, effects in enumerate(found):
        half = effects.strength.high - effects.strength.estimate
        assert abs(effects.strength.estimate - strength[i]) <= 1.7 * half + 1e-9
        assert effects.mean == pytest.approx(mean[i], abs=0.06 * (effects.spread + 1e-9))


def test_the_interval_holds_as_often_as_it_says() -> None:
    strength, _ = every_move(ishigami, 3)
    inside = 0
    for seed in range(200):
        effects = screen(ishigami, single(3), 3, seed=seed, trajectories=40)[0].strength
        inside += effects.low <= strength[0] <= effects.high
    assert 0.88 <= inside / 200 <= 0.99


def test_a_group_moves_all_its_inputs_and_others_none() -> None:
    """Without other inputs the effects of a group of two are those of the four corners of each move."""
    found = screen(lambda u: np.where(u[0] > 0.5, 1.0, 0.0) + np.where(u[1] > 0.5, 10.0, 0.0),
                   [np.array([0, 1]), np.array([2])], 3, seed=5, trajectories=2000)  # fmt: skip
    assert found[0].strength.estimate == pytest.approx((11.0 + 9.0) / 2.0 / 0.5, rel=0.03)
    assert found[0].mean is None
    assert found[1].strength.estimate == 0.0


def test_an_impossible_design_is_refused() -> None:
    with pytest.raises(UsageError, match="at least 2"):
        screen(ishigami, single(3), 3, seed=1, trajectories=1)


def test_nothing_to_move_has_no_effects() -> None:
    assert screen(lambda u: np.zeros(u.shape[1]), [], 0, seed=1) == ()
