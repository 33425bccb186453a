"""The solver session: a program that is solved to a good answer, changed, and solved again.

Numbers pass the gate and the program is scaled by exact powers of two; an answer that is not accurate enough is refined
or found again in another way; what comes back is unscaled, in the original data.
"""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import scipy.sparse as sp

from kpiopt.errors import NumericsError
from kpiopt.program.solver.answer import Answer, At, Basis, Ranging, SolverOptions, Status
from kpiopt.program.solver.gate import check_numbers, find_scaling
from kpiopt.program.solver.highs import Positions, Rung, Solver
from kpiopt.program.solver.refinement import (
    ABOVE_ROUNDING,
    SMALLEST_VIOLATION,
    Error,
    estimate_error,
    pose_refinement,
    stands_off,
)
from kpiopt.program.trust.arrays import Floats, ProgramArrays, column_sums, dot, fix_columns
from kpiopt.program.trust.certificate import verify_infeasible
from kpiopt.program.trust.tolerances import GAP_REFINED, LAST_DIGITS, PROOF_ROUNDING, ROWS_REFINED, SOLVED

if TYPE_CHECKING:
    from kpiopt.program.solver.rational import Exact

__all__ = ["Answer", "Basis", "Ranging", "Session", "SolverOptions", "Status"]

WELL, PRECISE = (ROWS_REFINED, GAP_REFINED), (LAST_DIGITS, LAST_DIGITS)
"""Errors (of rows and of the gap) at which an answer is not refined any more."""
REFINEMENTS = 3

_LIMITS = (Status.TIME_LIMIT, Status.INTERRUPTED)
_WITHOUT_PRESOLVE = Rung("without presolve", (("presolve", "off"),))
LADDER = (
    Rung("as asked"),
    _WITHOUT_PRESOLVE,
    Rung("columns scaled by their coefficients", (("presolve", "off"),), box_share=0.0),
    Rung("columns scaled by their boxes", (("presolve", "off"),), box_share=1.0),
    Rung("without the solver's own scaling", (("presolve", "off"), ("simplex_scale_strategy", 0))),
    Rung("interior point", (("solver", "ipx"), ("run_crossover", "on"))),
)


class _Point(NamedTuple):
    """A point with its duals in the original data, the basis it comes from, and its estimated error."""

    x: Floats
    y: Floats
    basis: Basis
    error: Error


