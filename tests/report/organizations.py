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
