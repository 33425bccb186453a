"""How much narrower the interval of a difference is because both scenarios are drawn with the same random numbers.

Run `python benchmarks/pairing.py`. Each second plan is drawn twice: with the first plan's numbers, as `kpiopt compare`
does, and with numbers of its own. The interval without pairing is that of the difference of two independent estimates.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import kpiopt
from kpiopt.run.run import Run
from kpiopt.simulation.difference import compare_odds, estimate_change
from kpiopt.simulation.odds import Estimate
from kpiopt.simulation.simulate import simulate

SCENARIOS = Path(__file__).parents[1] / "scenarios"
ADVENTURE, SCORECARD = SCENARIOS / "adventureworks-base.toml", SCENARIOS / "scorecard.toml"
OTHER_SEED = 99

PAIRS = (
    (ADVENTURE, "a tenth fewer hours", None, ["capacity.hours.scale=0.9"]),
    (ADVENTURE, "a fifth fewer hours", None, ["capacity.hours.scale=0.8"]),
    (ADVENTURE, "a goal of 100,000 more", None, ["goal.sales.target=38_100_000"]),
    (ADVENTURE, "its lean variant", "lean", []),
    (ADVENTURE, "its growing_market variant", "growing_market", []),
    (SCORECARD, "a tenth less cash", None, ["budget.cash.limit=99_000"]),
    (SCORECARD, "its people_first variant", "people_first", []),
)


@dataclass(frozen=True)
class Measured:
    """One difference, paired and not.

    Attributes
    ----------
    what : str
    difference : Estimate
    independent : float
        Width of the interval with draws of its own.
    """

    what: str
    difference: Estimate
    independent: float

    @property
    def narrower(self) -> float:
        """How many times."""
        return self.independent / (self.difference.high - self.difference.low)


def measure_pair(first: Run, second: Run) -> Iterator[Measured]:
    """Yield the odds of every goal and of all together, and mean pay."""
    assert first.simulation is not None and second.simulation is not None
    plan, settings = second.plan, replace(first.scenario.simulation, seed=OTHER_SEED)
    together = simulate(second.graph, plan.stretch, plan.levels, plan.target, first.scenario.simulation)
    apart = simulate(second.graph, plan.stretch, plan.levels, plan.target, settings)
    alone = {goal.goal: goal.odds for goal in apart.goals} | {None: apart.all_goals}
    for odds in compare_odds(first.simulation, together):
        other = alone[odds.goal]
        assert other is not None
        yield Measured(odds.goal or "all goals", odds.difference, _width(odds.first, other))
    if first.simulation.pay and together.pay and apart.pay:
        change = estimate_change(first.simulation.kept.pay, together.kept.pay)
        yield Measured("mean pay", change, _width(first.simulation.pay.total.mean, apart.pay.total.mean))


def _width(first: Estimate, second: Estimate) -> float:
    return float(np.hypot(first.high - first.low, second.high - second.low))


def solve(file: Path, variant: str | None, words: Sequence[str], method: str) -> Run:
    """Solve one scenario with a sampling method."""
    return kpiopt.solve(kpiopt.load(file, variant=variant, overrides=[*words, f"simulation.method={method}"]))


def main() -> None:
    """Print one line for each difference."""
    print(f"{'method':7} {'pair':40} {'of':18} {'difference':>11} {'paired':>10} {'independent':>11} {'narrower':>8}")
    for method in ("random", "sobol"):
        for file, name, variant, words in PAIRS:
            pair = f"{file.stem.partition('-')[0]}, {name}"
            for m in measure_pair(solve(file, None, [], method), solve(file, variant, words, method)):
                width = m.difference.high - m.difference.low
                size = f"{m.difference.estimate:11.5g} {width:10.3g} {m.independent:11.3g}"
                print(f"{method:7} {pair:40} {m.what:18} {size} {m.narrower:8.1f}")


if __name__ == "__main__":
    main()
