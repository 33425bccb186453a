"""The scenario: everything the planner wrote, checked, resolved and frozen.

Small things (KPIs, goals, budgets …) are frozen dataclasses keyed by id in order of appearance. Units and cells are
columns of arrays, because there can be a million of them. Units stand in depth-first order with siblings sorted by
id, so that a subtree is a contiguous range; cells are sorted by (unit, KPI). The order of rows in a file therefore
cannot matter to anything behind this point.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpiopt.errors import Location, Problem
from kpiopt.reading.named import Named
from kpiopt.scenario.effort import EffortCurves
from kpiopt.scenario.links import Driver, Factor, Initiative
from kpiopt.scenario.money import Budget as Budget
from kpiopt.scenario.money import PayPlan as PayPlan
from kpiopt.scenario.noise import Noise
from kpiopt.scenario.noise import Uncertainty as Uncertainty
from kpiopt.scenario.over_assignment import OverAssignment
from kpiopt.scenario.periods import Periods
from kpiopt.scenario.quantity import Quantity
from kpiopt.scenario.settings import ChosenKpis as ChosenKpis
from kpiopt.scenario.settings import Decide as Decide
from kpiopt.scenario.settings import Fairness as Fairness
from kpiopt.scenario.settings import OddsSettings as OddsSettings
from kpiopt.scenario.settings import Recourse as Recourse
from kpiopt.scenario.settings import SimulationSettings as SimulationSettings
from kpiopt.scenario.totals import Totals, no_totals

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

ORGANIZATION = "organization"
NAMED = {"kpis": "KPI", "factors": "factor", "initiatives": "initiative", "goals": "goal", "budgets": "budget"}
"""What is looked up by name -> what it is."""
OWN = ", own"
"""What a unit does itself beside the units below it is a unit of its own, named by the unit's id and this."""


@dataclass(frozen=True, slots=True)
class Perspective:
    """A band of the strategy map; order of appearance is order on the map, top first."""

    id: str
    name: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Objective:
    """An intended result that KPIs measure; `critical` marks a critical success factor."""

    id: str
    name: str
    perspective: str | None = None
    description: str = ""
    critical: bool = False


@dataclass(frozen=True, slots=True)
class Kpi:
    """A quantified indicator.

    Attributes
    ----------
    sign : int
        +1 where higher is better (`direction = "up"`), -1 where lower is better.
    roll_up : str
        "sum", "mean" (weighted by size) or "none".
    step : float or None
        Rounding step of targets in the KPI's unit; None: targets are not rounded.
    kind : str
        "flow" adds up over periods, "rate" averages, "stock" is a level of which the last counts.
    baseline : Quantity or None
        Baseline at the root, for a KPI without cells.
    owner : str
        Who answers for it.
    low, high, scale
        Bounds of its values (infinite where there are none); what stretch is relative to: a rule or an amount.
    """

    id: str
    name: str
    objective: str | None
    unit: str
    sign: int
    roll_up: str
    step: float | None
    kind: str
    baseline: Quantity | None
    drivers: tuple[Driver, ...]
    description: str = ""
    owner: str = ""
    low: float = -np.inf
    high: float = np.inf
    scale: str | float = "baseline"


@dataclass(frozen=True, slots=True)
class Goal:
    """What the organization wants of a KPI; about plan values.

    Attributes
    ----------
    unit : int
        Position in `Units`; the root by default.
    priority : int
        Lower is served first, strictly.
    p_min : float or None
        Odds that the plan promises; the goal is then about these and not about the plan value.
    hard : bool
        A hard goal has no shortfall: the plan meets it or there is none.
    period : int
        Position in `Periods`; -1 for the horizon.
    """

    id: str
    kpi: str
    unit: int
    target: float
    weight: float = 1.0
    priority: int = 1
    p_min: float | None = None
    hard: bool = False
    description: str = ""
    period: int = -1


