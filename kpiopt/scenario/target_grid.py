"""How finely a value is compared with its target: by the KPI's step, or finer where the target is no multiple of it.

The grid of a target is the coarsest of step, step / 10, step / 100 … of which the target is a multiple. Value and
target are rounded to it, halves to the better side; then the value reaches the target or it does not. The same rule
decides whether a plan meets a goal, whether a draw hits it, and how the figures are shown. For a KPI without a step the
value itself must reach the target, up to `TOLERANCE` of what is compared.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kpiopt.scenario.scenario import Floats

TOLERANCE = 1e-9
NOISE = 1e-12
"""What is missing by no more than this share is a rounded sum; what is missing by more is told, though it may hit."""

LEAST_SIZE = 1e-3
"""What is smaller is compared as if it had this size: noise of sums has no smaller one."""

FINEST = 12
"""Powers of ten by which a grid may be finer than the step."""


def target_grid(target: Floats, step: Floats) -> Floats:
    """Return the grid of each target, in the KPI's unit; 0 where the KPI has no step, or no grid fits.

    Parameters
    ----------
    target, step : (n,) float
        A step of 0 stands for none.
    """
    grid = np.zeros(len(target))
    for power in range(FINEST + 1):
        open_ones = np.flatnonzero((grid == 0) & (step > 0) & np.isfinite(target))
        if not len(open_ones):
            break
        finer = step[open_ones] / 10.0**power
        steps = target[open_ones] / finer
        fits = np.abs(steps - np.round(steps)) <= TOLERANCE + 1e-3 * TOLERANCE * np.abs(steps)
        grid[open_ones[fits]] = finer[fits]
    return grid


def shown_decimals(target: float, least: int, more: int = 2) -> int:
    """Return the decimals in which a target is shown: those of its step, or up to `more` where it is off the step."""
    for decimals in range(least, least + more):
        shifted = target * 10**decimals
        if abs(shifted - round(shifted)) <= TOLERANCE * max(1.0, abs(shifted)):
            return decimals
    return least + more


def least_hit(target: Floats, baseline: Floats, step: Floats, sign: Floats) -> Floats:
    """Return the worst value that reaches each target, (n,) float, in the KPI's unit.

    Parameters
    ----------
    target, baseline, step : (n,) float
    sign : (n,) float
        +1 where higher is better, -1 where lower is.
    """
    grid = target_grid(target, step)
    safe = np.where(grid > 0, grid, 1.0)
    rounded = (np.round(sign * target / safe) - 0.5) * safe
    near = sign * target - TOLERANCE * _compared(target, baseline)
    return np.asarray(sign * np.where(grid > 0, rounded, near))


def reaches(value: Floats, target: Floats, baseline: Floats, step: Floats, sign: Floats) -> NDArray[np.bool_]:
    """Return whether values reach their targets, (n,) bool; `value` may be (n_draws, n).

    Parameters
    ----------
    value, target, baseline, step, sign : (n,) float
        As for `least_hit`.
    """
    return np.asarray(sign * value >= sign * least_hit(target, baseline, step, sign))


def target_noise(target: Floats, baseline: Floats) -> Floats:
    """Return the distance of `target`, (n,) float, that is rounding noise beside `baseline`, (n,) float."""
    return NOISE * _compared(target, baseline)


def _compared(target: Floats, baseline: Floats) -> Floats:
    """Return the size of what is compared, (n,) float."""
    return np.asarray(np.maximum(np.maximum(np.abs(target), np.abs(target - baseline)), LEAST_SIZE))


def round_to_grid(value: float, target: float, step: float | None, sign: float) -> float:
    """Round a value as it is compared with its target: to the target's grid, halves to the better side."""
    grid = float(target_grid(np.array([target]), np.array([step or 0.0]))[0])
    return sign * float(np.floor(sign * value / grid + 0.5)) * grid if grid else value
