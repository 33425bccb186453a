"""What stands on a map: amounts along arrows recomputed, selections, texts for other tools."""

import json
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from kpiopt.errors import UsageError
from kpiopt.graph import build_graph
from kpiopt.graph.hand_down import leaves_below, share_below
from kpiopt.report.strategy_map.collect import MapSource, collect_map
from kpiopt.report.strategy_map.drawing import draw_map
from kpiopt.report.strategy_map.export import svg_to_pdf, svg_to_png
from kpiopt.report.strategy_map.selection import select_cards, unit_of
from kpiopt.report.strategy_map.texts import map_as_dict, map_as_dot, map_as_mermaid
from kpiopt.scenario.load import load_scenario
from tests.report.organizations import HOSTILE, write_scorecard

SCORECARD = "scenarios/scorecard.toml"


@pytest.fixture(scope="module")
def graph():
    return build_graph(load_scenario(SCORECARD))


@pytest.fixture(scope="module")
def found(graph):
    return collect_map(MapSource(graph))


def test_arrows_carry_what_the_root_changes_by_when_the_cause_moves_everywhere(graph, found):
    """A change of 1 of call-backs, handed down to its leaves and swept through direct causes only."""
    start = leaves_below(graph, graph.find_node("call_back_rate"))
    moved = graph.sweep(start, graph.roll_up_matrix)
    assert moved[graph.find_node("call_back_rate")] == pytest.approx(1.0)
    direct = graph.sweep(graph.cause_matrix @ moved, graph.roll_up_matrix)
    for arrow in found.arrows:
        if arrow.cause == "kpi.call_back_rate":
            effect = graph.find_node(arrow.effect.removeprefix("kpi."))
            assert arrow.amount == pytest.approx(direct[effect])


def test_shares_of_what_can_move_a_kpi_are_shares(found):
    assert all(0 <= arrow.share <= 1 for arrow in found.arrows)
    assert any(arrow.share > 0.1 for arrow in found.arrows)


def test_every_cause_of_the_file_has_its_arrow(graph, found):
    drawn = {(a.cause, a.effect) for a in found.arrows}
    scenario = graph.scenario
    written = {
        (f"{'factor' if d.is_factor else 'kpi'}.{d.cause}", f"kpi.{k.id}")
        for k in scenario.kpis.values()
        for d in k.drivers
    } | {(f"initiative.{i.id}", f"kpi.{e.kpi}") for i in scenario.initiatives.values() for e in i.effects}
    assert drawn == written


def test_a_sum_is_handed_down_by_baseline_a_mean_in_full(graph):
    node = graph.find_node("new_contracts")
    shares = leaves_below(graph, node)
    below = np.flatnonzero(shares)
    baseline = graph.baseline[below]
    assert shares[below] == pytest.approx(baseline / baseline.sum())
    at = np.zeros(graph.n_nodes)
    at[graph.find_node("satisfaction")] = 1.0
    assert set(share_below(graph, at)) == {0.0, 1.0}


def ids(found):
    return {card.id for card in found.cards}


def test_upstream_and_downstream(found):
    up, down = ids(select_cards(found, ["+satisfaction"])), ids(select_cards(found, ["satisfaction+"]))
    assert "kpi.availability" in up and "initiative.technician_academy" in up and "kpi.operating_profit" not in up
    assert down >= {"kpi.satisfaction", "kpi.retention", "kpi.operating_profit"} and "kpi.availability" not in down
    assert ids(select_cards(found, ["+satisfaction+"])) == up | down
    assert ids(select_cards(found, ["satisfaction"])) >= {"kpi.satisfaction", "kpi.availability", "kpi.retention"}


def test_perspectives_objectives_and_several_selections(found):
    assert "kpi.retention" in ids(select_cards(found, ["perspective:customer"]))
    assert ids(select_cards(found, ["objective:safety"])) == {"kpi.safety_incidents"}
    both = select_cards(found, ["objective:safety", "objective:loyalty"])
    assert len(both.bands) == 2 and {g.band for g in both.groups} == {0, 1}


def test_a_unit_has_its_own_map(graph):
    unit = unit_of(["unit:field"], graph.scenario.units.ids)
    own = collect_map(MapSource(graph), unit)
    assert "kpi.answer_time" not in ids(own) and "kpi.first_time_fix" in ids(own)
    assert own.unit == "field"


