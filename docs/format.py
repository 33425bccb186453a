"""Write docs/format.md from the schema: `python docs/format.py`.

A test fails where the page and the schema differ.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kpiopt.reading.tables.table import CELLS_TABLE, UNITS_TABLE, TableRule
from kpiopt.reading.tables.table_file import MAX_FILE_BYTES
from kpiopt.scenario.format.document import ScenarioDocument, json_schema

PAGE = Path(__file__).with_suffix(".md")

INTRODUCTION = """\
# The file

This page is written from the schema by `python docs/format.py`. `kpiopt schema` writes the same as JSON Schema for
editors; `kpiopt check FILE` checks a file and says what is wrong, where, and what to do.

A scenario is one TOML document and its tables. Everything is keyed by id. A document may extend others and patch them:
tables merge key by key, a scalar or a list replaces. Last wins: extended documents, the document itself, the chosen
`[variant.NAME]`, `--set path=value`. `kpiopt check FILE --show-origin` tells where each value came from. Unknown keys,
wrong types and ids that do not exist are errors; nothing is converted or guessed, and an empty field means "not given",
which is not 0. Numbers other than 0 lie between 1e-9 and 1e12 in size.

## Quantities

Wherever a *quantity* is asked for, write a number or a distribution. Planning uses its mean, exactly.

| write | meaning |
|---|---|
| `12.5` | a number |
| `"a to b"` | a 90 % interval: lognormal where a is above 0, else normal |
| `{ normal = [mean, sd] }` | normal |
| `{ lognormal = [p5, p95] }` | lognormal by its 5 % and 95 % points |
| `{ triangular = [low, mode, high] }` | triangular |
| `{ pert = [low, mode, high] }` | PERT |
| `{ uniform = [low, high] }` | uniform |
| `{ beta = [alpha, beta, low, high] }` | beta, stretched to [low, high] |
| `{ discrete = [[value, p], …] }` | values with probabilities that add up to 1 |
| `{ samples = "file.csv#column" }` | observations in a column of a file |

The name of a quantity, for `[correlation]`, is its path: `factor.market`, `kpi.sales.drivers.coverage`,
`kpi.sales.baseline`, `cell.north/sales.baseline`, `initiative.coaching.effects.coverage`, `uncertainty.execution` (the
part of execution that the whole organization has in common), `execution.NAME`.

## Tables

`units` and `cells` are `.csv`, `.parquet` or `book.xlsx#sheet`. Small organizations may write `[unit.x]` and
`[cell."x/kpi"]` in the document instead; where both are given, the document adds rows or changes single values. A cell
has a decision where it has a `max_stretch`, its own or from a guardrail, or a `lock`; elsewhere its stretch is 0.
The baseline of a unit above other cells of the same KPI follows from those; a stated one that differs is reported.
A field that holds a quantity may hold a range or a distribution in braces, such as `{ normal = [100, 10] }`; samples
are written in the document.
Sizes weight `mean` roll-ups: the cell's, else the unit's, else the sum below; without any, all count the same.
"""

LARGEST = """\

A file of a table has at most {largest:,} bytes, a workbook also when unpacked. A larger one is refused before it is
read (`E-table-size`, exit code 7).
"""

EXAMPLE = """\
## An example

