"""Nearly equally good plans: how far each target could go, and how different a plan could be.

Every step of the order may worsen by a stated share of its value (give-up rows). Over what that leaves, the least and
the largest value of each decision are programs of their own. A very different plan is found by pushing all decisions
away from the plan at once (modelling to generate alternatives; Brill, Chang & Hopkins 1982,
doi:10.1287/mnsc.28.3.221): the sum of relative distances is convex, so each decision is pushed the way it went last,
until nothing moves, from several first pushes. No push makes the farthest of them more different; that is no proof that
no plan is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from kpiopt.deadline import NEVER, Deadline
from kpiopt.errors import Problem, Uncertified, UsageError
from kpiopt.plan import Plan, build_plan
from kpiopt.program.formulation.blocks import as_read
from kpiopt.program.formulation.cascade import Cascade
from kpiopt.program.order.ranges import find_ranges
from kpiopt.program.order.steps import append_row, objectives_of
from kpiopt.program.solver.answer import Status
from kpiopt.program.solver.session import Session
from kpiopt.program.trust.arrays import ProgramArrays
from kpiopt.run.over_assign import over_assign
from kpiopt.scenario.curve import refuse_curves
from kpiopt.scenario.scenario import Floats, Integers
from kpiopt.studies.family import Planned

ROUNDING = 1e-9
"""What a step may worsen beyond its slack, of its size: the accuracy of the plan itself."""

PUSHES = 20
STARTS = 10
STEADY = 1e-7
MOST_DECISIONS = 5000
"""Every decision costs two programs."""

AT_A_TIME = 50
"""Decisions whose ranges are found between two signs of life."""

Count = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Range:
    """How far one target, or the level of one initiative, could go.

    Attributes
    ----------
    name : str
        "unit/kpi", or "initiative@unit".
    cell : int
        Row in the cells, -1 for an initiative.
    now, low, high : float
        Unrounded target in the KPI's unit, or level.
    share : float
        Width of the range as a share of the baseline, or of the largest level.
    """

    name: str
    cell: int
    now: float
    low: float
    high: float
    share: float


@dataclass(frozen=True)
class Alternatives:
    """What a small concession leaves open.

    Attributes
    ----------
    slack : float
        Share of its value that every step may give up.
    steps : tuple of (str, float, float)
        Each step, its value, and the value it may worsen to.
    ranges : tuple of Range
        Those first that could move farthest, relative to their size.
    different : Plan
        A plan as different as could be found.
    distance : float
        Mean relative distance of its decisions from the plan's.
    """

    slack: float
    steps: tuple[tuple[str, float, float], ...]
    ranges: tuple[Range, ...]
    different: Plan
    distance: float


def find_alternatives(
    planned: Planned,
    slack: float,
    progress: Count = lambda _what, _done, _total: None,
    deadline: Deadline = NEVER,
) -> Alternatives:
    """Find how far decisions could move when every step may give up a share of its value.

    Parameters
    ----------
    slack : float
        Such as 0.01; a step whose value is 0 has nothing to give up.
    progress : callable, optional
        (what is done, how many decisions are done, how many there are) -> None.

    Raises
    ------
    UsageError
        Where the slack is negative, or the plan has more than 5,000 decisions.
    LimitReached
        Where the time is up before the ranges of all decisions are known.
    """
    if not 0.0 <= slack < np.inf:
        fix = "write a share such as 0.01"
        raise UsageError(
            Problem("E-slack", f"a slack of {slack:g} means nothing", rule="a slack is 0 or more", fix=fix)
        )
    _require_size(planned)
    refuse_curves(planned.scenario.curved, "the search for plans nearly as good")
    room, steps = leave_room(planned, slack)
    decisions = _decisions(planned)
    found = _find(planned, room, decisions, progress, deadline)
    ranges = tuple(sorted(found, key=lambda r: (-r.share, r.name)))
    progress("a plan as different as could be found", len(ranges), len(ranges))
    deadline.require("a plan as different as could be was found")
    far, distance = _push_away(room, decisions, planned.solution.x)
    columns = planned.cascade.columns
    plan, _ = over_assign(build_plan(planned.graph, columns.stretch_of_cells(far), columns.level.of(far)))
    return Alternatives(slack, steps, ranges, plan, distance)


def _require_size(planned: Planned) -> None:
    count = len(planned.cascade.columns.stretch) + planned.graph.n_levels
    if count > MOST_DECISIONS:
        rule = f"alternatives are found for plans of at most {MOST_DECISIONS:,} decisions"
        fix = "ask for the scenario of one division"
        raise UsageError(Problem("E-alternatives-size", f"the plan has {count:,} decisions", rule, fix))


def leave_room(planned: Planned, slack: float) -> tuple[ProgramArrays, tuple[tuple[str, float, float], ...]]:
    """Return the program with one row for each objective, cost'x <= value + slack |value|, and the steps' limits."""
    program = planned.cascade.program
    arrays = program.arrays()
    steps = []
    for objective, step in zip(objectives_of(program), planned.solution.steps, strict=False):
        share = max(slack, objective.slack)
        limit = step.value + share * abs(step.value)
        size = float(np.abs(objective.cost * planned.solution.x).sum())
        arrays = append_row(arrays, objective.cost, limit - objective.offset + ROUNDING * max(1e-3, size))
        steps.append((step.label, step.reached, as_read(step.name, limit)))
    return arrays, tuple(steps)


@dataclass(frozen=True)
class _Decisions:
    """Stretches, then levels: their columns, their sizes, and what is shown of each as a function of all columns."""

    columns: Integers
    scale: Floats
    shown: sp.csr_array
    base: Floats


def _decisions(planned: Planned) -> _Decisions:
    columns, graph, n = planned.cascade.columns, planned.graph, planned.cascade.program.n_columns
    each = np.arange(len(columns.level))
    shown = graph.cell_node[columns.stretch_cell]
    levels = sp.csr_array((np.ones(len(each)), (each, columns.level.positions)), shape=(len(each), n))
    targets = [sp.csr_array(target_coefficients(planned.cascade, node)[None, :]) for node in shown]
    nothing = graph.asked_change(np.zeros(len(planned.scenario.cells)), np.zeros(graph.n_levels))
    start = (graph.baseline + nothing)[shown]
    largest = np.where(columns.level.upper > 0.0, columns.level.upper, 1.0)
    return _Decisions(
        np.concatenate([columns.stretch.positions, columns.level.positions]),
        np.concatenate([np.where(columns.scale > 0.0, columns.scale, 1.0), largest]),
        sp.csr_array(sp.vstack([*targets, levels])),
        np.concatenate([start, np.zeros(len(each))]),
    )


def _ends(room: ProgramArrays, decisions: _Decisions, progress: Count, deadline: Deadline) -> tuple[Floats, Floats]:
    """Return the least and the largest value of every decision, some of them at a time."""
    count, parts = decisions.shown.shape[0], []
    for start in range(0, count, AT_A_TIME):
        progress("nearly as good plans", start, count)
        deadline.require("the ranges of all decisions were known")
        parts.append(find_ranges(room, decisions.shown[start : start + AT_A_TIME]))
    low, high = (np.concatenate([np.empty(0), *(part[end] for part in parts)]) for end in (0, 1))
    return low, high


def _find(
    planned: Planned, room: ProgramArrays, decisions: _Decisions, progress: Count, deadline: Deadline
) -> Iterator[Range]:
    """Yield the range of every decision."""
    columns = planned.cascade.columns
    low, high = _ends(room, decisions, progress, deadline)
    now = decisions.shown @ planned.solution.x
    low, high = np.minimum(low, now), np.maximum(high, now)
    cells = [*columns.stretch_cell.tolist(), *([-1] * len(columns.level))]
    names = [columns.stretch.label(i) for i in range(len(columns.stretch))]
    names += [columns.level.label(i) for i in range(len(columns.level))]
    share = (high - low) / decisions.scale
    now, low, high = now + decisions.base, low + decisions.base, high + decisions.base
    for i, (name, cell) in enumerate(zip(names, cells, strict=True)):
        yield Range(name, cell, float(now[i]), float(low[i]), float(high[i]), float(share[i]))


def _push_away(room: ProgramArrays, decisions: _Decisions, x: Floats) -> tuple[Floats, float]:
    """Return the plan farthest from x that any of some first pushes leads to, and its mean relative distance."""
    if not len(decisions.columns):
        return x, 0.0
    here = x[decisions.columns]
    middle = (room.column_lower[decisions.columns] + room.column_upper[decisions.columns]) / 2.0
    inwards = np.where(here <= middle, 1.0, -1.0)
    rng = np.random.default_rng(0)
    others = rng.choice([-1.0, 1.0], size=(STARTS - 2, len(here)))
    session = Session(replace(room, cost=np.zeros(room.n_columns), offset=0.0))
    found = [_follow(session, decisions, x, direction) for direction in (inwards, -inwards, *others)]
    return max(found, key=lambda pair: pair[1])


def _follow(session: Session, decisions: _Decisions, x: Floats, direction: Floats) -> tuple[Floats, float]:
    """Push all decisions in a direction, then each the way it went, until the distance from x grows no more."""
    columns, scale = decisions.columns, decisions.scale
    here, best, distance = x[columns], x, 0.0
    for _ in range(PUSHES):
        cost = np.zeros(len(x))
        cost[columns] = -direction / scale
        session.change_costs(cost)
        answer = session.solve()
        if answer.status is not Status.OPTIMAL:
            raise Uncertified(Problem("E-alternatives", f"no different plan was found ({answer.status.value})"))
        moved = answer.x[columns] - here
        reached = float(np.mean(np.abs(moved) / scale))
        if reached <= distance * (1.0 + STEADY):
            break
        best, distance = answer.x, reached
        direction = np.where(moved > 0.0, 1.0, np.where(moved < 0.0, -1.0, direction))
    return best, distance


def target_coefficients(cascade: Cascade, node: int) -> Floats:
    """Return the change of a node's target per unit of each column, (n_columns,) float.

    Stretch counts in full where it is rolled up, and times its mean execution where it is a cause on the way.
    """
    graph, columns = cascade.graph, cascade.columns
    rolled = graph.sweep_back(np.eye(1, graph.n_nodes, node)[0], graph.roll_up_matrix)
    caused = graph.sweep_back(graph.cause_matrix.T @ rolled)
    coefficients = np.zeros(cascade.program.n_columns)
    at = columns.stretch_node
    coefficients[columns.stretch.positions] = columns.per_stretch * (rolled[at] + columns.execution * caused[at])
    coefficients[columns.level.positions] = caused[graph.level_node]
    return coefficients
