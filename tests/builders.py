"""Scenarios in memory: small ones written by hand, random ones by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from kpiopt.scenario.links import Driver, Effect, Initiative
from kpiopt.scenario.quantity import Quantity
from kpiopt.scenario.scenario import (
    Budget,
    Cells,
    Factor,
    Floats,
    Goal,
    Kpi,
    Scenario,
    Uncertainty,
    Units,
)

NAN = float("nan")


@dataclass(frozen=True)
class Cell:
    """One row of the cells table; `high` None means that the cell has no decision."""

    unit: str
    kpi: str
    baseline: float
    high: float | None = None
    low: float = 0.0
    lock: float = NAN
    reference: float = NAN
    pay_rate: float = NAN
    weight: float = NAN
    size: float = NAN
    effort: Mapping[str, float] = field(default_factory=dict)
    execution: int = 0


@dataclass(frozen=True)
class Cause:
    """A driver of a KPI; `at` is "organization", a level, or a unit id."""

    cause: str
    contribution: float
    at: str = "organization"
    lag: int = 0


def build_units(
    parents: Mapping[str, str | None],
    *,
    sizes: Mapping[str, float] | None = None,
    levels: Mapping[str, str] | None = None,
    incentives: Mapping[str, float] | None = None,
    capacity: Mapping[str, Mapping[str, float]] | None = None,
) -> Units:
    """Order units depth first, siblings by id; `capacity` is resource -> unit -> limit."""
    below: dict[str | None, list[str]] = {}
    for unit, parent in parents.items():
        below.setdefault(parent, []).append(unit)
    ids: list[str] = []

    def visit(unit: str) -> None:
        ids.append(unit)
        for child in sorted(below.get(unit, [])):
            visit(child)

    visit(below[None][0])
    position = {unit: i for i, unit in enumerate(ids)}
    parent = np.array([-1 if parents[u] is None else position[str(parents[u])] for u in ids], dtype=np.int64)
    end = np.arange(1, len(ids) + 1)
    for i in range(len(ids) - 1, 0, -1):
        end[parent[i]] = max(end[parent[i]], end[i])

    def column(values: Mapping[str, float] | None) -> Floats:
        return np.array([(values or {}).get(u, NAN) for u in ids])

    return Units(
        ids=tuple(ids),
        names=tuple(ids),
        parent=parent,
        end=end,
        levels=tuple((levels or {}).get(u, "") for u in ids),
        roles=("",) * len(ids),
        size=column(sizes),
        target_incentive=column(incentives),
        pay_plans=("",) * len(ids),
        capacity={resource: column(limits) for resource, limits in (capacity or {}).items()},
    )


def build_kpi(
    name: str,
    *,
    roll_up: str = "sum",
    sign: int = 1,
    step: float | None = None,
    baseline: float | None = None,
    drivers: Sequence[Driver] = (),
) -> Kpi:
    start = None if baseline is None else Quantity.number(baseline)
    return Kpi(name, name, None, "count", sign, roll_up, step, "flow", start, tuple(drivers))


def build_cells(rows: Sequence[Cell], units: Units, kpis: Sequence[str]) -> Cells:
    """Sort rows by unit and KPI, as the loader does."""
    unit = np.array([units.position[r.unit] for r in rows], dtype=np.int64)
    kpi = np.array([kpis.index(r.kpi) for r in rows], dtype=np.int64)
    order = np.lexsort((kpi, unit))
    rows = [rows[i] for i in order]
    resources = sorted({resource for r in rows for resource in r.effort})

    def column(values: Sequence[float]) -> Floats:
        return np.array(values, dtype=np.float64)

    return Cells(
        unit=unit[order],
        kpi=kpi[order],
        baseline=column([r.baseline for r in rows]),
        baseline_quantity={},
        min_stretch=column([0.0 if r.high is None else r.low for r in rows]),
        max_stretch=column([r.high or 0.0 for r in rows]),
        has_decision=np.array([r.high is not None for r in rows], dtype=bool),
        lock=column([r.lock for r in rows]),
        reference=column([r.reference for r in rows]),
        pay_rate=column([r.pay_rate for r in rows]),
        weight=column([r.weight for r in rows]),
        size=column([r.size for r in rows]),
        effort={resource: column([r.effort.get(resource, 0.0) for r in rows]) for resource in resources},
        execution=np.array([r.execution for r in rows], dtype=np.int64),
    )


def build_scenario(
    units: Units,
    kpis: Sequence[Kpi],
    rows: Sequence[Cell],
    *,
    causes: Mapping[str, Sequence[Cause]] | None = None,
    factors: Mapping[str, float] | None = None,
    initiatives: Sequence[Initiative] = (),
    goals: Sequence[Goal] = (),
    budgets: Sequence[Budget] = (),
    execution: Sequence[float] = (1.0,),
    **settings: Any,
) -> Scenario:
    """Assemble a scenario; `causes` is driven KPI -> its drivers."""
    ids = [k.id for k in kpis]
    complete = [
        replace(k, drivers=tuple(_driver(k.id, c, units, factors or {}) for c in (causes or {}).get(k.id, ())))
        for k in kpis
    ]
    return Scenario(
        name=settings.pop("name", "test"),
        currency="USD",
        perspectives={},
        objectives={},
        kpis={k.id: k for k in complete},
        factors={f: Factor(f, f, Quantity.number(v)) for f, v in (factors or {}).items()},
        initiatives={i.id: i for i in initiatives},
        goals={g.id: g for g in goals},
        budgets={b.id: b for b in budgets},
        pay_plans={},
        units=units,
        cells=build_cells(rows, units, ids),
        uncertainty=Uncertainty(
            tuple(Quantity.number(e) for e in execution), tuple(f"execution.{i}" for i in range(len(execution)))
        ),
        **settings,
    )


def _driver(driven: str, cause: Cause, units: Units, factors: Mapping[str, float]) -> Driver:
    if cause.at == "organization":
        where = [0]
    elif cause.at in units.position:
        where = [units.position[cause.at]]
    else:
        where = [i for i, level in enumerate(units.levels) if level == cause.at]
    return Driver(
        cause=cause.cause,
        is_factor=cause.cause in factors,
        contribution=Quantity.number(cause.contribution),
        lag=cause.lag,
        at=cause.at,
        units=np.array(where, dtype=np.int64),
        path=f"kpi.{driven}.drivers.{cause.cause}",
    )


def build_initiative(
    name: str,
    units: Sequence[int],
    *,
    maximum: float = 10.0,
    whole: bool = False,
    uses: Mapping[str, float] | None = None,
    effects: Mapping[str, float] | None = None,
) -> Initiative:
    """An initiative whose effects are KPI -> contribution."""
    return Initiative(
        name,
        name,
        np.array(units, dtype=np.int64),
        maximum,
        whole,
        dict(uses or {}),
        tuple(
            Effect(kpi, Quantity.number(c), 0, f"initiative.{name}.effects.{kpi}") for kpi, c in (effects or {}).items()
        ),
    )


def random_tree(rng: np.random.Generator, n_units: int) -> dict[str, str | None]:
    """A random organization of 1 to 5 levels: each unit's parent is one of the units before it."""
    depth, parents = {"co": 0}, {"co": None}
    for i in range(1, n_units):
        open_units = [u for u in parents if depth[u] < 4]
        parent = str(rng.choice(open_units[-6:] if rng.uniform() < 0.5 else open_units))
        unit = f"u{int(rng.integers(10**6)):06d}-{i}"
        parents[unit], depth[unit] = parent, depth[parent] + 1
    return parents


