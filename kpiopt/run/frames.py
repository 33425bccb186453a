"""Tables of an answer, the same for who works with pandas, and what a notebook shows of it."""

from __future__ import annotations

from collections.abc import Mapping
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
GAP_COLUMNS = {"unit": str, "kpi": str, "top_down": float, "bottom_up": float, "plan": float, "target": float}
INITIATIVE_COLUMNS = {"initiative": str, "unit": str, "start": str, "level": float, "max": float}
"""`start`, the period in which a level begins, stands in plans by period only."""


class Shown:
    """An answer that a notebook shows: a later room draws it, and is looked up when a notebook asks."""

    _table: str

    def __init_subclass__(cls, table: str = "frame") -> None:
        cls._table = table

    def to_pandas(self) -> Any:
        """Return its table as a pandas DataFrame: of a run the targets, else the frame.

        Raises
        ------
        UsageError
            Where pandas is not installed.
        """
        return as_pandas(getattr(self, self._table))

    def _repr_html_(self) -> str:
        return str(import_module("kpiopt.report.notebook").html_of(self))

    def figure(self, name: str) -> Any:
        """Return a figure that a notebook shows, by its name: of a page's figures their title, or how that begins.

        Of a run these are "map", "tornado", "cascade", "stretch", "fairness", "pay", "bridge" and "odds"; "bridge GOAL"
        and "odds GOAL" are those of one goal. "tornado" studies the scenario anew.

        Raises
        ------
        UsageError
            Where there is no such figure; the message names those that there are.
        """
        return import_module("kpiopt.report.notebook").figure_of(self, name)


def frame_of(rows: list[dict[str, Any]], columns: dict[str, type]) -> pl.DataFrame:
    """Build a table with fixed columns and types, also where there are no rows."""
    import polars as pl  # only where a table is wanted

    return pl.DataFrame({name: [row.get(name) for row in rows] for name in columns}, schema=columns, strict=False)


def tables_of(document: Mapping[str, Any]) -> dict[str, pl.DataFrame]:
    """Return the tables that a document "kpiopt.solve/1" holds, by file name, one row for each of its entries.

    goals.csv: with their odds; limits.csv: use, price and range of each; initiatives.csv: levels at deciding units;
    gap.csv: goals split, offers and plan, where units offer something.
    """
    levels = frame_of(document["initiatives"], INITIATIVE_COLUMNS)
    begins = any(entry.get("start") is not None for entry in document["initiatives"])
    return {
        "goals.csv": frame_of([{**goal, **(goal["odds"] or {})} for goal in document["goals"]], GOAL_COLUMNS),
        "limits.csv": frame_of(document["limits"], LIMIT_COLUMNS),
        "initiatives.csv": levels if begins else levels.drop("start"),
        **({"gap.csv": frame_of(document["gap"], GAP_COLUMNS)} if document.get("gap") else {}),
    }


def as_pandas(frame: pl.DataFrame) -> Any:
    """Return a table as a pandas DataFrame.

    Raises
    ------
    UsageError
        Where pandas is not installed.
    """
    try:
        pandas = import_module("pandas")
    except ImportError as error:
        lacking = (error.name or "pandas").partition(".")[0]
        fix = f"pip install {lacking}, or use the polars table itself"
        raise UsageError(Problem("E-extra", f"this needs the package {lacking}", fix=fix)) from None
    is_plain = {name: dtype.is_float() or dtype.is_integer() for name, dtype in frame.schema.items()}
    return pandas.DataFrame({n: frame[n].to_numpy() if plain else frame[n].to_list() for n, plain in is_plain.items()})
