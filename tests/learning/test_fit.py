"""`kpiopt fit` and `kpiopt backtest` from files to files."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import kpiopt
from kpiopt.cli.app import main
from kpiopt.errors import TableError
from kpiopt.graph import build_graph
from kpiopt.learning.fit import _spread_notes, inside_bounds
from kpiopt.learning.forecast import Forecast
from kpiopt.learning.history_file import read_history
from kpiopt.learning.period_names import Period
from kpiopt.learning.periods import grid_of
from kpiopt.learning.spread import spread_baselines
from kpiopt.scenario.scenario import SimulationSettings
from kpiopt.simulation.simulate import simulate
from tests.learning.conftest import MODEL
from tests.learning.test_forecast import series_of


def fit(folder: Path, *words: str) -> dict:
    arguments = ["fit", str(folder / "history.csv"), "--model", str(folder / "model.toml")]
    assert main([*arguments, "--out", str(folder / "fitted"), "--draws", "200", *words]) == 0
    return json.loads((folder / "fitted" / "fit.json").read_text())


def test_what_is_fitted_is_a_scenario_that_solves(folder):
    answer = fit(folder)
    scenario = kpiopt.load(folder / "fitted" / "fitted.toml")
    baselines = pl.read_csv(folder / "fitted" / "baselines.csv")
    cells = scenario.cells
    for row, (unit, kpi) in enumerate(zip(cells.unit.tolist(), cells.kpi.tolist(), strict=True)):
        at = (pl.col("unit") == scenario.units.ids[unit]) & (pl.col("kpi") == scenario.kpi_ids[kpi])
        assert cells.baseline[row] == pytest.approx(baselines.filter(at)["mean"].item(), rel=1e-4)
    assert len(cells) == 12
    assert (scenario.noise.sd > 0).all()
    (driver,) = scenario.kpis["sales"].drivers
    assert driver.contribution.mean == pytest.approx(5.0, abs=0.5)
    (contribution,) = answer["contributions"]
    assert contribution["data"]["low"] <= 5.0 <= contribution["data"]["high"]
    assert kpiopt.solve(scenario, simulate=False).goals[0].plan > 0


def test_what_is_drawn_from_the_fitted_model_scatters_as_the_joint_forecast(folder):
    """Units, regions and the whole: with cells drawn independently of each other totals would be far too sure."""
    shared = np.random.default_rng(4).normal(size=14).cumsum() * 0.15
    lines = (folder / "history.csv").read_text().splitlines()
    for i, line in enumerate(lines[1:], 1):
        unit, kpi, period, value = line.split(",")
        t = (int(period[:4]) - 2023) * 4 + int(period[-1]) - 1
        lines[i] = f"{unit},{kpi},{period},{float(value) * np.exp(shared[t] * (kpi == 'visits')):.6g}"
    (folder / "history.csv").write_text("\n".join(lines) + "\n")
    assert fit(folder, "--draws", "1000")["baselines"][0]["common"]["organization"] > 0.1
    graph = build_graph(kpiopt.load(folder / "fitted" / "fitted.toml"))
    draws = pl.read_parquet(folder / "fitted" / "draws.parquet")
    below = {"co": range(6), "north": range(3), "t4": [4]}
    nodes = np.array([graph.find_node("visits", unit) for unit in below])
    found = simulate(
        graph, np.zeros(12), np.zeros(0), settings=SimulationSettings(draws=8192, seed=1), watch_nodes=nodes
    )
    sd = {int(n): d.sd for n, d in zip(found.nodes, found.distributions, strict=True)}
    for node, teams in zip(nodes.tolist(), below.values(), strict=True):
        joint = draws.select(pl.sum_horizontal([f"t{i}/visits" for i in teams])).to_series()
        assert sd[node] == pytest.approx(joint.std(), rel=0.15)
    apart = np.sqrt(sum(draws[f"t{i}/visits"].var() for i in range(6)))
    assert sd[int(nodes[0])] > 1.5 * apart


def test_totals_of_the_joint_draws_are_sums_of_the_cells(folder):
    answer = fit(folder)
    draws = pl.read_parquet(folder / "fitted" / "draws.parquet")
    total = draws.select(pl.sum_horizontal([c for c in draws.columns if c.endswith("/sales")])).to_series()
    sales = next(b for b in answer["baselines"] if b["kpi"] == "sales")
    assert total.mean() == pytest.approx(sales["total"]["mean"], rel=1e-9)


def test_a_prior_that_history_contradicts_is_dropped_and_told(folder):
    (folder / "model.toml").write_text(MODEL.format(contribution='"50 to 60"'))
    answer = fit(folder)
    (contribution,) = answer["contributions"]
    assert contribution["contradicted"]
    assert contribution["posterior"] is None
    assert any("contradicts" in note for note in answer["warnings"])
    assert "normal = [" in (folder / "fitted" / "fitted.toml").read_text()


def test_the_same_history_gives_the_same_bytes(folder):
    fit(folder)
    first = {p.name: p.read_bytes() for p in (folder / "fitted").iterdir()}
    fit(folder, "--workers", "2")
    assert {p.name: p.read_bytes() for p in (folder / "fitted").iterdir()} == first


def test_what_the_model_does_not_know_is_told(folder):
    history = (folder / "history.csv").read_text()
    more = "".join(f"t9,visits,{2023 + t // 4}-Q{t % 4 + 1},{20 + t % 3}\n" for t in range(14))
    more += "".join(f"t{i},calls,{2023 + t // 4}-Q{t % 4 + 1},{30 + t % 5}\n" for t in range(14) for i in range(3))
    (folder / "history.csv").write_text(history + more)
    warnings = fit(folder)["warnings"]
    assert any("t9" in note and "not in the model" in note for note in warnings)
    assert any("calls" in note and "not in the model" in note for note in warnings)


def test_until_hides_what_came_later(folder):
    whole, cut = fit(folder), fit(folder, "--until", "2025-Q4")
    assert cut["history"]["last"] == "2025-Q4"
    assert cut["horizon"][0] == "2026-Q1"
    assert whole["horizon"][0] == "2026-Q3"
    assert main(["fit", str(folder / "history.csv"), "--until", "2031-Q1", "--out", str(folder / "x")]) == 2


def test_a_horizon_longer_than_the_history_is_refused(folder, capsys):
    words = ["fit", str(folder / "history.csv"), "--model", str(folder / "model.toml"), "--out", str(folder / "x")]
    assert main([*words, "--until", "2025-Q4", "--horizon", "500"]) == 2
    said = capsys.readouterr().err
    known = int(re.search(r"the history has (\d+) periods, \S+ to 2025-Q4", said)[1])
    assert "E-horizon" in said and "500" in said and f"ask for {known} periods at most" in said
    assert main([*words, "--until", "2025-Q4", "--horizon", str(known + 1)]) == 2 and not (folder / "x").exists()


def test_names_are_escaped_on_the_page(folder):
    text = (folder / "history.csv").read_text().replace("visits", "<script>alert(1)</script>")
    (folder / "history.csv").write_text(text)
    assert main(["fit", str(folder / "history.csv"), "--out", str(folder / "fitted"), "--draws", "100"]) == 0
    assert "<script" not in (folder / "fitted" / "fit.html").read_text()


def test_backtest_is_kept_and_scores_better_than_the_last_period(folder, capsys):
    words = [
        "backtest",
        str(folder / "model.toml"),
        str(folder / "history.csv"),
        "--draws",
        "200",
        "--origins",
        "2",
        "--json",
    ]
    assert main(words) == 0
    answer = json.loads(capsys.readouterr().out)
    assert json.loads((folder / "backtest.json").read_text()) == answer
    units = next(s for s in answer["scores"] if s["kpi"] == "sales" and s["level"] == "unit")
    assert units["crps"] < units["last_period"]
    assert units["coverage"]["count"] == 6 * len(answer["origins"])
    assert answer["targets"] is None
    assert not answer["calibrated"]
    few = "cannot tell: 12 cases of visits are too few"
    assert answer["verdict"].startswith(few if all(s["coverage"]["right"] for s in answer["scores"]) else "not right")


@pytest.mark.parametrize("period", ["2026-Q5", "2026-13", "Q1 2026", "2026-01-31", ""])
def test_periods_of_another_form_are_refused(tmp_path, period):
    path = tmp_path / "h.csv"
    path.write_text(f"unit,kpi,period,value\na,k,2026-Q1,1\na,k,{period},2\n")
    with pytest.raises(TableError):
        read_history(path)


def test_a_short_history_teaches_nothing(tmp_path):
    path = tmp_path / "h.csv"
    path.write_text("unit,kpi,period,value\na,k,2026-Q1,1\na,k,2026-Q2,2\n")
    assert main(["fit", str(path), "--out", str(tmp_path / "o")]) == 3
    assert not (tmp_path / "o").exists()


def test_a_gap_is_a_period_without_values(tmp_path):
    path = tmp_path / "h.csv"
    path.write_text("unit,kpi,period,value\na,k,2026-Q1,1\na,k,2026-Q4,2\n")
    history = read_history(path)
    assert history.grid.names == ("2026-Q1", "2026-Q2", "2026-Q3", "2026-Q4")
    assert np.isnan(history.series["k"].value[0, 1:3]).all()
    assert any("2 periods without any value, such as 2026-Q2" in note for note in history.notes)
    assert grid_of([Period(12, 2026 * 12 + 10), Period(12, 2027 * 12 + 1)]).after(1) == ("2027-03",)


def test_a_driven_kpi_keeps_only_the_noise_that_its_drivers_do_not_bring(folder):
    """Sales of 1000 scatter by 130, 100 of it through visits (5 x 20): sqrt(130^2 - 100^2) = 83 is their own."""
    rng = np.random.default_rng(2)
    visits = 40.0 + 20.0 * rng.standard_normal((40_000, 4)) / 10
    sales = 1000.0 + 130.0 * rng.standard_normal((40_000, 4)) / 10
    model, units = kpiopt.load(folder / "model.toml"), ("t0", "t1", "t3", "t4")
    forecasts = tuple(
        Forecast(kpi, units, draws, "log", 1.0, 4, {}, (), ()) for kpi, draws in (("sales", sales), ("visits", visits))
    )
    group = {"sales": np.zeros(4, dtype=np.int64), "visits": np.zeros(4, dtype=np.int64)}
    own, driver = spread_baselines(forecasts, group, {("sales", "visits"): 5.0}, model)
    assert own.sd * 1000 == pytest.approx(np.full(4, 83.07 / 10), rel=0.03)
    assert driver.sd * 40 == pytest.approx(np.full(4, 20.0 / 10), rel=0.03)
    assert own.explained == pytest.approx(100**2 / 130**2, abs=0.03)
    assert own.common == driver.common == {}


def test_what_drivers_bring_beyond_the_forecast_is_told(folder):
    """Visits of 40 scatter by 21, 5 USD each: by 107, where sales of 1000 and 150 scatter by 50 and 8."""
    rng = np.random.default_rng(2)
    visits = 40.0 * np.exp(0.5 * rng.standard_normal((4000, 2)) - 0.125)
    sales = np.array([1000.0, 150.0]) * np.exp(0.05 * rng.standard_normal((4000, 2)))
    model, group = kpiopt.load(folder / "model.toml"), np.zeros(2, dtype=np.int64)
    forecasts = tuple(
        Forecast(kpi, ("t0", "t1"), draws, "log", 1.0, 4, {}, (), ())
        for kpi, draws in (("sales", sales), ("visits", visits))
    )
    own, driver = spread_baselines(forecasts, {"sales": group, "visits": group}, {("sales", "visits"): 5.0}, model)
    assert own.exceeded == ("t0", "t1") and driver.exceeded == ()
    assert own.below == (), "to lose all of 150, visits fall below 10: in 6 of 1000 draws"
    own, _ = spread_baselines(forecasts, {"sales": group, "visits": group}, {("sales", "visits"): 8.0}, model)
    assert own.below == ("t1",), "with 8 USD each below 21.25: in 15 of 100"
    first, second = _spread_notes(own)
    assert "2 of 2 units" in first and "1 of 2 units below 0, such as t1" in second


def test_seasons_of_the_horizon_are_written_for_a_plan_by_period(folder):
    """The quarters' shares of what is expected, as a document that a scenario extends."""
    fit(folder)
    (folder / "year.toml").write_text(
        'schema = 1\nextends = ["fitted/fitted.toml", "fitted/seasons.toml"]\n'
        '[periods]\nnames = { from = "2026-Q3", every = "quarter", count = 4 }\n'
    )
    scenario = kpiopt.load(folder / "year.toml")
    season = scenario.periods.season[scenario.kpi_position["sales"]]
    assert season.sum() == pytest.approx(1.0, abs=1e-9)
    assert season == pytest.approx([0.25] * 4, abs=0.06) and season.std() > 0.005


