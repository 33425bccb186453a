"""Rows about single periods in the cells table: solved by hand, and what must stay as it is without them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import kpiopt
from kpiopt.cli.app import app
from kpiopt.errors import Infeasible, InputError
from kpiopt.run.run import Run

HEAD = """schema = 1
name = "A year"
[periods]
names = ["Q1", "Q2", "Q3", "Q4"]
[kpi.sales]
step = 1
SEASON
[goal.sales]
target = TARGET
[unit.co]
[unit.north]
parent = "co"
[unit.south]
parent = "co"
[tables]
cells = "cells.csv"
"""
TEAMS = """unit,kpi,period,baseline,min_stretch,max_stretch,lock,lock_reason,reference
north,sales,,1200,,300,,,
north,sales,Q1,300,,20,,,
north,sales,Q3,,,,50,promised,
south,sales,Q1,100,,10,,,
south,sales,Q2,200,,40,,,
south,sales,Q3,300,5,60,,,
south,sales,Q4,200,,70,,,280
"""


def write(folder: Path, cells: str = TEAMS, season: str = "", target: float = 2400, more: str = "") -> Path:
    path = folder / "scenario.toml"
    path.write_text(HEAD.replace("SEASON", season).replace("TARGET", str(target)) + more, "utf-8")
    (folder / "cells.csv").write_text(cells, "utf-8")
    return path


def solve(path: Path, **changes: Any) -> Run:
    return kpiopt.solve(kpiopt.load(path), simulate=False, **changes)


def column(run: Run, name: str, unit: str, kpi: str = "sales") -> list[Any]:
    """The horizon's value, then those of the periods."""
    rows = run.targets.filter((run.targets["unit"] == unit) & (run.targets["kpi"] == kpi))
    return [dict(zip(rows["period"], rows[name], strict=True))[p] for p in (None, *run.scenario.periods.names)]


def test_two_teams_by_hand(tmp_path: Path):
    run = solve(write(tmp_path))
    # What the first quarter leaves of 1,200 is shared out by season: 900 / 3; the south's add up to 800.
    assert column(run, "baseline", "north") == pytest.approx([1200, 300, 300, 300, 300])
    assert column(run, "baseline", "south") == pytest.approx([800, 100, 200, 300, 200])
    assert column(run, "baseline", "co") == pytest.approx([2000, 400, 500, 600, 500])
    # 400 more: a fifth each. North: 20 at most and 50 fixed leave 170 for the others; south wants 80 in Q4, may 70.
    assert column(run, "stretch", "north") == pytest.approx([240, 20, 85, 50, 85], abs=1e-6)
    assert column(run, "stretch", "south") == pytest.approx([160, 10, 40, 40, 70], abs=1e-6)
    assert column(run, "target", "co") == [2400, 430, 625, 690, 655]
    assert column(run, "binding", "north")[1:4:2] == ["max_stretch", "lock"]
    assert column(run, "max_stretch", "south") == [180, 10, 40, 60, 70]
    assert column(run, "lock_reason", "north") == [None, None, None, "promised", None]
    assert {lock["period"]: lock["lock"] for lock in run.as_dict()["locks"]} == {"Q3": 50.0}
    assert all(check.passed for check in kpiopt.verify(run))


@pytest.mark.parametrize("kind", ["flow", "rate", "stock"])
def test_rows_that_say_what_the_season_says_change_nothing(tmp_path: Path, kind: str):
    season = "" if kind == "stock" else "season = [0.2, 0.3, 0.1, 0.4]\n"
    roll_up = f'{season}kind = "{kind}"\n' + ('roll_up = "mean"' if kind == "rate" else "")
    share = {"flow": [0.2, 0.3, 0.1, 0.4]}.get(kind, [1.0] * 4)
    plain = "unit,kpi,period,baseline,max_stretch,reference\nnorth,sales,,1000,100,\nsouth,sales,,500,100,\n"
    rows = [
        f"{u},sales,Q{t + 1},{b * w:.12g},," for u, b in (("north", 1000), ("south", 500)) for t, w in enumerate(share)
    ]
    target = 820 if kind == "rate" else 1590
    runs = [solve(write(tmp_path, text, roll_up, target)) for text in (plain, plain + "\n".join(rows) + "\n")]
    for name in ("baseline", "plan", "target", "stretch"):
        for unit in ("co", "north") if name != "stretch" else ("north", "south"):
            assert column(runs[0], name, unit) == pytest.approx(column(runs[1], name, unit), rel=1e-9, abs=1e-9)


