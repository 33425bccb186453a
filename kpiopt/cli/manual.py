"""The manual of the command line, written from the application itself: `python -m kpiopt.cli.manual > docs/cli.md`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer

from kpiopt.cli.app import app
from kpiopt.errors import ExitCode

MEANING = {
    ExitCode.OK: "done and certified",
    ExitCode.INTERNAL: "internal error: a fault of kpiopt",
    ExitCode.USAGE: "usage: the command line asks for something that does not exist",
    ExitCode.INPUT: "input: the scenario or a table breaks a rule",
    ExitCode.INFEASIBLE: "infeasible, proved",
    ExitCode.UNBOUNDED: "unbounded, proved",
    ExitCode.UNCERTIFIED: "not certified: nothing is published",
    ExitCode.LIMIT: "time or memory limit reached",
    ExitCode.OUTPUT: "output cannot be written",
    ExitCode.PARTIAL: "some points of a sweep, or scenarios of a batch, failed or missed their threshold",
    ExitCode.LOCKED: "the run folder is in use",
    ExitCode.INTERRUPTED: "interrupted (Ctrl-C)",
    ExitCode.TERMINATED: "terminated (SIGTERM)",
}

INTRODUCTION = """# Command line

`kpiopt` and `python -m kpiopt` are the same. stdout carries the answer, stderr the talk; `--json` prints exactly one
JSON document on stdout, also for errors (`kpiopt.error/1`). Progress is shown on a terminal only; `NO_COLOR` is
honoured. `--debug` after any command shows the traceback of an error.

`--time-limit SECONDS` is a promise for the whole command: reading, steps, prices, diagnosis, odds and studies share one
deadline. Where no certified plan came in the time nothing is published (exit code 7). Where the plan is certified but
prices or odds were cut short the command ends with 0 and says what is missing, such as "the odds are from 4,096 of
16,384 draws: the time was up", on the terminal and as `not_done` in the JSON; such an answer is kept, and not taken for
the answer to the same question later. A sweep keeps the points that were reached (exit code 9), and the same command
goes on from there. A proof that there is no plan stands (exit code 4) although its repair was not found in the time.
`simulate` tells the odds from the draws that were done, `explain` leaves out what asking less would mean, `report
--study` draws what was found; `verify`, `fit` and `backtest` answer whole or not at all (exit code 7). The limit counts
from the start of the process. Work that stands still is ended 1.5 s after it; a certified plan has longer to be written
down.
"""


def commands() -> dict[str, Any]:
    """Return every command of the application by its full name, in the order of its help."""
    return dict(_walk(typer.main.get_command(app), "kpiopt"))


def _walk(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    children = getattr(command, "commands", None)
    if name != "kpiopt":
        yield name, command
    for child_name, child in (children or {}).items():
        yield from _walk(child, f"{name} {child_name}")


def exit_code_table() -> str:
    """Return the exit codes as a Markdown table."""
    rows = [f"| {int(code)} | {MEANING[code]} |" for code in ExitCode]
    return "\n".join(["| exit code | meaning |", "|---|---|", *rows])


def render_manual() -> str:
    """Return `docs/cli.md`: every command with its help, arguments and options, and the exit codes."""
    parts = [INTRODUCTION, exit_code_table(), ""]
    for name, command in commands().items():
        parts += [f"## {name}", "", _one_line(command.help), "", *_parameter_lines(command)]
    return "\n".join(parts).rstrip("\n") + "\n"


def _parameter_lines(command: Any) -> Iterator[str]:
    for parameter in command.params:
        yield f"- `{_signature(parameter)}`: {_one_line(parameter.help)}"
    yield ""


def _signature(parameter: Any) -> str:
    """Return how an argument or option is written, as "SCENARIO" or "--out FOLDER"."""
    value = parameter.metavar or parameter.name.upper()
    if parameter.param_type_name == "argument":
        return str(value)
    return "/".join([*parameter.opts, *parameter.secondary_opts]) + ("" if parameter.is_flag else f" {value}")


def _one_line(text: str | None) -> str:
    return re.sub(r"\s+", " ", text or "").strip()


if __name__ == "__main__":
    typer.echo(render_manual(), nl=False)
