"""A long computation that is killed again and again: `python -m tests.runs.journaled ROOT EXECUTOR N`."""

import json
import sys
from pathlib import Path

from kpiopt.runs.journal import answer_points, open_journal
from kpiopt.runs.store import RunStore
from kpiopt.workers.executor import execute, parse_executor
from tests.workers.toy_job import Fractions, Row

NAME = "squares-00000000"


def points_of(n: int) -> dict[str, float]:
    return {f"point {i}": 1.0 / (i + 3) for i in range(n)}


def compute(root: Path, executor: str, n: int, pause: float = 0.0) -> Path:
    """Answer all points, publish them, and drop the journal."""
    with open_journal(root, NAME, f"{n} points", Row) as journal:
        found = answer_points(Fractions(pause), points_of(n), parse_executor(executor), journal)
        with RunStore(root).staging(NAME) as staging:
            content = json.dumps(found).encode()
            staging.write("scenario.toml", b"name = 'squares'\n")
            staging.write("inputs/units.csv", b"unit\n")
            staging.write("points.json", content)
            manifest = {"files": {"points.json": {"bytes": len(content)}}, "started": "2027-01-01"}
            staging.write("run.json", json.dumps({"schema": "kpiopt.solve/1", "manifest": manifest}).encode())
            folder = staging.publish()
        journal.remove()
    return folder


def expected(n: int) -> dict[str, dict[str, float]]:
    """Return all answers, computed at once."""
    found = {}
    execute(Fractions(), points_of(n), parse_executor("serial"), found.__setitem__)
    return found


if __name__ == "__main__":
    compute(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), 0.01)
