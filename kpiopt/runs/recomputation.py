"""Everything that a kept run publishes, computed again from its proof and compared with what stands in its folder.

The proof gives the solution; from there on the run is made by the very functions that made it. What follows from it
must be what the document says; what the other files say must be what the document says, to the last character. Figures
are the same to 1e-9: another processor may sum in another order. Odds are drawn again from the same seed.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kpiopt.deadline import NotDone, Replay
from kpiopt.errors import problem_as_dict
from kpiopt.program.formulation.cascade import Cascade
from kpiopt.program.order.kept_solution import restore_solution
from kpiopt.program.solver.answer import SolverOptions
from kpiopt.program.trust.certificate import Certificate
from kpiopt.program.trust.evidence import Evidence
from kpiopt.program.trust.tolerances import SAME_AGAIN
from kpiopt.run.run import Run, odds_frame
from kpiopt.run.solve import USUAL_RULE, SolveOptions, complete_run
from kpiopt.runs.csv_text import csv_bytes
from kpiopt.runs.folder import files_of_document, run_notes, sizes_of
from kpiopt.runs.stored_run import SUMMARY_FILE, WORKBOOK_FILE, StoredRun, read_run_file
from kpiopt.runs.workbook_parts import compare_workbooks
from kpiopt.workers.job import SERIAL, Executor

if TYPE_CHECKING:
    import polars as pl

    from kpiopt.run.odds_repair import Claimed

TINY = ("primal_residual", "relative_gap")
"""Measures of a certificate: what lies below the tolerance is rounding, which another processor does in its own way."""


@dataclass(frozen=True, slots=True)
class Told:
    """How a run is told beside its tables; run and folder -> the file's content.

    Attributes
    ----------
    summary : callable
        Returns the summary as text.
    workbook : callable
        Returns the workbook's bytes.
    """

    summary: Callable[[Run, Path], str]
    workbook: Callable[[Run, Path], bytes]


def recompute_run(run: StoredRun, cascade: Cascade, evidence: tuple[Evidence, ...], executor: Executor = SERIAL) -> Run:
    """Return the run that follows from a proof.

    Parameters
    ----------
    cascade : Cascade
        Of the kept scenario; the evidence is about its program.
    executor : Executor
        Who draws.
    """
    late = run.document.get("not_done") or []
    simulated = run.document["simulation"] is not None or any(part["what"] == "odds" for part in late)
    # Rules that the time did not reach are asked for again, and not reached again.
    cut = any(part["what"] == "rules" for part in late)
    beside = (USUAL_RULE,) if cut else tuple(run.document.get("rules", ()))
    solver = SolverOptions(deadline=Replay.of(late))
    options = SolveOptions(solver, simulate=simulated, executor=executor, beside=beside, claimed=_claimed(run))
    found = complete_run(cascade, restore_solution(cascade.program, evidence), options)
    # What odds cost follows from other plans; that there was no time for them is not checked.
    left_out = tuple(NotDone(**part) for part in late if part["what"] == "risk")
    return replace(found, not_done=(*found.not_done, *left_out))


def _claimed(run: StoredRun) -> Claimed | None:
    """Return what the repairs of missed odds move: each is a claim to be tried, none has to be looked for again.

    None for a run that was kept before moves were, whose repairs are looked for.
    """
    try:
        repairs = (run.document.get("missed_odds") or {}).get("repairs") or []
        if not all("moves" in repair for repair in repairs):
            return None
        claims = [[(str(move["what"]), float(move["to"])) for move in repair["moves"]] for repair in repairs]
    except (AttributeError, KeyError, TypeError, ValueError):
        return []
    return [claim for claim in claims if all(math.isfinite(value) for _, value in claim)]


def differences(run: StoredRun, found: Run, told: Told) -> Iterator[tuple[str, list[str]]]:
    """Yield what a run holds, and in what it is not what follows from its proof.

    Parameters
    ----------
    found : Run
        As `recompute_run` gives it.

    Yields
    ------
    tuple of str and list of str
        A part of the document or a file, and its differences; none where it is as it should be.
    """
    claimed = {
        "rules": {},
        "promises": [],
        "over_assignment": [],
        "gap": [],
        "fairness": None,
        **{k: v for k, v in run.answer.items() if k not in ("run", "folder")},
    }
    claiming = _claiming(found, claimed["steps"])
    expected = _claiming(found, claimed["steps"], attempts_only=True).as_dict()
    yield "run.json", [*_compare(claimed, expected, ""), *_compare(_manifest(run), _manifest_of(found), "manifest")]
    yield from _files(run, found)
    folder = Path(run.document["folder"])
    yield SUMMARY_FILE, list(_compare_lines(_text(run, SUMMARY_FILE), told.summary(claiming, folder)))
    if WORKBOOK_FILE in run.manifest["files"]:
        yield WORKBOOK_FILE, list(compare_workbooks(_bytes(run, WORKBOOK_FILE), told.workbook(claiming, folder)))


def _claiming(found: Run, claims: Sequence[Mapping[str, Any]], *, attempts_only: bool = False) -> Run:
    """Return a run whose steps bear what does not follow from a proof as it is claimed.

    That is in which way each answer was found, and the last digits of certificates that are printed.
    """
    steps = []
    for step, claim in zip(found.solution.steps, claims, strict=False):
        certificate = step.certificate if attempts_only else _certificate(claim["certificate"])
        steps.append(replace(step, attempt=claim["attempt"], certificate=certificate))
    steps += found.solution.steps[len(steps) :]
    return replace(found, solution=replace(found.solution, steps=tuple(steps)))


def _certificate(claim: Mapping[str, Any]) -> Certificate:
    known = {field.name for field in fields(Certificate)} & claim.keys()
    values: dict[str, Any] = {name: math.inf if claim[name] is None else claim[name] for name in known}
    return Certificate(**values)


def _manifest(run: StoredRun) -> dict[str, Any]:
    return {key: run.manifest.get(key) for key in ("variant", "seed", "sizes", "notes")}


def _manifest_of(found: Run) -> dict[str, Any]:
    return {
        "variant": found.scenario.variant,
        "seed": found.scenario.simulation.seed,
        "sizes": sizes_of(found),
        "notes": [problem_as_dict(note) for note in run_notes(found)],
    }


def _files(run: StoredRun, found: Run) -> Iterator[tuple[str, list[str]]]:
    """Compare each table with the document or with the plan that follows from the proof."""
    for name, content in files_of_document(run.document).items():
        same = _bytes(run, name) == content
        yield name, [] if same else ["it does not say what run.json says"]
    targets, odds = found.targets, odds_frame(found)
    kept = _read_parquet(_bytes(run, "targets.parquet"))
    yield "targets.parquet", list(_compare_frames(kept, targets))
    same = kept is not None and _bytes(run, "targets.csv") == csv_bytes(kept)
    yield "targets.csv", [] if same else ["it does not say what targets.parquet says"]
    content = _bytes(run, "odds.csv")
    yield "odds.csv", [] if content == csv_bytes(odds) else list(_compare_frames(_read_csv(content, odds), odds))


def _bytes(run: StoredRun, name: str) -> bytes:
    try:
        return read_run_file(run.folder / name)
    except (OSError, ValueError):
        return b""


def _text(run: StoredRun, name: str) -> str:
    return _bytes(run, name).decode("utf-8", "replace")


def _read_parquet(content: bytes) -> pl.DataFrame | None:
    import polars as pl  # only where tables are compared

    try:
        return pl.read_parquet(io.BytesIO(content))
    except (pl.exceptions.PolarsError, OSError, ValueError):
        return None


def _read_csv(content: bytes, like: pl.DataFrame) -> pl.DataFrame | None:
    import polars as pl  # only where tables are compared

    try:
        return pl.read_csv(content, schema=like.schema)
    except (pl.exceptions.PolarsError, OSError, ValueError):
        return None


def _compare_frames(kept: pl.DataFrame | None, right: pl.DataFrame) -> Iterator[str]:
    """Yield the fields in which a table is not as it should be."""
    if kept is None:
        yield "it cannot be read"
        return
    if kept.columns != right.columns or kept.height != right.height:
        yield f"it has {kept.height} rows of {', '.join(kept.columns)}"
        return
    for name in right.columns:
        for row, (ours, theirs) in enumerate(zip(right[name], kept[name], strict=True)):
            yield from _compare(theirs, ours, f"row {row + 2} column {name}")


def _compare(claimed: Any, right: Any, place: str) -> Iterator[str]:
    """Yield the places in which two values differ."""
    if isinstance(right, Mapping) and isinstance(claimed, Mapping):
        for key in dict.fromkeys([*right, *claimed]):
            yield from _compare(claimed.get(key), right.get(key), f"{place}.{key}" if place else str(key))
    elif isinstance(right, list) and isinstance(claimed, list) and len(right) == len(claimed):
        for position, (ours, theirs) in enumerate(zip(right, claimed, strict=True)):
            yield from _compare(theirs, ours, f"{place}[{position}]")
    elif not _is_same(claimed, right, place):
        yield f"{place}: {_shown(claimed)}, and {_shown(right)} follows from the proof"


def _is_same(claimed: Any, right: Any, place: str) -> bool:
    if isinstance(right, float) and isinstance(claimed, float | int) and not isinstance(claimed, bool):
        near = SAME_AGAIN if place.endswith(TINY) else SAME_AGAIN * max(abs(right), abs(claimed))
        return claimed == right or abs(claimed - right) <= near
    return type(claimed) is type(right) and bool(claimed == right)


def _shown(value: Any) -> str:
    return f"{value:.12g}" if isinstance(value, float) else str(value)[:60]


def _compare_lines(kept: str, right: str) -> Iterator[str]:
    """Yield the lines in which a text is not as it should be."""
    ours, theirs = right.splitlines(), kept.splitlines()
    if len(ours) != len(theirs):
        yield f"it has {len(theirs)} lines, {len(ours)} follow from the proof"
    for number, (line, claim) in enumerate(zip(ours, theirs, strict=False), start=1):
        if line != claim:
            yield f"line {number}: {claim.strip()!r}, and {line.strip()!r} follows from the proof"
