"""A second opinion on shipped scenarios: files read by csv and tomllib, the graph swept node by node with dictionaries,
every step of the strict order but the last solved by SciPy. Shares nothing with kpiopt but the format.
"""

from __future__ import annotations

import csv
import math
import tomllib
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

Tree = dict[str, Any]
ROOT = "organization"


def merge(below: Tree, above: Tree) -> Tree:
    """Lay one document over another, table by table."""
    merged = dict(below)
    for key, value in above.items():
        is_table = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if is_table else value
    return merged


def read_chain(path: Path) -> Tree:
    """Read a document over what it extends; tables become paths."""
    tree = tomllib.loads(path.read_text(encoding="utf-8"))
    for name, file in tree.get("tables", {}).items():
        tree["tables"][name] = path.parent / file
    parents = tree.pop("extends", [])
    below: Tree = {}
    for parent in [parents] if isinstance(parents, str) else parents:
        below = merge(below, read_chain(path.parent / parent))
    return merge(below, tree)


def read_scenario(path: Path, variant: str | None) -> Tree:
    tree = read_chain(path)
    return merge(tree, tree["variant"][variant]) if variant else tree


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def mean(quantity: Any) -> float:
    """Mean of a quantity, by the textbook."""
    if isinstance(quantity, str):
        low, high = (float(side) for side in quantity.split(" to "))
        if low <= 0:
            return (low + high) / 2
        spread = math.log(high / low) / (2 * 1.6448536269514722)
        return math.sqrt(low * high) * math.exp(spread**2 / 2)
    if isinstance(quantity, Mapping):
        ((kind, values),) = quantity.items()
        if kind == "discrete":
            return sum(value * share for value, share in values)
        return {"normal": lambda v: v[0], "triangular": lambda v: sum(v) / 3, "uniform": lambda v: sum(v) / 2}[kind](
            values
        )
    return float(quantity)


def optional(text: str | None) -> float | None:
    return float(text) if text else None


