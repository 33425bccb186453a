"""What was learned from history, and how well past odds proved true: for the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Group
from rich.text import Text

from kpiopt.errors import printable
from kpiopt.learning.backtests.results import BINS
from kpiopt.report.grid import Grid, heading
from kpiopt.report.numbers import amount

if TYPE_CHECKING:
    from rich.console import RenderableType

    from kpiopt.learning.backtests.results import Backtest
    from kpiopt.learning.backtests.scores import Reliability
    from kpiopt.learning.fit import Contribution, Fit


MUCH_LARGER = 10.0
"""Times by which an error is larger than another beyond which the number tells nothing: the other is next to 0."""


def render_fit(found: Fit) -> RenderableType:
    """Lay out what was learned."""
    return Group(*_fit_parts(found))


def _fit_parts(found: Fit) -> Iterator[RenderableType]:
    grid = found.history.grid
    yield Text(f"Learned from {grid.names[0]} to {grid.names[-1]}, for the {found.horizon} periods after it.")
    yield heading("Baselines: what is expected without new effort")
    yield baselines_grid(found)
    if found.contributions:
        yield heading("Contributions: what one unit of a cause adds")
        yield contributions_grid(found)
    for kpi, e in found.executions.items():
        yield heading(f"Execution of {kpi}")
        if e.is_told:
            share = f"{100 * e.slope:.0f} % (± {100 * e.slope_error:.0f}) of what was asked came true"
            yield Text(f"  {share}; without any ask {100 * e.drift:+.0f} % (± {100 * e.drift_error:.0f}) a year.")
        else:
            yield Text(printable(f"  {e.verdict}"))
    yield from _notes(found.warnings)


def baselines_grid(found: Fit) -> Grid:
    """Return the baselines of whole KPIs as a table."""
    table = Grid(("KPI", "units", "all units", "expected", "5 %", "95 %", "forecast, rest last year"))
    for f in found.forecasts:
        total = f.whole()
        ends = np.quantile(total, (0.05, 0.95)).tolist()
        shown = (amount(value) for value in (float(total.mean()), *ends))
        together = "total" if f.weight_of_unit is None else "mean"
        table.add(f.kpi, str(len(f.units)), together, *shown, f"{100 * f.weight:.0f} %")
    return table


def contributions_grid(found: Fit) -> Grid:
    """Return every drawn cause with what the model and history say."""
    table = Grid(("cause", "KPI", "model", "history (95 % interval)", "lag", "together"), left=3)
    for c in found.contributions:
        table.add(c.cause, c.kpi, c.prior.text, _history_text(c), _lag_text(c), _together_text(c))
    return table


def _history_text(c: Contribution) -> str:
    if c.slope is None:
        return "cannot tell"
    low, high = c.slope.interval()
    return f"{amount(c.slope.estimate)} ({amount(low)} to {amount(high)})"


def _lag_text(c: Contribution) -> str:
    """Write after how many periods history finds the effect."""
    return "" if c.slope is None else "cannot tell" if c.lag is None else str(c.lag)


def _together_text(c: Contribution) -> str:
    if c.is_contradicted:
        return "contradiction"
    return "" if c.posterior is None else amount(c.posterior.mean)


def render_backtest(found: Backtest) -> RenderableType:
    """Lay out how forecasts and odds did."""
    return Group(*_backtest_parts(found))


def _backtest_parts(found: Backtest) -> Iterator[RenderableType]:
    yield Text(printable(f"Verdict: {found.verdict}."), style="bold")
    yield Text(f"  Stood at {', '.join(found.origins)}.")
    yield heading("Errors as shares of what happened (smaller is better), and ranges")
    yield scores_grid(found)
    if found.plans:
        yield heading("Targets planned anew as of then: mean absolute error as a share of what happened")
        yield plans_grid(found)
    if found.targets is not None:
        yield heading("Odds that the history's own targets would have been given")
        yield targets_grid(found.targets)
        o = found.targets
        yield Text(
            f"  Brier score {o.brier:.3f} = miscalibration {o.miscalibration:.3f} - discrimination "
            f"{o.discrimination:.3f} + uncertainty {o.uncertainty:.3f}."
        )
    yield from _notes(found.notes)


def scores_grid(found: Backtest) -> Grid:
    """Return how forecasts did, by KPI, level and horizon, and how often their ranges held."""
    columns = ("forecast", "last year", "last period", "smaller than last year's", "5-to-95 % ranges held")
    table = Grid(("KPI", "level", "ahead", *columns), left=2)
    for s in found.scores:
        held = s.coverage
        share = f"{100 * held.share:.0f} % of {held.count} ({100 * held.low:.0f} to {100 * held.high:.0f} is right)"
        errors = (f"{100 * e:.1f} %" for e in (s.crps, s.naive, s.last))
        table.add(s.kpi, s.level, str(s.horizon), *errors, gain_text(s.gain), share)
    return table


def targets_grid(targets: Reliability) -> Grid:
    """Return what became of the odds that past targets would have been given, by fifths."""
    odds = Grid(("odds given", "targets", "hit (95 % interval)"))
    for start in BINS:
        count, hit, lower, upper = targets.bin(start, start + 0.2)
        text = f"{100 * hit:.0f} % ({100 * lower:.0f} to {100 * upper:.0f})" if count else ""
        odds.add(f"{100 * start:.0f} to {100 * start + 20:.0f} %", str(count), text)
    return odds


def plans_grid(found: Backtest) -> Grid:
    """Return how near planned targets came, beside last year's and the last period's raised to the same total."""
    columns = ("targets", "planned", "last year + x %", "last period + x %", "set then", "smaller than last year's")
    table = Grid(("KPI", "ahead", *columns))
    for s in found.plans:
        errors = (f"{100 * e:.1f} %" for e in (s.plan.error, s.last_year, s.last_period))
        given = "" if s.given is None else f"{100 * s.given:.1f} %"
        table.add(s.kpi, str(s.horizon), str(s.plan.count), *errors, given, gain_text(s.plan.gain))
    return table


def gain_text(gain: tuple[float, float, float]) -> str:
    """Write by how much an error is smaller, with its interval by clusters where there are two at least."""
    share, low, high = gain
    if share < -MUCH_LARGER:
        return "much larger"
    ends = f" ({100 * low:.0f} to {100 * high:.0f})" if low > -100.0 else ""
    return f"{100 * share:.0f} %{ends}"


def _notes(warnings: tuple[str, ...]) -> Iterator[RenderableType]:
    if warnings:
        yield heading("What to know")
        yield from (Text(printable(f"  {note}.")) for note in warnings)
