"""The cheapest repair is the cheapest: a brute force over what may be opened, written from the file's own numbers."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import linprog

import kpiopt
from kpiopt.errors import Infeasible
from tests.nights import rest_at_night

WEIGHTS = {"budget": 1.0, "capacity": 3.0, "max_stretch": 10.0, "min_stretch": 10.0, "lock": 30.0, "goal": 100.0}

HEAD = 'schema = 1\nname = "c"\n[kpi.s]\n[unit.co]\n'
CELL = '[cell."co/s"]\nbaseline = 100\n'
GOAL = "[goal.s]\ntarget = 150\n"


def diagnosis(path: Path, text: str) -> dict:
    path.write_text(text)
    with pytest.raises(Infeasible) as caught:
        kpiopt.solve(kpiopt.load(path), simulate=False)
    return caught.value.details


@pytest.mark.parametrize(
    ("text", "sets"),
    [
        (f"{HEAD}capacity.h = 1\n{CELL}min_stretch = 50\nmax_stretch = 60\neffort.h = 1\n{GOAL}", ["min_stretch=1"]),
        (f"{HEAD}capacity.h = 1\n{CELL}lock = 50\neffort.h = 1\n{GOAL}", ["lock=1"]),
        (
            f"{HEAD}{CELL}min_stretch = 50\nmax_stretch = 60\npay_rate = 10\n[budget.pay]\nlimit = 400\n{GOAL}"
            "[relax]\nbudget = 1000\n",
            ["min_stretch=40"],
        ),
    ],
    ids=["capacity", "lock", "budget"],
)
def test_a_change_that_cannot_vanish_does_not_hide_the_cheaper_way(tmp_path, text, sets):
    """The smallest stretch keeps the KPI's change away from 0; it is the stretch that gives way, not that bound."""
    found = diagnosis(tmp_path / "s.toml", text)
    assert found["repair"]["set"] == [f'cell."co/s".{one}' for one in sets]


TWO = 'schema = 1\nname = "c"\n[kpi.s]\n[unit.co]\n[unit.a]\nparent = "co"\n[unit.b]\nparent = "co"\n'


@pytest.mark.parametrize(
    ("cells", "by", "sets"),
    [
        # a total that may not fall, beside a lock that takes 4 away: 1 more than the 3 that b may bring
        ('[cell."a/s"]\nbaseline = 100\nlock = -4\n[cell."b/s"]\nbaseline = 100\nmax_stretch = 3\n'
         '[cell."co/s"]\nmin_stretch = 0\nmax_stretch = 12\n', "33.33 %", ['cell."b/s".max_stretch=4']),
        ('[cell."a/s"]\nbaseline = 100\nmax_stretch = 7\n[cell."b/s"]\nbaseline = 100\nmax_stretch = 14\n'
         '[goal.s]\ntarget = 230\nhard = true\n', "42.86 %",
         ['cell."a/s".max_stretch=10', 'cell."b/s".max_stretch=20']),
        ('[cell."a/s"]\nbaseline = 100\nmin_stretch = 7\nmax_stretch = 9\n[cell."b/s"]\nbaseline = 100\n'
         'min_stretch = 14\nmax_stretch = 19\n[cell."co/s"]\nmax_stretch = 12\n', "42.86 %",
         ['cell."a/s".min_stretch=4', 'cell."b/s".min_stretch=8']),
        # 1 / 3 has no end: rounded to four digits of the change, to the side that is enough
        ('[cell."a/s"]\nbaseline = 100\nmax_stretch = 3\n[cell."b/s"]\nbaseline = 100\nmax_stretch = 3\n'
         '[cell."co/s"]\nmin_stretch = 7\nmax_stretch = 12\n[relax]\nmin_stretch = 1000\n', "16.67 %",
         ['cell."a/s".max_stretch=3.5', 'cell."b/s".max_stretch=3.5']),
        ('[cell."a/s"]\nbaseline = 100\nmax_stretch = 2\n[cell."b/s"]\nbaseline = 100\nmax_stretch = 1\n'
         '[cell."co/s"]\nmin_stretch = 4\nmax_stretch = 12\n[relax]\nmin_stretch = 1000\n', "33.33 %",
         ['cell."a/s".max_stretch=2.6667', 'cell."b/s".max_stretch=1.3334']),
    ],
)  # fmt: skip
def test_a_repair_asks_for_what_is_needed_and_no_more(tmp_path: Path, cells: str, by: str, sets: list[str]) -> None:
    file = tmp_path / "s.toml"
    repair = diagnosis(file, TWO + cells)["repair"]
    assert repair["set"] == sets and by in repair["text"]
    kpiopt.solve(kpiopt.load(file, overrides=repair["set"]), simulate=False)


