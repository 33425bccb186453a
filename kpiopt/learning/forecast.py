"""Baselines: the horizon's value of every unit, drawn jointly, from the pooled model and the seasonal naive forecast.

How much each of the two counts, and whether months are better taken as quarters, is decided by how well they did
before: by the log score of the horizon's values at past origins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from kpiopt.learning.draws import draw_future
from kpiopt.learning.history import Series
from kpiopt.learning.likely import likely_variances
from kpiopt.learning.links import Link, LinkName, has_enough, idle_at_end, is_sparse, link_series, require_enough
from kpiopt.learning.periods import PeriodGrid
from kpiopt.learning.pool import SAMPLE, Counts, Pool, fit_pool, own_noise, posteriors, smallness, spaced_by_size

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

PAST_DRAWS = 400
ORIGINS = 2
"""Past origins at which the forecasts are scored."""
PRIOR_ORIGINS, PRIOR_SHARE = 2, 0.9
"""What is known of the pooled model's share beforehand, as if seen at so many origins: two alone often give everything
to one of the forecasts, which did worse in organizations of another generator."""
LIKELY = 16
"""Sets of variances that draws are made with."""
WEIGHTS = np.linspace(0.0, 1.0, 11)
LIKELY_GONE = 0.5
LEAST_DENSITY, LEAST_SD, TINY = 1e-12, 1e-6, 1e-300
FEW_PERIODS = 8
MUCH_IDLE = 0.05
CLEARLY = 0.95
"""Share of what is expected of the past below which what there was counts instead."""


@dataclass(frozen=True)
class Forecast:
    """What one KPI's units reach over the horizon without new effort.

    Attributes
    ----------
    draws : (n_draws, n_units) float
        Joint draws in the KPI's own unit: the same row is the same future.
    link : str
    weight : float
        Share of the pooled model; the rest is the seasonal naive forecast.
    grain : int
        Periods of a year that the model counts in.
    sd : dict of str to float
        Standard deviation of each component, on the link scale.
    season : tuple of float
        Share of the horizon's total that each of its periods is expected to bring, periods as the model counts them;
        empty where values do not add up to a total above 0.
    weight_of_unit : (n_units,) float or None
        Share of each unit in the mean of all, where a KPI is one; None where units add up.
    """

    kpi: str
    units: tuple[str, ...]
    draws: Floats
    link: LinkName
    weight: float
    grain: int
    sd: dict[str, float]
    season: tuple[float, ...]
    warnings: tuple[str, ...]
    weight_of_unit: Floats | None = None

    def whole(self, rows: Integers | slice = slice(None)) -> Floats:
        """Return the draws of some units taken together: their total, or their mean by weight, (n_draws,)."""
        if self.weight_of_unit is None:
            return np.asarray(self.draws[:, rows].sum(axis=1))
        share = self.weight_of_unit[rows]
        return np.asarray(self.draws[:, rows] @ (share / share.sum()))


@dataclass(frozen=True)
class Question:
    """What is to be forecast.

    Attributes
    ----------
    group : (n_units,) int
        Region of each unit.
    horizon : int
        Periods, right after the grid.
    averages : bool
        Whether the horizon's value is the mean of its periods and not their sum.
    """

    series: Series
    grid: PeriodGrid
    group: Integers
    horizon: int
    averages: bool

    def until(self, count: int) -> Question:
        """Return the question as it stood after `count` periods."""
        keep = np.flatnonzero(np.isfinite(self.series.value[:, :count]).any(axis=1))
        return replace(self, series=self.series.until(count), grid=self.grid.until(count), group=self.group[keep])

    def of_some(self, most: int) -> Question:
        """Return the question about no more than so many units, evenly spaced by size."""
        rows = spaced_by_size(self.series.size, most)
        return replace(self, series=self.series.of(rows), group=self.group[rows])

    def in_quarters(self) -> Question:
        """Return the question with months taken together by three, counted back from the end."""
        spare = self.grid.count % 3
        value = _by_three(self.series.value[:, spare:], self.averages)
        nothing = np.full(value.shape, np.nan)
        series = replace(self.series, value=value, target=nothing, volume=nothing, measurement_sd=nothing)
        first = (self.grid.first + spare) // 3
        return replace(self, series=series, grid=PeriodGrid(4, first, self.grid.count // 3), horizon=self.horizon // 3)


def _by_three(value: Floats, averages: bool) -> Floats:
    parts = value.reshape(len(value), -1, 3)
    taken: Floats = parts.mean(axis=2) if averages else parts.sum(axis=2)
    return taken


def forecast(question: Question, draws: int, rng: np.random.Generator) -> Forecast:
    """Forecast one KPI.

    Parameters
    ----------
    rng : Generator
        All randomness comes from it.

    Raises
    ------
    NumericsError
        Where the history is too short.
    """
    if is_sparse(question.series):
        return _of_few(question, draws, rng)
    grains = [question]
    if question.grid.per_year == 12 and question.horizon % 3 == 0 and question.grid.count >= 24:
        grains.append(question.in_quarters())
    scores = [_past_scores(candidate, rng) for candidate in grains]
    both = min(map(len, scores))
    best = int(np.argmax([s[:both].sum(axis=0).max() for s in scores])) if both else 0
    chosen, past = grains[best], scores[best]
    weight = _share(past) if len(past) else 1.0
    link = link_series(chosen.series)
    pool = _fit(chosen, link)
    values, by_period = _horizon(chosen, link, pool, draws, rng, likely_variances(pool, LIKELY, rng))
    if weight < 1.0:
        naive = naive_draws(chosen, draws, rng)
        take = rng.random(draws) < weight
        values = np.where(take[:, None], values, naive)
    sd = {name: float(np.sqrt(v)) for name, v in pool.variance.items()}
    notes = _warnings(question, link, pool, len(past) > 0)
    adds = not question.averages and bool((by_period > 0.0).all())
    season = tuple((by_period / by_period.sum()).tolist()) if adds else ()
    return Forecast(
        question.series.kpi, question.series.units, values, link.name, weight, chosen.grid.per_year, sd, season, notes
    )


def _of_few(question: Question, draws: int, rng: np.random.Generator) -> Forecast:
    """Draw what is to be counted of what was hardly ever: a rate for all, and each unit's share of it.

    That knows nothing but how much was counted where; a half is added to the whole and one to each unit.
    """
    require_enough([question.series])
    series, horizon = question.series, question.horizon
    counted, seen = np.nansum(series.value, axis=1), int(np.isfinite(series.value).sum())
    rate = rng.gamma(float(counted.sum()) + 0.5, len(counted) / seen, size=(draws, 1))
    values = rng.poisson(rate * rng.dirichlet(counted + 1.0, size=draws) * horizon).astype(np.float64)
    note = f"{series.kpi}: only {counted.sum():.0f} in all were counted, too few to tell a season or a trend"
    season = () if question.averages else (1.0 / horizon,) * horizon
    return Forecast(
        series.kpi, series.units, values / (horizon if question.averages else 1), "count", 1.0,
        question.grid.per_year, {}, season, (note,),
    )  # fmt: skip


def _fit(question: Question, link: Link) -> Pool:
    grid = question.grid
    counts = Counts(question.series.value, link.dispersion) if link.name == "count" else None
    size = question.series.size
    return fit_pool(link.values, size, question.group, grid.per_year, grid.phase, link.known, counts)


def _horizon(
    question: Question, link: Link, pool: Pool, draws: int, rng: np.random.Generator,
    variances: Sequence[dict[str, float]],
) -> tuple[Floats, Floats]:  # fmt: skip
    """Return the horizon's values, (draws, n_units), and what its periods bring in all on average, (horizon,)."""
    out, by_period = np.empty((draws, len(question.series.units))), np.zeros(question.horizon)
    fit = _retransformed(question, link, pool)
    for unit, values in draw_future(pool, question.horizon, draws, rng, variances):
        own = link.back(values + fit, unit, rng)
        out[:, unit] = own.mean(axis=1) if question.averages else own.sum(axis=1)
        by_period += own.mean(axis=0)
    return out, by_period


