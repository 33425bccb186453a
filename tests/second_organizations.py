"""Random organizations with periods, tiers, cushions and single periods, and a second opinion on their plans.

The linear program of each is written out here from the meaning of the format alone, as dense rows over x[unit, kpi, t]
and a[unit, start], and solved by SciPy. It shares nothing with kpiopt and nothing with `second_periods`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

KPIS = ("visits", "skill", "quality", "sales")  # causes before what they drive
BASELINES = {"sales": (200, 900), "quality": (50, 80), "skill": (20, 60), "visits": (100, 500)}
TIERS = ((0.05, 1.0), (0.1, 2.0), (0.2, 4.0))
RAMP, BAND, CUSHION = 0.05, 0.06, 0.05
Form = np.ndarray
"""A linear form in all columns; its last entry is its constant."""


@dataclass
class Kpi:
    kind: str
    season: np.ndarray
    step: float
    sign: int = 1
    carry: float = 1.0

    @property
    def is_mean(self) -> bool:
        return self.kind == "rate"


@dataclass
class Cell:
    """Ends, locks and references of single periods are by position."""

    baseline: float
    most: float
    least: float
    effort: float
    rate: float
    lock: float | None = None
    baselines: dict[int, float] = field(default_factory=dict)
    leasts: dict[int, float] = field(default_factory=dict)
    mosts: dict[int, float] = field(default_factory=dict)
    locks: dict[int, float] = field(default_factory=dict)
    references: dict[int, float] = field(default_factory=dict)
    by_period: np.ndarray = field(default_factory=lambda: np.empty(0))


class Organization:
    """One random organization by its seed: as files, and as a linear program."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.count = int(self.rng.integers(2, 5))
        self.periods = [f"q{t + 1}" for t in range(self.count)]
        self.teams = ["a", "b", "c", "d"][: int(self.rng.integers(2, 5))]
        self.execution = float(self.rng.choice([1.0, 0.8, 0.9]))
        self._draw_kpis()
        self._draw_cells()
        self._draw_limits()
        self._draw_goals()

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def season(self) -> np.ndarray:
        weights = self.rng.integers(1, 6, self.count).astype(float)
        weights = np.round(weights / weights.sum(), 3)
        weights[-1] = round(1.0 - float(weights[:-1].sum()), 3)
        return weights

    def _draw_kpis(self) -> None:
        even = np.full(self.count, 1.0 / self.count)
        self.kpis = {"sales": Kpi("flow", self.season(), 1.0)}
        if self.chance(0.7):
            self.kpis["quality"] = Kpi("rate", self.season(), 0.1, int(self.rng.choice([1, -1])))
        if self.chance(0.7):
            self.kpis["skill"] = Kpi("stock", even, 0.5, carry=float(self.rng.choice([1.0, 0.8, 0.5])))
        if self.chance(0.5):
            self.kpis["visits"] = Kpi("flow", self.season(), 1.0)
        self.size = {u: float(self.rng.integers(1, 6)) for u in self.teams}
        strength = {"quality": 3.0, "skill": 4.0, "visits": 0.5}
        self.causes: dict[tuple[str, str], tuple[float, int]] = {}
        for cause, c in strength.items():
            if cause in self.kpis and self.chance(0.8):
                lag = int(self.rng.integers(0, self.count)) if self.chance(0.5) else 0
                self.causes[cause, "sales"] = c * self.kpis[cause].sign, lag
        if {"visits", "skill"} <= set(self.kpis) and self.chance(0.5):
            self.causes["visits", "skill"] = 0.05, int(self.rng.integers(0, 2))
        if {"skill", "quality"} <= set(self.kpis) and self.chance(0.5):
            self.causes["skill", "quality"] = 0.2 * self.kpis["quality"].sign, int(self.rng.integers(0, 2))
        self.factor = self.rng.integers(-3, 6, self.count).astype(float).tolist() if self.chance(0.5) else None
        self.factor_lag = int(self.rng.integers(0, self.count))

    def _draw_cells(self) -> None:
        self.cells: dict[tuple[str, str], Cell] = {}
        for unit in self.teams:
            for kpi in self.kpis:
                baseline = float(self.rng.integers(*BASELINES[kpi]))
                most = round(baseline * float(self.rng.choice([0.1, 0.2, 0.3])), 1)
                least = round(0.2 * most, 1) if self.chance(0.3) else 0.0
                effort, rate = float(self.rng.choice([0, 0.5, 1, 2])), float(self.rng.choice([0, 0.5, 1]))
                cell = self.cells[unit, kpi] = Cell(baseline, most, least, effort, rate)
                for t in range(self.count):
                    self._draw_period(cell, self.kpis[kpi], t)
                if self.chance(0.1):
                    cell.lock, cell.least = round(0.4 * most, 1), 0.0
                    cell.leasts, cell.locks, cell.mosts = {}, {}, {}
                for some in (cell.baselines, cell.locks):  # one period at least follows from the rest
                    if len(some) == self.count:
                        del some[0]
                cell.by_period = self._baselines(cell, self.kpis[kpi])

    def _draw_period(self, cell: Cell, kpi: Kpi, t: int) -> None:
        usual = cell.baseline * (kpi.season[t] if kpi.kind == "flow" else 1.0)
        if self.chance(0.25):
            cell.baselines[t] = round(usual * float(self.rng.uniform(0.85, 1.15)), 1)
        if self.chance(0.25):
            cell.mosts[t] = round(cell.most * float(self.rng.uniform(0.1, 0.5)), 1)
        if self.chance(0.1) and cell.mosts.get(t, cell.most) > 0.1 * cell.most:
            cell.leasts[t] = round(0.05 * cell.most, 1)
        if self.chance(0.1):
            cell.locks[t] = round(cell.most * float(self.rng.uniform(0.0, 0.3)), 1) if self.chance(0.7) else -3.0
        if self.chance(0.1) and kpi.kind != "stock":
            cell.references[t] = round(1.02 * usual, 1)

    def _baselines(self, cell: Cell, kpi: Kpi) -> np.ndarray:
        """What the year leaves is shared by season among the periods without a baseline of their own."""
        given = cell.baselines
        if kpi.kind == "stock":  # the year's is that of its last period
            cell.baseline = given.get(self.count - 1, cell.baseline)
        found = np.full(self.count, cell.baseline)
        rest = [t for t in range(self.count) if t not in given]
        for t, value in given.items():
            found[t] = value
        if kpi.kind == "flow":
            found[rest] = (cell.baseline - sum(given.values())) * kpi.season[rest] / kpi.season[rest].sum()
        elif kpi.kind == "rate":
            found[rest] = (cell.baseline - sum(kpi.season[t] * b for t, b in given.items())) / kpi.season[rest].sum()
        return found

    def _draw_limits(self) -> None:
        self.capacity = {u: float(self.rng.integers(20, 150)) for u in self.teams if self.chance(0.7)}
        self.capacity_season = self.season() if self.chance(0.5) else np.full(self.count, 1.0 / self.count)
        self.capacity_above = float(self.rng.integers(100, 400)) if self.chance(0.3) else None
        self.price = float(self.rng.choice([0.0, 2.0]))
        self.incentive = {u: float(self.rng.choice([0, 60])) for u in self.teams}
        due, self.pay, self.pay_by_period = sum(self.incentive.values()), None, self.chance(0.5)
        if self.chance(0.6):
            more = self.rng.integers(10, 60) if self.pay_by_period else self.rng.integers(20, 150)
            self.pay = round(due / (self.count if self.pay_by_period else 1) + float(more), 1)
        self.campaign: dict[str, Any] | None = None
        if self.chance(0.6):
            effects = {"sales": 6.0, "skill": 0.7}
            if "quality" in self.kpis:
                effects["quality"] = 0.5 * self.kpis["quality"].sign
            effects = {k: c for k, c in effects.items() if k in self.kpis and self.chance(0.7)} or {"sales": 6.0}
            self.campaign = {
                "max": 5.0,
                "cash": 3.0,
                "runs": float(self.rng.choice([0.0, 1.0])),
                "build_up": [0.4, 1.0] if self.chance(0.5) else [1.0],
                "lasts": 2 if self.chance(0.4) else self.count,
                "start": [0, 1] if self.chance(0.5) else list(range(self.count)),
                "effects": effects,
                "lag": int(self.rng.integers(0, 2)),
                "limit": float(self.rng.integers(5, 25)),
                "by_period": self.chance(0.3),
            }
        self.has_tiers, self.has_shares, self.has_ramp = self.chance(0.3), self.chance(0.25), self.chance(0.25)
        self.has_band, self.has_cushion = self.chance(0.2), self.chance(0.4)

    def _draw_goals(self) -> None:
        growth = float(self.rng.choice([1.05, 1.1, 1.2, 1.4])) - 1.0
        self.goals: dict[str, dict[str, Any]] = {}

        def add(name: str, kpi: str, at: str, priority: int, weight: float, t: int | None = None) -> None:
            start = self.start_of(kpi, at, t)
            share = growth * self.kpis[kpi].sign * (1.0 if self.kpis[kpi].kind == "flow" else 0.5)
            self.goals[name] = {
                "kpi": kpi, "at": at, "priority": priority, "weight": weight, "t": t, "start": start,
                "target": round(start * (1.0 + share), 1),
            }  # fmt: skip

        add("sales", "sales", "co", 1, 1.0)
        for kpi in self.kpis:
            if kpi != "sales" and self.chance(0.5):
                add(f"year_{kpi}", kpi, "co", int(self.rng.integers(1, 3)), float(self.rng.choice([1.0, 2.0])))
            if self.chance(0.5):
                at, t = "co" if self.chance(0.7) else self.teams[0], int(self.rng.integers(0, self.count))
                add(f"period_{kpi}", kpi, at, int(self.rng.integers(1, 3)), 1.0, t)

    def shares(self, kpi: str, at: str) -> dict[str, float]:
        units = self.teams if at == "co" else [at]
        total = sum(self.size[u] for u in units)
        return {u: self.size[u] / total if self.kpis[kpi].is_mean else 1.0 for u in units}

    def start_of(self, kpi: str, at: str, t: int | None) -> float:
        cells = {u: self.cells[u, kpi] for u in self.shares(kpi, at)}
        values = {u: c.baseline if t is None else float(c.by_period[t]) for u, c in cells.items()}
        return sum(share * values[u] for u, share in self.shares(kpi, at).items())

    # files

    def write(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "scenario.toml").write_text("\n".join([*self._head(), *self._money(), *self._rest(), ""]), "utf-8")
        (folder / "cells.csv").write_text("\n".join([*self._rows(), ""]), "utf-8")
        return folder / "scenario.toml"

    def _head(self) -> list[str]:
        lines = ["schema = 1", 'name = "Random"', 'currency = "USD"', f"periods = {json.dumps(self.periods)}"]
        for name, kpi in self.kpis.items():
            lines += [f"[kpi.{name}]", f'roll_up = "{"mean" if kpi.is_mean else "sum"}"', f'kind = "{kpi.kind}"']
            lines += [f'direction = "{"up" if kpi.sign > 0 else "down"}"', f"step = {kpi.step}"]
            stock = kpi.kind == "stock"
            lines.append(f"carry = {kpi.carry}" if stock else f"season = {json.dumps(kpi.season.tolist())}")
        for (cause, kpi), (c, lag) in self.causes.items():
            lines += [f"[kpi.{kpi}.drivers.{cause}]", f"contribution = {c}", f"lag = {lag}", 'at = "rep"']
        if self.factor is not None:
            lines += ["[kpi.sales.drivers.market]", "contribution = 10.0", f"lag = {self.factor_lag}"]
            lines += ["[factor.market]", f"value = {json.dumps(self.factor)}"]
        lines += ["[uncertainty]", f"execution = {self.execution}", "[unit.co]"]
        lines += [] if self.capacity_above is None else [f"capacity.hours = {self.capacity_above}"]
        for unit in self.teams:
            lines += [f"[unit.{unit}]", 'parent = "co"', 'level = "rep"', f"size = {self.size[unit]}"]
            lines += [f"target_incentive = {self.incentive[unit]}"]
            lines += [f"capacity.hours = {self.capacity[unit]}"] if unit in self.capacity else []
        return lines

    def _money(self) -> list[str]:
        lines = []
        if self.capacity or self.capacity_above is not None:
            lines += ["[capacity.hours]", f"season = {json.dumps(self.capacity_season.tolist())}"]
        if self.capacity_above is not None or self.capacity:
            lines += ["[decide]", f"effort_price = {{ hours = {self.price} }}"]
        if self.pay is not None:
            lines += ["[budget.pay]", f"limit = {self.pay}"] + ['every = "period"'] * self.pay_by_period
        campaign = self.campaign
        if campaign:
            lines += ["[initiative.campaign]", f"units = {json.dumps(self.teams[:2])}", f"max = {campaign['max']}"]
            lines += [f"uses = {{ cash = {campaign['cash']} }}", f"build_up = {campaign['build_up']}"]
            lines += [f"runs = {{ cash = {campaign['runs']} }}"] if campaign["runs"] else []
            lines += [f"lasts = {campaign['lasts']}"] if campaign["lasts"] < self.count else []
            lines += [f"start = {json.dumps([self.periods[t] for t in campaign['start']])}"]
            for kpi, c in campaign["effects"].items():
                lines += [f"[initiative.campaign.effects.{kpi}]", f"contribution = {c}", f"lag = {campaign['lag']}"]
            lines += ["[budget.cash]", f"limit = {campaign['limit']}"] + ['every = "period"'] * campaign["by_period"]
        return lines

    def _rest(self) -> list[str]:
        lines = []
        if self.has_tiers:
            lines += ["[effort_curve.hard]", f"tiers = {json.dumps(TIERS)}"]
        lines += ["[guardrail.shares]", "per_period = true"] if self.has_shares else []
        lines += ["[guardrail.ramp]", f"ramp = {RAMP}", 'where = { kpi = "sales" }'] if self.has_ramp else []
        lines += ["[fairness]", f"band = {BAND}", "price = false"] if self.has_band else []
        lines += ["[over_assignment]", f"rep = {CUSHION}", 'kpi = ["sales"]'] if self.has_cushion else []
        for name, goal in self.goals.items():
            lines += [f"[goal.{name}]", f'kpi = "{goal["kpi"]}"', f"target = {goal['target']}", f'at = "{goal["at"]}"']
            lines += [f"priority = {goal['priority']}", f"weight = {goal['weight']}"]
            lines += [] if goal["t"] is None else [f'period = "{self.periods[goal["t"]]}"']
        return [*lines, "[tables]", 'cells = "cells.csv"']

    def _rows(self) -> list[str]:
        fields = ("baselines", "leasts", "mosts", "locks", "references")
        lines = [
            "unit,kpi,period,baseline,min_stretch,max_stretch,lock,lock_reason,reference,effort.hours,pay_rate,weight"
        ]
        uses = bool(self.capacity or self.capacity_above is not None)

        def text(value: float | None) -> str:
            return "" if value is None else repr(float(value))

        for (unit, kpi), cell in self.cells.items():
            reason, weight = "" if cell.lock is None else "agreed", "1" if kpi == "sales" else ""
            lines.append(
                f"{unit},{kpi},,{text(cell.baseline)},{text(cell.least or None)},{text(cell.most)},{text(cell.lock)},"
                f"{reason},,{text(cell.effort) if uses else ''},{text(cell.rate)},{weight}"
            )
            for t in range(self.count):
                given = [getattr(cell, name).get(t) for name in fields]
                if any(value is not None for value in given):
                    start, low, high, lock, reference = map(text, given)
                    reason = "agreed" if lock else ""
                    lines.append(f"{unit},{kpi},{self.periods[t]},{start},{low},{high},{lock},{reason},{reference},,,")
        return lines