class Organization:
    """Two teams with one or two KPIs each, numbers drawn at random, limits that cannot all be kept."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.sign = -1.0 if rng.random() < 0.3 else 1.0
        self.cells = [f"{unit}/s" for unit in ("a", "b")]
        n = len(self.cells)
        self.baseline = rng.integers(50, 200, n).astype(float)
        self.low = rng.integers(0, 20, n).astype(float)
        self.high = self.low + rng.integers(1, 20, n)
        self.lock = np.where(rng.random(n) < 0.25, rng.integers(1, 30, n).astype(float), np.nan)
        self.effort = rng.integers(1, 6, n).astype(float)
        self.rate = rng.integers(1, 9, n).astype(float)
        least = np.where(np.isnan(self.lock), self.low, self.lock)
        self.hours = max(1.0, float(np.rint(self.effort @ least * rng.uniform(0.3, 1.4))))
        self.pay = max(1.0, float(np.rint(self.rate @ least * rng.uniform(0.3, 1.4))))
        self.goal = float(np.rint((least.sum() + 1) * rng.uniform(0.8, 2.5)))
        self.weights = {kind: float(rng.choice([weight, 1.0, 50.0])) for kind, weight in WEIGHTS.items()}

    @property
    def target(self) -> float:
        return float(self.baseline.sum() + self.sign * self.goal)

    def text(self) -> str:
        cells = ""
        for i, name in enumerate(self.cells):
            box = f"min_stretch = {self.low[i]}\nmax_stretch = {self.high[i]}\n"
            box = box if np.isnan(self.lock[i]) else f"lock = {self.lock[i]}\n"
            cells += f'[cell."{name}"]\nbaseline = {self.baseline[i]}\n{box}'
            cells += f"effort.h = {self.effort[i]}\npay_rate = {self.rate[i]}\n"
        relax = "".join(f"{kind} = {weight}\n" for kind, weight in self.weights.items())
        return (
            f'schema = 1\nname = "r"\n[kpi.s]\ndirection = "{"up" if self.sign > 0 else "down"}"\n'
            f'[unit.co]\ncapacity.h = {self.hours}\n[unit.a]\nparent = "co"\n[unit.b]\nparent = "co"\n{cells}'
            f"[budget.pay]\nlimit = {self.pay}\n[goal.s]\ntarget = {self.target}\nhard = true\n[relax]\n{relax}"
        )

    def levers(self) -> list[tuple[str, float, float, np.ndarray]]:
        """Return kind, price of one unit, most, and what one unit adds to the right sides of `rows`."""
        n, free = len(self.cells), np.isnan(self.lock)
        given = [("capacity", self.hours, [0]), ("budget", self.pay, [1]), ("goal", self.goal, [2])]
        found = [(k, self.weights[k] / size, np.inf, np.eye(3 + 2 * n)[rows[0]]) for k, size, rows in given]
        ends = (
            ("max_stretch", np.where(free, self.high, 0.0), np.inf),
            ("min_stretch", np.where(free, self.low, 0.0), 1.0),
        )
        for position, (kind, bound, most) in enumerate(ends):
            if bound.any():
                give = np.zeros(3 + 2 * n)
                give[3 + position * n : 3 + (position + 1) * n] = bound
                found.append((kind, self.weights[kind], most, give))
        for i in np.flatnonzero(~free).tolist():
            price = self.weights["lock"] / self.lock[i]
            found.append(("lock", price, np.inf, np.eye(3 + 2 * n)[3 + i]))
            found.append(("lock", price, self.lock[i], np.eye(3 + 2 * n)[3 + n + i]))
        return found

    def least_price(self) -> float:
        """Return the least price over every choice of what may give way; inf where nothing has to."""
        n, free = len(self.cells), np.isnan(self.lock)
        rows = np.vstack([self.effort, self.rate, -np.ones(n), np.eye(n), -np.eye(n)])
        upper, lower = np.where(free, self.high, self.lock), np.where(free, self.low, self.lock)
        right = np.concatenate([[self.hours, self.pay, -self.goal], upper, -lower])
        levers = self.levers()
        if linprog(np.zeros(n), A_ub=rows, b_ub=right, bounds=(None, None)).status == 0:
            return np.inf
        best = np.inf
        for chosen in itertools.product((False, True), repeat=len(levers)):
            opened = [lever for lever, is_open in zip(levers, chosen, strict=True) if is_open]
            cost = np.concatenate([np.zeros(n), [price for _, price, _, _ in opened]])
            give = np.array([give for *_, give in opened]).reshape(len(opened), len(right)).T
            bounds = [(None, None)] * n + [(0.0, most if np.isfinite(most) else None) for _, _, most, _ in opened]
            answer = linprog(cost, A_ub=np.hstack([rows, -give]), b_ub=right, bounds=bounds)
            best = min(best, answer.fun) if answer.status == 0 else best
        return best


def paid(organization: Organization, repair: dict) -> float:
    """Return what a repair costs, from what its changes say and nothing else."""
    total = 0.0
    for change in repair["changes"]:
        kind = next(k for k in WEIGHTS if change["limit"].startswith(k))
        size = organization.goal if kind == "goal" else change["from"]
        total += organization.weights[kind] * abs(change["to"] - change["from"]) / size
    return total


@pytest.mark.parametrize("seed", rest_at_night(range(4, 20), 5))
def test_no_choice_of_what_gives_way_is_cheaper(tmp_path, seed):
    organization, path = Organization(seed), tmp_path / "s.toml"
    least = organization.least_price()
    assert np.isfinite(least)
    found = diagnosis(path, organization.text())
    assert found["repair"]["price"] == pytest.approx(least, rel=1e-7)
    assert paid(organization, found["repair"]) == pytest.approx(least, rel=2e-3)
    for repair in [found["repair"], *found["alternatives"]]:
        run = kpiopt.solve(kpiopt.load(path, overrides=repair["set"]), simulate=False)
        assert run.certificate.passed, repair["text"]


def wide(members: int, bounds: str) -> str:
    units = "".join(f'[unit.t{i:02d}]\nparent = "north"\n' for i in range(members))
    cells = "".join(f'[cell."t{i:02d}/s"]\nbaseline = {100 + i}\n{bounds}\neffort.h = 1\n' for i in range(members))
    return (
        'schema = 1\nname = "w"\n[kpi.s]\n[unit.co]\n[unit.north]\nparent = "co"\ncapacity.h = 100\n[unit.south]\n'
        f'parent = "co"\n{units}{cells}[cell."south/s"]\nbaseline = 50\nmax_stretch = 5\n[goal.s]\ntarget = 9000\n'
    )


@pytest.mark.parametrize(
    ("bounds", "extra", "start"),
    [
        ("min_stretch = 9\nmax_stretch = 20", "", "adjust."),
        ("", '[guardrail.g]\nwhere = { under = "north" }\ngrowth = [0.1, 0.3]\n', "guardrail."),
        ("", '[guardrail.g]\nwhere = { unit = ["t00", "t01"] }\ngrowth = [0.2, 0.3]\n'
         '[guardrail.h]\nwhere = { unit = ["t02", "t03", "t04", "t05", "t06", "t07", "t08", "t09", "t10", "t11"] }\n'
         "growth = [0.1, 0.3]\n", "cell."),
    ],
    ids=["own", "guardrail", "two guardrails"],
)  # fmt: skip
def test_a_repair_of_many_parts_has_assignments_too(tmp_path, capsys, bounds, extra, start):
    """Twelve teams give way together, their ranges their own or a guardrail's; what is printed mends the file."""
    path = tmp_path / "s.toml"
    found = diagnosis(path, wide(12, bounds) + extra + "[relax]\ncapacity = 1000\n")
    assert [change["limit"] for change in found["repair"]["changes"]] == ["min_stretch under north"]
    assert all(one.startswith(start) for one in found["repair"]["set"])
    scenario = kpiopt.load(path, overrides=found["repair"]["set"])
    assert kpiopt.solve(scenario, simulate=False).certificate.passed
    with pytest.raises(Infeasible) as caught:
        kpiopt.solve(kpiopt.load(path), simulate=False)
    assert all(f"--set '{one}'" in caught.value.problems[0].fix for one in found["repair"]["set"])
    assert scenario.cells.max_stretch[-1] == kpiopt.load(path).cells.max_stretch[-1]  # others are left alone


def test_one_limit_that_nothing_can_keep_is_not_said_to_contradict_itself(tmp_path):
    unit = '[unit.a]\nparent = "co"\ntarget_incentive = 60_000\n'
    unit += '[cell."a/s"]\nbaseline = 100\nmax_stretch = 50\nweight = 1\n'
    path = tmp_path / "s.toml"
    path.write_text(f"{HEAD}{unit}[goal.s]\ntarget = 130\n[budget.pay]\nlimit = 50_000\n")
    with pytest.raises(
        Infeasible, match=r"this cannot be kept within the ranges as they are: budget\.pay <= 50,000, of which"
    ):
        kpiopt.solve(kpiopt.load(path), simulate=False)
