"""How fitted baselines scatter: each cell's own noise, and what cells have in common, by level of the organization.

Joint draws become what a scenario file can say (`noise_sd` of a cell, `[noise.NAME] common`), so that the drawn totals
of the fitted model scatter as the joint forecast does. Correlations are first order: with x_i the relative deviation of
cell i, m_i its mean and s_i the standard deviation of x_i,

    share in common = sum of cov(x_i, x_j) m_i m_j / sum of s_i s_j m_i m_j

over pairs of cells of different regions (the organization), of the same region (organization and region together).
Noise of a driver travels along its contribution c into the driven KPI. So a driven cell keeps only what that does not
explain: cov m_i m_j less c^2 times the driver's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from kpiopt.learning.forecast import Forecast
from kpiopt.scenario.scenario import ORGANIZATION, Scenario

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SAMPLE = 400
"""Cells from which common shares are taken, evenly spaced in the file."""
MOST = 0.95
"""Largest share in common: a cell keeps something of its own."""
OFTEN = 0.01
"""Share of draws below 0 that is told."""
TINY = 1e-9


@dataclass(frozen=True)
class Spread:
    """How the baselines of one KPI scatter.

    Attributes
    ----------
    mean : (n,) float
        In the KPI's own unit.
    sd : (n,) float
        Noise of each cell: of the logarithm, or in the KPI's own unit where it is additive.
    additive : bool
        Whether values may be 0 or below, so that noise is added and does not multiply.
    common : dict of str to float
        Share of its variance that all cells of one unit of a level have in common.
    explained : float
        Share of the variance that the noise of drivers brings by itself; on average over cells.
    exceeded : tuple of str
        Units whose drivers bring more than the whole variance: drawn from the fitted model they scatter more than the
        joint forecast does.
    below : tuple of str
        Units of a KPI that is never below 0 that drivers take below 0 in more than one of a hundred draws.
    """

    kpi: str
    units: tuple[str, ...]
    mean: Floats
    sd: Floats
    additive: bool
    common: dict[str, float]
    explained: float
    exceeded: tuple[str, ...] = ()
    below: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Deviations:
    """Deviations of a KPI's cells in the KPI's own unit, to first order: (n_draws, n), and their means."""

    values: Floats
    mean: Floats
    is_additive: bool


def spread_baselines(
    forecasts: tuple[Forecast, ...],
    group: Mapping[str, Integers],
    contributions: Mapping[tuple[str, str], float],
    model: Scenario | None,
) -> tuple[Spread, ...]:
    """Return how the baselines of every forecast KPI scatter.

    Parameters
    ----------
    group : mapping of str to (n_units,) int
        Region of each unit, by KPI.
    contributions : mapping of (str, str) to float
        Mean of the contribution of each (KPI, cause) that stands in the fitted model.
    """
    moved = {f.kpi: _deviations(f) for f in forecasts}
    return tuple(_spread(f, moved, forecasts, group[f.kpi], contributions, model) for f in forecasts)


def _deviations(found: Forecast) -> _Deviations:
    draws, mean = found.draws, found.draws.mean(axis=0)
    if found.link == "identity" or (mean <= 0.0).any():
        return _Deviations(draws - mean, mean, is_additive=True)
    if (draws > 0.0).all():
        logs = np.log(draws)
        return _Deviations((logs - logs.mean(axis=0)) * mean, mean, is_additive=False)
    return _Deviations(draws - mean, mean, is_additive=False)


def _spread(
    found: Forecast,
    moved: Mapping[str, _Deviations],
    forecasts: tuple[Forecast, ...],
    group: Integers,
    contributions: Mapping[tuple[str, str], float],
    model: Scenario | None,
) -> Spread:
    own = moved[found.kpi]
    total = own.values.var(axis=0)
    sample = np.unique(np.linspace(0, len(total) - 1, min(SAMPLE, len(total))).astype(np.int64))
    covariance = _covariance(own.values[:, sample])
    variance, brought = total.copy(), np.zeros_like(own.values)
    for other in forecasts:
        reach = _reach(found, other, contributions, model)
        if reach is None:
            continue
        column, share = reach
        driver = moved[other.kpi].values
        variance -= share**2 * driver.var(axis=0)[column]
        brought += share * (other.draws - other.draws.mean(axis=0))[:, column]
        weight = share[sample]
        covariance -= np.outer(weight, weight) * _covariance(driver[:, column[sample]])
    exceeded = tuple(unit for unit, left in zip(found.units, variance.tolist(), strict=True) if left < 0.0)
    variance = np.maximum(variance, 0.0)
    below = () if own.is_additive else _below(found.units, brought, own.mean, np.sqrt(variance))
    explained = 1.0 - float(variance.sum() / max(float(total.sum()), 1e-300))
    sd = np.sqrt(variance)
    common = _common(covariance, sd[sample], group[sample], _region_level(found.units, model))
    if not own.is_additive:
        relative = sd / own.mean
        sd = relative if (found.draws > 0.0).all() else np.sqrt(np.log1p(relative**2))
    return Spread(found.kpi, found.units, own.mean, sd, own.is_additive, common, explained, exceeded, below)


def _below(units: tuple[str, ...], moved: Floats, mean: Floats, sd: Floats) -> tuple[str, ...]:
    """Return the units that what drivers bring, (n_draws, n), takes below 0 too often, whatever their own noise is.

    The own noise is lognormal: mean exp(s z - s^2 / 2) < -moved where z < (log(-moved / mean) + s^2 / 2) / s.
    """
    own = np.maximum(np.sqrt(np.log1p((sd / mean) ** 2)), TINY)
    down = np.where(moved < 0.0, -moved / mean, TINY)
    share = np.where(moved < 0.0, ndtr((np.log(down) + own**2 / 2.0) / own), 0.0).mean(axis=0)
    return tuple(unit for unit, often in zip(units, share.tolist(), strict=True) if often > OFTEN)


def _covariance(values: Floats) -> Floats:
    away = values - values.mean(axis=0)
    product: Floats = away.T @ away / len(values)
    return product


def _reach(
    found: Forecast, other: Forecast, contributions: Mapping[tuple[str, str], float], model: Scenario | None
) -> tuple[Integers, Floats] | None:
    """Return the driver's column and its contribution for each cell, 0 where it does not act; None where nowhere."""
    share = contributions.get((found.kpi, other.kpi))
    if share is None or model is None:
        return None
    driver = next(d for d in model.kpis[found.kpi].drivers if d.cause == other.kpi and not d.is_factor)
    acts = {model.units.ids[unit] for unit in driver.units.tolist()}
    at = {unit: i for i, unit in enumerate(other.units)}
    inside = np.array([unit in acts and unit in at for unit in found.units])
    column = np.array([at.get(unit, 0) for unit in found.units], dtype=np.int64)
    return (column, np.where(inside, share, 0.0)) if inside.any() else None


