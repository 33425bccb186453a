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


@pytest.mark.parametrize("limit", [0.0, 1e-4, 1.0, 2500.0, -30.0])
def test_a_limit_is_used_up_or_exceeded_by_one_rule(limit):
    room = tolerances.USED_UP * max(1.0, abs(limit))
    assert tolerances.is_used_up(limit, limit) and tolerances.is_used_up(limit, limit - 0.9 * room)
    assert not tolerances.is_used_up(limit, limit - 1.1 * room)
    assert tolerances.is_exceeded(limit, limit + 1.1 * room) and not tolerances.is_exceeded(limit, limit + 0.9 * room)


def test_nobody_compares_a_limit_with_its_use_but_that_rule():
    """What is left of a limit is compared with `USED_UP` here alone."""
    package = Path(tolerances.__file__).parents[2]
    compared = [
        path.name
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Compare)
        and {"USED_UP"} <= {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
        and {"limit", "used", "use"} & {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    ]
    assert compared == ["tolerances.py", "tolerances.py"]