def test_a_contribution_of_the_other_sign_is_told(folder):
    (folder / "model.toml").write_text(MODEL.format(contribution="-4"))
    assert any("the other sign" in note for note in fit(folder)["warnings"])


BOUNDED = """
schema = 1
name = "x"
[kpi.sales]
%s
[unit.co]
[unit.u0]
parent = "co"
[unit.u1]
parent = "co"
[cell."u0/sales"]
baseline = 1
[cell."u1/sales"]
baseline = 1
"""


@pytest.mark.parametrize(
    ("bounds", "past", "mean", "told"),
    [
        (
            "min = 0",
            [[-2.0, 5.0], [4.0, 5.0]],
            [0.25, 5.0],
            ["min = 0, such as -2 of u0", "such as -2.5 of u0; it is 0.25"],
        ),
        ("min = 0", [[2.0, 5.0], [4.0, 5.0]], [0.25, 5.0], ["such as -2.5 of u0; it is 0.25"]),
        ("max = 3", [[2.0, 5.0], [4.0, 5.0]], [-2.5, 3.0], ["such as 5 of u1; it is 3"]),
        ('roll_up = "mean"\nmax = 4', [[2.0, 5.0], [4.0, 5.0]], [-2.5, 4.0], ["2 values", "such as 5 of u1; it is 4"]),
        ("", [[-2.0, 5.0], [4.0, 5.0]], [-2.5, 5.0], []),
    ],
)
def test_no_baseline_is_where_the_kpi_cannot_be(tmp_path, bounds, past, mean, told):
    """The mean of what is kept inside: -5.5 and 0.5 at u0 are 0 and 0.5 where min is 0."""
    (tmp_path / "m.toml").write_text(BOUNDED % bounds)
    draws = np.array([[-5.5, 5.0], [0.5, 5.0]])
    before = Forecast("sales", ("u0", "u1"), draws, "identity", 1.0, 4, {}, (), ())
    found = inside_bounds(before, series_of(np.array(past)), kpiopt.load(tmp_path / "m.toml"))
    assert found.draws.mean(axis=0) == pytest.approx(mean)
    assert len(found.warnings) == len(told)
    assert all(part in note for part, note in zip(told, found.warnings, strict=True))


