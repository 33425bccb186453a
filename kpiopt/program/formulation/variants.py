"""One plan judged in several variants of the file: their rows beside the scenario's own, over the same decisions.

Each variant v brings its own limits, values and shortfalls; stretch and levels are those of the plan. For each
priority p

    regret    r_p - (sum_{g of p} weight_g f_gv / scale_g) >= -z_pv        for each variant v,    r_p >= 0

with z_pv what the variant could have for itself. The steps `robust p`, min r_p, stand first: the worst regret of all
variants is as small as it can be, before anything else is looked at.

Reference: Kouvelis and Yu (1997), Robust Discrete Optimization and Its Applications. DOI 10.1007/978-1-4757-2620-6
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kpiopt.errors import ModelError, Problem
from kpiopt.graph import build_graph
from kpiopt.program.formulation.blocks import Columns, Label, LinearProgram, Objective, Rows, Terms
from kpiopt.program.formulation.cascade import Cascade, VariantStep, build_cascade
from kpiopt.program.formulation.constraints import Limit
from kpiopt.program.trust.arrays import Floats

SHARED = ("stretch", "level")
"""Blocks of decisions that all variants have in common."""
Alone = Mapping[tuple[str, str], float]
"""What each variant could have for itself, by variant and step."""


@dataclass(frozen=True)
class _Joined:
    """A variant's program over the columns of the joint one.

    Attributes
    ----------
    blocks : dict of int to Columns
        The block of the joint program for the first column of each of its own.
    """

    name: str
    program: LinearProgram
    blocks: dict[int, Columns]

    def carry(self, values: Floats, n: int) -> Floats:
        """Return a vector over the variant's columns as one over the joint columns."""
        found = np.zeros(n)
        for block in self.program.columns:
            found[self.blocks[block.start].positions] = block.of(values)
        return found


def other_cascades(cascade: Cascade) -> list[tuple[str, Cascade]]:
    """Return the variants that a cascade's plan is judged in, by name."""
    return [(name, build_cascade(build_graph(other))) for name, other in cascade.graph.scenario.robust]


def goal_steps(cascade: Cascade) -> tuple[Objective, ...]:
    """Return the steps about goals, which regret is about."""
    return tuple(step for step in cascade.program.objectives if step.name == "goals")


def with_variants(cascade: Cascade, others: Sequence[tuple[str, Cascade]], alone: Alone) -> Cascade:
    """Return a cascade whose plan is judged in variants, worst regret first.

    Parameters
    ----------
    cascade : Cascade
        Of the scenario itself, which limits the plan as well.
    others : sequence of (str, Cascade)
        The variants, by name.

    Raises
    ------
    ModelError
        Where a variant has other decisions, or leaves a decision no range.
    """
    if not others:
        return cascade
    program = _narrowed(cascade, others)
    joined, columns, start = _join(program, others)
    labels = list(dict.fromkeys(step.label for _, other in others for step in goal_steps(other)))
    most = [max(_most(other, label) for _, other in others) for label in labels]
    regret = Columns(
        "regret", start, np.zeros(len(labels)), np.array(most), np.zeros(len(labels), dtype=bool), labels.__getitem__
    )
    program = replace(program, columns=(*columns, regret))
    rows, steps = list(program.rows), []
    first = program.n_rows
    for each in joined:
        for part in each.program.rows:
            terms = tuple(t._replace(columns=each.blocks[t.columns.start]) for t in part.terms if len(t.columns))
            label = _labelled(part.label, each.name)
            rows.append(replace(part, name=f"{part.name} ({each.name})", start=first, terms=terms, label=label))
            first += len(part)
    n = program.n_columns
    for each, (name, other) in zip(joined, others, strict=True):
        for step in goal_steps(other):
            cost = each.carry(step.cost, n)
            steps.append(VariantStep(name, step.label, alone[name, step.label], cost, step.offset))
    rows.append(_regret_rows(program, regret, labels, steps, first))
    objectives = [*_robust_objectives(regret, labels, steps, n), *(_wider(o, n) for o in program.objectives)]
    reference = program.reference
    if reference is not None:
        more = np.zeros(n - len(reference.weight))
        reference = replace(
            reference, weight=np.append(reference.weight, more), centre=np.append(reference.centre, more)
        )
    program = replace(program, rows=tuple(rows), objectives=tuple(objectives), reference=reference)
    limits, first = list[Limit](), cascade.program.n_rows
    for name, other in others:
        limits += _own_limits(cascade, other, name, first)
        first += other.program.n_rows
    bent = [(j, o.columns) for j, (_, o) in zip(joined, others, strict=True) if len(o.columns.effort.load)]
    loads = [(j.blocks[columns.effort.load.start], columns) for j, columns in bent]
    return replace(
        cascade, program=program, variants=tuple(steps), variant_limits=tuple(limits), variant_loads=tuple(loads)
    )


def _join(program: LinearProgram, others: Sequence[tuple[str, Cascade]]) -> tuple[list[_Joined], list[Columns], int]:
    """Give each variant columns of its own beside the shared ones; return how many there are as well."""
    columns, start, joined = list(program.columns), program.n_columns, list[_Joined]()
    for name, other in others:
        blocks = {}
        for block in other.program.columns:
            if block.name in SHARED:
                blocks[block.start] = program.column_block(block.name)
                continue
            label = _labelled(block.label, name)
            blocks[block.start] = replace(block, name=f"{block.name} ({name})", start=start, label=label)
            columns.append(blocks[block.start])
            start += len(block)
        joined.append(_Joined(name, other.program, blocks))
    return joined, columns, start


