"""Small linear programs for the layout, written term by term and solved by the solver that solves plans."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import scipy.sparse as sp

from kpiopt.errors import InternalError
from kpiopt.program.solver.session import Session
from kpiopt.program.trust.arrays import ProgramArrays


class Drafting:
    """Columns at 0 or above, rows `sum of terms >= least`, and what is to be small."""

    def __init__(self) -> None:
        self._cost: list[float] = []
        self._rows: list[Mapping[int, float]] = []
        self._least: list[float] = []

    def column(self, cost: float = 0.0) -> int:
        """Add a column and return its number."""
        self._cost.append(cost)
        return len(self._cost) - 1

    def at_least(self, least: float, terms: Mapping[int, float]) -> None:
        """Ask for `sum of coefficient x column >= least`."""
        self._rows.append(terms)
        self._least.append(least)

    def apart(self, before: int, after: int, distance: float) -> None:
        """Ask for `after - before >= distance`."""
        self.at_least(distance, {after: 1.0, before: -1.0})

    def near(self, first: int, second: int, cost: float) -> None:
        """Let the distance between two columns cost something."""
        distance = self.column(cost)
        self.at_least(0.0, {distance: 1.0, first: 1.0, second: -1.0})
        self.at_least(0.0, {distance: 1.0, first: -1.0, second: 1.0})

    def solve(self) -> list[float]:
        """Return the columns' values.

        Raises
        ------
        InternalError
            Where there is no optimum; a layout always has one.
        """
        n, m = len(self._cost), len(self._rows)
        entries = [(row, column, value) for row, terms in enumerate(self._rows) for column, value in terms.items()]
        row, column, value = zip(*entries, strict=True) if entries else ((), (), ())
        arrays = ProgramArrays(
            cost=np.array(self._cost),
            offset=0.0,
            matrix=sp.csr_array((np.array(value, dtype=float), (row, column)), shape=(m, n)),
            row_lower=np.array(self._least),
            row_upper=np.full(m, np.inf),
            column_lower=np.zeros(n),
            column_upper=np.full(n, np.inf),
            integer=np.zeros(n, dtype=bool),
        )
        answer = Session(arrays).solve()
        if answer.x is None or len(answer.x) != n:
            raise InternalError(f"a layout without an optimum: {answer.status.value}")
        return [float(x) for x in answer.x]