def test_units_alone_in_their_region_are_told(folder):
    rows = (folder / "units.csv").read_text().replace("t0,north", "t0,co").replace("t1,north", "t1,co")
    for team in ("t3", "t4", "t5"):
        rows = rows.replace(f"{team},south", f"{team},co")
    (folder / "units.csv").write_text(rows.replace("south,co,region\n", ""))
    assert any("alone in their region" in note for note in fit(folder)["warnings"])


def test_peers_on_fitted_baselines_have_equal_odds_and_their_price(folder):
    """What noise of visits brings counts beside a cell's own, of which a fitted baseline keeps only the rest."""
    rng, rows = np.random.default_rng(1), ["unit,kpi,period,value"]
    for i in range(6):
        for t in range(16):
            visits = 10 * np.exp((0.03 + 0.06 * (i % 3)) * rng.normal())
            sales = 100 + 20 * visits + (3 if i < 3 else 25) * rng.normal()
            name = f"{2023 + t // 4}-Q{t % 4 + 1}"
            rows += [f"t{i},visits,{name},{visits:.6g}", f"t{i},sales,{name},{sales:.6g}"]
    (folder / "history.csv").write_text("\n".join(rows) + "\n")
    cells = (folder / "cells.csv").read_text().replace("1000,50", "1000,900").replace("40,50", "40,")
    (folder / "cells.csv").write_text(cells)
    (folder / "model.toml").write_text(MODEL.format(contribution='"15 to 25"'))
    fit(folder)
    spread = {}
    for fairness, more in (("chance", "fairness.price = true\nsimulation.draws = 65536"), ("stretch", "")):
        (folder / "s.toml").write_text(
            'schema = 1\nextends = "fitted/fitted.toml"\nuncertainty.execution = "0.5 to 0.9"\n'
            f'goal.sales.target = 7700\ndecide.fairness = "{fairness}"\n{more}\n'
        )
        run = kpiopt.solve(folder / "s.toml")
        rows = zip(run.targets["unit"], run.targets["kpi"], run.targets["odds"], strict=True)
        odds = [o for unit, kpi, o in rows if kpi == "sales" and unit.startswith("t")]
        spread[fairness] = max(odds) - min(odds)
        assert (run.fairness.price is not None) == (fairness == "chance")
    assert spread["chance"] < 0.015
    assert spread["stretch"] > 3 * spread["chance"]


