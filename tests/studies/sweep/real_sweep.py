"""A real sweep in a process of its own, that can be stopped after so many points."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from kpiopt.cli import main

ROOT = Path(__file__).parents[3]
HAND, ADVENTURE = ROOT / "scenarios" / "hand-solved.toml", ROOT / "scenarios" / "adventureworks-base.toml"
LONG = [str(ADVENTURE), "--over", "budget.pay.limit=60_000:130_000:24", "--over", "goal.sales.target=37e6,38e6"]
N_POINTS = 48

STOPPING = """
import os, signal, sys
from kpiopt.cli import main
from kpiopt.runs.journal import Journal

n, keep = int(sys.argv[1]), Journal.keep

def counting(journal, key, answer):
    global n
    keep(journal, key, answer)
    n -= 1
    if n == 0:
        os.kill(os.getpid(), signal.SIGSTOP)

if __name__ == "__main__":
    Journal.keep = counting
    sys.exit(main(sys.argv[2:]))
"""


def sweep(out: Path, *words: str) -> int:
    return main(["sweep", *words, "--out", str(out)])


def start(out: Path, *words: str) -> subprocess.Popen:
    """Start the long sweep."""
    return _start([sys.executable, "-m", "kpiopt", "sweep", *LONG, "--out", str(out), *words])


def start_and_stop(out: Path, n: int, *words: str) -> subprocess.Popen:
    """Start the long sweep; return when its process has kept n points and stands still, however busy the machine is."""
    script = out.parent / f"{out.name}-stopping.py"
    script.write_text(STOPPING)
    process = _start([sys.executable, str(script), str(n), "sweep", *LONG, "--out", str(out), *words])
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    assert process.poll() is None
    return process


def _start(command: list[str]) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def ended(process: subprocess.Popen) -> tuple[bytes, bytes]:
    """Wait for a sweep; return stdout, and stderr without what is warned of in the shipped scenario."""
    said, err = process.communicate(timeout=120)
    return said, re.sub(rb"^[^\n]*: W-unassigned: [^\n]*\n(    [^\n]*\n)*", b"", err, flags=re.MULTILINE)


def result(out: Path) -> dict[str, bytes | dict]:
    """Return what a sweep found, without when and where; nothing else is in the folder."""
    [folder] = [path for path in out.iterdir() if not path.name.startswith(".")]
    assert sorted(p.name for p in out.iterdir()) == [folder.name]
    return result_in(folder)


def result_in(folder: Path) -> dict[str, bytes | dict]:
    document = json.loads((folder / "sweep.json").read_text("utf-8"))
    assert document.pop("manifest")["files"]
    assert document.pop("folder") == str(folder)
    return {"document": document, "points": (folder / "points.csv").read_bytes()}


def kept_points(out: Path) -> set[str]:
    """Return names and contents of the answers in the journal."""
    files = out.glob(".*.journal/[!.]*.json")
    return {f"{path.name} {path.read_text('utf-8')}" for path in files if path.name != "question.json"}


def promised(seconds: float) -> float:
    """Return a promise in seconds on a machine with more work than processors, where everything takes longer."""
    busy = os.getloadavg()[0] / (os.cpu_count() or 1) if hasattr(os, "getloadavg") else 1.0
    return seconds * max(1.0, busy)
