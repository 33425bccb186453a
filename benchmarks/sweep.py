"""Time a sweep of 100 budgets against one cold solve of the same scenario.

    python benchmarks/sweep.py scenarios/adventureworks-base.toml budget.pay.limit=60000:130000:100
    python benchmarks/generate.py 10000 /tmp/cascade-10k
    python benchmarks/sweep.py /tmp/cascade-10k/scenario.toml

Without an axis, that of the scenario's [sweep] is taken: the pay budget of a synthetic cascade, from what target
incentives leave of it to all of it. Points are told apart by whether the budget is used up there: a point where it is
not keeps the plan that is known; a point where it is, is solved. Processor seconds, and the share of one cold solve
(reading, plan, prices, odds). The first, middle and last point are solved cold as well, and must have the same answer.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import kpiopt
from kpiopt.studies.sweep.axes import Point, points_of, read_axes
from kpiopt.studies.sweep.point import PointResult, SweepJob

SAME = 1e-8


def require_same(path: Path, point: Point, result: PointResult) -> None:
    """A point's plan values must be those of a solve of it."""
    run = kpiopt.solve(kpiopt.load(path, overrides=point.overrides), simulate=False)
    for goal, other in zip(result.goals, run.goals, strict=True):
        assert abs(goal.plan - other.plan) <= SAME * max(1.0, abs(other.plan)), (point, goal, other)


def measure(path: Path, points: tuple[Point, ...]) -> None:
    """Print the figures of one sweep."""
    kpiopt.solve(kpiopt.load(path))  # imports and caches are not what is measured
    started = time.process_time()
    kpiopt.solve(kpiopt.load(path))
    cold = time.process_time() - started
    started = time.process_time()
    answer = SweepJob(path).prepare()
    prepared = time.process_time() - started
    seconds: dict[str, list[float]] = {"used up": [], "not used up": [], "no plan": []}
    results = []
    for point in points:
        begun = time.process_time()
        result = answer(point)
        used = any(f"{name}.limit" == path for path, _ in point.values for name in result.used_up)
        kind = "no plan" if not result.is_solved else "used up" if used else "not used up"
        seconds[kind].append(time.process_time() - begun)
        results.append(result)
    whole = time.process_time() - started
    for i in {0, len(points) // 2, len(points) - 1}:
        if results[i].is_solved:
            require_same(path, points[i], results[i])
    print(f"one cold solve {cold:.2f} s, the sweep's own first solve and draws {prepared:.2f} s")
    for kind, times in seconds.items():
        if times:
            mean = sum(times) / len(times)
            print(f"{len(times)} points, budget {kind}: {mean:.3f} s each, {mean / cold:.3f} of a cold solve")
    print(f"{len(points)} points {whole:.2f} s, {whole / cold:.1f} cold solves")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario", type=Path)
    parser.add_argument("axis", nargs="*")
    arguments = parser.parse_args()
    file = arguments.scenario
    axes = read_axes(kpiopt.load(file), arguments.axis)
    measure(file, points_of(axes))
