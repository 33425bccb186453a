"""The page of tolerances: each says what it bounds, and those that must be smaller than others are."""

import ast
from itertools import pairwise
from pathlib import Path

import pytest

from kpiopt.program.trust import tolerances

NAMES = [name for name, value in vars(tolerances).items() if isinstance(value, float)]


@pytest.mark.parametrize(("smaller", "larger", "why"), tolerances.ORDER)
def test_the_order_holds(smaller, larger, why):
    assert 0.0 < getattr(tolerances, smaller) < getattr(tolerances, larger), why


def test_every_tolerance_has_its_place_in_the_order_and_says_what_it_bounds():
    ordered = {name for pair in tolerances.ORDER for name in pair[:2]}
    assert {name for name in NAMES if getattr(tolerances, name) != tolerances.CERTIFIED} <= ordered
    body = ast.parse(Path(tolerances.__file__).read_text("utf-8")).body
    said = {
        node.targets[0].id: after.value.value
        for node, after in pairwise(body)
        if isinstance(node, ast.Assign) and isinstance(after, ast.Expr)
    }
    for name in NAMES:
        text = " ".join(said[name].split())
        assert "Compared with:" in text and "Source:" in text, name
