"""A kept run checked again, without the solver that made it.

Every step's certificate is computed anew from the stored numbers; the steps must hang together; the first of them must
be the program of the kept scenario; targets, goals and values must be those of the proved solution; files and inputs
must be what they were.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kpiopt.errors import TableError
from kpiopt.graph import build_graph
from kpiopt.program.formulation.cascade import Cascade, build_cascade
from kpiopt.program.order.proof import broken_links, is_feasible, is_same_order, is_same_program
from kpiopt.program.trust.certificate import Certificate
from kpiopt.program.trust.evidence import Evidence, load_evidence
from kpiopt.runs.kept_plan import load_kept_plan
from kpiopt.runs.stored_run import EVIDENCE_FILE, StoredRun, altered_files
from kpiopt.scenario.load import load_scenario
from kpiopt.workers.versions import hash_file

SAME = 1e-9
WHOLE_GAP = 1e-8
"""A bound over whole numbers is as good as the solver reports it, and steps before may have given up 1e-9 each."""


@dataclass(frozen=True)
class Finding:
    """One thing that was checked.

    Attributes
    ----------
    what : str
    passed : bool
    detail : str
        Figures, or what is wrong.
    is_input : bool
        Whether it is about the planner's files as they are now, and not about the run itself.
    """

    what: str
    passed: bool
    detail: str = ""
    is_input: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"check": self.what, "passed": self.passed, "detail": self.detail}


def verify_run(run: StoredRun) -> tuple[Finding, ...]:
    """Check a kept run again.

    Parameters
    ----------
    run : StoredRun

    Returns
    -------
    tuple of Finding
        Everything that was checked, whether or not it passed.
    """
    altered = [*run.damage, *altered_files(run)]
    if altered:
        return (Finding("files are as they were written", False, ", ".join(dict.fromkeys(altered))),)
    try:
        evidence = load_evidence(run.folder / EVIDENCE_FILE)
    except TableError as error:
        return (Finding("evidence can be read", False, error.problems[0].message),)
    return (
        Finding("files are as they were written", True, f"{len(run.manifest['files'])} files"),
        *_steps(evidence),
        *_program(run, evidence),
        *_inputs(run),
    )


def _steps(evidence: tuple[Evidence, ...]) -> Iterator[Finding]:
    """Compute every certificate anew."""
    for step in evidence:
        certificate = step.verify()
        figures = f"residual {certificate.primal_residual:.1e}, gap {certificate.relative_gap:.1e}"
        yield Finding(f"step {step.label} is proved", _is_proved(step, certificate), figures)
    broken = broken_links(evidence)
    yield Finding("no step takes away what an earlier one leaves", not broken, ", ".join(broken))


def _is_proved(step: Evidence, found: Certificate) -> bool:
    if step.kind != "whole":
        return found.passed
    return found.primal_residual <= SAME and found.integrality <= SAME and found.relative_gap <= WHOLE_GAP


def _program(run: StoredRun, evidence: tuple[Evidence, ...]) -> Iterator[Finding]:
    """Compare the evidence with the program of the kept scenario, and the answer with the evidence."""
    scenario = load_scenario(run.folder / "scenario.toml")
    chain = [step for step in evidence if step.kind in ("optimal", "closest")]
    cascade = build_cascade(build_graph(scenario))
    x = chain[-1].x[: cascade.program.n_columns]
    if scenario.rules is None:
        arrays = cascade.program.arrays()
        yield Finding("the proof is about the program of the scenario", is_same_program(chain[0].arrays, arrays))
        yield Finding("the solution keeps all limits", is_feasible(arrays, x))
    else:
        yield Finding("the scenario's rules file was not run", True, "its rows are checked as they were stored")
    yield Finding("its objectives are the scenario's, in their order", is_same_order(evidence, cascade.program))
    yield _targets_agree(run, cascade, x)
    yield _values_agree(run, chain)
    yield _goals_agree(run, cascade, x)


def _targets_agree(run: StoredRun, cascade: Cascade, x: np.ndarray[Any, np.dtype[np.float64]]) -> Finding:
    """Compare the stretches of the targets table with the proved solution."""
    kept, columns = load_kept_plan(run), cascade.columns
    pairs = (kept.stretch, columns.stretch_of_cells(x)), (kept.levels, columns.level.of(x))
    return Finding("targets are those of the solution", all(_close(a, b) for a, b in pairs))


def _values_agree(run: StoredRun, chain: list[Evidence]) -> Finding:
    """Compare the steps' values in the answer with what was proved."""
    claimed = [float(step["value"]) for step in run.document["steps"]]
    proved = [step.verify().objective for step in chain]
    same = len(claimed) == len(proved) and _close(np.array(claimed), np.array(proved))
    return Finding("values of the steps are those that were proved", same)


def _goals_agree(run: StoredRun, cascade: Cascade, x: np.ndarray[Any, np.dtype[np.float64]]) -> Finding:
    """Compare the plan values of the goals with the solution's."""
    graph, columns = cascade.graph, cascade.columns
    change = graph.expected_change(columns.stretch_of_cells(x), columns.level.of(x))
    plan = {
        goal.id: float(graph.baseline[node] + change[node])
        for goal, node in zip(columns.goals, columns.goal_node.tolist(), strict=True)
    }
    claimed = {entry["goal"]: float(entry["plan"]) for entry in run.document["goals"]}
    same = plan.keys() == claimed.keys() and all(_close(plan[g], claimed[g]) for g in plan)
    return Finding("plan values of the goals are those of the solution", same)


def _close(first: Any, second: Any) -> bool:
    first, second = np.asarray(first), np.asarray(second)
    return first.shape == second.shape and bool(
        np.all(np.abs(first - second) <= SAME * np.maximum(1.0, np.abs(second)))
    )


def _inputs(run: StoredRun) -> Iterator[Finding]:
    """Hash the planner's files again; what is not there any more is only said."""
    folder = Path(run.manifest.get("working_folder", "."))
    present = {entry["file"]: (hash_file(folder / entry["file"]), entry["sha256"]) for entry in run.manifest["inputs"]}
    changed = [file for file, (now, then) in present.items() if now is not None and now != then]
    gone = [file for file, (now, _) in present.items() if now is None]
    detail = ", ".join([*(f"{file} has changed" for file in changed), *(f"{file} is not there" for file in gone)])
    yield Finding("the scenario's files are those that were solved", not changed, detail, is_input=True)
