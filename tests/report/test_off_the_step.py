"""Goals off their KPI's step: met or missed alike in every text, with the digits that decide."""

import html
import json
import re

import pytest

from kpiopt.cli import main
from kpiopt.report.numbers import odds_of_all
from kpiopt.simulation.odds import CERTAIN, Estimate

GRID = """schema = 1
name = "off the step"
currency = "EUR"
[kpi.sales]
name = "Sales"
unit = "EUR"
step = {step}
direction = "{direction}"
[unit.co]
[unit.a]
parent = "co"
[cell."a/sales"]
baseline = {baseline}
max_stretch = {room}
[goal.sales]
target = {target}
[simulation]
draws = 64
"""
CASES = {  # step, direction, baseline, room, target: what the goal reads, what the plan reaches, what is missing
    "missed": ((1000, "up", 300_000, 40_400.4, 340_400.9), ("340,400.9", "340,400.4", "0.5")),
    "missed_down": ((0.5, "down", 11, 0.7666, 10.23), ("10.230", "10.235", "0.005")),
    "met_down": ((0.5, "down", 11, 0.8, 10.23), ("10.230", "", "")),
    "tenths": ((1, "up", 100, 1.1, 101.25), ("101.25", "101.10", "0.15")),
}


@pytest.fixture(params=CASES)
def told(request, tmp_path, capsys):
    """Texts of a goal off its step: summary, explain, report, scorecard, and the answer."""
    figures, wanted = CASES[request.param]
    path = tmp_path / "s.toml"
    path.write_text(
        GRID.format(**dict(zip(("step", "direction", "baseline", "room", "target"), figures, strict=True))), "utf-8"
    )
    texts, folder = {}, tmp_path / "kept"
    for name, call in {
        "summary": ["solve", str(path), "--out", str(folder)],
        "explain": ["explain", "RUN", "co/sales"],
        "report": ["report", "RUN", "--html", str(tmp_path / "r.html"), "--no-levers"],
        "scorecard": ["report", "RUN", "--scorecard", "co", "--html", str(tmp_path / "c.html")],
    }.items():
        kept = next(folder.glob("*-*"), None) if folder.exists() else None
        assert main([str(kept) if word == "RUN" else word for word in call]) == 0
        texts[name] = capsys.readouterr().out
    for name, file in (("report", "r.html"), ("scorecard", "c.html")):
        page = re.sub(r"(?s)<(script|style).*?</\1>", "", (tmp_path / file).read_text("utf-8"))
        texts[name] = re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", "|", page)))
    goal = json.loads((kept / "run.json").read_text("utf-8"))["goals"][0]
    return goal["met"], {name: " ".join(text.split()) for name, text in texts.items()}, wanted


def test_every_text_says_the_same_of_a_goal_with_the_digits_that_decide(told):
    met, texts, (goal, plan, missing) = told
    assert met == (missing == "")
    for name, text in texts.items():
        assert goal in text, name
        assert plan in text, name
        assert missing in text, name
    beside = "met on average" if met else "is short of it by"
    assert beside in texts["explain"]
    assert beside in texts["scorecard"]
    assert ("the goal is met on average; it is certain" in texts["summary"]) == met
    assert ("its goal falls short" in texts["summary"]) != met
    assert ("The goal is met on average; it is certain." in texts["report"]) == met
    bridge = texts["report"].partition("Bridge, Sales")[2].partition("Who is asked")[0]
    assert ("short by" in bridge) != met


def test_how_likely_all_goals_are_is_a_sentence():
    certain, never = Estimate(1.0, 1.0, 1.0, CERTAIN), Estimate(0.0, 0.0, 0.0, CERTAIN)
    some = Estimate(0.5, 0.4, 0.6, "exact")
    assert [odds_of_all(n, certain) for n in (1, 2, 3)] == [
        "it is certain", "both are certain together", "all 3 are certain together"
    ]  # fmt: skip
    assert odds_of_all(5, never) == "all 5 are never reached together"
    assert [odds_of_all(n, some)[:18] for n in (1, 2, 3)] == [
        "its odds are 50.0 ", "the odds of both a", "the odds of all 3 "
    ]  # fmt: skip
