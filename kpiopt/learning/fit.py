"""Fitting a model to history: baselines, contributions, execution, and the map itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kpiopt.learning.contributions import (
    FEW_UNITS,
    Panel,
    Posterior,
    Slope,
    best_lag,
    combine,
    estimate_slopes,
    still_drivers,
)
from kpiopt.learning.execution import LEAK_LEVEL, Execution, estimate_execution
from kpiopt.learning.forecast import Forecast, Forecaster, Question
from kpiopt.learning.history import History, Series, horizon_of
from kpiopt.learning.implied import MissingEdge, by_size, find_missing, panel_of, size_of
from kpiopt.learning.known_names import averages, has_periods_of, leaf_series, regions_of, silent_units, weights_of
from kpiopt.learning.links import has_enough, require_enough
from kpiopt.learning.spread import Spread, spread_baselines
from kpiopt.scenario.links import Driver
from kpiopt.scenario.quantity import Quantity
from kpiopt.scenario.scenario import Kpi, Scenario
from kpiopt.workers.executor import Ready, answers
from kpiopt.workers.job import SERIAL, Executor

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Progress = Callable[[str], None]

LAGS = 3
MOST_MEANS = 400
"""Period means of all regions beyond which all regions share theirs: each is a column of the regression."""
CONFLICT = 0.05
LEVERAGE = 0.25
FEW_FREEDOM = 4.0


@dataclass(frozen=True)
class FitOptions:
    """How to fit.

    Attributes
    ----------
    horizon : int or None
        Periods to forecast; a year where None.
    """

    horizon: int | None = None
    draws: int = 1000
    seed: int = 7


@dataclass(frozen=True)
class Contribution:
    """One drawn cause held against history.

    Attributes
    ----------
    prior : Quantity
        What the model says.
    slope : Slope or None
        What history says; None where it cannot tell, and `why` says why.
    posterior : Posterior or None
        Both together; None where the prior is a plain number, or contradicts history.
    lag : int or None
        Lag that predicts held-out units best; None where none is clearly better.
    has_noise : bool
        Whether the driver's measurement noise was taken out.
    drawn_lag : int
        Lag that the model says, in periods of the plan.
    written_lag : int or None
        Lag to write; None where the model's stays: it is the same, or the plan has no such periods.
    """

    kpi: str
    cause: str
    prior: Quantity
    slope: Slope | None
    posterior: Posterior | None
    lag: int | None
    has_noise: bool
    why: str = ""
    drawn_lag: int = 0
    written_lag: int | None = None

    @property
    def is_contradicted(self) -> bool:
        """Whether history contradicts what the model says."""
        return self.slope is not None and self.posterior is None and not self.prior.is_number

    @property
    def is_reversed(self) -> bool:
        """Whether what is written has another sign than what the model says."""
        return self.mean * self.prior.mean < 0.0

    @property
    def mean(self) -> float:
        """Contribution of the fitted model: of model and history together, of history alone, else the model's."""
        if self.posterior is not None:
            return self.posterior.mean
        return self.prior.mean if self.slope is None else self.slope.estimate


@dataclass(frozen=True)
class Fit:
    """Everything that was learned.

    Attributes
    ----------
    horizon : int
        Periods.
    executions : dict of str to Execution
        By KPI.
    spreads : tuple of Spread
        How the baselines scatter, by KPI in the order of `forecasts`.
    """

    history: History
    horizon: int
    forecasts: tuple[Forecast, ...]
    contributions: tuple[Contribution, ...]
    executions: Mapping[str, Execution]
    missing: tuple[MissingEdge, ...]
    spreads: tuple[Spread, ...]
    warnings: tuple[str, ...]


