"""Merging documents: who wins, where each value came from, and the resolved document as TOML."""

import hashlib
import json
import os
import tomllib

import pytest

from kpiopt.errors import Location, ScenarioError, SecurityError, UsageError
from kpiopt.reading.document import read_document

BASE = """\
schema = 1
name = "Base"
currency = "USD"

[kpi.sales]
unit = "USD"
step = 1000
[kpi.sales.drivers]
coverage = "0.8 to 1.6"
satisfaction = { contribution = 120_000, lag = 1 }

[pay_plan.rep]
payout = [[0.0, 0.0], [1.0, 1.0]]

[factor.market]
value = { normal = [0, 1] }

[budget.pay]
limit = 700_000

[tables]
cells = "tables/cells.csv"

[variant.lean]
budget.pay.limit = 600_000
"""
SCENARIO = """\
schema = 1
extends = "../models/base.toml"
name = "Plan"

[kpi.sales]
step = 500

[kpi.sales.drivers]
satisfaction.contribution = 130_000
coverage = { contribution = 2 }

[pay_plan]
rep.payout = [[0.0, 0.5]]

[factor.market]
value = { uniform = [0, 1] }

[variant.lean]
goal.sales.target = 5.0
[variant.rich]
budget.pay.limit = 900_000
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Models and scenarios side by side in a bare folder, which is the working folder."""
    (tmp_path / "work" / "models").mkdir(parents=True)
    (tmp_path / "work" / "scenarios").mkdir()
    (tmp_path / "work" / "models" / "base.toml").write_text(BASE)
    (tmp_path / "work" / "scenarios" / "plan.toml").write_text(SCENARIO)
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def write(folder, **contents):
    for name, content in contents.items():
        (folder / f"{name}.toml").write_text(f"schema = 1\n{content}\n")
    return folder / f"{next(iter(contents))}.toml"


def test_tables_merge_and_scalars_arrays_and_distributions_replace(folder):
    assert read_document("scenarios/plan.toml").data == {
        "schema": 1,
        "name": "Plan",
        "currency": "USD",
        "kpi": {
            "sales": {
                "unit": "USD",
                "step": 500,
                "drivers": {
                    "coverage": {"contribution": 2},
                    "satisfaction": {"contribution": 130_000, "lag": 1},
                },
            }
        },
        "pay_plan": {"rep": {"payout": [[0.0, 0.5]]}},
        "factor": {"market": {"value": {"uniform": [0, 1]}}},
        "budget": {"pay": {"limit": 700_000}},
        "tables": {"cells": "tables/cells.csv"},
    }


def test_keys_of_the_base_come_first(folder):
    path = write(folder, a='extends = "b.toml"\n[kpi.new]\n[kpi.second]\nstep = 2', b="[kpi.first]\n[kpi.second]\n")
    assert list(read_document(path).data["kpi"]) == ["first", "second", "new"]


@pytest.mark.parametrize(
    ("variant", "overrides", "limit"),
    [
        (None, [], 700_000),
        ("lean", [], 600_000),
        ("rich", [], 900_000),
        ("rich", ["budget.pay.limit=1"], 1),
        (None, ["budget.pay.limit=1", "budget.pay.limit=2"], 2),
    ],
)
def test_last_wins(folder, variant, overrides, limit):
    document = read_document("scenarios/plan.toml", variant=variant, overrides=overrides)
    assert document.data["budget"]["pay"]["limit"] == limit
    assert document.variant == variant


def test_a_variant_is_merged_over_the_chain(folder):
    document = read_document("scenarios/plan.toml", variant="lean")
    assert document.variants == ("lean", "rich")
    assert document.data["goal"] == {"sales": {"target": 5.0}}
    assert "variant" not in document.data
    assert "extends" not in document.data


@pytest.mark.parametrize(("variant", "words"), [("leen", "did you mean 'lean'?"), ("zzz", "lean, rich"), ("", "lean")])
def test_an_unknown_variant_is_a_usage_error(folder, variant, words):
    with pytest.raises(UsageError, match="E-variant-unknown") as caught:
        read_document("scenarios/plan.toml", variant=variant)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("variant = 5", "E-variant-form"),
        ("[variant]\nlean = 5", "E-variant-form"),
        ("[[variant.lean]]", "E-variant-form"),
        ("[variant.lean]\nextends = 'b.toml'", "E-variant-key"),
        ("[variant.lean]\nschema = 1", "E-variant-key"),
        ("[variant.lean.variant.x]", "E-variant-key"),
    ],
)
def test_variants_of_another_form(folder, text, code):
    with pytest.raises(ScenarioError) as caught:
        read_document(write(folder, a=text))
    assert [p.code for p in caught.value.problems] == [code]


