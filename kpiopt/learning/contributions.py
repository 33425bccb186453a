"""Contributions from history: what one unit of a driver adds, within units and periods, with honest intervals.

Every unit and every period has a mean of its own, so that neither size nor the season passes for cause. The standard
error is a jackknife over units that takes the period means anew, its t quantile has the degrees of freedom of Bell and
McCaffrey (2002): few and unequal units are not taken for many. The deviation between units is that of Paule and Mandel
(1982). A contribution that the model states as an interval is a prior; the answer says when it contradicts the data.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.sparse.csgraph import connected_components

Floats = NDArray[np.float64]

RANK = 1e-9
"""Singular values below this share of the largest are 0: the period means are one too many."""
STILL = 1e-12
"""Share of a driver's sum of squares below which what is left of it within units and periods is rounding."""
NORMAL_90 = 3.2897072539
"""Width of the central 90 % of a normal distribution, in standard deviations."""
FEW_UNITS = 3
FAR, FAR_SQUARE = 2.5, 0.9776
"""Standard deviations beyond which a unit's own slope counts no more, and the mean square of normal scores so cut."""
SHRINK = 8.0
"""Observations that the error variance of all units counts beside a unit's own."""
GRID = 4001


@dataclass(frozen=True)
class Panel:
    """Observations of one driven KPI and its drivers.

    Attributes
    ----------
    unit, period : (n,) int
    driven : (n,) float
    drivers : (n, k) float
    noise : (k,) float
        Variance of the measurement noise of each driver; 0 where it is exact or not known.
    """

    unit: NDArray[np.int64]
    period: NDArray[np.int64]
    driven: Floats
    drivers: Floats
    noise: Floats


@dataclass(frozen=True)
class Slope:
    """What history says of one contribution, in natural units.

    Attributes
    ----------
    between : float
        Standard deviation between units.
    leverage : float
        Largest share of one unit in what is known.
    """

    estimate: float
    standard_error: float
    freedom: float
    between: float
    observations: int
    units: int
    leverage: float

    def interval(self, share: float = 0.95) -> tuple[float, float]:
        """Return the interval that holds the true contribution with this probability."""
        half = float(stats.t.ppf(0.5 + share / 2.0, self.freedom)) * self.standard_error
        return self.estimate - half, self.estimate + half

    @property
    def p_value(self) -> float:
        """Two-sided p-value of no contribution at all."""
        return float(2.0 * stats.t.sf(abs(self.estimate) / max(self.standard_error, 1e-300), self.freedom))


@dataclass(frozen=True)
class Posterior:
    """A prior of the model and history together.

    Attributes
    ----------
    mean, low, high : float
        Mean, 5 % and 95 % point.
    conflict : float
        How likely data as far from the prior as these were, were the prior right.
    """

    mean: float
    low: float
    high: float
    conflict: float


def estimate_slopes(panel: Panel) -> list[Slope] | None:
    """Estimate the contributions of all drivers of a KPI together; None where too few units are left to tell.

    Parameters
    ----------
    panel : Panel
        Rows with a value that is not finite are left out.
    """
    units = _within(panel)
    if len(units) < FEW_UNITS:
        return None
    normal, right = _sums(units)
    count, drivers = len(units), panel.drivers.shape[1]
    whole = _solve(normal.sum(axis=0), right.sum(axis=0), panel.noise, _freedom(units, normal.shape[1] - drivers))
    left_out = np.array([
        _solve(
            normal.sum(axis=0) - normal[i], right.sum(axis=0) - right[i], panel.noise,
            _freedom([u for j, u in enumerate(units) if j != i], normal.shape[1] - drivers),
        )[:drivers]
        for i in range(count)
    ])  # fmt: skip
    peers = _peers(units, drivers)
    many = peers.sum(axis=1)
    error = np.sqrt(((many - 1.0) / many) @ (left_out - whole[:drivers]) ** 2)
    return [_slope(units, normal, whole, (j, drivers), peers, float(error[j])) for j in range(drivers)]


def still_drivers(panel: Panel) -> tuple[int, ...]:
    """Return the drivers that say nothing: within units and periods they do not move, or only as other drivers do."""
    units, count = _within(panel), panel.drivers.shape[1]
    if len(units) < FEW_UNITS:
        return ()
    total, size = _sums(units)[0].sum(axis=0), np.nansum(panel.drivers**2, axis=0)
    still: list[int] = []
    for j in range(count):
        others = [c for c in range(len(total)) if c != j and c not in still]
        explained = total[j, others] @ np.linalg.lstsq(total[np.ix_(others, others)], total[others, j], rcond=RANK)[0]
        if total[j, j] - explained <= STILL * max(float(size[j]), 1e-300):
            still.append(j)
    return tuple(still)


