"""A small organization with a history: two regions of three teams, sales that follow visits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.report.browser import closed_browser  # noqa: F401

MODEL = """
schema = 1
name = "Two regions"
[objective.grow]
[kpi.sales]
objective = "grow"
unit = "USD"
roll_up = "sum"
step = 1
[kpi.sales.drivers]
visits = {{ contribution = {contribution}, at = "team" }}
[kpi.visits]
objective = "grow"
unit = "visits"
roll_up = "sum"
step = 1
[goal.sales]
target = 9000
[tables]
units = "units.csv"
cells = "cells.csv"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    teams = [f"t{i}" for i in range(6)]
    units = ["unit,parent,level", "co,,company", "north,co,region", "south,co,region"]
    units += [f"{t},{'north' if i < 3 else 'south'},team" for i, t in enumerate(teams)]
    cells = ["unit,kpi,baseline,max_stretch"]
    cells += [f"{t},{k},{b},50" for t in teams for k, b in (("sales", 1000), ("visits", 40))]
    rows = ["unit,kpi,period,value"]
    for i, team in enumerate(teams):
        for t in range(14):
            visits = 10 * np.exp(0.2 * rng.normal())
            sales = 200 + 10 * i + 5 * visits + 20 * np.sin(t * np.pi / 2) + 5 * rng.normal()
            name = f"{2023 + t // 4}-Q{t % 4 + 1}"
            rows += [f"{team},visits,{name},{visits:.6g}", f"{team},sales,{name},{sales:.6g}"]
    for name, lines in (("units.csv", units), ("cells.csv", cells), ("history.csv", rows)):
        (tmp_path / name).write_text("\n".join(lines) + "\n")
    (tmp_path / "model.toml").write_text(MODEL.format(contribution='"3 to 8"'))
    (tmp_path / "kpiopt.toml").touch()
    return tmp_path