def _retransformed(question: Question, link: Link, pool: Pool) -> float:
    """Return what to add to logarithms where those of the past expect clearly more than there was, else 0.

    Logarithms of values that come near 0 scatter so much downwards that a lognormal curve expects far too much (the
    mean of what was there takes the place of its formula: Duan 1983, doi:10.1080/01621459.1983.10478017).
    """
    if link.name != "log" or not (question.series.value == 0.0).any():
        return 0.0
    expected, happened = 0.0, 0.0
    own = pool.own * own_noise(pool.data, pool.variance, np.arange(len(pool.own)))
    for found in posteriors(pool.data, pool.scale, pool.variance):
        seen = np.isfinite(pool.data.values[found.rows])
        logs = pool.mean + found.level - found.noise + 0.5 * (found.noise_variance + own[found.rows, None])
        expected += float(np.exp(logs[seen]).sum())
        happened += float(np.exp(pool.mean + pool.data.values[found.rows][seen]).sum())
    return float(np.log(happened / expected)) if happened < CLEARLY * expected else 0.0


def naive_draws(question: Question, draws: int, rng: np.random.Generator) -> Floats:
    """Draw the seasonal naive forecast: last year's periods, moved by what years moved before, in common and apart.

    What units moved apart falls with size, as the noise of the pool does.

    Returns
    -------
    (draws, n_units) float
    """
    last = seasonal_naive(question)
    years = _yearly_changes(question)
    small = smallness(question.series.size)
    common = float(np.nanstd(np.nanmean(years, axis=0))) if years.size else 0.1
    apart = _apart(years - np.nanmean(years, axis=0), small) if years.size else np.full(len(last), 0.2)
    moved = common * rng.standard_normal((draws, 1)) + apart * rng.standard_normal((draws, len(last)))
    spread: Floats = last * np.exp(moved - 0.5 * (common**2 + apart**2))
    return spread if np.nanmin(last) >= 0.0 else last + np.abs(last).mean() * moved


