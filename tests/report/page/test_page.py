"""Pages: whole, offline, and deaf to whatever names say."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from kpiopt.errors import InternalError
from kpiopt.report.charts.bridge import bridge_figure
from kpiopt.report.drawing.svg import draw
from kpiopt.report.page.page import Card, Page, PageFigure, PageSection, PageTable, render_page, script_json, widths
from tests.report.organizations import HOSTILE


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


def render(*names):
    steps = [(name, 1.0) for name in names]
    figure = bridge_figure((names[0], 10.0), steps, (names[-1], 10.0 + len(steps)), names[0])
    blocks = [PageTable(n, (n, n), [(n, n)], caption=n, note=n) for n in names]
    blocks += [PageFigure(names[0], figure, names[-1], note=names[0], table=blocks[0])]
    section = PageSection(names[0], names, [Card(names[0], names[0])], blocks)
    return render_page(Page(names[0], names[-1], [section], names[0], {"data": {"names": names}}, ("map.js",)))


def test_names_from_data_stay_text():
    plain, evil = Tags(render(*("p" * len(name) for name in HOSTILE))), Tags(render(*HOSTILE))
    assert {tag for tag, _ in evil.found} == {tag for tag, _ in plain.found}
    assert not [
        k for _, attributes in evil.found for k in attributes if k.startswith("on") or k in ("href", "src", "style")
    ]
    assert "{{ 7 * 7 }}" in render(*HOSTILE)
    assert "alert(1)</script>" not in "".join(evil.scripts)


def test_nothing_is_fetched_and_only_its_own_scripts_and_style_count():
    page = render("a", "b")
    tags = Tags(page)
    policy = next(a["content"] for t, a in tags.found if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy
    for element in ("script", "style"):
        code = re.findall(f"<{element}>(.*?)</{element}>", page, re.DOTALL)
        hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(c.encode()).digest()).decode()}'" for c in code]
        assert code and all(h in policy for h in hashes)
    assert not [a for _, attributes in tags.found for a in attributes if a in ("src", "href", "action")]


def test_data_comes_back_from_the_page():
    text = re.search(r'<script type="application/json" id="data">(.*?)</script>', render(*HOSTILE), re.DOTALL).group(1)
    assert json.loads(text)["names"] == HOSTILE


def test_json_in_a_script_cannot_end_it():
    text = script_json(HOSTILE)
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == HOSTILE


def test_pictures_have_no_elements_and_attributes_but_known_ones():
    with pytest.raises(InternalError):
        draw("foreignObject")
    with pytest.raises(InternalError):
        draw("rect", onload="alert(1)")
    with pytest.raises(InternalError):
        draw("text", href="javascript:alert(1)")
    assert draw("text", '<b>"', aria_label='"<') == '<text aria-label="&quot;&lt;">&lt;b&gt;&quot;</text>'


def test_the_last_of_an_odd_number_of_figures_takes_the_whole_width():
    small, wide = PageTable("x", (), (), wide=False), PageTable("w", (), ())
    assert widths([small, small, small, wide, small, small]) == [False, False, True, True, False, False]
