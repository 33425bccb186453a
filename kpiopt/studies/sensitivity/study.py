"""A sensitivity study: what is asked of a scenario, and everything that was found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from kpiopt.program.solver.answer import SolverOptions
from kpiopt.scenario.scenario import Scenario, SimulationSettings
from kpiopt.studies.common_draws import CommonDraws
from kpiopt.studies.replanning import Planned, Replanner
from kpiopt.studies.sensitivity.break_even import BreakEven, find_break_even, require_range
from kpiopt.studies.sensitivity.information import Information, learnable, value_everything, value_information
from kpiopt.studies.sensitivity.leading import capacity_moves, leading_moves
from kpiopt.studies.sensitivity.moves import KINDS, Inputs, LeftOut, Move, Reader, moves_of, unmoved
from kpiopt.studies.sensitivity.near_optimal import Alternatives, find_alternatives
from kpiopt.studies.sensitivity.outcome import Measured, Outcome, measure, parse_outcome, usual_outcome
from kpiopt.studies.sensitivity.screening import ElementaryEffects, screen_response
from kpiopt.studies.sensitivity.sobol_indices import VarianceShare, share_variance
from kpiopt.studies.sensitivity.source_groups import SourceGroup, build_groups, build_response
from kpiopt.studies.sensitivity.tornado import Tornado, make_tornado
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
) -> Sensitivity:
    """Study what a scenario hinges on.

    Parameters
    ----------
    scenario : Scenario
    question : SensitivityQuestion
    read : callable, optional
        Reads the scenario again with further overrides; without it only quantities, budgets and goals can be changed.
    options : SolverOptions, optional
    allow_code : bool
        Whether the scenario's rules file may be run.

    Raises
    ------
    UsageError
        Where the question names what does not exist.
    Infeasible, Unbounded, Uncertified, LimitReached
        Where the scenario itself has no plan.
    """
    outcome = parse_outcome(scenario, question.output or usual_outcome(scenario))
    settings = _settings(scenario, question)
    inputs = Inputs(scenario, read)
    moves = moves_of(inputs, question.changes, question.kinds, question.only)
    for path in question.break_even:
        require_range(inputs, path, question.ends)
    progress("the plan")
    replanner = Replanner(scenario, options, allow_code=allow_code, progress=progress)
    draws = CommonDraws(settings)
    base = replanner.base
    found = Sensitivity(base, outcome, measure(outcome, base.graph, base, draws), settings)
    moves, left_out = _chosen(inputs, moves, base, outcome, question)
    if "tornado" in question.methods:
        tornado = make_tornado(replanner, inputs, outcome, moves, draws, _counting(progress))
        found = replace(found, tornado=tornado, left_out=left_out)
    found = _with_groups(found, question)
    crossings = tuple(find_break_even(replanner, inputs, p, question.ends, progress) for p in question.break_even)
    if question.slack is not None:
        found = replace(found, alternatives=find_alternatives(base, question.slack, _counting(progress)))
    if question.information:
        names = learnable(scenario, [move.path for move in moves if move.kind == "uncertain"])
        each = value_information(replanner, outcome, names, draws, progress)
        found = replace(found, information=(*each, value_everything(replanner, outcome, draws, each, progress)))
    return replace(found, break_evens=crossings)


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
    return replace(
        usual,
        draws=min(DRAWS, usual.draws) if question.draws is None else question.draws,
        seed=usual.seed if question.seed is None else question.seed,
        precision=None,
    )


def _with_groups(found: Sensitivity, question: SensitivityQuestion) -> Sensitivity:
    """Screen groups of uncertain quantities, and share the variance out among them."""
    graph, plan, outcome = found.planned.graph, found.planned.plan, found.outcome
    for method in ("morris", "sobol"):
        if method not in question.methods:
            continue
        response = build_response(outcome, graph, plan, smooth=method == "morris")
        groups = build_groups(found.scenario, response.propagation.inputs, question.groups)
        if method == "morris":
            found = replace(found, screening=screen_response(response, groups, found.settings.seed))
        else:
            shares, variance = share_variance(response, groups, found.settings)
            found = replace(found, shares=shares, variance=variance)
    return found
