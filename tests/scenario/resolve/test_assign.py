"""How many KPIs people answer for, and what each weighs."""

from __future__ import annotations

from pathlib import Path

import pytest

from kpiopt.scenario.load import check_scenario

TEXT = """
schema = 1
name = "who"
[kpi.s]
[kpi.q]
[kpi.r]
[unit.co]
[unit.a]
parent = "co"
level = "rep"
[unit.b]
parent = "co"
level = "rep"
[cell."a/s"]
baseline = 100
max_stretch = 10
weight = 0.9
[cell."a/q"]
baseline = 100
max_stretch = 10
weight = 0.05
[cell."a/r"]
baseline = 100
[cell."b/s"]
baseline = 100
max_stretch = 10
"""


def found(tmp_path: Path, text: str) -> list[tuple[str, str]]:
    (tmp_path / "s.toml").write_text(TEXT + text, "utf-8")
    return [(p.code, p.message) for p in check_scenario(tmp_path / "s.toml")[1] if p.is_error]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[assign.x]\nwhere = { level = 'rep' }\nkpis = [2, 4]\n",
            [("E-assign", "b answers for 1 KPI with a decision")],
        ),
        ("[assign.x]\nwhere = { unit = 'a' }\nkpis = [0, 1]\n", [("E-assign", "a answers for 2 KPIs with a decision")]),
        ("[assign.x]\nkpis = [1, 2]\nleast_weight = 0.05\n", []),
        ("[assign.x]\nleast_weight = 0.1\n", [("E-assign", "a/q weighs 0.05 in pay")]),
        ("[assign.x]\nkpis = [3, 1]\n", [("E-assign", "assign 'x' asks for 3 to 1 KPIs")]),
    ],
)
def test_numbers_and_weights_are_checked(tmp_path: Path, text: str, said: list[tuple[str, str]]) -> None:
    """a decides about s and q, b about s; a weight that is not given is not 0."""
    assert found(tmp_path, text) == said
