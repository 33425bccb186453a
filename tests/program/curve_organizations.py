"""Random organizations with response curves, and a program for them that shares nothing with the one under test.

Curves are written by weights of neighbouring points, of which a whole number chooses the pair; the house fills pieces.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

Points = list[list[float]]


def _curve(rng: np.random.Generator, least: float, most: float) -> Points:
    """Return two to four pieces through the origin, rising, falling or both."""
    n = int(rng.integers(2, 5))
    x = sorted({0.0, *np.round(rng.uniform(least, most, n), 1).tolist()})
    slopes = np.round(rng.uniform(-1.0 if rng.random() < 0.3 else 0.2, 4.0, len(x) - 1), 1)
    if rng.random() < 0.5:
        slopes = np.sort(slopes)[::-1]
    y = np.concatenate([[0.0], np.cumsum(slopes * np.diff(x))])
    y -= y[x.index(0.0)]
    return [[float(a), round(float(b), 6)] for a, b in zip(x, y, strict=True)]


def random_organization(seed: int) -> tuple[dict[str, Any], str]:
    """Return an organization as plain data and as a document: two units, three KPIs, two initiatives."""
    rng = np.random.default_rng(seed)
    data: dict[str, Any] = {
        "most": np.round(rng.uniform(5, 20, 2), 1).tolist(),
        "hours": float(np.round(rng.uniform(10, 40), 1)),
        "levels": np.round(rng.uniform(5, 20, 2), 1).tolist(),
        "cash": float(np.round(rng.uniform(5, 25), 1)),
        "price": 2.0,
        "sales_of_visits": _curve(rng, 0.0, 30.0),
        "quality_of_visits": [[x, -0.3 * y] for x, y in _curve(rng, 0.0, 30.0)],
        "sales_of_quality": _curve(rng, -15.0, 5.0),
        "sales_of_ads": _curve(rng, 0.0, 15.0),
        "quality_of_care": _curve(rng, 0.0, 15.0),
        "sales": float(np.round(rng.uniform(1020, 1150), 0)),
        "quality": float(np.round(rng.uniform(45, 65), 0)),
    }
    text = f"""
