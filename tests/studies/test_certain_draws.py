"""Where nothing is uncertain every draw is the plan, and none is left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import kpiopt
from kpiopt.graph import build_graph
from kpiopt.simulation.propagate import Propagation
from kpiopt.studies.common_draws import CommonDraws

TEXT = """
schema = 1
name = "certain"
kpi.s = {}
unit = { co = {}, a = { parent = "co" } }
cell."a/s" = { baseline = 100, max_stretch = 10 }
goal.s.target = 120
"""


@pytest.mark.parametrize("stretch", [0.0, 10.0])
def test_values_without_anything_random_are_those_of_the_plan(tmp_path: Path, stretch: float) -> None:
    (tmp_path / "s.toml").write_text(TEXT, "utf-8")
    graph = build_graph(kpiopt.load(tmp_path / "s.toml"))
    propagation = Propagation(graph, np.array([stretch]), np.zeros(0))
    node = graph.find_node("s")
    found = CommonDraws(graph.scenario.simulation).collect(propagation, lambda block: block.delta[node])
    assert np.all(found == stretch)
