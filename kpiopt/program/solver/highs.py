"""One HiGHS object with a scaled program in it: the only place that imports highspy.

Everything HiGHS says is checked here: a status that is not Ok, an option it does not take, an ending that settles
nothing. Above this file only arrays and the types of `kpiopt.program.solver.answer` are known.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import highspy
import numpy as np
from numpy.typing import NDArray

from kpiopt.errors import InternalError, NumericsError, Problem
from kpiopt.program.solver.answer import Basis, SolverOptions, Status
from kpiopt.program.trust.arrays import Floats, ProgramArrays

Positions = NDArray[np.int64]

POLL_SECONDS = 0.05

_ENDINGS = {
    highspy.HighsModelStatus.kOptimal: Status.OPTIMAL,
    highspy.HighsModelStatus.kInfeasible: Status.INFEASIBLE,
    highspy.HighsModelStatus.kUnbounded: Status.UNBOUNDED,
    highspy.HighsModelStatus.kTimeLimit: Status.TIME_LIMIT,
    highspy.HighsModelStatus.kInterrupt: Status.INTERRUPTED,
    highspy.HighsModelStatus.kSolutionLimit: Status.INTERRUPTED,
}

_new_highs: Callable[[], Any] = highspy.Highs
_first_start = threading.Lock()
_quiet = False
_threads = 0


@dataclass(frozen=True)
class Rung:
    """One way to solve, tried when those before gave no good answer.

    Attributes
    ----------
    settings : tuple of (option, value)
        HiGHS options that differ from those asked for.
    box_share : float
        How columns are scaled, see `kpiopt.program.solver.gate.find_scaling`.
    """

    name: str
    settings: tuple[tuple[str, Any], ...] = ()
    box_share: float = 0.5


def _start_highs() -> Any:
    """Create a HiGHS object; version 1.16 prints a banner on the first one, before any option can be set."""
    global _quiet
    with _first_start:
        if _quiet:
            highs = _new_highs()
        else:
            highs = _start_behind_closed_output()
            _quiet = True
    if highs.setOptionValue("output_flag", False) != highspy.HighsStatus.kOk:
        raise InternalError("the solver refuses to be quiet")
    return highs


def _start_behind_closed_output() -> Any:
    """Point file descriptor 1 at nothing while the first HiGHS object is created."""
    sys.stdout.flush()
    try:
        kept = os.dup(1)
    except OSError:
        return _new_highs()
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 1)
        highs = _new_highs()
        with suppress(OSError, AttributeError, TypeError):
            ctypes.CDLL(None).fflush(None)
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nothing)
    return highs


def _use_threads(count: int) -> None:
    """HiGHS keeps the first number of threads of a process; another one needs its scheduler started anew."""
    global _threads
    with _first_start:
        if _threads not in (0, count):
            highspy.Highs.resetGlobalScheduler(True)
        _threads = count


class Solver:
    """One HiGHS object with a scaled program in it.

    Parameters
    ----------
    stop : threading.Event
        Once set, from any thread, runs end at their next look-up.
    """

    def __init__(self, options: SolverOptions, stop: threading.Event) -> None:
        self._highs = _start_highs()
        self._options = options
        self._stop = stop
        self._is_current = False
        for event in (self._highs.cbSimplexInterrupt, self._highs.cbIpmInterrupt, self._highs.cbMipInterrupt):
            event.subscribe(self._look_up)

    def load(self, arrays: ProgramArrays) -> None:
        """Hand over a program."""
        self._set("small_matrix_value", 1e-12)
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = arrays.n_columns, arrays.n_rows
        lp.col_cost_, lp.col_lower_, lp.col_upper_ = arrays.cost, arrays.column_lower, arrays.column_upper
        lp.row_lower_, lp.row_upper_ = arrays.row_lower, arrays.row_upper
        lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        lp.a_matrix_.start_, lp.a_matrix_.index_ = arrays.matrix.indptr, arrays.matrix.indices
        lp.a_matrix_.value_ = arrays.matrix.data
        if np.any(arrays.integer):
            kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
            lp.integrality_ = [kinds[whole] for whole in arrays.integer.tolist()]
        _accept(self._highs.passModel(lp))

    def _set(self, option: str, value: Any) -> None:
        if self._highs.setOptionValue(option, value) != highspy.HighsStatus.kOk:
            raise InternalError(f"the solver refuses the option {option} = {value!r}")

    def _configure(self, rung: Rung, seconds: float) -> None:
        options, tolerance = self._options, max(self._options.feasibility_tolerance, 1e-10)
        settings: dict[str, Any] = {
            "solver": "ipx" if options.method == "ipm" else "simplex",
            "presolve": "on" if options.presolve else "off",
            "simplex_scale_strategy": 2,
            "simplex_strategy": 1,
            "threads": options.threads,
            "random_seed": options.random_seed,
            "primal_feasibility_tolerance": tolerance,
            "dual_feasibility_tolerance": tolerance,
            "mip_feasibility_tolerance": tolerance,
            "mip_rel_gap": 0.0,
            "mip_abs_gap": 0.0,
            "mip_max_nodes": options.most_nodes or highspy.kHighsIInf,
            "time_limit": max(0.0, seconds) + self._highs.getRunTime(),
            **dict(rung.settings),
        }
        for option, value in settings.items():
            self._set(option, value)

    def run(self, rung: Rung, seconds: float) -> Status:
        """Solve; UNKNOWN for every ending that settles nothing."""
        self._configure(rung, seconds)
        if threading.current_thread() is threading.main_thread():
            self._run_aside()
        else:
            self._run_here()
        self._is_current = True
        return _ENDINGS.get(self._highs.getModelStatus(), Status.UNKNOWN)

    def _run_here(self) -> None:
        _use_threads(self._options.threads)
        self._highs.run()

    def _run_aside(self) -> None:
        """Run in a thread of its own, so that signals reach us; what they raise goes on once HiGHS has stopped.

        HiGHS looks up in every iteration, but not while it reduces a large program. A thread left behind would crash
        the process on its way out, so this waits; the command line's deadline ends the process where that is too long.
        """
        done = threading.Event()

        def work() -> None:
            try:
                self._run_here()
            finally:
                done.set()

        threading.Thread(target=work, daemon=True).start()
        try:
            while not done.wait(POLL_SECONDS):
                pass
        except BaseException:
            self._stop.set()
            done.wait()
            raise

    def _look_up(self, event: Any) -> None:
        """Stop when asked to."""
        if self._stop.is_set():
            event.interrupt()

    @property
    def iterations(self) -> int:
        """Iterations of the last run."""
        info = self._highs.getInfo()
        return int(max(info.simplex_iteration_count, 0) + max(info.ipm_iteration_count, 0))

    def has_point(self) -> bool:
        """Whether the last run left a feasible point."""
        return bool(self._highs.getInfo().primal_solution_status == highspy.kSolutionStatusFeasible)

    def has_values(self) -> bool:
        """Whether the last run left values, duals and a basis, good or not."""
        found = self._highs.getSolution()
        return bool(found.value_valid and found.dual_valid and self._highs.getBasis().valid)

    def solution(self) -> tuple[Floats, Floats]:
        """Return values and row duals, scaled."""
        found = self._highs.getSolution()
        return np.array(found.col_value, dtype=float), np.array(found.row_dual, dtype=float)

    def dual_ray(self) -> Floats | None:
        """Return the Farkas ray, scaled rows."""
        status, exists, ray = self._highs.getDualRay()
        return np.array(ray, dtype=float) if status == highspy.HighsStatus.kOk and exists else None

    def primal_ray(self) -> Floats | None:
        """Return the direction of unboundedness, scaled columns."""
        status, exists, ray = self._highs.getPrimalRay()
        return np.array(ray, dtype=float) if status == highspy.HighsStatus.kOk and exists else None

    def basis(self) -> Basis:
        """Return the basis; empty where there is none."""
        basis = self._highs.getBasis()
        if not basis.valid:
            return Basis(np.full(self._highs.getNumCol(), -1, np.int8), np.full(self._highs.getNumRow(), -1, np.int8))
        columns = np.fromiter(map(int, basis.col_status), dtype=np.int8, count=len(basis.col_status))
        return Basis(columns, np.fromiter(map(int, basis.row_status), dtype=np.int8, count=len(basis.row_status)))

    def set_basis(self, basis: Basis) -> None:
        """Start the next run from a basis, and from nothing else that an earlier run has left."""
        if np.any(basis.columns < 0):
            return
        _accept(self._highs.clearSolver())
        given = highspy.HighsBasis()
        statuses = [highspy.HighsBasisStatus(k) for k in range(5)]
        given.col_status = [statuses[k] for k in basis.columns.tolist()]
        given.row_status = [statuses[k] for k in basis.rows.tolist()]
        given.valid = True
        _accept(self._highs.setBasis(given))
        self._is_current = False

    def ranges(self) -> tuple[Floats, Floats, Floats]:
        """Return row ranges and row values, scaled."""
        if not self._is_current:
            self.run(Rung("from the basis", (("presolve", "off"),)), self._options.deadline.left)
        status, found = self._highs.getRanging()
        if status != highspy.HighsStatus.kOk:  # an interior-point method has left nothing that could be ranged
            self.run(Rung("from the basis", (("presolve", "off"), ("solver", "simplex"))), self._options.deadline.left)
            status, found = self._highs.getRanging()
        if status != highspy.HighsStatus.kOk:
            raise InternalError("ranges were asked for before an optimum was found")
        return (
            np.array(found.row_bound_dn.value_),
            np.array(found.row_bound_up.value_),
            np.array(self._highs.getSolution().row_value),
        )

    def change_costs(self, cost: Floats) -> None:
        """Replace all costs."""
        columns = np.arange(len(cost), dtype=np.int32)
        _accept(self._highs.changeColsCost(len(cost), columns, cost))

    def change_row_sides(self, rows: Positions, lower: Floats, upper: Floats) -> None:
        """Replace sides of rows."""
        _accept(self._highs.changeRowsBounds(len(rows), rows.astype(np.int32), lower, upper))

    def change_column_bounds(self, columns: Positions, lower: Floats, upper: Floats) -> None:
        """Replace bounds of columns."""
        _accept(self._highs.changeColsBounds(len(columns), columns.astype(np.int32), lower, upper))


def _accept(status: highspy.HighsStatus) -> None:
    """Refuse data that the solver accepted only in part."""
    if status == highspy.HighsStatus.kOk:
        return
    raise NumericsError(
        Problem(
            "E-solver-refused",
            "the solver does not take every number of the program",
            rule="within a row and a column, coefficients differ in size by less than 1e20",
            fix="choose units of measure that bring the figures closer together",
        )
    )
