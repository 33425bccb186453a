"""Pages of what was learned and of back-tests: their figures are those of the documents, names from data stay text."""

import html
import json
import re

import numpy as np

from kpiopt.cli.app import main
from kpiopt.learning.components import PENALTY
from kpiopt.learning.fit import FitOptions, fit_history
from kpiopt.learning.history_file import read_history
from kpiopt.report.drawing.short import short
from kpiopt.report.learning.fit_page import PARTS, fit_page
from kpiopt.scenario.load import load_scenario
from tests.report.browser import assert_readable
from tests.report.organizations import HOSTILE


def words(page):
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def test_the_page_of_a_fit_says_what_the_document_says(folder):
    out = folder / "fitted"
    words_of = ["fit", str(folder / "history.csv"), "--model", str(folder / "model.toml"), "--out", str(out)]
    assert main([*words_of, "--draws", "200"]) == 0
    document, said = json.loads((out / "fit.json").read_text()), words((out / "fit.html").read_text("utf-8"))
    for entry in document["baselines"]:
        total = entry["total"]
        assert short(total["mean"], 4) in said
        assert f"{short(total['p5'])} to {short(total['p95'])}" in said
    (c,) = document["contributions"]
    low, high = (c["data"][end] for end in ("low", "high"))
    assert f"{short(c['data']['estimate'])} ({short(low)} to {short(high)})" in said
    assert f"{short(c['posterior']['mean'])} ({short(c['posterior']['low'])}" in said
    for title in ("Past and horizon", "Seasons", "What scatters", "Tree of baselines", "The map held against history"):
        assert title in said
    assert "visits sales raises raises confirmed" in said


def test_slices_of_the_tree_add_up(folder):
    found = fit_history(
        read_history(folder / "history.csv"), load_scenario(folder / "model.toml"), FitOptions(draws=200)
    )
    page = fit_page(found, load_scenario(folder / "model.toml"))
    for f in found.forecasts:
        means = f.draws.mean(axis=0)
        north = float(means[[i for i, unit in enumerate(f.units) if unit in ("t0", "t1", "t2")]].sum())
        assert f"north: {short(north)} (± " in page and f"co: {short(float(means.sum()))} (± " in page
        assert np.isclose(f.draws.sum(axis=1).mean(), means.sum())


def test_hostile_names_stay_text_and_nothing_overlaps(folder, tmp_path):
    text = (folder / "history.csv").read_text()
    for i, name in enumerate(HOSTILE[:6]):
        text = text.replace(f"t{i},", '"' + name.replace('"', '""') + '",')
    text = text.replace(",visits,", ',"<svg onload=alert(1)> & a KPI with a very long name indeed",')
    (folder / "history.csv").write_text(text, "utf-8")
    page = fit_page(fit_history(read_history(folder / "history.csv"), None, FitOptions(draws=100)))
    tags = {tag.lower() for tag in re.findall(r"<([a-zA-Z]+)", page)}
    assert not tags & {"script", "img", "foreignobject", "iframe", "a", "object", "embed", "link"}
    assert "unsafe" not in page
    assert_readable(tmp_path / "page.html", page)


def test_the_page_of_a_backtest_has_coverage_and_the_reliability_of_past_odds(folder, tmp_path):
    lines = (folder / "history.csv").read_text().splitlines()
    asked = [f"{line},{float(line.split(',')[3]) * (0.9 + 0.05 * (i % 5))}" for i, line in enumerate(lines[1:])]
    (folder / "history.csv").write_text("\n".join([lines[0] + ",target", *asked]) + "\n")
    page = tmp_path / "backtest.html"
    command = ["backtest", str(folder / "model.toml"), str(folder / "history.csv"), "--origins", "2"]
    assert main([*command, "--draws", "100", "--html", str(page)]) == 0
    document, said = json.loads((folder / "backtest.json").read_text()), words(page.read_text("utf-8"))
    assert document["verdict"][1:] in said
    for score in document["scores"]:
        assert f"{score['kpi']}, {score['level']}, {score['horizon']} ahead" in said
    assert "Reliability" in said and f"{document['targets']['brier']:.3f}" in said
    assert main([*command, "--draws", "100", "--html", str(folder / "history.csv")]) == 8
    assert_readable(page, page.read_text("utf-8"))


def test_every_part_of_the_tree_has_words():
    assert set(PENALTY) <= set(PARTS)
