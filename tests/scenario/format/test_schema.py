"""The format: every key is known, nothing is converted, messages are in plain words."""

from __future__ import annotations

import json
import tomllib
from importlib import util
from pathlib import Path
from typing import Any

import pytest

from kpiopt.scenario.format.document import ScenarioDocument, json_schema
from kpiopt.scenario.format.errors_in_words import show_value
from tests.scenario.conftest import ORGANIZATION, Check

ROOT = Path(__file__).parents[3]
KPI = """
[kpi.sales]
unit = "USD"
baseline = 100
[goal.sales]
target = 110
"""

JARGON = ("input should", "pydantic", "dict", "instance", "nonetype", "str ", "float", "extra inputs", "traceback")


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("[kpi.sales]\nbaseline = 1\ntagret = 1", "E-unknown-key", ["'tagret'", "[kpi.sales]"]),  # row 6
        ("currncy = 'USD'", "E-unknown-key", ["'currncy'", "did you mean 'currency'?"]),  # row 6
        (
            "[goal.sales]\ntarget = '10'",
            "E-type",
            ["goal.sales.target", 'the text "10"', "write 10 without quotes"],
        ),  # 10
        ("[kpi.sales]\nunit = 3", "E-type", ["kpi.sales.unit must be text", "the number 3", '"3"']),  # row 10
        ("[goal.sales]\ntarget = true", "E-type", ["must be a number, not true"]),
        ("[goal.sales]\ntarget = 1\nhard = 1", "E-type", ["true or false"]),
        ("[goal.sales]\ntarget = 1\npriority = 1.5", "E-type", ["whole number"]),
        ("[goal]\nsales = 3", "E-type", ["goal.sales must be a table"]),
        ("kpi = []", "E-type", ["kpi must be a table"]),
        ("[decide]\norder = 'goals'", "E-type", ["must be a list"]),
        ("[decide]\norder = ['goal']", "E-value", ["decide.order[0]", "did you mean 'goals'?"]),
        ("[decide]\nslack.fairnes = 0.1", "E-unknown-key", ["did you mean 'fairness'?"]),
        ("[decide]\npeers = ['colour']", "E-value", ["level, role, parent, pay_plan"]),
        ("[kpi.sales]\nbaseline = 1\ndirection = 'Up'", "E-value", ["did you mean 'up'?"]),
        ("[goal.sales]\ntarget = 1\nweight = 0", "E-value", ["above 0"]),
        ("[goal.sales]\ntarget = 1\np_min = 1", "E-value", ["below 1"]),
        ("[goal.sales]\ntarget = 1\np_min = 0", "E-value", ["above 0"]),
        ("[goal.sales]\nweight = 1", "E-missing-key", ["'target' is missing", "add target"]),
        ("[budget.pay]\nlimit = -5", "E-value", ["is the number -5", "at least 0"]),  # row 67
        ("[capacity.hours]\nscale = -1", "E-value", ["at least 0"]),
        ("[simulation]\nseed = -1", "E-value", ["at least 0"]),
        ("[simulation]\ndraws = 0", "E-value", ["at least 2"]),
        ("[simulation]\nmethod = 'sobl'", "E-value", ["did you mean 'sobol'?"]),
        ("[correlation]\n'a ~ b' = 1.5", "E-value", ["at most 1"]),  # row 81
        ("[pay_plan.p]\npayout = [[0, 0, 0]]", "E-value", ["wrong number of entries"]),
        ("[pay_plan.p]\npayout = []", "E-value", ["wrong number of entries"]),
        ("[tables]\nunits = 3", "E-type", ["must be a table"]),
        ("[adjust.x]\nwhere.levl = 'team'", "E-unknown-key", ["did you mean 'level'?"]),
        ("[kpi.sales]\nname = ''", "E-value", ["is empty"]),
        ("[kpi.sales]\nscale = 0", "E-value", ["kpi.sales.scale is the number 0, but must be above 0"]),
        ("[kpi.sales]\nscale = true", "E-type", ["must be baseline, headroom or a number, not true"]),
        ("[kpi.sales]\nscale = 'headrom'", "E-value", ["kpi.sales.scale", "did you mean 'headroom'?"]),
        ("[kpi.sales]\nseason = 5", "E-type", ["kpi.sales.season must be a list or text, not the number 5"]),
        ("[kpi.sales]\nseason = [1, 'x']", "E-type", ["kpi.sales.season[1] must be a number"]),
        ("[kpi.sales]\nseason = [1, 0]", "E-value", ["kpi.sales.season[1] is the number 0, but must be above 0"]),
        ("[periods]\nnames = 5", "E-type", ["periods.names must be a list or a table"]),
        ("[periods]\nnames = { from = '2027-Q1', every = 'quarter' }", "E-missing-key", ["'count'", "[periods.names]"]),
        ("[periods]\nnames = { from = '2027', every = 'yaer', count = 2 }", "E-value", ["did you mean 'year'?"]),
    ],
)
def test_a_breach_of_the_format_is_said_in_plain_words(check: Check, text: str, code: str, words: list[str]) -> None:
    result = check(text)
    (problem,) = [p for p in result.problems if p.code == code]
    shown = str(problem)
    assert all(word in shown for word in words), shown
    assert not [word for word in JARGON if word in shown.lower()]
    assert problem.location is not None and problem.location.line is not None


