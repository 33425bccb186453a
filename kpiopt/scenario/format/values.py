"""Building blocks of the format: numbers, names, quantities and selections, as they stand in a TOML table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import CoreSchema

"""Keys of a table that stands for a distribution."""


class Section(BaseModel):
    """A table of the document: every key is known, nothing is converted."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, defer_build=True)


@dataclass(frozen=True, eq=False)
class OrShort:
    """Tells editors that a table may also be written in a short form, which a validator expands.

    Attributes
    ----------
    short : dict
        JSON Schema of the short form.
    """

    short: dict[str, Any]

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [self.short, handler(core)]}


def _keep(value: Any) -> Any:
    return value


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _numbers(count: int | None, title: str) -> dict[str, Any]:
    size = {} if count is None else {"minItems": count, "maxItems": count}
    return {"type": "array", "items": {"type": "number"}, "title": title, **size}


_DISCRETE = {"type": "array", "items": _numbers(2, "[value, probability]"), "minItems": 1}
_DISTRIBUTION_SCHEMAS: dict[str, dict[str, Any]] = {
    "normal": _numbers(2, "[mean, standard deviation]"),
    "lognormal": _numbers(2, "[5 % point, 95 % point]"),
    "triangular": _numbers(3, "[low, mode, high]"),
    "pert": _numbers(3, "[low, mode, high]"),
    "uniform": _numbers(2, "[low, high]"),
    "beta": _numbers(4, "[alpha, beta, low, high]"),
    "discrete": _DISCRETE,
    "samples": {"type": "string", "title": "file.csv#column"},
}
QUANTITY_SCHEMA: dict[str, Any] = {
    "title": "Quantity",
    "description": 'a number, an interval such as "0.8 to 1.6" (5 % and 95 % points), or a distribution',
    "anyOf": [
        {"type": "number"},
        {"type": "string", "pattern": r"^.+ to .+$"},
        *(
            {"type": "object", "properties": {name: rule}, "required": [name], "additionalProperties": False}
            for name, rule in _DISTRIBUTION_SCHEMAS.items()
        ),
    ],
}
"""JSON Schema of a quantity."""

KEPT_TITLES = frozenset(
    ["Quantity", "[value, probability]", *(str(r["title"]) for r in _DISTRIBUTION_SCHEMAS.values() if "title" in r)]
)
"""Titles of the JSON Schema that say something; the others are made from names in the code."""

Text = Annotated[str, StringConstraints(min_length=1)]
Number = Annotated[float, Field(allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
QuantityValue = Annotated[Any, PlainValidator(_keep), WithJsonSchema(QUANTITY_SCHEMA)]
"""Read by `parse_quantity` where the folder of its samples is known; the schema only describes it to editors."""

_BY_PERIOD = {"anyOf": [QUANTITY_SCHEMA, {"type": "array", "items": QUANTITY_SCHEMA, "minItems": 1}]}
QuantityByPeriod = Annotated[Any, PlainValidator(_keep), WithJsonSchema(_BY_PERIOD)]
"""A quantity, or a list with one for each period."""

Names = Annotated[
    list[Text],
    BeforeValidator(_as_list),
    Field(min_length=1),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
]
"""One name, or a list of them."""


class UnitSelection(Section):
    """Which units are meant. All keys must hold; a list means any of its values."""

    unit: Names | None = Field(default=None, description="unit ids")
    level: Names | None = Field(default=None, description="levels")
    role: Names | None = Field(default=None, description="roles")
    parent: Names | None = Field(default=None, description="ids of the units directly above")
    under: Names | None = Field(default=None, description="unit ids: each with its whole subtree")


class CellSelection(UnitSelection):
    """Which cells are meant. All keys must hold; a list means any of its values."""

    kpi: Names | None = Field(default=None, description="KPI ids")
    objective: Names | None = Field(default=None, description="objective ids: the KPIs that measure them")
    perspective: Names | None = Field(default=None, description="perspective ids: the KPIs of their objectives")
