"""What learning the value of one uncertain quantity tells: its own value, and something about those it goes with.

Correlations are of normal scores (a Gaussian copula). Where the score z of one is known, another one that has the
correlation r with it has a score of mean r z and variance 1 - r^2, and two others keep the correlation that is left:

    (r_ab - r_a r_b) / sqrt((1 - r_a^2) (1 - r_b^2))
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from kpiopt.scenario.numbers.quantities import fix_quantities, quantities_of, replace_quantities
from kpiopt.scenario.quantity import Quantity
from kpiopt.scenario.scenario import ORGANIZATION, Floats, Scenario, Uncertainty
from kpiopt.simulation.inputs import ORGANIZATION_PART, correlation_by_name

NEAR_ROWS = 32
"""One row in so many of a file of samples stands for a value between them."""

SAMPLES = 1024
"""Equally likely values that stand for a distribution that is not one of the file's."""


@dataclass(frozen=True)
class Finding:
    """What is learnt about one source of chance.

    Attributes
    ----------
    name : str
        Of a quantity, or "uncertainty.execution" for the part of execution that the organization has in common.
    value : float
        Its value; of the common part, its score.
    scores : (n,) float
        The normal scores that this value may have come from, equally likely.
    """

    name: str
    value: float
    scores: Floats


def learn(scenario: Scenario, finding: Finding) -> Scenario:
    """Return the scenario as somebody sees it who knows one value: what is correlated with it is known better."""
    known = {*quantities_of(scenario), ORGANIZATION_PART}
    pairs = correlation_by_name(scenario, known)
    linked = {b if a == finding.name else a: r for (a, b), r in pairs.items() if finding.name in (a, b) and r}
    common = 1.0 if finding.name == ORGANIZATION_PART else linked.pop(ORGANIZATION_PART, 0.0)
    quantities = quantities_of(scenario)
    better = {
        name: _conditional(quantities[name], r, math.sqrt(max(0.0, 1.0 - r * r)), finding.scores)
        for name, r in linked.items()
        if name in quantities and not quantities[name].is_number
    }
    told = replace_quantities(scenario, {**better, **_rows_like(quantities, finding)})
    told = replace(told, correlation=_left(pairs, finding.name, linked | {ORGANIZATION_PART: common}))
    if common:
        told = replace(told, uncertainty=_execution(told.uncertainty, common, finding.scores))
    return told if finding.name == ORGANIZATION_PART else fix_quantities(told, {finding.name: finding.value})


def _rows_like(quantities: Mapping[str, Quantity], finding: Finding) -> dict[str, Quantity]:
    """Return the other columns of a file of samples in the rows where the known one has about its value."""
    known = quantities.get(finding.name)
    if known is None or not known.file:
        return {}
    distance = np.abs(np.array(known.rows) - finding.value)
    nearest = np.sort(distance)[len(distance) // NEAR_ROWS]
    rows = np.flatnonzero(distance <= nearest).tolist()
    others = {n: q for n, q in quantities.items() if q.file == known.file and n != finding.name}
    return {name: Quantity("samples", tuple(sorted(q.rows[row] for row in rows))) for name, q in others.items()}


def _conditional(quantity: Quantity, weight: float, rest: float, scores: Floats) -> Quantity:
    """Return a quantity whose score is weight x (one of the scores) + rest x (a standard normal one)."""
    from scipy.special import ndtri

    each = max(1, SAMPLES // len(scores))
    own = ndtri((np.arange(each) + 0.5) / each)
    values = quantity.at_score(weight * scores[:, None] + rest * own)
    return Quantity("samples", tuple(np.sort(values, axis=None).tolist()))


def _left(
    pairs: Mapping[tuple[str, str], float], name: str, linked: Mapping[str, float]
) -> dict[tuple[str, str], float]:
    """Return the correlations that are left among the others."""

    def left(a: str, b: str, r: float) -> float:
        first, second = linked.get(a, 0.0), linked.get(b, 0.0)
        scale = math.sqrt(max(0.0, (1.0 - first * first) * (1.0 - second * second)))
        return 0.0 if scale < 1e-9 else (r - first * second) / scale

    others = sorted({x for pair in pairs for x in pair} - {name})
    given = {frozenset(pair): r for pair, r in pairs.items()}
    found = {
        (a, b): left(a, b, given.get(frozenset((a, b)), 0.0)) for i, a in enumerate(others) for b in others[i + 1 :]
    }
    return {pair: r for pair, r in found.items() if r}


def _execution(uncertainty: Uncertainty, correlation: float, scores: Floats) -> Uncertainty:
    """Return execution where the score of a source is known that its common part has a correlation with.

    With s the common part's share of the variance of a cell's score, s r^2 of it is known then.
    """
    share = uncertainty.common.get(ORGANIZATION, 0.0)
    known = share * correlation * correlation
    weight, rest = math.sqrt(share) * correlation, math.sqrt(1.0 - known)
    common = {level: s / (1.0 - known) for level, s in uncertainty.common.items()}
    common[ORGANIZATION] = (share - known) / (1.0 - known)
    execution = tuple(q if q.is_number else _conditional(q, weight, rest, scores) for q in uncertainty.execution)
    return replace(uncertainty, execution=execution, common=common)
