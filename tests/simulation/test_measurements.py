"""The measurements behind docs/odds.md: the scripts run, and the table in the page keeps its promise."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest

from kpiopt.graph import build_graph

ROOT = Path(__file__).parents[2]


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


@pytest.mark.usefixtures("benchmarks")
def test_the_throughput_benchmark_simulates_what_it_says() -> None:
    sampling = importlib.import_module("sampling")
    graph = build_graph(sampling.build_map(30, 90))
    assert (graph.n_nodes, len(graph.tail)) == (30, 90)
    for method in ("random", "sobol"):
        sampling.run_simulation(graph, 2048, method, 1)


@pytest.mark.usefixtures("benchmarks")
@pytest.mark.parametrize("method", ["random", "sobol"])
def test_the_coverage_benchmark_knows_the_exact_values(method: str) -> None:
    """With 60 seeds no interval of 95 % coverage is right less than 50 times (chance below 1e-4)."""
    coverage = importlib.import_module("coverage_of_intervals")
    found = coverage.measure((method, 0.05, 3, 4096, 60))
    assert set(found) >= {"odds of a goal", "odds of all goals", "paired difference", "mean", "5 % point"}
    for name, (share, width) in found.items():
        assert share >= 50 / 60, name
        assert width > 0


def test_documented_coverage_keeps_what_is_promised() -> None:
    """2,000 seeds; no interval holds the exact value less often than in 94 % of them, and on the whole 95 % or more."""
    text = (ROOT / "docs" / "odds.md").read_text(encoding="utf-8")
    table = text.split("<!-- coverage: begin -->")[1].split("<!-- coverage: end -->")[0]
    assert table.strip().startswith("2,000 seeds, 16,384 draws")
    rows = [[c.strip() for c in line.strip("|").split("|")] for line in table.splitlines() if line.startswith("| ")][1:]
    figures = np.array([[float(c.removesuffix(" %")) for c in row[3:5]] for row in rows])
    assert len(rows) == 8 * 3 * 3
    assert figures.min() >= 94.0
    assert figures.mean() >= 94.9
