"""Equal names: each carries its id wherever it is shown; and a scorecard says what really stops a target."""

import html
import re
from pathlib import Path

import pytest

import kpiopt
from kpiopt.cli import main

FAULT = Path(__file__).parents[1] / "data" / "faults" / "same_names.toml"


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The texts of a kept run of an organization in which everything bears the name of its neighbour."""
    folder, read = tmp_path_factory.mktemp("same"), {}
    assert main(["solve", str(FAULT), "--out", str(folder / "runs"), "--draws", "64"]) == 0
    run = str(next((folder / "runs").iterdir()))
    for name, words in {"report": ["--no-levers"], "c": ["--scorecard", "c"], "d": ["--scorecard", "d"]}.items():
        path = folder / f"{name}.html"
        assert main(["report", run, "--html", str(path), *words]) == 0
        page = re.sub(r"(?s)<(script|style).*?</\1>", "", path.read_text("utf-8"))
        read[name] = re.sub(r"[\s|]*\|[\s|]*", "|", html.unescape(re.sub(r"<[^>]+>", "|", page)))
    return read


def test_whatever_shares_its_name_is_shown_with_its_id():
    scenario = kpiopt.load(FAULT)
    assert [i.name for i in scenario.initiatives.values()] == ["Train (i1)", "Train (i2)"]
    assert [f.name for f in scenario.factors.values()] == ["Market (m1)", "Market (m2)"]
    assert [k.name for k in scenario.kpis.values()] == ["Sales (s1)", "Sales (s2)"]


def test_no_picture_shows_two_things_by_one_name(pages):
    for name in ("Train", "Market", "North"):
        assert f"|{name}|" not in pages["report"]
    assert "|Train (i1)|+6|Train (i2)|+4|" in pages["report"]


def test_a_scorecard_says_each_thing_once_and_what_stops_a_target(pages):
    sentence = "Improving Sales (s1) by 10 EUR raises Sales (s1) of the organization by 10 EUR."
    assert pages["c"].count(sentence) == 1
    assert "|your h is used up|" in pages["c"]
    assert "|your range is used up|" in pages["d"]
    assert "need no more" not in pages["c"] + pages["d"]


def test_perspectives_and_objectives_of_one_name(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text(
        'schema = 1\nname = "s"\n[perspective.p]\nname = "Money"\n[perspective.q]\nname = "money"\n'
        '[objective.a]\nname = "Grow"\nperspective = "p"\n[objective.b]\nname = "Grow"\nperspective = "q"\n'
        '[kpi.k]\nobjective = "a"\n[kpi.l]\nobjective = "b"\n[unit.co]\n[cell."co/k"]\nbaseline = 1\n'
        '[cell."co/l"]\nbaseline = 1\n',
        "utf-8",
    )
    scenario = kpiopt.load(path)
    assert [p.name for p in scenario.perspectives.values()][:2] == ["Money (p)", "money (q)"]
    assert [o.name for o in scenario.objectives.values()] == ["Grow (a)", "Grow (b)"]