@pytest.mark.parametrize(
    ("path", "value", "key"),
    [
        (("name",), "scenarios/plan.toml:3:8", "scenarios/plan.toml:3:1"),
        (("currency",), "models/base.toml:3:12", "models/base.toml:3:1"),
        (("kpi", "sales"), "models/base.toml:5:6", "models/base.toml:5:6"),
        (("kpi", "sales", "step"), "scenarios/plan.toml:6:8", "scenarios/plan.toml:6:1"),
        (("kpi", "sales", "drivers", "satisfaction", "lag"), "models/base.toml:10:48", "models/base.toml:10:42"),
        (("kpi", "sales", "drivers", "coverage"), "scenarios/plan.toml:10:12", "scenarios/plan.toml:10:1"),
        (("pay_plan", "rep", "payout", 0, 1), "scenarios/plan.toml:13:21", "scenarios/plan.toml:13:21"),
        (("factor", "market", "value", "uniform", 1), "scenarios/plan.toml:16:25", "scenarios/plan.toml:16:25"),
        (("factor", "market", "value", "normal"), "scenarios/plan.toml:16:1", "scenarios/plan.toml:16:1"),
        (("budget", "pay", "limit"), "scenarios/plan.toml:21:20", "scenarios/plan.toml:21:12"),
        (("budget", "pay", "missing"), "models/base.toml:18:9", "models/base.toml:18:9"),
        (("nothing", "at", "all"), "scenarios/plan.toml", "scenarios/plan.toml"),
        ((), "scenarios/plan.toml", "scenarios/plan.toml"),
    ],
)
def test_origins_as_read_by_eye(folder, path, value, key):
    document = read_document("scenarios/plan.toml", variant="rich")
    assert str(document.origin(path)) == value
    assert str(document.key_location(path)) == key


def test_origin_of_an_override(folder):
    text = "factor.market.value={ normal = [0, 2] }"
    document = read_document("scenarios/plan.toml", overrides=[text, "goal.sales.target=5"])
    place = Location("--set", text=text)
    assert document.origin(("factor", "market", "value")) == place
    assert document.key_location(("factor", "market", "value", "normal", 1)) == place
    assert document.origin(("goal",)) == Location("--set", text="goal.sales.target=5")
    assert str(document.origin(("factor", "market"))) == "models/base.toml:15:9"


def test_source_line_of_an_origin(folder):
    place = read_document("scenarios/plan.toml").origin(("currency",))
    assert place.text == 'currency = "USD"'


def test_show_origin_lists_every_final_value_once(folder):
    rows = read_document("scenarios/plan.toml", overrides=['cell."x/sales".max_stretch=5']).show_origin()
    assert [(name, value, str(place)) for name, value, place in rows] == [
        ("schema", 1, "scenarios/plan.toml:1:10"),
        ("name", "Plan", "scenarios/plan.toml:3:8"),
        ("currency", "USD", "models/base.toml:3:12"),
        ("kpi.sales.unit", "USD", "models/base.toml:6:8"),
        ("kpi.sales.step", 500, "scenarios/plan.toml:6:8"),
        ("kpi.sales.drivers.coverage.contribution", 2, "scenarios/plan.toml:10:29"),
        ("kpi.sales.drivers.satisfaction.contribution", 130_000, "scenarios/plan.toml:9:29"),
        ("kpi.sales.drivers.satisfaction.lag", 1, "models/base.toml:10:48"),
        ("pay_plan.rep.payout", [[0.0, 0.5]], "scenarios/plan.toml:13:14"),
        ("factor.market.value", {"uniform": [0, 1]}, "scenarios/plan.toml:16:9"),
        ("budget.pay.limit", 700_000, "models/base.toml:19:9"),
        ("tables.cells", "tables/cells.csv", "models/base.toml:22:9"),
        ('cell."x/sales".max_stretch', 5, "--set"),
    ]


def test_paths_belong_to_the_file_that_contains_them(folder):
    document = read_document("scenarios/plan.toml", overrides=["tables.units=units.csv"])
    assert document.root == folder
    assert document.resolve(("tables", "cells"), "tables/cells.csv") == folder / "models" / "tables" / "cells.csv"
    assert document.resolve(("tables", "units"), "units.csv") == folder / "scenarios" / "units.csv"
    assert document.resolve(("name",), "../models/x.csv") == folder / "models" / "x.csv"


@pytest.mark.parametrize("text", ["../../x.csv", "/etc/passwd", "~/x.csv", "https://example.org/x.csv", "pipe"])
def test_tables_obey_the_same_rules_of_safety(folder, text):
    os.mkfifo(folder / "models" / "pipe")
    with pytest.raises(SecurityError) as caught:
        read_document("scenarios/plan.toml").resolve(("tables", "cells"), text)
    assert str(caught.value.problems[0].location) == "models/base.toml:22:9"


@pytest.mark.parametrize("marker", ["pyproject.toml", "kpiopt.toml", ".git"])
def test_the_project_root_is_the_nearest_marked_folder(folder, marker):
    (folder.parent / marker).touch()
    assert read_document("scenarios/plan.toml").root == folder.parent
    (folder / "scenarios" / marker).touch()
    with pytest.raises(SecurityError, match="outside the project folder"):
        read_document("scenarios/plan.toml")