class Session:
    """A program that is solved, changed and solved again.

    Parameters
    ----------
    arrays : ProgramArrays
        Original data.
    stop : threading.Event or None
        Shared with the session that this one is a part of.

    Raises
    ------
    NumericsError
        Where a number cannot be trusted to the solver.
    """

    def __init__(
        self,
        arrays: ProgramArrays,
        options: SolverOptions | None = None,
        *,
        stop: threading.Event | None = None,
    ) -> None:
        self._options = options or SolverOptions()
        self._stop = stop or threading.Event()
        self._is_part = stop is not None
        self._load(arrays)

    def _load(self, arrays: ProgramArrays) -> None:
        check_numbers(arrays)
        if not arrays.matrix.has_canonical_format:
            arrays = replace(arrays, matrix=_canonical(arrays.matrix))
        self._arrays = arrays
        self._fixed: Session | Exact | None = None
        self._solver = Solver(self._options, self._stop)
        self._scale(Rung.box_share)

    def _scale(self, box_share: float) -> None:
        """Scale the program anew and hand it to the solver."""
        self._box_share = box_share
        self._scaling = find_scaling(self._arrays, box_share)
        self._solver.load(self._scaling.apply(self._arrays))

    @property
    def arrays(self) -> ProgramArrays:
        """The program in its present form, original data."""
        return self._arrays

    def cancel(self) -> None:
        """Ask a running solve, from any thread, to stop; it answers INTERRUPTED."""
        self._stop.set()

    def solve(self) -> Answer:
        """Solve, refine, and climb the retry ladder until the answer is good.

        Returns
        -------
        Answer
            UNKNOWN where no rung gave an answer within 1e-9.

        Raises
        ------
        KeyboardInterrupt
            On Ctrl-C, after the solver has stopped.
        NumericsError
            Where the solver refuses data.
        """
        started = time.monotonic()
        if not self._is_part:
            self._stop.clear()
        if not self._arrays.n_columns:
            return self._answer_without_columns()
        self._fixed = None
        answer = self._in_fractions() if self._options.exact else Answer(Status.UNKNOWN)
        for rung in LADDER:
            if answer.status is not Status.UNKNOWN:
                break
            answer = replace(self._try(rung), attempt=rung.name)
        if answer.status is Status.UNKNOWN:
            answer = self._in_fractions()
        if answer.status is Status.UNKNOWN:
            answer = self._with_narrow_boxes_shut()
        return replace(answer, seconds=time.monotonic() - started)

    def _with_narrow_boxes_shut(self) -> Answer:
        """Solve with columns that move by less than the solver's tolerance where they are; judge by the true boxes."""
        a = self._arrays
        span = a.column_upper - a.column_lower
        narrow = (span > 0.0) & np.isfinite(span) & (span <= SOLVED * np.maximum(1.0, np.abs(a.column_lower)))
        if not np.any(narrow) or np.any(a.integer):
            return Answer(Status.UNKNOWN)
        part = self._part(fix_columns(a, narrow, np.where(a.cost < 0.0, a.column_upper, a.column_lower)[narrow]))
        answer = part.solve()
        if answer.status is not Status.OPTIMAL or not estimate_error(a, answer.x, answer.row_dual).within(
            SOLVED, SOLVED
        ):
            return Answer(Status.UNKNOWN)
        self._fixed = part
        return replace(answer, attempt="narrow boxes shut")

    def _in_fractions(self) -> Answer:
        """Solve a small program without rounding; judge what it comes to in 53 bits."""
        from kpiopt.program.solver.rational import Exact, solve_in_fractions  # the last resort

        found = solve_in_fractions(self._arrays, self._options.deadline)
        if found is None:
            return Answer(Status.TIME_LIMIT if self._options.deadline.is_over else Status.UNKNOWN)
        if not isinstance(found, Exact):
            proves = verify_infeasible(self._arrays, found, margin=PROOF_ROUNDING).passed
            return self._clash(found) if proves else Answer(Status.UNKNOWN)
        point = self._tidied(found.x, found.row_dual, found.basis)
        if not point.error.within(SOLVED, SOLVED):
            return Answer(Status.UNKNOWN)
        self._fixed = found
        self._solver.set_basis(found.basis)
        return replace(self._answer(point), attempt="in fractions")

    def _answer_without_columns(self) -> Answer:
        """Settle a program that has nothing to decide: its rows hold 0 or they do not."""
        low, high = self._arrays.row_lower > 0.0, self._arrays.row_upper < 0.0
        ray = low.astype(float) - high.astype(float)
        if np.any(ray):
            return Answer(Status.INFEASIBLE, ray=ray, attempt="nothing to decide")
        offset = self._arrays.offset
        return Answer(
            Status.OPTIMAL,
            row_dual=np.zeros(self._arrays.n_rows),
            objective=offset,
            attempt="nothing to decide",
        )

    def _seconds_left(self) -> float:
        return self._options.deadline.left

    def _part(self, arrays: ProgramArrays) -> Session:
        """Open a session that ends with this one."""
        return Session(arrays, self._options, stop=self._stop)

    def _try(self, rung: Rung) -> Answer:
        if self._options.deadline.is_over:
            return Answer(Status.TIME_LIMIT)
        if rung.box_share != self._box_share:
            try:
                self._scale(rung.box_share)
            except NumericsError:
                return Answer(Status.UNKNOWN)
        status = self._solver.run(rung, self._seconds_left())
        whole = bool(np.any(self._arrays.integer))
        if status is Status.OPTIMAL and whole:
            return self._whole_optimum()
        if status is Status.OPTIMAL or (status is Status.UNKNOWN and not whole and self._solver.has_values()):
            return self._optimum()
        if status is Status.INFEASIBLE:
            return self._infeasible()
        if status is Status.UNBOUNDED:
            return self._unbounded()
        if status in _LIMITS:
            return self._stopped(status)
        return Answer(Status.UNKNOWN)

    def _optimum(self) -> Answer:
        """Read, unscale, tidy and judge an optimum; refine it where that is needed."""
        first = best = found = self._read()
        for _ in range(REFINEMENTS):
            if self._is_settled(best):
                break
            refined, ray = self._refine(found)
            if ray is not None:
                return self._clash(ray)
            if refined is None:
                break
            found = refined
            best = min(best, found, key=self._misses)
        if best is not first:
            self._solver.set_basis(best.basis)
        return self._answer(best) if best.error.within(SOLVED, SOLVED) else Answer(Status.UNKNOWN)

    def _is_settled(self, point: _Point) -> bool:
        """Whether a point is not refined any more."""
        if not self._options.precise:
            return point.error.within(*WELL)
        return point.error.within(*PRECISE) and not stands_off(self._arrays, point.x, point.y)

    def _misses(self, point: _Point) -> tuple[bool, bool, float]:
        """Say what makes a point worse than another, the weightiest first."""
        off = self._options.precise and stands_off(self._arrays, point.x, point.y)
        return not point.error.within(SOLVED, SOLVED), off, point.error.larger

    def _read(self) -> _Point:
        x, y = self._solver.solution()
        scale = self._scaling
        return self._tidied(scale.column * x, scale.row * y / scale.objective, self._solver.basis())

    def _tidied(self, x: Floats, y: Floats, basis: Basis) -> _Point:
        """Put nonbasic columns exactly at their bounds; basic rows and open sides get exactly no dual."""
        a = self._arrays
        x = np.where(basis.columns == At.LOWER, a.column_lower, np.where(basis.columns == At.UPPER, a.column_upper, x))
        x = np.clip(x, a.column_lower, a.column_upper)
        on_open_side = (y > 0.0) & np.isneginf(a.row_lower) | (y < 0.0) & np.isposinf(a.row_upper)
        y = np.where((basis.rows == At.BASIC) | on_open_side, 0.0, y)
        return _Point(x, y, basis, estimate_error(a, x, y))

    def _refine(self, point: _Point) -> tuple[_Point | None, Floats | None]:
        """Solve the magnified program of a point's error; return the corrected point, or a proof of a clash."""
        scale = self._scaling
        x, y = point.x / scale.column, point.y / scale.row * scale.objective
        for smallest in (SMALLEST_VIOLATION, ABOVE_ROUNDING):
            posed = pose_refinement(scale.apply(self._arrays), x, y, smallest)
            solver = Solver(self._options, self._stop)
            solver.load(posed.program)
            solver.set_basis(posed.start(point.basis))
            status = solver.run(_WITHOUT_PRESOLVE, self._seconds_left())
            ray = self._proof(solver) if status is Status.INFEASIBLE else None
            if status is not Status.INFEASIBLE or ray is not None:
                break
        if status not in (Status.OPTIMAL, Status.UNKNOWN) or not solver.has_values():
            return None, ray
        x, y = posed.corrected(*solver.solution())
        basis = posed.corrected_basis(solver.basis())
        return self._tidied(scale.column * x, scale.row * y / scale.objective, basis), None

    def _answer(self, point: _Point) -> Answer:
        a, x, y = self._arrays, point.x, point.y
        reduced = a.cost - column_sums(a.matrix, y)
        reduced[point.basis.columns == At.BASIC] = 0.0
        objective = dot(a.cost, x) + a.offset
        return Answer(Status.OPTIMAL, x, y, reduced, objective, iterations=self._solver.iterations)

    def _whole_optimum(self) -> Answer:
        """Round the whole numbers, solve the program with them fixed, and take values and duals from there."""
        x = self._scaling.column * self._solver.solution()[0]
        whole = self._arrays.integer
        self._fixed = self._part(fix_columns(self._arrays, whole, np.rint(x[whole])))
        answer = self._fixed.solve()
        if answer.status is not Status.OPTIMAL:
            return Answer(answer.status if answer.status in _LIMITS else Status.UNKNOWN)
        return replace(answer, iterations=self._solver.iterations)

    def _infeasible(self) -> Answer:
        """Answer with a verified proof; a whole-number program may owe its proof to its continuous relaxation."""
        if np.any(self._arrays.integer):
            relaxed = replace(self._arrays, integer=np.zeros(self._arrays.n_columns, dtype=bool))
            answer = self._part(relaxed).solve()
            return answer if answer.ray is not None else Answer(Status.INFEASIBLE)
        ray = self._proof(self._solver)
        return Answer(Status.UNKNOWN) if ray is None else self._clash(ray)

    def _proof(self, solver: Solver) -> Floats | None:
        """Return the solver's proof of infeasibility in the original rows, None where it proves nothing."""
        ray = solver.dual_ray()
        if ray is None:
            return None
        ray = self._scaling.row * ray
        ray = ray / (np.abs(ray).max(initial=0.0) or 1.0)
        return ray if verify_infeasible(self._arrays, ray, margin=PROOF_ROUNDING).passed else None

    def _clash(self, ray: Floats) -> Answer:
        proved = verify_infeasible(self._arrays, ray).passed
        return Answer(Status.INFEASIBLE if proved else Status.BORDERLINE, ray=ray, iterations=self._solver.iterations)

    def _unbounded(self) -> Answer:
        ray = self._solver.primal_ray()
        if ray is None:
            return Answer(Status.UNKNOWN)
        x = self._scaling.column * self._solver.solution()[0]
        return Answer(Status.UNBOUNDED, x=x, ray=self._scaling.column * ray)

    def _stopped(self, status: Status) -> Answer:
        """Answer with the best whole-number point found so far, if any; a stopped simplex method has none."""
        if not (np.any(self._arrays.integer) and self._solver.has_point()):
            return Answer(status)
        x = self._scaling.column * self._solver.solution()[0]
        x = np.where(self._arrays.integer, np.rint(x), x)
        return Answer(status, x=x, objective=dot(self._arrays.cost, x) + self._arrays.offset)

    def ranging(self) -> Ranging:
        """Return the ranges in which duals and optimal point of the last optimum hold.

        For a whole-number program they are those of the program with the whole numbers fixed.

        Raises
        ------
        InternalError
            Before an optimum was found.
        """
        if self._fixed is not None:
            return self._fixed.ranging()
        if not self._arrays.matrix.nnz:
            return self._ranging_without_rows()
        low, high, activity = self._solver.ranges()
        scale = self._scaling
        basic = self._solver.basis().rows == At.BASIC
        activity = activity / scale.row
        upper_only = np.isfinite(self._arrays.row_upper)
        return Ranging(
            np.where(basic, np.where(upper_only, activity, -np.inf), _closed(low / scale.row)),
            np.where(basic, np.where(upper_only, np.inf, activity), _closed(high / scale.row)),
        )

    def _ranging_without_rows(self) -> Ranging:
        """Return the ranges of a program whose columns have nothing to do with each other."""
        a, m = self._arrays, self._arrays.n_rows
        upper_only = np.isfinite(a.row_upper)
        return Ranging(
            np.where(upper_only, np.zeros(m), -np.inf),
            np.where(upper_only, np.inf, np.zeros(m)),
        )

    def basis(self) -> Basis:
        """Return the last basis, for a warm start elsewhere."""
        return self._solver.basis()

    def set_basis(self, basis: Basis) -> None:
        """Start the next solve from a basis of a program of the same shape."""
        self._solver.set_basis(basis)

    def change_costs(self, cost: Floats, offset: float = 0.0) -> None:
        """Replace the objective."""
        self._arrays = self._checked(replace(self._arrays, cost=cost, offset=offset))
        self._solver.change_costs(self._scaling.apply(self._arrays).cost)

    def change_row_bounds(self, rows: Positions, lower: Floats, upper: Floats) -> None:
        """Replace sides of some rows."""
        new_lower, new_upper = self._arrays.row_lower.copy(), self._arrays.row_upper.copy()
        new_lower[rows], new_upper[rows] = lower, upper
        self._arrays = self._checked(replace(self._arrays, row_lower=new_lower, row_upper=new_upper))
        scale = self._scaling.row[rows]
        self._solver.change_row_sides(rows, new_lower[rows] * scale, new_upper[rows] * scale)

    def change_column_bounds(self, columns: Positions, lower: Floats, upper: Floats) -> None:
        """Replace bounds of some columns."""
        new_lower, new_upper = self._arrays.column_lower.copy(), self._arrays.column_upper.copy()
        new_lower[columns], new_upper[columns] = lower, upper
        self._arrays = self._checked(replace(self._arrays, column_lower=new_lower, column_upper=new_upper))
        scale = self._scaling.column[columns]
        self._solver.change_column_bounds(columns, new_lower[columns] / scale, new_upper[columns] / scale)

    def add_row(self, columns: Positions, values: Floats, lower: float, upper: float) -> int:
        """Add a row lower <= sum of values x <= upper and return its position."""
        row = sp.csr_array((values, (np.zeros(len(columns), dtype=np.int64), columns)), (1, self._arrays.n_columns))
        arrays = replace(
            self._arrays,
            matrix=sp.csr_array(sp.vstack([self._arrays.matrix, row])),
            row_lower=np.append(self._arrays.row_lower, lower),
            row_upper=np.append(self._arrays.row_upper, upper),
        )
        basis = self._solver.basis()
        self._reload(arrays, replace(basis, rows=np.append(basis.rows, np.int8(At.BASIC))))
        return arrays.n_rows - 1

    def _reload(self, arrays: ProgramArrays, basis: Basis) -> None:
        self._load(arrays)
        if len(basis.columns):
            self._solver.set_basis(basis)

    def _checked(self, arrays: ProgramArrays) -> ProgramArrays:
        check_numbers(arrays)
        self._fixed = None
        return arrays


def _canonical(matrix: sp.csr_array) -> sp.csr_array:
    """Add up duplicate entries."""
    copy = matrix.copy()
    copy.sum_duplicates()
    return copy


def _closed(sides: Floats) -> Floats:
    """HiGHS writes sides that may move without end as its own infinity."""
    return np.where(sides >= 1e20, np.inf, np.where(sides <= -1e20, -np.inf, sides))