@pytest.mark.parametrize(
    ("text", "said"),
    [("+satisfacion", "satisfaction"), ("perspective:custommer", "customer"), ("objective:safty", "safety")],
)
def test_what_is_not_there_is_named_with_what_is(found, text, said):
    with pytest.raises(UsageError, match="there is no") as error:
        select_cards(found, [text])
    assert said in error.value.problems[0].fix


def test_an_unknown_unit_is_an_error(graph):
    with pytest.raises(UsageError, match="no unit"):
        unit_of(["unit:feld"], graph.scenario.units.ids)


def test_mermaid_dot_and_json_have_every_card_and_arrow(found):
    document = map_as_dict(found)
    assert len(document["cards"]) == len(found.cards) and len(document["arrows"]) == len(found.arrows)
    json.dumps(document, allow_nan=False)
    mermaid, dot = map_as_mermaid(found), map_as_dot(found)
    assert len(re.findall(r"-->|-\.->", mermaid)) == len(re.findall(r" -> ", dot)) == len(found.arrows)
    assert mermaid.count('["') == len(found.cards) + len(found.bands)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    path = write_scorecard(tmp_path_factory.mktemp("hostile"), len(HOSTILE), names=HOSTILE)
    return collect_map(MapSource(build_graph(load_scenario(path))))


def test_names_from_data_stay_text_in_every_form(hostile):
    svg = draw_map(hostile)
    root = ET.fromstring(svg)
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert tags <= {"svg", "title", "desc", "style", "g", "path", "rect", "text", "tspan"}
    names = {name for element in root.iter() for name in element.attrib}
    assert not [name for name in names if name.startswith("on") or name in ("href", "src", "style")]
    assert any('"><img src=x onerror=alert(1)>' in (element.text or "") for element in root.iter())
    assert "<script" not in svg and "\u202e" not in svg and "\u2028" not in svg
    mermaid = map_as_mermaid(hostile)
    assert "<script" not in mermaid and "click" not in mermaid.split("\n")[0]
    dot = map_as_dot(hostile)
    assert len(re.findall(r'(?<!\\)"', dot)) % 2 == 0
    assert "\u202e" not in mermaid + dot


def test_png_and_pdf(found):
    svg = draw_map(found, dark=False)
    pytest.importorskip("resvg_py")
    png = svg_to_png(svg)
    assert png[:8] == b"\x89PNG\r\n\x1a\n" and len(png) > 100_000
    pytest.importorskip("typst")
    pdf = svg_to_pdf(svg, found.title)
    assert pdf[:5] == b"%PDF-" and len(re.findall(rb"/Type\s*/Page\b", pdf)) == 1


def test_screen_readers_hear_what_cards_show_and_keyboards_reach_them(found):
    root = ET.fromstring(draw_map(found))
    assert root.attrib["role"] == "group" and root.attrib["aria-label"] == found.title
    cards = [element for element in root.iter() if element.attrib.get("role") == "button"]
    assert len(cards) == len(found.cards)
    assert all(card.attrib["tabindex"] == "0" and card.attrib["aria-label"] for card in cards)
    said = next(c.attrib["aria-label"] for c in cards if c.attrib["data-id"] == "kpi.satisfaction")
    assert "driven by" in said and "System availability" in said and "drives Contract retention" in said


def test_only_perspectives_of_the_file_are_offered(found):
    assert {band.id for band in found.bands} >= {"foot"}
    with pytest.raises(UsageError, match='no perspective "xx"') as error:
        select_cards(found, ["perspective:xx"])
    offered = error.value.problems[0].fix.removeprefix("write one of ").split(", ")
    assert offered == [band.id for band in found.bands if band.id not in ("foot", "other")]


def test_a_file_without_perspectives_offers_none(tmp_path):
    (tmp_path / "s.toml").write_text(
        'schema = 1\nname = "s"\n[kpi.sales]\n[unit.a]\n[cell."a/sales"]\nbaseline = 100\nmax_stretch = 20\n'
    )
    bare = collect_map(MapSource(build_graph(load_scenario(tmp_path / "s.toml"))))
    with pytest.raises(UsageError) as error:
        select_cards(bare, ["perspective:xx"])
    assert error.value.problems[0].fix == "the file has no perspectives: name a KPI, such as --select +sales"
