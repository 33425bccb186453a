"""What it is worth to know an uncertain quantity before planning.

Expected value of partial perfect information (Raiffa & Schlaifer 1961): at some values of the quantity the plan is made
anew, as it would be if the value were known, and compared in the same draws with the plan that does not know it. Who
learns a value may also keep the plan, so it is worth nothing where re-planning does no good by the outcome asked for.

The range of a continuous quantity is cut into pieces, each looked at at its mean; those pieces are halved between which
the gain differs most. The interval holds the error of the draws, and all that the gain could do between two values if
it goes from one to the other in any way without turning back.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from kpiopt.scenario.numbers.quantities import fix_quantities, quantities_of
from kpiopt.scenario.quantity import Quantity
from kpiopt.scenario.scenario import ORGANIZATION, Floats, Scenario
from kpiopt.simulation.inputs import ORGANIZATION_PART, build_inputs
from kpiopt.simulation.odds import Estimate, student
from kpiopt.simulation.streams import Layout, Streams
from kpiopt.studies.common_draws import CommonDraws
from kpiopt.studies.family import NoPlan, PlanFamily
from kpiopt.studies.sensitivity.learning import Finding, learn
from kpiopt.studies.sensitivity.outcome import Outcome, mean_of, measure

PIECES = 4
HALVINGS = 4
ENOUGH = 0.01
"""Pieces are halved until what is open is below this share of the worth."""

MOST_VALUES = 12
"""A quantity of no more distinct values is looked at at each of them."""

FINE = 256
WORLDS = 32
EVERYTHING = "everything named"

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Information:
    """What knowing a quantity is worth, in the outcome's unit; positive is better, whatever the outcome's direction.

    Attributes
    ----------
    name : str
        The quantity; "uncertainty.execution" for the part of execution that the organization has in common;
        "everything named" for all of them at once: about the most that learning could bring.
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


def learnable(scenario: Scenario, names: Iterable[str]) -> tuple[str, ...]:
    """Return those of some names that can be learnt before planning.

    Execution is drawn for every cell by itself; of it only the part can be learnt that the organization has in common.
    """
    execution = set(scenario.uncertainty.paths)
    named = tuple(name for name in names if name not in execution)
    shared = scenario.uncertainty.common.get(ORGANIZATION, 0.0) > 0.0
    return (*named, ORGANIZATION_PART) if shared and execution & set(names) else named


def value_information(
    family: PlanFamily,
    outcome: Outcome,
    names: Iterable[str],
    draws: CommonDraws,
    progress: Progress = lambda _: None,
) -> tuple[Information, ...]:
    """Find what knowing each of some uncertain quantities is worth; the most valuable first.

    Parameters
    ----------
    family : PlanFamily
        With the plan of the scenario.
    names : iterable of str
        Names of uncertain quantities, as `learnable` returns them.
    """
    study = _Study(family, outcome, draws)
    quantities, found = quantities_of(family.base.scenario), []
    for name in names:
        progress(name)
        quantity = Quantity("normal", (0.0, 1.0)) if name == ORGANIZATION_PART else quantities[name]
        found.append(study.worth(name, quantity))
    return tuple(sorted(found, key=lambda info: (-info.worth.estimate, info.name)))


def value_everything(
    family: PlanFamily,
    outcome: Outcome,
    draws: CommonDraws,
    each: Iterable[Information] = (),
    progress: Progress = lambda _: None,
) -> Information:
    """Find what knowing all named quantities at once is worth, from 32 worlds; cells' own execution stays uncertain.

    Parameters
    ----------
    each : iterable of Information
        What single ones are worth: who knows everything may act as if knowing one of them, so all are worth as much.
    """
    study = _Study(family, outcome, draws)
    scenario, gains = family.base.scenario, []
    for number, world in enumerate(_worlds(family, draws.settings.seed)):
        progress(f"world {number + 1} of {WORLDS}")
        gains.append(study.gain(_known(scenario, world)))
    means = np.array([0.0 if gain is None else float(gain.mean()) for gain in gains])
    without = sum(gain is None for gain in gains)
    worth = _not_negative(_over_worlds(np.maximum(means, 0.0)))
    for info in each:
        worth = _at_least(worth, info.worth)
    return Information(EVERYTHING, worth, _over_worlds(means), WORLDS, without)


