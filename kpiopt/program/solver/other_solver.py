"""Other solvers: a step of the order solved through Pyomo by any solver that is installed there.

Where the other solver returns duals and its answer passes the certificate, that answer is used. Otherwise it is a
second opinion: our own session proves the step, and the two values must agree.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kpiopt.errors import Problem, Uncertified, UsageError
from kpiopt.program.solver.answer import Answer, Ranging, SolverOptions, Status
from kpiopt.program.solver.gate import find_scaling
from kpiopt.program.solver.session import Session
from kpiopt.program.trust.arrays import Floats, ProgramArrays, dot
from kpiopt.program.trust.certificate import verify_optimal
from kpiopt.program.trust.tolerances import OTHER_SOLVER

NOISE = 1e-10
KNOWN = (
    "appsi_cbc", "appsi_highs", "cbc", "copt", "copt_direct", "cplex", "cplex_direct", "glpk", "gurobi",
    "gurobi_direct", "mosek", "mosek_direct", "scip", "scip_direct", "xpress", "xpress_direct",
)  # fmt: skip
_ENDINGS = {
    "optimal": Status.OPTIMAL,
    "infeasible": Status.INFEASIBLE,
    "infeasibleOrUnbounded": Status.INFEASIBLE,  # columns have finite boxes
    "unbounded": Status.UNBOUNDED,
    "maxTimeLimit": Status.TIME_LIMIT,
    "userInterrupt": Status.INTERRUPTED,
}


def open_session(arrays: ProgramArrays, options: SolverOptions) -> Session:
    """Open a session for a step of the order, with the solver that the options name."""
    return Session(arrays, options) if options.solver == "highs" else OtherSession(arrays, options)


def require_solver(name: str) -> None:
    """Refuse a solver that is not there.

    Raises
    ------
    UsageError
        With the names of those that are.
    """
    if name == "highs" or _is_there(name):
        return
    found = ["highs", *(other for other in KNOWN if _is_there(other))]
    raise UsageError(
        Problem(
            "E-solver",
            f"there is no solver {name!r} here",
            rule="a solver is highs, or any that Pyomo finds on this machine",
            fix=f"choose one of: {', '.join(found)}; or install it where Pyomo finds it",
        )
    )


def _is_there(name: str) -> bool:
    with _quiet_pyomo():
        try:
            return bool(_solver(name).available(exception_flag=False))
        except Exception:  # a broken installation may raise anything
            return False


@contextmanager
def _quiet_pyomo() -> Iterator[None]:
    """Pyomo says at length on stderr what its answer says as well."""
    logger = logging.getLogger("pyomo")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


def _solver(name: str) -> Any:
    """Return Pyomo's interface; a program that a wheel has put beside the interpreter is found without a PATH."""
    import pyomo.environ as pyo  # half a second

    program = Path(sys.executable).parent / name
    if program.is_file():
        return pyo.SolverFactory(name, executable=str(program))
    return pyo.SolverFactory(name)


@dataclass(frozen=True)
class Opinion:
    """What another solver says about a program.

    Attributes
    ----------
    x : (n,) float
        Empty without a point.
    row_dual : (m,) float
        Empty where the solver returns none.
    """

    status: Status
    x: Floats
    row_dual: Floats


def ask_solver(arrays: ProgramArrays, name: str, time_limit: float = float("inf")) -> Opinion:
    """Solve a program through Pyomo; numbers are scaled by the same powers of two as for our own solver."""
    from kpiopt.program.formulation.pyomo_bridge import build_pyomo, program_of_arrays  # half a second

    filled = np.flatnonzero(np.diff(arrays.matrix.indptr))  # some interfaces stumble over rows without terms
    scaling = find_scaling(arrays)
    built = build_pyomo(program_of_arrays(_only_rows(scaling.apply(arrays), filled)))
    settings = {"timelimit": time_limit} if np.isfinite(time_limit) else {}
    with _quiet_pyomo():
        ending = _solve(built.model, name, settings, with_duals=not np.any(arrays.integer))
    status = _ENDINGS.get(ending, Status.UNKNOWN)
    if status is not Status.OPTIMAL:
        return Opinion(status, np.empty(0), np.empty(0))
    x = scaling.column * np.array([_value(v) for v in built.columns])
    duals = [built.model.dual.get(row) for row in built.rows]
    if None in duals:
        return Opinion(status, x, np.empty(0))
    row_dual = np.zeros(arrays.n_rows)
    row_dual[filled] = np.array(duals, dtype=float)
    return Opinion(status, x, scaling.row * row_dual / scaling.objective)


