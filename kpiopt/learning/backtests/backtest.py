"""Back-tests: stand at past periods, learn, plan and simulate with what was known, and score what happened.

At every origin everything is learned anew from the periods before it. The horizon's values of units, regions and of
the organization come from the same joint draws; targets of the history are judged by the odds they would have been
given: what is expected without the ask, and the share of the ask that was realised before. The model's own question is
asked as of then (`plan_then`), and its targets are held against what happened, beside last year + x %.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kpiopt.errors import Infeasible, NumericsError, Problem
from kpiopt.learning.backtests.plan_then import PlanThen, can_plan, plan_then
from kpiopt.learning.backtests.results import (
    UNIT,
    Backtest,
    Case,
    Planned,
    level_score,
    plan_score,
)
from kpiopt.learning.backtests.scores import reliability
from kpiopt.learning.execution import Execution
from kpiopt.learning.fit import FitOptions, fit_history
from kpiopt.learning.forecast import Forecast, Question, last_period, seasonal_naive
from kpiopt.learning.history import History
from kpiopt.learning.known_names import averages, leaf_series, regions_of, scale_of, silent_units, weights_of
from kpiopt.learning.links import has_enough
from kpiopt.scenario.scenario import ORGANIZATION, Scenario
from kpiopt.scenario.target_grid import reaches
from kpiopt.workers.executor import Ready, answers
from kpiopt.workers.job import SERIAL, Executor

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class BacktestOptions:
    """How to test.

    Attributes
    ----------
    origins : int
        How many past periods to stand at.
    horizons : tuple of int
        Periods ahead, each a test of its own.
    plan : bool
        Whether the model's own targets are made anew at every origin.
    allow_code : bool
        Whether the model's rules file may be run for that.
    """

    origins: int = 5
    horizons: tuple[int, ...] = (1,)
    draws: int = 1000
    seed: int = 7
    plan: bool = True
    allow_code: bool = False


def backtest(
    history: History,
    model: Scenario | None,
    options: BacktestOptions,
    progress: Callable[[str], None] = lambda _: None,
    executor: Executor = SERIAL,
) -> Backtest:
    """Test forecasts, odds and plans on a history.

    Parameters
    ----------
    model : Scenario or None
        Gives the organization's tree, how KPIs add up, and the question that is asked as of then.
    executor : Executor
        Where it is stood at the past periods; the answer does not depend on it.

    Raises
    ------
    NumericsError
        Where the history is too short for a single origin.
    SecurityError
        Where the model has a rules file and there is no permission to run it.
    """
    points = [(horizon, count) for horizon in options.horizons for count in _origins(history, horizon, options.origins)]
    progress(f"{len(points)} past periods")
    told = [f"{done} of {len(points)} past periods" for done in range(len(points) + 1)]
    origins = answers(Ready(_Origins(history, model, options)), points, executor, lambda done: progress(told[done]))
    found = _Found()
    found.notes += [*history.notes, *silent_units(history, model)]
    for (horizon, count), origin in zip(points, origins, strict=True):
        if origin is None:
            continue
        found.origins[count] = history.grid.names[count - 1]
        for kpi, case in origin.cases.items():
            found.cases.setdefault((kpi, horizon), []).append(case)
            rng = np.random.default_rng([options.seed, count, horizon, 1])
            found.judge(case, scale_of(kpi, model), origin.executions.get(kpi), rng, range(count, count + horizon))
        for kpi, planned in origin.plans:
            found.plans.setdefault((kpi, horizon), []).append(planned)
        found.notes += origin.notes
    if not found.cases:
        raise NumericsError(
            Problem(
                "E-history-short",
                "the history is too short to stand at a past period",
                rule="a year and a half, 8 periods and the horizon are the least",
                fix="give more of the past, or a shorter --horizon",
            )
        )
    tested = {kpi for kpi, _ in found.cases}
    found.notes += [f"{kpi}: too little was known at the past periods" for kpi in history.series if kpi not in tested]
    return found.backtest(tuple(history.series), options.horizons)


@dataclass(frozen=True)
class _Origin:
    """What was forecast and planned as of a past period, beside what happened."""

    cases: dict[str, Case]
    executions: Mapping[str, Execution]
    plans: tuple[tuple[str, Planned], ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Origins:
    """Stands at a past period, (horizon, periods known); None where too little was known then."""

    history: History
    model: Scenario | None
    options: BacktestOptions

    def __call__(self, point: tuple[int, int]) -> _Origin | None:
        horizon, count = point
        known = _learnable(self.history.until(count))
        if not known.series:
            return None
        fit = fit_history(known, self.model, FitOptions(horizon, self.options.draws, self.options.seed))
        cases = {f.kpi: _stand_at(self.history, self.model, f, count, horizon) for f in fit.forecasts}
        origin = _Origin(cases, fit.executions)
        if not self.options.plan or self.model is None or not can_plan(self.model):
            return origin
        try:
            options = self.options
            plans = plan_then(self.model, fit, options.draws, options.seed, allow_code=options.allow_code)
        except Infeasible as error:
            note = f"no plan as of {fit.history.grid.names[-1]}: {error.problems[0].message}"
            return replace(origin, notes=(note,))
        return replace(origin, plans=tuple((plan.kpi, _beside(plan, cases[plan.kpi])) for plan in plans))


def _beside(plan: PlanThen, case: Case) -> Planned:
    """Return the targets of a plan beside what happened."""
    at = {unit: i for i, unit in enumerate(case.units)}
    pairs = [(i, at[unit]) for i, unit in enumerate(plan.units) if unit in at]
    rows = np.array([row for _, row in pairs], dtype=np.int64)
    mine = np.array([i for i, _ in pairs], dtype=np.int64)
    happened, target = case.happened[rows], plan.target[mine]
    hit = reaches(happened, target, plan.baseline[mine], plan.step[mine], plan.sign[mine])
    return Planned(
        tuple(case.units[row] for row in rows.tolist()), target, plan.odds[mine],
        case.naive[rows], case.last[rows], case.target[rows], happened, hit,
        None if case.weight is None else case.weight[rows],
    )  # fmt: skip


class _Found:
    """What was found at all origins."""

    def __init__(self) -> None:
        self.origins: dict[int, str] = {}
        self.cases: dict[tuple[str, int], list[Case]] = {}
        self.plans: dict[tuple[str, int], list[Planned]] = {}
        self.given: list[float] = []
        self.hits: list[float] = []
        self.periods: set[int] = set()
        self.notes: list[str] = []

    def judge(
        self, case: Case, scale: tuple[float, float], execution: Execution | None, rng: np.random.Generator,
        periods: range,
    ) -> None:  # fmt: skip
        """Judge the history's own targets."""
        given, hits = _judge_targets(case, scale, execution, rng)
        self.given += given
        self.hits += hits
        self.periods |= set(periods) if given else set()

    def _levels(self, key: tuple[str, int]) -> list[str]:
        """Return the levels that every origin of a KPI knows."""
        first, *others = self.cases[key]
        between = [level for level in first.groups if all(level in case.groups for case in others)]
        return [UNIT, *between, ORGANIZATION]

    def backtest(self, kpis: tuple[str, ...], horizons: tuple[int, ...]) -> Backtest:
        """Return all of it, scored."""
        keys = [(kpi, horizon) for kpi in kpis for horizon in horizons]
        known = [key for key in keys if key in self.cases]
        scores = [level_score(*key, level, self.cases[key]) for key in known for level in self._levels(key)]
        plans = [score for key in keys if key in self.plans and (score := plan_score(*key, self.plans[key]))]
        targets = reliability(np.array(self.given), np.array(self.hits)) if self.given else None
        origins = tuple(self.origins[c] for c in sorted(self.origins))
        return Backtest(origins, tuple(scores), targets, len(self.periods), tuple(plans), tuple(self.notes))


