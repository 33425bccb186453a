"""A sensitivity study: what is asked of a scenario, and everything that was found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from kpiopt.deadline import NEVER, NotDone
from kpiopt.errors import LimitReached, Problem, UsageError
from kpiopt.program.solver.answer import SolverOptions
from kpiopt.reading.key_path import did_you_mean
from kpiopt.scenario.numbers.inputs import Inputs, Reader
from kpiopt.scenario.scenario import Scenario, SimulationSettings
from kpiopt.studies.common_draws import CommonDraws
from kpiopt.studies.family import PlanFamily, Planned
from kpiopt.studies.sensitivity.break_even import BreakEven, find_break_even, require_range
from kpiopt.studies.sensitivity.information import Information, learnable, value_everything, value_information
from kpiopt.studies.sensitivity.leading import capacity_moves, leading_moves
from kpiopt.studies.sensitivity.moves import KINDS, LeftOut, Move, moves_of, unmoved
from kpiopt.studies.sensitivity.near_optimal import Alternatives, find_alternatives
from kpiopt.studies.sensitivity.outcome import Measured, Outcome, measure, parse_outcome, usual_outcome
from kpiopt.studies.sensitivity.screening import ElementaryEffects, screen_response
from kpiopt.studies.sensitivity.sobol_indices import VarianceShare, share_variance
from kpiopt.studies.sensitivity.source_groups import Response, SourceGroup, build_groups, build_response
from kpiopt.studies.sensitivity.tornado import Tornado, make_tornado
from kpiopt.workers.job import SERIAL, Executor
from kpiopt.workers.time_left import TimeLeft

DRAWS = 4096
"""Draws of a study unless asked for otherwise; paired differences need fewer than odds."""

METHODS = ("tornado", "morris", "sobol")

Progress = Callable[[str], None]


@dataclass(frozen=True)
class SensitivityQuestion:
    """What a study is to find.

    Attributes
    ----------
    output : str or None
        "odds", "odds:GOAL", "shortfall", "shortfall:GOAL", "pay" or "kpi:KPI[@UNIT]"; by default the odds of all
        goals, pay where there are none, else the first KPI.
    methods : tuple of str
        Any of "tornado", "morris", "sobol".
    kinds : tuple of str
        Which inputs the tornado moves: "uncertain", "limit", "goal", "assumption".
    only : tuple of str
        Paths or patterns to which the tornado and the value of information are confined; all where empty.
    changes : mapping of str to (float, float)
        Low and high value by path.
    groups : mapping of str to sequence of str
        Groups of uncertain quantities for screening and indices.
    break_even : tuple of str
        Paths of numbers.
    ends : (float, float) or None
        Range that break-even searches.
    slack : float or None
        Share of every step's value that alternatives may give up; None for no alternatives.
    information : bool
        Whether the value of information is wanted.
    draws, seed : int or None
        The scenario's seed and at most 4,096 of its draws by default.
    """

    output: str | None = None
    methods: tuple[str, ...] = ("tornado",)
    kinds: tuple[str, ...] = KINDS
    only: tuple[str, ...] = ()
    changes: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    break_even: tuple[str, ...] = ()
    ends: tuple[float, float] | None = None
    slack: float | None = None
    information: bool = False
    draws: int | None = None
    seed: int | None = None

    def require_use(self) -> None:
        """Refuse what would be passed over.

        Raises
        ------
        UsageError
            `E-usage`
        """
        tornado, moved = "tornado" in self.methods, "tornado" in self.methods or self.information
        grouped = "morris" in self.methods or "sobol" in self.methods
        _require_use("--change", self.changes, tornado, "--method tornado")
        _require_use("--kind", self.kinds != KINDS, moved, "--method tornado or --information")
        _require_use("--input", self.only, moved, "--method tornado or --information")
        _require_use("--group", self.groups, grouped, "--method morris or --method sobol")
        _require_use("--range", self.ends, bool(self.break_even), "--break-even PATH")


def _require_use(option: str, given: object, is_used: bool, other: str) -> None:
    if given and not is_used:
        rule = f"{option} belongs to {other}"
        raise UsageError(Problem("E-usage", f"{option} would change nothing here", rule, f"add {other}"))


@dataclass(frozen=True)
class Sensitivity:
    """What a study found; None or empty where it was not asked for.

    Attributes
    ----------
    planned : Planned
        The plan that everything is compared with.
    outcome : Outcome
    base : Measured
        The outcome as things stand.
    settings : SimulationSettings
        How it was drawn.
    tornado : Tornado or None
    left_out : tuple of LeftOut
        What the tornado does not move.
    screening : tuple of (SourceGroup, ElementaryEffects)
    shares : tuple of (SourceGroup, VarianceShare)
    variance : float or None
        Variance of the outcome over draws.
    break_evens : tuple of BreakEven
    alternatives : Alternatives or None
    information : tuple of Information
        By quantity; the last one is for all of them at once.
    not_done : tuple of NotDone
        What the time did not reach.
    """

    planned: Planned
    outcome: Outcome
    base: Measured
    settings: SimulationSettings
    tornado: Tornado | None = None
    left_out: tuple[LeftOut, ...] = ()
    screening: tuple[tuple[SourceGroup, ElementaryEffects], ...] = ()
    shares: tuple[tuple[SourceGroup, VarianceShare], ...] = ()
    variance: float | None = None
    break_evens: tuple[BreakEven, ...] = ()
    alternatives: Alternatives | None = None
    information: tuple[Information, ...] = ()
    not_done: tuple[NotDone, ...] = ()

    @property
    def scenario(self) -> Scenario:
        """The scenario that was studied."""
        return self.planned.scenario


def study_sensitivity(
    scenario: Scenario,
    question: SensitivityQuestion,
    read: Reader | None = None,
    options: SolverOptions | None = None,
    *,
    allow_code: bool = False,
    progress: Progress = lambda _: None,
    executor: Executor = SERIAL,
) -> Sensitivity:
    """Study what a scenario hinges on.

    Parameters
    ----------
    read : callable, optional
        Reads the scenario again with further overrides; without it only quantities, budgets and goals can be changed.
    allow_code : bool
        Whether the scenario's rules file may be run.
    executor : Executor
        Where the tornado moves inputs; `read` has to be something that can be sent there.

    Raises
    ------
    UsageError
        Where the question names what does not exist.
    Infeasible, Unbounded, Uncertified, LimitReached
        Where the scenario itself has no plan, or none in the time; what comes later is left out and told.
    """
    question.require_use()
    _require_known("method", question.methods, METHODS)
    _require_known("kind", question.kinds, KINDS)
    outcome = parse_outcome(scenario, question.output or usual_outcome(scenario))
    settings = _settings(scenario, question)
    inputs = Inputs(scenario, read)
    moves = moves_of(inputs, question.changes, question.kinds, question.only)
    for path in question.break_even:
        require_range(inputs, path, question.ends)
    deadline = options.deadline if options else NEVER
    progress("the plan")
    family = PlanFamily(scenario, options, allow_code=allow_code, progress=progress)
    draws = CommonDraws(settings, deadline)
    base = family.base
    found = Sensitivity(base, outcome, measure(outcome, base.graph, base, draws), settings)
    moves, left_out = _chosen(inputs, moves, base, outcome, question)
    study = _Study(family, inputs, question, draws, progress, moves, left_out, executor)
    for text, part in study.parts():
        try:
            deadline.require(text)
            found = part(found)
        except LimitReached:
            if not deadline.is_over:
                raise
            found = replace(found, not_done=(*found.not_done, NotDone(text, f"{text}: not computed in the time")))
    late = found.tornado.not_done if found.tornado else ()
    return replace(found, not_done=(*late, *found.not_done))


@dataclass(frozen=True)
class _Study:
    """What is asked, and all that is needed to answer it."""

    family: PlanFamily
    inputs: Inputs
    question: SensitivityQuestion
    draws: CommonDraws
    progress: Progress
    moves: tuple[Move, ...]
    left_out: tuple[LeftOut, ...]
    executor: Executor

    def parts(self) -> Iterator[tuple[str, Callable[[Sensitivity], Sensitivity]]]:
        """Yield the parts that are asked for, with their names; each adds what it finds."""
        question = self.question
        yield from ((m, getattr(self, f"_{m}")) for m in METHODS if m in question.methods)
        yield from ((f"break-even of {path}", partial(self._break_even, path)) for path in question.break_even)
        if question.slack is not None:
            yield "alternatives", self._alternatives
        if question.information:
            yield "information", self._information

    def _tornado(self, found: Sensitivity) -> Sensitivity:
        count = _counting(self.progress)
        tornado = make_tornado(
            self.family, self.inputs, found.outcome, self.moves, self.draws, count, self.executor
        )  # fmt: skip
        return replace(found, tornado=tornado, left_out=self.left_out)

    def _response(self, found: Sensitivity, *, smooth: bool) -> tuple[Response, tuple[SourceGroup, ...]]:
        planned = found.planned
        response = build_response(found.outcome, planned.graph, planned.plan, smooth=smooth)
        groups = build_groups(found.scenario, response.propagation.inputs, self.question.groups)
        return replace(response, deadline=self.draws.deadline), groups

    def _morris(self, found: Sensitivity) -> Sensitivity:
        """Screen groups of uncertain quantities."""
        response, groups = self._response(found, smooth=True)
        return replace(found, screening=screen_response(response, groups, found.settings.seed))

    def _sobol(self, found: Sensitivity) -> Sensitivity:
        """Share the variance out among groups of uncertain quantities."""
        response, groups = self._response(found, smooth=False)
        shares, variance = share_variance(response, groups, found.settings)
        return replace(found, shares=shares, variance=variance)

    def _break_even(self, path: str, found: Sensitivity) -> Sensitivity:
        crossing = find_break_even(self.family, self.inputs, path, self.question.ends, self.progress)
        return replace(found, break_evens=(*found.break_evens, crossing))

    def _alternatives(self, found: Sensitivity) -> Sensitivity:
        assert self.question.slack is not None
        count, deadline = _counting(self.progress), self.draws.deadline
        return replace(found, alternatives=find_alternatives(found.planned, self.question.slack, count, deadline))

    def _information(self, found: Sensitivity) -> Sensitivity:
        names = learnable(found.scenario, [move.path for move in self.moves if move.kind == "uncertain"])
        each = value_information(self.family, found.outcome, names, self.draws, self.progress)
        everything = value_everything(self.family, found.outcome, self.draws, each, self.progress)
        return replace(found, information=(*each, everything))


def _require_known(what: str, names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            rule = f"a {what} is one of {', '.join(known)}"
            raise UsageError(Problem("E-usage", f"there is no {what} {name!r}", rule, did_you_mean(name, known)))


def _chosen(
    inputs: Inputs, moves: tuple[Move, ...], base: Planned, outcome: Outcome, question: SensitivityQuestion
) -> tuple[tuple[Move, ...], tuple[LeftOut, ...]]:
    """Return the moves of the tornado and what it leaves out; what was named is never left out."""
    if question.only:
        return moves, ()
    named = {inputs.resolve(path) for path in question.changes}
    leading, fewer = leading_moves([m for m in moves if m.path not in named], base, outcome)
    units, other_units = capacity_moves(inputs, base) if "limit" in question.kinds else ((), ())
    given = tuple(m for m in moves if m.path in named)
    own = tuple(m for m in units if m.path not in named)
    return (*leading, *own, *given), (*fewer, *other_units, *unmoved(inputs, question.kinds, question.changes))


def _counting(progress: Progress) -> Callable[[str, int, int], None]:
    """Tell how far the tornado is and how long the rest will take."""
    clock = TimeLeft()
    return lambda path, done, total: progress(f"{clock.tell(done, total)}, {path}")


def _settings(scenario: Scenario, question: SensitivityQuestion) -> SimulationSettings:
    usual = scenario.simulation
    return usual.drawn(min(DRAWS, usual.draws) if question.draws is None else question.draws, question.seed)
