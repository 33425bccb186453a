"""What odds cost, as a run keeps it: as far as it is about the run's own plan it is computed again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kpiopt.run.run import Run
from kpiopt.runs.stored_run import read_risk
from kpiopt.simulation.planning.margins import is_certain, planning_draws

SAME = 1e-6
"""Share of a figure's size, or of all draws, by which it may differ: another processor sums in another order."""


def risk_differences(folder: Path, run: Run) -> list[str] | None:
    """Return what is wrong with a kept study of what odds cost; None where the run has none.

    Prices, the plan on averages and what could be known follow from other plans: they are not looked at.

    Parameters
    ----------
    run : Run
        As it follows from its proof.
    """
    study = read_risk(folder)
    return None if study is None else list(_differences(study, run))


def _differences(study: dict[str, Any], run: Run) -> Iterator[str]:
    draws = planning_draws(run.graph)
    margins = draws.margins(run.plan.stretch, run.plan.levels)
    certain = is_certain(margins)
    misses = margins + np.where(certain, draws.leeway, 0.0)[:, None] < 0.0
    yield from _wrong_values(study, float(1.0 - misses.any(axis=0).mean()), margins.shape[1])
    if study["judged"] == "this plan":
        means = margins.mean(axis=1) - np.where(certain, 0.0, draws.leeway)
        yield from _wrong_margins(study, dict(zip(run.scenario.goals, means.tolist(), strict=True)))
        shares = misses.sum(axis=1) / max(1, np.count_nonzero(misses.any(axis=0)))
        yield from _wrong_breaks(study, dict(zip(run.scenario.goals, shares.tolist(), strict=True)))


def _wrong_values(study: dict[str, Any], odds: float, n_draws: int) -> Iterator[str]:
    """Yield what does not follow from the plan's odds, or from other figures of the study."""
    known, average, best = study["known"], study["average"]["odds"], study["best"]
    if study["draws"] != n_draws:
        yield f"draws: {study['draws']} stand there, {n_draws} follow"
    if best < max(odds, average, *(price["planned"] for price in study["prices"])) - SAME:
        yield "best: a plan has better odds"
    follows = {"value_of_planning_on_draws": best - average}
    if known is not None:
        follows["value_of_knowing"] = known - best
    for key, value in follows.items():
        if not _is_same(study[key], value):
            yield f"{key}: {study[key]} stands there, {value} follows"


def _wrong_margins(study: dict[str, Any], means: dict[str, float]) -> Iterator[str]:
    if [margin["goal"] for margin in study["margins"]] != list(means):
        yield "margins: other goals than the scenario's"
        return
    for margin in study["margins"]:
        if not _is_same(margin["margin"], mean := means[margin["goal"]]):
            yield f"margins.{margin['goal']}: {margin['margin']} stands there, {mean} follows"


def _wrong_breaks(study: dict[str, Any], shares: dict[str, float]) -> Iterator[str]:
    for told in study["breaks"]:
        share = shares.get(told["goal"], 0.0)
        if not _is_same(told["share_of_misses"], share):
            yield f"breaks.{told['goal']}: {told['share_of_misses']} stands there, {share} follows"


def _is_same(told: float | None, follows: float) -> bool:
    return told is not None and abs(told - follows) <= SAME * max(1.0, abs(follows))
