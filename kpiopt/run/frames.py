"""Tables for who works with pandas."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from kpiopt.errors import Problem, UsageError

if TYPE_CHECKING:
    import polars as pl

GOAL_COLUMNS = {
    "goal": str, "kpi": str, "unit": str, "period": str, "baseline": float, "target": float, "plan": float,
    "asked": float, "shortfall": float, "met": bool, "priority": int, "hard": bool, "p_min": float, "estimate": float,
    "low": float, "high": float,
}  # fmt: skip
LIMIT_COLUMNS = {
    "name": str, "limit": float, "used": float, "binding": bool, "step": str, "shadow_price": float, "from": float,
    "to": float, "unit": str,
}  # fmt: skip
ODDS_COLUMNS = {
    "kpi": str, "unit": str, "period": str, "goal": float, "mean": float, "sd": float, "p5": float, "p50": float,
    "p95": float, "estimate": float, "low": float, "high": float,
}  # fmt: skip
INITIATIVE_COLUMNS = {"initiative": str, "unit": str, "level": float, "max": float}


def as_pandas(frame: pl.DataFrame) -> Any:
    """Return a table as a pandas DataFrame.

    Raises
    ------
    UsageError
        Where pandas is not installed.
    """
    try:
        pandas = import_module("pandas")
    except ImportError:
        fix = "pip install pandas, or use the polars table itself"
        raise UsageError(Problem("E-extra", "this needs the package pandas", fix=fix)) from None
    return pandas.DataFrame(frame.to_dict(as_series=False))
