"""Impossible scenarios: the repair, applied to the file by its own assignments, makes the scenario possible."""

from __future__ import annotations

from pathlib import Path

import pytest

import kpiopt
from kpiopt.errors import Infeasible, Uncertified

SCENARIOS = sorted((Path(__file__).parents[3] / "scenarios").glob("*.toml"))
HAND_SOLVED = Path(__file__).parents[3] / "scenarios" / "hand-solved.toml"


def diagnosis(path: Path, variant: str | None, overrides: list[str]) -> dict:
    with pytest.raises(Infeasible) as caught:
        kpiopt.solve(kpiopt.load(path, variant=variant, overrides=overrides), simulate=False)
    return caught.value.details


def impossible() -> list[Path]:
    return [path for path in SCENARIOS if "[variant.impossible" in path.read_text(encoding="utf-8")]


def test_shipped_scenarios_have_impossible_variants() -> None:
    assert len(impossible()) >= 4


@pytest.mark.parametrize("path", impossible(), ids=lambda p: p.stem)
def test_repairs_make_it_possible(path: Path) -> None:
    found = diagnosis(path, "impossible", [])
    assert found["certificate"]["passed"]
    for repair in [found["repair"], *found["alternatives"][:3]]:
        run = kpiopt.solve(kpiopt.load(path, variant="impossible", overrides=repair["set"]), simulate=False)
        assert run.certificate.passed, repair["text"]


@pytest.mark.parametrize("path", impossible(), ids=lambda p: p.stem)
def test_a_little_less_than_a_single_repair_is_not_enough(path: Path) -> None:
    for repair in diagnosis(path, "impossible", [])["alternatives"][:2]:
        [change] = repair["changes"]
        almost = change["from"] + 0.99 * (change["to"] - change["from"])
        key = change["set"][0].partition("=")[0]
        if len(change["set"]) == 1 and not change["limit"].startswith("capacity"):
            with pytest.raises((Infeasible, Uncertified)):
                scenario = kpiopt.load(path, variant="impossible", overrides=[f"{key}={almost}"])
                kpiopt.solve(scenario, simulate=False)


def test_a_clash_by_a_hair_is_neither_proved_nor_published() -> None:
    """15 hours are missing; 15 hours less a hundred-millionth leave a contradiction that only rounding decides."""
    scenario = kpiopt.load(HAND_SOLVED, variant="impossible", overrides=["unit.ann.capacity.hours=44.9999995"])
    with pytest.raises(Uncertified, match=r"E-borderline.*\n.*\n.*more hours") as caught:
        kpiopt.solve(scenario, simulate=False)
    assert caught.value.exit_code == 6


def test_the_planner_says_what_gives_way_first() -> None:
    usual = diagnosis(HAND_SOLVED, "impossible", [])
    unwilling = diagnosis(HAND_SOLVED, "impossible", ["relax.capacity=100000"])
    assert all(c["limit"].startswith("capacity.") for c in usual["repair"]["changes"])
    assert not any(c["limit"].startswith("capacity.") for c in unwilling["repair"]["changes"])
