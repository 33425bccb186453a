"""The format, second part: goals, limits, bulk edits, the order of decisions, uncertainty and settings."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from kpiopt.scenario.format.values import (
    CellSelection,
    NonNegative,
    Number,
    OrShort,
    Positive,
    QuantityValue,
    Section,
    Text,
)

Step = Literal["goals", "fairness", "cost", "reference", "maximize", "met", "odds", "cvar"]
Peer = Literal["level", "role", "parent", "pay_plan"]
Share = Annotated[float, Field(ge=0, lt=1)]


class GoalEntry(Section):
    """What the organization wants of a KPI. Goals are about plan values (what is expected)."""

    kpi: Text | None = Field(default=None, description="KPI id; the goal's own id where absent")
    at: Text | None = Field(default=None, description="unit id; the root where absent")
    target: Number = Field(description="value to reach, in the KPI's unit")
    weight: Annotated[float, Field(gt=0)] = Field(
        default=1.0, description="importance among goals of the same priority"
    )
    priority: Annotated[int, Field(ge=0)] = Field(default=1, description="lower is served first, strictly")
    p_min: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        default=None,
        description="odds that the plan promises: the goal counts as met when it is hit with at least these odds, and "
        "not when it is met on average",
    )
    hard: bool = Field(default=False, description="whether there is no plan at all unless the goal is met")
    period: Text | None = Field(default=None, description="name of the period it is about; the horizon where absent")
    description: str = Field(default="", description="free text for the report")


class CapacityEntry(Section):
    """A resource that units have in limited supply; the amounts stand in the units table, capacity.<resource>."""

    scale: NonNegative = Field(default=1.0, description="factor on every unit's capacity")
    per_head: Positive | None = Field(
        default=None,
        description="what one head has over the horizon; units with a head_count and no amount of their own have head "
        "count x availability x ramp x this",
    )
    attrition: Share | None = Field(
        default=None, description="share of the heads that leaves from one period to the next; none where absent"
    )
    season: list[NonNegative] | None = Field(
        default=None, description="share of the horizon's capacity in each period, together 1; equal where absent"
    )


class BudgetEntry(Section):
    """A limit on what a subtree spends; its id is the resource unless `resource` says otherwise."""

    limit: NonNegative = Field(description="largest sum over the scope")
    resource: Text | None = Field(
        default=None,
        description='"pay" (variable compensation) or a resource that initiatives use; the id where absent',
    )
    scope: Text | None = Field(default=None, description="unit id whose subtree it limits; the root where absent")
    money: bool = Field(default=True, description="whether the resource is money and so counts in the step `cost`")
    every: Literal["period", "horizon"] = Field(
        default="horizon", description="whether the limit holds in each period or over all of them"
    )


class PayPlanEntry(Section):
    """How attainment turns into pay: piecewise linear, flat outside its points."""

    payout: Annotated[list[Annotated[list[Number], Field(min_length=2, max_length=2)]], Field(min_length=1)] = Field(
        description="points [attainment, share of target incentive], attainment ascending"
    )
    cap: NonNegative | None = Field(default=None, description="largest share of target incentive that is paid")
    every: Literal["period", "horizon"] = Field(
        default="horizon",
        description="whether pay goes by what is attained in each period, with equal parts of the incentive, or in all",
    )


class UnitEntry(Section):
    """One unit of the organization, or a change to a row of the units table."""

    name: Text | None = Field(default=None, description="name to show; the id where absent")
    parent: str | None = Field(default=None, description="id of the unit above; absent for the root only")
    level: str | None = Field(default=None, description='level, such as "team"')
    role: str | None = Field(default=None, description="role, which tells peers")
    size: NonNegative | None = Field(default=None, description="weight in `mean` roll-ups, such as head count")
    target_incentive: NonNegative | None = Field(default=None, description="variable pay at 100 % attainment")
    pay_plan: str | None = Field(default=None, description="id of the pay plan")
    head_count: NonNegative | None = Field(default=None, description="number of people, for capacities with per_head")
    availability: Annotated[float, Field(ge=0, le=1)] | None = Field(
        default=None, description="share of their time that they have for this work; all of it where absent"
    )
    start: str | None = Field(
        default=None, description="period from which on they are there; from the first one where absent"
    )
    capacity: dict[str, NonNegative] = Field(default={}, description="what the unit's subtree has, by resource")


class CellEntry(Section):
    """One (unit, KPI) pair, keyed "unit/kpi", or a change to a row of the cells table.

    With periods, "unit/kpi/period" is about one of them.
    """

    baseline: QuantityValue | None = Field(default=None, description="value expected without new effort")
    min_stretch: NonNegative | None = Field(
        default=None,
        description="smallest stretch; where absent 0, of a total no limit (locks below 0 may take it below 0)",
    )
    max_stretch: NonNegative | None = Field(
        default=None, description="largest stretch; the cell has a decision where it or a guardrail gives one"
    )
    pay_rate: NonNegative | None = Field(default=None, description="pay per unit of stretch (commission)")
    weight: NonNegative | None = Field(default=None, description="share in the unit's score and variable pay")
    size: NonNegative | None = Field(
        default=None, description="weight in a `mean` roll-up; the unit's size where absent"
    )
    lock: Number | None = Field(
        default=None,
        description="stretch fixed by a person, whatever the range; below 0 it is certain and costs nothing",
    )
    lock_target: Number | None = Field(default=None, description="target fixed by a person, instead of a stretch")
    lock_reason: str | None = Field(default=None, description="why it is fixed")
    lock_owner: str | None = Field(default=None, description="who fixed it")
    reference: Number | None = Field(default=None, description="value that the last step stays close to")
    commit: Number | None = Field(
        default=None, description="what the unit offers of its own accord: a value like a target; of a total, its value"
    )
    own: bool = Field(
        default=False,
        description="whether it is what a unit does itself beside the units below it; without it, a cell of a unit "
        "above cells of the KPI is about its total",
    )
    execution: QuantityValue | None = Field(default=None, description="share of planned stretch that is realised")
    noise_sd: NonNegative | None = Field(default=None, description="sd of the baseline's noise, in place of [noise]'s")
    effort: dict[str, NonNegative] = Field(default={}, description="effort per unit of stretch, by resource")


class GuardrailEntry(Section):
    """Allowed range of stretch for many cells, as a share of |baseline|.

    It fills `min_stretch` and `max_stretch` where a cell has none of its own; of several that match a cell the last
    one counts. Rows about totals get none: the range of a total is what is written in its row.
    """

    where: CellSelection = Field(default=CellSelection(), description="which cells; all where absent")
    growth: Annotated[list[NonNegative], Field(min_length=2, max_length=2)] | None = Field(
        default=None, description="[smallest, largest] stretch as a share of |baseline|"
    )
    ramp: NonNegative | None = Field(
        default=None,
        description="largest change, from one period to the next, of the stretch relative to the period's share of the "
        "baseline",
    )
    least: NonNegative | None = Field(
        default=None, description="least relative stretch, as a share of the mean of the peers"
    )
    most: NonNegative | None = Field(
        default=None, description="largest relative stretch, as a share of the mean of the peers, such as 1.2"
    )
    per_period: bool = Field(
        default=False, description="whether the stretch of a period is at most its share of the largest stretch"
    )


class FieldChanges(Section):
    """One number for each field of the cells that is to change."""

    baseline: Number | None = Field(default=None, description="see cell")
    min_stretch: Number | None = Field(default=None, description="see cell")
    max_stretch: Number | None = Field(default=None, description="see cell")
    pay_rate: Number | None = Field(default=None, description="see cell")
    weight: Number | None = Field(default=None, description="see cell")
    size: Number | None = Field(default=None, description="see cell")
    reference: Number | None = Field(default=None, description="see cell")
    commit: Number | None = Field(default=None, description="see cell")
    effort: dict[str, Number] = Field(default={}, description="by resource")


class AdjustEntry(Section):
    """A bulk edit of cells. Edits are applied in order of appearance, before guardrails; scale, then set, then add.

    Rows about totals are scaled where they state the number; they are set and added to only by an edit whose `where`
    selects nothing but totals (but for the weight, which is each unit's own).
    """

    where: CellSelection = Field(default=CellSelection(), description="which cells; all where absent")
    scale: FieldChanges = Field(default=FieldChanges(), description="factors on given values")
    set: FieldChanges = Field(default=FieldChanges(), description="new values")
    add: FieldChanges = Field(default=FieldChanges(), description="amounts added to given values")


class DecideSection(Section):
    """The strict order in which the plan is decided, and its settings."""

    order: list[Step] = Field(
        default=["goals", "fairness", "cost", "reference"],
        description="steps, first to last; `reference` is always last and makes the plan unique; `odds` maximises the "
        "odds of all goals together, `cvar` minimises the mean of the worst shortfalls, `met` maximises the weighted "
        "number of goals that are met",
    )
    slack: dict[Literal["goals", "fairness", "cost", "maximize", "cvar"], NonNegative] = Field(
        default={}, description="by step: share of its value that may be given up for the next ones"
    )
    peers: list[Peer] = Field(default=["level", "role"], description="attributes of a unit that tell who is compared")
    fairness: Literal["stretch", "chance"] = Field(
        default="stretch",
        description="what the step `fairness` asks of peers: the same stretch, relative to baseline, or the same odds "
        "of attaining it, by their own noise and execution",
    )
    effort_price: dict[str, NonNegative] = Field(
        default={}, description="what a unit of a resource costs in the step `cost`"
    )
    cvar: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.9, description="share of the draws that the step `cvar` leaves out; the mean is over the worst rest"
    )
    robust: Annotated[list[Text], Field(min_length=1)] | None = Field(
        default=None,
        description="variants of this file that the one plan is judged in, worst regret first; what a variant could "
        "have for itself and does not have with this plan is its regret",
    )


Common = Annotated[
    dict[str, Share],
    BeforeValidator(lambda value: value if isinstance(value, dict) else {"organization": value}),
    OrShort({"type": "number"}),
]


class UncertaintySection(Section):
    """How surely planned stretch is realised."""

    execution: QuantityValue | None = Field(
        default=None, description="share of planned stretch that is realised; certainly 1 where absent"
    )
    common: Common = Field(
        default={},
        description="share of its variance that all cells have in common: a number, or one for each level "
        '(and "organization"); together below 1',
    )


class ExecutionEntry(Section):
    """Execution of some cells; of several that match a cell the last one counts."""

    where: CellSelection = Field(default=CellSelection(), description="which cells; all where absent")
    value: QuantityValue = Field(description="share of planned stretch that is realised")


class NoiseEntry(Section):
    """How baselines of some cells scatter; of several that match a cell the last one counts.

    In a draw the baseline b of a cell is b exp(s z - s^2 / 2) with s = sd (|b| / mean |b| of the KPI)^size.
    """

    where: CellSelection = Field(default=CellSelection(), description="which cells; all where absent")
    sd: NonNegative = Field(
        description="relative standard deviation of a cell of mean size, or, where additive, in the KPI's unit"
    )
    size: Number = Field(default=0.0, description="exponent of size, such as -0.5: small units scatter more")
    common: Common = Field(
        default={},
        description="share of the variance of z that all cells have in common: a number, or one for each level "
        '(and "organization"); together below 1',
    )
    additive: bool = Field(default=False, description="b + s z instead, for KPIs that may be 0 or negative")


class SimulationSection(Section):
    """How odds are estimated."""

    draws: Annotated[int, Field(ge=2, le=1_000_000_000)] = Field(default=16384, description="number of draws")
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(default=0, description="the same seed gives the same draws")
    method: Literal["sobol", "random"] = Field(
        default="sobol", description="randomised Sobol points, or plain random draws"
    )
    precision: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        default=None, description="stop when the interval of every goal's odds is at most this far to either side"
    )


class OddsSection(Section):
    """What the plan promises of several goals at once, and the draws it is planned on.

    The draws of planning are others than those of `[simulation]`, which judge the plan.
    """

    p_min: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        default=None, description="odds that the plan promises of hitting all goals together"
    )
    goals: Annotated[list[Text], Field(min_length=1)] | None = Field(
        default=None, description="goals that `p_min` is about; all where absent"
    )
    priority: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="after the goals of which priority it is served; after the last one where absent"
    )
    draws: Annotated[int, Field(ge=32, le=1_000_000)] = Field(
        default=16384, description="number of draws that the plan is made on"
    )
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(default=0, description="seed of these draws")


class SweepAxis(Section):
    """Values that a sweep gives to one key of the file."""

    from_: Number | None = Field(default=None, alias="from", description="first value")
    to: Number | None = Field(default=None, description="last value")
    steps: Annotated[int, Field(ge=1, le=100_000)] | None = Field(
        default=None, description="number of values, ends included"
    )
    values: Annotated[list[Any], Field(min_length=1)] | None = Field(
        default=None, description="or the values themselves"
    )


def _as_axis(value: Any) -> Any:
    return {"values": value} if isinstance(value, list) else value


Axis = Annotated[
    SweepAxis,
    BeforeValidator(_as_axis),
    OrShort({"type": "array", "minItems": 1}),
]


class RulesSection(Section):
    """An engineer's own constraints."""

    file: Text = Field(description="Python file with Pyomo constraints; run only with --allow-code")


class TableEntry(Section):
    """Where a table is and how it is written."""

    path: Text = Field(description='"file.csv", "file.parquet" or "book.xlsx#sheet", relative to this document')
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] | None = Field(
        default=None, description="field separator of a CSV file"
    )
    decimal: Literal[".", ","] | None = Field(default=None, description="decimal mark of a CSV file")
    thousands: Literal[".", ",", " ", "'"] | None = Field(
        default=None, description="what separates thousands in a CSV file, where its numbers are written so"
    )


