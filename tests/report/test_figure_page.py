"""Pages: whole, offline, and deaf to whatever names say."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from kpiopt.report import figure_page
from kpiopt.report.chart_style import GREEN, RED, short_pair, short_steps, wrapped
from kpiopt.report.charts import (
    FrontierPoint,
    OddsBar,
    bridge_figure,
    frontier_figure,
    odds_figure,
)
from kpiopt.report.figure_page import Card, Page, PageFigure, PageSection, PageTable, render_page, script_json
from kpiopt.report.tornado_chart import TornadoBar, tornado_figure

EVIL = [
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "<!-- <script>",
    "{{ 7 * 7 }}{% raw %}",
    "\u2028\u2029",
    "javascript:alert(1)",
    "a\u202eb\x1b[31m",
]


class Tags(HTMLParser):
    """All elements with their attributes, and the text of scripts."""

    def __init__(self, html):
        super().__init__()
        self.found, self.scripts = [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.found and self.found[-1][0] == "script":
            self.scripts.append(data)


@pytest.fixture
def html(monkeypatch):
    monkeypatch.setattr(figure_page, "_plotly_script", lambda: "var Plotly = {};")

    def render(*names):
        steps = [(name, 1.0) for name in names]
        figure = bridge_figure((names[0], 10.0), steps, (names[-1], 10.0 + len(steps)))
        blocks = [PageTable(n, (n, n), [(n, n)], caption=n) for n in names] + [PageFigure(names[0], figure, names[-1])]
        return render_page(
            Page(names[0], names[-1], [PageSection(names[0], names, [Card(names[0], names[0])], blocks)])
        )

    return render


def test_names_from_data_stay_text(html):
    tags = Tags(html(*EVIL))
    allowed = set(figure_page_tags(html("plain")))
    assert set(figure_page_tags(html(*EVIL))) == allowed
    assert all(not key.startswith("on") for _, attributes in tags.found for key in attributes)
    assert "alert(1)</script>" not in "".join(tags.scripts)
    assert "{{ 7 * 7 }}" in html(*EVIL)


def figure_page_tags(html):
    return [tag for tag, _ in Tags(html).found]


def test_nothing_is_fetched_and_only_its_own_scripts_run(html):
    page = html("a", "b")
    tags = Tags(page)
    policy = next(a["content"] for t, a in tags.found if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    code = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(c.encode()).digest()).decode()}'" for c in code]
    assert len(code) == 2 and all(h in policy for h in hashes)
    assert not [a for _, attributes in tags.found for a in attributes if a in ("src", "href", "action")]


def test_figures_come_back_from_the_page(html):
    page = html(*EVIL)
    text = re.search(r'<script type="application/json" id="figures">(.*?)</script>', page, re.DOTALL).group(1)
    figures = json.loads(text)
    assert figures["figure-1"]["data"][0]["type"] == "waterfall"
    assert '<div class="figure" id="figure-1"' in page


def test_the_real_plotting_script_can_stand_inside_a_page():
    script = figure_page._plotly_script()
    assert len(script) > 1_000_000 and "</script" not in script.lower()


def test_json_in_a_script_cannot_end_it():
    text = script_json(EVIL)
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == EVIL


def test_a_bridge_shows_its_steps_on_an_axis_that_holds_them_all():
    figure = bridge_figure(("a", 1000.0), [("x", -30.0), ("y", 50.0)], ("b", 1020.0))
    low, high = figure["layout"]["yaxis"]["range"]
    assert 0 < low < 970 and high > 1020
    assert figure["data"][0]["y"] == [1000.0, -30.0, 50.0, 1020.0]


def test_equal_names_keep_their_own_places_and_tags_are_shown_as_text():
    figure = bridge_figure(("a", 1.0), [("<b>x</b>", 1.0), ("<b>x</b>", 1.0)], ("a", 3.0))
    names = figure["data"][0]["x"]
    assert len(set(names)) == 4
    assert names[1] == "&lt;b&gt;x&lt;/b&gt;"


def test_a_tornado_has_its_widest_bar_on_top_and_starts_at_the_base():
    bars = [TornadoBar("small", 0.5, 0.6), TornadoBar("large", 0.2, 0.9, "low", "high", 0.3, 0.95)]
    figure = tornado_figure(bars, 0.55, "odds", is_share=True)
    low, high, anew = figure["data"]
    assert low["y"][-1] == "large"
    assert [b + x for b, x in zip([low["base"]] * 2, low["x"], strict=True)] == pytest.approx([0.5, 0.2])
    assert [high["base"] + x for x in high["x"]] == pytest.approx([0.6, 0.9])
    assert anew["x"] == [0.3, 0.95]


def test_a_frontier_marks_knees_and_dominated_points():
    points = [
        FrontierPoint(2.0, 0.5, 0.4, 0.6, "b", is_knee=True),
        FrontierPoint(1.0, 0.1, 0.05, 0.2, "a"),
        FrontierPoint(3.0, 0.3, label="c", on_frontier=False),
    ]
    dominated, frontier, knees = frontier_figure(points, "money", "odds")["data"]
    assert frontier["x"] == [1.0, 2.0]
    assert frontier["error_y"]["arrayminus"] == pytest.approx([0.05, 0.1])
    assert (dominated["x"], knees["x"]) == ([3.0], [2.0])


def test_odds_are_drawn_with_their_intervals():
    (trace,) = odds_figure([("base", [OddsBar("sales", 0.5, 0.45, 0.56)])])["data"]
    assert trace["error_y"]["array"] == pytest.approx([0.06])
    assert trace["error_y"]["arrayminus"] == pytest.approx([0.05])


def test_what_raises_a_value_that_should_fall_is_not_drawn_as_good():
    up, down = (
        bridge_figure(("a", 1.0), [("x", 1.0)], ("b", 2.0), more_is_better=better)["data"][0]["increasing"]["marker"]
        for better in (True, False)
    )
    assert (up["color"], down["color"]) == (GREEN, RED)


def test_a_bridge_runs_downwards_on_narrow_pages_with_the_same_numbers():
    figure = bridge_figure(("a", 1000.0), [("x", -30.0)], ("b", 970.0), "USD")
    (wide,), (narrow,) = figure["data"], figure["narrow"]["data"]
    assert (narrow["x"], narrow["orientation"]) == (wide["y"], "h")
    assert figure["layout"]["yaxis"]["title"]["text"] == figure["narrow"]["layout"]["xaxis"]["title"]["text"] == "USD"


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("Order lines of North America", "Order lines<br>of North<br>America"),
        ("Donaudampfschifffahrt of the whole North", "Donaudampfsc<br>hifffahrt of<br>the whole…"),
        ("訪問訪問訪問訪問", "訪問訪問訪問<br>訪問"),
        ("<b>a</b> & co", "&lt;b&gt;a&lt;/b&gt; &amp;<br>co"),
        ("", ""),
    ],
)
def test_names_are_folded_to_fit(name, lines):
    assert wrapped(name, 12, 3) == lines


@pytest.mark.parametrize(
    ("first", "second", "texts"),
    [
        (38e6, 37_210_872.0, ("38.00 M", "37.21 M")),
        (38e6, 38_000_900.0, ("38.000 M", "38.001 M")),
        (0.0, 5.0, ("0", "5")),
        (-3.0, 4.0, ("−3", "4")),
        (92.78, 92.57, ("92.78", "92.57")),
        (0.0, 0.0, ("0", "0")),
    ],
)
def test_both_ends_of_a_bridge_can_be_told_apart(first, second, texts):
    assert short_pair(first, second) == texts


def test_steps_of_a_bridge_are_in_one_scale():
    assert short_steps([-209_510, 98_027, -679.6, 0.0]) == ["−210 k", "+98 k", "−0.68 k", "0"]


def test_labels_at_both_ends_stand_inside_the_figure_and_clear_of_the_line():
    points = [FrontierPoint(x, y, label=str(x), is_named=True) for x, y in ((1.0, 0.1), (2.0, 0.5))]
    figure = frontier_figure(points, "money", "odds")
    assert figure["data"][0]["textposition"] == ["bottom right", "top left"]
    low, high = figure["layout"]["xaxis"]["range"]
    assert low < 1.0 and high > 2.0


def test_odds_of_all_goals_stand_last_though_scenarios_have_different_goals():
    one = ("one", [OddsBar("a", 0.5, 0.4, 0.6), OddsBar("all", 0.2, 0.1, 0.3, together=True)])
    two = ("two", [OddsBar("b", 0.5, 0.4, 0.6), OddsBar("all", 0.2, 0.1, 0.3, together=True)])
    drawn = odds_figure([one, two])
    assert drawn["layout"]["xaxis"]["categoryarray"] == ["a", "b", "all"]


def test_the_last_of_an_odd_number_of_figures_takes_the_whole_width(html):
    small = PageFigure("x", {}), PageFigure("y", {}), PageFigure("z", {})
    wide = PageFigure("w", {}, wide=True)
    assert figure_page._widths([*small, wide, *small[:2]]) == [False, False, True, True, False, False]