def _own_limits(cascade: Cascade, other: Cascade, name: str, first: int) -> Iterator[Limit]:
    """Yield the limits of a variant that are not the scenario's; `first` is its first row in the joint program."""
    ours, theirs = cascade.program.arrays().matrix, other.program.arrays().matrix
    known = {limit.name: limit for limit in cascade.limits}
    columns = [np.concatenate([c.program.column_block(b).positions for b in _shared(c)]) for c in (cascade, other)]
    for limit in other.limits:
        same = known.get(limit.name)
        if same is not None and (same.value, same.base) == (limit.value, limit.base):
            row, their_row = ours[[same.row]].toarray()[0], theirs[[limit.row]].toarray()[0]
            if np.array_equal(row[columns[0]], their_row[columns[1]]):
                continue
        yield replace(limit, name=f"{limit.name} ({name})", row=first + limit.row)


def _shared(cascade: Cascade) -> list[str]:
    """Return the blocks of decisions that the program has and variants share."""
    return [block.name for block in cascade.program.columns if block.name in SHARED]


def _narrowed(cascade: Cascade, others: Sequence[tuple[str, Cascade]]) -> LinearProgram:
    """Return the program with the decisions within the ranges of all variants."""
    program, blocks = cascade.program, []
    for block in program.columns:
        if block.name in SHARED:
            lower, upper = block.lower, block.upper
            for name, other in others:
                theirs = next((b for b in other.program.columns if b.name == block.name), None)
                _require_same(block, theirs, name)
                assert theirs is not None
                lower, upper = np.maximum(lower, theirs.lower), np.minimum(upper, theirs.upper)
            clash = np.flatnonzero(lower > upper)
            if len(clash):
                raise _no_range(block, clash.tolist(), lower, upper)
            block = replace(block, lower=lower, upper=upper)
        blocks.append(block)
    for name, other in others:
        own = {block.name for block in program.columns}
        for block in other.program.columns:
            if block.name in SHARED and block.name not in own:
                _require_same(block, None, name)
    by_start = {block.start: block for block in blocks}
    rows = tuple(
        replace(part, terms=tuple(t._replace(columns=by_start[t.columns.start]) for t in part.terms if len(t.columns)))
        for part in program.rows
    )
    return replace(program, columns=tuple(blocks), rows=rows)


def _require_same(block: Columns, other: Columns | None, name: str) -> None:
    names = {block.label(i) for i in range(len(block))}
    theirs = set() if other is None else {other.label(i) for i in range(len(other))}
    is_same = other is not None and len(block) == len(other)
    if is_same and all(block.label(i) == other.label(i) for i in range(len(block))):  # type: ignore[union-attr]
        return
    apart = ", ".join(sorted(names ^ theirs)[:3])
    others = f": {apart}" if apart else ""
    raise ModelError(
        Problem(
            "E-robust-decisions",
            f"variant '{name}' decides about other cells or initiatives than the scenario{others}",
            rule="one plan is judged in all variants, so all of them decide about the same",
            fix="let the variant set numbers (targets, limits, baselines) and leave cells and initiatives alone",
        )
    )


def _no_range(block: Columns, clash: list[int], lower: Floats, upper: Floats) -> ModelError:
    problems = (
        Problem(
            "E-robust-range",
            f"the variants leave no range to {block.label(i)}: at least {lower[i]:.10g}, at most {upper[i]:.10g}",
            rule="one plan has to be possible in the scenario and in each of its robust variants",
            fix="let the ranges of the variants overlap",
        )
        for i in clash
    )
    return ModelError(*problems)


def _labelled(label: Label, name: str) -> Label:
    return lambda i: f"{label(i)} in {name}"


def _most(other: Cascade, label: str) -> float:
    """Return the largest regret that a step can come to."""
    step = next((step for step in goal_steps(other) if step.label == label), None)
    if step is None:
        return 1.0
    upper = np.concatenate([block.upper for block in other.program.columns])
    return 1.0 + float(np.sum(np.where(step.cost > 0.0, step.cost * upper, 0.0)))


def _regret_rows(
    program: LinearProgram, regret: Columns, labels: Sequence[str], steps: Sequence[VariantStep], first: int
) -> Rows:
    terms = [
        Terms(
            regret,
            np.arange(len(steps)),
            np.array([labels.index(step.step) for step in steps], dtype=np.int64),
            np.ones(len(steps)),
        )
    ]
    for row, step in enumerate(steps):
        for block in program.columns:
            member = np.flatnonzero(block.of(step.cost))
            if len(member):
                terms.append(Terms(block, np.full(len(member), row), member, -block.of(step.cost)[member]))
    side = np.array([step.offset - step.alone for step in steps])
    names = [f"{step.variant}, {step.step}" for step in steps]
    return Rows("regret", first, side, np.full(len(steps), np.inf), tuple(terms), names.__getitem__)


def _robust_objectives(regret: Columns, labels: Sequence[str], steps: Sequence[VariantStep], n: int) -> list[Objective]:
    found = []
    for i, label in enumerate(labels):
        cost = np.zeros(n)
        cost[regret.start + i] = 1.0
        _, _, priority = label.partition(" ")
        found.append(Objective("robust", int(priority) if priority else None, cost, 0.0, 0.0, "worst regret"))
    return found


def _wider(objective: Objective, n: int) -> Objective:
    return replace(objective, cost=np.append(objective.cost, np.zeros(n - len(objective.cost))))