def _at_least(worth: Estimate, other: Estimate) -> Estimate:
    """Return an estimate of what is certainly no less than another estimate's quantity."""
    best = max(worth, other, key=lambda e: e.estimate)
    return Estimate(best.estimate, max(worth.low, other.low), max(worth.high, best.high), best.method)


def _worlds(family: PlanFamily, seed: int) -> Iterator[Mapping[str, float]]:
    """Yield values of all named quantities and the score of the common part of execution, drawn together."""
    base = family.base
    inputs = build_inputs(base.graph, base.plan.stretch)
    streams = Streams(seed, inputs.names, Layout("sobol", 1, WORLDS))
    values, common = inputs.draw_shared(streams.replicate(0).scores(0, WORLDS), WORLDS)
    parts = inputs.names[inputs.n_sources : inputs.n_shared]
    names = (*inputs.quantity_names, *parts)
    for column in np.concatenate([values, common]).T.tolist():
        world = dict(zip(names, column, strict=True))
        yield {name: value for name, value in world.items() if name not in parts or name == ORGANIZATION_PART}


def _known(scenario: Scenario, world: Mapping[str, float]) -> Scenario:
    """Return the scenario in which everything named has its value in a world."""
    named = fix_quantities(scenario, {n: v for n, v in world.items() if n != ORGANIZATION_PART})
    if ORGANIZATION_PART not in world:
        return named
    score = world[ORGANIZATION_PART]
    return learn(replace(named, correlation={}), Finding(ORGANIZATION_PART, score, np.array([score])))


@dataclass(frozen=True)
class _Piece:
    """Part of a distribution: probabilities from `start` to `stop`, what is gained there, by draw."""

    start: float
    stop: float
    gain: Floats | None

    @property
    def weight(self) -> float:
        return self.stop - self.start

    @property
    def worth(self) -> float:
        return 0.0 if self.gain is None else max(0.0, float(self.gain.mean()))


