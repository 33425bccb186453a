"""Groups of sources of chance: what is screened or shares the variance together.

A source is one stream of the simulation: a named quantity, a part of execution that units have in common, or the
execution of one cell. All of execution is one group unless it is divided; correlated quantities must be in one group,
for shares of variance mean nothing otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np

from kpiopt.deadline import NEVER, Deadline
from kpiopt.errors import Problem, UsageError
from kpiopt.graph import CausalGraph
from kpiopt.plan import Plan
from kpiopt.program.formulation.columns import scale_of_goals
from kpiopt.reading.key_path import name_the_right_ones
from kpiopt.scenario.scenario import Floats, Integers, Scenario
from kpiopt.simulation.hits import goal_rule
from kpiopt.simulation.inputs import ORGANIZATION_PART, RandomInputs, correlation_by_name
from kpiopt.simulation.propagate import Block, Propagation
from kpiopt.simulation.simulate import block_size
from kpiopt.studies.sensitivity.outcome import Outcome, draw_pay, hit_rows, realised_shortfall, require_node

EXECUTION = "execution"
NOISE = "noise"
REST = "everything else"


@dataclass(frozen=True)
class SourceGroup:
    """Sources that move together.

    Attributes
    ----------
    members : tuple of str
        Names of quantities; "execution" for all that has to do with it.
    rows : (n,) int
        Rows of the simulation's inputs.
    """

    name: str
    members: tuple[str, ...]
    rows: Integers


def build_groups(
    scenario: Scenario, inputs: RandomInputs, given: Mapping[str, Sequence[str]] | None = None
) -> tuple[SourceGroup, ...]:
    """Divide the sources of a plan into groups.

    Parameters
    ----------
    given : mapping of str to sequence of str, optional
        Members by group: names of quantities, patterns such as "factor.*", or "execution". What is in no group becomes
        one of its own, "everything else". By default every quantity is a group, with those it is correlated with.

    Raises
    ------
    UsageError
        Where a member does not exist or is in two groups, or correlated quantities are in different groups.
    """
    members = _members(inputs)
    linked = _linked(scenario, members)
    if not given:
        return tuple(_group(", ".join(names), names, members) for names in linked)
    chosen = {name: _match(patterns, members) for name, patterns in given.items()}
    listed = [member for names in chosen.values() for member in names]
    twice = sorted({member for member in listed if listed.count(member) > 1})
    if twice:
        raise UsageError(Problem("E-group-twice", f"{', '.join(twice)}: in more than one group"))
    rest = [member for member in members if member not in listed]
    if rest:
        _require_free_name(chosen)
        chosen[REST] = rest
    _require_together(chosen, linked)
    return tuple(_group(name, names, members) for name, names in chosen.items())


def _require_free_name(chosen: Mapping[str, object]) -> None:
    if REST in chosen:
        rule = f'"{REST}" is what stands in no group'
        raise UsageError(Problem("E-group-name", f"no group can be called {REST}", rule, "give it another name"))


def _members(inputs: RandomInputs) -> dict[str, list[int]]:
    """Rows by what a planner can name."""
    n, n_noise = inputs.n_sources, len(inputs.noise.common_names) if inputs.noise else 0
    members = {name: [row] for row, name in enumerate(inputs.names[:n])}
    first_noise, first_cell = inputs.n_shared - n_noise, inputs.n_shared + len(inputs.cells)
    execution = [*range(n, first_noise), *range(inputs.n_shared, first_cell)]
    noise = [*range(first_noise, inputs.n_shared), *range(first_cell, len(inputs.names))]
    members |= {name: rows for name, rows in ((EXECUTION, execution), (NOISE, noise)) if rows}
    return members


def _group(name: str, names: Sequence[str], members: Mapping[str, list[int]]) -> SourceGroup:
    rows = [row for member in names for row in members[member]]
    return SourceGroup(name, tuple(names), np.array(sorted(rows), dtype=np.int64))


def _match(patterns: Iterable[str], members: Mapping[str, object]) -> list[str]:
    """Return the members that some patterns name, in the order of the simulation."""
    found: set[str] = set()
    for pattern in patterns:
        plain = pattern.removesuffix(".value").removesuffix(".contribution")
        plain = EXECUTION if plain == ORGANIZATION_PART else plain
        matching = {name for name in members if fnmatchcase(name, plain)}
        if not matching:
            rule = "a group lists uncertain quantities by name, by patterns such as factor.*, or execution"
            message = f"{pattern} is no uncertain quantity that matters here"
            raise UsageError(Problem("E-group-member", message, rule, name_the_right_ones(pattern, members)))
        found |= matching
    return [name for name in members if name in found]


def _linked(scenario: Scenario, members: Mapping[str, object]) -> list[list[str]]:
    """Return the members, correlated ones together."""
    known = {*members, ORGANIZATION_PART}
    group = {name: {name} for name in members}
    for (first, second), value in correlation_by_name(scenario, known).items():
        pair = [EXECUTION if name == ORGANIZATION_PART else name for name in (first, second)]
        if value and all(name in group for name in pair):
            joined = group[pair[0]] | group[pair[1]]
            group |= dict.fromkeys(joined, joined)
    unique = {id(names): [m for m in members if m in names] for names in group.values()}
    return list(unique.values())


def _require_together(chosen: Mapping[str, Sequence[str]], linked: Iterable[Sequence[str]]) -> None:
    where = {member: name for name, names in chosen.items() for member in names}
    for names in linked:
        groups = sorted({where[name] for name in names})
        if len(groups) > 1:
            raise UsageError(
                Problem(
                    "E-group-correlated",
                    f"{', '.join(names)} are correlated, but stand in different groups ({', '.join(groups)})",
                    rule="shares of variance need groups that are independent of each other",
                    fix="put them into one group",
                )
            )


@dataclass(frozen=True)
class Response:
    """A plan's outcome as a function of the scores of all sources.

    Attributes
    ----------
    value : callable
        Block -> (n_draws,) float.
    """

    propagation: Propagation
    value: Callable[[Block], Floats]
    deadline: Deadline = NEVER

    def at(self, scores: Floats) -> Floats:
        """Return the outcome at scores (n_sources, n), (n,) float."""
        n, step = scores.shape[1], block_size_of(self.propagation.graph, scores.shape[1])
        return np.concatenate([self._part(scores[:, start : start + step]) for start in range(0, n, step)])

    def _part(self, scores: Floats) -> Floats:
        self.deadline.require("all points were evaluated")
        return self.value(self.propagation.run(lambda rows: scores[rows].copy(), scores.shape[1]))


def block_size_of(graph: CausalGraph, n: int) -> int:
    """Return how many of n draws go through the graph at a time."""
    from kpiopt.simulation.streams import Layout

    return block_size(graph.n_nodes, Layout("random", 1, max(n, 2)))


def build_response(outcome: Outcome, graph: CausalGraph, plan: Plan, *, smooth: bool) -> Response:
    """Return an outcome of single draws as a function of the sources.

    Parameters
    ----------
    smooth : bool
        Whether odds are replaced by the margin by which goals are hit, which moves with every source; of all goals
        together the smallest margin, relative to what each goal asks.
    """
    if outcome.kind == "pay":
        return Response(*draw_pay(graph, plan))
    propagation = Propagation(graph, plan.stretch, plan.levels)
    if outcome.kind == "odds":
        return Response(propagation, _margin(outcome, graph) if smooth else hit_rows(outcome, graph))
    if outcome.kind == "kpi":
        node = require_node(outcome, graph)
        return Response(propagation, lambda block: block.delta[node] + graph.baseline[node])
    return Response(propagation, lambda block: realised_shortfall(outcome, graph, block.delta))


def _margin(outcome: Outcome, graph: CausalGraph) -> Callable[[Block], Floats]:
    rule, goals = goal_rule(graph), tuple(graph.scenario.goals.values())
    sign = np.where(rule.is_down, -1.0, 1.0)[:, None]

    def margins(block: Block) -> Floats:
        return np.asarray(sign * (block.delta[rule.nodes] - rule.threshold[:, None]))

    if outcome.name:
        row = list(graph.scenario.goals).index(outcome.name)
        return lambda block: margins(block)[row]
    scale = scale_of_goals(goals, graph.baseline[rule.nodes])[:, None]
    return lambda block: np.asarray((margins(block) / scale).min(axis=0))
