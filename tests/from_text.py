"""A scenario written as text: what solving it gives, and what reading it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

import kpiopt
from kpiopt.errors import InputError
from kpiopt.run.run import Run


def run_of(folder: Path, text: str, *, simulate: bool = False) -> Run:
    """Return the run of a scenario."""
    path = folder / "s.toml"
    path.write_text(text, "utf-8")
    return kpiopt.solve(kpiopt.load(path), simulate=simulate)


def codes(folder: Path, text: str) -> list[str]:
    """Return the codes of the errors for which a scenario is refused."""
    (folder / "s.toml").write_text(text, "utf-8")
    with pytest.raises(InputError) as caught:
        kpiopt.load(folder / "s.toml")
    return [problem.code for problem in caught.value.problems]
