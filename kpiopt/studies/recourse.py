"""What to fix now, what to decide once the first periods are known, and what waiting is worth.

    fixed       everything is decided now
    two stages  what begins before `from` is decided now, the rest when the draw is known
    known       everything is decided when the draw is known

Each is judged by the mean weighted shortfall of the goals over common draws. Two stages are found by cuts (L-shaped,
one for each draw): with x what is decided now and Q_d(x) the least shortfall that the rest leaves in draw d

    theta_d >= Q_d(x') + g'(x - x')    at each x' that was tried, g the reduced costs of what is fixed there

What is drawn is drawn once for the horizon, so that it is known once the first periods are over; where a factor has an
uncertain value of its own in a later period, that is not so, and the study says that it cannot tell.

Reference: Van Slyke and Wets (1969), L-shaped linear programs. DOI 10.1137/0117061
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kpiopt.errors import Problem, Uncertified
from kpiopt.graph import build_graph
from kpiopt.program.formulation.cascade import Cascade, build_cascade
from kpiopt.program.formulation.columns import DecisionColumns
from kpiopt.program.formulation.objectives import cost_objective
from kpiopt.program.solver.answer import Answer, SolverOptions, Status
from kpiopt.program.solver.session import Session
from kpiopt.program.trust.arrays import Floats, ProgramArrays, dot
from kpiopt.scenario.scenario import Scenario
from kpiopt.simulation.planning.margins import planning_draws

Flags = NDArray[np.bool_]
MOST_TRIES = 80
"""Rounds of cuts, after which it is told by how much what to decide now may be off."""
OPEN_GAP = 1e-7
"""Share of a shortfall by which what is decided now may be from the best."""
THRIFT = 1e-7
"""Weight of cost beside shortfalls: of decisions that lack the same the cheaper ones are told."""
USED = 1e-6
MOST_NUMBERS = 30_000_000
"""Draws times goals times columns that are looked at."""


@dataclass(frozen=True)
class Decision:
    """Something that is decided: the stretch of a KPI at a unit in a period, or an initiative begun there.

    Attributes
    ----------
    name : str
        In words, as "Sales of north in 2027-Q1".
    kind : str
        "stretch" or "initiative".
    id, unit, period : str
        Of the KPI or initiative, of the unit, and the period.
    measure : str
        Unit of the amount; "" for the level of an initiative.
    """

    name: str
    kind: str
    id: str
    unit: str
    period: str
    measure: str


@dataclass(frozen=True)
class Later:
    """What is decided later: its amount over the draws.

    Attributes
    ----------
    used : float
        Share of draws in which it is not 0.
    """

    decision: Decision
    mean: float
    p5: float
    p95: float
    used: float


@dataclass(frozen=True)
class HeldBack:
    """A limit of which something is left for later.

    Attributes
    ----------
    limit, now : float
        The limit, and what is used of it by what is decided now.
    mean, p95 : float
        What is used of it later, on average and in all but the worst twentieth of the draws.
    """

    name: str
    limit: float
    now: float
    mean: float
    p95: float


@dataclass(frozen=True)
class RecourseStudy:
    """What waiting is worth.

    Attributes
    ----------
    start : str
        The first period of which it is decided later.
    fixed, two_stages, known, average : float
        Mean weighted shortfall: all decided now, in two stages, all decided when the draw is known, and where what is
        decided now is what the mean of the draws asks for.
    now : tuple of (Decision, float)
        What is decided now and is not 0: levels of initiatives and stretch of cells.
    later : tuple of Later
        What is not 0 in every draw, the most often used first.
    reason : str
        Why nothing was found; "" where it was.
    fixed_off, two_stages_off : float
        By how much `fixed` and `two_stages` may be above the least there is: 0 where cuts have closed the gap.
    """

    start: str
    draws: int = 0
    fixed: float = float("nan")
    two_stages: float = float("nan")
    known: float = float("nan")
    average: float = float("nan")
    now: tuple[tuple[Decision, float], ...] = ()
    later: tuple[Later, ...] = ()
    held_back: tuple[HeldBack, ...] = ()
    reason: str = ""
    fixed_off: float = 0.0
    two_stages_off: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        if self.reason:
            return {"from": self.start, "reason": self.reason}
        return {
            "from": self.start,
            "draws": self.draws,
            "fixed": self.fixed,
            "two_stages": self.two_stages,
            "fixed_off": self.fixed_off,
            "two_stages_off": self.two_stages_off,
            "known": self.known,
            "value_of_waiting": max(0.0, self.fixed - self.two_stages),
            "value_of_planning_on_draws": max(0.0, self.average - self.two_stages),
            "value_of_knowing": max(0.0, self.two_stages - self.known),
            "now": [vars(decision) | {"amount": amount} for decision, amount in self.now],
            "later": [_flat(entry) for entry in self.later],
            "held_back": [vars(entry) for entry in self.held_back],
        }


def _flat(later: Later) -> dict[str, Any]:
    return vars(later.decision) | {key: value for key, value in vars(later).items() if key != "decision"}


def study_recourse(scenario: Scenario, options: SolverOptions | None = None) -> RecourseStudy | None:
    """Find what to decide now and later; None where the scenario has no `[recourse]`.

    Raises
    ------
    LimitReached
        Where the time is up.
    """
    if scenario.recourse is None or scenario.periods is None:
        return None
    start, draws = scenario.recourse.start, scenario.recourse.draws
    name = scenario.periods.names[start]
    plain = replace(scenario, odds=replace(scenario.odds, draws=draws, p_min=None))
    plain = replace(plain, goals={key: replace(goal, p_min=None) for key, goal in plain.goals.items()})
    cascade = build_cascade(build_graph(plain))
    soft = [goal for goal in plain.goals.values() if not goal.hard]
    if scenario.rules is not None:
        return RecourseStudy(name, reason="the scenario has rules of its own")
    if cascade.program.arrays().integer.any():
        return RecourseStudy(name, reason="some decisions are whole numbers")
    if len({goal.priority for goal in soft}) != 1:
        return RecourseStudy(name, reason="it takes goals of one priority that may fall short")
    later = [f.name for f in plain.factors.values() if f.period >= start and not f.value.is_number]
    if later:
        return RecourseStudy(name, reason=f"{later[0]} is not known yet when {name} begins")
    if len(cascade.graph.bounded):
        return RecourseStudy(name, reason="some KPIs have bounds (min, max)")
    if draws * len(plain.goals) * cascade.program.n_columns > MOST_NUMBERS:
        return RecourseStudy(name, reason="it is too large; write [recourse] draws with fewer")
    try:
        return _study(_Stages(cascade, options or SolverOptions()), name, start)
    except Uncertified as failure:
        return RecourseStudy(name, reason=failure.problems[0].message)


def _study(stages: _Stages, name: str, start: int) -> RecourseStudy:
    columns = stages.cascade.columns
    decided = np.concatenate([columns.stretch.positions, columns.level.positions])
    when = np.concatenate([columns.stretch_period, columns.graph.level_start])
    now = decided[when < start]
    known = stages.known()
    two, at, answers, two_off = stages.solve(now)
    fixed, _, _, fixed_off = stages.solve(decided)
    average = stages.value(now, stages.on_average(now))
    chosen = [(_decision(columns, j), float(at[i])) for i, j in enumerate(now.tolist()) if abs(at[i]) > USED]
    points = np.array(answers)
    later = [_later(_decision(columns, j), points[:, j], stages.share) for j in decided[when >= start].tolist()]
    later = sorted((entry for entry in later if entry.used), key=lambda entry: -entry.used)
    return RecourseStudy(
        name, stages.draws, fixed, two, known, average, tuple(chosen), tuple(later),
        tuple(_held_back(stages.cascade, now, at, answers, stages.share)),
        fixed_off=fixed_off, two_stages_off=two_off,
    )  # fmt: skip


def _decision(columns: DecisionColumns, j: int) -> Decision:
    """Return what a column of the program decides."""
    scenario, graph = columns.scenario, columns.graph
    assert scenario.periods is not None
    names, units = scenario.periods.names, scenario.units
    if columns.level.start <= j < columns.level.start + len(columns.level):
        i = j - columns.level.start
        initiative = list(scenario.initiatives.values())[int(graph.level_initiative[i])]
        unit, period = int(graph.level_unit[i]), names[int(graph.level_start[i])]
        words = f"{initiative.name} at {units.names[unit]} from {period}"
        return Decision(words, "initiative", initiative.id, units.ids[unit], period, "")
    i = j - columns.stretch.start
    kpi = list(scenario.kpis.values())[int(columns.stretch_kpi[i])]
    unit, period = int(columns.stretch_unit[i]), names[int(columns.stretch_period[i])]
    words = f"{kpi.name} of {units.names[unit]} in {period}"
    return Decision(words, "stretch", kpi.id, units.ids[unit], period, kpi.unit)


def _later(decision: Decision, amount: Floats, share: Floats) -> Later:
    low, high = (_point(amount, share, p) for p in (0.05, 0.95))
    return Later(decision, dot(amount, share), low, high, float(share[np.abs(amount) > USED].sum()))


def _held_back(cascade: Cascade, now: Any, at: Floats, answers: list[Floats], share: Floats) -> list[HeldBack]:
    """Return the limits that what is decided later uses anything of."""
    matrix, found = cascade.program.arrays().matrix, []
    x = np.zeros(cascade.program.n_columns)
    x[now] = at
    for limit in cascade.limits:
        row = matrix[[limit.row]].toarray()[0]
        before = dot(row, x) + limit.base
        used = np.array([dot(row, answer) for answer in answers]) + limit.base - before
        if used.max(initial=0.0) > USED:
            point = _point(used, share, 0.95)
            found.append(HeldBack(limit.name, limit.value, before, dot(used, share), point))
    return found


def _point(values: Floats, share: Floats, p: float) -> float:
    order = np.argsort(values, kind="stable")
    place = np.searchsorted(np.cumsum(share[order]), p * (1.0 - 1e-12))
    return float(values[order[min(int(place), len(order) - 1)]])


class _Stages:
    """The program of one draw, for every draw that differs."""

    def __init__(self, cascade: Cascade, options: SolverOptions) -> None:
        self.cascade, self.options = cascade, options
        slopes, constant, self.share, self.draws = _draws(cascade)
        (goals,) = (step.cost for step in cascade.program.objectives if step.name == "goals")
        (spent,) = cost_objective(cascade.columns, cascade.program.n_columns)
        self.base = _without_goal_rows(cascade)
        reach = np.maximum(np.abs(self.base.column_lower), np.abs(self.base.column_upper))
        self.thrift = THRIFT * spent.cost / max(1.0, dot(np.abs(spent.cost), reach))
        self.posed = [
            _of_draw(self.base, cascade, s, c, goals + self.thrift) for s, c in zip(slopes, constant, strict=True)
        ]
        self.goals, self.mean = goals, (np.tensordot(self.share, slopes, 1), self.share @ constant)
        self.sessions = [Session(posed, options) for posed in self.posed]
        self.alone: list[float] = []

    def known(self) -> float:
        """Return the mean shortfall where each draw has decisions of its own."""
        answers = [self._solved(session) for session in self.sessions]
        self.alone = [answer.objective for answer in answers]
        return dot(self.share, np.array([dot(self.goals, answer.x) for answer in answers]))

    def on_average(self, now: Any) -> Floats:
        """Return what is decided now where the mean of the draws is planned for."""
        posed = _of_draw(self.base, self.cascade, *self.mean, self.goals + self.thrift)
        point: Floats = self._solved(Session(posed, self.options)).x[now]
        return point

    def value(self, now: Any, at: Floats) -> float:
        """Return the mean shortfall that decisions leave."""
        self._open()
        return self._fixed(now, at)[0]

    def _open(self) -> None:
        """Give every decision its own range back."""
        for session, posed in zip(self.sessions, self.posed, strict=True):
            session.change_column_bounds(np.arange(posed.n_columns), posed.column_lower, posed.column_upper)

    def _fixed(self, now: Any, at: Floats) -> tuple[float, list[Answer]]:
        """Return the mean shortfall with some decisions fixed, and what is decided in each draw."""
        answers = []
        for session, posed in zip(self.sessions, self.posed, strict=True):
            at_side = np.clip(at, posed.column_lower[now], posed.column_upper[now])
            session.change_column_bounds(now, at_side, at_side)
            answers.append(self._solved(session))
        return dot(self.share, np.array([dot(self.goals, answer.x) for answer in answers])), answers

    def solve(self, now: Any) -> tuple[float, Floats, list[Floats], float]:
        """Return the least mean shortfall, what is decided now, the point of each draw, and what cuts leave open."""
        self._open()
        best: tuple[float, Floats, list[Floats]] = (np.inf, np.empty(0), [])
        least = -np.inf
        master = self._master()
        for _ in range(MOST_TRIES):
            answer = self._solved(Session(master, self.options))
            at = answer.x[now]
            mean, answers = self._fixed(now, at)
            found = dot(self.share, np.array([each.objective for each in answers]))
            told = dot(self.share, answer.x[self.base.n_columns :])
            if mean < best[0]:
                best = mean, at, [each.x for each in answers]
            if found - told <= OPEN_GAP * max(1.0, abs(found)):
                return *best, 0.0
            least = max(least, told)
            master = self._with_cuts(master, now, at, answers)
        return *best, max(0.0, best[0] - least)

    def _solved(self, session: Session) -> Answer:
        """Return the plan of a draw; where the time is up, that is what is told."""
        deadline, what = self.options.deadline, "what waiting is worth was found"
        deadline.require(what)
        answer = session.solve()
        if answer.status is not Status.OPTIMAL:
            deadline.require(what)
            raise Uncertified(Problem("E-uncertified", f"the plan of a draw was not found ({answer.status.value})"))
        return answer

    def _master(self) -> ProgramArrays:
        """Return the program of what is decided now: all limits, and a column for the shortfall of each draw."""
        n, base = len(self.share), self.base
        high = [float(np.sum(np.maximum(p.cost * p.column_lower, p.cost * p.column_upper))) + 1.0 for p in self.posed]
        return replace(
            base,
            cost=np.concatenate([np.zeros(base.n_columns), self.share]),
            matrix=sp.csr_array(sp.hstack([base.matrix, sp.csr_array((base.n_rows, n))])),
            column_lower=np.concatenate([base.column_lower, self.alone]),
            column_upper=np.concatenate([base.column_upper, high]),
            integer=np.zeros(base.n_columns + n, dtype=bool),
        )

    def _with_cuts(self, master: ProgramArrays, now: Any, at: Floats, answers: list[Answer]) -> ProgramArrays:
        n, first = len(answers), self.base.n_columns
        rows = np.zeros((n, master.n_columns))
        side = np.empty(n)
        for d, answer in enumerate(answers):
            slope = answer.reduced_cost[now]
            rows[d, now], rows[d, first + d] = -slope, 1.0
            side[d] = answer.objective - dot(slope, at)
        return replace(
            master,
            matrix=sp.csr_array(sp.vstack([master.matrix, sp.csr_array(rows)])),
            row_lower=np.concatenate([master.row_lower, side]),
            row_upper=np.concatenate([master.row_upper, np.full(n, np.inf)]),
        )


def _draws(cascade: Cascade) -> tuple[Floats, Floats, Floats, int]:
    """Return what differs between draws: slopes (d, goals, columns), constants (d, goals), shares (d,), all draws."""
    columns, draws = cascade.columns, planning_draws(cascade.graph)
    nothing = np.zeros(len(columns.scenario.cells)), np.zeros(len(columns.level))
    constant = draws.margins(*nothing).T
    n, k = constant.shape
    cells, levels = draws.slopes(np.arange(k))
    slopes = np.zeros((n, k, cascade.program.n_columns))
    slopes[:, :, columns.stretch.positions] = cells[:, :, columns.stretch_cell].transpose(1, 0, 2)
    slopes[:, :, columns.level.positions] = levels.transpose(1, 0, 2)
    whole = np.round(np.concatenate([slopes.reshape(n, -1), constant], axis=1), 12)
    _, first, count = np.unique(whole, axis=0, return_index=True, return_counts=True)
    return slopes[first], constant[first], count / n, n


def _without_goal_rows(cascade: Cascade) -> ProgramArrays:
    """Return the program without its rows about plan values of goals that may fall short."""
    columns, arrays = cascade.columns, cascade.program.arrays()
    block = cascade.program.row_block("goal")
    drop = np.zeros(arrays.n_rows, dtype=bool)
    if block is not None:
        drop[block.positions] = [not columns.goals[g].hard for g in columns.on_average.tolist()]
    return replace(
        arrays,
        matrix=sp.csr_array(arrays.matrix[np.flatnonzero(~drop)]),
        row_lower=arrays.row_lower[~drop],
        row_upper=arrays.row_upper[~drop],
    )


def _of_draw(base: ProgramArrays, cascade: Cascade, slopes: Floats, constant: Floats, cost: Floats) -> ProgramArrays:
    """Return the program in which goals are about one draw."""
    columns, soft = cascade.columns, cascade.columns.soft
    rows, side = slopes[soft].copy(), -constant[soft]
    least = np.sum(np.where(rows > 0.0, rows * base.column_lower, rows * base.column_upper), axis=1)
    rows[np.arange(len(soft)), columns.shortfall.positions] = 1.0
    upper = base.column_upper.copy()
    upper[columns.shortfall.positions] = np.maximum(0.0, side - least) + 1.0
    return replace(
        base,
        cost=cost,
        matrix=sp.csr_array(sp.vstack([base.matrix, sp.csr_array(rows)])),
        row_lower=np.concatenate([base.row_lower, side]),
        row_upper=np.concatenate([base.row_upper, np.full(len(soft), np.inf)]),
        column_upper=upper,
    )
