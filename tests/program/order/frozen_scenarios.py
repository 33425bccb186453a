"""Random little scenarios in which much cannot move: zeros, locks, equal bounds, and figures that nearly tie."""

from __future__ import annotations

import numpy as np

NEARLY = (0.0, 1e-16, -1e-16, 1e-13, -1e-13, 1.5e-10, -1.5e-10, 1e-7, -1e-7)
"""By which share a figure is off the one that it should tie with."""
WEIGHTS = (1.0, 2.0, 3.0, 0.001, 1000.0)


def frozen_scenario(seed: int) -> str:
    """Return the TOML of a scenario without whole numbers and hard goals: there is always a plan."""
    rng = np.random.default_rng(seed)
    units = [f"u{i}" for i in range(int(rng.integers(1, 6)))]
    kpis = ["k", "q"][: int(rng.integers(1, 3))]
    lines = ["schema = 1", f'name = "frozen {seed}"', f"decide.order = {_order(rng)}", f"decide.slack = {_slack(rng)}"]
    cells = [(unit, kpi) for unit in units for kpi in kpis if rng.random() < 0.8] or [(units[0], "k")]
    for kpi in kpis:
        lines += _kpi(rng, kpi, kpis)
        lines += [] if any(kpi == own for _, own in cells) else ["baseline = 100"]
    lines += ["[unit.co]", *_capacity(rng)]
    for unit in units:
        lines += [f"[unit.{unit}]", 'parent = "co"', f'level = "{rng.choice(["t", "s"])}"', *_capacity(rng)]
    gaps = dict.fromkeys(kpis, 0.0)
    for unit, kpi in cells:
        baseline, most, text = _cell(rng)
        lines += [f'[cell."{unit}/{kpi}"]', *text]
        gaps[kpi] += baseline + most
    lines += _initiative(rng, kpis)
    if rng.random() < 0.2:
        lines += ["[guardrail.all]", f"growth = {rng.choice(['[0.0, 0.0]', '[0.07, 0.07]', '[0.0, 0.5]'])}"]
    for i, kpi in enumerate(kpis):
        lines += _goal(rng, f"g{i}", kpi, gaps[kpi])
    unit, kpi = cells[0]
    return "\n".join([*lines, *_goal(rng, "own", kpi, 110.0, at=unit), ""])


def _order(rng: np.random.Generator) -> list[str]:
    steps = ["goals", "fairness", "cost"]
    return [*([str(s) for s in rng.permutation(steps)] if rng.random() < 0.2 else steps), "reference"]


def _slack(rng: np.random.Generator) -> str:
    return str(rng.choice(["{}", "{}", "{}", "{ goals = 0.05 }", "{ fairness = 0.01 }"]))


def _kpi(rng: np.random.Generator, kpi: str, kpis: list[str]) -> list[str]:
    lines = [f"[kpi.{kpi}]", f'roll_up = "{rng.choice(["sum", "sum", "mean"])}"', f'direction = "{_direction(rng)}"']
    lines += [f"step = {rng.choice(['1', '0.1', '0.0001'])}"]
    if kpi != kpis[0]:
        lines += [f"drivers = {{ {kpis[0]} = {rng.choice(['0.0', '0.5', '-1.0', '1e-6'])} }}"]
    return lines


def _direction(rng: np.random.Generator) -> str:
    return "up" if rng.random() < 0.8 else "down"


def _capacity(rng: np.random.Generator) -> list[str]:
    return [f"capacity.h = {rng.choice(['0', '0', '10', '17', '1000'])}"] if rng.random() < 0.4 else []


def _cell(rng: np.random.Generator) -> tuple[float, float, list[str]]:
    """Return baseline, most stretch, and the cell's lines."""
    baseline = float(rng.choice([0.0, 100.0, 100.0, 200.0, 1e6, 0.1, round(float(rng.uniform(1, 999)), 2)]))
    most = float(rng.choice([0.0, 0.0, 7.0, 50.0, 0.07 * baseline, 0.001, baseline]))
    lines = [f"baseline = {baseline!r}", f"max_stretch = {most!r}"]
    kind = rng.random()
    if kind < 0.2:
        lines.append(f"lock = {_writable(float(rng.choice([0.0, most, most / 2])))!r}")
    elif kind < 0.4:
        lines.append(f"min_stretch = {_writable(most * (1.0 + float(-abs(rng.choice([*NEARLY, -1.0, -0.5])))))!r}")
    elif kind < 0.5:
        lines[1] = ""  # no decision, unless a guardrail gives one
        most = 0.0
    lines += [f"effort.h = {rng.choice(['0', '0.1', '281', '1'])}"] if rng.random() < 0.5 else []
    lines += [f"pay_rate = {rng.choice(['0', '1', '0.3'])}"] if rng.random() < 0.4 else []
    return baseline, most, lines


def _writable(value: float) -> float:
    """The file takes 0 and sizes from 1e-9."""
    return value if value >= 1e-9 else 0.0


def _initiative(rng: np.random.Generator, kpis: list[str]) -> list[str]:
    if rng.random() < 0.6:
        return []
    most, limit = rng.choice(["0", "10", "0.001"]), rng.choice(["0", "0", "10", "5000"])
    effects = ", ".join(f"{kpi} = {rng.choice(['0', '1', '0.3'])}" for kpi in kpis)
    lines = ["[initiative.i]", f"max = {most}", "uses = { cash = 1 }", f"effects = {{ {effects} }}"]
    return [*lines, "[budget.cash]", f"limit = {limit}"]


def _goal(rng: np.random.Generator, name: str, kpi: str, reach: float, at: str = "") -> list[str]:
    """A goal at what can be reached, a hair or more beyond it, or a little short of it."""
    target = reach * (1.0 + float(rng.choice([*NEARLY, 0.1, -0.1])))
    lines = [f"[goal.{name}]", f'kpi = "{kpi}"', f"target = {target!r}", f"weight = {rng.choice(WEIGHTS)}"]
    lines += [f'at = "{at}"'] if at else []
    return [*lines, *(["priority = 2"] if rng.random() < 0.3 else [])]
