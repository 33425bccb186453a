"""What was learned from history as a page: baselines with their tree and seasons, contributions, execution, the map."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from kpiopt.learning.fit import Contribution, Fit
from kpiopt.learning.forecast import Forecast
from kpiopt.learning.known_names import regions_of
from kpiopt.report.charts.heat import Slice, icicle_figure
from kpiopt.report.charts.intervals import IntervalMark, IntervalRow, intervals_figure
from kpiopt.report.charts.lines import Line, lines_figure
from kpiopt.report.drawing.short import short
from kpiopt.report.learning.text import baselines_grid, contributions_grid
from kpiopt.report.numbers import percent
from kpiopt.report.page.page import Block, Card, Page, PageFigure, PageSection, PageTable, render_page
from kpiopt.scenario.scenario import Floats, Scenario

MOST_KPIS, MOST_UNITS, MOST_SLICES, MOST_YEARS, MOST_CAUSES, MOST_LINKS = 4, 9, 120, 5, 16, 40
NINE_OF_TEN = (0.05, 0.95)
PARTS = {
    "level": "size of the units", "drift": "drift of the units", "walk": "the units' own course",
    "noise": "noise of big units", "small_noise": "more noise of small units", "spot": "single periods of a unit",
    "season": "season of all", "own_season": "the units' own seasons", "common_walk": "course of all together",
    "swing": "swings of the units that fade", "small_swing": "more swings of small units", "shock": "shocks to all",
     "region_walk": "course of the regions", "region_shock": "shocks to a region",
    "quarter": "season of all, by quarters", "own_quarter": "the units' own seasons, by quarters",
}  # fmt: skip


def fit_page(found: Fit, model: Scenario | None = None) -> str:
    """Return what was learned as one self-contained page without scripts.

    Parameters
    ----------
    model : Scenario, optional
        Whose tree and names are used; by ids without it.
    """
    grid = found.history.grid
    sections = [PageSection(cards=list(_cards(found, model)), blocks=[_baselines_table(found, model)])]
    for f in found.forecasts[:MOST_KPIS]:
        sections.append(PageSection(f"Baselines, {_kpi(f.kpi, model)}", blocks=list(_baselines(found, f, model))))
    sections += [s for s in (_effects(found, model), _map(found, model), _notes(found)) if s]
    subtitle = f"kpiopt fit · history {found.history.sha256[:8]} · every estimate with its error stands in fit.json"
    title = f"Learned from {grid.names[0]} to {grid.names[-1]}"
    return render_page(Page(title, subtitle, sections, _headline(found, model)))


def _kpi(kpi: str, model: Scenario | None) -> str:
    """Return the name of a KPI or a factor; the id where the model does not know it."""
    for known in (model.kpis, model.factors) if model else ():
        if kpi in known:
            return str(known[kpi].name)
    return kpi


def _unit(unit: str, model: Scenario | None) -> str:
    known = model is not None and unit in model.units.position
    return model.units.names[model.units.position[unit]] if model is not None and known else unit


def _headline(found: Fit, model: Scenario | None) -> str:
    first = found.forecasts[0]
    total = first.whole()
    low, high = np.quantile(total, NINE_OF_TEN).tolist()
    unit = f" {model.kpis[first.kpi].unit}".rstrip() if model and first.kpi in model.kpis else ""
    periods = found.history.grid.after(found.horizon)
    when = periods[0] if len(periods) == 1 else f"{periods[0]} to {periods[-1]}"
    said = (
        f"Without new effort {short(float(total.mean()), 4)}{unit} of {_kpi(first.kpi, model)} are expected "
        f"for {when}, {short(low)} to {short(high)} in nine of ten futures."
    )
    told = sum(c.slope is not None for c in found.contributions)
    wrong = sum(c.is_contradicted for c in found.contributions)
    if found.contributions:
        said += f" History tells {told} of {len(found.contributions)} drawn contributions"
        said += f" and contradicts {wrong}." if wrong else " and contradicts none." if told else "."
    return said


def _cards(found: Fit, model: Scenario | None) -> Iterator[Card]:
    grid, told = found.history.grid, sum(c.slope is not None for c in found.contributions)
    units = max(len(series.units) for series in found.history.series.values())
    yield Card(
        "History",
        f"{grid.count} periods",
        f"units: {units}, KPIs: {len(found.history.series)}, {grid.names[0]} to {grid.names[-1]}",
    )
    for f in found.forecasts[:2]:
        total = f.whole()
        low, high = np.quantile(total, NINE_OF_TEN).tolist()
        yield Card(f"Baseline, {_kpi(f.kpi, model)}", short(float(total.mean()), 4), f"{short(low)} to {short(high)}")
    if found.contributions:
        wrong = sum(c.is_contradicted for c in found.contributions)
        note = f"{wrong} contradicted" if wrong else "none contradicted" if told else "history cannot tell"
        yield Card("Contributions told", f"{told} of {len(found.contributions)}", note, "bad" if wrong else "")
    for kpi, e in list(found.executions.items())[:1]:
        share = f"{100 * e.slope:.0f} %" if e.is_told else "cannot tell"
        yield Card(f"Execution, {_kpi(kpi, model)}", share, f"± {100 * e.slope_error:.0f}; of what was asked")


def _baselines_table(found: Fit, model: Scenario | None) -> PageTable:
    grid = baselines_grid(found)
    rows = [[_kpi(name.plain, model), *(field.plain for field in row)] for name, *row in grid.rows]
    return PageTable("Baselines: what is expected without new effort", grid.columns, rows)


def _baselines(found: Fit, f: Forecast, model: Scenario | None) -> Iterator[Block]:
    yield from _past(found, f)
    yield from _seasons(found, f)
    yield from _scatter(f)
    yield from _units(found, f, model)
    yield from _tree(f, model)


def _rows_of(found: Fit, f: Forecast) -> Floats:
    """Return the history of a forecast's units, (n_units, n_periods)."""
    series = found.history.series[f.kpi]
    at = {unit: i for i, unit in enumerate(series.units)}
    return series.value[[at[unit] for unit in f.units if unit in at]]


