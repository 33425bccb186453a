"""The format of a scenario: one strict model, from which the JSON Schema and `docs/format.md` are made."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from kpiopt.scenario.format.asks import AssignEntry, Cushion, FairnessSection, ReconcileSection
from kpiopt.scenario.format.effort import EffortCurveEntry, RampEntry
from kpiopt.scenario.format.periods import PeriodsSection, RecourseSection
from kpiopt.scenario.format.plan import (
    AdjustEntry,
    Axis,
    BudgetEntry,
    CapacityEntry,
    CellEntry,
    DecideSection,
    ExecutionEntry,
    GoalEntry,
    GuardrailEntry,
    NoiseEntry,
    OddsSection,
    PayPlanEntry,
    RulesSection,
    SimulationSection,
    TablesSection,
    UncertaintySection,
    UnitEntry,
)
from kpiopt.scenario.format.strategy_map import (
    FactorEntry,
    InitiativeEntry,
    KpiEntry,
    ObjectiveEntry,
    PerspectiveEntry,
)
from kpiopt.scenario.format.values import KEPT_TITLES, Names, NonNegative, Section, Text

Correlation = Annotated[float, Field(ge=-1, le=1)]


class ScenarioDocument(Section):
    """A scenario: a model and a question are the same kind of document, keyed by id."""

    schema_version: Literal[1] = Field(alias="schema", description="version of the format, always 1")
    name: Text = Field(description="name of the scenario")
    description: str = Field(default="", description="free text for the report")
    currency: str = Field(default="", description='currency of pay and money budgets, such as "USD"')
    extends: Names | None = Field(
        default=None, description="document or documents that this one builds on and patches, relative to this file"
    )
    periods: PeriodsSection | None = Field(default=None, description="the periods of the plan; one where absent")
    recourse: RecourseSection | None = Field(
        default=None, description="what is decided later; everything is decided now where absent"
    )
    perspective: dict[str, PerspectiveEntry] = Field(default={}, description="bands of the strategy map, by id")
    objective: dict[str, ObjectiveEntry] = Field(default={}, description="intended results, by id")
    kpi: dict[str, KpiEntry] = Field(default={}, description="indicators, by id")
    factor: dict[str, FactorEntry] = Field(default={}, description="outside influences, by id")
    initiative: dict[str, InitiativeEntry] = Field(default={}, description="actions, by id")
    goal: dict[str, GoalEntry] = Field(default={}, description="goals, by id")
    capacity: dict[str, CapacityEntry] = Field(default={}, description="settings of capacities, by resource")
    budget: dict[str, BudgetEntry] = Field(default={}, description="limits on spending, by id")
    pay_plan: dict[str, PayPlanEntry] = Field(default={}, description="payout curves, by id")
    unit: dict[str, UnitEntry] = Field(default={}, description="units, or changes to rows of the units table, by id")
    cell: dict[str, CellEntry] = Field(
        default={}, description='cells, or changes to rows of the cells table, by "unit/kpi"'
    )
    guardrail: dict[str, GuardrailEntry] = Field(default={}, description="ranges of stretch for many cells, by name")
    effort_curve: dict[str, EffortCurveEntry] = Field(
        default={}, description="effort that grows faster than stretch, by name"
    )
    ramp: dict[str, RampEntry] = Field(default={}, description="how new people come up to speed, by name")
    assign: dict[str, AssignEntry] = Field(default={}, description="how many KPIs people answer for, by name")
    adjust: dict[str, AdjustEntry] = Field(default={}, description="bulk edits of cells, by name")
    decide: DecideSection = Field(default=DecideSection(), description="the order of decisions")
    fairness: FairnessSection | None = Field(default=None, description="how peers are compared")
    over_assignment: dict[str, Cushion] = Field(
        default={},
        description="by level: what is asked on top of targets as a cushion, such as team = 0.05; "
        '`kpi = ["sales"]` names the KPIs, all flows that add up where absent',
    )
    reconcile: ReconcileSection | None = Field(
        default=None, description="how far the plan goes towards what is offered"
    )
    uncertainty: UncertaintySection = Field(default=UncertaintySection(), description="execution risk")
    execution: dict[str, ExecutionEntry] = Field(default={}, description="execution of some cells, by name")
    noise: dict[str, NoiseEntry] = Field(default={}, description="noise of baselines, by name")
    correlation: dict[str, Correlation] = Field(
        default={},
        description='correlation of normal scores, keyed "a ~ b" by the paths of two quantities in this file',
    )
    simulation: SimulationSection = Field(default=SimulationSection(), description="how odds are estimated")
    odds: OddsSection = Field(default=OddsSection(), description="what the plan promises of several goals at once")
    sweep: dict[str, Axis] = Field(default={}, description="values to try, keyed by the path of a number in this file")
    relax: dict[str, NonNegative] = Field(
        default={}, description="how unwilling you are to relax a limit, by its name or family; 0 means gladly"
    )
    rules: RulesSection | None = Field(default=None, description="own constraints")
    variant: dict[str, dict[str, Any]] = Field(
        default={}, description="named patches of this document, chosen with --variant"
    )
    tables: TablesSection = Field(default=TablesSection(), description="files with many rows")


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a scenario document, for editors.

    A document that extends another may leave out what that one says, so only `schema` is required at the top.
    """
    schema = _as_toml(ScenarioDocument.model_json_schema(by_alias=True))
    schema["required"] = ["schema"]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "kpiopt scenario", **schema}


def _as_toml(schema: Any) -> Any:
    """Drop titles that are made from names in the code, and null, which TOML does not have."""
    if isinstance(schema, list):
        return [_as_toml(item) for item in schema if item != {"type": "null"}]
    if not isinstance(schema, dict):
        return schema
    kept = {key: _as_toml(value) for key, value in schema.items() if not _is_noise(schema, key)}
    options = kept.get("anyOf")
    if isinstance(options, list) and len(options) == 1:
        kept = {**options[0], **{key: value for key, value in kept.items() if key != "anyOf"}}
    return kept


def _is_noise(schema: dict[str, Any], key: str) -> bool:
    is_rule = bool({"type", "$ref", "anyOf", "enum", "const"} & schema.keys())
    is_made_up = key == "title" and schema[key] not in KEPT_TITLES
    return is_rule and (is_made_up or (key == "default" and (schema[key] is None or isinstance(schema[key], dict))))
