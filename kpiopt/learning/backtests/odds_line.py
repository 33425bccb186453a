"""The line of a kept back-test that `kpiopt solve` prints under its odds; read without loading the estimators."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from kpiopt.reading.regular_file import read_bytes

SCHEMA = "kpiopt.backtest/1"
BACKTEST_FILE = "backtest.json"
LARGEST_KEPT = 1 << 30
"""Bytes of a kept back-test that are read: what others have put there does not fill the memory."""


def tested_files(files: Iterable[str], folder: Path) -> list[str]:
    """Return the documents of what was tested, relative to the folder where the back-test is kept."""
    return [Path(os.path.relpath(Path(file).resolve(), folder.resolve())).as_posix() for file in files]


def read_odds_line(folder: Path, files: Iterable[str]) -> str | None:
    """Return the line of the back-test kept in a folder; None where there is none, or where it tested something else.

    Parameters
    ----------
    files : iterable of str
        The documents of the scenario at hand: it is that of the test, or shares its model.
    """
    try:
        kept = json.loads(read_bytes(folder / BACKTEST_FILE, LARGEST_KEPT))
        line = kept["line"] if kept["schema"] == SCHEMA else None
        tested = {(folder / name).resolve() for name in kept["files"]}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    is_about_this = any(Path(file).resolve() in tested for file in files)
    return line if isinstance(line, str) and is_about_this else None
