"""Whatever stands in whatever place of a document, the answer is a list of problems with places, never a crash."""

from __future__ import annotations

import copy
import random
import tomllib
from pathlib import Path
from typing import Any

import pytest

from kpiopt.reading.key_path import KeyPath, walk
from kpiopt.reading.toml.emit import emit_toml
from kpiopt.scenario.load import check_scenario
from tests.nights import rest_at_night
from tests.scenario.test_load import CELLS, EXAMPLE, UNITS

RICHER = """
[cell."c/sales"]
max_stretch = 5
effort.hours = 0.1
[unit.new]
parent = "south"
level = "rep"
[guardrail.g]
where = { kpi = "sales", level = "rep" }
growth = [0.0, 0.2]
[adjust.a]
where = { under = "north" }
scale = { max_stretch = 1.5 }
[execution.e]
where = { role = "rep" }
value = "0.5 to 1"
[relax]
budget = 2.0
"""
VALUES: tuple[Any, ...] = (
    0, -1, 3, 2.5, 1e13, 1e-12, True, "", "x", "co", "sales", "1 to 2", "2 to 1", [], [1, 2], ["co"], [[1]], [{}], {},
    {"normal": [0, 1]}, {"normal": [0]}, {"unit": "co"}, {"x": 1}, {"": 2}, {"a": {"b": 3}}, "a ~ b", "units.csv#x",
)  # fmt: skip


def changed(document: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """Return the document with a few values replaced, removed, or given an unknown neighbour."""
    document = copy.deepcopy(document)
    for _ in range(chance.choice([1, 1, 2, 4])):
        paths = [path for path, _ in walk(document) if path and path != ("schema",)]
        path: KeyPath = chance.choice(paths)
        around: Any = document
        for key in path[:-1]:
            around = around[key]
        match chance.randrange(4):
            case 0:
                del around[path[-1]]
            case 1 if isinstance(around, dict):
                around[chance.choice(["name", "value", "kpi", "limit", "at", "zz"])] = chance.choice(VALUES)
            case _:
                around[path[-1]] = copy.deepcopy(chance.choice(VALUES))
    return document


@pytest.mark.parametrize("place", ["kpi.sales.scale", "kpi.sales.season", "periods.names", "periods"])
@pytest.mark.parametrize("value", [*VALUES, {"from": "2027"}, {"every": 3, "first": "2027"}], ids=repr)
def test_a_value_that_may_be_of_several_kinds(tmp_path: Path, place: str, value: Any) -> None:
    """What it has of the wrong kind is told at its place, and reading comes to an end."""
    document: dict[str, Any] = tomllib.loads(EXAMPLE + RICHER)
    *around, last = place.split(".")
    inner = document
    for key in around:
        inner = inner.setdefault(key, {})
    inner[last] = value
    (tmp_path / "units.csv").write_text(UNITS)
    (tmp_path / "cells.csv").write_text(CELLS)
    path = tmp_path / "plan.toml"
    path.write_text(emit_toml(document), encoding="utf-8")
    _, problems, _ = check_scenario(path)
    assert all("constrained" not in p.message and "Series" not in p.message for p in problems.errors)
    assert len({str(p.message) for p in problems.errors}) == len(problems.errors)


@pytest.mark.parametrize("seed", rest_at_night(range(150), 40))
def test_any_change_of_a_document_is_answered_in_words(tmp_path: Path, seed: int) -> None:
    document = changed(tomllib.loads(EXAMPLE + RICHER), random.Random(seed))
    (tmp_path / "units.csv").write_text(UNITS)
    (tmp_path / "cells.csv").write_text(CELLS)
    path = tmp_path / "plan.toml"
    path.write_text(emit_toml(document), encoding="utf-8")
    scenario, problems, _ = check_scenario(path)
    assert (scenario is None) == bool(problems.errors)
    for problem in problems.errors:
        assert problem.location is not None and problem.message and problem.code.startswith("E-")
