"""Whole numbers whose largest level is far beyond what limits allow: the answer is that of a level at the limit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kpiopt.cli import main
from kpiopt.errors import Infeasible, LimitReached
from kpiopt.program.order import whole_numbers
from kpiopt.program.order.branching import Branching
from kpiopt.program.order.proof import gather_evidence
from kpiopt.program.solver.answer import SolverOptions
from kpiopt.program.trust.evidence import evidence_bytes, load_evidence
from kpiopt.program.trust.whole_tree import Relaxation, verify_tree
from tests.from_text import run_of
from tests.program.random_programs import INF, program

TWO = """schema = 1
name = "two"
currency = "USD"
[kpi.v]
unit = "x"
roll_up = "none"
baseline = 0
[unit.co]
[initiative.a]
max = {most}
whole = true
uses.cash = 2
effects.v = 2
[initiative.b]
max = {most}
whole = true
uses.cash = 2
effects.v = 2
[budget.cash]
limit = {limit}
[goal.v]
target = {target}
hard = true
"""


@pytest.mark.parametrize("most", [10, 1_000_000, 1_000_000_000])
@pytest.mark.parametrize(("limit", "target", "repair"), [(1, 1, 2), (5, 5, 6)])
def test_no_whole_numbers_fit_whatever_is_unused(tmp_path: Path, most, limit, target, repair) -> None:
    with pytest.raises(Infeasible) as failure:
        run_of(tmp_path, TWO.format(most=most, limit=limit, target=target))
    assert failure.value.details["certificate"]["passed"]
    assert failure.value.details["certificate"]["margin"] > 0.01
    assert failure.value.details["repair"]["set"] == [f"budget.cash.limit={repair}"]
    mended = run_of(tmp_path, TWO.format(most=most, limit=repair, target=target))
    assert mended.plan.levels.sum() == repair / 2


def test_the_plan_is_that_of_a_level_at_the_limit(tmp_path: Path) -> None:
    """Levels that no budget pays for change neither the plan nor its values, but for the reference's share of them."""
    goal = TWO.replace("hard = true\n", "").format(most="{most}", limit=9, target=7)
    near, far = (run_of(tmp_path, goal.format(most=most)) for most in (4, 1_000_000))
    assert near.plan.levels.sum() == far.plan.levels.sum() == 4
    pairs = zip(near.solution.steps, far.solution.steps, strict=True)
    assert all(a.value == pytest.approx(b.value) for a, b in pairs if a.name != "reference")


LEVELS = """schema = 1
name = "levels"
[kpi.v]
unit = "x"
step = {step}
[unit.root]
[unit.t]
parent = "root"
[cell."t/v"]
baseline = {baseline}
max_stretch = {stretch}
[initiative.i]
max = {most}
whole = true
uses.hours = 2
effects.v = {effect}
[capacity.hours]
[unit.root.capacity]
hours = 100
[goal.v]
target = {target}
[decide]
order = ["goals", "reference"]
"""


@pytest.mark.parametrize("most", [60, 1000, 1_000_000])
@pytest.mark.parametrize(
    ("step", "baseline", "stretch", "effect", "target", "levels"),
    [
        (1, 97, 3, 10, 100, 1),  # a stretch is enough, but further from the reference than a level
        (10_000, 3333.333333333333, 1000, 20_000, 3333.333333333333, 0),
        (1, 100, 0, 10, 125, 3),
    ],
)
def test_no_level_is_used_that_nothing_asks_for(
    tmp_path: Path, most, step, baseline, stretch, effect, target, levels
) -> None:
    """Where a large range makes a level a tiny share of it, choices are as close to the reference as can be told."""
    text = LEVELS.format(step=step, baseline=baseline, stretch=stretch, effect=effect, target=target, most=most)
    run = run_of(tmp_path, text)
    assert run.plan.levels.tolist() == [levels]


