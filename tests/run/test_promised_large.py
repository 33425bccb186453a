"""Promises in large organizations: fewer draws, warm plans, the same answer."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import kpiopt
from kpiopt.graph import build_graph
from kpiopt.program.formulation.cascade import Cascade, build_cascade
from kpiopt.program.order.promised import search, warm_steps
from kpiopt.program.order.steps import Solution, StepResult
from kpiopt.program.solver import reduction
from kpiopt.program.solver.answer import SolverOptions
from kpiopt.run.promised import promise_results, promised_goals
from kpiopt.run.solve import solve_cascade
from kpiopt.simulation.planning.margins import planning_draws

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
from generate import generate


def cascade(folder: Path, goals: int = 3, **settings: object) -> Cascade:
    path = generate(600, folder / "organization", n_kpis=40)
    names = list(kpiopt.load(path).goals)[:goals]
    overrides = ["odds.draws=512", *(f'goal."{name}".p_min=0.7' for name in names)]
    return build_cascade(build_graph(kpiopt.load(path, overrides=overrides)))


def test_only_what_promised_goals_depend_on_is_drawn(tmp_path: Path) -> None:
    """Margins and slopes are those of all draws; goals without a promise have none."""
    graph = cascade(tmp_path).graph
    rng, n = np.random.default_rng(2), len(graph.scenario.cells)
    stretch, levels, weight = rng.uniform(0, 5, n), np.zeros(graph.n_levels), np.zeros((len(graph.scenario.goals), 512))
    every = planning_draws(graph)
    everything = every.margins(stretch, levels)
    weight[[0, 2]] = rng.random((2, 512))
    slopes = every.effects(stretch, levels, weight)[0]
    some = planning_draws(graph, [2, 0])
    assert len(some.book.execution[0]) < 0.6 * len(every.book.execution[0])
    found = some.margins(stretch, levels)
    np.testing.assert_allclose(found[[0, 2]], everything[[0, 2]], rtol=1e-12, atol=1e-9)
    assert np.isnan(np.delete(found, [0, 2], axis=0)).all()
    np.testing.assert_allclose(some.effects(stretch, levels, weight)[0], slopes, rtol=1e-12, atol=1e-12)


def test_checking_draws_do_not_depend_on_what_was_drawn_before(tmp_path: Path) -> None:
    from kpiopt.simulation.planning.margins import checking_draws

    posed = cascade(tmp_path)
    about = promised_goals(posed.promises)
    first = checking_draws(posed.graph, about)
    wide = checking_draws(posed.graph)
    assert wide.book.layout.draws <= first.book.layout.draws
    again = checking_draws(posed.graph, about)
    assert again.book.layout.draws == first.book.layout.draws
    assert all(np.array_equal(a, b) for a, b in zip(again.book.execution, first.book.execution, strict=True))


def test_a_plan_from_the_duals_of_the_rows_before_is_the_plan_from_scratch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where only sides of rows move in a large program, all steps are certified with the duals there are."""
    posed = cascade(tmp_path)
    for module in (warm_steps, reduction):
        monkeypatch.setattr(module, "is_large", lambda _: True)
    attempts: list[str] = []
    solve = search.solve_order

    def watched(*given: object, **named: object) -> Solution:
        found: Solution = solve(*given, **named)  # type: ignore[arg-type]
        attempts.extend(step.attempt for step in found.steps)
        return found

    monkeypatch.setattr(search, "solve_order", watched)
    held, warm = solve_cascade(posed, SolverOptions())
    assert attempts.count("duals of the rows before") >= 4
    monkeypatch.setattr(warm_steps.WarmSteps, "begin", lambda *_: None)
    again, cold = solve_cascade(posed, SolverOptions())
    columns = held.columns
    assert len(held.cuts.cuts) == len(again.cuts.cuts)
    np.testing.assert_allclose(columns.stretch.of(warm.x), columns.stretch.of(cold.x), rtol=1e-7, atol=1e-7)
    results: list[StepResult] = list(warm.steps)
    assert all(step.certificate.passed for step in results)
    kept = promise_results(held, columns.stretch_of_cells(warm.x), columns.level.of(warm.x))
    assert len(kept) == 3 and all(result.is_kept and result.planned < 0.7 + 0.06 for result in kept)
