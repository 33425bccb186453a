"""The line of a kept back-test that `kpiopt solve` prints under its odds; read without loading the estimators.

It stands only under odds that were tested: those of a model that says what the tested one said, in every file, and
whose noise is what `kpiopt fit` writes, since back-tests draw with that. Nothing of the kept file is printed but
numbers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kpiopt.reading.document import Document
from kpiopt.reading.key_path import dotted
from kpiopt.reading.regular_file import read_bytes
from kpiopt.runs.question import file_references
from kpiopt.workers.versions import hash_file

SCHEMA = "kpiopt.backtest/1"
BACKTEST_FILE = "backtest.json"
LARGEST_KEPT = 1 << 30
"""Bytes of a kept back-test that are read: what others have put there does not fill the memory."""
ASKED = (
    "schema", "name", "description", "goal", "budget", "decide", "fairness", "sweep", "relax", "odds", "simulation",
)  # fmt: skip
"""Sections that say what is asked of a model, and not how it answers."""
FITTED = "fitted_"
"""How the names of noise begin that `kpiopt fit` writes."""
MIDDLING = 0.4
"""Where the fifth of odds begins that the line is about."""
VERDICTS = {"calibrated": "calibrated", "cannot tell": "cannot tell whether odds are right", "not right": "not right"}


def model_digest(document: Document) -> str:
    """Return the SHA-256 of what a document says of its model: its values, and every file that it reads."""
    data = {key: value for key, value in document.data.items() if key not in ASKED}
    files = {
        dotted(path): hash_file(document.resolve(path, text.partition("#")[0]))
        for path, text in file_references(data)
    }  # fmt: skip
    return hashlib.sha256(json.dumps([data, files], sort_keys=True).encode()).hexdigest()


def has_fitted_noise(document: Document, kpis: Iterable[str]) -> bool:
    """Whether the noise of a model is what `kpiopt fit` wrote for these KPIs, and nothing beside it."""
    found = document.data.get("noise", {})
    return all(name.startswith(FITTED) for name in found) and all(FITTED + kpi in found for kpi in kpis)


def read_odds_line(folder: Path, document: Document) -> str | None:
    """Return the line of the back-test kept in a folder; None where there is none, or where it tested something else.

    Parameters
    ----------
    document : Document
        The scenario at hand: it may ask something else of the model that was tested.
    """
    try:
        kept = json.loads(read_bytes(folder / BACKTEST_FILE, LARGEST_KEPT))
        is_about_this = kept["schema"] == SCHEMA and kept["model"] == model_digest(document)
        is_about_this &= has_fitted_noise(document, {score["kpi"] for score in kept["scores"]})
        return _line(kept) if is_about_this else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, StopIteration, RecursionError):
        return None


def _line(kept: Mapping[str, Any]) -> str | None:
    """Write what became of middling odds and the verdict; None where no target was given such odds."""
    verdict = next(said for word, said in VERDICTS.items() if kept["verdict"].startswith(word))
    found = next(part for part in kept["targets"]["bins"] if abs(float(part["from"]) - MIDDLING) < 0.01)
    count, periods = int(found["count"]), int(kept["periods"])
    if count <= 0:
        return None
    hit, low, high = (f"{float(found[name]):.0%}".replace("%", " %") for name in ("hit", "low", "high"))
    return (
        f"{verdict}; of {count} past targets given 40 to 60 %, {hit} were hit ({low} to {high} could be true, "
        f"{periods} past periods)"
    )