def _peers(units: list[tuple[Floats, Floats]], drivers: int) -> NDArray[np.bool_]:
    """Return which units share period means, directly or through others, (n_units, n_units) bool.

    Left out of m peers, a unit takes m / (m - 1) times its own part with it, since means are taken anew: the jackknife
    is that of a stratified sample, (m - 1) / m for each unit.
    """
    seen = np.array([np.abs(table[:, drivers:]).max(axis=0) > 0.0 for table, _ in units])
    _, part = connected_components(seen.astype(np.int64) @ seen.T)
    same: NDArray[np.bool_] = part[:, None] == part
    return same


def point_slopes(panel: Panel) -> Floats | None:
    """Return the contributions of all drivers without their errors, (k,); None where too few units are left to tell."""
    units = _within(panel)
    if len(units) < FEW_UNITS:
        return None
    normal, right = _sums(units)
    drivers = panel.drivers.shape[1]
    freedom = _freedom(units, normal.shape[1] - drivers)
    return _solve(normal.sum(axis=0), right.sum(axis=0), panel.noise, freedom)[:drivers]


def _within(panel: Panel) -> list[tuple[Floats, Floats]]:
    """Return for each unit its rows of drivers and period marks, and its driven values, both less their means."""
    ok = np.isfinite(panel.driven) & np.isfinite(panel.drivers).all(axis=1)
    unit, driven, drivers = panel.unit[ok], panel.driven[ok], panel.drivers[ok]
    names, period = np.unique(panel.period[ok], return_inverse=True)
    marks = np.eye(len(names))
    found = []
    for name in np.unique(unit):
        rows = np.flatnonzero(unit == name)
        if len(rows) > 1:
            table = np.hstack([drivers[rows], marks[period[rows]]])
            found.append((table - table.mean(axis=0), driven[rows] - driven[rows].mean()))
    return found


def _sums(units: list[tuple[Floats, Floats]]) -> tuple[Floats, Floats]:
    return np.array([z.T @ z for z, _ in units]), np.array([z.T @ v for z, v in units])


def _freedom(units: list[tuple[Floats, Floats]], periods: int) -> int:
    return sum(len(v) for _, v in units) - len(units) - periods + 1


def _solve(normal: Floats, right: Floats, noise: Floats, freedom: int) -> Floats:
    """Solve the normal equations, the drivers' measurement noise taken out of their sums of squares."""
    k = len(noise)
    cleared = normal.copy()
    cleared[np.arange(k), np.arange(k)] -= noise * freedom
    return np.asarray(np.linalg.lstsq(cleared, right, rcond=RANK)[0])


def _slope(
    units: list[tuple[Floats, Floats]],
    normal: Floats,
    whole: Floats,
    which: tuple[int, int],
    peers: NDArray[np.bool_],
    error: float,
) -> Slope:
    """Return one driver's slope; its leverage and freedom come from what no other column explains of it."""
    (driver, drivers), total = which, normal.sum(axis=0)
    others = [c for c in range(total.shape[0]) if c != driver]
    explained = np.linalg.lstsq(total[np.ix_(others, others)], total[others, driver], rcond=RANK)[0]
    rest = np.zeros((len(units), total.shape[0]))
    for row, (z, _) in zip(rest, units, strict=True):
        row[drivers + z[:, drivers:].argmax(axis=1)] = z[:, driver] - z[:, others] @ explained
    square = (rest**2).sum(axis=1)
    share = square / max(square.sum(), 1e-300)
    return Slope(
        float(whole[driver]), error, _bell_mccaffrey(rest, share, peers), _between(units, whole, driver),
        sum(len(v) for _, v in units), len(units), float(share.max()),
    )  # fmt: skip


def _bell_mccaffrey(rest: Floats, share: Floats, peers: NDArray[np.bool_]) -> float:
    """Return the Satterthwaite degrees of freedom of the jackknife variance (Bell and McCaffrey 2002).

    Residuals of peers add up to 0 in every period, so that two of them tell no more than one.
    """
    square, many = (rest**2).sum(axis=1), peers.sum(axis=1)
    form = (
        np.diag(square)
        - np.where(peers, rest @ rest.T / many, 0.0)
        - np.outer(square, square) / max(square.sum(), 1e-300)
    )
    scale = np.sqrt(many / np.maximum(many - 1.0, 1.0)) / np.maximum(1.0 - share, 1e-6)
    form *= np.outer(scale, scale)
    return max(float(np.trace(form) ** 2 / max((form**2).sum(), 1e-300)), 1.0)


def _between(units: list[tuple[Floats, Floats]], whole: Floats, driver: int) -> float:
    """Return the deviation of the contribution between units; 0 where too few units' own slopes can be told.

    A unit's own slope is that of what periods and other drivers leave of its values, on all that its driver moved.
    """
    slopes, squares, rest, freedom = [], [], [], []
    for table, driven in units:
        x = table[:, driver]
        square = float(x @ x)
        if square <= RANK or len(x) < 4:
            continue
        left = driven - table @ whole + whole[driver] * x
        slopes.append(float(x @ left) / square)
        squares.append(square)
        rest.append(float(((left - slopes[-1] * x) ** 2).sum()))
        freedom.append(float(len(x) - 2))
    return deviation_between(np.array(slopes), np.array(squares), np.array(rest), np.array(freedom))


