"""Zeros of amounts: units that look gone, units that were never there, values that come near 0."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kpiopt.learning.forecast import Forecast, forecast
from kpiopt.learning.links import idle_at_end
from tests.learning.test_counts import asked


def expected(value: np.ndarray, *, averages: bool = False) -> tuple[np.ndarray, Forecast]:
    found = forecast(replace(asked(value), averages=averages), 400, np.random.default_rng(1))
    return found.draws.mean(axis=0), found


@pytest.fixture
def busy() -> np.ndarray:
    return 400 * np.exp(0.2 * np.random.default_rng(0).normal(size=(6, 36)))


@pytest.mark.parametrize("months", [12, 36])
def test_a_unit_that_is_idle_to_the_end_is_about_nothing_and_asked_about(busy, months):
    busy[0, -months:] = 0.0
    mean, found = expected(busy)
    assert mean[0] < 30.0, "2,362 where idle periods were anywhere"
    assert any(f"u0 has been idle (0) for its last {months} periods: is it gone?" in n for n in found.warnings)
    assert mean[1:].sum() == pytest.approx(busy[1:, -12:].sum(), rel=0.06)


def test_units_that_are_idle_now_and_then_come_again(busy):
    rng = np.random.default_rng(5)
    busy[0, rng.random(36) < 0.5] = 0.0
    busy[0, -2:] = 0.0
    busy[1, np.arange(36) % 12 > 3] = 0.0
    run = idle_at_end(busy)
    assert run[0] >= 2 and run[1] == 8 and not run[2:].any()
    mean, found = expected(busy)
    assert mean[0] == pytest.approx(busy[0].mean() * 12, rel=0.25)
    assert mean[1] == pytest.approx(busy[1].mean() * 12, rel=0.25)
    assert not any("gone" in note for note in found.warnings)


@pytest.mark.parametrize(("seed", "months"), [(0, 36), (1, 24)])
def test_values_that_come_near_nothing_are_expected_as_they_were(seed, months):
    value = np.maximum(0.0, np.random.default_rng(seed).normal(1.0, 1.2, size=(8, months)))
    mean, _ = expected(value, averages=True)
    assert mean.mean() == pytest.approx(value[:, -12:].mean(), rel=0.1), "38 % more by logarithms alone"
