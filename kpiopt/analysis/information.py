"""What it is worth to know an uncertain quantity before planning.

Expected value of partial perfect information (Raiffa & Schlaifer 1961): at quantiles of the quantity the plan is made
anew, as it would be if the value were known, and compared in the same draws with the plan that does not know it. Who
learns a value may also keep the plan, so it is worth nothing where re-planning does no good by the outcome asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from kpiopt.analysis.common_draws import CommonDraws
from kpiopt.analysis.moves import Inputs, fix_quantities, quantities_of
from kpiopt.analysis.outcome import Outcome, mean_of, measure
from kpiopt.analysis.replanning import NoPlan, Replanner
from kpiopt.scenario.scenario import Floats, Scenario
from kpiopt.simulation import Estimate
from kpiopt.simulation.inputs import build_inputs
from kpiopt.simulation.odds import student
from kpiopt.simulation.streams import Layout, Streams

QUANTILES = 6
WORLDS = 16
EVERYTHING = "everything named"

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Information:
    """What knowing a quantity is worth, in the outcome's unit; positive is better, whatever the outcome's direction.

    Attributes
    ----------
    name : str
        The quantity, or "everything named" for all of them at once: about the most that learning could bring.
    worth : Estimate
        With the better of the two plans at each value.
    replanning : Estimate
        With the new plan at each value, come what may: the order of the objectives need not serve this outcome.
    values : int
        At how many values a plan was made.
    without_plan : int
        At how many of them there was none, so that the old one was kept.
    """

    name: str
    worth: Estimate
    replanning: Estimate
    values: int
    without_plan: int


def value_information(
    replanner: Replanner,
    inputs: Inputs,
    outcome: Outcome,
    names: Iterable[str],
    draws: CommonDraws,
    progress: Progress = lambda _: None,
) -> tuple[Information, ...]:
    """Find what knowing each of some uncertain quantities is worth; the most valuable first.

    Parameters
    ----------
    replanner : Replanner
        With the plan of the inputs' scenario.
    names : iterable of str
        Names of uncertain quantities.
    """
    study = _Study(replanner, outcome, draws)
    quantities, found = quantities_of(inputs.scenario), []
    shares = (np.arange(QUANTILES) + 0.5) / QUANTILES
    for name in names:
        progress(name)
        values = quantities[name].quantile(shares).tolist()
        found.append(_summarise(name, [study.gain(inputs.at(name, value)) for value in values]))
    return tuple(sorted(found, key=lambda info: (-info.worth.estimate, info.name)))


def value_everything(
    replanner: Replanner, outcome: Outcome, draws: CommonDraws, progress: Progress = lambda _: None
) -> Information:
    """Find what knowing all named quantities at once is worth, from 16 worlds; execution stays uncertain."""
    study = _Study(replanner, outcome, draws)
    scenario, gains = replanner.base.scenario, []
    for number, world in enumerate(_worlds(replanner, draws.settings.seed)):
        progress(f"world {number + 1} of {WORLDS}")
        gains.append(study.gain(fix_quantities(scenario, world)))
    means = np.array([0.0 if gain is None else float(gain.mean()) for gain in gains])
    without = sum(gain is None for gain in gains)
    return Information(EVERYTHING, _over_worlds(np.maximum(means, 0.0)), _over_worlds(means), WORLDS, without)


def _worlds(replanner: Replanner, seed: int) -> Iterator[Mapping[str, float]]:
    """Yield values of all named quantities, drawn together."""
    base = replanner.base
    inputs = build_inputs(base.graph, base.plan.stretch)
    streams = Streams(seed, inputs.names, Layout("sobol", 1, WORLDS))
    values, _ = inputs.draw_shared(streams.replicate(0).scores(0, WORLDS), WORLDS)
    names = inputs.names[: len(inputs.quantities)]
    for column in values.T.tolist():
        yield dict(zip(names, column, strict=True))


@dataclass(frozen=True)
class _Study:
    replanner: Replanner
    outcome: Outcome
    draws: CommonDraws

    def gain(self, scenario: Scenario) -> Floats | None:
        """Return what the plan made for a scenario gains in it against the present one; None where there is none.

        Returns
        -------
        (n_replicates, size) or (1, 1) float
            By draw, or one exact number; positive is better.
        """
        cascade = self.replanner.pose(scenario)
        try:
            planned = self.replanner.plan(cascade)
        except NoPlan:
            return None
        kept = measure(self.outcome, cascade.graph, self.replanner.base, self.draws)
        made = measure(self.outcome, cascade.graph, planned, self.draws)
        if kept.sample is None or made.sample is None:
            return np.array([[self.outcome.better * (made.value - kept.value)]])
        return np.asarray(self.outcome.better * (made.sample - kept.sample))


def _summarise(name: str, gains: list[Floats | None]) -> Information:
    """Average the gains over equally likely values."""
    there = [gain for gain in gains if gain is not None]
    none = Estimate(0.0, 0.0, 0.0, "exact")
    if not there:
        return Information(name, none, none, len(gains), len(gains))
    nothing = np.zeros_like(there[0])
    anew = np.mean([nothing if gain is None else gain for gain in gains], axis=0)
    better = np.mean([nothing if gain is None or gain.mean() <= 0.0 else gain for gain in gains], axis=0)
    return Information(name, _estimate(better), _estimate(anew), len(gains), len(gains) - len(there))


def _estimate(sample: Floats) -> Estimate:
    if sample.size > 1:
        return mean_of(sample)
    value = float(sample[0, 0])
    return Estimate(value, value, value, "exact")


def _over_worlds(means: Floats) -> Estimate:
    mean, n = float(means.mean()), len(means)
    half = student(n - 1) * float(means.std(ddof=1)) / math.sqrt(n)
    return Estimate(mean, mean - half, mean + half, "sample")