def _apart(changes: Floats, small: Floats) -> Floats:
    """Return the standard deviation v0 + v1 w of each unit's changes; weighted least squares, neither below 0."""
    known = np.isfinite(changes).any(axis=1)
    square = np.nanmean(changes[known] ** 2, axis=1)
    sides = np.stack([np.ones(len(small)), small], axis=1)
    variance = np.full(len(small), max(float(square.mean()), 1e-12))
    for _ in range(3):
        weight = 1.0 / variance[known]
        variance = np.maximum(sides @ nnls(sides[known] * weight[:, None], square * weight)[0], 1e-12)
    return np.asarray(np.sqrt(variance))


def seasonal_naive(question: Question) -> Floats:
    """Return the horizon's value where every period is as a year before, the last known where none is, (n_units,)."""
    return _repeated(question, question.grid.per_year)


def last_period(question: Question) -> Floats:
    """Return the horizon's value where every period is as the last one, (n_units,)."""
    return _repeated(question, 1)


def _repeated(question: Question, lag: int) -> Floats:
    value, count = question.series.value, question.grid.count
    out = np.empty((len(value), question.horizon))
    for h in range(question.horizon):
        back = count - lag + h % lag
        column = value[:, back] if 0 <= back < count else np.full(len(value), np.nan)
        out[:, h] = np.where(np.isfinite(column), column, _last_known(value))
    total: Floats = out.mean(axis=1) if question.averages else out.sum(axis=1)
    return total


def _last_known(value: Floats) -> Floats:
    out = np.zeros(len(value))
    for i, row in enumerate(value):
        known = row[np.isfinite(row)]
        out[i] = known[-1] if len(known) else 0.0
    return out


def _yearly_changes(question: Question) -> Floats:
    """Return log changes of windows of the horizon's length against a year before, (n_units, n_windows)."""
    value, lag, length = question.series.value, question.grid.per_year, question.horizon
    windows = []
    for end in range(question.grid.count, lag + length - 1, -1):
        now, before = value[:, end - length : end].sum(axis=1), value[:, end - lag - length : end - lag].sum(axis=1)
        if end - lag - length < 0:
            break
        with np.errstate(divide="ignore", invalid="ignore"):
            windows.append(np.where((now > 0.0) & (before > 0.0), np.log(now / before), np.nan))
    kept = [window for window in windows if np.isfinite(window).any()]
    return np.stack(kept, axis=1) if kept else np.empty((len(value), 0))


def _past_scores(question: Question, rng: np.random.Generator) -> Floats:
    """Return the mean log score of each weight at each past origin, (n_origins, n_weights); shorter near the start.

    Of many units, those that variances are estimated from.
    """
    rows, question = [], question.of_some(SAMPLE)
    for back in range(1, ORIGINS + 1):
        count = question.grid.count - back * question.horizon
        if count < max(FEW_PERIODS, question.grid.per_year + 2):
            break
        past = question.until(count)
        if not has_enough(past.series) or is_sparse(past.series):
            break
        seen = question.series.value[_rows_of(question, past), count : count + question.horizon]
        happened = seen.mean(axis=1) if question.averages else seen.sum(axis=1)
        link = link_series(past.series)
        pool = _fit(past, link)
        ours, _ = _horizon(past, link, pool, PAST_DRAWS, rng, likely_variances(pool, LIKELY, rng))
        rows.append(_log_scores(ours, naive_draws(past, PAST_DRAWS, rng), happened))
    return np.array(rows).reshape(-1, len(WEIGHTS))


