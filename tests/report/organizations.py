"""Organizations with as many KPIs as a test wants, written as a planner would write them."""

from __future__ import annotations

import random
from pathlib import Path

WORDS = ["Revenue", "Cost", "Quality", "Delivery", "Retention", "Engagement", "Uptime", "Backlog", "Training", "Margin"]
KINDS = ["per customer", "of new products", "in the field", "at the hotline", "year on year", "of first visits"]
PERSPECTIVES = ("financial", "customer", "process", "learning")

HOSTILE = [
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "<svg onload=alert(1)>",
    "javascript:alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "]]><!-- --><foreignObject>",
    "' onmouseover='alert(1)",
    "&lt;b&gt; & \\u003c",
    "=cmd|' /C calc'!A0",
    "http://example.com/x",
    "\\\\host\\share",
    "a\u202eb",
    "x\u2028y\u2029z",
]


def scorecard(n_kpis: int, *, seed: int = 1, names: list[str] | None = None, draws: int = 1024) -> str:
    """A scorecard of four perspectives in TOML: causes below, effects above; teams with cells, initiatives, factors."""
    pick = random.Random(seed)
    levels = [max(1, round(n_kpis * share)) for share in (0.15, 0.25, 0.35)]
    counts = [*levels, n_kpis - sum(levels)]
    lines = [
        "schema = 1",
        'name = "Made-up scorecard"',
        'currency = "EUR"',
        "[simulation]",
        f"draws = {draws}",
        "seed = 5",
    ]
    for band in PERSPECTIVES:
        lines += [f"[perspective.{band}]", f'name = "{band.title()}"']
    kpis: list[tuple[str, int]] = []
    for level, (band, count) in enumerate(zip(PERSPECTIVES, counts, strict=True)):
        n_objectives = max(1, count // 4)
        for i in range(n_objectives):
            critical = "true" if i == 0 else "false"
            lines += [f"[objective.{band}{i}]", f'name = "{band.title()} aim {i + 1}"', f'perspective = "{band}"',
                      f"critical = {critical}"]  # fmt: skip
        for i in range(count):
            name = f"{WORDS[(i + level) % len(WORDS)]} {pick.choice(KINDS)}"
            kpis.append((f"k{len(kpis)}", level))
            title = names[(len(kpis) - 1) % len(names)] if names else name
            lines += [f"[kpi.{kpis[-1][0]}]", f"name = {_quoted(title)}", f'objective = "{band}{i % n_objectives}"',
                      'unit = "points per head"', f'direction = "{pick.choice(["up", "up", "down"])}"',
                      'roll_up = "mean"', "step = 0.1"]  # fmt: skip
    lines += [line for i in range(len(kpis)) for line in _drivers(i, kpis, pick)]
    lines += ["[factor.market]", 'name = "The market"', "value = { normal = [0, 1] }"]
    lines += ["[initiative.academy]", 'name = "Academy for everybody"', 'units = { level = "team" }', "max = 3",
              "uses = { cash = 100 }", "[initiative.academy.effects]", f'{kpis[-1][0]} = "0.2 to 0.6"',
              "[budget.cash]", "limit = 500"]  # fmt: skip
    for kpi, _ in kpis[: min(4, n_kpis)]:
        lines += [f"[goal.{kpi}]", "target = 100.4"]
    lines += [
        "[uncertainty]",
        'execution = "0.6 to 1.0"',
        "[unit.company]",
        'name = "The company"',
        'level = "company"',
    ]
    teams = [f"team{i}" for i in range(3)]
    for team in teams:
        lines += [f"[unit.{team}]", f'name = "Team {team[-1]}"', 'parent = "company"', 'level = "team"']
    for kpi, level in kpis:
        for team in teams:
            lines += [f'[cell."{team}/{kpi}"]', "baseline = 100", f"max_stretch = {5 if level > 1 else 1}"]
    return "\n".join(lines) + "\n"


def _drivers(position: int, kpis: list[tuple[str, int]], pick: random.Random) -> list[str]:
    """Causes of a KPI: later ones, mostly from the perspective below."""
    below = [k for k, level in kpis[position + 1 :] if 0 <= level - kpis[position][1] <= 1]
    causes = pick.sample(below, min(len(below), pick.choice([1, 2, 2])))
    lines = [f"[kpi.{kpis[position][0]}.drivers]"]
    lines += [f'{cause} = {{ contribution = "{pick.choice(["0.1 to 0.3", "-0.3 to -0.1"])}", at = "team" }}'
              for cause in causes]  # fmt: skip
    return lines + (["market = 0.1"] if position == 0 else [])


def _quoted(text: str) -> str:
    escaped = "".join(c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in text)
    return f'"{escaped}"'


def write_scorecard(folder: Path, n_kpis: int, **settings: object) -> Path:
    path = folder / f"made{n_kpis}.toml"
    path.write_text(scorecard(n_kpis, **settings), "utf-8")  # type: ignore[arg-type]
    return path


TOOLED = """
schema = 1
name = "Tooled"
currency = "EUR"
[kpi.jobs]
name = "Jobs"
unit = "jobs"
[kpi.fix]
name = "Fix"
unit = "%"
roll_up = "mean"
step = 0.5
[goal.jobs]
target = 260
[initiative.tool]
name = "Dispatch tool"
levels = [1, 3]
uses.cash = 10
effects.jobs = { contribution = 5, at = "person" }
[budget.cash]
limit = 100
[unit.co]
level = "company"
[unit.ann]
parent = "co"
level = "person"
[unit.bob]
parent = "co"
level = "person"
[cell."ann/jobs"]
baseline = 100
max_stretch = 20
[cell."bob/jobs"]
baseline = 100
max_stretch = 20
[cell."ann/fix"]
baseline = 80.2
max_stretch = 5
"""
"""A root decides about an initiative with levels of its own, for two persons below."""

SPREAD = """
schema = 1
name = "Spread"
currency = "EUR"
[kpi.revenue]
name = "Revenue"
unit = "EUR"
step = 100
drivers.visits = { contribution = 480, at = "person" }
drivers.renewal = { contribution = "1500 to 4000", at = "person" }
drivers.mood = { contribution = 700, at = "depot" }
[kpi.visits]
name = "Visits"
unit = "visits"
drivers.leaving = { contribution = -30, spread = "baseline" }
drivers.repair = { contribution = 0.5, at = "person" }
[kpi.renewal]
name = "Renewals"
unit = "%"
roll_up = "mean"
step = 0.1
max = 100
drivers.repair = { contribution = 0.4, at = "person" }
drivers.leaving = { contribution = -0.5, spread = "size" }
[kpi.complaints]
name = "Complaints"
unit = "cases"
direction = "down"
drivers.repair = { contribution = -0.6, at = "person" }
drivers.leaving = { contribution = 4, spread = "even" }
[kpi.repair]
name = "Repair"
unit = "%"
roll_up = "mean"
step = 0.1
min = 0
max = 100
drivers.days = { contribution = 0.7, at = "person" }
[kpi.mood]
name = "Mood"
unit = "points"
roll_up = "none"
step = 0.1
drivers.complaints = { contribution = -0.2, at = "depot" }
[kpi.leaving]
name = "Leaving"
unit = "%"
roll_up = "none"
direction = "down"
step = 0.1
baseline = 9.5
drivers.days = -0.02
[kpi.satisfaction]
name = "Satisfaction"
unit = "points"
roll_up = "none"
step = 1
baseline = 31
drivers.complaints = -0.05
[kpi.days]
name = "Days"
unit = "days"
step = 1
[goal.revenue]
target = 900_000
[goal.satisfaction]
target = 33
[goal.complaints]
target = 45
[goal.north_visits]
kpi = "visits"
at = "north"
target = 1100
[initiative.training]
name = "Training"
max = 6
units.level = "person"
uses.cash = 400
effects.days = 1
[budget.cash]
limit = 6000
[uncertainty]
execution = "0.75 to 1.1"
[simulation]
draws = 1024
seed = 3
[unit.co]
name = "Company"
[unit.north]
name = "North"
parent = "co"
level = "depot"
[unit.south]
name = "South"
parent = "co"
level = "depot"
[unit.ann]
name = "Ann"
parent = "north"
level = "person"
size = 1
[unit.bob]
name = "Bob"
parent = "north"
level = "person"
size = 0.5
[unit.cyd]
name = "Cyd"
parent = "south"
level = "person"
size = 2
""" + "".join(
    f'[cell."{unit}/{kpi}"]\nbaseline = {baseline}\n{f"max_stretch = {most}" if most else ""}\n'
    for unit, i in (("ann", 0), ("bob", 1), ("cyd", 2))
    for kpi, baseline, most in (
        ("revenue", 270_000 + 30_000 * i, 9_000), ("visits", 410 + 90 * i, 30), ("renewal", 71 + 6 * i, 3),
        ("complaints", 13 + 7 * i, 3), ("repair", 74.5 + 5 * i, 4), ("days", 2 + i, None),
    )
) + "".join(f'[cell."{depot}/mood"]\nbaseline = {60 + i}\n' for i, depot in enumerate(("north", "south")))  # fmt: skip
"""Drivers of the root that are handed down to persons, means by size, KPIs where lower is better or nobody adds up."""