def _only_rows(arrays: ProgramArrays, rows: NDArray[np.int64]) -> ProgramArrays:
    return replace(
        arrays,
        matrix=sp.csr_array(arrays.matrix[rows]),
        row_lower=arrays.row_lower[rows],
        row_upper=arrays.row_upper[rows],
    )


def _solve(model: Any, name: str, settings: dict[str, float], *, with_duals: bool) -> str:
    """Solve a Pyomo model, load the solution, and return how it ended; interfaces without duals are asked again."""
    import pyomo.environ as pyo

    model.dual = pyo.Suffix(direction=pyo.Suffix.IMPORT if with_duals else pyo.Suffix.LOCAL)
    try:
        found = _solver(name).solve(model, load_solutions=False, **settings)
        if found.solver.termination_condition == pyo.TerminationCondition.optimal:
            model.solutions.load_from(found)
        return str(found.solver.termination_condition)
    except NotImplementedError:
        if not with_duals:
            raise
        model.del_component("dual")
        return _solve(model, name, settings, with_duals=False)


def _value(variable: Any) -> float:
    """Return a variable's value; one that is in no row and no cost has none, and may be anywhere in its box."""
    if variable.value is not None:
        return float(variable.value)
    return float(variable.lb if variable.lb is not None else variable.ub or 0.0)


class OtherSession(Session):
    """A session whose answers come from another solver where they can be proved, and are compared with it elsewhere."""

    def solve(self) -> Answer:
        """Ask the other solver, then prove its answer or our own.

        Raises
        ------
        Uncertified
            Where the two disagree, or the other solver gives no answer.
        """
        self._is_theirs, name = False, self._options.solver
        if not self._arrays.n_columns:
            return super().solve()
        opinion = ask_solver(self._arrays, name, self._options.deadline.left)
        if opinion.status in (Status.TIME_LIMIT, Status.INTERRUPTED):
            return Answer(opinion.status, attempt=name)
        proved = self._proved(opinion)
        if proved is not None:
            self._is_theirs = True
            return proved
        ours = super().solve()
        if ours.status is Status.INFEASIBLE and ours.ray is None and len(opinion.x):
            value = dot(self._arrays.cost, opinion.x) + self._arrays.offset
            return Answer(opinion.status, opinion.x, objective=value, attempt=name)  # a choice, for the tree to prove
        _require_agreement(self._arrays, ours, opinion, name)
        return replace(ours, attempt=f"{ours.attempt}, as {name} says")

    def ranging(self) -> Ranging:
        """Return the ranges of our own optimum: other solvers have none that Pyomo hands on."""
        if self._is_theirs:
            super().solve()
        return super().ranging()

    def _proved(self, opinion: Opinion) -> Answer | None:
        """Return the other solver's answer where its values and duals pass the certificate by themselves."""
        arrays = self._arrays
        if not len(opinion.row_dual):
            return None
        x, y = np.clip(opinion.x, arrays.column_lower, arrays.column_upper), opinion.row_dual
        if not verify_optimal(arrays, x, y, tolerance=NOISE).passed:
            return None
        size = np.abs(arrays.cost) + abs(arrays.matrix).T @ np.abs(y)
        reduced = arrays.cost - arrays.matrix.T @ y
        reduced = np.where(np.abs(reduced) <= NOISE * size, 0.0, reduced)
        value = dot(arrays.cost, x) + arrays.offset
        return Answer(Status.OPTIMAL, x, y, reduced, value, attempt=self._options.solver)


def _require_agreement(arrays: ProgramArrays, ours: Answer, theirs: Opinion, name: str) -> None:
    """Refuse two different values, or two different endings."""
    same_ending = ours.status is theirs.status or ours.status is Status.BORDERLINE
    if same_ending and ours.status is not Status.OPTIMAL:
        return
    value = dot(arrays.cost, theirs.x) + arrays.offset if len(theirs.x) else float("nan")
    extent = np.maximum(np.abs(arrays.column_lower), np.abs(arrays.column_upper))
    size = max(abs(ours.objective), min(1.0, dot(np.abs(arrays.cost), extent)))
    if same_ending and abs(value - ours.objective) <= OTHER_SOLVER * size:
        return
    said = f"{value:.12g}" if theirs.status is Status.OPTIMAL else theirs.status.value
    proved = f"{ours.objective:.12g}" if ours.status is Status.OPTIMAL else ours.status.value
    raise Uncertified(
        Problem(
            "E-solvers-disagree",
            f"{name} says {said}, our own solver {proved}",
            rule=f"two solvers agree on a step's value to {OTHER_SOLVER:g} of its size",
            fix="look for numbers of very different size; leave --solver out to see the certified answer",
        )
    )
