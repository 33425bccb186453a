"""Notebooks show scenarios, runs, comparisons and sweeps; figures come by name; names from data stay text."""

from __future__ import annotations

import re
import sys
from functools import cache
from importlib.util import find_spec
from types import SimpleNamespace

import pytest

import kpiopt
from kpiopt.errors import UsageError
from kpiopt.run.frames import as_pandas, tables_of
from kpiopt.run.run import Run
from tests.report import by_period
from tests.report.organizations import HOSTILE, write_scorecard


@cache
def run() -> Run:
    return kpiopt.solve("scenarios/hand-solved.toml", overrides=("simulation.draws=512",))


def test_values_show_their_figures():
    shown = run()._repr_html_()
    assert run().simulation.all_goals.text in shown and "108,000" in shown
    assert "Sales" in run().scenario._repr_html_()
    sweep = kpiopt.sweep("scenarios/hand-solved.toml", ["budget.pay.limit=600,700"], simulate=False)
    assert sweep._repr_html_().count("<tr>") == 3
    compared = kpiopt.compare("scenarios/hand-solved.toml", "scenarios/hand-solved.toml:lean", simulate=False)
    assert compared._repr_html_().count("<tr>") == 3 and "2 of 2" in compared._repr_html_()


def test_figures_by_name():
    for name, title in (
        ("map", "Strategy map"),
        ("bridge Sales", "Bridge, Sales"),
        ("odds", "Odds"),
        ("cascade", "Cascade"),
    ):
        figure = run().figure(name)
        assert figure.title.startswith(title) and figure.svg.startswith("<svg") and figure.svg in figure._repr_html_()
    with pytest.raises(UsageError, match="tornado"):
        run().figure("nothing of the kind")


def test_figures_and_frames_of_comparisons_and_sweeps():
    compared = kpiopt.compare(
        "scenarios/hand-solved.toml", "scenarios/hand-solved.toml:lean", overrides=("simulation.draws=256",)
    )
    swept = kpiopt.sweep(
        "scenarios/hand-solved.toml", ["budget.pay.limit=500,600,700"], overrides=("simulation.draws=256",)
    )
    for answer in (compared, swept):
        with pytest.raises(UsageError) as raised:
            answer.figure("nothing like it")
        titles = re.findall('"([^"]+)"', raised.value.problems[0].fix or "")
        assert titles
        for title in titles:
            assert answer.figure(title).title == title and answer.figure(title).svg.startswith("<svg")
    frame = compared.frame
    assert frame["scenario"].to_list() == [compared.base.label, compared.others[0].second.label]
    assert frame["odds"].to_list()[0] == compared.base.simulation.all_goals.estimate
    assert frame["pay"].to_list()[1] == compared.others[0].second.pay
    if find_spec("pandas") is None:
        with pytest.raises(UsageError, match="pandas"):
            compared.to_pandas()


def test_a_tornado_is_studied_when_it_is_asked_for():
    assert "Tornado" in run().figure("tornado").title


def test_names_stay_text(tmp_path):
    path = write_scorecard(tmp_path, len(HOSTILE), names=HOSTILE)
    hostile = kpiopt.solve(path, simulate=False)
    for shown in (hostile._repr_html_(), hostile.scenario._repr_html_(), hostile.figure("map").svg):
        tags = {tag.lower() for tag in re.findall(r"<([a-zA-Z]+)", shown)}
        assert not tags & {"script", "img", "iframe", "a", "object", "foreignobject"}


def test_pandas_where_it_is_there(monkeypatch):
    if find_spec("pandas") is None:
        with pytest.raises(UsageError, match="pandas"):
            run().to_pandas()
    else:
        frame = run().to_pandas()
        assert list(frame.columns) == run().targets.columns and len(frame) == run().targets.height


def test_pandas_needs_no_pyarrow(monkeypatch):
    """A stand-in for pandas takes columns; pyarrow cannot be imported, as where it is not installed."""
    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=dict))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for answer in (run(), by_period.run()):
        assert list(answer.to_pandas()) == answer.targets.columns
        for table in tables_of(answer.as_dict()).values():
            assert [len(column) for column in as_pandas(table).values()] == [table.height] * table.width


def test_a_pandas_that_lacks_a_package_says_which(monkeypatch):
    def lack(name):
        raise ModuleNotFoundError("No module named 'pyarrow'", name="pyarrow")

    monkeypatch.setattr("kpiopt.run.frames.import_module", lack)
    with pytest.raises(UsageError, match="pyarrow") as raised:
        run().to_pandas()
    assert raised.value.problems[0].fix == "pip install pyarrow, or use the polars table itself"


def test_figures_of_a_plan_by_period():
    found = by_period.run()
    assert "Strategy map" in found.figure("map").title or found.figure("map").svg.startswith("<svg")
    for name in ("bridge", "odds Sales in T2", "cascade", "stretch", "fairness", "pay", "by period", "when", "limits"):
        assert found.figure(name).svg.startswith("<svg"), name
    assert found.figure("by period quality").title == "By period, Quality"
    assert "<table>" in found._repr_html_() and "Sales in T2" in found._repr_html_()
    assert "periods: T1 to T3" in found.scenario._repr_html_()


def test_the_frame_of_a_plan_by_period_has_the_periods():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = by_period.run().to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert set(frame["period"].dropna()) == {"T1", "T2", "T3"}


def test_numbers_stay_numbers_in_pandas():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    for ours in (by_period.run().targets, *tables_of(by_period.run().as_dict()).values()):
        frame = as_pandas(ours)
        for name, kind in ours.schema.items():
            assert pandas.api.types.is_float_dtype(frame[name]) or not kind.is_float(), name
            theirs = [None if pandas.isna(value) else value for value in frame[name]]
            assert theirs == ours[name].to_list(), name
