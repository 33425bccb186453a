"""Planning as of a past period: the model's question as it would have been asked then, of what was known then.

Baselines, their noise, contributions and execution are those fitted to the history before. What the model says for a
year is taken for the horizon's share of it: capacity, budgets, initiatives and target incentives. Ranges, locks and
goals keep their distance from the baseline in proportion to it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kpiopt.learning.fit import Fit
from kpiopt.learning.fit_files import usable_execution, written_contribution
from kpiopt.learning.known_names import weights_of
from kpiopt.learning.spread import Spread
from kpiopt.run.solve import SolveOptions, solve_scenario
from kpiopt.scenario.noise import Noise
from kpiopt.scenario.quantity import Quantity, parse_quantity
from kpiopt.scenario.scenario import (
    Cells,
    Goal,
    Kpi,
    OddsSettings,
    Scenario,
    SimulationSettings,
    Uncertainty,
    Units,
)

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

EXECUTION = "uncertainty.execution"


@dataclass(frozen=True)
class PlanThen:
    """Targets that the model would have given to the units of one KPI as of a past period.

    Attributes
    ----------
    units : tuple of str
        Those with a decision; all with a fitted baseline where none has one.
    target, odds : (n,) float
        In the KPI's own unit; probability that the unit attains it.
    baseline, step, sign : (n,) float
        What the target is compared with values by, see `target_grid.least_hit`.
    """

    kpi: str
    units: tuple[str, ...]
    target: Floats
    odds: Floats
    baseline: Floats
    step: Floats
    sign: Floats


def can_plan(model: Scenario | None) -> bool:
    """Whether a model can be asked as of a past period: it has cells, and one period."""
    return model is not None and model.periods is None and len(model.cells) > 0


def plan_then(model: Scenario, fit: Fit, draws: int, seed: int, *, allow_code: bool = False) -> tuple[PlanThen, ...]:
    """Plan and simulate with what was known.

    Parameters
    ----------
    fit : Fit
        What was learned from the history before.
    draws, seed : int
        Of the simulation.
    allow_code : bool
        Whether the model's rules file may be run.

    Raises
    ------
    SecurityError
        Where there is a rules file and no permission to run it.
    Infeasible
        Where no plan of then keeps the model's hard limits.
    """
    scenario = question_then(model, fit)
    settings = SimulationSettings(draws=draws, seed=seed, method="random")
    run = solve_scenario(replace(scenario, simulation=settings), options=SolveOptions(allow_code=allow_code, beside=()))
    graph, simulation = run.graph, run.simulation
    odds = np.full(graph.n_nodes, np.nan) if simulation is None else simulation.node_odds
    found, row = [], _rows(model)
    for spread in fit.spreads:
        known = [(unit, row[unit, spread.kpi]) for unit in spread.units if (unit, spread.kpi) in row]
        decided = [pair for pair in known if model.cells.has_decision[pair[1]]] or known
        node = graph.cell_node[np.array([cell for _, cell in decided], dtype=np.int64)]
        found.append(
            PlanThen(
                spread.kpi, tuple(unit for unit, _ in decided), run.plan.target[node], odds[node],
                graph.baseline[node], scenario.kpi_step[graph.kpi[node]], graph.sign[node],
            )
        )  # fmt: skip
    return tuple(plan for plan in found if plan.units)


def question_then(model: Scenario, fit: Fit) -> Scenario:
    """Return the model's question as of the end of the history that was fitted, in its variants as well.

    What a variant says for itself it says of then: its contributions and execution stay, its baselines differ from
    those fitted as they differ from the model's.
    """
    robust = tuple((name, _then(other, fit, model)) for name, other in model.robust)
    return replace(_then(model, fit, model), robust=robust)


def _then(model: Scenario, fit: Fit, base: Scenario) -> Scenario:
    """Return the question of a scenario, the model itself or one of its variants."""
    share = fit.horizon / fit.history.grid.per_year
    row = _rows(model)
    fitted = {row[unit, s.kpi]: (s, i) for s in fit.spreads for i, unit in enumerate(s.units) if (unit, s.kpi) in row}
    cells, scale = _cells(model, fitted, share, base.cells.baseline)
    return replace(
        model,
        cells=cells,
        noise=_noise(model, fit, fitted),
        kpis={kpi.id: _kpi(kpi, fit, base.kpis.get(kpi.id, kpi)) for kpi in model.kpis.values()},
        goals=_goals(model, fit, cells, scale),
        uncertainty=_uncertainty(model.uncertainty, fit, base.uncertainty),
        units=_units(model.units, share),
        budgets={key: replace(b, limit=b.limit * share) for key, b in model.budgets.items()},
        initiatives={key: replace(i, maximum=i.maximum * share) for key, i in model.initiatives.items()},
        correlation={pair: r for pair, r in model.correlation.items() if not any(q.startswith("cell.") for q in pair)},
        odds=OddsSettings(),
    )


def _rows(model: Scenario) -> dict[tuple[str, str], int]:
    cells = model.cells
    names = [model.units.ids[u] for u in cells.unit.tolist()], [model.kpi_ids[k] for k in cells.kpi.tolist()]
    return {pair: row for row, pair in enumerate(zip(*names, strict=True))}


def _cells(model: Scenario, fitted: dict[int, tuple[Spread, int]], share: float, usual: Floats) -> tuple[Cells, Floats]:
    """Return the cells of then, and by how much each cell's baseline differs from the model's."""
    cells = model.cells
    adds = np.array([kpi.roll_up == "sum" for kpi in model.kpis.values()])[cells.kpi]
    baseline = cells.baseline * np.where(adds, share, 1.0)
    for row, (spread, i) in fitted.items():
        moved = cells.baseline[row] / usual[row] if row < len(usual) and usual[row] else 1.0
        baseline[row] = spread.mean[i] * moved
    scale = np.where(adds, share, 1.0)
    has_size = (cells.baseline != 0.0) & (baseline / np.where(cells.baseline == 0.0, 1.0, cells.baseline) > 0.0)
    scale[has_size] = baseline[has_size] / cells.baseline[has_size]
    kept = {row: quantity for row, quantity in cells.baseline_quantity.items() if row not in fitted and scale[row] == 1}
    return replace(
        cells, baseline=baseline, baseline_quantity=kept, min_stretch=cells.min_stretch * scale,
        max_stretch=cells.max_stretch * scale, lock=cells.lock * scale, reference=cells.reference * scale,
        lock_target=None if cells.lock_target is None else cells.lock_target * scale,
    ), scale  # fmt: skip


def _noise(model: Scenario, fit: Fit, fitted: dict[int, tuple[Spread, int]]) -> Noise:
    """Return the fitted noise, and the model's where nothing was fitted."""
    count = len(model.cells)
    old = model.noise or Noise((), (), (), np.full(count, -1, dtype=np.int64), np.zeros(count))
    group, sd = old.group.copy(), old.sd.copy()
    position = {s.kpi: len(old.names) + i for i, s in enumerate(fit.spreads)}
    for row, (spread, i) in fitted.items():
        group[row], sd[row] = position[spread.kpi], spread.sd[i]
    return Noise(
        (*old.names, *(f"fitted_{s.kpi}" for s in fit.spreads)),
        (*old.additive, *(s.additive for s in fit.spreads)),
        (*old.common, *(s.common for s in fit.spreads)),
        group,
        sd,
    )


