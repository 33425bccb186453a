"""Impossible is an answer: why the limits clash and what would mend it, in the names of the file.

Sensible default willingness: money gives way before people, people before promises. `[relax]` overrides the weight of
a family ("budget", "capacity", "max_stretch", "min_stretch", "lock", "goal") or of one limit by its name; the weight is
what giving way by 100 % of the limit costs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpiopt.deadline import NotDone, not_done_problems
from kpiopt.errors import Infeasible, Problem, Uncertified
from kpiopt.graph.capacities import season_of_capacity
from kpiopt.program.formulation.cascade import Cascade
from kpiopt.program.formulation.constraints import Limit
from kpiopt.program.order.diagnosis import Handle, Repair, Side, cheapest_repair, find_conflict, find_repairs
from kpiopt.program.order.repair_words import PER_PERIOD, Lever, Words, in_shares, without_period
from kpiopt.program.order.steps import borderline_problem
from kpiopt.program.solver.answer import SolverOptions
from kpiopt.program.trust.arrays import Floats, ProgramArrays
from kpiopt.program.trust.certificate import Certificate
from kpiopt.scenario.scenario import Integers

Flags = NDArray[np.bool_]
WEIGHTS = {
    "budget": 1.0, "capacity": 3.0, "max_stretch": 10.0, "min_stretch": 10.0, "assign": 20.0, "lock": 30.0,
    "goal": 100.0, PER_PERIOD: 5.0,
}  # fmt: skip
COST_OF_A_WANTED_CHANGE = 1e-6
SHOWN = 8
TRIED = 16
"""Levers that are tried by themselves, the most promising first."""
NEARLY_AS_CHEAP = 3.0
PRINTED = 40
"""Assignments that are printed; all of them are in the JSON."""


def explain_infeasible(
    cascade: Cascade, certificate: Certificate, ray: Floats | None, options: SolverOptions
) -> Infeasible:
    """Turn a proof of infeasibility into an error that says how to mend it.

    Parameters
    ----------
    certificate : Certificate
        Of the proof.
    ray : (m,) float or None
        The Farkas proof; None where the proof is another one, which leaves the smallest conflict out.
    options : SolverOptions
        What is not found until the deadline is left out, and told.

    Returns
    -------
    Infeasible
        Its problems are the cheapest repair, alternatives nearly as cheap, and the smallest conflict when it is short;
        `details` holds the same for machines, with `--set` assignments that apply each repair.
    """
    levers = list(_levers(cascade))
    handles = [lever.handle for lever in levers]
    repair, alone = find_repairs(_opened(cascade), handles, options, within=NEARLY_AS_CHEAP, most=TRIED)
    is_cut = options.deadline.is_over
    conflict = find_conflict(cascade.program.arrays(), ray, options) if ray is not None else None
    not_done = _not_done(repair, is_cut=is_cut, is_over=options.deadline.is_over)
    words = Words(cascade, {lever.handle.name: lever for lever in levers})
    details = {
        "certificate": certificate.as_dict(),
        "repair": words.repair(repair) if repair else None,
        "alternatives": [words.repair(r) for r in alone if repair is None or not _same(r, repair)],
        "conflict": words.conflict(conflict, _without_shares([*alone, *([repair] if repair else [])]))
        if conflict
        else None,
        "not_done": [part.as_dict() for part in not_done],
    }
    return Infeasible(*_problems(details), *not_done_problems(not_done), details=details)


def _without_shares(repairs: Sequence[Repair]) -> bool:
    """Whether taking `per_period` away is enough, so that it is a part of the conflict."""
    return any([change.handle.name for change in repair.changes] == [PER_PERIOD] for repair in repairs)


def _not_done(repair: Repair | None, *, is_cut: bool, is_over: bool) -> list[NotDone]:
    """Say what the time did not reach."""
    if not is_over:
        return []
    what = "the cheapest repair was" if repair is None else "repairs nearly as cheap were"
    cut = [NotDone("repair", f"{what} not looked for to the end in the time")] if is_cut else []
    return [*cut, NotDone("conflict", "the smallest conflict was not looked for to the end in the time")]


def explain_borderline(cascade: Cascade, options: SolverOptions) -> Uncertified:
    """Turn a clash by a hair into an error that says by how much, and which limit would give way."""
    levers = list(_levers(cascade))
    repair = cheapest_repair(_opened(cascade), [lever.handle for lever in levers], options)
    if repair is None:
        return Uncertified(borderline_problem(""))
    words = Words(cascade, {lever.handle.name: lever for lever in levers}).repair(repair)
    return Uncertified(borderline_problem(f"make it plain, or {words['text']}{_assignments(words)}"))


def _same(a: Repair, b: Repair) -> bool:
    return [c.handle.name for c in a.changes] == [c.handle.name for c in b.changes]


def _opened(cascade: Cascade) -> ProgramArrays:
    """Open the boxes of columns that only follow from decisions: a repair may carry them further than the data do."""
    arrays, columns = cascade.program.arrays(), cascade.columns
    lower, upper = arrays.column_lower.copy(), arrays.column_upper.copy()
    follows = np.delete(columns.change.positions, columns.responses.hub)  # beyond its box a curve may bend again
    lower[follows] = -np.inf
    upper[follows] = np.inf
    for block in (columns.shortfall, *columns.fair.blocks):
        upper[block.positions] = np.inf
    lower[columns.fair.mean.positions] = -np.inf
    if cascade.graph.scenario.periods is not None:  # the rows over the horizon bound these
        upper[columns.stretch.positions[~_has_own_most(cascade)]] = np.inf
    return replace(arrays, column_lower=lower, column_upper=upper)


def _has_own_most(cascade: Cascade) -> Flags:
    """Say of each stretch whether something about its period holds it from above, beside the range over the horizon."""
    periods, cell = cascade.graph.scenario.periods, cascade.columns.stretch_cell
    held = in_shares(cascade)
    if periods is None or periods.single is None:
        return held
    own = np.isfinite(periods.single.max_stretch) | np.isfinite(periods.single.lock)
    return held | own.ravel()[cell]


def _shares(cascade: Cascade, members: Sequence[int]) -> tuple[tuple[Side, ...], tuple[float, ...]]:
    """Return the ends of single periods that move with the largest stretches, or locks, of some cells, and how far."""
    columns, periods = cascade.columns, cascade.graph.scenario.periods
    here = in_shares(cascade) & np.isin(columns.stretch_decided, list(members))
    if periods is not None and periods.single is not None:  # beside an end of its own the share alone does not decide
        single, cell = periods.single, columns.stretch_cell
        here &= np.isnan(single.max_stretch.ravel()[cell]) & np.isnan(single.lock.ravel()[cell])
    found = np.flatnonzero(here)
    sides = tuple(Side("column", columns.stretch.start + j, True) for j in found.tolist())
    return sides, tuple(columns.stretch.upper[found].tolist())


def _levers_of_shares(cascade: Cascade) -> Iterator[Lever]:
    """Yield `per_period` of the guardrails that have it, as one lever: it may be taken away."""
    sides, amounts = _shares(cascade, range(len(cascade.columns.decided)))
    if sides:
        yield Lever(
            PER_PERIOD, PER_PERIOD, Handle(PER_PERIOD, sides, amounts, _weight(cascade, PER_PERIOD, PER_PERIOD))
        )


def _weight(cascade: Cascade, kind: str, name: str) -> float:
    relax = cascade.graph.scenario.relax
    return max(float(relax.get(name, relax.get(kind, WEIGHTS[kind]))), COST_OF_A_WANTED_CHANGE)


def _levers(cascade: Cascade) -> Iterator[Lever]:
    """Yield everything that can give way."""
    yield from _levers_of_all_periods(cascade)
    yield from _levers_over_all(cascade)
    yield from _stretch_levers(cascade)
    yield from _levers_of_shares(cascade)
    yield from _total_levers(cascade)
    yield from _assign_levers(cascade)
    rows = cascade.program.row_block("goal")
    for row, i in enumerate(cascade.columns.on_average.tolist()):
        goal = cascade.columns.goals[i]
        if goal.hard and rows is not None:
            name = f"goal.{goal.id}"
            price = _weight(cascade, "goal", name) / float(cascade.columns.goal_scale[i])
            yield Lever(name, "goal", Handle(name, (Side("row", rows.start + row, False),), (1.0,), price))


def limit_levers(cascade: Cascade) -> Iterator[Lever]:
    """Yield the budgets and capacities that can give way."""
    levers = (*_levers_of_all_periods(cascade), *_levers_over_all(cascade))
    yield from (lever for lever in levers if lever.kind in ("budget", "capacity"))


def _levers_over_all(cascade: Cascade) -> Iterator[Lever]:
    """Yield the limits that hold over all periods at once."""
    for limit in cascade.limits:
        if limit.period is None and not _is_scaled_away(cascade, limit):
            kind = limit.name.partition(".")[0]
            price = _weight(cascade, kind, limit.name) / (abs(limit.value) or 1.0)
            yield Lever(limit.name, kind, Handle(limit.name, (Side("row", limit.row, True),), (1.0,), price))


def _is_scaled_away(cascade: Cascade, limit: Limit) -> bool:
    """Whether a capacity is 0 whatever its unit has: its scale is 0."""
    settings = cascade.graph.scenario.document.get("capacity", {}).get(limit.resource, {})
    return limit.name.startswith("capacity.") and settings.get("scale", 1.0) == 0.0


def _levers_of_all_periods(cascade: Cascade) -> Iterator[Lever]:
    """Yield what is said about the horizon and holds in parts of it: capacities, ranges and locks of cells."""
    scenario, rows = cascade.graph.scenario, cascade.program.row_block("range")
    by_name: dict[str, list[Limit]] = {}
    for limit in cascade.limits:
        if limit.period is not None and not _is_scaled_away(cascade, limit):
            by_name.setdefault(without_period(limit), []).append(limit)
    for name, limits in by_name.items():
        kind, sides = name.partition(".")[0], tuple(Side("row", limit.row, True) for limit in limits)
        whole = sum(limit.value for limit in limits) if kind == "capacity" else limits[0].value
        share, at = [1.0] * len(limits), np.array([limits[0].unit])
        share = season_of_capacity(scenario, limits[0].resource, at)[:, 0].tolist() if kind == "capacity" else share
        price = _weight(cascade, kind, name) / (whole or 1.0)
        yield Lever(name, kind, Handle(name, sides, tuple(share), price))
    if rows is None:
        return
    cell = cascade.columns.decided
    at = scenario.horizon.unit[cell]
    is_target = ~np.isnan(scenario.horizon.fixed_target[cell])
    group, is_locked = np.where(at > 0, scenario.units.parent[at], at), (rows.lower == rows.upper) | is_target
    for above in np.unique(group).tolist():
        for kind, bound in (("min_stretch", rows.lower), ("max_stretch", rows.upper)):
            member = np.flatnonzero((group == above) & ~is_locked & (bound > 0.0))
            if len(member):
                name = f"{kind} under {scenario.units.ids[above]}"
                sides = tuple(Side("row", rows.start + j, kind == "max_stretch") for j in member.tolist())
                most = 1.0 if kind == "min_stretch" else np.inf
                more, far = _shares(cascade, member.tolist()) if kind == "max_stretch" else ((), ())
                moved = (*bound[member].tolist(), *far)
                handle = Handle(name, (*sides, *more), moved, _weight(cascade, kind, name), most)
                yield Lever(name, kind, handle, tuple(member.tolist()))
    yield from _row_levers(cascade, "range", np.flatnonzero(is_locked & ~is_target).tolist())


def _stretch_levers(cascade: Cascade) -> Iterator[Lever]:
    """Yield the smallest and largest stretches below each unit as one share, and every lock by itself."""
    columns, scenario = cascade.columns, cascade.graph.scenario
    if scenario.periods is not None:
        yield from _levers_of_single_periods(cascade)
        return
    is_locked = scenario.cells.is_locked[columns.stretch_cell]
    parent = scenario.units.parent[columns.stretch_unit]
    group = np.where(parent >= 0, parent, columns.stretch_unit)
    for unit in np.unique(group).tolist():
        for kind, bound in (("min_stretch", columns.stretch.lower), ("max_stretch", columns.stretch.upper)):
            member = np.flatnonzero((group == unit) & ~is_locked & (bound > 0.0))
            if len(member):
                name = f"{kind} under {scenario.units.ids[unit]}"
                sides = tuple(Side("column", columns.stretch.start + j, kind == "max_stretch") for j in member.tolist())
                most = 1.0 if kind == "min_stretch" else np.inf
                handle = Handle(name, sides, tuple(bound[member].tolist()), _weight(cascade, kind, name), most)
                yield Lever(name, kind, handle, tuple(member.tolist()))
    yield from _lock_levers(cascade, np.flatnonzero(is_locked))


def _levers_of_single_periods(cascade: Cascade) -> Iterator[Lever]:
    """Yield what rows of single periods say about their stretches, each by itself."""
    columns, periods = cascade.columns, cascade.graph.scenario.periods
    if periods is None or periods.single is None:
        return
    single, cell = periods.single, columns.stretch_cell
    locked, shared = ~np.isnan(single.lock.ravel()[cell]), in_shares(cascade)
    for kind, given, bound in (
        ("min_stretch", single.min_stretch, columns.stretch.lower),
        ("max_stretch", single.max_stretch, columns.stretch.upper),
    ):
        for j in np.flatnonzero(~np.isnan(given.ravel()[cell]) & ~locked & (bound > 0.0)).tolist():
            name, most = f"{kind} of {columns.stretch.label(j)}", 1.0 if kind == "min_stretch" else np.inf
            if kind == "max_stretch" and shared[j]:
                continue  # its share of the season holds it as well
            side = Side("column", columns.stretch.start + j, kind == "max_stretch")
            handle = Handle(name, (side,), (float(bound[j]),), _weight(cascade, kind, name), most)
            yield Lever(name, kind, handle, (j,))
    yield from _lock_levers(cascade, np.flatnonzero(locked))


def _total_levers(cascade: Cascade) -> Iterator[Lever]:
    """Yield what rows about totals say, to be moved in its own unit; a lock both ways."""
    by_cell = len(cascade.columns.fixed) if cascade.graph.scenario.periods is None else 0
    for block, skipped in (("total", 0), ("lock_target", by_cell)):
        rows = cascade.program.row_block(block)
        yield from _row_levers(cascade, block, range(skipped, 0 if rows is None else len(rows)))


def _row_levers(cascade: Cascade, block: str, members: Iterable[int]) -> Iterator[Lever]:
    """Yield both sides of some rows that are about sums of stretches, or about a target."""
    rows = cascade.program.row_block(block)
    for i in members:
        assert rows is not None
        ends, label = (float(rows.lower[i]), float(rows.upper[i])), rows.label(i)
        node_kpi = cascade.graph.scenario.kpis[label.rpartition("/")[2]]
        for end, kind, is_upper in ((ends[0], "min_stretch", False), (ends[1], "max_stretch", True)):
            if not np.isfinite(end):
                continue
            locked = ends[0] == ends[1]
            field = ("lock_target" if block == "lock_target" else "lock") if locked else kind
            family, name = "lock" if locked else kind, f"{field} of {label}"
            price = _weight(cascade, family, name) / (abs(end) or node_kpi.step or 1.0)
            side = Side("row", rows.start + i, is_upper)
            more, far = _shares(cascade, [i]) if block == "range" and is_upper else ((), ())
            moved = (1.0, *(amount / end for amount in far)) if end else (1.0,)
            handle = Handle(f"{'raise' if is_upper else 'lower'} {name}", (side, *more[: len(moved) - 1]), moved, price)
            yield Lever(name, "total", handle)


def _assign_levers(cascade: Cascade) -> Iterator[Lever]:
    """Yield the numbers of KPIs that are chosen, the most and the least of each entry as one."""
    chosen = cascade.graph.scenario.chosen
    entries = {} if chosen is None else dict(zip(chosen.unit.tolist(), chosen.name, strict=True))
    of_unit = {cascade.graph.scenario.units.ids[unit]: entry for unit, entry in entries.items()}
    for field, block, is_upper in (("most", "kpis", False), ("least", "kpis_least", True)):
        rows = cascade.program.row_block(block)
        named = [] if rows is None else [of_unit[rows.label(i)] for i in range(len(rows))]
        for entry in dict.fromkeys(named):
            assert rows is not None
            sides = tuple(Side("row", rows.start + i, is_upper) for i, name in enumerate(named) if name == entry)
            name, price = f"{field} of assign.{entry}", _weight(cascade, "assign", f"assign.{entry}")
            yield Lever(name, "assign", Handle(name, sides, (1.0,) * len(sides), price))


def _lock_levers(cascade: Cascade, locked: Integers) -> Iterator[Lever]:
    """Yield every lock, to be moved down or up: as a stretch, or as a target where effects reach the cell."""
    columns, cells = cascade.columns, cascade.graph.scenario.cells
    rows = cascade.program.row_block("lock_target")
    row_of = {j: rows.start + i for i, j in enumerate(columns.fixed.tolist())} if rows is not None else {}
    for j in locked.tolist():
        lock, cell = float(columns.stretch.upper[j]), int(columns.stretch_cell[j])
        is_target = not np.isnan(cells.fixed_target[cell])
        name = f"{'lock_target' if is_target else 'lock'} of {columns.stretch.label(j)}"
        price = _weight(cascade, "lock", name) / (abs(lock) or float(columns.scale[j]) * 0.01)
        for direction, is_upper in (("lower", False), ("raise", True)):
            at_row = j in row_of
            side = Side("row", row_of[j], is_upper) if at_row else Side("column", columns.stretch.start + j, is_upper)
            most = np.inf if is_upper or is_target or lock < 0.0 else lock
            yield Lever(name, "lock", Handle(f"{direction} {name}", (side,), (1.0,), price, most), (j,))


def _problems(details: dict[str, Any]) -> Iterator[Problem]:
    """Say the diagnosis: what would mend it first, then why."""
    repair, conflict = details["repair"], details["conflict"]
    mend = "no change of these limits alone is enough"
    if repair:
        mend = f"cheapest repair: {repair['text']}"
    elif any(part["what"] == "repair" for part in details["not_done"]):
        mend = "a repair was not found in the time; allow more with --time-limit"
    yield Problem(
        "E-infeasible",
        "no plan keeps all limits; proved, not guessed",
        rule="capacities, budgets, minimum and maximum stretches, locks and hard goals hold all at once",
        fix=mend + _assignments(repair),
    )
    for other in details["alternatives"][:SHOWN]:
        yield Problem("N-alternative", f"or: {other['text']}", fix=_assignments(other).strip(" ()"))
    if conflict and len(conflict) > 1:
        yield Problem(
            "N-conflict", "these contradict each other, and without any one of them they do not: " + "; ".join(conflict)
        )
    elif conflict:
        yield Problem("N-conflict", f"this cannot be kept within the ranges as they are: {conflict[0]}")


def _assignments(repair: dict[str, Any] | None) -> str:
    """Return the options that apply a repair, to be copied into a shell."""
    if not repair:
        return ""
    options = [f"--set {quoted(assignment)}" for assignment in repair["set"]]
    more = len(options) - PRINTED
    rest = f", and {more:,} more that --json lists" if more > 0 else ""
    return f"  ({' '.join(options[:PRINTED])}{rest})"


def quoted(text: str) -> str:
    """Return a word for a shell."""
    return "'" + text.replace("'", "'\\''") + "'"
