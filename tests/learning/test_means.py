"""KPIs that are means over units: their whole is a mean by size wherever it is shown."""

from __future__ import annotations

import json

import numpy as np

import kpiopt
from kpiopt.cli.app import main


def test_the_whole_of_a_mean_is_a_mean_by_size_as_the_plan_has_it(tmp_path, capsys):
    rng = np.random.default_rng(1)
    level = np.array([90.0, 40.0, 50.0, 60.0])[:, None] + rng.normal(0, 1, (4, 24))
    rows = [f"u{i},acc,{2023 + t // 12}-{t % 12 + 1:02d},{level[i, t]:.4f}" for i in range(4) for t in range(24)]
    (tmp_path / "h.csv").write_text("\n".join(["unit,kpi,period,value", *rows]) + "\n")
    cells = "".join(f'[cell."u{i}/acc"]\nbaseline = 50\nsize = {100 if i == 0 else 1}\n' for i in range(4))
    units = "".join(f'[unit.u{i}]\nparent = "co"\n' for i in range(4))
    model = 'schema = 1\nname = "x"\n[kpi.acc]\nroll_up = "mean"\nunit = "%"\nmin = 0\nmax = 100\n[unit.co]\n'
    (tmp_path / "m.toml").write_text(model + "[goal.acc]\ntarget = 89\n" + units + cells)
    words = ["fit", str(tmp_path / "h.csv"), "--model", str(tmp_path / "m.toml"), "--draws", "100"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    (found,) = json.loads((tmp_path / "out" / "fit.json").read_text())["baselines"]
    answer = kpiopt.solve(tmp_path / "out" / "fitted.toml", simulate=False)
    planned = answer.as_dict()["goals"][0]["baseline"]
    assert found["total_is"] == "mean" and abs(found["total"]["mean"] - planned) < 0.1
    assert 88.0 < planned < 90.0 and f"acc 4 mean {found['total']['mean']:.2f}" in shown
    page = (tmp_path / "out" / "fit.html").read_text()
    assert "Without new effort 8" in page and "Each row is the mean of that below it" in page
    assert "adds up" not in page and "1,0" not in page.split("By unit")[1][:4000]
