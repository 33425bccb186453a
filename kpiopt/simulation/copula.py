"""Dependence between named quantities: a Gaussian copula on their normal scores.

Scores of the correlated quantities are L g with g the independent scores of their own streams and L the Cholesky
factor of the correlation matrix in the order of their names. Quantities outside `[correlation]` are not touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kpiopt.errors import Location, NumericsError, Problem
from kpiopt.scenario.scenario import Floats, Integers

SMALLEST_EIGENVALUE = 1e-10


@dataclass(frozen=True, slots=True)
class Copula:
    """The correlated group.

    Attributes
    ----------
    rows : (n,) int
        Positions of the correlated scores, in the order of their names.
    factor : (n, n) float
        Lower triangular Cholesky factor.
    """

    rows: Integers
    factor: Floats

    def correlate(self, scores: Floats) -> None:
        """Replace independent scores (n_all, n_draws) of the group by correlated ones, in place."""
        own = scores[self.rows]
        for i, row in enumerate(self.rows.tolist()):
            mixed = self.factor[i, i] * own[i]
            for j in np.flatnonzero(self.factor[i, :i]).tolist():
                mixed += self.factor[i, j] * own[j]
            scores[row] = mixed


def build_copula(
    correlation: Mapping[tuple[str, str], float],
    position: Mapping[str, int],
    places: Mapping[tuple[str, str], Location] | None = None,
) -> Copula:
    """Compile `[correlation]`.

    Parameters
    ----------
    correlation : mapping of (str, str) to float
        By pairs of names; pairs with a name that has no position are left out (a certain quantity has no
        correlation).
    position : mapping of str to int
        Row of each uncertain quantity's score.
    places : mapping of (str, str) to Location, optional
        Where the pairs are written.

    Raises
    ------
    NumericsError
        Where the matrix is not positive definite (`E-correlation-definite`), with its smallest eigenvalue and the pair
        that breaks it.
    """
    pairs = {pair: r for pair, r in correlation.items() if pair[0] in position and pair[1] in position}
    names = sorted({name for pair in pairs for name in pair})
    matrix = correlation_matrix(pairs, names)
    smallest = float(np.linalg.eigvalsh(matrix)[0]) if names else 1.0
    if smallest < SMALLEST_EIGENVALUE:
        raise NumericsError(_not_definite(pairs, names, smallest, places or {}))
    rows = np.array([position[name] for name in names], dtype=np.int64)
    return Copula(rows, cholesky(matrix))


def correlation_matrix(pairs: Mapping[tuple[str, str], float], names: list[str]) -> Floats:
    """Return the (n, n) correlation matrix of `names`; pairs that are not given have correlation 0."""
    at = {name: i for i, name in enumerate(names)}
    matrix = np.eye(len(names))
    for (a, b), r in pairs.items():
        matrix[at[a], at[b]] = matrix[at[b], at[a]] = r
    return matrix


def cholesky(matrix: Floats) -> Floats:
    """Return the lower triangular L with L L' = matrix, row by row.

    A row depends on the rows before it only, and on a pair's entry only through exact zeros where the two are not
    linked, so that independent groups do not disturb each other's last digits.
    """
    n = len(matrix)
    factor = np.zeros((n, n))
    for i in range(n):
        for j in range(i):
            done = sum((factor[i, k] * factor[j, k] for k in range(j)), start=0.0)
            factor[i, j] = (matrix[i, j] - done) / factor[j, j]
        factor[i, i] = np.sqrt(matrix[i, i] - sum((factor[i, k] ** 2 for k in range(i)), start=0.0))
    return factor


def fitting_range(matrix: Floats, i: int, j: int) -> tuple[float, float] | None:
    """Return between which values entry (i, j) alone would make the matrix positive definite; None where none does.

    Given all other entries, the two quantities must not correlate more than perfectly once the others are known.
    """
    pair = np.array([i, j])
    rest = np.delete(np.arange(len(matrix)), pair)
    others = matrix[np.ix_(rest, rest)]
    if len(rest) and np.linalg.eigvalsh(others)[0] < SMALLEST_EIGENVALUE:
        return None
    explained = np.linalg.solve(others, matrix[np.ix_(rest, pair)])
    known = matrix[np.ix_(pair, rest)] @ explained
    room = (1 - known[0, 0]) * (1 - known[1, 1])
    if known[0, 0] >= 1 or known[1, 1] >= 1:
        return None
    return float(known[0, 1] - np.sqrt(room)), float(known[0, 1] + np.sqrt(room))


def _not_definite(
    pairs: Mapping[tuple[str, str], float],
    names: list[str],
    smallest: float,
    places: Mapping[tuple[str, str], Location],
) -> Problem:
    """Name the pair that would have to move least; where no single pair helps, the one that helps most at 0."""
    at = {name: i for i, name in enumerate(names)}
    matrix = correlation_matrix(pairs, names)
    ranges = {pair: fitting_range(matrix, at[pair[0]], at[pair[1]]) for pair in sorted(pairs)}
    moves = {pair: max(r[0] - pairs[pair], pairs[pair] - r[1]) for pair, r in ranges.items() if r}
    if moves:
        worst = min(moves, key=lambda pair: moves[pair])
        low, high = ranges[worst] or (-1.0, 1.0)
        fix = f'give "{worst[0]} ~ {worst[1]}" a value between {low:.3g} and {high:.3g}, or correct the others'
    else:
        without = {p: np.linalg.eigvalsh(correlation_matrix({**pairs, p: 0.0}, names))[0] for p in sorted(pairs)}
        worst = max(without, key=lambda pair: float(without[pair]))
        fix = f'move "{worst[0]} ~ {worst[1]}" and others towards 0'
    return Problem(
        "E-correlation-definite",
        f"the correlations contradict each other: the smallest eigenvalue is {smallest:.4g}; "
        f'what breaks them is "{worst[0]} ~ {worst[1]}" = {pairs[worst]:g}',
        rule="a correlation matrix must be positive definite",
        fix=fix,
        location=places.get(worst),
    )