def test_the_kept_run_is_accepted_by_its_own_computation(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.toml").write_text(TWO.format(most=1_000_000, limit=5, target=4), "utf-8")
    assert main(["solve", "s.toml", "--no-simulation"]) == 0
    assert main(["verify", str(next(Path("runs").glob("two-*")))]) == 0


def test_what_is_not_known_is_said(tmp_path: Path, monkeypatch) -> None:
    """2 a + 2 b is never 999,999, and only a look at half a million choices shows it."""
    monkeypatch.setattr("kpiopt.program.order.branching.NODES", 20)
    monkeypatch.setattr(whole_numbers, "NODES", 20)
    with pytest.raises(LimitReached) as failure:
        run_of(tmp_path, TWO.format(most=1_000_000, limit=999_999, target=999_999))
    message = failure.value.problems[0].message
    assert "stopped after 20 branchings before whole numbers that keep all limits were found" in message
    assert "whether there are any is not known" in message


@pytest.mark.parametrize(
    ("row", "side", "box", "left"),
    [
        ([2, 2], (-INF, 1), (0, 1e6), [(0, 0), (0, 0)]),
        ([0.1, 1], (-INF, 0.3), (0, 1e6), [(0, 3), (0, 0)]),  # 0.1 * 3 is a hair above 0.3: rounding
        ([-3, 0], (-10, INF), (0, 1e9), [(0, 3), (0, 1e9)]),
        ([1, 0], (-INF, 999), (0, 1000), [(0, 1000), (0, 1000)]),  # hardly less: left to the search
        ([1, -1], (-INF, 2), (0, 1e6), [(0, 1e6), (0, 1e6)]),  # what the other gives has no end that counts
        ([1, 1], (2e6 - 3, INF), (0, 1e6), [(1e6 - 3, 1e6)] * 2),
        ([1, 1], (-INF, -1), (0, 1e6), [(0, 1e6)] * 2),  # no level at all: not told by a range
    ],
)
def test_what_single_limits_leave(row, side, box, left) -> None:
    arrays = program([row], [0, 0], columns=box, rows=side)
    arrays.integer[:] = True
    tree = Branching(arrays, SolverOptions())
    assert list(zip(*(end.tolist() for end in tree.boxes[tree.root]), strict=True)) == left
    over = Relaxation(arrays, ())
    for _, node, vector, is_empty in tree.records:
        assert is_empty
        assert over.bound(None, tree.vectors[vector], *tree.boxes[node]).sure > 0.0


def test_a_split_that_no_limit_shows_is_refused(tmp_path: Path) -> None:
    """A forged tree leaves out a level that the budget pays for."""
    run = run_of(tmp_path, TWO.replace("hard = true\n", "").format(most=1_000_000, limit=5, target=4))
    (tmp_path / "evidence.npz").write_bytes(evidence_bytes(gather_evidence(run.cascade.program, run.solution)))
    tree = next(step for step in load_evidence(tmp_path / "evidence.npz") if step.tree is not None)
    assert all(found.passed for found in verify_tree(tree.arrays, tree.tree))
    first = np.flatnonzero(tree.tree.records[:, 3])[0]
    node = tree.tree.records[first, 1]
    above = next(split for split in tree.tree.splits if node in split[2:].tolist())
    assert above[1] == 2
    above[1] = 1
    assert not all(found.passed for found in verify_tree(tree.arrays, tree.tree))


def test_it_is_the_best_of_all_choices_looked_at_one_by_one(tmp_path: Path) -> None:
    """Levels with unlike uses and effects."""
    rng = np.random.default_rng(5)
    for _ in range(6):
        use, effect = rng.integers(1, 6, 2), rng.integers(1, 9, 2)
        limit, target = int(rng.integers(1, 25)), int(rng.integers(5, 40))
        text = TWO.replace("hard = true\n", "").format(most=1_000_000, limit=limit, target=target)
        for of, (u, e) in zip("ab", zip(use, effect, strict=True), strict=True):
            head, _, tail = text.partition(f"[initiative.{of}]")
            text = f"{head}[initiative.{of}]" + tail.replace("uses.cash = 2", f"uses.cash = {u}", 1).replace(
                "effects.v = 2", f"effects.v = {e}", 1
            )
        run = run_of(tmp_path, text)
        grid = [(a, b) for a in range(limit + 1) for b in range(limit + 1) if a * use[0] + b * use[1] <= limit]
        short = {choice: max(0, target - int(np.dot(choice, effect))) for choice in grid}
        least = min(short.values())
        cheapest = min(np.dot(choice, use) for choice, s in short.items() if s == least)
        levels = tuple(int(v) for v in run.plan.levels)
        assert short[levels] == least
        assert np.dot(levels, use) == cheapest
