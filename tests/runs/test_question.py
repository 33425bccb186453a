"""What names a run: equal questions have equal names, wherever their files stand; anything else changes it."""

import tomllib
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpiopt.errors import ScenarioError
from kpiopt.reading.document import read_document
from kpiopt.runs.csv_text import csv_bytes
from kpiopt.runs.question import pose_question, require_same_files, slug

BASE = """schema = 1
name = "FY27 Basisplan für ../München"
[kpi.sales]
name = "Sales"
[factor.market.value]
samples = "history.csv#growth"
[tables]
units = "data/units.csv"
cells = { path = "data/cells.csv", delimiter = ";" }
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    folder = tmp_path / "plan"
    (folder / "data").mkdir(parents=True)
    (folder / "scenario.toml").write_text(BASE)
    (folder / "history.csv").write_text("growth\n1\n")
    (folder / "data/units.csv").write_text("unit,parent\na,\n")
    (folder / "data/cells.csv").write_text("unit;kpi;baseline\na;sales;1\n")
    return folder / "scenario.toml"


def name_of(path: Path, *overrides: str, **settings: object) -> str:
    return pose_question(read_document(path, overrides=overrides), settings).name


def test_the_resolved_question_loads_beside_its_inputs_and_is_the_same_question(scenario, tmp_path):
    question = pose_question(read_document(scenario))
    copy = tmp_path / "elsewhere"
    (copy / "inputs").mkdir(parents=True)
    (copy / "scenario.toml").write_text(question.toml)
    for item in question.inputs:
        (copy / item.name).write_bytes(item.content)
    data = tomllib.loads(question.toml)
    assert data["tables"] == {"units": "inputs/units.csv", "cells": {"path": "inputs/cells.csv", "delimiter": ";"}}
    assert data["factor"]["market"]["value"]["samples"] == "inputs/samples-2.csv#growth"
    again = pose_question(read_document(copy / "scenario.toml"))
    assert again.name == question.name
    assert again.digest == question.digest


def test_comments_and_folders_do_not_matter(scenario, tmp_path):
    before = name_of(scenario)
    scenario.write_text("# a comment\n" + BASE.replace('"Sales"', "'Sales'   # another"))
    assert name_of(scenario) == before
    moved = scenario.parent.rename(tmp_path / "moved")
    assert name_of(moved / "scenario.toml") == before


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p.write_text(BASE.replace('"Sales"', '"sales"')),
        lambda p: (p.parent / "data/units.csv").write_text("unit,parent\nb,\n"),
        lambda p: (p.parent / "history.csv").write_text("growth\n2\n"),
    ],
)
def test_values_and_tables_matter(scenario, change):
    before = name_of(scenario)
    change(scenario)
    assert name_of(scenario) != before


def test_overrides_and_settings_matter(scenario):
    names = {name_of(scenario), name_of(scenario, "simulation.seed=1"), name_of(scenario, simulate=False)}
    assert len(names) == 3


def test_tables_that_swap_their_roles_are_another_question(scenario):
    before = name_of(scenario)
    units, cells = (scenario.parent / "data" / n for n in ("units.csv", "cells.csv"))
    first, second = units.read_bytes(), cells.read_bytes()
    units.write_bytes(second)
    cells.write_bytes(first)
    assert name_of(scenario) != before


def test_a_file_that_changed_since_it_was_checked_is_refused(scenario):
    question = pose_question(read_document(scenario))
    checked = {item.display: item.sha256 for item in question.inputs}
    require_same_files(question, checked)
    with pytest.raises(ScenarioError, match="changed while"):
        require_same_files(question, {**checked, question.inputs[0].display: "0" * 64})


def test_slugs_of_rows_93_and_94():
    assert slug("FY27 Basisplan für ../München") == "fy27-basisplan-fur-munchen"
    assert slug("CON") == "con"
    assert slug("Großes Haus") == slug("GROẞES HAUS") == "grosses-haus"
    assert slug("Łódź Smørrebrød Cæsar Œuvre Þór Đà ılık") == "lodz-smorrebrod-caesar-oeuvre-thor-da-il"
    assert slug("漢字") == "run"
    assert slug("A" * 300) == "a" * 40


@given(st.text())
def test_slugs_are_safe_names_on_every_disk(text):
    name = slug(text)
    assert 1 <= len(name) <= 40
    assert name.isascii()
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert name[0] != "-"
    assert name[-1] != "-"


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8), min_size=1))
def test_row_86_no_text_in_a_csv_begins_like_a_formula(texts):
    read = pl.read_csv(csv_bytes(pl.DataFrame({"name": texts, "n": [-1.5] * len(texts)})), infer_schema_length=0)
    for text, back in zip(texts, read["name"].to_list(), strict=True):
        assert not (back or "").startswith(("=", "+", "-", "@", "\t", "\r"))
        assert (back or "") in (text, f"'{text}")
    assert set(read["n"].to_list()) == {"-1.5"}


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_numbers_keep_all_their_digits(values):
    read = pl.read_csv(csv_bytes(pl.DataFrame({"n": values})), schema={"n": pl.Float64})
    assert read["n"].to_list() == values