def test_a_misspelled_required_key_is_reported_once(check: Check) -> None:
    result = check(f"{ORGANIZATION}{KPI}".replace("target", "tagret"))
    assert "'target'" in result.only("E-unknown-key").fix


def test_every_breach_is_reported_at_once(check: Check) -> None:
    text = f"{ORGANIZATION}{KPI}".replace("target = 110", "target = '1'\nweight = -1\nhard = 'no'\nnot_a_key = 2")
    assert check(text).codes.count("E-type") == 2
    assert {"E-value", "E-unknown-key"} <= set(check(text).codes)


def test_whole_numbers_may_stand_for_numbers_but_not_the_other_way_round(check: Check) -> None:
    scenario = check(f"{ORGANIZATION}{KPI}").fine()
    assert scenario.goals["sales"].target == 110.0
    assert isinstance(scenario.kpis["sales"].baseline.mean, float)  # type: ignore[union-attr]


def test_values_are_described_briefly() -> None:
    assert show_value([1] * 1000) == "a list of 1000"
    assert len(show_value("x" * 1000)) < 100


def test_the_page_of_the_format_is_current() -> None:
    spec = util.spec_from_file_location("format_page", ROOT / "docs" / "format.py")
    assert spec is not None and spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROOT / "docs" / "format.md").read_text(encoding="utf-8") == module.page(), "run: python docs/format.py"


def test_the_page_names_every_key_of_the_format() -> None:
    page = (ROOT / "docs" / "format.md").read_text(encoding="utf-8")
    schema = json_schema()
    for model in [schema, *schema["$defs"].values()]:
        assert all(f"| `{key}` |" in page for key in model["properties"])


def test_the_example_of_the_page_is_a_scenario_without_warnings(check: Check) -> None:
    page = (ROOT / "docs" / "format.md").read_text(encoding="utf-8")
    result = check(page.split("```toml\n")[1].split("```")[0])
    assert result.fine().cells.max_stretch.tolist() == [600, 450]
    assert not result.problems


class TestJsonSchema:
    def schema(self) -> dict[str, Any]:
        return json_schema()

    def test_it_refuses_unknown_keys_everywhere(self) -> None:
        schema = self.schema()
        models = [schema, *schema["$defs"].values()]
        assert all(model["additionalProperties"] is False for model in models)

    def test_every_key_is_described(self) -> None:
        schema = self.schema()
        for model in [schema, *schema["$defs"].values()]:
            assert all(rule.get("description") for rule in model["properties"].values())

    def test_references_lead_somewhere_and_nothing_is_null(self) -> None:
        schema = self.schema()
        text = json.dumps(schema)
        assert "null" not in text
        for part in text.split('"$ref": "#/$defs/')[1:]:
            assert part.partition('"')[0] in schema["$defs"]

    def test_it_has_the_same_keys_as_the_model(self) -> None:
        fields = ScenarioDocument.model_fields.items()
        assert set(self.schema()["properties"]) == {field.alias or name for name, field in fields}

    def test_short_forms_are_offered(self) -> None:
        tables = self.schema()["$defs"]["TablesSection"]["properties"]["units"]
        assert {"type": "string"} in tables["anyOf"]


@pytest.mark.parametrize("path", sorted((ROOT / "scenarios").glob("*.toml")), ids=lambda p: p.stem)
def test_shipped_scenarios_use_only_keys_of_the_json_schema(path: Path) -> None:
    assert tomllib.loads(path.read_text(encoding="utf-8")).keys() <= json_schema()["properties"].keys()
