"""The shipped models: numbers that can be derived again, data that say what they hold, a README that stays true."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from kpiopt.errors import Problem
from kpiopt.graph import build_graph
from kpiopt.scenario.load import check_scenario, load_scenario
from kpiopt.scenario.scenario import SimulationSettings
from kpiopt.simulation.simulate import simulate

ROOT = Path(__file__).parent.parent
MODELS = ROOT / "models"
ADVENTUREWORKS = MODELS / "adventureworks"
TARGETS_CHECK = ROOT / "scenarios" / "adventureworks-targets-check.toml"
LAST_YEAR = ("2019-06", "2020-05")
PAIRS = (
    "stephen-jiang=272 michael-blythe=281 linda-mitchell=282 jillian-carson=283 garrett-vargas=284 tsvi-reiter=285 "
    "pamela-ansman-wolfe=286 shu-ito=287 jose-saraiva=288 david-campbell=289 tete-mensa-annan=293 syed-abbas=294 "
    "lynn-tsoflias=296 amy-alberts=290 rachel-valdez=295 jae-pak=291 ranjit-varkey-chudukatil=292"
)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def history(first: str, last: str) -> list[dict[str, str]]:
    return [row for row in rows_of(ADVENTUREWORKS / "data" / "actuals_monthly.csv") if first <= row["month"] <= last]


# --------------------------------------------------------------------------------------------- fitted baselines


def test_the_page_says_what_was_fitted() -> None:
    """The README's table and sentences about `fitted/`, from what `kpiopt fit` and the plan on it say."""
    readme = (ADVENTUREWORKS / "README.md").read_text(encoding="utf-8")
    fitted = json.loads((ADVENTUREWORKS / "fitted" / "fit.json").read_text(encoding="utf-8"))
    sales, orders, lines = fitted["baselines"]
    for name, entry, unit, places in (
        ("sales, million USD", sales, 1e6, 1), ("orders", orders, 1, 0), ("order lines", lines, 1, 0),
    ):  # fmt: skip
        before = sum(float(row[{"order lines": "lines"}.get(name, name.split(",")[0].replace("sales", "sales_usd"))])
                     for row in history("2019-06", "2020-05"))  # fmt: skip
        figures = [before, *(entry["total"][k] for k in ("mean", "p5", "p95"))]
        assert f"| {name} | {' | '.join(f'{v / unit:,.{places}f}' for v in figures)} |" in readme
    plan = json.loads((ROOT / "scenarios" / "expected" / "adventureworks-fitted.json").read_text(encoding="utf-8"))
    assert f"its odds are {plan['goals'][0]['odds']:.0%}".replace("%", " %") in readme
    assert f"all goals together {plan['all_goals']:.0%}".replace("%", " %") in readme
    text = " ".join(readme.split())
    assert f"brings {sales['explained_by_drivers']:.0%}".replace("%", " %") in text
    assert f"at {len(sales['drivers_exceed'])} of {sales['units']} sellers" in text


@pytest.mark.nightly
def test_fitting_again_gives_the_same_model(tmp_path: Path) -> None:
    copy = tmp_path / "adventureworks"
    shutil.copytree(ADVENTUREWORKS, copy)
    shutil.rmtree(copy / "fitted")
    subprocess.run([sys.executable, "-B", "write_fitted.py"], cwd=copy, check=True, capture_output=True)
    for name in ("fitted.toml", "model.toml", "quarters.toml", "seasons.toml", "cells.csv", "contributions.csv"):
        assert (copy / "fitted" / name).read_bytes() == (ADVENTUREWORKS / "fitted" / name).read_bytes(), name


# ------------------------------------------------------------------------------------------- deriving the numbers