def _share(past: Floats) -> float:
    """Return the pooled model's share: the best one at the past origins, drawn to what is known beforehand."""
    best = WEIGHTS[int(np.argmax(past.sum(axis=0)))]
    return float((len(past) * best + PRIOR_ORIGINS * PRIOR_SHARE) / (len(past) + PRIOR_ORIGINS))


def _rows_of(question: Question, past: Question) -> Integers:
    at = {unit: i for i, unit in enumerate(question.series.units)}
    return np.array([at[unit] for unit in past.series.units], dtype=np.int64)


def _log_scores(ours: Floats, naive: Floats, happened: Floats) -> Floats:
    """Return the mean over units of log(w p + (1 - w) q) for every weight."""
    known = np.isfinite(happened)
    if not known.any():
        return np.zeros(len(WEIGHTS))
    first, second = (_density(draws[:, known], happened[known]) for draws in (ours, naive))
    mixed = WEIGHTS[:, None] * first + (1.0 - WEIGHTS[:, None]) * second
    return np.asarray(np.log(np.maximum(mixed, LEAST_DENSITY)).mean(axis=1))


def _density(draws: Floats, happened: Floats) -> Floats:
    """Return the density of each unit at what happened, by a normal curve; comparable between forecasts, (n,) float.

    Where nothing is below 0: that of the logarithm of busy draws times their share; the share of idle ones at 0.
    """
    if (draws < 0.0).any() or (happened < 0.0).any():
        scale = max(float(np.abs(happened).mean()), TINY)
        return _normal_density(draws / scale, happened / scale)
    busy, seen = draws > 0.0, happened > 0.0
    share = busy.mean(axis=0)
    logs = np.log(np.where(busy, draws, np.nan), where=busy, out=np.full(draws.shape, np.nan))
    logs[:, share == 0.0] = np.inf
    density: Floats = share * _normal_density(logs, np.log(np.where(seen, happened, 1.0)))
    return np.where(seen, density, 1.0 - share)


def _normal_density(draws: Floats, at: Floats) -> Floats:
    """Return the density of a normal curve with mean and deviation of the draws; those of infinite draws are 0."""
    known = np.isfinite(np.nanmax(draws, axis=0))
    draws, density = draws[:, known], np.zeros(len(at))
    mean, sd = np.nanmean(draws, axis=0), np.maximum(np.nanstd(draws, axis=0), LEAST_SD)
    density[known] = np.exp(-0.5 * ((at[known] - mean) / sd) ** 2) / (sd * np.sqrt(2.0 * np.pi))
    return density


def _idle_notes(question: Question, link: Link) -> list[str]:
    """Ask for units that look gone."""
    if link.gone is None or not (away := np.flatnonzero(link.gone > LIKELY_GONE)).size:
        return []
    series, first = question.series, int(away[0])
    periods = f"{int(idle_at_end(series.value)[first])} periods"
    some = f", and {len(away) - 1} more like it" if len(away) > 1 else ""
    return [
        f"{series.kpi}: {series.units[first]} has been idle (0) for its last {periods}{some}: is it gone? "
        "About 0 is expected; leave values empty that are not known"
    ]


def _warnings(question: Question, link: Link, pool: Pool, scored: bool) -> tuple[str, ...]:
    found, kpi, grid = [], question.series.kpi, question.grid
    if grid.count < FEW_PERIODS:
        found.append(f"{kpi}: only {grid.count} periods")
    if grid.per_year > 1 and grid.count < 2 * grid.per_year:
        found.append(f"{kpi}: less than two years, so a season cannot be told from a trend")
    zero = float((question.series.value == 0.0).sum() / max(1, np.isfinite(question.series.value).sum()))
    if link.name == "log" and zero > MUCH_IDLE:
        found.append(f"{kpi}: {zero:.0%} of all periods are idle (0)")
    found += _idle_notes(question, link)
    if not scored:
        found.append(f"{kpi}: too short to compare the forecast with a naive one on past periods")
    if pool.at_bound:
        found.append(f"{kpi}: the variance of {', '.join(pool.at_bound)} ended at a bound of the search")
    return tuple(found)


@dataclass(frozen=True)
class Forecaster:
    """Forecasts KPIs, each by its number, which says what its stream of draws is; it can be sent to workers."""

    draws: int
    seed: int

    def __call__(self, point: tuple[int, Question]) -> Forecast:
        """Forecast one KPI."""
        number, question = point
        return forecast(question, self.draws, np.random.default_rng([self.seed, number]))