def _learnable(history: History) -> History:
    """Return the KPIs of which there was enough at the time."""
    return replace(history, series={kpi: series for kpi, series in history.series.items() if has_enough(series)})


def _origins(history: History, horizon: int, wanted: int) -> list[int]:
    """Return how many periods were known at each origin, the latest first, a horizon apart."""
    least = max(8, history.grid.per_year + max(4, history.grid.per_year // 2))
    counts = range(history.grid.count - horizon, least - 1, -max(1, horizon))
    return list(counts)[:wanted]


def _stand_at(history: History, model: Scenario | None, found: Forecast, count: int, horizon: int) -> Case:
    """Hold a forecast as of one origin beside what happened, for the units of which that is known."""
    series = leaf_series(history.series[found.kpi].until(count), model, [])
    group = regions_of(series.units, model)
    question = Question(series, history.grid.until(count), group, horizon, averages(found.kpi, model))
    whole = history.series[found.kpi]
    at = {unit: i for i, unit in enumerate(whole.units)}
    rows = np.array([at[unit] for unit in series.units], dtype=np.int64)
    window = slice(count, count + horizon)
    happened, target = (_over(values[rows, window], question.averages) for values in (whole.value, whole.target))
    known = np.isfinite(happened)
    units = tuple(u for u, k in zip(series.units, known.tolist(), strict=True) if k)
    return Case(
        found.draws[:, known], happened[known], seasonal_naive(question)[known], last_period(question)[known],
        target[known], _groups(units, model), units, weights_of(found.kpi, units, model),
    )  # fmt: skip


def _groups(units: tuple[str, ...], model: Scenario | None) -> dict[str, Integers]:
    """Return for each level between units and organization the unit there that each belongs to, the lowest first."""
    found: dict[str, Integers] = {}
    if model is None:
        return found
    tree = model.units
    depth: dict[str, int] = {}
    for i, unit in enumerate(units):
        at = tree.position.get(unit, 0)
        while tree.depth[at] > 1:
            at = int(tree.parent[at])
            level = tree.levels[at] or f"depth {tree.depth[at]}"
            found.setdefault(level, np.full(len(units), -1, dtype=np.int64))[i] = at
            depth[level] = max(int(tree.depth[at]), depth.get(level, 0))
    return {level: found[level] for level in sorted(found, key=lambda name: -depth[name])}


def _over(values: Floats, as_mean: bool) -> Floats:
    total: Floats = values.mean(axis=1) if as_mean else values.sum(axis=1)
    return total


def _judge_targets(
    case: Case, scale: tuple[float, float], execution: Execution | None, rng: np.random.Generator
) -> tuple[list[float], list[float]]:
    """Return the odds that the history's targets would have been given, and whether they were hit.

    Where execution can be told, an ask moves last year's value by the drift and by the share of it that came true,
    each as uncertain as it was then. Elsewhere the forecast stands as it is: it knows of no ask.
    """
    asked = np.isfinite(case.target)
    if not asked.any():
        return [], []
    draws, goal, naive = case.draws[:, asked], case.target[asked], case.naive[asked]
    if execution is not None and execution.is_told and (naive > 0.0).all():
        draws = _realised(len(draws), naive, goal / naive - 1.0, execution, rng)
    step, sign = (np.full(len(goal), part) for part in scale)
    odds = reaches(draws, goal, naive, step, sign).mean(axis=0)
    return odds.tolist(), reaches(case.happened[asked], goal, naive, step, sign).astype(float).tolist()


def _realised(count: int, naive: Floats, ask: Floats, execution: Execution, rng: np.random.Generator) -> Floats:
    """Draw what becomes of asks: baseline x (1 + drift + share x ask + noise), (count, n)."""
    drift = execution.drift + execution.drift_error * rng.standard_normal((count, 1))
    own = execution.between * rng.standard_normal((count, len(ask)))
    share = execution.slope + execution.slope_error * rng.standard_normal((count, 1)) + own
    noise = execution.noise * np.maximum(1.0, 1.0 + ask) * rng.standard_normal((count, len(ask)))
    realised: Floats = naive * (1.0 + drift + share * ask + noise)
    return realised
