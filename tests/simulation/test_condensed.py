"""Draws that go through the kept nodes alone give the margins and slopes of draws through all nodes."""

from __future__ import annotations

import gc
import pickle
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kpiopt.errors import LimitReached
from kpiopt.graph import build_graph
from kpiopt.scenario.load import load_scenario
from kpiopt.simulation.planning import condensed, margins, memory
from kpiopt.simulation.planning.margins import PlanningDraws, planning_draws
from kpiopt.simulation.redraw import MOST_NUMBERS

SCENARIOS = Path(__file__).parents[2] / "scenarios"


@pytest.mark.parametrize("name", ["hand-solved", "scorecard", "by_period/scorecard-quarters", "adventureworks-base"])
def test_condensed_draws_are_those_of_all_nodes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = build_graph(load_scenario(SCENARIOS / f"{name}.toml", overrides=["odds.draws=128"]))
    rng, cells = np.random.default_rng(5), graph.scenario.cells.has_decision
    reach = 0.1 * np.abs(graph.baseline[graph.entry_node])
    stretch, levels = np.where(cells, rng.uniform(0.0, 1.0, len(cells)) * reach, 0.0), rng.uniform(0, 1, graph.n_levels)
    weight = rng.uniform(0.0, 1.0, (len(graph.scenario.goals), 128)) * (rng.uniform(0.0, 1.0, 128) < 0.4)
    book, found = planning_draws(graph).book, []
    for few in (10**9, 0):
        monkeypatch.setattr(condensed, "FEW", few)
        draws = PlanningDraws(graph, book, tuple(range(len(graph.scenario.goals))))
        found.append((draws.margins(stretch, levels), *draws.effects(stretch, levels, weight)))
        assert (draws._condensed is None) == bool(few)
    assert np.abs(found[0][1]).max() > 0.0
    for all_nodes, few_nodes in zip(*found, strict=True):
        np.testing.assert_allclose(few_nodes, all_nodes, rtol=1e-12, atol=1e-12 * np.abs(all_nodes).max(initial=0.0))


BOUNDED = """
schema = 1
name = "Bounded"
[kpi.sales]
unit = "USD"
roll_up = "sum"
drivers.quality = { normal = [3, 0.5] }
[kpi.quality]
unit = "points"
max = 105
drivers.luck = 4
[factor.luck]
name = "Luck"
value = { normal = [0, 1] }
[unit.company]
[unit.north]
parent = "company"
[unit.south]
parent = "company"
[cell."company/quality"]
baseline = 100
max_stretch = 5
[cell."north/sales"]
baseline = 100
max_stretch = 50
[cell."south/sales"]
baseline = 100
max_stretch = 50
[uncertainty]
execution = { uniform = [0.5, 1.2] }
[goal.sales]
target = 250
[goal.quality]
target = 102
[odds]
draws = 128
"""


def test_condensed_draws_are_cut_off_at_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Quality is at its bound in some draws: there neither its stretch nor luck does anything more."""
    path = tmp_path / "bounded.toml"
    path.write_text(BOUNDED)
    graph = build_graph(load_scenario(path))
    stretch = np.where(graph.scenario.cells.has_decision, 3.0, 0.0)
    book, found = planning_draws(graph).book, []
    for few in (10**9, 0):
        monkeypatch.setattr(condensed, "FEW", few)
        draws = PlanningDraws(graph, book, tuple(range(len(graph.scenario.goals))))
        margins = draws.margins(stretch, np.zeros(0))
        found.append((margins, draws.effects(stretch, np.zeros(0), np.ones(margins.shape))[0]))
        at_bound = margins[1] > 105 - 102 - 1e-9
        assert 10 < np.count_nonzero(at_bound) < 118
    for all_nodes, few_nodes in zip(*found, strict=True):
        np.testing.assert_allclose(few_nodes, all_nodes, rtol=1e-12, atol=1e-10)


def test_more_draws_are_kept_where_memory_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = tmp_path / "meminfo"
    free.write_text("MemTotal: 64000000 kB\nMemAvailable:   33554432 kB\n")
    monkeypatch.setattr(memory, "FREE", free)
    monkeypatch.setattr(memory, "GROUP", tmp_path)
    assert memory.most_kept() == 1 << 30
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.most_kept() == 1 << 30
    (tmp_path / "memory.max").write_text(f"{1 << 34}\n")
    (tmp_path / "memory.current").write_text(f"{1 << 33}\n")
    assert memory.most_kept() == 1 << 28
    free.unlink()
    assert memory.most_kept() == MOST_NUMBERS


def test_draws_that_memory_does_not_hold_are_refused_with_what_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = build_graph(load_scenario(SCENARIOS / "hand-solved.toml"))
    monkeypatch.setattr(margins, "most_kept", lambda: 640)
    with pytest.raises(LimitReached, match="E-odds-draws") as refused:
        planning_draws(graph)
    (problem,) = refused.value.problems
    assert "at most 640 with the memory that is free" in problem.rule


def test_draws_are_those_of_their_own_graph_whatever_another_thread_does() -> None:
    class Shared(dict):  # type: ignore[type-arg]
        """Another thread puts its own draws there at once."""

        def __setitem__(self, apart: str, drawn: object) -> None:
            super().__setitem__(apart, "those of another thread")

    graph = replace(build_graph(load_scenario(SCENARIOS / "hand-solved.toml")), kept=Shared())
    assert planning_draws(graph).graph is graph


def test_draws_live_as_long_as_a_graph_that_shares_them_and_do_not_travel() -> None:
    graph = build_graph(load_scenario(SCENARIOS / "hand-solved.toml"))
    book = planning_draws(graph).book
    assert planning_draws(replace(graph, baseline=graph.baseline + 1.0)).book is book
    assert pickle.loads(pickle.dumps(graph)).kept == {}
    gone = weakref.ref(book)
    del graph, book
    gc.collect()
    assert gone() is None
