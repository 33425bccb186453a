"""A back-test in JSON: the document "kpiopt.backtest/1", kept beside the model and read again by `kpiopt solve`."""

from __future__ import annotations

from typing import Any

import numpy as np

from kpiopt.learning.backtests.backtest import BacktestOptions
from kpiopt.learning.backtests.odds_line import SCHEMA
from kpiopt.learning.backtests.results import BINS, Backtest, LevelScore, PlanScore
from kpiopt.learning.backtests.scores import Reliability
from kpiopt.learning.history import History
from kpiopt.workers.versions import installed_versions


def backtest_as_dict(found: Backtest, history: History, options: BacktestOptions) -> dict[str, Any]:
    """Return the JSON document of a back-test."""
    return {
        "schema": SCHEMA,
        "history": {"sha256": history.sha256, "first": history.grid.names[0], "last": history.grid.names[-1]},
        "origins": list(found.origins),
        "draws": options.draws,
        "seed": options.seed,
        "scores": [_score_as_dict(score) for score in found.scores],
        "targets": None if found.targets is None else _odds_as_dict(found.targets),
        "plans": [_plan_as_dict(plan) for plan in found.plans],
        "notes": list(found.notes),
        "verdict": found.verdict,
        "calibrated": found.is_calibrated,
        "periods": found.periods,
        "versions": installed_versions(),
    }


def _score_as_dict(score: LevelScore) -> dict[str, Any]:
    held = score.coverage
    return {
        "kpi": score.kpi, "level": score.level, "horizon": score.horizon, "crps": score.crps,
        "seasonal_naive": score.naive, "last_period": score.last,
        "log_score": None if np.isnan(score.log_score) else score.log_score,
        "coverage": {"share": held.share, "count": held.count, "low": held.low, "high": held.high,
                     "right": held.is_right},
        "gain": _gain_as_dict(score.gain), "transform": list(score.transform),
    }  # fmt: skip


def _gain_as_dict(gain: tuple[float, float, float]) -> dict[str, float | None]:
    share, low, high = (float(value) if np.isfinite(value) else None for value in gain)
    return {"over_last_year": share, "low": low, "high": high}


def _plan_as_dict(score: PlanScore) -> dict[str, Any]:
    return {
        "kpi": score.kpi, "horizon": score.horizon, "count": score.plan.count, "planned": score.plan.error,
        "last_year": score.last_year, "last_period": score.last_period, "set_then": score.given,
        "gain": _gain_as_dict(score.plan.gain), "odds": _odds_as_dict(score.odds),
        "attainment_by_size": {name: None if np.isnan(value) else value
                               for name, value in zip(("planned", "last_year"), score.by_size, strict=True)},
    }  # fmt: skip


def _odds_as_dict(odds: Reliability) -> dict[str, Any]:
    bins = []
    for low in BINS:
        high = low + 0.2
        count, share, lower, upper = odds.bin(low, high)
        bins.append({"from": low, "to": high, "count": count, "hit": share if count else None,
                     "low": lower, "high": upper})  # fmt: skip
    return {
        "count": len(odds.given), "brier": odds.brier, "miscalibration": odds.miscalibration,
        "discrimination": odds.discrimination, "uncertainty": odds.uncertainty, "bins": bins,
    }  # fmt: skip