class Opinion:
    """One scenario as dictionaries, and as a mixed-integer program for SciPy."""

    def __init__(self, path: Path, variant: str | None) -> None:
        self.tree = read_scenario(path, variant)
        self._read_units()
        self._read_cells()
        self._read_decisions()
        self.change = cache(self._change)

    def _read_units(self) -> None:
        tables = self.tree.get("tables", {})
        rows = read_rows(tables["units"]) if "units" in tables else []
        for unit, entry in self.tree.get("unit", {}).items():
            flat = {key: str(value) for key, value in entry.items() if not isinstance(value, dict)}
            rows.append({"unit": unit} | flat | {f"capacity.{r}": str(v) for r, v in entry.get("capacity", {}).items()})
        self.units = {row["unit"]: row for row in rows}
        self.children: dict[str, list[str]] = defaultdict(list)
        for unit, row in self.units.items():
            self.children[row.get("parent") or ""].append(unit)
        (self.root,) = self.children[""]

    def above(self, unit: str) -> list[str]:
        """The unit and everything it belongs to."""
        chain = [unit]
        while parent := self.units[chain[-1]].get("parent"):
            chain.append(parent)
        return chain

    def _read_cells(self) -> None:
        tables = self.tree.get("tables", {})
        rows = read_rows(tables["cells"]) if "cells" in tables else []
        for name, entry in self.tree.get("cell", {}).items():
            unit, kpi = name.split("/")
            flat = {key: str(value) for key, value in entry.items() if not isinstance(value, dict)}
            efforts = {f"effort.{r}": str(v) for r, v in entry.get("effort", {}).items()}
            rows.append({"unit": unit, "kpi": kpi} | flat | efforts)
        self.cells = {(row["unit"], row["kpi"]): row for row in rows}
        self.baseline = {node: self._number_or_quantity(row["baseline"]) for node, row in self.cells.items()}
        self.nodes = set(self.cells)
        for unit, kpi in self.cells:
            if self.tree["kpi"][kpi].get("roll_up", "sum") != "none":
                self.nodes |= {(above, kpi) for above in self.above(unit)}
        self.nodes |= {(self.root, kpi) for kpi, entry in self.tree["kpi"].items() if "baseline" in entry}

    @staticmethod
    def _number_or_quantity(text: str) -> float:
        return mean(text if " to " in text else float(text))

    def _read_decisions(self) -> None:
        """Columns: stretches, then initiative levels."""
        self.boxes: dict[Any, tuple[float, float]] = {}
        for node, row in self.cells.items():
            high = optional(row.get("max_stretch"))
            for rail in self.tree.get("guardrail", {}).values():
                if optional(row.get("max_stretch")) is None and self._matches(rail["where"], *node):
                    high = rail["growth"][1] * abs(self.baseline[node])
            if high is not None:
                self.boxes[node] = (0.0, high)
        self.n_stretch = len(self.boxes)
        for name, entry in self.tree.get("initiative", {}).items():
            for unit in self._deciding(entry.get("units", [self.root])):
                self.boxes[name, unit, "level"] = (0.0, float(entry["max"]))
        self.column = {decision: i for i, decision in enumerate(self.boxes)}

    def _matches(self, where: Tree, unit: str, kpi: str) -> bool:
        found = {"kpi": kpi, "role": self.units[unit].get("role"), "level": self.units[unit].get("level")}
        return all(found[key] == value for key, value in where.items())

    def _deciding(self, selection: Any) -> list[str]:
        if isinstance(selection, list):
            return selection
        ((key, value),) = selection.items()
        return [unit for unit, row in self.units.items() if row.get(key) == value]

    def execution(self, kpi: str) -> float:
        share = mean(self.tree.get("uncertainty", {}).get("execution", 1.0))
        for entry in self.tree.get("execution", {}).values():
            objective = self.tree["objective"][self.tree["kpi"][kpi]["objective"]]
            if objective["perspective"] == entry["where"]["perspective"]:
                share = mean(entry["value"])
        return share

    def sign(self, kpi: str) -> float:
        return -1.0 if self.tree["kpi"][kpi].get("direction") == "down" else 1.0

    def size(self, node: tuple[str, str]) -> float:
        for row in (self.cells.get(node, {}), self.units[node[0]]):
            if (size := optional(row.get("size"))) is not None:
                return size
        below = [(child, node[1]) for child in self.children[node[0]] if (child, node[1]) in self.nodes]
        return sum(self.size(child) for child in below) if below else 1.0

    def parts(self, node: tuple[str, str]) -> list[tuple[float, tuple[str, str]]]:
        """Children of a node with their roll-up coefficients."""
        unit, kpi = node
        how = self.tree["kpi"][kpi].get("roll_up", "sum")
        below = [(child, kpi) for child in self.children[unit] if (child, kpi) in self.nodes]
        if how == "none":
            return []
        total = sum(self.size(child) for child in below) if how == "mean" else 1.0
        return [(self.size(child) / total if how == "mean" else 1.0, child) for child in below]

    def value_before(self, node: tuple[str, str]) -> float:
        parts = self.parts(node)
        if parts:
            return sum(share * self.value_before(child) for share, child in parts)
        return self.baseline[node] if node in self.baseline else mean(self.tree["kpi"][node[1]]["baseline"])

    def _acts_at(self, at: str, unit: str) -> bool:
        return at == unit or at == self.units[unit].get("level") or (at == ROOT and unit == self.root)

    def _change(self, node: tuple[str, str]) -> tuple[np.ndarray, float]:
        """Expected change of a node: coefficients of all decisions, and a constant (factors)."""
        unit, kpi = node
        row, constant = np.zeros(len(self.column)), 0.0
        if node in self.column:
            row[self.column[node]] += self.sign(kpi) * self.execution(kpi)
        terms = list(self.parts(node))
        for cause, entry in self.tree["kpi"][kpi].get("drivers", {}).items():
            has_settings = isinstance(entry, dict) and "contribution" in entry
            contribution = mean(entry["contribution"] if has_settings else entry)
            if not self._acts_at(entry.get("at", ROOT) if has_settings else ROOT, unit):
                continue
            if cause in self.tree.get("factor", {}):
                constant += contribution * mean(self.tree["factor"][cause]["value"])
            elif (unit, cause) in self.nodes:
                terms.append((contribution, (unit, cause)))
        for share, other in terms:
            below, offset = self.change(other)
            row, constant = row + share * below, constant + share * offset
        return row + self._effects(node), constant

    def _effects(self, node: tuple[str, str]) -> np.ndarray:
        row = np.zeros(len(self.column))
        for decision, column in self.column.items():
            if len(decision) == 3 and node[1] in (effects := self.tree["initiative"][decision[0]]["effects"]):
                at = decision[1] if (decision[1], node[1]) in self.nodes else self.root
                row[column] += mean(effects[node[1]]) if at == node[0] else 0.0
        return row

    def use(self, resource: str, scope: str) -> np.ndarray:
        """What one unit of each decision takes of a resource within a subtree."""
        row = np.zeros(len(self.column))
        for decision, column in self.column.items():
            unit = decision[1] if len(decision) == 3 else decision[0]
            if scope not in self.above(unit):
                continue
            if len(decision) == 3:
                row[column] = self.tree["initiative"][decision[0]].get("uses", {}).get(resource, 0.0)
            else:
                key = "pay_rate" if resource == "pay" else f"effort.{resource}"
                is_budget = resource in self.tree.get("budget", {}) and resource != "pay"
                row[column] = 0.0 if is_budget else optional(self.cells[decision].get(key)) or 0.0
        return row

    def incentives(self, scope: str) -> float:
        rows = [row for unit, row in self.units.items() if scope in self.above(unit)]
        return sum(optional(row.get("target_incentive")) or 0.0 for row in rows)

    def limits(self) -> list[tuple[np.ndarray, float]]:
        """Rows a x <= b: capacities of every unit, budgets."""
        found = []
        for unit, row in self.units.items():
            for key, text in row.items():
                if key.startswith("capacity.") and text:
                    resource = key.removeprefix("capacity.")
                    scale = self.tree.get("capacity", {}).get(resource, {}).get("scale", 1.0)
                    found.append((self.use(resource, unit), float(text) * scale))
        for name, entry in self.tree.get("budget", {}).items():
            resource, scope = entry.get("resource", name), entry.get("scope", self.root)
            base = self.incentives(scope) if resource == "pay" else 0.0
            found.append((self.use(resource, scope), entry["limit"] - base))
        return found

    def cost(self) -> np.ndarray:
        """Money and priced effort of each decision."""
        money = {entry.get("resource", name) for name, entry in self.tree.get("budget", {}).items()} | {"pay"}
        prices = self.tree.get("decide", {}).get("effort_price", {})
        return sum(self.use(resource, self.root) for resource in sorted(money)) + sum(
            price * self.use(resource, self.root) for resource, price in prices.items()
        )

    def solve(self) -> list[float]:
        """Return the values of the steps goals (by priority), fairness and cost."""
        goals = list(self.tree["goal"].items())
        decisions, groups = self.n_stretch, self._peers()
        n, g, m = len(self.column), len(goals), len(groups)
        rows, lows, highs = [], [], []
        for i, (name, goal) in enumerate(goals):
            node = (goal.get("at", self.root), goal.get("kpi", name))
            row, constant = self.change(node)
            sign, short = self.sign(node[1]), np.eye(g)[i]
            gap = goal["target"] - self.value_before(node)
            unit = min(1.0, abs(gap)) or 1.0  # the solver drops coefficients below 1e-9: one case of a billion
            rows.append(np.concatenate([sign * row, short, np.zeros(m)]) / unit)
            lows.append(sign * (gap - constant) / unit)
            highs.append(np.inf)
        for row, limit in self.limits():
            rows.append(np.concatenate([row, np.zeros(g + m)]))
            lows.append(-np.inf)
            highs.append(limit)
        largest = {key: np.concatenate([np.zeros(n + g), np.eye(m)[j]]) for j, key in enumerate(groups)}
        for key, members in groups.items():
            for decision in members:
                row = -largest[key]
                row[self.column[decision]] = 1.0 / self.scale(decision)
                rows.append(row)
                lows.append(-np.inf)
                highs.append(0.0)
        shortfall = self._goal_costs(goals, n, g, m)
        share = sum(len(members) * largest[key] for key, members in groups.items()) / decisions
        costs = [*shortfall, share, np.concatenate([self.cost(), np.zeros(g + m)])]
        values = self._in_order(costs, np.array(rows), np.array(lows), np.array(highs), g, m)
        values[-1] += self.incentives(self.root)
        return values

    def scale(self, decision: tuple[str, str]) -> float:
        kpi = self.tree["kpi"][decision[1]]
        if kpi.get("scale") == "headroom":
            return max(kpi["max"] - self.baseline[decision], kpi.get("step", 0.0))
        return max(abs(self.baseline[decision]), kpi.get("step", 0.0))

    def _peers(self) -> dict[tuple[str | None, ...], list[Any]]:
        groups: dict[tuple[str | None, ...], list[Any]] = defaultdict(list)
        for decision in list(self.column)[: self.n_stretch]:
            unit = self.units[decision[0]]
            groups[decision[1], unit.get("level"), unit.get("role")].append(decision)
        return groups

    def _goal_costs(self, goals: list[tuple[str, Tree]], n: int, g: int, m: int) -> list[np.ndarray]:
        weights = defaultdict(lambda: np.zeros(n + g + m))
        for i, (name, goal) in enumerate(goals):
            node = (goal.get("at", self.root), goal.get("kpi", name))
            gap = abs(goal["target"] - self.value_before(node))
            weights[goal.get("priority", 1)][n + i] = goal.get("weight", 1.0) / gap
        return [weights[priority] for priority in sorted(weights)]

    def _in_order(
        self, costs: list[np.ndarray], rows: np.ndarray, lows: np.ndarray, highs: np.ndarray, g: int, m: int
    ) -> list[float]:
        box = np.array(list(self.boxes.values()))
        bounds = Bounds(np.append(box[:, 0], np.zeros(g + m)), np.append(box[:, 1], np.full(g + m, np.inf)))
        whole = np.array(
            [len(d) == 3 and self.tree["initiative"][d[0]].get("whole", False) for d in self.column] + [False] * (g + m)
        )
        values: list[float] = []
        for cost in costs:
            unit = max(np.abs(cost).max(), 1e-300)
            answer = milp(
                cost / unit,
                constraints=LinearConstraint(rows, lows, highs),
                bounds=bounds,
                integrality=whole.astype(int),
                options={"mip_rel_gap": 0.0},
            )
            assert answer.status == 0, answer.message
            values.append(float(cost @ answer.x))
            rows = np.vstack([rows, cost / unit])
            lows, highs = np.append(lows, -np.inf), np.append(highs, answer.fun + 1e-9 * max(1.0, abs(answer.fun)))
        return values