def test_files_and_their_hashes(folder):
    assert read_document("scenarios/plan.toml").files == {
        "scenarios/plan.toml": hashlib.sha256(SCENARIO.encode()).hexdigest(),
        "models/base.toml": hashlib.sha256(BASE.encode()).hexdigest(),
    }


def test_the_resolved_document_reads_back_the_same(folder, tmp_path):
    document = read_document("scenarios/plan.toml", variant="rich", overrides=["goal.sales.target=1e-7"])
    text = document.to_toml({("tables", "cells"): "cells.csv", ("pay_plan", "rep", "payout", 0, 1): 0.25})
    (folder / "again.toml").write_text(text)
    again = read_document("again.toml").data
    assert again["tables"].pop("cells") == "cells.csv"
    assert again["pay_plan"].pop("rep") == {"payout": [[0.0, 0.25]]}
    expected = {key: dict(value) if isinstance(value, dict) else value for key, value in document.data.items()}
    assert expected["tables"].pop("cells") == "tables/cells.csv"
    assert expected["pay_plan"].pop("rep") == {"payout": [[0.0, 0.5]]}
    assert json.dumps(again) == json.dumps(expected)


@pytest.mark.parametrize("path", [("tables", "units"), ("pay_plan", "rep", "payout", 9), ("no", "thing")])
def test_only_what_exists_can_be_replaced(folder, path):
    with pytest.raises(LookupError):
        read_document("scenarios/plan.toml").to_toml({path: "x"})


def test_several_documents_are_merged_in_order(folder):
    path = write(folder, a='extends = ["b.toml", "c.toml"]\ny = 9', b="x = 1\ny = 1\nb = 1", c="x = 1\ny = 2\nc = 1")
    assert read_document(path).data == {"schema": 1, "x": 1, "y": 9, "b": 1, "c": 1}


def test_a_shared_base_is_no_clash(folder):
    path = write(
        folder,
        a='extends = ["b.toml", "c.toml"]',
        b='extends = "d.toml"\nb = 1',
        c='extends = "d.toml"\nc = 1',
        d="limit = 5",
    )
    document = read_document(path)
    assert document.data == {"schema": 1, "limit": 5, "b": 1, "c": 1}
    assert len(document.files) == 4


def test_a_patch_of_a_shared_base_is_not_silently_undone(folder):
    path = write(
        folder,
        a='extends = ["b.toml", "c.toml"]',
        b='extends = "d.toml"\nlimit = 6',
        c='extends = "d.toml"',
        d="limit = 5",
    )
    with pytest.raises(ScenarioError, match="E-extends-clash"):
        read_document(path)


CLASHES = {"b": "[m]\nx = { normal = [0, 1] }\ny = 1", "c": "[m]\nx = { uniform = [0, 1] }\ny = 1"}


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("m.x = 1", {}),
        ("[variant.v]\nm.x = 1", {"variant": "v"}),
        ("", {"overrides": ["m.x=1"]}),
    ],
)
def test_a_clash_is_settled_by_whatever_sets_the_key(folder, text, options):
    path = write(folder, a=f'extends = ["b.toml", "c.toml"]\n{text}', **CLASHES)
    assert read_document(path, **options).data["m"] == {"x": 1, "y": 1}


@pytest.mark.parametrize("text", ["", "m.y = 1", "[variant.v]\nm.x = 1"])
def test_a_clash_is_not_settled_by_other_keys(folder, text):
    path = write(folder, a=f'extends = ["b.toml", "c.toml"]\n{text}', **CLASHES)
    with pytest.raises(ScenarioError, match=r"two extended documents set m\.x differently"):
        read_document(path)


def test_a_clash_further_down_can_be_settled_at_the_top(folder):
    path = write(folder, top='extends = "a.toml"\nm.x = 1', a='extends = ["b.toml", "c.toml"]', **CLASHES)
    assert read_document(path).data["m"]["x"] == 1


def test_a_table_against_a_value_is_a_clash(folder):
    path = write(folder, a='extends = ["b.toml", "c.toml"]\nm.z = 1', b="m = { x = 1, y = 2 }", c="m = 5")
    with pytest.raises(ScenarioError, match="E-extends-clash"):
        read_document(path)


def test_true_and_1_are_different_values(folder):
    with pytest.raises(ScenarioError, match="E-extends-clash"):
        read_document(write(folder, a='extends = ["b.toml", "c.toml"]', b="x = 1", c="x = true"))


def test_the_document_is_not_changed_by_its_neighbours(folder):
    path = write(
        folder, a='extends = ["b.toml", "c.toml"]', b='extends = "d.toml"', c='extends = "d.toml"\nt.y = 2', d="t.x = 1"
    )
    first = read_document(path)
    assert first.data["t"] == {"x": 1, "y": 2}
    assert tomllib.loads(first.to_toml()) == first.data
    first.data["t"]["x"] = 9
    assert read_document(path).data["t"] == {"x": 1, "y": 2}
