"""Relations between plans with periods and without, on random organizations."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import kpiopt
from kpiopt.errors import Infeasible
from kpiopt.run.run import Run

SEEDS = pytest.mark.parametrize(
    "seeds", [range(4), pytest.param(range(4, 60), marks=pytest.mark.nightly)], ids=["few", "many"]
)

ONE = pytest.mark.parametrize(
    "seeds", [range(1), pytest.param(range(1, 40), marks=pytest.mark.nightly)], ids=["one", "many"]
)


def organization(seed: int, *, initiatives: bool = True, hours: bool = True, kind: str = "") -> str:
    """Write an organization without periods: two sums and two means that drive each other, ranges, locks, budgets."""
    random = np.random.default_rng(seed)
    lines = ['schema = 1\nname = "random"\nPERIODS']
    for kpi in ("sales", "calls", "share", "mood"):
        roll_up = "mean" if kpi in ("share", "mood") else "sum"
        lines += [f'[kpi.{kpi}]\nroll_up = "{roll_up}"\nstep = 0.5\ndirection = "{random.choice(["up", "down"])}"']
        lines += [kind] if kind and roll_up == "sum" else ["SEASON"]
    for cause, effect in (("calls", "sales"), ("share", "sales"), ("calls", "share"), ("mood", "share")):
        if random.random() < 0.7:
            c, at = round(float(random.uniform(-0.2, 1.0)), 2), random.choice(["organization", "team"])
            lines += [f"[kpi.{effect}.drivers.{cause}]", f'contribution = {c}\nat = "{at}"\ntrade_off = true']
    lines += ["[unit.co]", '[unit.north]\nparent = "co"']
    lines += [f"capacity.hours = {int(random.integers(60, 200))}"] if hours else []
    for i, parent in enumerate(("co", "north", "north")):
        lines += [f'[unit.t{i}]\nparent = "{parent}"\nlevel = "team"\nsize = {i + 1}']
        for kpi in ("sales", "calls", "share", "mood"):
            base, most = int(random.integers(20, 200)), int(random.integers(1, 30))
            lines += [f'[cell."t{i}/{kpi}"]\nbaseline = {base}\nmax_stretch = {most}']
            lines += [f"min_stretch = {most / 4}"] if random.random() < 0.3 else []
            lines += [f"lock = {most / 2}"] if random.random() < 0.15 else []
            lines += [f"effort.hours = {int(random.integers(0, 4))}\npay_rate = {int(random.integers(0, 3))}"]
    lines += ["[budget.pay]\nlimit = 120"]
    if initiatives:
        lines += ['[initiative.push]\nunits = { level = "team" }\nmax = 5\nuses = { cash = 2 }']
        effect = random.choice(["sales", "share"])
        up = 'direction = "up"' in "\n".join(lines).split(f"[kpi.{effect}]")[1].split("[")[0]
        lines += [f"effects = {{ {effect} = {5 if up else -5} }}\n[budget.cash]\nlimit = 7"]
    for kpi in ("sales", "calls", "share", "mood"):
        lines += [f"[goal.{kpi}]\ntarget = {int(random.integers(50, 400)) + 0.5}"]
    return "\n".join([*lines, ""])


def plan(folder: Path, text: str, names: int = 0, season: list[float] | None = None, capacity: str = "") -> Run:
    """Solve an organization in some periods; none where `names` is 0."""
    periods = f"periods = {[f'P{t}' for t in range(names)]}".replace("'", '"') if names else ""
    text = text.replace("PERIODS", periods).replace("SEASON", f"season = {season}" if season else "")
    path = folder / "scenario.toml"
    path.write_text(text + capacity, "utf-8")
    return kpiopt.solve(kpiopt.load(path), simulate=False)


def assert_same_year(run: Run, other: Run, seed: int, *columns: str) -> None:
    """Both reach the same in every step of the order, and, for the columns named, at every unit."""
    a, b = ({step.name: step.value for step in r.solution.steps if step.name != "reference"} for r in (run, other))
    assert a == pytest.approx(b, rel=1e-7, abs=1e-7), seed
    for column in columns:
        rows = [
            r.targets.filter(r.targets["period"].is_null()).select("unit", "kpi", column).rows() for r in (run, other)
        ]
        for (unit, kpi, mine), (*_, theirs) in zip(*rows, strict=True):
            near = theirs if theirs is None or column == "target" else pytest.approx(theirs, rel=1e-6, abs=1e-5)
            assert mine == near, (seed, unit, kpi, column)


@SEEDS
def test_one_period_equals_none(tmp_path: Path, seeds: range) -> None:
    for seed in seeds:
        text = organization(seed)
        assert_same_year(plan(tmp_path, text, 1), plan(tmp_path, text), seed, "plan", "stretch", "target")


@SEEDS
def test_with_one_season_and_no_limit_by_period_the_optimum_is_the_annual_one(tmp_path: Path, seeds: range) -> None:
    for seed in seeds:
        text, raw = organization(seed, hours=False), np.random.default_rng(seed).integers(1, 9, 3)
        assert_same_year(plan(tmp_path, text, 3, (raw / raw.sum()).tolist()), plan(tmp_path, text), seed)


@SEEDS
def test_splitting_every_period_in_two_equal_halves_changes_nothing_in_the_year(tmp_path: Path, seeds: range) -> None:
    for seed in seeds:
        text, raw = organization(seed, initiatives=False), np.random.default_rng(seed).integers(1, 9, (2, 2))
        season, hours = raw / raw.sum(axis=1, keepdims=True)
        halves, half_hours = (np.repeat(share / 2, 2).tolist() for share in (season, hours))
        two = plan(tmp_path, text, 2, season.tolist(), f"[capacity.hours]\nseason = {hours.tolist()}\n")
        four = plan(tmp_path, text, 4, halves, f"[capacity.hours]\nseason = {half_hours}\n")
        assert_same_year(four, two, seed, "plan", "stretch")


@SEEDS
def test_with_equal_periods_rates_and_flows_equal_the_annual_ones(tmp_path: Path, seeds: range) -> None:
    for seed in seeds:
        text = organization(seed, initiatives=False)
        assert_same_year(plan(tmp_path, text, 4), plan(tmp_path, text), seed, "plan", "stretch")


@SEEDS
def test_a_stock_with_carry_one_in_one_period_equals_a_flow(tmp_path: Path, seeds: range) -> None:
    for seed in seeds:
        flow = plan(tmp_path, organization(seed), 1)
        stock = plan(tmp_path, organization(seed, kind='kind = "stock"'), 1)
        assert_same_year(stock, flow, seed, "plan", "stretch", "target")


TIERS = "[effort_curve.hard]\ntiers = [[0.03, 1.0], [0.08, 2.0], [0.2, 3.5]]\n"
CUSHION = "[over_assignment]\nteam = 0.05\n"
CHOICE = '[assign.few]\nwhere = { level = "team" }\nkpis = [1, 3]\nchoose = true\n'
CURVE = "[kpi.sales.drivers.CAUSE]\ncurve = [[-40, -30], [0, 0], [10, 8], [40, 14]]\ntrade_off = true\n"
PIECES = {"tiers": TIERS, "cushion": CUSHION, "choice": CHOICE, "curve": CURVE}


def with_piece(text: str, piece: str) -> str:
    """Add a piece; a curve takes the place of what drives sales, and locks would leave a choice no room."""
    if piece == "curve":
        text = re.sub(r"\[kpi\.sales\.drivers\.\w+\]\n[^\[]*", "", text)
        return text + "\n" + PIECES[piece].replace("CAUSE", "calls")
    if piece == "choice":
        text = "\n".join(line for line in text.splitlines() if not line.startswith(("lock", "min_stretch")))
    return f"{text}\n{PIECES[piece]}"


@pytest.mark.parametrize("piece", list(PIECES))
@ONE
def test_each_piece_keeps_the_year(tmp_path: Path, piece: str, seeds: range) -> None:
    """One period equals none, and equal halves of it change nothing over the year without stocks and lags."""
    for seed in seeds:
        text = with_piece(organization(seed, initiatives=False, hours=piece != "choice"), piece)
        try:
            year = plan(tmp_path, text)
        except Infeasible:
            for names in (1, 2):
                with pytest.raises(Infeasible):
                    plan(tmp_path, text, names)
            continue
        assert_same_year(plan(tmp_path, text, 1), year, seed, "plan", "stretch", "target")
        halves = plan(tmp_path, text, 2)
        if piece == "curve":  # where a curve bends in the goals' favour, unlike halves do better than equal ones
            assert halves.solution.steps[0].value <= year.solution.steps[0].value + 1e-7, seed
        else:
            assert_same_year(halves, year, seed, "plan", "stretch")


@ONE
def test_rows_of_single_periods_that_say_what_the_season_says_change_nothing(tmp_path: Path, seeds: range) -> None:
    season = [0.3, 0.7]
    for seed in seeds:
        text = organization(seed, initiatives=False)
        bare = plan(tmp_path, text, 2, season)
        rows = []
        for cell in range(len(bare.scenario.cells)):
            name = bare.graph.node_name(int(bare.graph.cell_node[cell]))
            rows.append(f'[cell."{name}"]\nbaseline = {float(bare.scenario.cells.baseline[cell])!r}')
        again = plan(tmp_path, text, 2, season, "\n".join(["", *rows, ""]))
        assert_same_year(again, bare, seed, "plan", "stretch", "target")
        assert np.allclose(again.plan.stretch, bare.plan.stretch, rtol=1e-6, atol=1e-6)
