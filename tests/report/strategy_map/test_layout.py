"""Maps are laid out so that they can be read: nothing overlaps, effects stand above causes, groups hold together."""

import itertools
import re

import pytest

from kpiopt.graph import build_graph
from kpiopt.report.strategy_map.collect import MapSource, collect_map
from kpiopt.report.strategy_map.content import Arrow, Band, Card, Group, StrategyMap
from kpiopt.report.strategy_map.order import _crossings
from kpiopt.report.strategy_map.positions import lay_out_map
from kpiopt.report.strategy_map.routes import _lanes, _over_names, group_label, route_arrows
from kpiopt.report.strategy_map.rows import MOST_ROWS, assign_rows
from kpiopt.report.strategy_map.selection import fold_by_objective
from kpiopt.scenario.load import load_scenario
from tests.report.organizations import write_scorecard


@pytest.fixture(scope="module", params=[12, 40, 80])
def found(request, tmp_path_factory):
    path = write_scorecard(tmp_path_factory.mktemp("maps"), request.param)
    return collect_map(MapSource(build_graph(load_scenario(path))))


def overlap(a, b):
    return a.x < b.right - 1e-6 and b.x < a.right - 1e-6 and a.y < b.bottom - 1e-6 and b.y < a.bottom - 1e-6


def lay_out(found):
    return lay_out_map(found, {card.id: 60.0 for card in found.cards})


def test_cards_and_passing_arrows_do_not_overlap(found):
    layout = lay_out(found)
    boxes = [*layout.cards.values(), *layout.points.values()]
    assert [pair for pair in itertools.combinations(boxes, 2) if overlap(*pair)] == []


def test_groups_hold_their_cards_and_no_others(found):
    layout = lay_out(found)
    for group in found.groups:
        box = layout.groups[group.id]
        for card in found.cards:
            assert overlap(box, layout.cards[card.id]) == (card.group == group.id)
    assert [p for p in itertools.combinations(layout.groups.values(), 2) if overlap(*p)] == []


def test_bands_stand_in_the_order_of_the_perspectives_and_hold_their_cards(found):
    layout = lay_out(found)
    assert [box.y for box in layout.bands] == sorted(box.y for box in layout.bands)
    band = {group.id: group.band for group in found.groups}
    for card in found.cards:
        box, outer = layout.cards[card.id], layout.bands[band[card.group]]
        assert outer.y < box.y and box.bottom < outer.bottom and outer.x < box.x and box.right < outer.right


def test_the_same_map_is_always_laid_out_alike(found):
    assert lay_out(found) == lay_out(found)


def chain(n, *more):
    cards = tuple(Card(f"kpi.{i}", str(i), "g") for i in range(n))
    arrows = [Arrow(f"kpi.{i + 1}", f"kpi.{i}", 1.0, 0.5) for i in range(n - 1)]
    return StrategyMap("m", "u", (Band("b", "B"),), (Group("g", "G", 0),), cards, (*arrows, *more))


def test_effects_stand_above_their_causes():
    rows = assign_rows(chain(3)).of_card
    assert [rows[f"kpi.{i}"] for i in range(3)] == [0, 1, 2]


def test_a_circle_of_kpis_is_drawn_all_the_same_without_its_weakest_arrow():
    rows = assign_rows(chain(3, Arrow("kpi.0", "kpi.2", 1.0, 0.1))).of_card
    assert [rows[f"kpi.{i}"] for i in range(3)] == [0, 1, 2]


def test_long_chains_do_not_make_a_band_a_tower():
    assert assign_rows(chain(12)).count <= MOST_ROWS + 1
    assert len(lay_out(chain(12)).cards) == 12


@pytest.mark.parametrize("name", ["scorecard", "by_period/scorecard-quarters"])
def test_a_map_of_many_kpis_fits_a_landscape_page(name):
    layout = lay_out(collect_map(MapSource(build_graph(load_scenario(f"scenarios/{name}.toml")))))
    assert 1.1 < layout.width / layout.height < 2.0


def test_crossings_are_counted():
    assert _crossings([(0, 1), (1, 0)]) == 1
    assert _crossings([(0, 0), (1, 1)]) == 0
    assert _crossings([(0, 2), (1, 1), (2, 0)]) == 3


def test_sweeps_take_crossings_away():
    """Two chains written crosswise: the optimum has none."""
    cards = tuple(Card(f"kpi.{n}", n, g) for n, g in (("a", "t"), ("b", "t"), ("c", "u"), ("d", "u")))
    arrows = (Arrow("kpi.c", "kpi.b", 1.0, 0.5), Arrow("kpi.d", "kpi.a", 1.0, 0.5))
    bands, groups = (Band("t", "T"), Band("u", "U")), (Group("t", "T", 0), Group("u", "U", 1))
    boxes = lay_out(StrategyMap("m", "x", bands, groups, cards, arrows)).cards
    assert (boxes["kpi.a"].x < boxes["kpi.b"].x) == (boxes["kpi.d"].x < boxes["kpi.c"].x)
    assert boxes["kpi.a"].x == pytest.approx(boxes["kpi.d"].x)


