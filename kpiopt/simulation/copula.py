"""Dependence between named quantities: a Gaussian copula on their normal scores.

Scores of the correlated quantities are L g with g the independent scores of their own streams and L the Cholesky
factor of the correlation matrix in the order of their names. Quantities outside `[correlation]` are not touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kpiopt.errors import NumericsError, Problem
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


def build_copula(correlation: Mapping[tuple[str, str], float], position: Mapping[str, int]) -> Copula:
    """Compile `[correlation]`.

    Parameters
    ----------
    correlation : mapping of (str, str) to float
        By pairs of names; pairs with a name that has no position are left out (a certain quantity has no
        correlation).
    position : mapping of str to int
        Row of each uncertain quantity's score.

    Raises
    ------
    NumericsError
        Where the matrix is not positive definite (`E-correlation`), with its smallest eigenvalue and the pair that
        breaks it.
    """
    pairs = {pair: r for pair, r in correlation.items() if pair[0] in position and pair[1] in position}
    names = sorted({name for pair in pairs for name in pair})
    matrix = correlation_matrix(pairs, names)
    smallest = float(np.linalg.eigvalsh(matrix)[0]) if names else 1.0
    if smallest < SMALLEST_EIGENVALUE:
        raise NumericsError(_not_definite(pairs, names, smallest))
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


def _not_definite(pairs: Mapping[tuple[str, str], float], names: list[str], smallest: float) -> Problem:
    without = {
        pair: float(np.linalg.eigvalsh(correlation_matrix({**pairs, pair: 0.0}, names))[0]) for pair in sorted(pairs)
    }
    a, b = max(without, key=lambda pair: without[pair])
    return Problem(
        "E-correlation",
        f"the correlations contradict each other: the smallest eigenvalue is {smallest:.4g}; "
        f'the pair "{a} ~ {b}" = {pairs[a, b]:g} breaks them most',
        rule="a correlation matrix must be positive definite",
        fix=f'move "{a} ~ {b}" towards 0 (at 0 the smallest eigenvalue is {without[a, b]:.4g})',
    )
