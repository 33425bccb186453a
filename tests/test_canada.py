"""Canada's service standards: the tables follow from the records, and the publisher's own rule from kpiopt's."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from kpiopt.graph import build_graph
from kpiopt.scenario.load import load_scenario
from kpiopt.scenario.target_grid import least_hit

ROOT = Path(__file__).parent.parent
MODEL = ROOT / "models" / "canada_service_standards"


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def usable() -> list[dict[str, str]]:
    """Records with cases, a target, and no more cases on standard than there were."""
    found = []
    for row in rows_of(MODEL / "data" / "service_standards.csv"):
        target, met, volume = (row[c] for c in ("target", "volume_meeting_target", "total_volume"))
        if met and target and float(target) > 0 and volume and float(volume) > 0 and float(met) <= float(volume):
            found.append(row)
    return found


def test_anyone_can_derive_the_tables_again(tmp_path: Path) -> None:
    shutil.copytree(MODEL / "data", tmp_path / "data")
    shutil.copy(MODEL / "derive.py", tmp_path)
    subprocess.run([sys.executable, "-B", "derive.py"], cwd=tmp_path, check=True)
    for file in ("units.csv", "cells.csv", "published.csv", "derived.json"):
        assert (tmp_path / file).read_bytes() == (MODEL / file).read_bytes(), file


def test_the_root_is_the_ratio_of_sums() -> None:
    graph = build_graph(load_scenario(MODEL / "model.toml"))
    records = usable()
    ratio = sum(float(r["volume_meeting_target"]) for r in records) / sum(float(r["total_volume"]) for r in records)
    assert round(float(graph.baseline[graph.find_node("on_standard")]), 5) == round(ratio, 5) == 0.93177
    assert json.loads((MODEL / "derived.json").read_text())["on_standard"] == ratio


def test_a_hit_is_what_the_publisher_calls_met() -> None:
    """Met is decided on the ratio rounded to four places; on the ratio itself six of 1,778 would be wrong."""
    graph = build_graph(load_scenario(MODEL / "model.toml"))
    cells = rows_of(MODEL / "cells.csv")
    value = graph.baseline[[graph.find_node("on_standard", row["unit"]) for row in cells]]
    target = np.array([float(row["target"]) for row in rows_of(MODEL / "published.csv")])
    met = np.array([row["target_met"] == "Y" for row in usable()])
    step = np.full(len(target), graph.scenario.kpis["on_standard"].step)
    hit = value >= least_hit(target, value, step, np.ones(len(target)))
    assert len(hit) == 1778 and np.array_equal(hit, met)
    assert np.sum((value >= target) != met) == 6


def test_staff_is_2_percent_of_the_whole_and_10_percent_of_each_programme() -> None:
    units, derived = rows_of(MODEL / "units.csv"), json.loads((MODEL / "derived.json").read_text())
    limit = {row["unit"]: float(row["capacity.fte"]) for row in units if row["capacity.fte"]}
    programmes = sum(value for unit, value in limit.items() if unit != "canada")
    assert abs(limit["canada"] - 0.02 * derived["staff"]) < 0.01
    assert abs(programmes - 0.10 * derived["staff"]) < 0.05


def test_the_readme_tells_the_derived_figures() -> None:
    readme = " ".join((MODEL / "README.md").read_text(encoding="utf-8").split())
    derived = json.loads((MODEL / "derived.json").read_text())
    assert f"{derived['on_standard']:.5f}" in readme and f"{derived['staff']:,.0f}" in readme
    for name in ("records", "standards", "services", "programmes"):
        assert f"{derived[name]:,}" in readme, name
    for reason, count in derived["left_out"].items():
        assert f"{count} {reason}" in readme, reason