def test_the_horizon_follows_from_all_periods_by_kind(tmp_path: Path):
    cells = "unit,kpi,period,baseline,max_stretch\n" + "".join(
        f"north,{kpi},Q{t + 1},{b},{m}\n"
        for kpi in ("sales", "quality", "skill")
        for t, (b, m) in enumerate(((10, 1), (20, 2), (30, 3), (60, 4)))
    )
    more = '[kpi.quality]\nroll_up = "mean"\nseason = [0.1, 0.2, 0.3, 0.4]\n[kpi.skill]\nkind = "stock"\n'
    path = write(tmp_path, cells, target=125)
    path.write_text(path.read_text("utf-8").replace("[goal.sales]", f"{more}[goal.sales]"), "utf-8")
    run = solve(path)
    for kpi, whole in (("sales", 120), ("quality", 1 + 4 + 9 + 24), ("skill", 60)):
        assert column(run, "baseline", "north", kpi) == pytest.approx([whole, 10, 20, 30, 60])
        assert column(run, "max_stretch", "north", kpi) == [10, 1, 2, 3, 4]


def test_what_is_uncertain_over_the_horizon_moves_single_periods_in_proportion(tmp_path: Path):
    path = write(tmp_path, target=1500)
    text = path.read_text("utf-8") + '[cell."north/sales"]\nbaseline = { uniform = [900, 1100] }\n'
    text += "[simulation]\ndraws = 4096\n"
    (tmp_path / "cells.csv").write_text(
        "unit,kpi,period,baseline,max_stretch\nnorth,sales,,1000,0\nnorth,sales,Q1,400,\nsouth,sales,,500,0\n", "utf-8"
    )
    path.write_text(text, "utf-8")
    run = kpiopt.solve(kpiopt.load(path))
    assert column(run, "baseline", "co") == [1500, 525, 325, 325, 325]
    rows_of = {r["period"]: r for r in run.odds.to_dicts() if r["unit"] == "co" and r["kpi"] == "sales"}
    for period, mean, width in ((None, 1500, 200), ("Q1", 525, 80), ("Q2", 325, 40)):
        row = rows_of[period]
        assert row["mean"] == pytest.approx(mean, rel=1e-3)
        assert row["p95"] - row["p5"] == pytest.approx(0.9 * width, rel=0.02)


def test_a_sweep_over_the_horizon_takes_the_periods_along(tmp_path: Path):
    path = write(tmp_path)
    base = kpiopt.load(path)
    from kpiopt.scenario.numbers.plain_numbers import single_numbers

    numbers = single_numbers(base)
    moved = numbers["cell.north/sales.baseline"].change(base, 2400.0)
    assert moved.cells.baseline[:4] == pytest.approx([600, 600, 600, 600])
    wider = numbers["cell.south/sales.max_stretch"].change(base, 360.0)
    assert wider.cells.max_stretch[4:] == pytest.approx([20, 80, 120, 140])
    assert numbers["cell.south/sales.max_stretch"].change(wider, 180.0).cells.max_stretch[4:] == pytest.approx(
        [10, 40, 60, 70]
    )


HOURS = """[unit.north.capacity]
hours = 80
[relax]
"capacity.hours@north" = 100
"""
BAD = """unit,kpi,period,baseline,min_stretch,max_stretch,lock,lock_reason,weight
north,sales,,1200,,300,,,
north,sales,Q1,400,30,20,,,
north,sales,Q9,401,,20,,,
north,sales,Q3,38 to 42,,-3,,because,0.5
south,sales,Q1,401,,20,,,
"""


def test_what_is_wrong_is_named_by_its_line(tmp_path: Path):
    with pytest.raises(InputError) as caught:
        kpiopt.load(write(tmp_path, BAD))
    found = {(p.code, p.location.line) for p in caught.value.problems if p.location}
    assert found >= {
        ("E-min-above-max", 3),
        ("E-unknown-period", 4),
        ("E-period-field", 5),
        ("E-negative", 5),
        ("E-cell-baseline", 6),
        ("E-min-without-max", 6),
    }


