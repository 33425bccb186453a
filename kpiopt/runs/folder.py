"""What stands in a run folder, and how it is written and read again.

| file | holds |
|---|---|
| run.json | the answer `kpiopt.solve/1` with a manifest: versions, inputs' digests, command, times, sizes, files |
| scenario.toml, inputs/ | the resolved question, loadable by itself |
| targets.csv, targets.parquet | one row for each cell and each unit above |
| goals.csv, limits.csv, odds.csv, initiatives.csv, gap.csv | the other tables; the last where units offer something |
| certificate.json, evidence.npz | what the independent check found, step by step, and the numbers that prove it |
| summary.txt | the summary as the terminal showed it |
| report.html | the report: one page that works offline |
| plan.xlsx | the plan as a workbook |
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kpiopt.deadline import not_done_problems
from kpiopt.errors import Problem, problem_as_dict
from kpiopt.program.order.proof import gather_evidence
from kpiopt.program.trust.evidence import evidence_bytes
from kpiopt.run.frames import tables_of
from kpiopt.run.run import Run, odds_frame
from kpiopt.runs.csv_text import csv_bytes
from kpiopt.runs.kept_cuts import CUTS_FILE, cuts_bytes
from kpiopt.runs.question import Question, hash_again
from kpiopt.runs.run_document import seal
from kpiopt.runs.store import Staging
from kpiopt.runs.stored_run import EVIDENCE_FILE, RUN_FILE

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Occasion:
    """When and by which command a run was made.

    Attributes
    ----------
    started : datetime
        With its time zone.
    """

    command: tuple[str, ...]
    started: datetime

    @classmethod
    def now(cls, command: Sequence[str]) -> Occasion:
        """Return the occasion of a command that begins now."""
        return cls(tuple(command), datetime.now(UTC))


def stage_question(staging: Staging, question: Question) -> None:
    """Write the resolved question and copies of its inputs: what is asked is on disk before it is answered.

    Raises
    ------
    OutputError
    """
    for name, content in question.files:
        staging.write(name, content)


def stage_answer(
    staging: Staging, run: Run, question: Question, occasion: Occasion, more: Mapping[str, bytes] | None = None
) -> dict[str, Any]:
    """Write all results of a run, `run.json` last.

    Parameters
    ----------
    more : mapping of str to bytes, optional
        Further files, such as the summary.

    Returns
    -------
    dict
        What `run.json` holds.

    Raises
    ------
    OutputError
    """
    files = {**answer_files(run), **(more or {})}
    for name, content in files.items():
        staging.write(name, content)
    document = seal({**named_answer(run, staging.target), "manifest": _manifest(run, question, occasion, files)})
    staging.write(RUN_FILE, json_bytes(document))
    return document


def named_answer(run: Run, folder: Path) -> dict[str, Any]:
    """Return the document `kpiopt.solve/1` with the name and the folder of the run."""
    answer = run.as_dict()
    return {"schema": answer.pop("schema"), "run": folder.name, "folder": str(folder), **answer}


def answer_files(run: Run) -> dict[str, bytes]:
    """Return the result tables and the certificate, by file name."""
    return {
        **files_of_document(run.as_dict()),
        **files_of_plan(run),
        EVIDENCE_FILE: evidence_bytes(gather_evidence(run.cascade.program, run.solution)),
        **({CUTS_FILE: cuts_bytes(run.cascade.cuts)} if run.cascade.cuts.cuts else {}),
    }


def files_of_document(document: Mapping[str, Any]) -> dict[str, bytes]:
    """Return the files that say what the document "kpiopt.solve/1" says."""
    tables = {name: csv_bytes(frame) for name, frame in tables_of(document).items()}
    return {**tables, "certificate.json": json_bytes(certificate_document(document))}


def files_of_plan(run: Run) -> dict[str, bytes]:
    """Return the tables of targets and odds."""
    targets = run.targets
    return {
        "targets.csv": csv_bytes(targets),
        "targets.parquet": _parquet_bytes(targets),
        "odds.csv": csv_bytes(odds_frame(run)),
    }


def certificate_document(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the certificates of all steps of an answer: schema `kpiopt.certificate/1`."""
    steps = [
        {"step": s["step"], "priority": s.get("priority"), "value": s["value"], "attempt": s["attempt"],
         **s["certificate"]}
        for s in document["steps"]
    ]  # fmt: skip
    return {"schema": "kpiopt.certificate/1", "passed": all(s["passed"] for s in steps), "steps": steps}


def json_bytes(document: Mapping[str, Any]) -> bytes:
    """Return strict JSON: numbers that are not finite raise; bytes of paths that are no UTF-8 are escaped."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1)
    return f"{text}\n".encode("utf-8", "backslashreplace")


def _parquet_bytes(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def _manifest(run: Run, question: Question, occasion: Occasion, files: Mapping[str, bytes]) -> dict[str, Any]:
    """Return how the run came about, and the digest of every file it left."""
    return {
        **manifest_of(question, occasion, files),
        "variant": run.scenario.variant,
        "seed": run.scenario.simulation.seed,
        "seconds": {phase: round(seconds, 4) for phase, seconds in run.seconds.items()},
        "sizes": sizes_of(run),
        "notes": [problem_as_dict(note) for note in run_notes(run)],
    }


def run_notes(run: Run) -> tuple[Problem, ...]:
    """Return what is to be said about a plan and its odds."""
    odds = run.simulation.notes if run.simulation else ()
    return (*run.plan.notes, *odds, *not_done_problems(run.not_done))


def manifest_of(question: Question, occasion: Occasion, files: Mapping[str, bytes]) -> dict[str, Any]:
    """Return what the manifests of runs and sweeps have in common.

    Parameters
    ----------
    files : mapping of str to bytes
        All results; the question's own files are added.
    """
    everything = {"scenario.toml": question.toml.encode(), **{c.name: c.content for c in question.inputs}, **files}
    return {
        "digest": question.digest,
        "settings": dict(question.settings),
        "versions": dict(question.versions),
        "platform": platform.platform(),
        "command": list(occasion.command),
        "working_folder": str(Path.cwd()),
        "started": occasion.started.isoformat(timespec="milliseconds"),
        "finished": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "inputs": _inputs(question),
        "files": {name: _file_entry(content) for name, content in everything.items()},
    }


def sizes_of(run: Run) -> dict[str, int]:
    """Return how much there was to solve and to draw."""
    program = run.cascade.program
    return {
        "units": len(run.scenario.units),
        "cells": len(run.scenario.horizon),
        "nodes": run.graph.n_nodes,
        "columns": program.n_columns,
        "rows": program.n_rows,
        "draws": run.simulation.draws if run.simulation else 0,
    }


def _inputs(question: Question) -> list[dict[str, Any]]:
    """Return every file that was read, its digest when it was read and when the run was finished."""
    copies = {c.display: c.name for c in question.inputs}
    at_start = {**question.documents, **{c.display: c.sha256 for c in question.inputs}}
    at_end = hash_again(question)
    return [
        {"file": file, "sha256": digest, "sha256_at_end": at_end.get(file), "copy": copies.get(file)}
        for file, digest in at_start.items()
    ]


def _file_entry(content: bytes) -> dict[str, Any]:
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def changed_inputs(document: Mapping[str, Any]) -> list[str]:
    """Return the inputs of a run that changed while it was being solved."""
    return [i["file"] for i in document["manifest"]["inputs"] if i["sha256"] != i["sha256_at_end"]]