def fit_history(
    history: History,
    model: Scenario | None,
    options: FitOptions,
    progress: Progress = lambda _: None,
    executor: Executor = SERIAL,
) -> Fit:
    """Learn from a history.

    Parameters
    ----------
    model : Scenario or None
        Gives the organization's tree, the drawn causes and the priors; without it every unit stands below one root.
    executor : Executor
        Where the KPIs' baselines are learned; the answer does not depend on it.

    Raises
    ------
    NumericsError
        Where a KPI has too short a past.
    UsageError
        Where the horizon is longer than the past.
    """
    horizon = horizon_of(history, options.horizon)
    notes = [*history.notes, *silent_units(history, model)]
    leaves = _leaves(history, model, notes)
    groups = {kpi: regions_of(series.units, model) for kpi, series in leaves.items()}
    questions = [
        (number, Question(series, history.grid, groups[kpi], horizon, averages(kpi, model)))
        for number, (kpi, series) in enumerate(leaves.items())
    ]
    progress("baselines")
    told = [f"baselines, {done} of {len(questions)} KPIs" for done in range(len(questions) + 1)]
    drawn = answers(
        Ready(Forecaster(options.draws, options.seed)), questions, executor, lambda done: progress(told[done])
    )
    kept = [inside_bounds(d, series, model) for d, series in zip(drawn, leaves.values(), strict=True)]
    forecasts = [replace(f, weight_of_unit=weights_of(f.kpi, f.units, model)) for f in kept]
    progress("contributions")
    contributions = _contributions(model, leaves, history) if model else []
    progress("execution")
    executions = {}
    for kpi, series in leaves.items():
        found = estimate_execution(series, groups[kpi], history.grid.per_year)
        if found is not None:
            executions[kpi] = found
    missing = _missing(model, leaves) if model else []
    notes += _alone(contributions, leaves, model) if model else []
    notes += [note for f in forecasts for note in f.warnings]
    notes += _warnings(contributions, executions)
    means = {(c.kpi, c.cause): c.mean for c in contributions}
    spreads = spread_baselines(tuple(forecasts), groups, means, model)
    notes += [note for spread in spreads for note in _spread_notes(spread)]
    found_all = tuple(forecasts), tuple(contributions), executions, tuple(missing), spreads
    return Fit(history, horizon, *found_all, tuple(notes))


def _leaves(history: History, model: Scenario | None, notes: list[str]) -> dict[str, Series]:
    """Return what is learned from; of a KPI that the model does not have nothing has to be known."""
    leaves = {kpi: leaf_series(series, model, notes) for kpi, series in history.series.items()}
    strange = [
        k for k, series in leaves.items() if model is not None and k not in model.kpis and not has_enough(series)
    ]
    kept = {kpi: series for kpi, series in leaves.items() if kpi not in strange}
    require_enough(kept.values() or leaves.values())
    return kept


def inside_bounds(found: Forecast, past: Series, model: Scenario | None) -> Forecast:
    """Keep what is drawn of a KPI inside its bounds, so that no baseline is where it cannot be; what is cut is told.

    Parameters
    ----------
    model : Scenario or None
        Has the bounds, `[kpi.x] min` and `max`.
    """
    if model is None or found.kpi not in model.kpis:
        return found
    kpi, notes = model.kpis[found.kpi], list(found.warnings)
    section, draws = f"[kpi.{kpi.id}]", np.clip(found.draws, kpi.low, kpi.high)
    always = averages(kpi.id, model)  # a sum over the horizon has only 0 in common with its periods
    least, most = (bound if always or bound == 0.0 else np.nan for bound in (kpi.low, kpi.high))
    for word, bound, beyond in (("min", least, past.value < least), ("max", most, past.value > most)):
        if beyond.any():
            unit, period = np.argwhere(beyond)[0].tolist()
            notes.append(
                f"{kpi.id}: {int(beyond.sum())} values of the history are beyond {section} {word} = {bound:g}, such as "
                f"{past.value[unit, period]:g} of {past.units[unit]}; correct the history or the bound"
            )
    before = found.draws.mean(axis=0)
    outside = np.flatnonzero((before < kpi.low) | (before > kpi.high))
    if len(outside):
        first = int(outside[0])
        notes.append(
            f"{kpi.id}: the baseline of {len(outside)} of {len(before)} units would be beyond bounds of {section}, "
            f"such as {before[first]:.4g} of {found.units[first]}; it is {draws[:, first].mean():.4g}, draws kept in"
        )
    return replace(found, draws=draws, warnings=tuple(notes))


def _alone(contributions: list[Contribution], leaves: Mapping[str, Series], model: Scenario) -> list[str]:
    """Tell where what moves a region cannot be told from what a unit does."""
    notes = []
    for kpi in dict.fromkeys(c.kpi for c in contributions if c.slope is not None):
        region = regions_of(leaves[kpi].units, model)
        if len(np.unique(region)) > 1 and not _have_peers(region):
            notes.append(
                f"{kpi}: most units are alone in their region, so what moves cause and effect of a whole region alike "
                "passes for a contribution"
            )
    return notes


def _contributions(model: Scenario, leaves: Mapping[str, Series], history: History) -> list[Contribution]:
    found, is_same = [], has_periods_of(model, history.grid)
    for kpi in model.kpis.values():
        drivers = [driver for driver in kpi.drivers if driver.curve is None]  # a curve is no one number to learn
        told = [d for d in drivers if not d.is_factor and d.cause in leaves] if kpi.id in leaves else []
        slopes, lags, noisy = _slopes_of(kpi, told, leaves, model, has_lags=is_same)
        for driver in drivers:
            slope = slopes.get(driver.cause)
            why = "" if slope else _why_not(driver, kpi, leaves, history)
            judged = _judged(kpi, driver, slope, lags.get(driver.cause), driver.cause in noisy, why)
            lag = judged.lag if is_same and slope is not None and judged.lag != driver.lag else None
            written = lag if lag is not None and lag < model.n_periods else None
            found.append(replace(judged, drawn_lag=driver.lag, written_lag=written))
    return found