def _total(values: Floats, f: Forecast) -> Floats:
    """Take units together period by period, as their total or their mean; NaN where none is known."""
    known = np.isfinite(values)
    if f.weight_of_unit is None or len(values) != len(f.units):
        return np.where(known.any(axis=0), np.nansum(values, axis=0), np.nan)
    weight = np.where(known, f.weight_of_unit[:, None], 0.0).sum(axis=0)
    total = np.nansum(values * f.weight_of_unit[:, None], axis=0)
    return np.where(weight > 0.0, total / np.where(weight > 0.0, weight, 1.0), np.nan)


def _past(found: Fit, f: Forecast) -> Iterator[PageFigure]:
    """Draw all units together over the past, and the horizon's mean per period with its range."""
    grid, total = found.history.grid, _total(_rows_of(found, f), f)
    known = np.flatnonzero(np.isfinite(total))
    if len(known) < 2:
        return
    lines = [Line("what happened", known.astype(float).tolist(), total[known].tolist())]
    drawn = f.whole() / (found.horizon if f.weight_of_unit is None else 1)
    low, high = np.quantile(drawn, NINE_OF_TEN).tolist()
    ahead = [grid.count + i - 0.5 * (found.horizon == 1) for i in range(max(2, found.horizon))]
    flat = [float(drawn.mean())] * len(ahead)
    lines.append(Line("expected, mean of the horizon", ahead, flat, [low] * len(ahead), [high] * len(ahead)))
    names = [*grid.names, *grid.after(found.horizon)]
    figure = lines_figure(lines, f"{f.kpi}, past and horizon", "", "all units together", x_names=names)
    yield PageFigure("Past and horizon", figure, "band: nine of ten futures")


def _seasons(found: Fit, f: Forecast) -> Iterator[PageFigure]:
    """Draw each year's course as shares of the year's mean."""
    grid = found.history.grid
    if grid.per_year < 2:
        return
    total, lines = _total(_rows_of(found, f), f), []
    for start in range((-grid.phase) % grid.per_year, grid.count - grid.per_year + 1, grid.per_year):
        year = total[start : start + grid.per_year]
        if np.isfinite(year).all() and year.mean():
            name = grid.names[start][:4]
            lines.append(Line(name, [float(i) for i in range(grid.per_year)], (year / year.mean()).tolist()))
    if not lines:
        return
    names = [f"Q{i + 1}" if grid.per_year == 4 else f"{i + 1}" for i in range(grid.per_year)]
    figure = lines_figure(lines[-MOST_YEARS:], f"Seasons of {f.kpi}", "", "share of the year's mean", share=True,
                          x_names=names)  # fmt: skip
    yield PageFigure("Seasons", figure, "whole years, all units together")


def _scatter(f: Forecast) -> Iterator[PageFigure]:
    """Draw the parts of the tree by how much they scatter."""
    parts = sorted(((PARTS.get(name, name), sd) for name, sd in f.sd.items() if sd > 0), key=lambda part: -part[1])
    if not parts:
        return
    rows = [
        IntervalRow(name, [IntervalMark("", sd, 0.0, sd, percent(sd) if f.link == "log" else short(sd))])
        for name, sd in parts
    ]
    what = "standard deviation, of the logarithm" if f.link == "log" else f"standard deviation, link {f.link}"
    figure = intervals_figure(rows, f"What {f.kpi} is made of", what, share=f.link == "log")
    yield PageFigure("What scatters", figure, "the parts of the baseline's tree, the largest first")