@pytest.fixture(scope="module")
def derived_again(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the model whose scripts have run again on the data alone."""
    copy = tmp_path_factory.mktemp("models") / "adventureworks"
    copy.mkdir()
    shutil.copytree(ADVENTUREWORKS / "data", copy / "data")
    for script in ("history.py", "derive.py", "published_targets.py"):
        shutil.copy(ADVENTUREWORKS / script, copy)
    for script in ("derive.py", "published_targets.py"):
        subprocess.run([sys.executable, "-B", script], cwd=copy, check=True)
    return copy


@pytest.mark.parametrize(
    "file", ["units.csv", "cells.csv", "estimates.toml", "targets/units.csv", "targets/cells.csv", "targets/model.toml"]
)
def test_anyone_can_derive_the_tables_again(derived_again: Path, file: str) -> None:
    assert (derived_again / file).read_text(encoding="utf-8") == (ADVENTUREWORKS / file).read_text(encoding="utf-8")


def test_anyone_can_derive_the_estimates_again(derived_again: Path) -> None:
    found, kept = (json.loads((p / "derived.json").read_text()) for p in (derived_again, ADVENTUREWORKS))
    assert found["assumed"] == kept["assumed"] and found["baseline_year"] == list(LAST_YEAR)
    for name, value in kept["estimated"].items():
        assert found["estimated"][name] == pytest.approx(value, rel=1e-9), name


@cache
def derived() -> dict[str, dict[str, float]]:
    estimates: dict[str, dict[str, float]] = json.loads((ADVENTUREWORKS / "derived.json").read_text())["estimated"]
    return estimates


@pytest.mark.parametrize(
    ("name", "effect", "cause"), [("usd_per_line", "sales_usd", "lines"), ("lines_per_order", "lines", "orders")]
)
def test_contributions_are_those_of_a_regression_with_all_dummies(name: str, effect: str, cause: str) -> None:
    """Frisch-Waugh-Lovell: the slope within sellers and months is the coefficient beside their dummies."""
    rows = history("2018-06", LAST_YEAR[1])
    dummies = [
        [row[key] == value for row in rows] for key in ("EmployeeKey", "month") for value in {r[key] for r in rows}
    ]
    x = np.array([[float(row[cause]) for row in rows], *dummies], dtype=float).T
    coefficient = np.linalg.lstsq(x, np.array([float(row[effect]) for row in rows]), rcond=None)[0][0]
    assert derived()[name]["value"] == pytest.approx(coefficient, rel=1e-9)
    assert derived()[name]["observations"] == len(rows) == 343


def test_standard_error_is_near_that_of_a_bootstrap_over_sellers() -> None:
    rows = history("2018-06", LAST_YEAR[1])
    keys = sorted({row["EmployeeKey"] for row in rows})
    months = sorted({row["month"] for row in rows})
    month = np.array([[row["month"] == m for m in months] for row in rows], dtype=float)
    lines, sales = (np.array([float(row[name]) for row in rows]) for name in ("lines", "sales_usd"))
    of = {key: np.array([row["EmployeeKey"] == key for row in rows]) for key in keys}
    rng, slopes = np.random.default_rng(1), []
    for _ in range(200):
        picked = [of[keys[i]] for i in rng.integers(len(keys), size=len(keys))]
        y, x, d = (np.concatenate([part[p] - part[p].mean(axis=0) for p in picked]) for part in (sales, lines, month))
        slopes.append(np.linalg.lstsq(np.column_stack([x, d]), y, rcond=None)[0][0])
    assert derived()["usd_per_line"]["standard_error"] == pytest.approx(np.std(slopes, ddof=1), rel=0.4)


def test_execution_lies_between_the_slopes_of_the_quarters() -> None:
    rows = rows_of(ADVENTUREWORKS / "data" / "quota_vs_actual_quarterly.csv")
    sold = {(row["EmployeeKey"], int(row["quarter_index"])): float(row["sales_usd"]) for row in rows}
    slopes = []
    for quarter in range(4, 11):
        quotas = [
            (row, sold.get((row["EmployeeKey"], quarter - 4))) for row in rows if int(row["quarter_index"]) == quarter
        ]
        pairs = [(float(row["quota_usd"]) - b, float(row["sales_usd"]) - b) for row, b in quotas if b is not None]
        slopes.append(sum(g * d for g, d in pairs) / sum(g * g for g, _ in pairs))
    assert min(slopes) < derived()["execution"]["value"] < max(slopes)
    assert derived()["execution_sd"] == pytest.approx(float(np.std(slopes, ddof=1)))


# ------------------------------------------------------------------------------------------------- AdventureWorks


def test_baselines_are_the_last_twelve_months_of_each_seller() -> None:
    scenario = load_scenario(ADVENTUREWORKS / "model.toml")
    graph = build_graph(scenario)
    key_of = dict(pair.split("=") for pair in PAIRS.split())
    sellers = [unit for unit, level in zip(scenario.units.ids, scenario.units.levels, strict=True) if level == "person"]
    assert sorted(sellers) == sorted(key_of)
    for unit, key in key_of.items():
        months = [row for row in history(*LAST_YEAR) if row["EmployeeKey"] == key]
        for kpi, column in (("sales", "sales_usd"), ("orders", "orders"), ("lines", "lines")):
            total = sum(float(row[column]) for row in months)
            assert graph.baseline[graph.find_node(kpi, unit)] == pytest.approx(total, rel=2e-5), (unit, kpi)


def test_sellers_of_a_group_sold_what_was_sold_in_its_territories() -> None:
    """The history summed by territory is another file; the figures agree only with the right homes."""
    graph = build_graph(load_scenario(ADVENTUREWORKS / "model.toml"))
    rows = rows_of(ADVENTUREWORKS / "data" / "actuals_by_territory_month.csv")
    sold = dict.fromkeys(("north-america", "europe", "pacific"), 0.0)
    for row in rows:
        if LAST_YEAR[0] <= row["month"] <= LAST_YEAR[1]:
            key = int(row["SalesTerritoryKey"])
            sold["europe" if key in (7, 8, 10) else "pacific" if key == 9 else "north-america"] += float(
                row["sales_usd"]
            )
    for group, usd in sold.items():
        assert graph.baseline[graph.find_node("sales", group)] == pytest.approx(usd, rel=1e-6)
    assert graph.baseline[graph.find_node("sales")] == pytest.approx(sum(sold.values()), rel=1e-6)


def test_every_territory_has_a_representative_and_managers_stand_under_their_group() -> None:
    units = load_scenario(ADVENTUREWORKS / "model.toml").units
    parents = [units.ids[p] if p >= 0 else "" for p in units.parent]
    home = {unit: parent for unit, parent, role in zip(units.ids, parents, units.roles, strict=True) if role}
    managers = {"stephen-jiang": "north-america", "amy-alberts": "europe", "syed-abbas": "pacific"}
    assert {unit: home[unit] for unit in managers} == managers
    territories = {unit for unit, level in zip(units.ids, units.levels, strict=True) if level == "territory"}
    assert {parent for unit, parent in home.items() if unit not in managers} == territories


def test_ratios_at_the_company_are_right_to_first_order() -> None:
    """Order value and lines per order as kpiopt moves them, beside the ratios themselves."""
    graph = build_graph(load_scenario(ADVENTUREWORKS / "model.toml"))
    own = np.zeros(graph.n_nodes)
    own[graph.find_node("orders", "jae-pak")] = 2.0
    own[graph.find_node("sales", "tsvi-reiter")] = 30_000.0
    change = graph.sweep(own)
    after = {kpi: (graph.baseline + change)[graph.find_node(kpi)] for kpi in graph.scenario.kpi_ids}
    assert after["order_value"] == pytest.approx(after["sales"] / after["orders"], rel=1e-5)
    assert after["lines_per_order"] == pytest.approx(after["lines"] / after["orders"], rel=1e-5)


@cache
def findings() -> tuple[Problem, ...]:
    return tuple(check_scenario(TARGETS_CHECK)[1])


def test_check_finds_the_figures_of_the_published_targets_that_are_off_by_ten() -> None:
    """Six are ten times too large, two ten times too small, and no other figure of the 809 is accused."""
    found = {p.message.split()[0]: p.message for p in findings() if p.code == "W-outlier"}
    large = {f"shu-ito/target_{year}_08" for year in (2019, 2020, 2021)}
    large |= {f"brian-welcker/target_{year}_09" for year in (2019, 2020, 2021)}
    small = {"stephen-jiang/target_2019_06", "lynn-tsoflias/target_2020_02"}
    assert {cell for cell, message in found.items() if "too large" in message} == large
    assert {cell for cell, message in found.items() if "too small" in message} == small


def test_check_finds_every_gap_between_people_managers_and_director() -> None:
    gaps = {p.message.split()[0] for p in findings() if p.code == "W-reconciliation"}
    assert gaps == published_gaps()


def published_gaps() -> set[str]:
    """Where a published target differs from the sum of those below it, by the file itself."""
    units = rows_of(ADVENTUREWORKS / "targets" / "units.csv")
    below: dict[str, list[str]] = {}
    for row in units:
        below.setdefault(row["parent"], []).append(row["unit"])
    target = {(r["unit"], r["kpi"]): float(r["baseline"]) for r in rows_of(ADVENTUREWORKS / "targets" / "cells.csv")}

    def total(unit: str, kpi: str) -> float | None:
        parts = [p for child in below.get(unit, []) if (p := total(child, kpi)) is not None]
        return sum(parts) if parts else target.get((unit, kpi))

    return {f"{unit}/{kpi}" for (unit, kpi), value in target.items() if total(unit, kpi) != value}


# --------------------------------------------------------------------------- how well simulated attainment fits


@cache
def seller_years() -> tuple[tuple[float, float, float], ...]:
    """Sales a year before, quota and sales of every seller-year whose quota asked for growth, USD."""
    rows = rows_of(ADVENTUREWORKS / "data" / "quota_vs_actual_quarterly.csv")
    found = []
    for first, last in ((4, 8), (8, 11)):
        for key in sorted({row["EmployeeKey"] for row in rows}):
            mine = {int(r["quarter_index"]): r for r in rows if r["EmployeeKey"] == key}
            if not all(q in mine and q - 4 in mine for q in range(first, last)):
                continue
            before = sum(float(mine[q - 4]["sales_usd"]) for q in range(first, last))
            quota, sales = (sum(float(mine[q][c]) for q in range(first, last)) for c in ("quota_usd", "sales_usd"))
            if quota > before:
                found.append((before, quota, sales))
    return tuple(found)


@pytest.fixture(scope="module")
def hindcast(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """Simulated attainment of the history's quotas: mean, sd, 5 % and 95 % point by seller-year, (n, 4) float."""
    sd = np.hypot(derived()["baseline_sd"], derived()["market_sd"] / 100)
    text = ['schema = 1\nname = "hindcast"\n[kpi.sales]\nstep = 1\n[unit.company]\n[uncertainty]\ncommon = 0.9']
    text.append(f"execution = {{ normal = [{derived()['execution']['value']}, {derived()['execution_sd']}] }}")
    for i, (before, quota, _) in enumerate(seller_years()):
        text.append(f'[unit.s{i:02}]\nparent = "company"\n[cell."s{i:02}/sales"]\nlock = {quota - before}')
        text.append(f"baseline = {{ normal = [{before}, {sd * before}] }}")
    path = tmp_path_factory.mktemp("hindcast") / "hindcast.toml"
    path.write_text("\n".join(text), encoding="utf-8")
    graph = build_graph(load_scenario(path))
    nodes = np.array([graph.find_node("sales", f"s{i:02}") for i in range(len(seller_years()))])
    lock = graph.scenario.cells.lock
    settings = SimulationSettings(draws=8192, seed=3)
    result = simulate(graph, lock, np.empty(0), settings=settings, watch_nodes=nodes)
    by_node = dict(zip(result.nodes.tolist(), result.distributions, strict=True))
    spread = [by_node[node] for node in nodes.tolist()]
    quota = np.array([quota for _, quota, _ in seller_years()])
    return np.array([[d.mean.estimate, d.sd, d.p5, d.p95] for d in spread]) / quota[:, None]


def fit_figures(hindcast: np.ndarray) -> dict[str, str]:
    """The figures of the README's table."""
    real = np.array([sales / quota for _, quota, sales in seller_years()])
    mean, sd, p5, p95 = hindcast.T
    return {
        "seller-years": f"{len(real)}",
        "mean": f"{mean.mean():.2f} | {real.mean():.2f}",
        "standard deviation": f"{np.sqrt(np.mean(sd**2) + np.var(mean)):.2f} | {real.std(ddof=1):.2f}",
        "5 % to 95 %": f"{p5.mean():.2f} to {p95.mean():.2f} | "
        f"{np.quantile(real, 0.05):.2f} to {np.quantile(real, 0.95):.2f}",
        "inside": f"{np.sum((real >= p5) & (real <= p95))} of {len(real)}",
    }


def test_the_readme_tells_the_derived_figures() -> None:
    readme = (ADVENTUREWORKS / "README.md").read_text(encoding="utf-8")
    kept = json.loads((ADVENTUREWORKS / "derived.json").read_text())["estimated"]
    for name, digits in (("usd_per_line", 0), ("lines_per_order", 2), ("usd_per_order", 0)):
        value, error = kept[name]["value"], kept[name]["standard_error"]
        assert f"{value:,.{digits}f} ± {error:,.{digits}f}" in readme, name
    assert f"{kept['execution']['value']:.2f} ± {kept['execution_sd']:.2f}" in readme
    assert f"{kept['baseline_sd']:.0%}".replace("%", " % of sales") in readme
    shares = kept["orders_share"], kept["lines_share"], 1 - kept["orders_share"] - kept["lines_share"]
    assert "orders ({:.0f} %), lines ({:.0f} %) and value ({:.0f} %)".format(*(100 * s for s in shares)) in readme
    assert (
        f"sd {kept['market_sd']:.1f} %" in readme and f"| {kept['growth_of_orders']:.0%}".replace("%", " %") in readme
    )
    assert f"({100 * kept['loss_of_value']:.1f} %)" in readme


def test_the_readme_says_how_well_simulated_attainment_fits(hindcast: np.ndarray) -> None:
    readme = re.sub(r"\s+", " ", (ADVENTUREWORKS / "README.md").read_text(encoding="utf-8"))
    for name, figure in fit_figures(hindcast).items():
        assert figure in readme, f"{name}: {figure}"


def test_simulated_attainment_covers_the_real_one_and_is_wider(hindcast: np.ndarray) -> None:
    real = np.array([sales / quota for _, quota, sales in seller_years()])
    mean, sd, p5, p95 = hindcast.T
    assert np.mean((real >= p5) & (real <= p95)) >= 0.9
    assert np.std((real - mean) / sd) < 1.0
    assert abs(real.mean() - mean.mean()) < 0.06


# ------------------------------------------------------------------------------------------ the models that teach


def test_the_hand_solved_model_has_three_kpis() -> None:
    assert len(load_scenario(ROOT / "scenarios" / "hand-solved.toml").kpis) == 3


def test_the_scorecard_is_a_balanced_one() -> None:
    scenario = load_scenario(ROOT / "scenarios" / "scorecard.toml")
    perspectives = {scenario.objectives[k.objective or ""].perspective for k in scenario.kpis.values()}
    assert perspectives == {"financial", "customer", "process", "learning"}
    assert 25 <= len(scenario.kpis) <= 40 and {k.sign for k in scenario.kpis.values()} == {1, -1}
    assert {k.roll_up for k in scenario.kpis.values()} == {"sum", "mean", "none"}
    assert {i.whole for i in scenario.initiatives.values()} == {True, False}
    assert len(scenario.factors) >= 3 and len(scenario.correlation) >= 3 and scenario.pay_plans
    assert any(o.get("critical") for o in scenario.document["objective"].values())


def test_the_scorecard_has_kpis_at_organization_department_and_team() -> None:
    scenario = load_scenario(ROOT / "scenarios" / "scorecard.toml")
    levels = {scenario.units.levels[unit] for unit in scenario.cells.unit.tolist()}
    assert levels == {"department", "team"}
    assert any(kpi.baseline is not None for kpi in scenario.kpis.values()), "at the organization"
    assert 100 <= len(scenario.cells) <= 200


@pytest.mark.parametrize("model", ["adventureworks", "service_scorecard", "hand_solved", "canada_service_standards"])
def test_every_model_loads_by_itself_and_has_a_readme(model: str) -> None:
    assert load_scenario(MODELS / model / "model.toml").cells.has_decision.any()
    assert len((MODELS / model / "README.md").read_text(encoding="utf-8")) > 300
