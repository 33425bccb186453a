"""The reference of whole numbers in straight pieces between them: what a relaxation has to say about a level of 2.5.

A parabola lies below what whole numbers make of it: (2.5)^2 is less than the mean of 2^2 and 3^2. Multipliers of the
pieces lose nothing between whole numbers, so that levels of many people who are alike are bounded without branching.
Nothing here is trusted: any multipliers are right, these are only better ones.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from kpiopt.program.formulation.blocks import Integers, Reference
from kpiopt.program.trust.arrays import Floats, ProgramArrays

MOST = 20
"""Levels of an initiative up to which its parabola is replaced; a piece of so many is nearly the parabola itself."""


def in_pieces(arrays: ProgramArrays, reference: Reference, whole: Integers) -> tuple[ProgramArrays, Reference]:
    """Return a program whose levels are sums of pieces, at the end of its columns and rows, and what stays bent.

    Parameters
    ----------
    arrays : ProgramArrays
        Without costs, with finite boxes.
    reference : Reference
    whole : (k,) int
        The whole-number columns.
    """
    low, high = arrays.column_lower, arrays.column_upper
    bent = [j for j in whole.tolist() if reference.weight[j] > 0.0 and 1.0 <= high[j] - low[j] <= MOST]
    if not bent:
        return arrays, reference
    counts = [round(high[j] - low[j]) for j in bent]
    row = np.repeat(np.arange(len(bent)), counts)
    cost = np.concatenate([_slopes(reference, j, low[j], count) for j, count in zip(bent, counts, strict=True)])
    levels = sp.csr_array((np.ones(len(bent)), (np.arange(len(bent)), bent)), shape=(len(bent), arrays.n_columns))
    pieces = sp.csr_array((np.full(len(row), -1.0), (row, np.arange(len(row)))), shape=(len(bent), len(row)))
    nothing = sp.csr_array((arrays.n_rows, len(row)))
    weight, none = reference.weight.copy(), np.zeros(len(row))
    weight[bent] = 0.0
    posed = replace(
        arrays,
        cost=np.append(arrays.cost, cost),
        matrix=sp.csr_array(sp.hstack([sp.vstack([arrays.matrix, levels]), sp.vstack([nothing, pieces])])),
        row_lower=np.append(arrays.row_lower, low[bent]),
        row_upper=np.append(arrays.row_upper, low[bent]),
        column_lower=np.append(low, none),
        column_upper=np.append(high, none + 1.0),
        integer=np.append(arrays.integer, none > 0.0),
    )
    return posed, Reference(np.append(weight, none), np.append(reference.centre, none), reference.offset)


def _slopes(reference: Reference, j: int, low: float, count: int) -> Floats:
    ends = low + np.arange(count + 1.0) - reference.centre[j]
    return np.asarray(reference.weight[j] * np.diff(ends**2))
