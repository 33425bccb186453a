"""A patched scenario is the one that reading the file with the same override gives."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

import kpiopt
from kpiopt.scenario.resolve.patch import patch_scenario, read_path

SCENARIOS = Path(__file__).parents[3] / "scenarios"
TALK = {"warnings", "files"}


def same(a, b):
    """Deep equality, arrays by their values."""
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(map(same, a, b))
    if hasattr(a, "__dataclass_fields__"):
        return type(a) is type(b) and all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    return a == b or (isinstance(a, float) and a != a and b != b)


@pytest.mark.parametrize("name", ["adventureworks-base", "hand-solved", "scorecard"])
def test_every_number_that_is_patched_means_what_the_file_means(name):
    path = SCENARIOS / f"{name}.toml"
    base = kpiopt.load(path)
    changes = {f"budget.{b}.limit": 54_321 for b in base.budgets}
    changes |= {f"goal.{g}.target": 0.5 + goal.target for g, goal in base.goals.items()}
    changes |= {f"goal.{g}.weight": 3 for g in base.goals}
    for key, value in changes.items():
        patched, read = patch_scenario(base, {key: value}), kpiopt.load(path, overrides=[f"{key}={value}"])
        differing = [
            f.name
            for f in fields(read)
            if f.name not in TALK and not same(getattr(patched, f.name), getattr(read, f.name))
        ]
        assert differing in ([], ["document"])
        assert patched.document == read.document


def test_several_numbers_at_once():
    base = kpiopt.load(SCENARIOS / "hand-solved.toml")
    patched = patch_scenario(base, {"budget.pay.limit": 650, "goal.sales.target": 107_000})
    assert (patched.budgets["pay"].limit, patched.goals["sales"].target) == (650.0, 107_000.0)
    assert base.budgets["pay"].limit == 700.0


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("budget.pay.limit", -1),
        ("budget.pay.limit", 1e-12),
        ("budget.pay.limit", 1e15),
        ("budget.pay.limit", "600"),
        ("budget.pay.limit", True),
        ("budget.pay.limits", 600),
        ("budget.gold.limit", 600),
        ("goal.sales.weight", 0),
        ("goal.sales.priority", 2),
        ("capacity.hours.scale", 1.1),
        ("kpi.sales.step", 10),
        ("no path", 1),
    ],
)
def test_everything_else_is_read_again(path, value):
    assert patch_scenario(kpiopt.load(SCENARIOS / "hand-solved.toml"), {path: value}) is None


def test_quoted_keys():
    assert read_path('cell."x/sales".max_stretch') == ("cell", "x/sales", "max_stretch")
    assert read_path("budget.pay.limit = 3") is None