def test_objectives_stand_for_their_kpis(found):
    folded = fold_by_objective(found)
    objectives = [card for card in folded.cards if card.kind == "objective"]
    assert len(objectives) == len({card.group for card in found.cards if card.kind == "kpi"})
    inside = [card.id for part in folded.folded.values() for card in part.cards]
    assert {card.id for card in found.cards if card.kind == "kpi"} <= set(inside)
    assert lay_out(folded).width <= lay_out(found).width


@pytest.mark.parametrize("name", ["adventureworks-base", "scorecard"])
def test_arrows_begin_and_end_beside_the_names_of_groups(name):
    """What stands under the name of a group cannot be seen: no arrow leaves or enters a card's top there."""
    found = collect_map(MapSource(build_graph(load_scenario(f"scenarios/{name}.toml"))))
    layout, group_of, seen = lay_out(found), {group.id: group for group in found.groups}, 0
    for arrow, route in zip(found.arrows, route_arrows(found, layout), strict=True):
        ends = {arrow.cause: re.split("[CHLV]", route.line[1:])[0], arrow.effect: route.tip[1:].split("L")[0]}
        for card, place in ends.items():
            x, y = map(float, place.split())
            box, group = layout.cards[card], group_of[found.card(card).group]
            top = layout.groups[group.id]
            if group.name and abs(y - box.y) < 1 and box.y - top.y < 28:
                _, end = group_label(group, top)
                seen += 1
                assert x > end or end + 8 > box.right - 10, (card, x, end)
    assert seen > 3


def points_of(line):
    """Points along a path of upright, straight and bent pieces, as pairs."""
    found = []
    for kind, text in re.findall("([MHVLC])([^MHVLC]*)", line):
        numbers = [float(part) for part in text.split()]
        x, y = found[-1] if found else (0.0, 0.0)
        straight = {"V": [(x, numbers[0])], "H": [(numbers[0], y)]}
        corners = straight.get(kind) or list(zip(numbers[::2], numbers[1::2], strict=True))
        controls = [(x, y), *corners] if kind != "M" else corners * 2
        for i in range(41):
            row, t = controls, i / 40
            while len(row) > 1:
                row = [tuple(a + t * (b - a) for a, b in zip(p, q, strict=True)) for p, q in itertools.pairwise(row)]
            found.append(row[0])
    return found


@pytest.mark.parametrize("name", ["adventureworks-base", "scorecard", "hand-solved"])
def test_no_arrow_bends_behind_the_name_of_a_group_that_it_leaves_or_enters(name):
    """Of cards right below the name, where there is room beside it."""
    found = collect_map(MapSource(build_graph(load_scenario(f"scenarios/{name}.toml"))))
    layout, group_of, seen = lay_out(found), {group.id: group for group in found.groups}, 0
    for arrow, route in zip(found.arrows, route_arrows(found, layout), strict=True):
        for card in (arrow.cause, arrow.effect):
            group = group_of[found.card(card).group]
            box, (text, end) = layout.groups[group.id], group_label(group, layout.groups[group.id])
            own = layout.cards[card]
            if text and own.y - box.y < 28 and end + 8 <= own.right - 10:
                behind = [p for p in points_of(route.line) if box.x + 5 < p[0] < end and box.y + 4 < p[1] < box.y + 20]
                assert behind == [], (arrow.cause, arrow.effect, group.name)
                seen += 1
    assert seen > 3


@pytest.mark.parametrize("name", ["scorecard", "by_period/scorecard-quarters", "adventureworks-fitted"])
def test_no_arrow_passes_behind_the_name_of_its_own_tall_group(name):
    """Of arrows that neither begin nor end right below the name: those stand in the test above."""
    found = collect_map(MapSource(build_graph(load_scenario(f"scenarios/{name}.toml"))))
    layout = lay_out(found)
    for group in (g for g in found.groups if g.name):
        box, (_, end) = layout.groups[group.id], group_label(group, layout.groups[group.id])
        for arrow, route in zip(found.arrows, route_arrows(found, layout), strict=True):
            ends = [layout.cards[card] for card in (arrow.cause, arrow.effect)]
            own = group.id in (found.card(arrow.cause).group, found.card(arrow.effect).group)
            if own and not any(e.x < end and box.x < e.right and 0 < e.y - box.y < 28 for e in ends):
                behind = [p for p in points_of(route.line) if box.x + 5 < p[0] < end and box.y + 4 < p[1] < box.y + 20]
                assert len(behind) < 8, (arrow.cause, arrow.effect, group.name)  # its corner may be touched


def test_bends_that_would_lie_on_each_other_have_lanes():
    """Three arrows across one channel: their flat parts are apart, in the order in which they do not cross."""
    ways = [[((x, 100.0), (x + 300.0, 60.0))] for x in (10.0, 30.0, 50.0)]
    lanes = [_lanes(ways)[i, 0] for i in range(3)]
    assert lanes == sorted(lanes) and min(b - a for a, b in itertools.pairwise(lanes)) >= 5.0
    assert all(60.0 < lane <= 80.0 for lane in lanes)


def test_a_bend_begins_above_the_name_that_it_would_pass_behind():
    names = [(50.0, 150.0, 80.0)]
    assert _over_names(((40.0, 104.0), (300.0, 60.0)), 1, names) == ((40.0, 80.0), (300.0, 60.0))
    assert _over_names(((40.0, 104.0), (45.0, 60.0)), 1, names) == ((40.0, 104.0), (45.0, 60.0))
