"""Campaigns on organizations with known truth: intervals hold it as often as they say, wrong edges are found."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest

from kpiopt.learning.fit import _missing, _slopes_of
from tests.learning.organizations import EFFECT, histories, model_of
from tests.learning.past_and_future import held_and_bias

ROOT = Path(__file__).parents[2]


def slopes(model, seeds, units, **truth):
    """Slope and lag of visits -> sales in every organization."""
    kpi, found = model.kpis["sales"], []
    for seed in range(seeds):
        slope, lag, _ = _slopes_of(kpi, list(kpi.drivers), histories(seed, units, **truth), model)
        found.append((slope["visits"], lag["visits"]))
    return found


def summary(found):
    estimates = np.array([slope.estimate for slope, _ in found])
    held = [slope.interval()[0] <= EFFECT <= slope.interval()[1] for slope, _ in found]
    return np.mean(held), (estimates.mean() - EFFECT) / np.mean([slope.standard_error for slope, _ in found])


def test_intervals_hold_the_truth_and_lags_are_found(tmp_path):
    model = model_of(tmp_path, 10)
    for lag in (0, 2):
        found = slopes(model, 6, 10, lag=lag)
        coverage, bias = summary(found)
        assert coverage >= 0.6, "6 of 6 are usual, 3 or fewer come less than once in a thousand times"
        assert abs(bias) < 1.0
        assert np.mean([found_lag == lag for _, found_lag in found]) >= 0.9


def test_regions_of_two_units_have_period_means_of_their_own(tmp_path):
    """Taken together with others, what moves their regions passes for contribution: 3 standard errors of the mean."""
    coverage, bias = summary(slopes(model_of(tmp_path, 8), 4, 8))
    assert coverage >= 0.5
    assert bias < 1.0


def test_an_arrow_that_is_missing_is_found_and_one_that_is_not_is_left(tmp_path):
    model = model_of(tmp_path, 17)
    p = {d: [_missing(model, histories(s, 17, direct=d))[0].p_value for s in range(3)] for d in (0.0, 12.0)}
    assert sum(value < 0.05 for value in p[0.0]) <= 1
    assert sum(value < 0.05 for value in p[12.0]) >= 2


def test_ranges_of_baselines_hold_what_comes():
    """A quarter ahead of six years; 4 organizations, 50 futures each: far too narrow or off would show."""
    found = np.mean([held_and_bias(seed, 6, 24, per_year=4, horizon=1) for seed in range(4)], axis=0)
    assert found[0] > 0.8
    assert abs(found[2]) < 0.8


@pytest.mark.nightly
@pytest.mark.parametrize(("units", "lag"), [(5, 0), (8, 0), (10, 0), (17, 0), (17, 2), (40, 0)])
def test_over_200_organizations(tmp_path, units, lag):
    found = slopes(model_of(tmp_path, units), 200, units, lag=lag)
    coverage, bias = summary(found)
    assert 0.93 <= coverage <= 0.995
    assert abs(bias) < 0.1 + 2.0 / np.sqrt(200)
    assert np.mean([found_lag == lag for _, found_lag in found]) >= 0.9


@pytest.mark.nightly
def test_wrong_edges_over_200_organizations(tmp_path):
    """At most 5 % of the arrows that are rightly missing are accused, within what 200 can tell."""
    model = model_of(tmp_path, 17)
    accused = [_missing(model, histories(seed, 17))[0].p_value < 0.05 for seed in range(200)]
    assert np.mean(accused) <= 0.05 + 2.0 * np.sqrt(0.05 * 0.95 / 200)


def test_a_measured_row_takes_the_place_of_its_own_in_the_page(tmp_path, monkeypatch):
    """Rows stand in the order of units and periods; only the row of the same ones is written over."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    coverage = importlib.import_module("coverage_of_learning")
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- baselines: begin -->\n| head |\n|---|\n| 5 | 24 | old |\n<!-- baselines: end -->\nb\n")
    found = np.array([[0.94, 0.96, 0.1], [0.98, 0.92, -0.3]])
    for units, periods in ((40, 36), (5, 24)):
        coverage.write_row(page, "baselines", coverage.baselines_row(units, periods, found))
    row = "| 2 | 96.0 ± 2.0 % | 94.0 ± 2.0 % | -0.10 ± 0.20 |"
    assert page.read_text().splitlines()[2:6] == ["| head |", "|---|", f"| 5 | 24 {row}", f"| 40 | 36 {row}"]
    assert page.read_text().endswith("<!-- baselines: end -->\nb\n")


def test_the_page_says_what_was_measured():
    """Every row of docs/learning.md says 93 % or more held, on 100 seeds at least."""
    text = (ROOT / "docs" / "learning.md").read_text(encoding="utf-8")
    for what in ("contributions", "baselines"):
        rows = text.partition(f"<!-- {what}: begin -->")[2].partition(f"<!-- {what}: end -->")[0].splitlines()[3:]
        assert rows
        for row in rows:
            units, periods, seeds, held = (float(part.split("±")[0].strip(" %")) for part in row.split("|")[1:5])
            assert held >= 93.0, (what, units, periods)
            assert seeds >= 100, (what, units, periods)