schema = 1
name = "random"
[kpi.visits]
[kpi.quality]
baseline = 50
[kpi.quality.drivers]
visits = {{ curve = {data["quality_of_visits"]}, trade_off = true }}
[kpi.sales]
baseline = 1000
[kpi.sales.drivers]
visits = {{ curve = {data["sales_of_visits"]}, trade_off = true }}
quality = {{ curve = {data["sales_of_quality"]}, trade_off = true }}
[initiative.ads]
max = {data["levels"][0]}
uses = {{ cash = 1 }}
effects = {{ sales = {{ curve = {data["sales_of_ads"]} }} }}
[initiative.care]
max = {data["levels"][1]}
uses = {{ cash = 1 }}
effects = {{ quality = {{ curve = {data["quality_of_care"]} }} }}
[budget.cash]
limit = {data["cash"]}
[unit.co]
capacity.hours = {data["hours"]}
[unit.a]
parent = "co"
[unit.b]
parent = "co"
[cell."a/visits"]
baseline = 100
max_stretch = {data["most"][0]}
effort.hours = 1
[cell."b/visits"]
baseline = 100
max_stretch = {data["most"][1]}
effort.hours = 2
[goal.sales]
target = {data["sales"]}
[goal.quality]
target = {data["quality"]}
weight = 0.5
[decide]
order = ["goals", "cost"]
effort_price = {{ hours = {data["price"]} }}
"""
    return data, text


def _at(points: Points, x: float) -> float:
    """Return what a curve says, piece by piece."""
    pairs = list(pairwise(points))
    for i, ((x0, y0), (x1, y1)) in enumerate(pairs):
        if x <= x1 or i == len(pairs) - 1:
            return y0 + (y1 - y0) / (x1 - x0) * (x - x0)
    raise AssertionError


class CurveOracle:
    """The same organization as one mixed-integer program.

    Columns: two stretches, two levels, change of visits and quality, what each of five curves makes, two shortfalls;
    then the weights of points and the choice of pieces, curve by curve.
    """

    CURVES = ("sales_of_visits", "quality_of_visits", "sales_of_quality", "sales_of_ads", "quality_of_care")
    CAUSE = (4, 4, 5, 2, 3)
    FAR = 200.0

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data
        self.rows: list[tuple[dict[int, float], float, float]] = []
        self.low, self.high = [0.0] * 4 + [-self.FAR] * 2 + [-1e4] * 5 + [0.0] * 2, [0.0] * 13
        self.high[:4] = [*data["most"], *data["levels"]]
        self.high[4:13] = [self.FAR] * 2 + [1e4] * 7
        self.whole = [0] * 13
        self._add({0: 1.0, 1: 2.0}, -np.inf, data["hours"])
        self._add({2: 1.0, 3: 1.0}, -np.inf, data["cash"])
        self._add({4: 1.0, 0: -1.0, 1: -1.0}, 0.0, 0.0)
        self._add({5: 1.0, 7: -1.0, 10: -1.0}, 0.0, 0.0)
        self._add({6: 1.0, 8: 1.0, 9: 1.0, 11: 1.0}, data["sales"] - 1000.0, np.inf)
        self._add({5: 1.0, 12: 1.0}, data["quality"] - 50.0, np.inf)
        for k, (name, cause) in enumerate(zip(self.CURVES, self.CAUSE, strict=True)):
            self._add_curve(data[name], cause, 6 + k)
        gaps = [abs(data["sales"] - 1000.0), abs(data["quality"] - 50.0) or data["quality"]]
        self.weights = {11: 1.0 / gaps[0], 12: 0.5 / gaps[1]}

    def _add(self, terms: dict[int, float], low: float, high: float) -> None:
        self.rows.append((terms, low, high))

    def _add_curve(self, points: Points, cause: int, effect: int) -> None:
        xs = [-self.FAR, *(x for x, _ in points), self.FAR]
        ys = [_first(points, -self.FAR), *(y for _, y in points), _last(points, self.FAR)]
        weight = list(range(len(self.low), len(self.low) + len(xs)))
        choice = list(range(weight[-1] + 1, weight[-1] + len(xs)))
        self.low += [0.0] * (len(weight) + len(choice))
        self.high += [1.0] * (len(weight) + len(choice))
        self.whole += [0] * len(weight) + [1] * len(choice)
        self._add(dict.fromkeys(weight, 1.0), 1.0, 1.0)
        self._add(dict.fromkeys(choice, 1.0), 1.0, 1.0)
        self._add({cause: -1.0, **dict(zip(weight, xs, strict=True))}, 0.0, 0.0)
        self._add({effect: -1.0, **dict(zip(weight, ys, strict=True))}, 0.0, 0.0)
        for i, w in enumerate(weight):
            beside = [choice[j] for j in (i - 1, i) if 0 <= j < len(choice)]
            self._add({w: 1.0, **dict.fromkeys(beside, -1.0)}, -np.inf, 0.0)

    def _solve(self, cost: dict[int, float], more: list[tuple[dict[int, float], float, float]]) -> float:
        n, rows = len(self.low), [*self.rows, *more]
        matrix = np.zeros((len(rows), n))
        for i, (terms, _, _) in enumerate(rows):
            for j, value in terms.items():
                matrix[i, j] += value
        c = np.zeros(n)
        for j, value in cost.items():
            c[j] = value
        limits = LinearConstraint(matrix, [r[1] for r in rows], [r[2] for r in rows])
        options = {"mip_rel_gap": 0.0}
        found = milp(c, constraints=limits, bounds=Bounds(self.low, self.high), integrality=self.whole, options=options)
        assert found.success, found.message
        return float(found.fun)

    def shortfall(self) -> float:
        """Return the least weighted shortfall of the goals, each by its distance."""
        return self._solve(self.weights, [])

    def cost(self, shortfall: float) -> float:
        """Return the least cost of a plan with no more shortfall."""
        price = self.data["price"]
        held = [(self.weights, -np.inf, shortfall + 1e-9)]
        return self._solve({0: price, 1: 2.0 * price, 2: 1.0, 3: 1.0}, held)

    def values(self, stretch: list[float], levels: list[float]) -> dict[str, float]:
        """Return the KPIs' values of a plan, curve by curve."""
        data, visits = self.data, sum(stretch)
        quality = _at(data["quality_of_visits"], visits) + _at(data["quality_of_care"], levels[1])
        sales = _at(data["sales_of_visits"], visits) + _at(data["sales_of_ads"], levels[0])
        return {"quality": 50.0 + quality, "sales": 1000.0 + sales + _at(data["sales_of_quality"], quality)}


def _first(points: Points, x: float) -> float:
    (x0, y0), (x1, y1) = points[:2]
    return y0 + (y1 - y0) / (x1 - x0) * (x - x0)


def _last(points: Points, x: float) -> float:
    (x0, y0), (x1, y1) = points[-2:]
    return y1 + (y1 - y0) / (x1 - x0) * (x - x1)
