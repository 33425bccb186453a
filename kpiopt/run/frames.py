"""Tables for who works with pandas."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from kpiopt.errors import Problem, UsageError

if TYPE_CHECKING:
    import polars as pl


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