@dataclass(frozen=True)
class Units:
    """The organization, one entry per unit, depth first, siblings by id; entry 0 is the root.

    Attributes
    ----------
    ids, names, levels, roles, pay_plans : tuple of str
        Empty string where not given (`names` falls back to the id).
    parent : (n,) int
        Position of the parent, -1 for the root.
    end : (n,) int
        The subtree of unit i is the range i … end[i] - 1.
    size, target_incentive : (n,) float
        NaN where not given.
    capacity : mapping of str to (n,) float
        Per resource; NaN where a unit has no such capacity. Already multiplied by `[capacity.<resource>] scale`.
    heads : mapping of str to (n,) float
        Per resource whose capacity follows from a head count: that head count; NaN elsewhere.
    place : (n,) int
        Where each unit stands in the planner's file, from 0; empty where it is from none. Only what is shown is
        ordered by it.
    """

    ids: tuple[str, ...]
    names: tuple[str, ...]
    parent: Integers
    end: Integers
    levels: tuple[str, ...]
    roles: tuple[str, ...]
    size: Floats
    target_incentive: Floats
    pay_plans: tuple[str, ...]
    capacity: Mapping[str, Floats]
    heads: Mapping[str, Floats] = field(default_factory=dict)
    place: Integers = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.ids)

    def order_in_file(self, units: Integers) -> Integers:
        """Return the order in which units stand in the planner's file, (n,) int: positions in `units`."""
        return np.argsort(self.place[units] if len(self.place) else units, kind="stable")

    @cached_property
    def position(self) -> dict[str, int]:
        """Unit id -> position."""
        return Named("unit", ((unit, i) for i, unit in enumerate(self.ids)))

    @cached_property
    def is_own(self) -> NDArray[np.bool_]:
        """Whether a unit stands for what the unit above it does itself, (n,) bool."""
        above = [self.ids[p] if p >= 0 else "" for p in self.parent.tolist()]
        return np.array([unit == f"{parent}{OWN}" for unit, parent in zip(self.ids, above, strict=True)], dtype=bool)

    @cached_property
    def home(self) -> Integers:
        """The unit that a planner means by each unit: the one above where it is its own part, (n,) int."""
        return np.where(self.is_own, self.parent, np.arange(len(self)))

    @cached_property
    def depth(self) -> Integers:
        """Distance from the root, (n,) int."""
        depth = np.zeros(len(self), dtype=np.int64)
        for i, parent in enumerate(self.parent.tolist()):
            if parent >= 0:
                depth[i] = depth[parent] + 1
        return depth


