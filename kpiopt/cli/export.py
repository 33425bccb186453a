"""`kpiopt export`: the linear program as a file for other solvers."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from kpiopt.cli.arguments import NO_LIMIT, AllowCode, Overrides, Replace, ScenarioPath, TimeLimit, Variants, joined
from kpiopt.cli.signals import command_deadline
from kpiopt.cli.solve import read_scenario
from kpiopt.cli.terminal import print_lines, say
from kpiopt.errors import printable


class FileFormat(StrEnum):
    """Formats of the exported file."""

    LP = "lp"
    MPS = "mps"


COMMENT = {FileFormat.LP: "\\", FileFormat.MPS: "*"}
"""How a comment begins."""


def export(
    scenario: ScenarioPath,
    file_format: Annotated[
        FileFormat | None,
        typer.Option("--format", help="CPLEX LP or free MPS; by default what --out ends with, or LP."),
    ] = None,
    step: Annotated[
        str | None,
        typer.Option("--step", metavar="NAME", help="Objective, as 'goals 1' or cost; the first by default."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write to a file instead.")] = None,
    variants: Variants = None,
    overrides: Overrides = None,
    allow_code: AllowCode = False,
    time_limit: TimeLimit = NO_LIMIT,
    force: Replace = False,
) -> None:
    """Write the linear program of one step, as the steps before leave it, as LP or MPS."""
    from kpiopt.graph import build_graph  # numpy and scipy
    from kpiopt.program.formulation.exchange import export_lines
    from kpiopt.program.solver.answer import SolverOptions
    from kpiopt.run.program import write_program
    from kpiopt.run.step_program import program_of_step
    from kpiopt.runs.durable import WRITTEN_BY, require_place, write_output

    deadline = command_deadline(time_limit)
    checked, _ = read_scenario(scenario, joined(variants), list(overrides or ()))
    if out is not None:
        require_place(out, checked.files, force=force)
    options = SolverOptions(deadline=deadline)
    cascade = write_program(build_graph(checked), options, allow_code=allow_code)
    program = program_of_step(cascade, step, options)
    by_name = FileFormat.MPS if out is not None and out.suffix.lower() == ".mps" else FileFormat.LP
    file_format = file_format or by_name
    lines = export_lines(program, file_format.value, step)
    if out is None:
        print_lines(lines)
        return
    mark = f"{COMMENT[file_format]} {WRITTEN_BY} export"
    content = "".join(f"{line}\n" for line in (mark, *lines)).encode()
    write_output(out, content, checked.files, force=force)
    say(f"wrote {printable(str(out))}: {program.n_columns:,} columns, {program.n_rows:,} rows")
