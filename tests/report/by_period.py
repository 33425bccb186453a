"""A small organization with each kind of KPI by period, for what is shown of its plan."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import kpiopt
from kpiopt.report.page.source import ReportSource, source_of_run
from kpiopt.run.run import Run

TEXT = """schema = 1
name = "Three thirds"
currency = "EUR"
periods = ["T1", "T2", "T3"]
[perspective.money]
name = "Money"
[objective.grow]
name = "Grow"
perspective = "money"
[kpi.sales]
name = "Sales"
objective = "grow"
unit = "kEUR"
step = 1
season = [0.2, 0.3, 0.5]
[kpi.quality]
name = "Quality"
unit = "%"
roll_up = "mean"
step = 0.1
[kpi.skill]
name = "Skill"
unit = "points"
kind = "stock"
carry = 0.5
step = 0.1
[kpi.sales.drivers]
quality = { contribution = "20 to 40", lag = 1 }
skill = "1 to 3"
market = 25
[kpi.skill.drivers]
sales = { contribution = 0.01, at = "team" }
[factor.market]
name = "Market"
value = { normal = [0, 1] }
[goal.sales]
target = 2250
[goal.autumn]
kpi = "sales"
period = "T2"
target = 715
[initiative.course]
name = "Course"
units = { level = "team" }
max = 4
start = ["T1", "T2"]
uses = { hours = 5 }
runs = { hours = 1 }
build_up = [0.5, 1.0]
effects = { quality = 0.4 }
[uncertainty]
execution = "0.6 to 1.1"
[capacity.hours]
season = [0.3, 0.3, 0.4]
[pay_plan.thirds]
every = "period"
payout = [[0.8, 0.0], [1.0, 1.0], [1.2, 1.5]]
[simulation]
draws = 1024
seed = 3
[unit.co]
name = "The Firm"
[unit.north]
name = "Northerners"
parent = "co"
level = "team"
size = 1
target_incentive = 900
pay_plan = "thirds"
capacity.hours = 260
[unit.south]
name = "Southerners"
parent = "co"
level = "team"
size = 2
target_incentive = 1800
pay_plan = "thirds"
capacity.hours = 200
[cell."north/sales"]
baseline = 1200
max_stretch = 150
effort.hours = 1
weight = 1.0
pay_rate = 0.5
[cell."south/sales"]
baseline = 800
max_stretch = 120
effort.hours = 1
weight = 1.0
[cell."north/quality"]
baseline = 80
max_stretch = 3
effort.hours = 2
[cell."south/quality"]
baseline = 70
[cell."north/skill"]
baseline = 10
max_stretch = 4
effort.hours = 3
[cell."south/skill"]
baseline = 20
max_stretch = 4
effort.hours = 3
"""


@cache
def run() -> Run:
    """Return its run with odds."""
    with TemporaryDirectory() as name:
        path = Path(name) / "scenario.toml"
        path.write_text(TEXT, "utf-8")
        return kpiopt.solve(kpiopt.load(path))


@cache
def source() -> ReportSource:
    """Return the run as what pages are made of."""
    return source_of_run(run(), "three-thirds-12345678")
