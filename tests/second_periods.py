"""A second opinion on plans by period: small TOML documents, written out period by period and solved by SciPy.

Written from the meaning of the format alone: every value of every unit, KPI and period is a linear form in the
decisions, found by walking the document. Shares nothing with kpiopt.
"""

from __future__ import annotations

import tomllib
from functools import cache
from typing import Any

import numpy as np
from scipy.optimize import linprog


class Face:
    """Points x >= 0 with rows x <= sides and even x = known; what a step gives up for the next ones is nothing.

    The least of a step is not kept by a row with a tolerance, which the next steps would make use of, but by what its
    shadow prices say: where one is not 0, every best point has its row tight, or its entry at 0 (complementarity).
    """

    def __init__(self, rows: np.ndarray, sides: np.ndarray, even: list[np.ndarray], known: list[float]) -> None:
        self.rows, self.sides, self.most = rows, sides, np.full(rows.shape[1], np.inf)
        self.even, self.known = np.array(even).reshape(-1, rows.shape[1]), np.array(known)

    def least(self, cost: np.ndarray) -> float:
        """Return the least cost, and keep the points that have it."""
        scale = max(float(np.abs(cost).max()), 1e-300)
        exact = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
        bounds = np.stack([np.zeros(len(cost)), self.most], axis=1)
        found = linprog(cost / scale, A_ub=self.rows, b_ub=self.sides, A_eq=self.even, b_eq=self.known, bounds=bounds,
                        method="highs", options=exact)  # fmt: skip
        assert found.status == 0, found.message
        tight = found.ineqlin.marginals < -1e-8
        self.most = np.where(found.lower.marginals > 1e-8, 0.0, self.most)
        self.even = np.vstack([self.even, self.rows[tight]])
        self.known = np.append(self.known, self.sides[tight])
        self.rows, self.sides = self.rows[~tight], self.sides[~tight]
        return float(found.fun) * scale


