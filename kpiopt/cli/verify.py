"""`kpiopt verify`: a kept run checked again without the solver."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpiopt.cli.arguments import (
    DEFAULT_RUNS,
    NO_LIMIT,
    AllowCode,
    AsJson,
    ExecutorName,
    RunName,
    RunsFolder,
    TimeLimit,
    Workers,
)
from kpiopt.cli.signals import command_deadline
from kpiopt.cli.terminal import print_json, print_lines
from kpiopt.deadline import ended_by
from kpiopt.errors import InputError, KpioptError, Problem, Uncertified, printable
from kpiopt.report.page.kept_files import summary_text, workbook_of

if TYPE_CHECKING:
    from kpiopt.runs.stored_run import StoredRun
    from kpiopt.runs.verification import Finding


def verify(
    run: RunName,
    out: RunsFolder = DEFAULT_RUNS,
    executor: ExecutorName = None,
    workers: Workers = None,
    time_limit: TimeLimit = NO_LIMIT,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Check a run again: its proof without the solver, all that it publishes from the proof, its inputs as they are."""
    deadline = command_deadline(time_limit)
    from kpiopt.runs.recomputation import Told
    from kpiopt.runs.store import RunStore
    from kpiopt.runs.stored_run import require_readable
    from kpiopt.runs.verification import verify_run  # numpy and scipy
    from kpiopt.workers.executor import choose_executor

    place = choose_executor(executor, workers)
    stored = RunStore(out).find(run)
    require_readable(stored)
    with ended_by(deadline, "the run was verified"):
        findings = verify_run(stored, Told(summary_text, workbook_of), executor=place, allow_code=allow_code)
    failed = [finding for finding in findings if not finding.passed]
    if failed:
        raise _failure(failed, stored)
    if as_json:
        checks = [finding.as_dict() for finding in findings]
        print_json({"schema": "kpiopt.verify/1", "run": stored.name, "passed": True, "checks": checks})
    else:
        print_lines(_line(finding) for finding in findings)
        print_lines([f"{stored.name}: verified"])


def _line(finding: Finding) -> str:
    return printable(f"  ok  {finding.what}" + (f" ({finding.detail})" if finding.detail else ""))


def _other_versions(stored: StoredRun) -> str:
    """Name what made a run and is another now; empty where nothing is, or where it does not say."""
    from kpiopt.workers.versions import installed_versions

    made, now = stored.manifest.get("versions"), installed_versions()
    if not isinstance(made, dict):
        return ""
    changed = [name for name in now if name in made and made[name] != now[name]]
    return ", ".join({"code": "kpiopt's code"}.get(name, name) for name in changed)


def _failure(failed: list[Finding], stored: StoredRun) -> KpioptError:
    """Return the error for what failed: the run's own faults weigh more than files that have changed since."""
    fix = "solve its scenario again"
    if other := _other_versions(stored):
        fix = f"it was made by other versions ({other}), which may tell some of it otherwise: verify it there, or {fix}"
    own = [finding for finding in failed if not finding.is_input]
    if own:
        return Uncertified(
            *(
                Problem(
                    "E-verify",
                    f"not so: {finding.what}" + (f" ({finding.detail})" if finding.detail else ""),
                    rule="a run is trusted as far as it can be checked",
                    fix=fix,
                )
                for finding in own
            )
        )
    return InputError(
        *(
            Problem(
                "E-input-changed",
                f"the run is in order, but it answers other files: {finding.detail}",
                rule="a run answers its inputs as they were; their copies stand in the run folder",
                fix="solve the scenario as it is now",
            )
            for finding in failed
        )
    )
