"""Random small organizations with actions, and what trying every choice of them says: SciPy solves what is left.

The oracle is written from the scenario's meaning and knows nothing of the program: which initiatives run, at which of
their levels, what they need and exclude, and then two linear programs, the goals' and the cost's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import linprog

TEAMS = ("a", "b")


@dataclass
class Action:
    """One initiative; it is decided by every team, or by the plant for all teams."""

    name: str
    units: tuple[str, ...]
    effect: float
    use: float
    setup: float
    levels: tuple[float, ...] = ()
    whole: bool = False
    most: float = 0.0
    needs: list[str] = field(default_factory=list)
    not_with: list[str] = field(default_factory=list)


@dataclass
class Organization:
    actions: list[Action]
    stretch: dict[str, float]
    rate: dict[str, float]
    gap: float
    cash: float


def draw_organization(seed: int) -> Organization:
    rng = np.random.default_rng(seed)
    actions: list[Action] = []
    for name in ("p", "q", "r")[: rng.integers(2, 4)]:
        units = ("plant",) if rng.random() < 0.5 else TEAMS
        kind = rng.integers(3) if len(units) == 1 or name == "p" else rng.integers(1, 3)
        action = Action(name, units, float(rng.integers(1, 5)), float(rng.integers(0, 4)), float(rng.integers(0, 9)))
        if kind == 0:
            steps = sorted(rng.choice(np.arange(1, 12), 2, replace=False).tolist())
            action.levels = tuple(float(v) for v in ([0, *steps] if rng.random() < 0.8 else steps))
            action.most = max(action.levels)
        else:
            action.whole, action.most = bool(kind == 1), float(rng.integers(1, 4))
        for other in actions:
            is_above = other.units == units or other.units == ("plant",)
            if is_above and (other.whole or other.levels) and rng.random() < 0.4:
                action.needs.append(other.name)
            elif rng.random() < 0.3:
                action.not_with.append(other.name)
        actions.append(action)
    stretch = {team: float(rng.integers(0, 6)) for team in TEAMS}
    rate = {team: float(rng.integers(1, 4)) for team in TEAMS}
    return Organization(actions, stretch, rate, float(rng.integers(5, 60)), float(rng.integers(5, 60)))


def write_organization(path: Path, organization: Organization) -> Path:
    text = ['schema = 1\nname = "tried out"\n[kpi.out]\n[unit.plant]']
    for team in TEAMS:
        text.append(f'[unit.{team}]\nparent = "plant"\nlevel = "team"')
        text.append(f'[cell."{team}/out"]\nbaseline = 100\nmax_stretch = {organization.stretch[team]}')
        text.append(f"pay_rate = {organization.rate[team]}")
    for action in organization.actions:
        text.append(f"[initiative.{action.name}]\nuses = {{ cash = {action.use} }}")
        text.append("" if action.units == ("plant",) else 'units = { level = "team" }')
        text.append(f"levels = {list(action.levels)}" if action.levels else f"max = {action.most}")
        text.append("whole = true" if action.whole else "")
        text.append(f"setup = {{ cash = {action.setup} }}")
        text += [f"{key} = {names}" for key in ("needs", "not_with") if (names := getattr(action, key))]
        at = ', at = "team"' if action.units == ("plant",) else ""
        text.append(f"[initiative.{action.name}.effects]\nout = {{ contribution = {action.effect}{at} }}")
    text.append(f"[goal.out]\ntarget = {200 + organization.gap}\n[budget.cash]\nlimit = {organization.cash}")
    text.append('[decide]\norder = ["goals", "cost"]')
    path.write_text("\n".join(text), encoding="utf-8")
    return path


def is_allowed(organization: Organization, level: dict[tuple[str, str], Any]) -> bool:
    """Whether a choice keeps what its actions need and exclude; None stands for any level above 0."""
    runs = {key for key, value in level.items() if value != 0.0}
    for action in organization.actions:
        for unit in action.units:
            if (action.name, unit) not in runs:
                continue
            if any((n, unit) not in runs and (n, "plant") not in runs for n in action.needs):
                return False
            meets = {unit, "plant"} if unit != "plant" else {"plant", *TEAMS}
            if any((n, u) in runs for n in action.not_with for u in meets):
                return False
    return True


def best_by_trying(organization: Organization) -> tuple[float, float] | None:
    """Return the least shortfall and the least cost with it; None where no choice is possible."""
    keys = [(a, u) for a in organization.actions for u in a.units]
    options: list[list[float | None]] = []
    for action, _ in keys:
        if action.levels:
            options.append(list(action.levels))
        else:
            options.append([float(v) for v in range(int(action.most) + 1)] if action.whole else [0.0, None])
    found: tuple[float, float] | None = None
    for choice in product(*options):
        level = {(a.name, u): v for (a, u), v in zip(keys, choice, strict=True)}
        if is_allowed(organization, level):
            one = _solve(organization, keys, choice)
            if one is not None and (
                found is None
                or one < (found[0] - 1e-9, found[1])
                or (abs(one[0] - found[0]) <= 1e-9 and one[1] < found[1])
            ):
                found = one
    return found


def _solve(organization: Organization, keys: list[tuple[Action, str]], choice: tuple[float | None, ...]) -> Any:
    boxes = [(0.0, organization.stretch[t]) for t in TEAMS]
    boxes += [(0.0, action.most) if v is None else (v, v) for (action, _), v in zip(keys, choice, strict=True)]
    boxes.append((0.0, None))
    each = [a.effect * (len(TEAMS) if a.units == ("plant",) else 1) for a, _ in keys]
    use = [a.use for a, _ in keys]
    setup = sum(a.setup for (a, _), v in zip(keys, choice, strict=True) if v != 0.0)
    rows = [[-1.0] * len(TEAMS) + [-e for e in each] + [-1.0], [0.0] * len(TEAMS) + use + [0.0]]
    sides = [-organization.gap, organization.cash - setup]
    first = linprog([0.0] * (len(boxes) - 1) + [1.0], A_ub=rows, b_ub=sides, bounds=boxes)
    if first.status != 0:
        return None
    boxes[-1] = (0.0, first.fun + 1e-9)
    cost = [organization.rate[t] for t in TEAMS] + use + [0.0]
    second = linprog(cost, A_ub=rows, b_ub=sides, bounds=boxes)
    return float(first.fun), float(second.fun) + setup