def _units(found: Fit, f: Forecast, model: Scenario | None) -> Iterator[PageFigure]:
    """Draw the largest units' baselines with their ranges beside what the same number of last periods brought."""
    past = _rows_of(found, f)[:, -found.horizon :]
    count = np.isfinite(past).sum(axis=1)
    last = np.nansum(past, axis=1) / (1 if f.weight_of_unit is None else np.maximum(count, 1))
    last = np.where(count > 0, last, np.nan)
    means = f.draws.mean(axis=0)
    rows = []
    for i in np.argsort(-np.abs(means), kind="stable")[:MOST_UNITS].tolist():
        low, high = np.quantile(f.draws[:, i], NINE_OF_TEN).tolist()
        mean = float(means[i])
        marks = [IntervalMark("expected", mean, low, high, f"{short(mean)} ({short(low)} to {short(high)})")]
        if len(last) == len(f.units) and np.isfinite(last[i]):
            before = float(last[i])
            marks.append(IntervalMark(f"the last {found.horizon} periods", before, before, before, short(before)))
        rows.append(IntervalRow(_unit(f.units[i], model), marks))
    more = f"; the largest {len(rows)} of {len(f.units):,}" if len(f.units) > len(rows) else ""
    figure = intervals_figure(rows, f"Baselines of {f.kpi} by unit", "over the horizon", zero=None)
    yield PageFigure("By unit", figure, f"with nine of ten futures{more}")


def _tree(f: Forecast, model: Scenario | None) -> Iterator[PageFigure]:
    """Draw the baselines as an icicle from the whole over regions to units; shade: how uncertain each is."""
    means, region = f.draws.mean(axis=0), regions_of(f.units, model)
    if len(f.units) < 2 or len(f.units) > MOST_SLICES or not (means > 0).all():
        return
    order = np.lexsort((-means, region))
    rows = [(0, model.units.names[0] if model else "all units", np.arange(len(f.units)))]
    several = len(np.unique(region)) > 1
    if several and model is not None:
        for number in np.unique(region).tolist():
            inside = np.flatnonzero(region == number)
            rows.append((1, _region(f.units[inside[0]], model), inside))
    rows += [(1 + several, _unit(f.units[i], model), np.array([i])) for i in order.tolist()]
    values = [f.whole(inside) for _, _, inside in rows]
    scatter = [float(value.std() / value.mean()) for value in values]
    share = means if f.weight_of_unit is None else means * f.weight_of_unit
    most, left, slices = max(scatter) or 1.0, dict.fromkeys(range(3), 0.0), []
    for (depth, name, inside), value, sd in zip(rows, values, scatter, strict=True):
        width = float(share[inside].sum() / share.sum())
        text = f"{short(float(value.mean()))} (± {percent(sd, 0)})"
        slices.append(Slice(name, depth, left[depth], width, text, f"{name}: {text}", sd / most))
        left[depth] += width
    note = (
        "Each row adds up to the row above." if f.weight_of_unit is None else "Each row is the mean of that below it."
    )
    note += " Shade: how uncertain. Totals and means scatter less than their parts."
    figure = icicle_figure(slices, f"Tree of baselines, {f.kpi}", full=True)
    yield PageFigure("Tree of baselines", figure, "mean, and one standard deviation", wide=True, full=True, note=note)


def _region(unit: str, model: Scenario) -> str:
    at = model.units.position.get(unit, 0)
    while model.units.depth[at] > 1:
        at = int(model.units.parent[at])
    return model.units.names[at]


def _effects(found: Fit, model: Scenario | None) -> PageSection | None:
    blocks: list[Block] = [*_contributions(found, model), *_execution(found, model), *_causes_table(found, model)]
    return PageSection("Contributions and execution", blocks=blocks) if blocks else None


def _contributions(found: Fit, model: Scenario | None) -> Iterator[PageFigure]:
    """Draw prior, history and both together, each as a multiple of what the model says."""
    told = [c for c in found.contributions if c.slope is not None and c.prior.mean]
    if told:
        figure = intervals_figure(
            [_contribution_row(c, model) for c in told[:MOST_CAUSES]],
            "Contributions: model, history, together",
            "as a multiple of what the model says",
        )
        caption = "dots with 90 % (model, together) and 95 % (history) intervals"
        yield PageFigure("Contributions", figure, caption)


def _causes_table(found: Fit, model: Scenario | None) -> Iterator[PageTable]:
    if not found.contributions:
        return
    grid = contributions_grid(found)
    rows = [
        (_kpi(c.cause, model), _kpi(c.kpi, model), *(field.plain for field in row[2:]), _because(c))
        for c, row in zip(found.contributions, grid.rows, strict=True)
    ]
    caption = "what one unit of a cause adds"
    yield PageTable("Every drawn cause", (*grid.columns, "remark"), rows, 2, caption)


