"""Whatever `kpiopt solve` publishes, `kpiopt verify` accepts: every shipped scenario and every variant."""

from __future__ import annotations

from pathlib import Path

import pytest

from kpiopt.cli import main
from tests.test_scenarios import SCENARIOS, SOLVED, VARIANTS

HOSPITAL = Path(__file__).parents[1] / "data" / "faults" / "hospital"
QUESTIONS = [(SCENARIOS / f"{name}.toml", variant) for name, variant in [*((n, None) for n in SOLVED), *VARIANTS]]
HOSPITALS = [(HOSPITAL / f"{n}.toml", v) for n in ("scenario", "prop", "maxi") for v in (None, "lean", "ambitious")]
LONG = [pytest.param(*question, marks=[] if i == 0 else pytest.mark.nightly) for i, question in enumerate(HOSPITALS)]


@pytest.mark.parametrize(("path", "variant"), [*QUESTIONS, *LONG])
def test_what_is_published_is_accepted(tmp_path: Path, path: Path, variant: str | None) -> None:
    words = ["--variant", variant] if variant else []
    assert main(["solve", str(path), *words, "--no-simulation", "--out", str(tmp_path / "runs")]) == 0
    (run,) = (tmp_path / "runs").iterdir()
    assert main(["verify", str(run)]) == 0