def _kpi(kpi: Kpi, fit: Fit, usual: Kpi) -> Kpi:
    learned = {c.cause: written_contribution(c) for c in fit.contributions if c.kpi == kpi.id}
    told = {(driver.cause, driver.contribution) for driver in usual.drivers}
    drivers = []
    for driver in kpi.drivers:
        new = learned.get(driver.cause)
        if new is not None and (driver.cause, driver.contribution) in told:
            contribution = parse_quantity(new["contribution"])
            driver = replace(driver, contribution=contribution, between=new.get("between", driver.between))
        drivers.append(driver)
    return replace(kpi, drivers=tuple(drivers))


def _goals(model: Scenario, fit: Fit, cells: Cells, scale: Floats) -> dict[str, Goal]:
    """Return the goals on KPIs with a history: as far above the baseline of then, in proportion, as they are now."""
    found = {}
    for key, goal in model.goals.items():
        kpi = model.kpi_position[goal.kpi]
        inside = (cells.kpi == kpi) & (cells.unit >= goal.unit) & (cells.unit < model.units.end[goal.unit])
        weight = weights_of(goal.kpi, tuple(model.units.ids[u] for u in cells.unit[inside].tolist()), model)
        usual, then = (c.baseline[inside] * (1.0 if weight is None else weight) for c in (model.cells, cells))
        size = usual.sum()
        if goal.kpi in fit.history.series and size and scale[inside].size:
            moved = float(then.sum() / size)
            found[key] = replace(goal, target=goal.target * moved, p_min=None)
    return found


def _uncertainty(old: Uncertainty, fit: Fit, usual: Uncertainty) -> Uncertainty:
    share = usable_execution(fit.executions)
    if share is None or old.execution != usual.execution:
        return old
    learned = Quantity("normal", share)
    new = tuple(
        learned if path == EXECUTION else quantity for path, quantity in zip(old.paths, old.execution, strict=True)
    )
    return replace(old, execution=new)


def _units(units: Units, share: float) -> Units:
    return replace(
        units, target_incentive=units.target_incentive * share,
        capacity={resource: amount * share for resource, amount in units.capacity.items()},
    )  # fmt: skip