@pytest.mark.parametrize(
    ("periods", "said", "written"),
    [
        ('[periods]\nnames = ["2027-Q1", "2027-Q2"]\n', 0, 1),
        ('[periods]\nnames = ["2027-Q1", "2027-Q2"]\n', 1, None),
        ('[periods]\nnames = ["2027-01", "2027-02"]\n', 0, None),
        ("", 0, None),
    ],
)
def test_a_lag_that_history_finds_is_written_where_the_plan_counts_so_and_told_where_not(
    tmp_path, periods, said, written
):
    """What teams do in one quarter brings sales in the next."""
    rng = np.random.default_rng(3)
    visits = 40 * np.exp(0.3 * rng.normal(size=(8, 25)))
    sales = 300 + 9 * visits[:, :-1] + 5 * rng.normal(size=(8, 24))
    rows = [
        f"t{i},{kpi},{2021 + t // 4}-Q{t % 4 + 1},{value[i, t]:.6g}"
        for kpi, value in (("visits", visits[:, 1:]), ("sales", sales))
        for i in range(8)
        for t in range(24)
    ]
    (tmp_path / "h.csv").write_text("\n".join(["unit,kpi,period,value", *rows]) + "\n")
    units = "".join(f'[unit.t{i}]\nparent = "co"\nlevel = "team"\n' for i in range(8))
    cells = "".join(
        f'[cell."t{i}/{k}"]\nbaseline = {b}\n' for i in range(8) for k, b in (("sales", 660), ("visits", 40))
    )
    driver = f'[kpi.sales.drivers.visits]\ncontribution = "1 to 90"\nat = "team"\nlag = {said}\n'
    head = f'schema = 1\nname = "x"\n{periods}[kpi.visits]\n{driver}[unit.co]\n'
    (tmp_path / "m.toml").write_text(head + units + cells)
    words = ["fit", str(tmp_path / "h.csv"), "--model", str(tmp_path / "m.toml"), "--draws", "100"]
    assert main([*words, "--out", str(tmp_path / "out"), "--json"]) == 0
    fitted = tomllib.loads((tmp_path / "out" / "fitted.toml").read_text())["kpi"]["sales"]["drivers"]["visits"]
    assert fitted.get("lag") == written
    assert fitted["contribution"]["normal"][0] == pytest.approx(9.0, rel=0.05)
    notes = json.loads((tmp_path / "out" / "fit.json").read_text())["warnings"]
    told = [note for note in notes if "history finds the effect 1 period later" in note]
    assert len(told) == (said == 0)
    assert all(("lag = 1 is written" in note) == (written == 1) for note in told)
    kpiopt.load(tmp_path / "out" / "fitted.toml")
