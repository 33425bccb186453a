"""What can do nothing in any plan is told by plain `check`."""

from __future__ import annotations

from pathlib import Path

import pytest

from kpiopt.scenario.load import check_scenario

TEXT = """
schema = 1
name = "never"
{periods}
[kpi.f]
unit = "x"
{kpi}
[kpi.s]
unit = "y"
kind = "stock"
[unit.c]
[unit.a]
parent = "c"
level = "rep"
{unit}
[unit.b]
parent = "c"
level = "rep"
role = "other"
[cell."a/f"]
baseline = 50
max_stretch = 20
effort.hours = 1
[cell."b/f"]
baseline = 50
max_stretch = 20
[cell."a/s"]
baseline = 50
max_stretch = 20
[cell."b/s"]
baseline = 50
max_stretch = 20
[goal.f]
target = 130
[capacity.hours]
{capacity}
{more}
"""
TWO, ONE = 'names = ["2027-Q1", "2027-Q2"]', 'names = ["2027"]'
TOOL = """
[budget.cash]
limit = 10
[initiative.i]
max = 2
uses.cash = 1
{}
[initiative.i.effects]
f = {{ contribution = 1, at = "rep", {} }}
"""
OTHER = """[initiative.{}]
whole = true
max = 2
uses.cash = 1
{}
effects = {{ f = {{ contribution = 1, at = "rep" }} }}
"""


def told(folder: Path, periods: str = TWO, **parts: str) -> list[str]:
    """Return codes and messages of everything that is noted beside the text as it is without parts."""
    empty = dict.fromkeys(("kpi", "unit", "capacity", "more"), "") | {"capacity": "scale = 1.0"}
    found: list[set[str]] = []
    for given in (empty, empty | parts):
        text = TEXT.format(periods=f"[periods]\n{periods}" if periods else "", **given)
        (folder / "s.toml").write_text(text.replace('kind = "stock"', 'kind = "stock"'), "utf-8")
        found.append({f"{p.code}: {p.message}" for p in check_scenario(folder / "s.toml")[1]})
    return sorted(found[1] - found[0])


def initiative(keys: str = "", effect: str = "lag = 0") -> str:
    return TOOL.format(keys, effect)


@pytest.mark.parametrize(
    "more",
    [
        initiative('start = ["2027-Q2"]', "lag = 1"),
        initiative('start = ["2027-Q2"]\nbuild_up = [0.0, 1.0]'),
        initiative("build_up = [0.0, 1.0]", "lag = 1"),
    ],
)
def test_effects_that_never_arrive_are_errors(more, tmp_path):
    (found,) = (m for m in told(tmp_path, more=more) if m.startswith("E-"))
    assert found.startswith("E-lag: initiative.i.effects.f begins in 2027-Q") and found.endswith("after the last")


@pytest.mark.parametrize(
    "more",
    [
        initiative('start = ["2027-Q1"]', "lag = 1"),
        initiative("", "lag = 1"),
        initiative("build_up = [0.0, 1.0]"),
        initiative('start = ["2027-Q1"]\nlasts = 1'),
        initiative() + OTHER.format("j", 'start = ["2027-Q2"]\nneeds = ["i"]'),
        initiative() + OTHER.format("j", 'needs = ["k"]') + OTHER.format("k", 'needs = ["j"]'),
        '[guardrail.g]\nwhere = { kpi = "f" }\nmost = 1.2\n[decide]\npeers = ["level"]',
        "[guardrail.g]\nramp = 0.1",
        "[adjust.a]\nadd = { max_stretch = 1 }",
        "[effort_curve.e]\ntiers = [[0.1, 1], [0.2, 2]]",
        '[kpi.f.drivers]\ns = { contribution = -2, at = "rep", trade_off = true }',
        '[kpi.f.drivers]\ns = { contribution = 2, spread = "even" }',
    ],
)
def test_what_can_do_something_is_not_told(more, tmp_path):
    assert [m for m in told(tmp_path, more=more) if m.startswith(("E-", "W-no-effect"))] == []


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"more": initiative("build_up = [0.0, 0.0]")}, "no share of its effect in any period"),
        ({"more": initiative("build_up = [0.1, 0.2, 0.3, 0.4, 0.5]")}, "builds up over 5 periods, and at most 2"),
        ({"more": initiative("lasts = 5")}, "lasts 5 periods, and at most 2 are left"),
        ({"more": initiative("lasts = 1\nbuild_up = [0.0, 1.0]")}, "is over before it has any share"),
        (
            {
                "more": initiative('start = ["2027-Q1"]\nneeds = ["j"]')
                + OTHER.format("j", 'start = ["2027-Q2"]')
            },
            "'i' can never run: it begins in 2027-Q1 at the latest, and needs 'j', which begins in 2027-Q2 at the",
        ),
        (
            {
                "more": initiative('start = ["2027-Q1"]\nneeds = ["j"]')
                + OTHER.format("j", 'needs = ["k"]')
                + OTHER.format("k", 'start = ["2027-Q2"]')
            },
            "'i' can never run",
        ),
        ({"unit": "capacity.hours = 20", "capacity": "per_head = 10"}, "has a head count for the capacity of 'hours'"),
        ({"more": "[effort_curve.e]\ntiers = [[0.1, 1]]"}, "multiplies effort by 1 throughout"),
        ({"more": "[guardrail.p]"}, "guardrail 'p' asks for nothing"),
        ({"more": '[guardrail.p]\nwhere = { kpi = "f" }\nmost = 1.2'}, "none of those it is about has any"),
        ({"more": '[adjust.a]\nwhere = { kpi = "f" }'}, "it has neither scale nor set nor add"),
        ({"more": '[kpi.f.drivers]\ns = { contribution = 2, at = "rep", trade_off = true }'}, "nothing is traded off"),
        ({"more": '[kpi.f.drivers]\ns = { contribution = 2, at = "rep", spread = "even" }'}, "hands its effect down"),
        ({"kpi": 'season = "s"'}, "takes the season of 's', which has none"),
    ],
)  # fmt: skip
def test_what_can_do_nothing_is_told(parts, message, tmp_path):
    found = told(tmp_path, **parts)
    assert any(m.startswith("W-no-effect") and message in m for m in found), found
    assert not [m for m in found if m.startswith("E-")]


@pytest.mark.parametrize(
    "more", ["[guardrail.g]\nramp = 0.1", "[guardrail.g]\nper_period = true", "[kpi.s]\ncarry = 0.5"]
)
def test_one_named_period_has_none_that_follows(more, tmp_path):
    text = TEXT.format(periods=f"[periods]\n{ONE}", kpi="", unit="", capacity="scale = 1.0", more="")
    text = text.replace('kind = "stock"', 'kind = "stock"\ncarry = 0.5') if "carry" in more else text + more
    (tmp_path / "s.toml").write_text(text, "utf-8")
    assert any("there is only one" in p.message for p in check_scenario(tmp_path / "s.toml")[1])


@pytest.mark.parametrize("other", ["2027-Q1 ", "2027-Q1\u00a0", "2027-q1"])
def test_periods_differ_by_more_than_spaces_and_letter_case(other, tmp_path):
    found = told(tmp_path, f'names = ["2027-Q1", "{other}"]', more="[guardrail.g]\nramp = 0.1")
    text = (tmp_path / "s.toml").read_text("utf-8")
    assert other in text and not [m for m in found if m.startswith("E-internal")]
    assert any(p.code == "E-period-name" for p in check_scenario(tmp_path / "s.toml")[1])
