"""The linear program of a random organization, written out period by period and solved by SciPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.second_organizations import BAND, KPIS, RAMP, TIERS, Cell, Form, Organization
from tests.second_periods import Face


class SecondProgram:
    """Rows over x[unit, kpi, t], a[unit, start], shortfalls, largest stretches and loads; locks are constants."""

    def __init__(self, of: Organization) -> None:
        self.of = of
        keys: list[tuple[Any, ...]] = [
            ("x", *cell, t) for cell, c in of.cells.items() for t in range(of.count) if t not in c.locks
        ]
        if of.campaign:
            keys += [("a", u, t) for u in of.teams[:2] for t in of.campaign["start"]]
        keys += [("f", goal) for goal in of.goals] + [("m", kpi) for kpi in of.kpis]
        if of.has_tiers:
            keys += [("y", *cell, t) for cell, c in of.cells.items() for t in range(of.count) if t not in c.locks]
        self.column = {key: i for i, key in enumerate(keys)}
        self.rows: list[Form] = []
        self.even: list[Form] = []
        self.delta = self._deltas()
        self._ranges()
        self._guardrails()
        self._tiers()
        self.effort = {(u, t): self._effort(u, t) for u in of.teams for t in range(of.count)}
        self.pay = [self._pay(t) for t in range(of.count)]
        self.cash = [self._cash(t) for t in range(of.count)]
        self._limits()
        self._goals()
        self.members = {kpi: self._peers(kpi) for kpi in of.kpis}

    def form(self, constant: float = 0.0) -> Form:
        found = np.zeros(len(self.column) + 1)
        found[-1] = constant
        return found

    def unit(self, *key: Any) -> Form:
        found = self.form()
        found[self.column[key]] = 1.0
        return found

    def at_most(self, form: Form, limit: float = 0.0) -> None:
        self.rows.append(form - self.form(limit))

    def x(self, unit: str, kpi: str, t: int) -> Form:
        locks = self.of.cells[unit, kpi].locks
        return self.form(locks[t]) if t in locks else self.unit("x", unit, kpi, t)

    def worked(self, unit: str, kpi: str, t: int) -> Form:
        """What counts as effort and pay: nothing of what is locked below 0."""
        locks = self.of.cells[unit, kpi].locks
        return self.form(max(0.0, locks[t])) if t in locks else self.unit("x", unit, kpi, t)

    def largest(self, kpi: str) -> Form:
        """The largest relative stretch over the year, which may be below 0 where locks of single periods are."""
        return self.unit("m", kpi) - self.form(10.0)

    def size(self, cell: Cell, kpi: str) -> float:
        return max(abs(cell.baseline), self.of.kpis[kpi].step)

    def _deltas(self) -> dict[tuple[str, str], list[Form]]:
        found: dict[tuple[str, str], list[Form]] = {}
        for kpi in (k for k in KPIS if k in self.of.kpis):
            for unit in self.of.teams:
                found[unit, kpi] = [self._delta(found, unit, kpi, t) for t in range(self.of.count)]
        return found

    def _own(self, unit: str, kpi: str, t: int) -> Form:
        locks = self.of.cells[unit, kpi].locks
        certain = t in locks and locks[t] <= 0.0
        return self.of.kpis[kpi].sign * (1.0 if certain else self.of.execution) * self.x(unit, kpi, t)

    def _delta(self, known: dict[tuple[str, str], list[Form]], unit: str, name: str, t: int) -> Form:
        kpi = self.of.kpis[name]
        w = kpi.season[t]
        if kpi.kind == "stock":
            form = sum((kpi.carry ** (t - q) * self._own(unit, name, q) for q in range(t + 1)), self.form())
        else:
            form = self._own(unit, name, t) / (w if kpi.kind == "rate" else 1.0)
        for (cause, driven), (c, lag) in self.of.causes.items():
            if driven != name or t < lag:
                continue
            of = known[unit, cause]
            if self.of.kpis[cause].kind != "flow":
                form = form + c * (w if kpi.kind == "flow" else 1.0) * of[t - lag]
            elif kpi.kind == "stock":
                form = form + sum(c * kpi.carry ** (t - lag - q) * of[q] for q in range(t - lag + 1))
            else:
                form = form + c / (w if kpi.kind == "rate" else 1.0) * of[t - lag]
        campaign = self.of.campaign
        if campaign and name in campaign["effects"] and unit in self.of.teams[:2]:
            for start in campaign["start"]:
                age = t - campaign["lag"] - start
                if 0 <= age < campaign["lasts"]:
                    strength = campaign["build_up"][min(age, len(campaign["build_up"]) - 1)]
                    c = campaign["effects"][name] * strength * (w if kpi.kind == "flow" else 1.0)
                    form = form + c * self.unit("a", unit, start)
        return form

    def year(self, unit: str, kpi: str) -> Form:
        return sum((self.x(unit, kpi, t) for t in range(self.of.count)), self.form())

    def _ranges(self) -> None:
        for (unit, kpi), cell in self.of.cells.items():
            for t in range(self.of.count):
                if t in cell.mosts and t not in cell.locks:
                    self.at_most(self.x(unit, kpi, t), cell.mosts[t])
                if t in cell.leasts and t not in cell.locks:
                    self.at_most(-self.x(unit, kpi, t), -cell.leasts[t])
            if cell.lock is not None:
                self.even.append(self.year(unit, kpi) - self.form(cell.lock))
                continue
            least, most = self._over_year(cell, self.of.kpis[kpi].season)
            self.at_most(self.year(unit, kpi), most)
            self.at_most(-self.year(unit, kpi), -least)

    def _over_year(self, cell: Cell, season: np.ndarray) -> tuple[float, float]:
        """The year's range gives way as far as locks of single periods, with the other periods' ranges, ask for."""
        if not cell.locks:
            return cell.least, cell.most
        periods = range(self.of.count)
        least = sum(cell.locks.get(t, cell.leasts.get(t, 0.0)) for t in periods)
        ends = [season[t] * cell.most if self.of.has_shares else np.inf for t in periods]
        most = sum(cell.locks.get(t, min(ends[t], cell.mosts.get(t, np.inf))) for t in periods)
        return min(cell.least, most if cell.least > 0.0 else least), max(cell.most, least)

    def _guardrails(self) -> None:
        for (unit, kpi), cell in self.of.cells.items():
            w, most = self.of.kpis[kpi].season, cell.most if cell.lock is None else cell.lock
            for t in range(self.of.count) if self.of.has_shares else ():
                if t not in cell.locks:
                    self.at_most(self.x(unit, kpi, t), w[t] * most)
            for t in range(1, self.of.count) if self.of.has_ramp and kpi == "sales" else ():
                now, before = (self.x(unit, kpi, q) / (w[q] * self.size(cell, kpi)) for q in (t, t - 1))
                self.at_most(now - before, RAMP)
                self.at_most(before - now, RAMP)

    def _tiers(self) -> None:
        """A load is at least what each tier says, continued from its end."""
        for (unit, kpi), cell in self.of.cells.items() if self.of.has_tiers else ():
            for t in range(self.of.count):
                share = self.of.kpis[kpi].season[t] * self.size(cell, kpi)
                end, before, saved = 0.0, 0.0, 0.0
                for upper, times in TIERS if t not in cell.locks else ():
                    saved, before = saved + (times - before) * end * share, times
                    self.at_most(times * self.x(unit, kpi, t) - self.unit("y", unit, kpi, t), saved)
                    end = upper

    def load(self, unit: str, kpi: str, t: int) -> Form:
        cell = self.of.cells[unit, kpi]
        if not self.of.has_tiers:
            return self.worked(unit, kpi, t)
        if t not in cell.locks:
            return self.unit("y", unit, kpi, t)
        left, end, found = max(0.0, cell.locks[t]), 0.0, 0.0
        for upper, times in (*TIERS[:-1], (np.inf, TIERS[-1][1])):
            part = min(left, (upper - end) * self.of.kpis[kpi].season[t] * self.size(cell, kpi))
            found, left, end = found + times * part, left - part, upper
        return self.form(found)

    def _effort(self, unit: str, t: int) -> Form:
        uses = self.of.capacity or self.of.capacity_above is not None
        cells = {k: self.of.cells[unit, k] for k in self.of.kpis}
        return sum((c.effort * self.load(unit, k, t) for k, c in cells.items() if uses), self.form())

    def _pay(self, t: int) -> Form:
        due = sum(self.of.incentive.values()) / self.of.count
        return sum((c.rate * self.worked(u, k, t) for (u, k), c in self.of.cells.items()), self.form(due))

    def _cash(self, t: int) -> Form:
        form, campaign = self.form(), self.of.campaign
        for unit in self.of.teams[:2] if campaign else ():
            for start in campaign["start"]:
                runs = start <= t < start + campaign["lasts"]
                spent = campaign["cash"] * (start == t) + campaign["runs"] * runs
                form = form + spent * self.unit("a", unit, start)
        return form

    def _limits(self) -> None:
        of, season = self.of, self.of.capacity_season
        for t in range(of.count):
            for unit, amount in of.capacity.items():
                self.at_most(self.effort[unit, t], amount * season[t])
            if of.capacity_above is not None:
                self.at_most(sum(self.effort[u, t] for u in of.teams), of.capacity_above * season[t])
        if of.pay is not None:
            for form in self.pay if of.pay_by_period else [sum(self.pay)]:
                self.at_most(form, of.pay)
        if of.campaign:
            for unit in of.teams[:2]:
                self.at_most(sum(self.unit("a", unit, t) for t in of.campaign["start"]), of.campaign["max"])
            for form in self.cash if of.campaign["by_period"] else [sum(self.cash)]:
                self.at_most(form, of.campaign["limit"])

    def value(self, kpi: str, at: str, t: int | None) -> Form:
        """Change of a goal's value, of the market as well."""
        of = self.of.kpis[kpi]
        each = []
        for q in range(self.of.count):
            form = sum(share * self.delta[u, kpi][q] for u, share in self.of.shares(kpi, at).items())
            if kpi == "sales" and at == "co" and self.of.factor is not None and q >= self.of.factor_lag:
                form = form + self.form(10.0 * of.season[q] * self.of.factor[q - self.of.factor_lag])
            each.append(form)
        if t is not None:
            return each[t]
        if of.kind == "stock":
            return each[-1]
        weight = of.season if of.kind == "rate" else np.ones(self.of.count)
        return sum(w * form for w, form in zip(weight, each, strict=True))

    def _goals(self) -> None:
        for name, goal in self.of.goals.items():
            sign, value = self.of.kpis[goal["kpi"]].sign, self.value(goal["kpi"], goal["at"], goal["t"])
            self.at_most(sign * (self.form(goal["target"] - goal["start"]) - value) - self.unit("f", name))

    def _peers(self, kpi: str) -> list[str]:
        """Teams whose stretch of a KPI is not locked: none above the largest, all within the band of their mean."""
        cells = {u: self.of.cells[u, kpi] for u in self.of.teams}
        members = [u for u, c in cells.items() if c.lock is None and len(c.locks) < self.of.count]
        relative = [self.year(u, kpi) / self.size(cells[u], kpi) for u in members]
        for form in relative:
            self.at_most(form - self.largest(kpi))
            if self.of.has_band:
                mean = sum(relative) / len(relative)
                self.at_most(form - mean, BAND)
                self.at_most(mean - form, BAND)
        return members

    def costs(self) -> list[Form]:
        """The steps of the order, one for each priority of goals, then fairness and cost."""
        found = []
        for priority in sorted({goal["priority"] for goal in self.of.goals.values()}):
            form = self.form()
            for name, goal in self.of.goals.items():
                scale = abs(goal["target"] - goal["start"]) or abs(goal["target"]) or 1.0
                form = form + (goal["priority"] == priority) * goal["weight"] / scale * self.unit("f", name)
            found.append(form)
        count = sum(len(units) for units in self.members.values())
        fairness = sum((len(m) / max(1, count) * self.largest(kpi) for kpi, m in self.members.items()), self.form())
        hours = sum(self.effort.values())
        uses = self.of.capacity or self.of.capacity_above is not None
        return [*found, fairness, sum(self.pay) + sum(self.cash) + (self.of.price if uses else 0.0) * hours]

    def face(self) -> Face:
        """The points that keep all rows; raises where there is none."""
        rows = np.array(self.rows)
        even = [form[:-1] for form in self.even]
        return Face(rows[:, :-1], -rows[:, -1], even, [-float(form[-1]) for form in self.even])

    def reference(self) -> tuple[np.ndarray, np.ndarray]:
        """Weights and centres of the last step, by column: sum weight (x - centre)^2."""
        weight, centre = np.zeros(len(self.column)), np.zeros(len(self.column))
        for (unit, name), cell in self.of.cells.items():
            kpi = self.of.kpis[name]
            total = sum(self.size(self.of.cells[u, name], name) for u in self.of.teams)
            for t in range(self.of.count):
                if t not in cell.locks:
                    i = self.column["x", unit, name, t]
                    weight[i] = 1.0 / (kpi.season[t] * self.size(cell, name) * total)
                    if t in cell.references:
                        asked = cell.references[t] - cell.by_period[t]
                        centre[i] = kpi.sign * asked * (kpi.season[t] if kpi.kind == "rate" else 1.0)
        starts = [key for key in self.column if key[0] == "a"]
        for key in starts:
            weight[self.column[key]] = 0.001 / (len(starts) * self.of.campaign["max"] ** 2)
        return weight, centre
