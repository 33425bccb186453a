"""Random small organizations with whole numbers, slack, locks and ties, and what trying every choice says about them.

The oracle knows the program's rows, boxes and objectives, and nothing else of kpiopt: it tries every choice of the
whole numbers, lets SciPy solve what is left, keeps the choices whose value slack allows, and goes on. The reference is
bounded from below by tangents of each of its parabolas (Kelley), so that its least value is known from both sides.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from scipy.optimize import linprog

from kpiopt.program.formulation.blocks import LinearProgram

CLOSE = 1e-7
"""What SciPy's tolerances explain, as a share of a value's size."""
TANGENTS = 60
Levels = tuple[int, ...]


def write_organization(path: Path, seed: int) -> Path:
    """Write one of many small organizations: teams that may be alike, machines, budgets, goals, slack, locks."""
    rng = np.random.default_rng(seed)
    teams, kpis = ["a", "b", "c"][: rng.integers(1, 4)], ["out", "care"][: rng.integers(1, 3)]
    alike, text = rng.random() < 0.3, ['schema = 1\nname = "tried out"\n[kpi.total]\nbaseline = 0']
    if rng.random() < 0.8:
        text.append(f"[kpi.total.drivers]\nout = {rng.integers(1, 4)}")
    for kpi in kpis:
        down = kpi == "care" and rng.random() < 0.5
        text.append(f"[kpi.{kpi}]\n" + ('direction = "down"' if down else ""))
    text.append("[unit.plant]")
    for i, team in enumerate(teams):
        draw = np.random.default_rng(seed) if alike else np.random.default_rng([seed, i])
        text.append(f'[unit.{team}]\nparent = "plant"\nlevel = "team"\ncapacity.hours = {draw.integers(8, 60)}')
        for kpi in kpis:
            most = draw.integers(4, 25)
            text.append(f'[cell."{team}/{kpi}"]\nbaseline = {draw.integers(40, 120)}\nmax_stretch = {most}')
            text.append(f"effort.hours = {draw.integers(1, 4)}\npay_rate = {draw.integers(0, 3)}")
            if draw.random() < 0.1:
                text.append(f'lock = {draw.integers(0, most + 1)}\nlock_reason = "agreed"')
    text += _initiatives(rng, teams, kpis)
    text.append(f"[budget.cash]\nlimit = {rng.integers(2, 20)}")
    if rng.random() < 0.4:
        text.append(f"[budget.pay]\nlimit = {rng.integers(5, 60)}")
    text += _goals(rng, kpis, len(teams))
    path.write_text("\n".join(text), encoding="utf-8")
    return path


def _initiatives(rng: np.random.Generator, teams: list[str], kpis: list[str]) -> list[str]:
    text, choices = [], 1
    for name in ("press", "robot", "school", "crane")[: rng.integers(1, 5)]:
        units = teams if rng.random() < 0.5 else ["plant"]
        most, whole = int(rng.integers(1, 4)), rng.random() < 0.85
        if whole:
            choices *= (most + 1) ** len(units)
        if choices > 64:
            break
        where = str(units).replace("'", '"')
        text.append(f"[initiative.{name}]\nunits = {where}\nmax = {most}\nwhole = {str(whole).lower()}")
        hours = f", hours = {rng.integers(1, 9)}" if units == teams and rng.random() < 0.5 else ""
        text.append(f"uses = {{ cash = {rng.integers(1, 6)}{hours} }}\n[initiative.{name}.effects]")
        text.append(f"{'total' if units == ['plant'] else rng.choice(kpis)} = {rng.integers(1, 12)}")
    return text


def _goals(rng: np.random.Generator, kpis: list[str], teams: int) -> list[str]:
    text = [f"[goal.total]\ntarget = {rng.integers(5, 120)}\npriority = {rng.integers(1, 3)}"]
    for kpi in kpis:
        if rng.random() < 0.6:
            text.append(f"[goal.{kpi}]\ntarget = {rng.integers(60, 130) * teams}\npriority = {rng.integers(1, 3)}")
            if rng.random() < 0.1:
                text.append("hard = true")
    steps = [step for step in ("fairness", "cost") if rng.random() < 0.7]
    rng.shuffle(steps)
    order = ["goals", *steps, "reference"]
    text.append(f"[decide]\norder = {order}".replace("'", '"'))
    slack = [f"{step} = {rng.choice([0.02, 0.1, 0.3])}" for step in order[:-1] if rng.random() < 0.35]
    if slack:
        text.append(f"slack = {{ {', '.join(slack)} }}")
    if rng.random() < 0.3:
        text.append(f"effort_price = {{ hours = {rng.integers(1, 4)} }}")
    return text


@dataclass(frozen=True)
class Truth:
    """What every choice together says.

    Attributes
    ----------
    values : list of float
        Best value of each objective.
    lowest, highest : float
        Bounds of the least reference.
    choices : list of Levels
        Those that may have the least reference.
    doubtful : bool
        Whether choices lie so close to a limit that SciPy's tolerances decide.
    """

    values: list[float]
    lowest: float
    highest: float
    choices: list[Levels]
    doubtful: bool


class EveryChoice:
    """Tries every choice of a program's whole numbers."""

    def __init__(self, program: LinearProgram) -> None:
        self.program, self.arrays = program, program.arrays()
        self.whole = np.flatnonzero(self.arrays.integer)
        self.limits: list[tuple[np.ndarray, float]] = []

    def _rows(self) -> tuple[np.ndarray, np.ndarray]:
        """All rows as A x <= b, each scaled to a largest coefficient of 1."""
        matrix = self.arrays.matrix.toarray()
        high, low = np.isfinite(self.arrays.row_upper), np.isfinite(self.arrays.row_lower)
        rows = [matrix[high], -matrix[low], *(cost[None, :] for cost, _ in self.limits)]
        sides = [self.arrays.row_upper[high], -self.arrays.row_lower[low], [side for _, side in self.limits]]
        a, b = np.vstack(rows), np.concatenate(sides)
        size = np.maximum(np.abs(a).max(axis=1, initial=0.0), 1e-12)
        return a / size[:, None], b / size

    def _box(self, levels: Levels) -> np.ndarray:
        lower, upper = self.arrays.column_lower.copy(), self.arrays.column_upper.copy()
        lower[self.whole] = upper[self.whole] = levels
        return np.column_stack([lower, upper])

    def least(self, cost: np.ndarray, levels: Levels) -> float | None:
        """Return the least value of a linear objective with the whole numbers fixed, None where there is no plan."""
        a, b = self._rows()
        size = np.abs(cost).max(initial=0.0) or 1.0
        found = linprog(cost / size, A_ub=a, b_ub=b, bounds=self._box(levels), method="highs-ds", options=_STRICT)
        return None if found.status != 0 else float(cost @ found.x)

    def reference(self, levels: Levels) -> tuple[float, float]:
        """Return a lower and an upper bound of the least reference of one choice, close to each other."""
        reference, n = self.program.reference, self.arrays.n_columns
        assert reference is not None
        a, b = self._rows()
        bent = np.flatnonzero(reference.weight > 0.0)
        weight, centre = reference.weight[bent], reference.centre[bent]
        box = self._box(levels)
        each, cuts, sides = np.arange(len(bent)), [], []
        points = [box[bent, 0] + share * (box[bent, 1] - box[bent, 0]) for share in (0.0, 0.5, 1.0)] + [centre]
        scale = 1.0 / max(float(weight @ np.max((box[bent] - centre[:, None]) ** 2, axis=1)), 1e-12)
        low, high = -np.inf, np.inf
        for _ in range(TANGENTS):
            for point in points:
                slope, cut = 2.0 * scale * weight * (point - centre), np.zeros((len(bent), n + len(bent)))
                cut[each, bent], cut[each, n + each] = slope, -1.0
                cuts.append(cut)
                sides.append(slope * point - scale * weight * (point - centre) ** 2)
            rows = np.vstack([np.hstack([a, np.zeros((len(a), len(bent)))]), *cuts])
            whole_box = np.vstack([box, np.tile([0.0, np.inf], (len(bent), 1))])
            cost = np.concatenate([np.zeros(n), np.ones(len(bent))])
            found = linprog(cost, A_ub=rows, b_ub=np.concatenate([b, *sides]), bounds=whole_box, options=_STRICT)
            if found.status != 0:
                break
            points = [found.x[bent]]
            low = max(low, float(found.fun) / scale + reference.offset)
            high = min(high, reference.value(found.x[:n]))
            if high - low <= 1e-8 * max(high, 1e-6):
                break
        return low, high

    def truth(self) -> Truth | None:
        """Return what is right, None where no choice has a plan."""
        boxes = zip(self.arrays.column_lower[self.whole], self.arrays.column_upper[self.whole], strict=True)
        choices: list[Levels] = list(product(*(range(int(np.ceil(a)), int(np.floor(b)) + 1) for a, b in boxes)))
        nothing, values, doubtful = np.zeros(self.arrays.n_columns), [], False
        choices = [levels for levels in choices if self.least(nothing, levels) is not None]
        if not choices:
            return None
        for objective in self.program.objectives:
            found = {levels: self.least(objective.cost, levels) for levels in choices}
            own = {levels: value + objective.offset for levels, value in found.items() if value is not None}
            best = min(own.values())
            size = max(1.0, abs(best)) * CLOSE
            limit = best + objective.slack * abs(best)
            choices = [levels for levels, value in own.items() if value <= limit + size]
            doubtful |= any(abs(value - limit) <= size and value != best for value in own.values() if objective.slack)
            values.append(best)
            limit = max(limit, *(own[levels] for levels in choices))  # what ties as near as that stays possible
            self.limits.append((objective.cost, limit - objective.offset + 1e-9 * max(1.0, abs(best))))
        bounds = {levels: self.reference(levels) for levels in choices}
        highest = min(high for _, high in bounds.values())
        lowest = min(low for low, _ in bounds.values())
        near = [levels for levels, (low, _) in bounds.items() if low <= highest + 1e-6 * max(highest, 1e-6)]
        return Truth(values, lowest, highest, near, doubtful)


_STRICT = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