@dataclass(frozen=True, slots=True)
class Cells:
    """The (unit, KPI) pairs of the table, sorted by unit then KPI. All floats in the KPI's own unit.

    Attributes
    ----------
    unit, kpi : (n,) int
        Positions in `Units` and in `Scenario.kpis`.
    baseline : (n,) float
        Mean baseline.
    baseline_quantity : mapping of int to Quantity
        Cells whose baseline is a distribution.
    min_stretch, max_stretch : (n,) float
        Box of the stretch, guardrails and adjustments applied; 0 … 0 where the cell has no decision.
    has_decision : (n,) bool
        Whether the stretch of the cell is a decision.
    lock : (n,) float
        Stretch fixed by a person; NaN where free. Below 0 it is certain, costs no effort and earns no pay.
    reference : (n,) float
        Reference value of the last step; NaN where the proportional rule applies.
    pay_rate, weight, size : (n,) float
        NaN where not given.
    effort : mapping of str to (n,) float
        Per resource: effort per unit of stretch, 0 where not given.
    execution : (n,) int
        Index into `Uncertainty.execution`.
    lock_reason, lock_owner : mapping of int to str
        Why a lock stands and who answers for it, where that is given.
    growth : (2, n) float or None
        Shares of |baseline| that gave min_stretch and max_stretch where a guardrail did; NaN elsewhere.
    lock_target : (n,) float or None
        Target fixed by a person, which what is asked of the cell comes to exactly; NaN where free.
    lock_factor : (n,) float or None
        What over-assignment multiplies `lock_target` by: the two make the target that was written.
    commit : (n,) float or None
        Value that the unit offers, like a target; NaN where it offers none.
    near_peers : (2, n) float or None
        Least and largest relative stretch as shares of the mean of the peers; NaN where no guardrail gives one.
    """

    unit: Integers
    kpi: Integers
    baseline: Floats
    baseline_quantity: Mapping[int, Quantity]
    min_stretch: Floats
    max_stretch: Floats
    has_decision: NDArray[np.bool_]
    lock: Floats
    reference: Floats
    pay_rate: Floats
    weight: Floats
    size: Floats
    effort: Mapping[str, Floats]
    execution: Integers
    lock_reason: Mapping[int, str] = field(default_factory=dict)
    growth: Floats | None = None
    lock_owner: Mapping[int, str] = field(default_factory=dict)
    lock_target: Floats | None = None
    lock_factor: Floats | None = None
    commit: Floats | None = None
    near_peers: Floats | None = None

    def __len__(self) -> int:
        return len(self.unit)

    @property
    def fixed_target(self) -> Floats:
        """Target fixed by a person, NaN where free, (n,) float."""
        return np.full(len(self), np.nan) if self.lock_target is None else self.lock_target

    @property
    def written_target(self) -> Floats:
        """Target fixed by a person as it was written, cushion included, NaN where free, (n,) float."""
        return self.fixed_target if self.lock_factor is None else self.fixed_target * self.lock_factor

    @property
    def beside_peers(self) -> Floats:
        """Least and largest relative stretch beside the mean of the peers, NaN where free, (2, n) float."""
        return np.full((2, len(self)), np.nan) if self.near_peers is None else self.near_peers

    @property
    def offered(self) -> Floats:
        """Value that the unit offers, NaN where it offers none, (n,) float."""
        return np.full(len(self), np.nan) if self.commit is None else self.commit

    @property
    def is_locked(self) -> NDArray[np.bool_]:
        """Whether a person fixed the stretch or the target, (n,) bool."""
        return np.asarray(~(np.isnan(self.lock) & np.isnan(self.fixed_target)))