```toml
schema = 1
name = "North and South"
currency = "USD"

[kpi.visits]
name = "Customer visits"
unit = "visits"
roll_up = "sum"
step = 1

[kpi.sales]
name = "Sales"
unit = "USD"
step = 1000
baseline = 4_000_000
drivers.visits = "400 to 900"
drivers.market = 50_000

[factor.market]
name = "Market growth in points"
value = { normal = [0, 1] }

[unit.company]
[unit.north]
parent = "company"
level = "team"
capacity.hours = 900
[unit.south]
parent = "company"
level = "team"
capacity.hours = 700

[cell."north/visits"]
baseline = 2000
effort.hours = 1.5
[cell."south/visits"]
baseline = 1500
effort.hours = 1.5

[guardrail.growth]
where = { kpi = "visits" }
growth = [0.0, 0.3]

[goal.sales]
target = 4_400_000

[decide]
effort_price = { hours = 45 }

[variant.short-of-time]
capacity.hours.scale = 0.4
```
"""

HEADINGS = {
    "PeriodsEntry": "[periods]",
    "PeriodSeries": "[periods] names = { … }",
    "RecourseSection": "[recourse]",
    "PerspectiveEntry": "[perspective.ID]",
    "ObjectiveEntry": "[objective.ID]",
    "KpiEntry": "[kpi.ID]",
    "DriverEntry": "[kpi.ID.drivers] CAUSE = { … }",
    "FactorEntry": "[factor.ID]",
    "InitiativeEntry": "[initiative.ID]",
    "EffectEntry": "[initiative.ID.effects] KPI = { … }",
    "GoalEntry": "[goal.ID]",
    "CapacityEntry": "[capacity.RESOURCE]",
    "BudgetEntry": "[budget.ID]",
    "PayPlanEntry": "[pay_plan.ID]",
    "UnitEntry": "[unit.ID]",
    "CellEntry": '[cell."UNIT/KPI"]',
    "GuardrailEntry": "[guardrail.NAME]",
    "AssignEntry": "[assign.NAME]",
    "AdjustEntry": "[adjust.NAME]",
    "FieldChanges": "scale, set and add of [adjust.NAME]",
    "DecideSection": "[decide]",
    "FairnessSection": "[fairness]",
    "CushionEntry": "[over_assignment] LEVEL = { … }",
    "ReconcileSection": "[reconcile]",
    "UncertaintySection": "[uncertainty]",
    "ExecutionEntry": "[execution.NAME]",
    "NoiseEntry": "[noise.NAME]",
    "EffortCurveEntry": "[effort_curve.NAME]",
    "RampEntry": "[ramp.NAME]",
    "OddsSection": "[odds]",
    "SimulationSection": "[simulation]",
    "SweepAxis": "[sweep] PATH = { … }",
    "RulesSection": "[rules]",
    "TablesSection": "[tables]",
    "TableEntry": "[tables] NAME = { … }",
    "UnitSelection": "Selection of units",
    "CellSelection": "Selection of cells",
}
"""Model of the schema -> how its table is written; the order of the page."""


def columns(rule: TableRule) -> str:
    """Return the columns of a table."""
    names = [f"`{c.name}`{' (required)' if c.required else ''}" for c in rule.columns]
    names += [f"`{prefix}<resource>`" for prefix, _ in rule.prefixes]
    return f"Columns of `{rule.name}`: {', '.join(names)}.\n"


def title(rule: dict[str, Any]) -> str:
    """Return how the table that a reference leads to is written."""
    return HEADINGS[rule["$ref"].rpartition("/")[2]]


def anchor(text: str) -> str:
    """Return the anchor that a heading gets on the page."""
    return "".join(c for c in text.lower().replace(" ", "-") if c.isalnum() or c in "-_")


def kind(rule: dict[str, Any]) -> str:
    """Say in a few words what a value must be."""
    if "$ref" in rule:
        return f"[`{title(rule)}`](#{anchor(title(rule))})"
    if rule.get("title") == "Quantity":
        return "quantity"
    if "const" in rule or "enum" in rule:
        return ", ".join(f"`{json.dumps(value)}`" for value in rule.get("enum", [rule.get("const")]))
    if "anyOf" in rule:
        return " or ".join(dict.fromkeys(kind(option) for option in rule["anyOf"] if option.get("type") != "null"))
    if rule.get("type") == "object" and isinstance(rule.get("additionalProperties"), dict):
        return f"table of {kind(rule['additionalProperties'])}"
    if rule.get("type") == "array":
        return f"list of {kind(rule['items'])}" if rule.get("items") else "list"
    words = {"string": "text", "number": "number", "integer": "whole number", "boolean": "`true` or `false`"}
    return words.get(rule.get("type", ""), "anything") + bounds(rule)


def bounds(rule: dict[str, Any]) -> str:
    """Say which numbers are allowed."""
    words = {
        "minimum": "at least",
        "exclusiveMinimum": "above",
        "maximum": "at most",
        "exclusiveMaximum": "below",
    }
    return "".join(f", {word} {rule[key]:,}" for key, word in words.items() if key in rule)


def default(rule: dict[str, Any], required: bool) -> str:
    """Say what holds where the key is absent."""
    if required:
        return "required"
    value = rule.get("default")
    return "" if value in (None, "", {}, []) or isinstance(value, dict) else f"`{json.dumps(value)}`"


def keys(schema: dict[str, Any]) -> str:
    """Return a table of the keys of one model."""
    required = schema.get("required", [])
    rows = [
        f"| `{name}` | {kind(rule)} | {default(rule, name in required)} | {rule.get('description', '')} |"
        for name, rule in schema.get("properties", {}).items()
    ]
    return "\n".join(["| key | value | where absent | meaning |", "|---|---|---|---|", *rows]) + "\n"


def heading(schema: dict[str, Any], name: str) -> str:
    """Return the section of one model: how it is written, what it means, its keys."""
    text = " ".join(schema.get("description", "").split())
    return f"### `{HEADINGS[name]}`\n\n{text}\n\n{keys(schema)}"


def page() -> str:
    """Return the whole page."""
    models = json_schema()["$defs"]
    parts = [
        INTRODUCTION + LARGEST.format(largest=MAX_FILE_BYTES),
        columns(UNITS_TABLE),
        columns(CELLS_TABLE),
        EXAMPLE,
        "## Keys of the document\n",
        keys(ScenarioDocument.model_json_schema(by_alias=True)),
        "## Tables of the document\n",
        *(heading(models[name], name) for name in HEADINGS),
    ]
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