def test_a_row_that_stands_twice_is_named_by_both_lines(tmp_path: Path):
    with pytest.raises(InputError) as caught:
        kpiopt.load(write(tmp_path, f"{TEAMS}south,sales,Q4,200,,,,,\nnorth,sales,,1,,,,,\n"))
    texts = [p.message for p in caught.value.problems]
    assert any("period 'Q4' stands in 2 rows: 8 and 9" in text for text in texts)
    assert any("unit 'north', kpi 'sales' stands in 2 rows: 2 and 10" in text for text in texts)


@pytest.mark.parametrize(
    ("cells", "code"),
    [
        ("north,sales,,100,,50,,\nnorth,sales,Q1,10,,,,\nnorth,sales,Q2,20,,,,\nnorth,sales,Q3,30,,,,\n"
         "north,sales,Q4,41,,,,\n", "W-period-sum"),
        ("north,sales,,100,,50,,\nnorth,sales,Q1,130,,,,\n", "W-period-rest"),
        ("north,sales,,100,,50,30,\nnorth,sales,Q1,,,,31,\n", "E-lock-twice"),
        ("north,sales,,100,,50,,\nnorth,sales,Q1,,60,,,\n", "E-min-above-max"),
        ("north,sales,,100,,50,,\nnorth,sales,Q1,,,5,9,\n", "W-lock-outside"),
        ("north,sales,,100,,50,,\nco,sales,Q1,,,5,,\n", "E-total-field"),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_told(tmp_path: Path, cells: str, code: str):
    from kpiopt.scenario.load import check_scenario

    head = "unit,kpi,period,baseline,min_stretch,max_stretch,lock,lock_reason\n"
    _, problems, _ = check_scenario(write(tmp_path, f"{head}{cells}south,sales,,100,,50,,\n", target=210))
    assert code in [p.code for p in problems]


def test_a_period_without_periods_is_refused(tmp_path: Path):
    path = write(tmp_path)
    path.write_text(path.read_text("utf-8").replace('[periods]\nnames = ["Q1", "Q2", "Q3", "Q4"]\n', ""), "utf-8")
    with pytest.raises(InputError) as caught:
        kpiopt.load(path)
    assert ("E-no-periods", 3) in {(p.code, p.location.line) for p in caught.value.problems if p.location}


def test_a_workbook_and_tables_say_the_same(tmp_path: Path):
    path = write(tmp_path)
    for first, second in ((path, tmp_path / "book.xlsx"), (tmp_path / "book.xlsx", tmp_path / "again.toml")):
        assert CliRunner().invoke(app, ["convert", str(first), str(second)]).exit_code == 0
    wanted = solve(path).targets
    for other in ("book.xlsx", "again.toml"):
        assert solve(tmp_path / other).targets.equals(wanted)


def test_the_document_says_more_about_a_row_of_a_period(tmp_path: Path):
    run = solve(write(tmp_path, more='[cell."north/sales/Q1"]\nmax_stretch = 7\n[cell."south/sales/Q3"]\nlock = 9\n'))
    assert column(run, "stretch", "north")[1] == 7.0
    assert column(run, "stretch", "south")[3] == 9.0


def test_a_limit_of_one_period_is_named_in_the_repair(tmp_path: Path):
    cells = "unit,kpi,period,baseline,max_stretch,min_stretch,effort.hours\n"
    cells += "north,sales,,100,80,,1\nnorth,sales,Q2,,,30,\nsouth,sales,,100,40,,1\n"
    path = write(tmp_path, cells, target=210, more=HOURS)
    with pytest.raises(Infeasible) as caught:
        solve(path)  # 20 hours a quarter, and 30 are wanted in the second
    repair = caught.value.details["repair"]
    assert "north/sales/Q2" in repair["text"]
    mended = kpiopt.solve(kpiopt.load(path, overrides=repair["set"]), simulate=False)
    assert column(mended, "stretch", "north")[2] == pytest.approx(20.0, abs=0.01)


def test_a_given_plan_is_judged_by_what_single_periods_allow(tmp_path: Path):
    path = write(tmp_path)
    rows = ["unit,kpi,period,stretch"]
    for unit, each in (("north", (25, 85, 50, 80)), ("south", (10, 40, 4, 70))):
        rows += [f"{unit},sales,Q{t + 1},{x}" for t, x in enumerate(each)]
    (tmp_path / "plan.csv").write_text("\n".join(rows) + "\n", "utf-8")
    from kpiopt.graph import build_graph
    from kpiopt.plan.given_plan import read_given_plan
    from kpiopt.run.judge import judge_plan

    scenario = kpiopt.load(path)
    graph = build_graph(scenario)
    judged = judge_plan(graph, "given", read_given_plan(graph, tmp_path / "plan.csv"), None)
    names = {b.name: b.limit for b in judged.broken}
    assert names == {"max_stretch@north/sales/Q1": 20.0, "min_stretch@south/sales/Q3": 5.0}
    assert np.isfinite(judged.plan.target).all()


def by_hand(folder: Path, rows: str, target: float = 200, more: str = "", count: int = 2) -> Path:
    """One cell with a baseline of 100: `rows` are lines of 'period = field, field'."""
    names = [f"p{t + 1}" for t in range(count)]
    text = f'schema = 1\nname = "m"\n[periods]\nnames = {names}\n[kpi.sales]\n[unit.co]\n'
    for row in rows.splitlines():
        period, _, fields = row.partition(":")
        name = "/".join(["co/sales", period.strip()]).removesuffix("/")
        text += f'[cell."{name}"]\n' + "\n".join(fields.split(",")) + "\n"
    path = folder / "m.toml"
    path.write_text(f"{text}[goal.sales]\ntarget = {target}\n{more}", "utf-8")
    return path


REASON = 'lock_reason = "r"'
PER_PERIOD = "[guardrail.smooth]\nper_period = true\n"


@pytest.mark.parametrize(
    ("rows", "target", "more", "stretch"),
    [
        # What one period is locked at below 0 leaves the others more room: the sum keeps the range.
        (f": baseline = 100, max_stretch = 10\np1: lock = -3, {REASON}", 200, "", [10, -3, 13]),
        (f": baseline = 100, max_stretch = 10, min_stretch = 5\np1: lock = -3, {REASON}", 100, "", [5, -3, 8]),
        (f": baseline = 100, max_stretch = 10\np1: lock = -3, {REASON}", 97, "", [-3, -3, 0]),
        (f": baseline = 100, max_stretch = 10\np1: lock = -3, {REASON}\np2: max_stretch = 1", 200, "", [-2, -3, 1]),
        (f": baseline = 100, lock = 5, {REASON}\np1: lock = -3, {REASON}", 200, "", [5, -3, 8]),
        (f": baseline = 100, lock = 0, {REASON}\np1: lock = -3, {REASON}", 200, "", [0, -3, 3]),
        (f": baseline = 100, lock = -5, {REASON}\np1: lock = 3, {REASON}", 200, "", [-5, 3, -8]),
        (f": baseline = 100, lock = -5, {REASON}\np1: min_stretch = 2, max_stretch = 9", 200, "", [-5, 2, -7]),
        # A lock counts whatever its own range says: 6 + 1, and at most 9 + 5.
        (f": baseline = 100, max_stretch = 20\np1: min_stretch = 6\np2: min_stretch = 6, lock = 1, {REASON}", 105, "",
         [7, 6, 1]),
        (f": baseline = 100\np1: max_stretch = 5, lock = 9, {REASON}\np2: max_stretch = 5", 200, "", [14, 9, 5]),
        (f": baseline = 100\np1: lock = 9, {REASON}\np2: max_stretch = 5", 200, "", [14, 9, 5]),
        # ... and whatever that of the horizon says.
        (f": baseline = 100, max_stretch = 20\np1: lock = 25, {REASON}", 200, "", [25, 25, 0]),
        (f": baseline = 100, max_stretch = 20\np1: lock = 15, {REASON}\np2: min_stretch = 10", 200, "", [25, 15, 10]),
        (f": baseline = 100, max_stretch = 20, min_stretch = 9\np1: lock = 2, {REASON}\np2: max_stretch = 1", 50, "",
         [3, 2, 1]),
        # The share of the largest that a guardrail gives each period holds beside its own range.
        (": baseline = 100, max_stretch = 10\np1: max_stretch = 8\np2: max_stretch = 1", 200, PER_PERIOD, [6, 5, 1]),
        (": baseline = 100, max_stretch = 10\np1: max_stretch = 8", 106, PER_PERIOD, [6, 3, 3]),
        (f": baseline = 100, max_stretch = 10\np1: lock = 7, {REASON}", 200, PER_PERIOD, [10, 7, 3]),
        (f": baseline = 100, max_stretch = 10, lock = 6, {REASON}\np1: max_stretch = 1.5", 200, PER_PERIOD,
         [6, 1.5, 4.5]),
        (f": baseline = 100, max_stretch = 4, lock = 6, {REASON}\np1: max_stretch = 4", 200, PER_PERIOD, [6, 3, 3]),
    ],
)  # fmt: skip
def test_ranges_and_locks_of_periods_by_hand(tmp_path: Path, rows: str, target: float, more: str, stretch: list[float]):
    run = solve(by_hand(tmp_path, rows, target, more))
    assert column(run, "stretch", "co") == pytest.approx(stretch, abs=1e-6)
    assert column(run, "plan", "co")[0] == pytest.approx(100 + stretch[0])
    assert all(check.passed for check in kpiopt.verify(run))


@pytest.mark.parametrize(
    ("locks", "stretch"), [((25,), [25, 25, 0, 0]), ((15, 15), [30, 15, 15, 0]), ((10,) * 3, [30, 10, 10, 10])]
)
def test_locks_beyond_the_range_of_the_horizon_read_the_same_for_one_and_for_all(
    tmp_path: Path, locks: tuple[int, ...], stretch: list[float]
):
    rows = [": baseline = 100, max_stretch = 20", *(f"p{t + 1}: lock = {x}, {REASON}" for t, x in enumerate(locks))]
    run = solve(by_hand(tmp_path, "\n".join(rows), count=3))
    assert column(run, "stretch", "co") == pytest.approx(stretch, abs=1e-6)
    assert "W-lock-outside" in [w.code for w in run.scenario.warnings]


@pytest.mark.parametrize(
    ("rows", "more", "code", "line", "words"),
    [
        (": baseline = 100, max_stretch = 10\n?: max_stretch = 5", "", "E-unknown-period", 10, "names no period"),
        (": baseline = 100, max_stretch = 10\np1: max_stretch = 5, own = true", "", "E-period-field", 12, "own"),
        (": baseline = 100, max_stretch = 10\np1: min_stretch = 7", PER_PERIOD, "E-min-above-max", 11,
         "co/sales/p1 has the min_stretch 7 above the 5 that guardrail.smooth leaves it"),
    ],
)  # fmt: skip
def test_rows_that_cannot_be_meant_are_refused(tmp_path: Path, rows: str, more: str, code: str, line: int, words: str):
    path = by_hand(tmp_path, rows, 200, more)
    path.write_text(path.read_text("utf-8").replace("co/sales/?", "co/sales/"), "utf-8")
    with pytest.raises(InputError) as caught:
        kpiopt.load(path)
    found = {p.code: p for p in caught.value.problems}
    assert code in found and words in found[code].message
    assert found[code].location.line == line


def test_a_lock_over_the_horizon_that_its_periods_have_no_room_for_is_named_with_a_repair(tmp_path: Path):
    rows = f": baseline = 50, lock = 6, {REASON}\np1: max_stretch = 1\np2: max_stretch = 1"
    path = by_hand(tmp_path, rows, 60)
    with pytest.raises(Infeasible) as caught:
        solve(path)
    repair = caught.value.details["repair"]
    assert repair["set"] and "lock of co/sales = 6" in str(caught.value.details["conflict"])
    mended = kpiopt.solve(kpiopt.load(path, overrides=repair["set"]), simulate=False)
    assert column(mended, "stretch", "co")[0] == pytest.approx(sum(column(mended, "stretch", "co")[1:]))
