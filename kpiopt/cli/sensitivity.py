"""`kpiopt sensitivity`: what a plan hinges on."""

from __future__ import annotations

import math
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, TypeVar

import typer

from kpiopt.cli.arguments import (
    NO_LIMIT,
    AllowCode,
    AsJson,
    ExecutorName,
    Overrides,
    ScenarioPath,
    TimeLimit,
    Variants,
    Workers,
    joined,
)
from kpiopt.cli.failure import end_with_gaps
from kpiopt.cli.signals import command_deadline, mark_certified
from kpiopt.cli.solve import read_scenario
from kpiopt.cli.terminal import print_answer, print_json, showing_progress
from kpiopt.errors import Problem, UsageError

T = TypeVar("T")


class Method(StrEnum):
    """How inputs are varied."""

    TORNADO = "tornado"
    MORRIS = "morris"
    SOBOL = "sobol"


class Kind(StrEnum):
    """Which inputs a tornado moves."""

    UNCERTAIN = "uncertain"
    LIMIT = "limit"
    GOAL = "goal"
    ASSUMPTION = "assumption"


def sensitivity(
    scenario: ScenarioPath,
    output: Annotated[
        str | None,
        typer.Option("--output", metavar="WHAT", help="odds, odds:GOAL, shortfall, shortfall:GOAL, pay or kpi:KPI."),
    ] = None,
    method: Annotated[
        list[Method] | None,
        typer.Option("--method", help="tornado (the usual), morris screening, sobol indices. May be repeated."),
    ] = None,
    kinds: Annotated[
        list[Kind] | None, typer.Option("--kind", help="Inputs that the tornado moves; all kinds by default.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--input", metavar="PATH", help="Only this input, or a pattern as factor.*.")
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--change", metavar="PATH=LOW:HIGH", help="Move an input between these values."),
    ] = None,
    groups: Annotated[
        list[str] | None,
        typer.Option("--group", metavar="NAME=A,B", help="Uncertain quantities that morris and sobol take together."),
    ] = None,
    break_even: Annotated[
        list[str] | None,
        typer.Option("--break-even", metavar="PATH", help="How far this number may move before the plan changes."),
    ] = None,
    ends: Annotated[
        str | None, typer.Option("--range", metavar="LOW:HIGH", help="Range that --break-even searches.")
    ] = None,
    alternatives: Annotated[
        float | None,
        typer.Option("--alternatives", metavar="SLACK", min=0.0, help="Nearly as good plans, as 0.01 for 1 %."),
    ] = None,
    information: Annotated[
        bool, typer.Option("--information", help="What knowing an uncertain input before planning is worth.")
    ] = False,
    draws: Annotated[
        int | None, typer.Option("--draws", metavar="N", min=32, max=10**7, help="Draws; 4,096 by default.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", metavar="N", min=0, max=2**63 - 1, help="Seed.")] = None,
    variants: Variants = None,
    overrides: Overrides = None,
    time_limit: TimeLimit = NO_LIMIT,
    executor: ExecutorName = None,
    workers: Workers = None,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Find what a plan hinges on: every input moved, with the plan as it is and with the plan made anew."""
    deadline = command_deadline(time_limit)
    from kpiopt.program.solver.answer import SolverOptions
    from kpiopt.scenario.load import FileReader
    from kpiopt.studies.sensitivity.moves import KINDS  # the solver and numpy
    from kpiopt.studies.sensitivity.study import SensitivityQuestion, study_sensitivity
    from kpiopt.workers.executor import choose_executor

    asked = bool(break_even or alternatives is not None or information)
    methods = tuple(m.value for m in method or ([] if asked else [Method.TORNADO]))
    place = choose_executor(executor, workers)
    question = SensitivityQuestion(
        output=output,
        methods=methods,
        kinds=tuple(k.value for k in kinds) if kinds else KINDS,
        only=tuple(only or ()),
        changes=_once("--change", (_read_change(text) for text in changes or ())),
        groups=_once("--group", (_read_group(text) for text in groups or ())),
        break_even=tuple(break_even or ()),
        ends=None if ends is None else _read_range(ends, f"--range {ends}"),
        slack=alternatives,
        information=information,
        draws=draws,
        seed=seed,
    )
    question.require_use()
    checked, _ = read_scenario(scenario, joined(variants), list(overrides or ()))
    with showing_progress("studying") as progress:
        found = study_sensitivity(
            checked,
            question,
            FileReader(scenario, joined(variants), tuple(overrides or ())),
            SolverOptions(deadline=deadline),
            allow_code=allow_code,
            progress=progress,
            executor=place,
        )
    mark_certified()
    if as_json:
        from kpiopt.studies.sensitivity.sensitivity_answer import sensitivity_as_dict

        print_json(sensitivity_as_dict(found))
    else:
        from kpiopt.report.sensitivity import render_sensitivity  # rich

        print_answer(render_sensitivity(found))
    end_with_gaps(found.tornado.gaps if found.tornado else ())


def _once(option: str, pairs: Iterable[tuple[str, T]]) -> dict[str, T]:
    """Return pairs by name; a name that is given twice is refused."""
    found: dict[str, T] = {}
    for name, value in pairs:
        if name in found:
            raise UsageError(Problem("E-usage", f"{option} is given twice for {name}", fix="keep one of them"))
        found[name] = value
    return found


def _read_change(text: str) -> tuple[str, tuple[float, float]]:
    path, mark, values = text.rpartition("=")
    if not mark or not path.strip():
        raise _not_read("--change", text, "PATH=LOW:HIGH, such as budget.pay.limit=600000:800000")
    return path.strip(), _read_range(values, f"--change {text}")


def _read_range(text: str, where: str) -> tuple[float, float]:
    """Read "low:high"."""
    try:
        low, high = (float(part) for part in text.split(":"))
    except ValueError:
        raise _not_read(where, text, "LOW:HIGH, such as 0.2:0.4") from None
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise _not_read(where, text, "two finite numbers, the lower one first")
    return low, high


def _read_group(text: str) -> tuple[str, list[str]]:
    name, mark, members = text.partition("=")
    listed = [member.strip() for member in members.split(",") if member.strip()]
    if not mark or not name.strip() or not listed:
        raise _not_read("--group", text, "NAME=A,B, such as market=factor.market,factor.wages")
    return name.strip(), listed


def _not_read(where: str, text: str, rule: str) -> UsageError:
    return UsageError(Problem("E-usage", f"cannot read {text!r} ({where})", rule=f"write {rule}"))