class SecondPeriods:
    """One document as linear forms over x[unit, kpi, t], levels begun a[initiative, unit, u], and a constant."""

    def __init__(self, text: str) -> None:
        self.tree: dict[str, Any] = tomllib.loads(text)
        self.periods: list[str] = self.tree["periods"]["names"]
        self.count = len(self.periods)
        self.units, self.kpis = self.tree["unit"], self.tree["kpi"]
        self.root = next(u for u, entry in self.units.items() if "parent" not in entry)
        self.cells = {tuple(name.split("/")): entry for name, entry in self.tree["cell"].items()}
        keys: list[tuple[Any, ...]] = [
            ("x", *cell, t) for cell, entry in self.cells.items() if "max_stretch" in entry for t in range(self.count)
        ]
        self.deciding = {
            name: [u for u, entry in self.units.items() if entry.get("level") == i["units"]["level"]]
            for name, i in self.tree.get("initiative", {}).items()
        }
        keys += [("a", i, u, t) for i, units in self.deciding.items() for u in units for t in self.starts(i)]
        self.column = {key: i for i, key in enumerate(keys)}
        self.execution = self.tree.get("uncertainty", {}).get("execution", 1.0)
        self.value = cache(self._value)
        self.built = cache(self._built)

    def starts(self, initiative: str) -> list[int]:
        names = self.tree["initiative"][initiative].get("start", self.periods)
        return [self.periods.index(name) for name in names]

    def strength(self, initiative: str, start: int, t: int) -> float:
        entry = self.tree["initiative"][initiative]
        if t < start or t >= start + entry.get("lasts", self.count):
            return 0.0
        build_up = entry.get("build_up", [1.0])
        return build_up[min(t - start, len(build_up) - 1)]

    def kind(self, kpi: str) -> str:
        entry = self.kpis[kpi]
        return entry.get("kind") or ("rate" if entry.get("roll_up") == "mean" else "flow")

    def season(self, kpi: str) -> list[float]:
        season = self.kpis[kpi].get("season", [1 / self.count] * self.count)
        return self.season(season) if isinstance(season, str) else season

    def zero(self) -> np.ndarray:
        return np.zeros(len(self.column))

    def children(self, unit: str, kpi: str) -> list[str]:
        return [u for u, e in self.units.items() if e.get("parent") == unit and self.has(u, kpi)]

    def has(self, unit: str, kpi: str) -> bool:
        if self.kpis[kpi].get("roll_up") == "none":
            return (unit, kpi) in self.cells
        return (unit, kpi) in self.cells or any(
            self.has(u, kpi) for u, e in self.units.items() if e.get("parent") == unit
        )

    def size(self, unit: str) -> float:
        return self.units[unit].get("size", 1.0) or 0.0

    def size_below(self, unit: str, kpi: str) -> float:
        below = self.children(unit, kpi)
        return sum(self.size_below(u, kpi) for u in below) if below else self.size(unit)

    def baseline(self, unit: str, kpi: str) -> float:
        below = self.children(unit, kpi)
        if not below:
            return self.cells[unit, kpi]["baseline"]
        if self.kpis[kpi].get("roll_up") == "mean":
            return sum(self.size_below(u, kpi) * self.baseline(u, kpi) for u in below) / self.size_below(unit, kpi)
        return sum(self.baseline(u, kpi) for u in below)

    def sign(self, kpi: str) -> float:
        return -1.0 if self.kpis[kpi].get("direction") == "down" else 1.0

    def links(self, kpi: str) -> list[tuple[str, float, int, list[str]]]:
        found = []
        for cause, link in self.kpis[kpi].get("drivers", {}).items():
            link = link if isinstance(link, dict) else {"contribution": link}
            at = link.get("at", "organization")
            where = [self.root] if at == "organization" else [u for u, e in self.units.items() if e.get("level") == at]
            found.append((cause, link["contribution"], link.get("lag", 0), where))
        return found

    def own(self, unit: str, kpi: str, t: int) -> np.ndarray:
        """s e x_nt."""
        form = self.zero()
        if ("x", unit, kpi, t) in self.column:
            form[self.column["x", unit, kpi, t]] = self.sign(kpi) * self.execution
        return form

    def _built(self, unit: str, kpi: str, t: int) -> np.ndarray:
        """What a stock has built up: its own stretches and what flows add, carried on."""
        if t < 0:
            return self.zero()
        form = self.kpis[kpi].get("carry", 1.0) * self.built(unit, kpi, t - 1) + self.own(unit, kpi, t)
        for cause, c, lag, where in self.links(kpi):
            if unit in where and self.kind(cause) == "flow" and t - lag >= 0:
                form = form + c * self.value(unit, cause, t - lag)
        return form

    def _value(self, unit: str, kpi: str, t: int) -> np.ndarray:
        """Change of a value in a period."""
        kind, w = self.kind(kpi), self.season(kpi)[t]
        form = self.zero()
        if kind == "stock":
            form = form + self.built(unit, kpi, t)
        else:
            form = form + self.own(unit, kpi, t) / (w if kind == "rate" else 1.0)
        for child in self.children(unit, kpi):
            mean = self.kpis[kpi].get("roll_up") == "mean"
            share = self.size_below(child, kpi) / self.size_below(unit, kpi) if mean else 1.0
            form = form + share * self.value(child, kpi, t)
        for cause, c, lag, where in self.links(kpi):
            if unit not in where or t - lag < 0:
                continue
            if self.kind(cause) == "flow":
                rate = {"flow": c, "rate": c / w, "stock": 0.0}[kind]
            else:
                rate = c * w if kind == "flow" else c
            form = form + rate * self.value(unit, cause, t - lag)
        for name, units in self.deciding.items():
            c = self.tree["initiative"][name]["effects"].get(kpi, 0.0)
            for deciding in units if c else []:
                if (deciding if self.has(deciding, kpi) else self.root) == unit:
                    for start in self.starts(name):
                        strength = self.strength(name, start, t)
                        form[self.column["a", name, deciding, start]] += strength * (c * w if kind == "flow" else c)
        return form

    def horizon(self, unit: str, kpi: str) -> np.ndarray:
        values = [self.value(unit, kpi, t) for t in range(self.count)]
        if self.kind(kpi) == "stock":
            return values[-1]
        weights = self.season(kpi) if self.kind(kpi) == "rate" else [1.0] * self.count
        return np.sum([w * v for w, v in zip(weights, values, strict=True)], axis=0)

    def limits(self) -> tuple[list[np.ndarray], list[float]]:
        """Rows form <= side of ranges, levels, capacities and budgets."""
        rows, sides = [], []
        for (unit, kpi), entry in self.cells.items():
            if "max_stretch" in entry and not {"lock", "lock_target"} & set(entry):
                row = self.zero()
                row[[self.column["x", unit, kpi, t] for t in range(self.count)]] = 1.0
                rows += [row, -row]
                sides += [entry["max_stretch"], -entry.get("min_stretch", 0.0)]
        for name, units in self.deciding.items():
            for unit in units:
                row = self.zero()
                row[[self.column["a", name, unit, t] for t in self.starts(name)]] = 1.0
                rows.append(row)
                sides.append(self.tree["initiative"][name]["max"])
        for unit, entry in self.units.items():
            for resource, amount in entry.get("capacity", {}).items():
                season = self.tree.get("capacity", {}).get(resource, {}).get("season", [1 / self.count] * self.count)
                for t in range(self.count):
                    rows.append(self.use(unit, resource, t))
                    sides.append(season[t] * amount)
        for name, entry in self.tree.get("budget", {}).items():
            each = [self.use(self.root, name, t, effort=False) for t in range(self.count)]
            rows += each if entry.get("every") == "period" else [np.sum(each, axis=0)]
            sides += [entry["limit"]] * (self.count if entry.get("every") == "period" else 1)
        return rows, sides

    def use(self, unit: str, resource: str, t: int, *, effort: bool = True) -> np.ndarray:
        below = {unit}
        for u, e in self.units.items():  # parents stand before their children
            if e.get("parent") in below:
                below.add(u)
        row = self.zero()
        for (u, kpi), entry in self.cells.items():
            if effort and u in below and ("x", u, kpi, t) in self.column:
                row[self.column["x", u, kpi, t]] += entry.get("effort", {}).get(resource, 0.0)
        for name, units in self.deciding.items():
            for u in units:
                for start in self.starts(name) if u in below else []:
                    entry, column = self.tree["initiative"][name], self.column["a", name, u, start]
                    row[column] += entry["uses"].get(resource, 0.0) if start == t else 0.0
                    runs = start <= t < start + entry.get("lasts", self.count)
                    row[column] += entry.get("runs", {}).get(resource, 0.0) if runs else 0.0
        return row

    def fixed(self) -> tuple[list[np.ndarray], list[float]]:
        """Rows form = side of locks, and of locked targets: what is asked counts in full, causes as expected."""
        rows, sides = [], []
        for (unit, kpi), entry in self.cells.items():
            stretch, left = self.zero(), self.zero()
            for t in range(self.count):
                carried = self.kpis[kpi].get("carry", 1.0) ** (self.count - 1 - t) if self.kind(kpi) == "stock" else 1.0
                stretch[self.column["x", unit, kpi, t]] = 1.0
                left[self.column["x", unit, kpi, t]] = self.sign(kpi) * (1.0 - self.execution) * carried
            if "lock" in entry:
                rows.append(stretch)
                sides.append(entry["lock"])
            elif "lock_target" in entry:
                rows.append(self.horizon(unit, kpi) + left)
                sides.append(entry["lock_target"] - entry["baseline"])
        return rows, sides

    def steps(self, plan: dict[tuple[Any, ...], float]) -> tuple[list[float], float]:
        """Solve goals, fairness and cost one after the other.

        Returns
        -------
        values : list of float
        gap : float
            By how much moving from the plan could lower the last step, to first order, as a share of its value: a plan
            that minimises a convex function leaves nothing.
        """
        goals, free = self._goals(), [c for c, e in self.cells.items() if not {"lock", "lock_target"} & set(e)]
        groups = sorted({kpi for _, kpi in free})
        n, extra = len(self.column), len(goals) + len(groups)
        pad = np.zeros(extra)
        rows, sides = self.limits()
        matrix = [np.append(row, pad) for row in rows]
        for g, (form, gap) in enumerate(goals):
            row = np.append(form, pad)
            row[n + g] = -1.0
            matrix.append(row)
            sides.append(gap)
        for unit, kpi in free:
            row = np.append(self.zero(), pad)
            row[[self.column["x", unit, kpi, t] for t in range(self.count)]] = 1.0 / self.cells[unit, kpi]["baseline"]
            row[n + len(goals) + groups.index(kpi)] = -1.0
            matrix.append(row)
            sides.append(0.0)
        equal, known = self.fixed()
        face = Face(np.array(matrix), np.array(sides), [np.append(row, pad) for row in equal], known)
        values = [face.least(cost) for cost in self._costs(goals, groups, free)]
        at = np.array([plan[key] for key in self.column])
        weight = self._weights()
        gradient = 2.0 * weight * at
        best = face.least(np.append(gradient, pad))
        return values, (float(gradient @ at) - best) / max(float(weight @ at**2), 1e-6)

    def _costs(self, goals: list[Any], groups: list[str], free: list[Any]) -> list[np.ndarray]:
        n, extra = len(self.column), len(goals) + len(groups)
        short, unfair, cost = np.zeros(n + extra), np.zeros(n + extra), np.zeros(n + extra)
        for g, (_, gap) in enumerate(goals):
            short[n + g] = 1.0 / abs(gap)
        for i, kpi in enumerate(groups):
            unfair[n + len(goals) + i] = sum(k == kpi for _, k in free) / len(free)
        cost[:n] = np.sum([self.use(self.root, "cash", t, effort=False) for t in range(self.count)], axis=0)
        for (unit, kpi), entry in self.cells.items():
            for t in range(self.count):
                cost[self.column["x", unit, kpi, t]] += entry.get("pay_rate", 0.0)
        return [short, unfair, cost]

    def _weights(self) -> np.ndarray:
        """1 / (w_t w_n W_k) of each stretch, 0.001 / (count max^2) of each level."""
        weight, levels = self.zero(), [key for key in self.column if key[0] == "a"]
        for (unit, kpi), entry in self.cells.items():
            total = sum(e["baseline"] for (_, k), e in self.cells.items() if k == kpi)
            for t in range(self.count):
                season = 1 / self.count if self.kind(kpi) == "stock" else self.season(kpi)[t]
                weight[self.column["x", unit, kpi, t]] = 1.0 / (season * entry["baseline"] * total)
        for key in levels:
            weight[self.column[key]] = 0.001 / (len(levels) * self.tree["initiative"][key[1]]["max"] ** 2)
        return weight

    def _goals(self) -> list[tuple[np.ndarray, float]]:
        """Rows form - f <= gap of every goal."""
        found = []
        for name, goal in self.tree["goal"].items():
            kpi, unit = goal.get("kpi", name), goal.get("at", self.root)
            base, form = self.baseline(unit, kpi), self.horizon(unit, kpi)
            if "period" in goal:
                t = self.periods.index(goal["period"])
                form = self.value(unit, kpi, t)
                base *= self.season(kpi)[t] if self.kind(kpi) == "flow" else 1.0
            found.append((-self.sign(kpi) * form, -self.sign(kpi) * (goal["target"] - base)))
        return found

    def least_shortfall(self) -> float:
        """Least sum of shortfall / scale over the goals, all of one priority."""
        rows, sides = self.limits()
        goals = self._goals()
        cost = np.append(self.zero(), [1.0 / abs(gap) for _, gap in goals])
        matrix = [np.append(row, np.zeros(len(goals))) for row in rows]
        for g, (form, gap) in enumerate(goals):
            row = np.append(form, np.zeros(len(goals)))
            row[len(self.column) + g] = -1.0
            matrix.append(row)
            sides.append(gap)
        found = linprog(cost, A_ub=np.array(matrix), b_ub=np.array(sides), bounds=(0, None), method="highs")
        assert found.status == 0, found.message
        return float(found.fun)
