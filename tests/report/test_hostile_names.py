"""Sixty hostile names of KPIs, units, initiatives and factors through every output: names stay names."""

import csv
import io
import json
import re

import pytest

from kpiopt.cli.app import main
from tests.report.organizations import HOSTILE, write_scorecard
from tests.report.page.test_page import Tags
from tests.report.workbook.formulas import WorkbookText

NAMES = [
    *HOSTILE,
    "+1+1", "-2", "@SUM(1)", "\tcmd", "=HYPERLINK(\"http://e.x\")", "=1+1", "%0A=1", "'quoted",
    "https://evil.example", "file:///etc/passwd", "mailto:x@y.z", "//host/x", "javascript&colon;alert(1)",
    "<iframe src=//e.x>", "<a href=javascript:alert(1)>x</a>", "</style><style>*{display:none}", "</title>", "</svg>",
    "<!--", "--><script>alert(1)</script>", "<![CDATA[<script>]]>", "&#60;script&#62;", "<base href=//e.x>",
    "<meta http-equiv=refresh content=0>", "<details open ontoggle=alert(1)>", '" autofocus onfocus="alert(1)',
    "`${alert(1)}`", "');alert(1);//", '\\");alert(1)//', "{% import os %}", "{# x #}", "#{7*7}", "<%= 7*7 %>",
    '#read("/etc/passwd")', '#image("x.png")', "$ x $ *y* _z_", "@ref <label>", '"]; x [URL="javascript:1"', 'a\\"b\\',
    "end", 'click A href "javascript:1"', "A-->B", "%%{init: {}}%%", "\x1b[31mred", "\x1b]8;;http://e.x\x07x",
    "\u2066iso\u2069", "x" * 300,
]  # fmt: skip
BAD = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
QUOTED = re.compile(r'"(?:\\.|[^"\\])*"')
PICTURES = {"svg", "title", "desc", "style", "g", "path", "rect", "text", "tspan", "circle", "line"}
PAGES = PICTURES | {
    "html", "head", "meta", "body", "main", "section", "div", "span", "h1", "h2", "h3", "p", "b", "table", "thead",
    "tbody", "tr", "th", "td", "details", "summary", "script", "button", "input", "label", "output", "ul", "li",
}  # fmt: skip


def quoted(name):
    return '"' + "".join(c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in name) + '"'


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    path = write_scorecard(folder, len(NAMES), names=NAMES, draws=64)
    text = path.read_text("utf-8")
    for plain, name in zip(("Team 0", "Team 1", "Team 2", "The company", "The market", "Academy for everybody",
                            "Made-up scorecard"), NAMES, strict=False):  # fmt: skip
        text = text.replace(f'"{plain}"', quoted(name))
    path.write_text(text + "[variant.lean]\nbudget.cash.limit = 100\n", "utf-8")
    assert main(["solve", str(path), "--out", str(folder / "runs")]) == 0
    return path, next((folder / "runs").iterdir())


def require_markup(text, allowed):
    tags = Tags(text)
    assert {tag for tag, _ in tags.found} <= allowed
    names = {(name, tag) for tag, attributes in tags.found for name in attributes}
    assert not [pair for pair in names if pair[0].startswith("on") or pair[0] in ("href", "src", "style", "srcset")]
    assert not BAD.search(text)
    assert "alert(1)" not in "".join(s for s in tags.scripts if not s.lstrip().startswith("{"))


@pytest.mark.nightly
def test_there_are_sixty():
    assert len(set(NAMES)) >= 60


@pytest.mark.nightly
def test_the_run_folder(kept, capsys):
    _, run = kept
    require_markup((run / "report.html").read_text("utf-8"), PAGES)
    book = WorkbookText((run / "plan.xlsx").read_bytes())
    assert not any("<hyperlink" in part for part in book.parts.values())
    assert not any("ddeLink" in part or "externalLink" in part for part in book.parts)
    for sheet, cell in book.formulas:
        book.work_out(sheet, cell)
    for file in run.glob("*.csv"):
        for row in csv.reader(io.StringIO(file.read_text("utf-8-sig"))):
            for field in row:
                assert not BAD.search(field)
                assert field[:1] not in ("=", "@", "\t", "\r"), (file.name, field)
    assert not BAD.search((run / "summary.txt").read_text("utf-8").replace("\n", ""))
    assert main(["explain", str(run), "company/k0"]) == 0
    assert not BAD.search(capsys.readouterr().out)


@pytest.mark.nightly
@pytest.mark.parametrize("form", ["svg", "html", "json", "mmd", "dot", "pdf", "png"])
def test_maps(kept, tmp_path, form):
    path, _ = kept
    file = tmp_path / f"map.{form}"
    assert main(["map", str(path), "--file", str(file)]) == 0
    if form in ("pdf", "png"):
        require_no_action(file.read_bytes())
        return
    text = file.read_text("utf-8")
    if form in ("svg", "html"):
        require_markup(text, PAGES if form == "html" else PICTURES)
    elif form == "json":
        assert "<script" in json.dumps(json.loads(text))
    else:
        outside = QUOTED.sub("", text)
        assert not re.search(r"javascript|URL|href|click|init|<", outside.replace("<br", "")), outside
        assert '"' not in outside


@pytest.mark.nightly
def test_scorecards_reports_comparisons_and_sweeps(kept, tmp_path):
    path, run = kept
    for form in ("html", "pdf"):
        assert main(["report", str(run), "--scorecard", "team0", f"--{form}", str(tmp_path / f"card.{form}")]) == 0
        assert main(["report", str(run), f"--{form}", str(tmp_path / f"report.{form}")]) == 0
    compared = ["compare", str(path), f"{path}:lean", "--html", str(tmp_path / "compare.html"), "--no-study"]
    assert main(compared) == 0
    swept = ["sweep", str(path), "--over", "budget.cash.limit=100,500", "--out", str(tmp_path / "runs")]
    assert main([*swept, "--html", str(tmp_path / "sweep.html")]) == 0
    for file in tmp_path.glob("*.html"):
        require_markup(file.read_text("utf-8"), PAGES)
    for file in tmp_path.glob("*.pdf"):
        require_no_action(file.read_bytes())


def require_no_action(content):
    assert not re.search(rb"/URI\b|/JavaScript\b|/JS\b|/Launch\b|/EmbeddedFile\b", content)
