"""A second opinion on small TOML documents with locks, totals, own cells, spread causes and bounded KPIs.

Every value is a linear form in the decisions, made by walking the document with dictionaries; the steps goals and
fairness are solved by SciPy. Shares nothing with kpiopt but the format.
"""

from __future__ import annotations

import tomllib
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

Node = tuple[str, str, bool]
Form = tuple[np.ndarray, float]


class SmallWorld:
    """One document as linear forms. A node is (unit, KPI, whether it is the unit's own part)."""

    def __init__(self, text: str) -> None:
        self.tree: dict[str, Any] = tomllib.loads(text)
        self.kpis, self.units = self.tree["kpi"], self.tree["unit"]
        (self.root,) = [u for u, entry in self.units.items() if "parent" not in entry]
        self.children: dict[str, list[str]] = defaultdict(list)
        for unit, entry in self.units.items():
            self.children[entry.get("parent", "")].append(unit)
        self.cells: dict[Node, dict[str, Any]] = {}
        for name, entry in self.tree["cell"].items():
            unit, kpi = name.rsplit("/", 1)
            self.cells[unit, kpi, entry.get("own", False)] = entry
        self.leaves = {node for node in self.cells if node[2] or not self.parts((node[0], node[1], False))}
        decided = ("max_stretch", "lock", "lock_target")
        self.columns = [n for n, e in self.cells.items() if n in self.leaves and any(key in e for key in decided)]
        self.form, self.asked_form = cache(self._form), cache(self._asked_form)

    def has_value(self, unit: str, kpi: str) -> bool:
        here = any((unit, kpi, own) in self.cells for own in (False, True))
        return here or any(self.has_value(child, kpi) for child in self.children[unit])

    def size(self, node: Node) -> float:
        for entry in (self.cells.get(node, {}), {} if node[2] else self.units[node[0]]):
            if "size" in entry:
                return float(entry["size"])
        below = [] if node[2] else self.below(node)
        return sum(self.size(child) for child in below) if below else 1.0

    def below(self, node: Node) -> list[Node]:
        unit, kpi, own = node
        found = [(child, kpi, False) for child in self.children[unit] if self.has_value(child, kpi)]
        return [] if own else found + [(unit, kpi, True)] * ((unit, kpi, True) in self.cells)

    def parts(self, node: Node) -> list[tuple[float, Node]]:
        below, how = self.below(node), self.kpis[node[1]].get("roll_up", "sum")
        total = sum(self.size(child) for child in below) if how == "mean" else 1.0
        return [((self.size(child) / total) if how == "mean" else 1.0, child) for child in below]

    def baseline(self, node: Node) -> float:
        parts = self.parts(node)
        return sum(c * self.baseline(n) for c, n in parts) if parts else float(self.cells[node]["baseline"])

    def sign(self, kpi: str) -> float:
        return -1.0 if self.kpis[kpi].get("direction") == "down" else 1.0

    def execution(self, node: Node) -> float:
        return 1.0 if self.box(node)[1] <= 0.0 and self.box(node)[0] < 0.0 else self.tree["uncertainty"]["execution"]

    def causes(self, node: Node) -> Form:
        """What drivers add at a node: written for it, or handed down to it."""
        row, constant = np.zeros(len(self.columns)), 0.0
        for cause, entry in self.kpis[node[1]].get("drivers", {}).items():
            for place in self.places(entry):
                share = self.share(node, place, entry)
                if share and self.drives(cause, place):
                    r, c = self.cause(cause, place)
                    row, constant = (
                        row + share * entry["contribution"] * r,
                        constant + share * entry["contribution"] * c,
                    )
        return row, constant

    def cause(self, cause: str, place: str) -> Form:
        if cause in self.tree.get("factor", {}):
            return np.zeros(len(self.columns)), float(self.tree["factor"][cause]["value"])
        return self.form((place, cause, False))

    def drives(self, cause: str, place: str) -> bool:
        return cause in self.tree.get("factor", {}) or self.has_value(place, cause)

    def places(self, entry: dict[str, Any]) -> list[str]:
        at = entry.get("at", "organization")
        return [
            u for u in self.units if at in (u, self.units[u].get("level")) or (at, u) == ("organization", self.root)
        ]

    def share(self, node: Node, place: str, entry: dict[str, Any]) -> float:
        """The part of a cause at a place that this node gets."""
        top = (place, node[1], False)
        if "spread" not in entry or not self.parts(top):
            return float(node == top)
        leaves = self.leaves_below(top)
        if node not in leaves:
            return 0.0
        if self.kpis[node[1]].get("roll_up", "sum") == "mean":
            return 1.0
        rule = {"baseline": lambda n: abs(self.baseline(n)), "size": self.size, "even": lambda _: 1.0}[entry["spread"]]
        total = sum(rule(n) for n in leaves)
        return rule(node) / total if total else 1.0 / len(leaves)

    def leaves_below(self, node: Node) -> list[Node]:
        parts = self.parts(node)
        return [leaf for _, child in parts for leaf in self.leaves_below(child)] if parts else [node]

    def own_row(self, node: Node, share: float) -> np.ndarray:
        row = np.zeros(len(self.columns))
        if node in self.columns:
            row[self.columns.index(node)] = self.sign(node[1]) * share
        return row

    def _form(self, node: Node) -> Form:
        """The expected change; what breaks a bound without any decision is clipped."""
        row, constant = self.causes(node)
        if node in self.columns:
            row = row + self.own_row(node, self.execution(node))
        for c, child in self.parts(node):
            below, offset = self.form(child)
            row, constant = row + c * below, constant + c * offset
        entry, start = self.kpis[node[1]], self.baseline(node)
        value = min(max(start + constant, entry.get("min", -np.inf)), entry.get("max", np.inf))
        return row, value - start

    def _asked_form(self, node: Node) -> Form:
        row, constant = self.causes(node)
        row = row + self.own_row(node, 1.0)
        for c, child in self.parts(node):
            below, offset = self.asked_form(child)
            row, constant = row + c * below, constant + c * offset
        return row, constant

    def stretch_row(self, node: Node) -> np.ndarray:
        parts = self.parts(node)
        if not parts:
            row = np.zeros(len(self.columns))
            if node in self.columns:
                row[self.columns.index(node)] = 1.0
            return row
        return sum(c * self.stretch_row(child) for c, child in parts)

    @cache  # noqa: B019
    def box(self, node: Node) -> tuple[float, float]:
        entry = self.cells[node]
        if "lock" in entry:
            return entry["lock"], entry["lock"]
        if "lock_target" not in entry:
            return entry.get("min_stretch", 0.0), entry["max_stretch"]
        row, constant = self.causes(node)
        boxes = [self.box(n) if row[i] else (0.0, 0.0) for i, n in enumerate(self.columns)]
        low = constant + sum(min(r * a, r * b) for r, (a, b) in zip(row, boxes, strict=True))
        high = constant + sum(max(r * a, r * b) for r, (a, b) in zip(row, boxes, strict=True))
        gap, sign = entry["lock_target"] - self.baseline(node), self.sign(node[1])
        least, most = sorted((sign * (gap - low), sign * (gap - high)))
        return (max(least, 0.0), most) if most > 0.0 else (least, most)

    def rows(self) -> list[tuple[np.ndarray, float, float]]:
        found = []
        for node, entry in self.cells.items():
            start = self.baseline(node)
            if "lock_target" in entry:
                row, constant = self.asked_form(node)
                found.append((row, *(entry["lock_target"] - start - constant,) * 2))
            if node not in self.leaves:
                low, high = entry.get("min_stretch", -np.inf), entry.get("max_stretch", np.inf)
                low, high = (entry["lock"],) * 2 if "lock" in entry else (low, high)
                found.append((self.stretch_row(node), low, high))
        for kpi, entry in self.kpis.items():
            for node in [(u, kpi, False) for u in self.units if self.has_value(u, kpi)] + [
                n for n in self.cells if n[1] == kpi and n[2]
            ]:
                row, constant = self.form(node)
                value = self.baseline(node) + constant
                low, high = entry.get("min", -np.inf) - value, entry.get("max", np.inf) - value
                found.append(
                    (row, low - 1e-10, high + 1e-10)
                )  # a value clipped to its bound stands there but for noise
        for unit, entry in self.units.items():
            for resource, limit in entry.get("capacity", {}).items():
                row = np.zeros(len(self.columns))
                for i, node in enumerate(self.columns):
                    is_given_up = self.box(node)[1] <= 0.0 and self.box(node)[0] < 0.0
                    if self.is_under(node[0], unit) and not is_given_up:
                        row[i] = self.cells[node].get("effort", {}).get(resource, 0.0)
                found.append((row, -np.inf, limit))
        return found

    def is_under(self, unit: str, top: str) -> bool:
        return unit == top or ("parent" in self.units[unit] and self.is_under(self.units[unit]["parent"], top))

    def scale(self, node: Node) -> float:
        entry, start = self.kpis[node[1]], self.baseline(node)
        rule, step = entry.get("scale", "baseline"), entry.get("step", 0.0)
        if rule == "headroom":
            return max(abs(entry["max" if self.sign(node[1]) > 0 else "min"] - start), step)
        return max(abs(start), step) if rule == "baseline" else float(rule)

    def solve(self) -> list[float] | None:
        """Values of the steps goals, by priority, and fairness; None where there is no plan."""
        goals, n = list(self.tree["goal"].items()), len(self.columns)
        groups: dict[tuple[str, str], list[int]] = defaultdict(list)
        for i, node in enumerate(self.columns):
            if not {"lock", "lock_target"} & set(self.cells[node]):
                groups[node[1], self.units[node[0]].get("level", "")].append(i)
        g, m = len(goals), len(groups)
        wide = n + g + m
        rows = [(np.append(row, np.zeros(g + m)), low, high) for row, low, high in self.rows()]
        costs: dict[int, np.ndarray] = defaultdict(lambda: np.zeros(wide))
        for i, (name, goal) in enumerate(goals):
            node = (goal.get("at", self.root), goal.get("kpi", name), False)
            row, constant = self.form(node)
            gap, sign = goal["target"] - self.baseline(node), self.sign(node[1])
            rows.append((np.concatenate([sign * row, np.eye(g)[i], np.zeros(m)]), sign * (gap - constant), np.inf))
            costs[goal.get("priority", 1)][n + i] = goal.get("weight", 1.0) / (abs(gap) or abs(goal["target"]) or 1.0)
        fairness = np.zeros(wide)
        for j, members in enumerate(groups.values()):
            fairness[n + g + j] = len(members) / max(sum(map(len, groups.values())), 1)
            for i in members:
                row = np.zeros(wide)
                row[i], row[n + g + j] = 1.0 / self.scale(self.columns[i]), -1.0
                rows.append((row, -np.inf, 0.0))
        boxes = [self.box(node) for node in self.columns]
        bounds = Bounds([b[0] for b in boxes] + [0.0] * (g + m), [b[1] for b in boxes] + [np.inf] * (g + m))
        values = []
        steps = [costs[p] for p in sorted(costs)] + ([fairness] if m else [])
        for cost in steps:
            matrix, low, high = (np.array([row[k] for row in rows]) for k in range(3))
            # HiGHS' presolve takes the sliver that earlier steps leave for empty
            answer = milp(
                cost, constraints=LinearConstraint(matrix, low, high), bounds=bounds, options={"presolve": False}
            )
            if answer.status == 2:
                return None
            assert answer.status == 0, answer.message
            values.append(float(answer.fun))
            rows.append((cost, -np.inf, values[-1] + 1e-9))
        return values


def solve_by_linprog(path: Path) -> list[float] | None:
    """Read a document and return the values of its steps goals and fairness."""
    return SmallWorld(path.read_text(encoding="utf-8")).solve()