def _region_level(units: tuple[str, ...], model: Scenario | None) -> str | None:
    """Return the level of the units right below the root, where all have the same and cells stand below them."""
    if model is None:
        return None
    position, parent, depth = model.units.position, model.units.parent, model.units.depth
    levels = set()
    for unit in units:
        at = position.get(unit, 0)
        if depth[at] < 2:
            return None
        while depth[at] > 1:
            at = int(parent[at])
        levels.add(model.units.levels[at])
    (level, *others) = levels
    own = {model.units.levels[position[unit]] for unit in units}
    return level if level and not others and level not in own else None


def _common(covariance: Floats, sd: Floats, group: Integers, level: str | None) -> dict[str, float]:
    """Return the shares in common: of all, and of a region's cells beyond that."""
    apart, product = ~np.eye(len(sd), dtype=bool), np.outer(sd, sd)
    together = group[:, None] == group
    if level is None or not (apart & together).any() or together.all():
        return _kept({ORGANIZATION: _share(covariance, product, apart)})
    whole = _share(covariance, product, apart & ~together)
    inside = _share(covariance, product, apart & together)
    return _kept({ORGANIZATION: whole, level: max(inside - whole, 0.0)})


def _share(covariance: Floats, product: Floats, pairs: NDArray[np.bool_]) -> float:
    size = float(product[pairs].sum())
    return min(max(float(covariance[pairs].sum()) / size, 0.0), MOST) if size > 0.0 else 0.0


def _kept(common: dict[str, float]) -> dict[str, float]:
    return {level: float(f"{share:.3g}") for level, share in common.items() if share >= 0.005}
