"""The line of a kept back-test that `kpiopt solve` prints under its odds; read without loading the estimators."""

from __future__ import annotations

import json
from pathlib import Path

from kpiopt.reading.regular_file import open_regular

SCHEMA = "kpiopt.backtest/1"
BACKTEST_FILE = "backtest.json"


def read_odds_line(folder: Path) -> str | None:
    """Return the line of the back-test kept in a folder; None where there is none that can be read."""
    try:
        with open_regular(folder / BACKTEST_FILE) as file:
            kept = json.load(file)
        line = kept["line"] if kept["schema"] == SCHEMA else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return line if isinstance(line, str) else None