@dataclass(frozen=True)
class _Study:
    family: PlanFamily
    outcome: Outcome
    draws: CommonDraws

    def gain(self, scenario: Scenario) -> Floats | None:
        """Return what the plan made for a scenario gains in it against the present one; None where there is none.

        Returns
        -------
        (n_replicates, size) or (1, 1) float
            By draw, or one exact number; positive is better.
        """
        try:
            cascade = self.family.pose(scenario)
            planned = self.family.plan(cascade)
        except NoPlan:
            return None
        kept = measure(self.outcome, cascade.graph, self.family.base, self.draws)
        made = measure(self.outcome, cascade.graph, planned, self.draws)
        if kept.sample is None or made.sample is None:
            return np.array([[self.outcome.better * (made.value - kept.value)]])
        return np.asarray(self.outcome.better * (made.sample - kept.sample))

    def worth(self, name: str, quantity: Quantity) -> Information:
        """Find what knowing one quantity is worth."""
        values, ends = distinct_values(quantity)
        if len(values):
            borders = zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)
            pieces = [
                self._piece(name, quantity, a, b, value) for value, (a, b) in zip(values.tolist(), borders, strict=True)
            ]
            return _summarise(name, pieces, is_cut=False)
        pieces = [self._piece(name, quantity, k / PIECES, (k + 1) / PIECES) for k in range(PIECES)]
        for _ in range(HALVINGS):
            k = _where_to_cut(pieces)
            if k is None:
                break
            a, b = pieces[k].start, pieces[k].stop
            middle = (a + b) / 2.0
            halves = [self._piece(name, quantity, a, middle), self._piece(name, quantity, middle, b)]
            pieces[k : k + 1] = halves
        return _summarise(name, pieces, is_cut=True)

    def _piece(self, name: str, quantity: Quantity, a: float, b: float, value: float | None = None) -> _Piece:
        """Look at a part of the distribution at its mean, or at the value that it all has."""
        from scipy.special import ndtri

        u = a + (b - a) * (np.arange(FINE) + 0.5) / FINE
        if value is not None:
            scores = ndtri(u[FINE // 32 :: FINE // 16])
        else:
            across = quantity.quantile(u)
            value = float(across.mean())
            scores = ndtri(np.interp([value], across, u))
        return _Piece(a, b, self.gain(learn(self.family.base.scenario, Finding(name, value, scores))))


def distinct_values(quantity: Quantity) -> tuple[Floats, Floats]:
    """Return the values of a quantity that has few, and the n + 1 probabilities between which they stand; else none."""
    if quantity.kind == "discrete":
        values, weights = np.array(quantity.parameters[::2]), np.array(quantity.parameters[1::2])
        values, weights = values[weights > 0.0], weights[weights > 0.0]
    elif quantity.kind == "samples":
        values, counts = np.unique(quantity.parameters, return_counts=True)
        weights = counts.astype(np.float64)
    else:
        return np.empty(0), np.zeros(1)
    if len(values) > MOST_VALUES:
        return np.empty(0), np.zeros(1)
    ends = np.concatenate([[0.0], np.cumsum(weights / weights.sum())])
    ends[-1] = 1.0
    return values, ends


def _gaps(pieces: list[_Piece], gains: list[float]) -> list[float]:
    """What the gain could bring or take between the values of neighbouring pieces."""
    widths = [max(a.weight, b.weight) / 2.0 for a, b in pairwise(pieces)]
    return [abs(y - x) * width for x, y, width in zip(gains, gains[1:], widths, strict=False)]


def _where_to_cut(pieces: list[_Piece]) -> int | None:
    """Return the wider one of the two pieces between which most is open; None where too little is."""
    worths = [p.worth for p in pieces]
    gaps = _gaps(pieces, worths)
    if sum(gaps) <= ENOUGH * sum(p.weight * w for p, w in zip(pieces, worths, strict=True)):
        return None
    k = int(np.argmax(gaps))
    return k if pieces[k].weight > pieces[k + 1].weight else k + 1


def _summarise(name: str, pieces: list[_Piece], *, is_cut: bool) -> Information:
    """Average the gains over the pieces; where a continuous range was cut, intervals hold what is open between them."""
    there = [(p.weight, p.gain) for p in pieces if p.gain is not None]
    count, without = len(pieces), len(pieces) - len(there)
    if not there:
        none = Estimate(0.0, 0.0, 0.0, "exact")
        return Information(name, none, none, count, without)
    anew = np.asarray(sum(w * g for w, g in there))
    better = np.asarray(sum(w * g * (g.mean() > 0.0) for w, g in there))
    means = [0.0 if p.gain is None else float(p.gain.mean()) for p in pieces]
    open_worth = sum(_gaps(pieces, [p.worth for p in pieces])) if is_cut else 0.0
    open_anew = sum(_gaps(pieces, means)) if is_cut else 0.0
    worth = _not_negative(_wider(_estimate(better), open_worth))
    return Information(name, worth, _wider(_estimate(anew), open_anew), count, without)


def _wider(estimate: Estimate, by: float) -> Estimate:
    return replace(estimate, low=estimate.low - by, high=estimate.high + by)


def _not_negative(estimate: Estimate) -> Estimate:
    """Knowing is never worth less than nothing: who knows may keep the plan."""
    return replace(estimate, low=max(0.0, estimate.low))


def _estimate(sample: Floats) -> Estimate:
    if sample.size > 1:
        return mean_of(sample)
    value = float(sample[0, 0])
    return Estimate(value, value, value, "exact")


def _over_worlds(means: Floats) -> Estimate:
    mean, n = float(means.mean()), len(means)
    half = student(n - 1) * float(means.std(ddof=1)) / math.sqrt(n)
    return Estimate(mean, mean - half, mean + half, "sample")
