"""What rounded targets of a random organization ask, period by period, and how near the plan they can be at all."""

from __future__ import annotations

import itertools

import numpy as np
from polars import DataFrame
from scipy.optimize import Bounds, LinearConstraint, milp

from tests.second_organizations import CUSHION, TIERS
from tests.second_program import SecondProgram

Cell = tuple[str, str, int]


class SecondRounding:
    """Stretch by (unit, KPI, period) that published targets ask, beside that of the plan."""

    def __init__(self, program: SecondProgram, at: np.ndarray, targets: DataFrame) -> None:
        self.program, self.of = program, program.of
        rows = targets.filter(targets["period"].is_not_null()).select("unit", "kpi", "period", "target")
        published = {(u, k, self.of.periods.index(p)): target for u, k, p, target in rows.iter_rows()}
        self.cells = [(u, k, t) for u, k in self.of.cells for t in range(self.of.count)]
        self.planned = {(u, k, t): float(program.x(u, k, t) @ at) for u, k, t in self.cells}
        self.unrounded = {cell: self._asked(cell) @ at for cell in self.cells}
        self.published = {cell: published[cell] for cell in self.cells}
        self.asked = self.stretch(self.published)

    def _asked(self, cell: Cell) -> np.ndarray:
        """What is asked over the year's baseline: own stretch in full, causes as expected; times cushions."""
        (unit, kpi, t), own, full = cell, self.program.form(), self.program.form()
        entry = self.of.kpis[kpi]
        share = entry.season[t] if entry.kind == "rate" else 1.0
        for q in range(t + 1) if entry.kind == "stock" else (t,):
            left = entry.carry ** (t - q) / share
            own = own + left * self.program._own(unit, kpi, q)
            full = full + left * entry.sign * self.program.x(unit, kpi, q)
        change = self.program.delta[unit, kpi][t] - own + full
        return self.factor(kpi) * (change + self.program.form(float(self.of.cells[unit, kpi].by_period[t])))

    def factor(self, kpi: str) -> float:
        return 1.0 + CUSHION * (self.of.has_cushion and kpi == "sales")

    def moves(self, cell: Cell) -> list[tuple[Cell, float]]:
        """Which stretches a target moves, and by how much for each unit: of a stock, what is left later as well."""
        unit, kpi, t = cell
        entry = self.of.kpis[kpi]
        here = entry.sign * (entry.season[t] if entry.kind == "rate" else 1.0)
        later = [((unit, kpi, t + 1), -entry.carry * here)] if entry.kind == "stock" and t + 1 < self.of.count else []
        return [(cell, here), *later]

    def stretch(self, targets: dict[Cell, float]) -> dict[Cell, float]:
        found = dict(self.planned)
        for cell, target in targets.items():
            for moved, by in self.moves(cell):
                found[moved] += by * (target - self.unrounded[cell])
        return found

    def limits(self) -> list[tuple[str, dict[Cell, float], bool, float]]:
        """Name, use by cell, whether it counts tiers, and the amount, of what holds for rounded targets."""
        of, found = self.of, list[tuple[str, dict[Cell, float], bool, float]]()
        due, every = sum(of.incentive.values()), [[t] for t in range(of.count)]
        for now in every if of.pay_by_period else [list(range(of.count))] if of.pay is not None else ():
            if of.pay is not None:
                rate = {(u, k, t): of.cells[u, k].rate for u, k, t in self.cells if t in now}
                found.append((f"pay {now}", rate, False, of.pay - due * len(now) / of.count))
        for t in range(of.count):
            for unit, amount in [*of.capacity.items(), ("co", of.capacity_above)]:
                below = of.teams if unit == "co" else [unit]
                effort = {(u, k, t): of.cells[u, k].effort for u in below for k in of.kpis}
                if amount is not None:
                    found.append((f"hours {unit} {t}", effort, True, amount * of.capacity_season[t]))
        return found

    def counted(self, cell: Cell, stretch: float, *, by_tier: bool) -> float:
        return max(slope * stretch - saved for slope, saved in self.slopes(cell, by_tier=by_tier))

    def slopes(self, cell: Cell, *, by_tier: bool) -> list[tuple[float, float]]:
        """What counts of a stretch is the largest of these lines, each continued from where its tier begins."""
        (unit, kpi, t), found, end, before, saved = cell, [(0.0, 0.0)], 0.0, 0.0, 0.0
        share = self.of.kpis[kpi].season[t] * self.program.size(self.of.cells[unit, kpi], kpi)
        for upper, times in TIERS if by_tier and self.of.has_tiers else ((np.inf, 1.0),):
            saved, before = saved + (times - before) * end * share, times
            found.append((times, saved))
            end = upper
        return found

    def broken(self) -> list[str]:
        """Return the limits that the published targets break, beyond what the plan did."""
        found = []
        for name, use, by_tier, amount in self.limits():
            used = sum(c * self.counted(cell, self.asked[cell], by_tier=by_tier) for cell, c in use.items())
            if used > amount + 1e-6 * max(1.0, abs(amount)):
                found.append(f"{name}: {used:g} of {amount:g}")
        return found

    def distance(self, kpi: str) -> float:
        """The largest distance of a target to the plan."""
        return max(abs(self.published[c] - self.unrounded[c]) for c in self.cells if c[1] == kpi)

    def least_distance(self, kpi: str) -> float:
        """The least that it can be at all for a flow, were all other targets and its own totals as published.

        Columns are steps away from the published target, what counts of each limit's cells, and the distance.
        """
        mine, step = [c for c in self.cells if c[1] == kpi], self.of.kpis[kpi].step
        limits = self.limits()
        counts = [(i, cell) for i, (_, use, _, _) in enumerate(limits) for cell in use if cell in mine]
        column = {key: i for i, key in enumerate([*mine, *counts, "distance"])}
        rows, sides = list[np.ndarray](), list[float]()

        def at_most(entries: dict[object, float], side: float) -> None:
            row = np.zeros(len(column))
            for key, value in entries.items():
                row[column[key]] += value
            rows.append(row)
            sides.append(side)

        for i, cell in counts:
            ((_, per_unit),) = self.moves(cell)
            for slope, saved in self.slopes(cell, by_tier=limits[i][2]):
                at_most({(i, cell): -1.0, cell: slope * per_unit * step}, saved - slope * self.asked[cell])
        for i, (_, use, by_tier, amount) in enumerate(limits):
            rest = sum(c * self.counted(x, self.asked[x], by_tier=by_tier) for x, c in use.items() if x not in mine)
            at_most({(i, cell): use[cell] for j, cell in counts if j == i}, amount - rest + 1e-7)
        for cell, sign in itertools.product(mine, (1.0, -1.0)):
            away = self.published[cell] - self.unrounded[cell]
            at_most({cell: sign * step, "distance": -1.0}, -sign * away)
        for t, sign in itertools.product(range(self.of.count), (1.0, -1.0)):
            at_most({cell: sign for cell in mine if cell[2] == t}, 0.0)
        for unit in self.of.teams:
            here, entry = [cell for cell in mine if cell[0] == unit], self.of.cells[unit, kpi]
            if entry.lock is None and not entry.locks:
                room = max(entry.most - sum(self.asked[cell] for cell in here), 0.0) + 1e-7
                at_most({cell: self.moves(cell)[0][1] * step for cell in here}, room)
        found = milp(
            np.arange(len(column)) == column["distance"],
            constraints=LinearConstraint(np.array(rows), -np.inf, sides),
            bounds=Bounds(*self._box(mine, len(column))),
            integrality=np.arange(len(column)) < len(mine),
        )
        assert found.status == 0, found.message
        return float(found.fun)

    def _box(self, mine: list[Cell], n: int) -> tuple[np.ndarray, np.ndarray]:
        """Steps that a target can move: none where it is locked or off the grid, up to the period's own range."""
        low, high = np.zeros(n), np.full(n, np.inf)
        for i, (unit, kpi, t) in enumerate(mine):
            cell, step = self.of.cells[unit, kpi], self.of.kpis[kpi].step
            low[i], high[i] = -5.0, 5.0
            steps = self.published[unit, kpi, t] / step
            if cell.lock is not None or t in cell.locks or abs(steps - round(steps)) > 1e-6:
                low[i], high[i] = 0.0, 0.0
                continue
            by = self.moves((unit, kpi, t))[0][1] * step
            most = cell.mosts.get(t, np.inf)
            if by > 0.0 and np.isfinite(most):
                high[i] = max(0.0, np.floor((most - self.asked[unit, kpi, t]) / by + 1e-7))
            least = cell.leasts.get(t, 0.0)  # a least stretch of 0 lets a target go to the multiple below the baseline
            if by > 0.0:
                low[i] = min(0.0, np.ceil((least - self.asked[unit, kpi, t]) / by - (least == 0.0) - 1e-7))
        return low, high
