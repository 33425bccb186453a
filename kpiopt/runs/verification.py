"""A kept run checked again.

Every step's certificate is computed anew from the stored numbers, without the solver that made it; the steps must hang
together; the first of them must be the program of the kept scenario; everything that is published must follow from the
proved solution; files and inputs must be what they were. Times, the machine and the command are records that nothing
proves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kpiopt.errors import KpioptError, TableError
from kpiopt.graph import build_graph
from kpiopt.program.formulation.blocks import as_read
from kpiopt.program.formulation.cascade import Cascade, build_cascade
from kpiopt.program.formulation.variants import Alone, other_cascades, with_variants
from kpiopt.program.order.proof import check_proof, proved_values
from kpiopt.program.trust.arrays import Floats
from kpiopt.program.trust.evidence import Evidence, load_evidence
from kpiopt.program.trust.tolerances import SAME_AGAIN
from kpiopt.runs.kept_cuts import held_to
from kpiopt.runs.kept_plan import load_kept_plan
from kpiopt.runs.question import digest_of, run_name
from kpiopt.runs.stored_run import (
    EVIDENCE_FILE,
    OF_ANOTHER_KIND,
    SUMMARY_FILE,
    StoredRun,
    altered_files,
    is_run_name,
    read_run_file,
)
from kpiopt.scenario.load import load_scenario
from kpiopt.scenario.scenario import Scenario
from kpiopt.workers.job import SERIAL, Executor
from kpiopt.workers.versions import hash_file

if TYPE_CHECKING:
    from kpiopt.run.run import Run
    from kpiopt.runs.recomputation import Told

RISK = "what odds cost is about this plan"
PROMISES = "the rows of promised odds are what their draws say"
SHOWN = 5
"""How many differences of one file are spelled out."""
WRITTEN = ("scenario.toml", "targets.csv", "targets.parquet", "goals.csv", "limits.csv", "odds.csv", "initiatives.csv",
           "certificate.json", EVIDENCE_FILE, SUMMARY_FILE)  # fmt: skip
"""What every run holds."""


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


def verify_run(
    run: StoredRun | Run, told: Told, *, executor: Executor = SERIAL, allow_code: bool = False
) -> tuple[Finding, ...]:
    """Check a kept run again; of one in memory the proof is checked, and that the plan follows from it.

    Parameters
    ----------
    told : Told
        How a run is told, as it is kept.
    executor : Executor
        Who draws the odds again.
    allow_code : bool
        Whether the scenario's rules file may be run; without it what follows from its rules is left unchecked.

    Returns
    -------
    tuple of Finding
        Everything that was checked, whether or not it passed.
    """
    if not isinstance(run, StoredRun):
        return _verify_in_memory(run)
    try:
        proved = verify_proof(run)
        if not all(finding.passed for finding in proved):
            return (*proved, *_inputs(run)) if run.is_complete else proved
        return (*proved, *_recomputed(run, told, executor, allow_code=allow_code), *_inputs(run))
    except OF_ANOTHER_KIND:
        return (
            Finding("the run's documents can be read", False, "a value is missing, or of another kind than written"),
        )


def verify_proof(run: StoredRun) -> tuple[Finding, ...]:
    """Check files, certificates and the program of a kept run, without any solver."""
    altered = [*run.damage, *altered_files(run)]
    if altered:
        more = f" ({run.reason})" if run.reason else ""
        return (Finding("files are as they were written", False, ", ".join(dict.fromkeys(altered)) + more),)
    missing = [name for name in WRITTEN if name not in run.manifest["files"]]
    if missing:
        return (Finding("all files are listed", False, ", ".join(missing)),)
    try:
        evidence = load_evidence(run.folder / EVIDENCE_FILE)
        scenario = load_scenario(run.folder / "scenario.toml")
        has_rules = scenario.rules is not None
        claimed = {(e["variant"], e["step"]): float(e["alone"]) for e in run.document.get("robust") or ()}
        cascade, wrong = _judged_in_variants(scenario, claimed), None
        if cascade.promises and not has_rules:
            cascade, wrong = held_to(cascade, run.folder)
            wrong += _found_and_lost(run)
        return (
            Finding("files are as they were written", True, f"{len(run.manifest['files'])} files"),
            _question(run, scenario),
            _unchanged(run),
            *([] if wrong is None else [Finding(PROMISES, not wrong, "; ".join(wrong[:SHOWN]))]),
            *(Finding(*found) for found in check_proof(evidence, cascade.program, has_rules=has_rules)),
        )
    except TableError as error:
        return (Finding("evidence can be read", False, error.problems[0].message),)
    except KpioptError as error:
        return (Finding("the kept scenario can be read", False, error.problems[0].message),)


def _found_and_lost(run: StoredRun) -> list[str]:
    """Return what is wrong with the step "odds": the odds that it found are those of the plan."""
    said = [e for e in run.document.get("promises") or () if e["promise"] == "odds" and not e["kept"]]
    return ["the plan does not have the odds that the step 'odds' found" for e in said if float(e["planned"]) > 0.0]


def _judged_in_variants(scenario: Scenario, claimed: Alone) -> Cascade:
    """Return the program with the variants of a robust plan, by what these are claimed to have for themselves."""
    cascade = build_cascade(build_graph(scenario))
    return with_variants(cascade, other_cascades(cascade), claimed)


def _named(scenario: Scenario, run: StoredRun) -> Scenario:
    """Return the kept scenario under the name of its variant, a record: a resolved scenario has no variants left."""
    variant = run.manifest.get("variant")
    return replace(scenario, variant=variant) if isinstance(variant, str) else scenario


def _question(run: StoredRun, scenario: Scenario) -> Finding:
    """Compute the digest of the question again: it names the run, and covers scenario, inputs, versions and options."""
    files, manifest = run.manifest["files"], run.manifest
    inputs = {name: entry["sha256"] for name, entry in files.items() if name.startswith("inputs/")}
    toml = read_run_file(run.folder / "scenario.toml").decode("utf-8", "replace")
    digest = digest_of(toml, inputs, manifest["versions"], manifest["settings"])
    copies = {entry["copy"]: entry["sha256"] for entry in manifest["inputs"] if entry.get("copy")}
    late = any(part["what"] == "odds" for part in run.document.get("not_done") or [])
    simulates = manifest["settings"].get("simulate") is (run.document.get("simulation") is not None or late)
    same = (digest, run_name(scenario.name, digest), inputs) == (manifest["digest"], run.document["run"], copies)
    is_named = run.name == run.document["run"] or not is_run_name(run.name)
    return Finding("the run bears the name of its question", same and simulates and is_named)


def _unchanged(run: StoredRun) -> Finding:
    """No run is published whose inputs changed while it was solved; one that says so was written by somebody else."""
    changed = [str(i["file"]) for i in run.manifest["inputs"] if i.get("sha256_at_end") != i["sha256"]]
    return Finding("no input changed while it was solved", not changed, ", ".join(changed))


def _recomputed(run: StoredRun, told: Told, executor: Executor, *, allow_code: bool) -> Iterator[Finding]:
    """Compute all that is published from the proof and compare."""
    from kpiopt.run.program import write_program
    from kpiopt.runs.kept_risk import risk_differences
    from kpiopt.runs.recomputation import differences, recompute_run  # brings the solver along

    evidence = load_evidence(run.folder / EVIDENCE_FILE)
    scenario = _named(load_scenario(run.folder / "scenario.toml"), run)
    if scenario.rules is not None and not allow_code:
        yield Finding("the scenario's rules file was not run", True, "its rows are checked as they were stored")
        unruled = replace(scenario, rules=None)
        yield from _plan_only(run, write_program(build_graph(unruled), allow_code=False), evidence)
        return
    try:
        cascade = write_program(build_graph(scenario), allow_code=allow_code)
        cascade, wrong = held_to(cascade, run.folder)
        found = recompute_run(run, cascade, evidence, executor)
    except KpioptError as error:
        yield Finding("the run follows from its proof", False, error.problems[0].message)
        return
    if (told_risk := risk_differences(run.folder, found)) is not None:
        yield Finding(RISK, not told_risk, "; ".join(told_risk[:SHOWN]))
    if scenario.rules is not None and cascade.promises:
        yield Finding(PROMISES, not wrong, "; ".join(wrong[:SHOWN]))
    for what, wrong in differences(run, found, told):
        more = f" and {len(wrong) - SHOWN:,} more" if len(wrong) > SHOWN else ""
        yield Finding(f"{what} follows from the proof", not wrong, "; ".join(wrong[:SHOWN]) + more)


def _verify_in_memory(run: Run) -> tuple[Finding, ...]:
    """Check a run that is not kept, without any solver: its proof, and that plan and goals follow from it.

    Rows of a rules file and of promised odds are checked as the run holds them.
    """
    from kpiopt.program.order.proof import gather_evidence

    alone = {(variant.variant, variant.step): variant.alone for variant in run.variants}
    cascade = _judged_in_variants(run.scenario, alone)
    program = run.cascade.program if cascade.promises else cascade.program
    evidence = gather_evidence(run.cascade.program, run.solution)
    proved = check_proof(evidence, program, has_rules=run.scenario.rules is not None)
    claimed = [step.value for step in run.solution.steps], [goal.plan for goal in run.goals]
    return (
        *(Finding(*found) for found in proved),
        *_follows(cascade, evidence, (run.plan.stretch, run.plan.levels), *claimed),
    )


def _plan_only(run: StoredRun, cascade: Cascade, evidence: tuple[Evidence, ...]) -> Iterator[Finding]:
    """Compare the decisions with the proved solution, where the program has rows that are not made again."""
    kept = load_kept_plan(run)
    claimed = [as_read(s["step"], float(s["value"])) for s in run.document["steps"]]
    plans = [goal["plan"] for goal in run.document["goals"]]
    return _follows(cascade, evidence, (kept.stretch, kept.levels), claimed, plans)


def _follows(
    cascade: Cascade, evidence: tuple[Evidence, ...], decided: tuple[Floats, Floats], claimed: list[float],
    plans: list[float],
) -> Iterator[Finding]:  # fmt: skip
    """Compare decisions (stretch and levels), values of steps and plan values of goals with the proved solution."""
    chain = [step for step in evidence if step.kind in ("optimal", "closest")]
    x, columns = chain[-1].x[: cascade.program.n_columns], cascade.columns
    pairs = zip(decided, (columns.stretch_of_cells(x), columns.level.of(x)), strict=True)
    yield Finding("targets are those of the solution", all(_close(a, b) for a, b in pairs))
    proved = proved_values(evidence)
    same = len(claimed) == len(proved) and _close(np.array(claimed), np.array(proved))
    yield Finding("values of the steps are those that were proved", same)
    graph = cascade.graph
    change = graph.expected_change(columns.stretch_of_cells(x), columns.level.of(x))
    plan = (graph.baseline + change)[columns.goal_node]
    same = _close(np.array(plans), plan)
    yield Finding("plan values of the goals are those of the solution", same)


def _close(first: Any, second: Any) -> bool:
    first, second = np.asarray(first), np.asarray(second)
    return first.shape == second.shape and bool(
        np.all(np.abs(first - second) <= SAME_AGAIN * np.maximum(1.0, np.abs(second)))
    )


def _inputs(run: StoredRun) -> Iterator[Finding]:
    """Hash the planner's files again; what is not there any more is only said."""
    folder = Path(run.manifest.get("working_folder", "."))
    present = {entry["file"]: (hash_file(folder / entry["file"]), entry["sha256"]) for entry in run.manifest["inputs"]}
    changed = [file for file, (now, then) in present.items() if now is not None and now != then]
    gone = [file for file, (now, _) in present.items() if now is None]
    detail = ", ".join([*(f"{file} has changed" for file in changed), *(f"{file} is not there" for file in gone)])
    of_what = "those of the scenario's files that are there" if gone else "the scenario's files"
    yield Finding(f"{of_what} are those that were solved", not changed, detail, is_input=True)