def random_scenario(seed: int, *, n_units: int = 12, steps: Sequence[float | None] = (None,)) -> Scenario:
    """A random scenario with all roll-ups and directions, causes, factors, initiatives and execution below 1.

    Every third cell or so has no decision, some are locked, some sit on inner units. There are no limits and goals.
    """
    rng = np.random.default_rng(seed)
    parents = random_tree(rng, n_units)
    levels = {u: f"level-{int(rng.integers(3))}" for u in parents}
    sizes = {u: round(float(rng.uniform(1.0, 9.0)), 1) for u in parents if rng.uniform() < 0.3}
    units = build_units(parents, levels=levels, sizes=sizes)
    kpis = [
        build_kpi(
            f"k{i}",
            roll_up=str(rng.choice(["sum", "sum", "mean", "none"])),
            sign=int(rng.choice([1, 1, -1])),
            step=steps[int(rng.integers(len(steps)))],
        )
        for i in range(int(rng.integers(1, 5)))
    ]
    rows = [
        _random_cell(rng, unit, kpi.id)
        for unit in parents
        for kpi in kpis
        if rng.uniform() < (0.75 if unit not in parents.values() else 0.2)
    ] or [_random_cell(rng, "co", "k0")]
    places = ["organization", *sorted(set(levels.values())), *parents]
    causes = {
        kpi.id: [
            Cause(cause.id, round(float(rng.normal()), 3), at=str(rng.choice(places)))
            for cause in kpis[:i]
            if rng.uniform() < 0.5
        ]
        + ([Cause("market", round(float(rng.normal()), 3))] if rng.uniform() < 0.3 else [])
        for i, kpi in enumerate(kpis)
    }
    ids = [k.id for k in kpis if any(r.kpi == k.id for r in rows) and k.roll_up != "none"]
    initiative = build_initiative(
        "coaching",
        sorted(rng.choice(len(units), min(3, len(units)), replace=False).tolist()),
        uses={"cash": 10.0},
        effects={k: round(float(rng.uniform(0.1, 3.0)), 2) for k in ids[:2]},
    )
    return build_scenario(
        units,
        kpis,
        rows,
        causes=causes,
        factors={"market": round(float(rng.normal()), 2)},
        initiatives=[initiative],
        execution=(0.8, 1.0, 0.55),
    )


def _random_cell(rng: np.random.Generator, unit: str, kpi: str) -> Cell:
    baseline = round(float(rng.uniform(20.0, 400.0)), int(rng.integers(0, 4)))
    high = None if rng.uniform() < 0.25 else round(float(rng.uniform(0.2, 0.5)) * baseline, 2)
    return Cell(
        unit,
        kpi,
        baseline,
        high,
        low=0.0 if high is None or rng.uniform() < 0.8 else round(high * 0.05, 3),
        pay_rate=round(float(rng.uniform(0.5, 3.0)), 2) if rng.uniform() < 0.5 else NAN,
        size=round(float(rng.uniform(1.0, 9.0)), 1) if rng.uniform() < 0.7 else NAN,
        effort={"hours": round(float(rng.uniform(0.2, 2.0)), 2)},
        execution=int(rng.integers(3)),
    )


def random_decisions(scenario: Scenario, seed: int, n_levels: int) -> tuple[Floats, Floats]:
    """Stretch inside its box, often exactly at an end of it, and initiative levels."""
    rng = np.random.default_rng(seed)
    cells = scenario.cells
    share = rng.uniform(size=len(cells))
    share = np.where(rng.uniform(size=len(cells)) < 0.3, np.round(share), share)
    stretch = cells.min_stretch + share * (cells.max_stretch - cells.min_stretch)
    stretch = np.where(share == 1.0, cells.max_stretch, stretch)
    return np.where(np.isnan(cells.lock), stretch, cells.lock), rng.uniform(0.0, 5.0, n_levels)