def _because(c: Contribution) -> str:
    return f"{c.slope.units} units, {c.slope.observations} cases" if c.slope else c.why


def _contribution_row(c: Contribution, model: Scenario | None) -> IntervalRow:
    size = abs(c.prior.mean)
    low, high = (c.prior.mean,) * 2 if c.prior.is_number else c.prior.quantile(np.array(NINE_OF_TEN)).tolist()
    marks = [IntervalMark("model", c.prior.mean / size, low / size, high / size, short(c.prior.mean))]
    assert c.slope is not None
    ends = c.slope.interval()
    marks.append(_mark("history", c.slope.estimate, ends, size))
    if c.posterior is not None:
        marks.append(_mark("together", c.posterior.mean, (c.posterior.low, c.posterior.high), size))
    said = " (contradiction)" if c.is_contradicted else ""
    return IntervalRow(f"{_kpi(c.cause, model)} on {_kpi(c.kpi, model)}{said}", marks)


def _mark(series: str, value: float, ends: Sequence[float], size: float) -> IntervalMark:
    low, high = ends
    return IntervalMark(
        series, value / size, low / size, high / size, f"{short(value)} ({short(low)} to {short(high)})"
    )


def _execution(found: Fit, model: Scenario | None) -> Iterator[PageFigure]:
    """Draw the share of what was asked that came true, plain and by the instrument."""
    rows, lines = [], []
    for kpi, e in found.executions.items():
        if not e.is_told:
            lines.append(f"{_kpi(kpi, model)}: {e.verdict}.")
            continue
        marks = [_share("of what was asked came true", e.slope, e.slope_error)]
        if e.instrumented is not None and e.instrumented_error is not None:
            marks.append(_share("by the instrument", e.instrumented, e.instrumented_error))
        rows.append(IntervalRow(_kpi(kpi, model), marks))
        drift = f"without any ask {100 * e.drift:+.0f} % (± {100 * e.drift_error:.0f}) a year"
        leak = "cannot be tested" if e.leak is None else f"p = {e.leak:.2g}"
        lines.append(f"{_kpi(kpi, model)}: {drift}; asks that knew what would come: {leak}; {e.observations} cases.")
    if not rows:
        return
    figure = intervals_figure(rows, "Execution", "1 = all that was asked came true", zero=1.0)
    caption = "share of what was asked that came true, with 95 % intervals"
    yield PageFigure("Execution", figure, caption, note=" ".join(lines))


def _share(series: str, value: float, error: float) -> IntervalMark:
    low, high = value - 1.96 * error, value + 1.96 * error
    return IntervalMark(series, value, low, high, f"{value:.2f} ({low:.2f} to {high:.2f})")


def _map(found: Fit, model: Scenario | None) -> PageSection | None:
    """Hold the drawn and the undrawn links against history."""
    drawn = [(_kpi(c.cause, model), _kpi(c.kpi, model), *_sign(c)) for c in found.contributions]
    missing = [
        (
            _kpi(m.cause, model),
            _kpi(m.effect, model),
            f"{short(m.slope.estimate)} ({' to '.join(map(short, m.slope.interval()))})",
            f"{m.p_value:.2g}",
            "nothing" if m.reliability is None else f"reliability {m.reliability:.2f}",
        )
        for m in sorted(found.missing, key=lambda m: m.p_value)[:MOST_LINKS]
    ]
    blocks: list[Block] = []
    if drawn:
        columns = ("cause", "effect", "the map says", "history says", "verdict")
        blocks.append(PageTable("Links that the map draws", columns, drawn, 5))
    if missing:
        columns = ("cause", "effect", "what is left (95 % interval)", "p, adjusted", "would be explained away by")
        caption = "tested for what the drawn causes leave over"
        blocks.append(PageTable("Links that the map does not draw", columns, missing, 2, caption))
    return PageSection("The map held against history", blocks=blocks) if blocks else None


def _sign(c: Contribution) -> tuple[str, str, str]:
    said = _word(c.prior.mean)
    if c.slope is None:
        return said, "cannot tell", c.why
    low, high = c.slope.interval()
    if low <= 0 <= high:
        return said, "neither for sure", "no difference seen"
    history = _word(c.slope.estimate)
    if history != said:
        return said, history, "the other way round"
    return said, history, "another size" if c.is_contradicted else "confirmed"


def _word(value: float) -> str:
    return "raises" if value > 0 else "lowers" if value < 0 else "nothing"


def _notes(found: Fit) -> PageSection | None:
    """Say what was noticed, but for causes that history cannot tell: those stand in a table, with why."""
    tabled = {f"{c.cause} -> {c.kpi}: cannot tell" for c in found.contributions}
    lines = [f"{note}." for note in found.warnings if note.partition(",")[0] not in tabled]
    return PageSection("What to know", lines=lines) if lines else None
