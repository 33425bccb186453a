"""Programs in MPS or LP files, read by the solver's own reader, for tests that need published instances."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import highspy
import numpy as np
import scipy.sparse as sp

from kpiopt.program.trust.arrays import ProgramArrays


class NamedProgram(NamedTuple):
    """A program as a minimisation, with the names of its rows and columns."""

    arrays: ProgramArrays
    row_names: tuple[str, ...]
    column_names: tuple[str, ...]


def read_program(path: Path) -> NamedProgram:
    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    assert highs.readModel(str(path)) == highspy.HighsStatus.kOk
    lp = highs.getLp()
    sign = -1.0 if lp.sense_ == highspy.ObjSense.kMaximize else 1.0
    kind = sp.csc_array if lp.a_matrix_.format_ == highspy.MatrixFormat.kColwise else sp.csr_array
    matrix = lp.a_matrix_
    entries = (np.array(matrix.value_, dtype=float), np.array(matrix.index_), np.array(matrix.start_))
    whole = [k == highspy.HighsVarType.kInteger for k in lp.integrality_] or [False] * lp.num_col_
    arrays = ProgramArrays(
        cost=sign * np.array(lp.col_cost_, dtype=float),
        offset=sign * float(lp.offset_),
        matrix=sp.csr_array(kind(entries, shape=(lp.num_row_, lp.num_col_))),
        row_lower=np.array(lp.row_lower_, dtype=float),
        row_upper=np.array(lp.row_upper_, dtype=float),
        column_lower=np.array(lp.col_lower_, dtype=float),
        column_upper=np.array(lp.col_upper_, dtype=float),
        integer=np.array(whole, dtype=bool),
    )
    return NamedProgram(arrays, tuple(lp.row_names_), tuple(lp.col_names_))