def _judged(kpi: Kpi, driver: Driver, slope: Slope | None, lag: int | None, noisy: bool, why: str) -> Contribution:
    """Return a contribution with its posterior, where prior and history do not contradict each other."""
    prior, posterior = driver.contribution, None
    if slope is not None and not prior.is_number:
        low, high = prior.quantile(np.array([0.05, 0.95])).tolist()
        together = combine(slope, low, high)
        posterior = together if together.conflict >= CONFLICT else None
    return Contribution(kpi.id, driver.cause, prior, slope, posterior, lag, noisy, why)


def _why_not(driver: Driver, kpi: Kpi, leaves: Mapping[str, Series], history: History) -> str:
    if driver.is_factor:
        seen = driver.cause in history.factors
        return "a factor moves all units of a period alike" if seen else "the factor's past is not given"
    if kpi.id not in leaves:
        return f"{kpi.id} has no past"
    if driver.cause not in leaves:
        return f"{driver.cause} has no past"
    few = len(_aligned(leaves, (kpi.id, driver.cause))[0]) < FEW_UNITS
    return "fewer than 3 units have both" if few else f"{driver.cause} does not move by itself within units and periods"


def _slopes_of(
    kpi: Kpi, drivers: list[Driver], leaves: Mapping[str, Series], model: Scenario, *, has_lags: bool = False
) -> tuple[dict[str, Slope], dict[str, int | None], set[str]]:
    """Estimate the contributions of all drivers of a KPI that have a past, together, each at its own lag.

    Parameters
    ----------
    has_lags : bool
        Whether the model's lags count periods of the history: one stands where history cannot tell it.
    """
    if not drivers:
        return {}, {}, set()
    names = tuple(driver.cause for driver in drivers)
    units, values = _aligned(leaves, (kpi.id, *names))
    if len(units) < FEW_UNITS:
        return {}, {}, set()
    count = values[kpi.id].shape[1]
    group, noise = _period_groups(units, model, count), np.array([_noise_of(leaves[name]) for name in names])
    if {kpi.id, *names} <= _adding(model):
        size = size_of(values, names)
        values, noise = by_size(values, size), noise * float((1.0 / size**2).mean())
    lags = {}
    for name in names:
        panels = [panel_of(values, kpi.id, (name,), None, lag, group) for lag in range(LAGS)]
        lags[name] = best_lag([_from(panel, LAGS - 1, count) for panel in panels])
    drawn = {driver.cause: min(driver.lag, LAGS - 1) if has_lags else 0 for driver in drivers}
    at = tuple(drawn[name] if (told_lag := lags[name]) is None else told_lag for name in names)
    still = {names[j] for j in still_drivers(panel_of(values, kpi.id, names, noise, at, group))}
    moving = [j for j, name in enumerate(names) if name not in still]
    told = tuple(names[j] for j in moving)
    lag = tuple(at[j] for j in moving)
    slopes = estimate_slopes(panel_of(values, kpi.id, told, noise[moving], lag, group)) if told else None
    if slopes is None:
        return {}, {}, set()
    noisy = {name for name, variance in zip(names, noise.tolist(), strict=True) if variance > 0.0}
    return dict(zip(told, slopes, strict=True)), lags, noisy


def _adding(model: Scenario) -> set[str]:
    """Return the KPIs that add up over units."""
    return {kpi.id for kpi in model.kpis.values() if kpi.roll_up == "sum"}


def _period_groups(units: tuple[str, ...], model: Scenario, count: int) -> Integers | None:
    """Return the regions, each with period means of its own: a unit alone in its region tells nothing.

    Taken together, units of two regions would show what moves these as if it were a contribution. None where there is
    one region, where most units are alone in theirs, or where the means would be too many.
    """
    region = regions_of(units, model)
    if not _have_peers(region):
        return None
    names, group = np.unique(region, return_inverse=True)
    return group.astype(np.int64) if len(names) > 1 and len(names) * count <= MOST_MEANS else None


def _have_peers(region: Integers) -> bool:
    """Whether at least half of all units, and three, are not alone in their region."""
    beside = int((np.bincount(region)[region] > 1).sum())
    return beside >= max(FEW_UNITS, 0.5 * len(region))