def deviation_between(slopes: Floats, squares: Floats, rest: Floats, freedom: Floats) -> float:
    """Return the standard deviation of slopes between units; 0 where fewer than three units' own can be told.

    A unit's error variance from few observations is no more than a guess: it is shrunk to that of all units, which
    counts as `SHRINK` observations. Taken as they are, one small guess would pass for a difference between units.

    Parameters
    ----------
    slopes, squares, rest, freedom : (n_units,) float
        Each unit's slope, sum of squares of its driver, of its residuals, and degrees of freedom.
    """
    if len(slopes) <= 2:
        return 0.0
    pooled = float(rest.sum() / freedom.sum())
    variance = (rest + SHRINK * pooled) / (freedom + SHRINK) / squares
    return float(np.sqrt(paule_mandel(slopes, variance)))


def paule_mandel(values: Floats, variance: Floats) -> float:
    """Return the variance between values beyond their own (Paule and Mandel 1982, doi:10.6028/jres.087.022).

    A value that lies further from the middle than `FAR` standard deviations counts as `FAR`: a unit with one slip in
    its past does not make all others differ.
    """
    low, high = 0.0, 1e3 * float(values.var()) + 1e-12
    for _ in range(60):
        middle = 0.5 * (low + high)
        if float((_away(values, variance + middle) ** 2).sum()) > FAR_SQUARE * (len(values) - 1):
            low = middle
        else:
            high = middle
    return high if high > 1e-11 else 0.0


def _away(values: Floats, variance: Floats) -> Floats:
    """Return how far values lie from their robust mean, in standard deviations, at most `FAR`."""
    centre, sd = float(np.median(values)), np.sqrt(variance)
    for _ in range(10):
        weight = np.minimum(1.0, FAR * sd / np.maximum(np.abs(values - centre), 1e-300)) / variance
        centre = float((weight * values).sum() / weight.sum())
    away: Floats = np.clip((values - centre) / sd, -FAR, FAR)
    return away


def combine(slope: Slope, low: float, high: float) -> Posterior:
    """Take a prior, given by its 5 % and 95 % point, and history together.

    The prior is lognormal where it is above 0, else normal; history speaks by a t curve.
    """
    logs = low > 0.0
    ends = (np.log(low), np.log(high)) if logs else (low, high)
    middle, deviation = (ends[0] + ends[1]) / 2.0, max((ends[1] - ends[0]) / NORMAL_90, 1e-12)
    grid = np.linspace(middle - 6.0 * deviation, middle + 6.0 * deviation, GRID)
    values = np.exp(grid) if logs else grid
    prior = stats.norm.pdf(grid, middle, deviation)
    t = (slope.estimate - values) / max(slope.standard_error, 1e-300)
    heights = np.log(np.maximum(prior, 1e-300)) + stats.t.logpdf(t, slope.freedom)
    weight = np.exp(heights - heights.max())
    weight /= weight.sum()
    below = np.cumsum(weight)
    side = float((prior * stats.t.cdf(t, slope.freedom)).sum() / prior.sum())
    return Posterior(
        float(weight @ values), float(np.interp(0.05, below, values)), float(np.interp(0.95, below, values)),
        2.0 * min(side, 1.0 - side),
    )  # fmt: skip


def best_lag(panels: list[Panel]) -> int | None:
    """Return which lag predicts held-out units best; None where no lag is better than the next by a standard error.

    Parameters
    ----------
    panels : list of Panel
        The same KPI with its drivers 0, 1, 2 … periods earlier.
    """
    errors = [_held_out(panel) for panel in panels]
    common = set.intersection(*(set(e) for e in errors)) if errors else set()
    if len(common) < FEW_UNITS:
        return None
    table = np.array([[e[u] for u in sorted(common)] for e in errors])
    order = np.argsort(table.mean(axis=1))
    if len(order) < 2:
        return 0
    gap = table[order[1]] - table[order[0]]
    clear = gap.mean() > gap.std(ddof=1) / np.sqrt(len(gap))
    return int(order[0]) if clear else None


def _held_out(panel: Panel) -> dict[int, float]:
    """Return each unit's mean squared error when the slopes come from all the others."""
    names = [int(n) for n in np.unique(panel.unit) if (panel.unit == n).sum() > 1]
    units = _within(panel)
    if len(units) != len(names) or len(units) < FEW_UNITS:
        return {}
    normal, right = _sums(units)
    k = panel.drivers.shape[1]
    found = {}
    for i, name in enumerate(names):
        slopes = _solve(normal.sum(axis=0) - normal[i], right.sum(axis=0) - right[i], np.zeros(k), 0)
        table, driven = units[i]
        found[name] = float(((driven - table @ slopes) ** 2).mean())
    return found