@dataclass(frozen=True)
class Scenario:
    """One question to kpiopt, complete and checked.

    Attributes
    ----------
    name, currency, source, variant, variants, rules
        What it is called and where it stands, its variant and those that there are, the path of its rules file.
    perspectives, objectives, kpis, factors, initiatives, goals, budgets, pay_plans : mapping
        By id, in order of appearance.
    units, cells, totals, noise, effort_curves
        By columns: the organization; the (unit, KPI) pairs, in each period; what is said of them.
    decide, fairness, over_assignment, uncertainty, simulation, odds, sweep, relax
        The settings of these sections.
    document : mapping
        The resolved document (plain TOML values after extends, variant and --set), without tables' rows.
    files : mapping of str to str
        Every file that was read -> SHA-256 of its bytes.
    correlation : mapping of (str, str) to float
        Correlation of normal scores by pairs of quantity names.
    correlation_at : mapping of (str, str) to Location
        Where they are written, for messages of what only the draws can find.
    warnings : tuple of Problem
        What `check` has to say although the scenario can be solved.
    reconcile : float
        Share of the way from the reference to what is offered that the last step goes.
    robust : tuple of (str, Scenario)
        The variants that the one plan is judged in, by name.
    recourse, chosen : Recourse or None, ChosenKpis or None
        What is decided later, and units whose KPIs the plan chooses; None where all is decided now, or written.
    periods, whole : Periods or None, Cells or None
        With several periods: they, and what is said about each (unit, KPI) pair over the horizon; `cells` are then one
        for each of these and each period, in that order.
    """

    name: str
    currency: str
    perspectives: Mapping[str, Perspective]
    objectives: Mapping[str, Objective]
    kpis: Mapping[str, Kpi]
    factors: Mapping[str, Factor]
    initiatives: Mapping[str, Initiative]
    goals: Mapping[str, Goal]
    budgets: Mapping[str, Budget]
    pay_plans: Mapping[str, PayPlan]
    units: Units
    cells: Cells
    totals: Totals = field(default_factory=no_totals)
    decide: Decide = field(default_factory=Decide)
    fairness: Fairness = field(default_factory=Fairness)
    over_assignment: OverAssignment = field(default_factory=OverAssignment)
    reconcile: float = 0.0
    uncertainty: Uncertainty = field(default_factory=lambda: Uncertainty((Quantity.number(1.0),)))
    noise: Noise | None = None
    correlation: Mapping[tuple[str, str], float] = field(default_factory=dict)
    correlation_at: Mapping[tuple[str, str], Location] = field(default_factory=dict)
    simulation: SimulationSettings = field(default_factory=SimulationSettings)
    odds: OddsSettings = field(default_factory=OddsSettings)
    sweep: Mapping[str, Any] = field(default_factory=dict)
    relax: Mapping[str, float] = field(default_factory=dict)
    rules: str | None = None
    variants: tuple[str, ...] = ()
    variant: str | None = None
    source: str = ""
    document: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[Problem, ...] = ()
    effort_curves: EffortCurves | None = None
    periods: Periods | None = None
    whole: Cells | None = None
    robust: tuple[tuple[str, Scenario], ...] = ()
    recourse: Recourse | None = None
    chosen: ChosenKpis | None = None

    @property
    def stated(self) -> Cells:
        """The (unit, KPI) pairs as they are written, over all periods."""
        return self.cells if self.whole is None else self.whole

    @cached_property
    def horizon(self) -> Cells:
        """The same, with their ranges as they hold beside locks of single periods."""
        whole, single = self.whole, None if self.periods is None else self.periods.single
        if whole is None or single is None:
            return self.stated
        low, high = single.held(*((c.min_stretch, c.max_stretch, c.lock, c.has_decision) for c in (whole, self.cells)))
        return replace(whole, min_stretch=low, max_stretch=high)

    @property
    def n_periods(self) -> int:
        """Number of periods; 1 where none are written."""
        return 1 if self.periods is None else len(self.periods)

    @cached_property
    def cell_base(self) -> Integers:
        """Row in `horizon` of each cell, (n_cells,) int."""
        return np.arange(len(self.cells)) // self.n_periods

    @cached_property
    def cell_period(self) -> Integers:
        """Period of each cell, (n_cells,) int; -1 where there are none."""
        each = np.arange(len(self.cells)) % self.n_periods
        return each if self.periods is not None else np.full_like(each, -1)

    def period_name(self, period: int) -> str | None:
        """Return the name of a period, None for the horizon."""
        return None if self.periods is None or period < 0 else self.periods.names[period]

    def __post_init__(self) -> None:
        for field_name, what in NAMED.items():
            given = getattr(self, field_name)
            if not isinstance(given, Named):
                object.__setattr__(self, field_name, Named(what, given))

    @cached_property
    def kpi_ids(self) -> tuple[str, ...]:
        """KPI ids by position."""
        return tuple(self.kpis)

    @cached_property
    def kpi_position(self) -> dict[str, int]:
        """KPI id -> position."""
        return Named("KPI", ((kpi, i) for i, kpi in enumerate(self.kpis)))

    @property
    def curved(self) -> tuple[str, ...]:
        """Paths of the drivers and effects that are curves."""
        found = [d.path for kpi in self.kpis.values() for d in kpi.drivers if d.curve]
        return (*found, *(e.path for i in self.initiatives.values() for e in i.effects if e.curve))

    @cached_property
    def kpi_sign(self) -> Floats:
        """Direction signs by KPI position, (n_kpis,) float of +1 and -1."""
        return np.array([k.sign for k in self.kpis.values()], dtype=np.float64)

    @cached_property
    def kpi_step(self) -> Floats:
        """Rounding steps by KPI position, (n_kpis,) float; 0 where targets are not rounded."""
        return np.array([k.step or 0.0 for k in self.kpis.values()], dtype=np.float64)

    def __repr__(self) -> str:
        return (
            f"Scenario({self.name!r}: {len(self.units):,} units, {len(self.cells):,} cells, {len(self.kpis)} KPIs, "
            f"{len(self.goals)} goals, {len(self.initiatives)} initiatives, {len(self.budgets)} budgets)"
        )

    def _repr_html_(self) -> str:
        """Return it as a notebook shows it: a later room draws it, and is looked up when a notebook asks."""
        return str(import_module("kpiopt.report.notebook").html_of(self))
