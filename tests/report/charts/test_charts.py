"""Charts show their numbers: positions are read back from the picture."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from kpiopt.report.charts.bridge import bridge_figure, bridge_range
from kpiopt.report.charts.exceedance import exceedance_figure, histogram_figure
from kpiopt.report.charts.frame import Scale, tick_texts
from kpiopt.report.charts.heat import SHADES, Slice, _contrast, heat_map_figure, icicle_figure, shade, shade_style
from kpiopt.report.charts.marks import FrontierPoint, OddsBar, PeerRow, frontier_figure, odds_figure, peers_figure
from kpiopt.report.charts.tornado import TornadoBar, tornado_figure
from kpiopt.report.drawing.fit import fit, fold, text_width
from kpiopt.report.drawing.short import short_pair, short_steps
from kpiopt.simulation.odds import Estimate


def elements(svg, tag, kind=""):
    root = ET.fromstring(svg)
    found = [e for e in root.iter() if e.tag.rpartition("}")[2] == tag]
    return [e for e in found if kind in e.attrib.get("class", "").split()] if kind else found


def box(element):
    return [float(element.attrib[k]) for k in ("x", "y", "width", "height")]


def texts(svg):
    return ["".join(e.itertext()) for e in elements(svg, "text")]


def test_a_bridge_leads_from_one_end_to_the_other():
    svg = bridge_figure(("a", 1000.0), [("x", -30.0), ("y", 50.0)], ("b", 1020.0), "USD").wide
    first, down, up, last = [box(e) for e in elements(svg, "rect")]
    assert down[1] == pytest.approx(first[1], abs=0.2)  # the fall begins at the top of the first bar
    assert up[1] + up[3] == pytest.approx(down[1] + down[3], abs=0.2)  # the rise where the fall ended
    assert last[1] == pytest.approx(up[1], abs=0.2)
    assert up[3] / down[3] == pytest.approx(50 / 30, rel=0.02)
    assert {"1,000", "-30", "+50", "1,020"} <= set(texts(svg))


def test_what_raises_a_value_that_should_fall_is_not_drawn_as_good():
    up, down = (
        bridge_figure(("a", 1.0), [("x", 1.0)], ("b", 2.0), more_is_better=better).wide for better in (True, False)
    )
    assert elements(up, "rect", "teal") and not elements(up, "rect", "red")
    assert elements(down, "rect", "red") and not elements(down, "rect", "teal")


def test_a_bridge_shows_its_steps_on_an_axis_that_holds_them_all():
    low, high = bridge_range(1000.0, [-30.0, 50.0])
    assert 0 < low < 970 and high > 1020


def test_an_exceedance_curve_goes_through_its_goal():
    values = np.random.default_rng(1).normal(100.0, 10.0, 20_000)
    hit = float(np.mean(values >= 105.0))
    figure = exceedance_figure(values, (105.0, 105.0), Estimate(hit, hit - 0.01, hit + 0.01, ""), "EUR", 100.0)
    (dot,) = elements(figure.wide, "circle")
    curve = next(e for e in elements(figure.wide, "path") if e.attrib["class"] == "curve").attrib["d"]
    points = np.array([[float(n) for n in p.split()] for p in re.sub("[ML]", "|", curve).strip("|").split("|")])
    at = np.interp(float(dot.attrib["cx"]), points[:, 0], points[:, 1])
    assert at == pytest.approx(float(dot.attrib["cy"]), abs=1.5)
    assert any("goal 105" in text and "%" in text for text in texts(figure.wide))


def test_an_exceedance_curve_of_what_should_fall_counts_from_below():
    values = np.linspace(0.0, 1.0, 1001)
    svg = exceedance_figure(values, (0.9, 0.9), Estimate(0.9, 0.89, 0.91, ""), "days", 0.5, sign=-1).wide
    curve = next(e for e in elements(svg, "path") if e.attrib["class"] == "curve").attrib["d"]
    heights = [float(p.split()[1]) for p in re.sub("[ML]", "|", curve).strip("|").split("|")]
    assert heights == sorted(heights, reverse=True)


def test_pay_above_its_budget_is_drawn_as_bad():
    values = np.linspace(0.0, 100.0, 3201)
    svg = histogram_figure(values, 75.0, 60.0, "EUR", "Pay").wide
    red, blue = elements(svg, "rect", "red"), elements(svg, "rect", "blue")
    assert len(red) == 7 and len(blue) == 25  # the bar that the budget parts counts as within it


def test_an_icicle_keeps_widths_and_a_heat_map_its_shades():
    svg = icicle_figure([Slice("all", 0, 0, 1, "10", "", 0.1), Slice("a", 1, 0, 0.25, "2.5", "", 0.9)], "x").wide
    whole, quarter = [box(e) for e in elements(svg, "rect")]
    assert quarter[2] == pytest.approx(whole[2] / 4, abs=0.2) and quarter[1] > whole[1]
    svg = heat_map_figure(["u"], ["k", "l", "m"], [[0.0, 1.0, None]], "x").wide
    assert [e.attrib["class"] for e in elements(svg, "rect")] == ["h0", f"h{SHADES - 1}", "none"]


def test_an_icicle_names_who_has_a_short_name():
    svg = icicle_figure([Slice("Ann", 0, 0, 1, "10", "", 0.1)], "x").wide
    assert ">Ann<" in svg and ">10<" in svg


def test_a_figure_in_an_icicle_is_whole_or_not_there():
    parts = [Slice("Region", 0, 0, share, "4.13 M (+10.6 %)", "", 0.1) for share in (1, 0.2, 0.13, 0.08, 0.02)]
    told = [re.findall(r'class="t\d+">([^<]*)<', icicle_figure([part], "x").wide) for part in parts]
    assert told == [["4.13 M (+10.6 %)"], ["4.13 M (+10.6 %)"], ["4.13 M"], ["4.13 M"], []]


def test_a_tornado_has_its_widest_bar_on_top_and_starts_at_the_base():
    bars = [TornadoBar("small", 0.5, 0.6), TornadoBar("large", 0.2, 0.9, "low", "high", 0.3, 0.95)]
    svg = tornado_figure(bars, 0.55, "odds", is_share=True).wide
    drawn = [box(e) for e in elements(svg, "rect") if float(e.attrib["height"]) == 20]
    assert drawn[0][1] == drawn[1][1] < drawn[2][1] == drawn[3][1]
    assert drawn[0][2] / drawn[1][2] == pytest.approx(0.35 / 0.35, rel=0.02)
    assert drawn[2][2] / drawn[0][2] == pytest.approx(0.05 / 0.35, rel=0.05)
    assert len(elements(svg, "path", "paper")) == 2


def test_a_frontier_marks_knees_and_dominated_points():
    points = [
        FrontierPoint(2.0, 0.5, 0.4, 0.6, "b", is_knee=True),
        FrontierPoint(1.0, 0.1, 0.05, 0.2, "a"),
        FrontierPoint(3.0, 0.3, label="c", on_frontier=False),
    ]
    svg = frontier_figure(points, "money", "odds", y_is_share=True).wide
    assert [len(elements(svg, "circle", c)) for c in ("red", "blue", "grey")] == [1, 1, 1]
    assert len(elements(svg, "path", "whisker")) == 2
    knee, plain = elements(svg, "circle", "red")[0], elements(svg, "circle", "blue")[0]
    assert float(plain.attrib["cx"]) < float(knee.attrib["cx"]) and float(plain.attrib["cy"]) > float(knee.attrib["cy"])


def test_odds_are_drawn_with_their_intervals_and_all_goals_last():
    one = ("one", [OddsBar("all", 0.2, 0.1, 0.3, together=True), OddsBar("a", 0.5, 0.4, 0.6)])
    two = ("two", [OddsBar("b", 0.5, 0.45, 0.56, "50 %")])
    svg = odds_figure([one, two]).wide
    labels = [t for t in texts(svg) if t in ("a", "b", "all")]
    assert labels == ["a", "b", "all"]
    bar = next(e for e in elements(svg, "g") if e[0].text == "b: 50 %")
    x, _, width, _ = box(bar[1])
    ends = [float(n) for n in re.findall(r"M([\d.]+) [\d.]+H([\d.]+)", bar[2].attrib["d"])[0]]
    assert (ends[0] - x) / width == pytest.approx(0.9, abs=0.01) and (ends[1] - x) / width == pytest.approx(
        1.12, abs=0.01
    )


def test_peers_are_dots_on_one_line():
    svg = peers_figure([PeerRow("g", " (2)", [0.1, 0.2], ["a", "b"])], "stretch").narrow
    a, b = elements(svg, "circle")
    assert a.attrib["cy"] == b.attrib["cy"] and float(a.attrib["cx"]) < float(b.attrib["cx"])


def test_ticks_are_round_and_can_be_told_apart():
    assert Scale(0.0, 1.0, 0, 100).ticks() == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert tick_texts([0.0, 0.2], share=True) == ["0 %", "20 %"]
    values = Scale(38_000_000.0, 38_000_900.0, 0, 100).ticks()
    assert len(set(tick_texts(values))) == len(values)


def test_ticks_of_shares_have_the_digits_that_tell_them_apart():
    assert tick_texts([0.535, 0.54, 0.545, 0.55], share=True) == ["53.5 %", "54.0 %", "54.5 %", "55.0 %"]
    assert tick_texts([0.0, 0.2, 0.4], share=True) == ["0 %", "20 %", "40 %"]
    assert tick_texts([0.02, 0.0225, 0.025], share=True) == ["2.00 %", "2.25 %", "2.50 %"]
    assert tick_texts([0.5], share=True) == ["50 %"]


def test_names_are_cut_and_folded_to_fit():
    for name in ("Order lines of North America", "訪問訪問訪問訪問訪問訪問", "Donaudampfschifffahrt" * 3):
        assert text_width(fit(name, 12, 100), 12) <= 100
        lines = fold(name, 12, 100, 2)
        assert len(lines) <= 2 and all(text_width(line, 12) <= 100 for line in lines)
    assert fold("one two", 12, 400, 2) == ["one two"]
    assert fold("", 12, 100, 2) == [""]


@pytest.mark.parametrize(
    ("first", "second", "written"),
    [
        (38e6, 37_210_872.0, ("38.00 M", "37.21 M")),
        (38e6, 38_000_900.0, ("38.000 M", "38.001 M")),
        (0.0, 5.0, ("0", "5")),
        (-3.0, 4.0, ("-3", "4")),
        (92.78, 92.57, ("92.78", "92.57")),
        (0.0, 0.0, ("0", "0")),
    ],
)
def test_both_ends_of_a_bridge_can_be_told_apart(first, second, written):
    assert short_pair(first, second) == written


def test_steps_of_a_bridge_are_in_one_scale():
    assert short_steps([-209_510, 98_027, -679.6, 0.0]) == ["-210 k", "+98 k", "-0.68 k", "0"]


def test_values_of_a_tornado_stand_beside_its_marks():
    bars = [TornadoBar("a", 0.5, 0.5, "0.9", "1.1", 0.45, 0.55), TornadoBar("b", 0.1, 0.9, "1", "2", 0.0, 1.0)]
    svg = tornado_figure(bars, 0.5, "t", is_share=True).wide
    marks = [float(e.attrib["d"].split()[0][1:]) + 5 for e in elements(svg, "path", "paper")]
    said = {e.text: float(e.attrib["x"]) for e in elements(svg, "text")}
    for low, high, left, right in (("1", "2", min(marks), max(marks)), ("0.9", "1.1", *sorted(marks)[1:3])):
        assert said[low] <= left - 9 and said[high] >= right + 9


@pytest.mark.parametrize("odds", [0.99, 0.9, 0.5, 0.1, 0.01])
@pytest.mark.parametrize("sign", [1, -1])
def test_no_line_goes_through_what_is_said_of_a_goal(odds, sign):
    values = np.random.default_rng(3).normal(100, 10, 4000)
    goal = float(np.quantile(values, 1 - odds if sign > 0 else odds))
    told = Estimate(odds, odds - 0.01, odds + 0.01, "replicates")
    svg = exceedance_figure(values, (goal, goal), told, "EUR", 100.0, sign=sign).wide
    (label,) = (e for e in elements(svg, "text") if e.text.startswith("goal"))
    x, y, wide = float(label.attrib["x"]), float(label.attrib["y"]), text_width(label.text, 11.0, bold=True)
    start = x - wide if label.attrib["text-anchor"] == "end" else x
    (curve,) = elements(svg, "path", "curve")
    points = [tuple(map(float, point.split())) for point in curve.attrib["d"][1:].split("L")]
    a, b = np.array(points).T
    heights = np.interp(np.linspace(start, start + wide, 200), a, b)
    assert not np.any((y - 9 < heights) & (heights < y + 2))


def test_labels_of_points_keep_clear_of_points_and_intervals_and_equal_points_are_both_seen():
    points = [
        FrontierPoint(1.0, 0.5, 0.45, 0.55, "base", is_named=True),
        FrontierPoint(1.0, 0.5, 0.45, 0.55, "lean", is_named=True),
        FrontierPoint(1.05, 0.52, 0.3, 0.7, "other", is_named=True),
    ]
    svg = frontier_figure(points, "cost", "odds", y_is_share=True).wide
    labels = {
        t: (float(x), float(y)) for x, y, t in re.findall(r'<text x="([\d.]+)" y="([\d.]+)" class="halo">(\w+)<', svg)
    }
    bars = [tuple(map(float, b)) for b in re.findall(r'd="M([\d.]+) ([\d.]+)V([\d.]+)" class="whisker"', svg)]
    assert set(labels) == {"base", "lean", "other"} and len(bars) == 3
    for text, (x, y) in labels.items():
        wide = text_width(text, 11.5)
        for at, one, other in bars:
            assert not (x < at < x + wide and min(one, other) < y and y - 9 < max(one, other)), text
    radii = re.findall(r'<circle cx="[\d.]+" cy="[\d.]+" r="([\d.]+)"', svg)
    assert sorted(radii)[0] != sorted(radii)[-1]


def test_near_shares_have_near_shades_and_ink_that_is_read():
    assert abs(shade(0.839) - shade(0.832)) <= 1 and shade(0.0) == 0 and shade(1.0) == SHADES - 1
    style = shade_style()
    for part in style.split("@media")[:2]:
        for fills, inks in ("ht", "bu"):
            found = dict(re.findall(rf"\.{inks}(\d+){{fill:(#\w{{6}})}}", part))
            for level, fill in re.findall(rf"\.{fills}(\d+){{fill:(#\w{{6}})}}", part):
                assert _contrast(found[level], fill) >= 3.8, (level, fill)
            assert len(found) == SHADES


def test_peers_keep_the_role_by_which_rows_differ():
    rows = [PeerRow("A KPI with a very long name that nobody has room for", f", {r} (9)", [0.1], [""]) for r in "xy"]
    svg = peers_figure(rows, "stretch").narrow
    assert "…, x (9)" in svg and "…, y (9)" in svg
