"""Whatever `kpiopt solve` publishes, `kpiopt verify` accepts: every shipped scenario and every variant."""

from __future__ import annotations

from pathlib import Path

import pytest

from kpiopt.cli import main
from kpiopt.scenario.load import load_scenario
from tests.test_scenarios import IMPOSSIBLE, SCENARIOS, SOLVED, VARIANTS

ROOT = Path(__file__).parents[2]
HOSPITAL = ROOT / "tests" / "data" / "faults" / "hospital"
STARTER = ROOT / "kpiopt" / "templates" / "scenario.toml"
QUESTIONS = [(SCENARIOS / f"{name}.toml", variant) for name, variant in [*((n, None) for n in SOLVED), *VARIANTS]]
HOSPITALS = [(HOSPITAL / f"{n}.toml", v) for n in ("scenario", "prop", "maxi") for v in (None, "lean", "ambitious")]
INHERITED = [(SCENARIOS / "adventureworks-stretched.toml", variant) for variant in ("lean", "growing_market")]
INHERITED += [(SCENARIOS / "adventureworks-fitted.toml", "lean")]
WITHOUT_A_PLAN = "impossible"
ORDINARY = [
    ("hand-solved", None), ("adventureworks-stretched", "lean"),
    ("scorecard", None),
]  # fmt: skip


def is_long(path: Path, variant: str | None) -> bool:
    return (path.stem, variant) not in ORDINARY


@pytest.mark.parametrize(
    ("path", "variant"),
    [
        pytest.param(path, variant, id=f"{path.stem}-{variant}", marks=[pytest.mark.nightly] * is_long(path, variant))
        for path, variant in [*QUESTIONS, *INHERITED, (STARTER, "lean"), *HOSPITALS]
    ],
)
def test_what_is_published_is_accepted(tmp_path: Path, path: Path, variant: str | None) -> None:
    words = ["--variant", variant] if variant else []
    assert main(["solve", str(path), *words, "--no-simulation", "--out", str(tmp_path / "runs")]) == 0
    (run,) = (tmp_path / "runs").iterdir()
    assert main(["verify", str(run)]) == 0


def test_no_shipped_variant_is_left_out() -> None:
    asked = {(path.stem, variant) for path, variant in [*QUESTIONS, *INHERITED] if variant}
    shipped = {(name, v) for name in SOLVED for v in load_scenario(SCENARIOS / f"{name}.toml").variants}
    assert shipped - asked == {(name, WITHOUT_A_PLAN) for name in IMPOSSIBLE}
    assert set(load_scenario(STARTER).variants) == {"lean"}