def _from(panel: Panel, first: int, count: int) -> Panel:
    """Return the observations from a period on, so that all lags are judged by the same ones."""
    keep = panel.period % count >= first
    return Panel(panel.unit[keep], panel.period[keep], panel.driven[keep], panel.drivers[keep], panel.noise)


def _aligned(leaves: Mapping[str, Series], kpis: tuple[str, ...]) -> tuple[tuple[str, ...], Mapping[str, Floats]]:
    """Return the units that have all of several KPIs, and their values, (n_units, n_periods) each."""
    first = leaves[kpis[0]].units
    common = [u for u in first if all(u in leaves[k].units for k in kpis[1:])]
    found = {}
    for kpi in kpis:
        at = {unit: i for i, unit in enumerate(leaves[kpi].units)}
        found[kpi] = leaves[kpi].value[[at[u] for u in common]] if common else np.empty((0, 0))
    return tuple(common), found


def _noise_of(series: Series) -> float:
    """Return the mean variance of the measurement's own noise; 0 where it is not known."""
    known = series.measurement_sd[np.isfinite(series.measurement_sd)]
    return float((known**2).mean()) if len(known) else 0.0


def _missing(model: Scenario, leaves: Mapping[str, Series]) -> list[MissingEdge]:
    """Hold the links that the map does not draw against history, in the order of cause and effect."""
    causes = {k.id: tuple(d.cause for d in k.drivers if not d.is_factor) for k in model.kpis.values()}
    order: list[str] = []

    def visit(kpi: str) -> None:
        if kpi not in order:
            for cause in causes.get(kpi, ()):
                visit(cause)
            order.append(kpi)

    for kpi in model.kpis:
        visit(kpi)
    known = tuple(kpi for kpi in order if kpi in leaves)
    if len(known) < 2:
        return []
    units, values = _aligned(leaves, known)
    if len(units) < FEW_UNITS:
        return []
    group = _period_groups(units, model, values[known[0]].shape[1])
    return find_missing(values, causes, _adding(model), group)


def _spread_notes(spread: Spread) -> list[str]:
    """Tell where what drivers bring does not fit the forecast of what they drive."""
    notes = []
    if spread.exceeded:
        notes.append(
            f"{spread.kpi}: the noise of drivers alone is more than the forecast's at {len(spread.exceeded)} of "
            f"{len(spread.units)} units, such as {spread.exceeded[0]}: what is drawn there scatters too much"
        )
    if spread.below:
        notes.append(
            f"{spread.kpi}: drivers take {len(spread.below)} of {len(spread.units)} units below 0, such as "
            f"{spread.below[0]}, though it never was; write [kpi.{spread.kpi}] min = 0, or smaller contributions"
        )
    return notes


def _lag_notes(name: str, c: Contribution) -> list[str]:
    """Tell a lag that is not the model's."""
    if c.lag is None or c.lag == c.drawn_lag:
        return []
    when = f"{c.lag} period{'s' * (c.lag != 1)} later" if c.lag else "in the same period"
    if c.written_lag is not None:
        return [f"{name}: history finds the effect {when}, the model says lag {c.drawn_lag}; lag = {c.lag} is written"]
    why = "the plan has no periods as long as those of the history, or too few; the model's lag stays"
    return [f"{name}: history finds the effect {when}, the model says lag {c.drawn_lag}; {why}"]


def _warnings(contributions: list[Contribution], executions: Mapping[str, Execution]) -> list[str]:
    found = []
    for c in contributions:
        name = f"{c.cause} -> {c.kpi}"
        if c.slope is None:
            found.append(f"{name}: cannot tell, {c.why}")
            continue
        if c.is_contradicted:
            found.append(f"{name}: history contradicts the model's {c.prior.text}; history alone is written")
        found += _lag_notes(name, c)
        found += [f"{name}: history says {c.mean:.4g}, the model {c.prior.text}: the other sign"] * c.is_reversed
        if c.slope.freedom < FEW_FREEDOM or c.slope.leverage > LEVERAGE:
            found.append(f"{name}: hangs on few units (degrees of freedom {c.slope.freedom:.1f})")
        if not c.has_noise:
            found.append(
                f"{name}: measurement_sd of {c.cause} is not given; noise in it makes contributions look small"
            )
    for kpi, e in executions.items():
        if not e.is_told:
            found.append(f"execution of {kpi}: {e.verdict}")
        elif e.leak is None:
            found.append(f"execution of {kpi}: cannot test whether asks knew what would come")
        elif e.leak < LEAK_LEVEL:
            found.append(f"execution of {kpi}: asks seem to have known what would come; the instrumented share counts")
    return found