def _as_table(value: Any) -> Any:
    return {"path": value} if isinstance(value, str) else value


TableSource = Annotated[
    TableEntry,
    BeforeValidator(_as_table),
    OrShort({"type": "string"}),
]


def _same(keys: str) -> str:
    plural = "s" if "," in keys else ""
    return f"column{plural} {keys} (required), others like the keys of the section, such as name or uses.cash"


class TablesSection(Section):
    """Files with many rows; a table here and `[unit.x]` or `[cell."x/kpi"]` in the document may be combined."""

    settings: TableSource | None = Field(
        default=None, description="columns key, value: any value of the document by its path"
    )
    perspectives: TableSource | None = Field(default=None, description=_same("perspective"))
    objectives: TableSource | None = Field(default=None, description=_same("objective"))
    kpis: TableSource | None = Field(default=None, description=_same("kpi"))
    drivers: TableSource | None = Field(default=None, description=_same("kpi, cause"))
    factors: TableSource | None = Field(default=None, description=_same("factor"))
    initiatives: TableSource | None = Field(default=None, description=_same("initiative"))
    effects: TableSource | None = Field(default=None, description=_same("initiative, kpi"))
    goals: TableSource | None = Field(default=None, description=_same("goal"))
    budgets: TableSource | None = Field(default=None, description=_same("budget"))
    pay_plans: TableSource | None = Field(default=None, description=_same("pay_plan") + "; one row per point")
    guardrails: TableSource | None = Field(default=None, description=_same("guardrail"))
    correlations: TableSource | None = Field(default=None, description="columns first, second, correlation")
    units: TableSource | None = Field(
        default=None,
        description="columns unit, parent (required), name, level, role, size, target_incentive, pay_plan, "
        "head_count, availability, start, capacity.<resource>",
    )
    cells: TableSource | None = Field(
        default=None,
        description="columns unit, kpi, baseline (required), period, min_stretch, max_stretch, pay_rate, weight, size, "
        "lock, lock_target, lock_reason, lock_owner, reference, commit, own, execution, noise_sd, effort.<resource>",
    )
