"""The application: its commands, `--version`, `--debug`, and what happens when a command ends."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import copy
from functools import cache, partial
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from inspect import getdoc
from types import ModuleType
from typing import Annotated, NoReturn

import typer

from kpiopt import __version__
from kpiopt.cli import (
    check,
    compare,
    explain,
    export,
    learning,
    runs,
    sensitivity,
    simulate,
    solve,
    start,
    sweep,
    verify,
)
from kpiopt.cli.failure import end_with, say_interrupted
from kpiopt.cli.output import report, strategy_map
from kpiopt.cli.signals import handled_signals, run_guarded, stopped_by
from kpiopt.cli.terminal import DOCUMENT, open_missing_streams, write_in_any_encoding
from kpiopt.errors import ExitCode, KpioptError

YOUNG_OBJECTS = 50_000
"""New objects before the collector of garbage looks: a start makes that many that stay; looking took a tenth of it."""

NOT_AT_ONCE = frozenset({"numpy.f2py", "numpy.polynomial", "numpy.testing"})

EPILOG = (
    "Exit codes: 0 done and certified, 1 internal error, 2 usage, 3 input, 4 infeasible, 5 unbounded, "
    "6 not certified, 7 limit reached, 8 output, 9 sweep or batch partly failed, 10 run folder in use, "
    "130 interrupted, 143 terminated."
)

app = typer.Typer(
    name="kpiopt",
    help="Allocate targets down an organization: certified plans, honest odds.",
    epilog=EPILOG,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"kpiopt {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def entry(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error (after any command).")] = False,
) -> None:
    """Allocate targets down an organization: certified plans, honest odds."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(int(ExitCode.USAGE))


app.command("init")(start.init)
app.command("convert")(start.convert)
app.command("check")(check.check)
app.command("solve")(solve.solve)
app.command("compare")(compare.compare)
app.command("sweep")(sweep.sweep)
app.command("sensitivity")(sensitivity.sensitivity)
app.command("simulate")(simulate.simulate)
app.command("explain")(explain.explain)
app.command("map")(strategy_map.strategy_map)
app.command("report")(report.report)
app.command("verify")(verify.verify)
app.command("fit")(learning.fit)
app.command("backtest")(learning.backtest)
app.add_typer(runs.runs)
app.command("export")(export.export)
app.command("schema")(start.schema)


@cache
def _command_of(word: str) -> Callable[..., object]:
    """Put the application together with the command that is asked for alone, or whole; all takes half of a help."""
    part = copy(app)
    part.registered_commands = [command for command in app.registered_commands if command.name == word]
    part.registered_groups = []
    return typer.main.get_command(part if part.registered_commands else app if word else _outline(app)).main


def _outline(whole: typer.Typer) -> typer.Typer:
    """Return an application whose commands have what its help shows of them: their names and what they are for."""
    outline = copy(whole)
    outline.registered_commands = [copy(command) for command in whole.registered_commands]
    outline.registered_groups = [copy(group) for group in whole.registered_groups]
    for command in outline.registered_commands:
        command.help, command.callback = getdoc(command.callback), _leave_out
    for group in outline.registered_groups:
        group.typer_instance = group.typer_instance and _outline(group.typer_instance)
    return outline


def _leave_out() -> None:
    """Stand for a command in an outline, which runs none."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments : sequence of str, optional
        The words after `kpiopt`; those of the process by default.

    Returns
    -------
    int
        The exit code; see `kpiopt.errors.ExitCode`.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug, interrupted = "--debug" in words, partial(say_interrupted, words)
    DOCUMENT.begin()
    try:
        with handled_signals(interrupted):
            code = _run([word for word in words if word != "--debug"], debug=debug)
    except KeyboardInterrupt:
        code = int(ExitCode.INTERRUPTED)
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(ExitCode.INTERNAL)
    if code in (ExitCode.INTERRUPTED, ExitCode.TERMINATED):
        interrupted(ExitCode(code))
    return code


class _PutOff(MetaPathFinder):
    """Let numpy's side rooms load when they are used: scipy names all of them at its start, which takes longer than it.

    Most of that is `numpy.f2py`, a translator of Fortran.
    """

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        found = PathFinder.find_spec(name, path, target) if name in NOT_AT_ONCE else None
        if found is not None and found.loader is not None:
            found.loader = LazyLoader(found.loader)
        return found


def console() -> NoReturn:
    """Run the words of the process and end it.

    After an interruption the process ends at once: a solver's thread that still runs while the interpreter is taken
    apart would abort it, and the exit code would not be the documented one.
    """
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # plans are read alike wherever kpiopt is installed
    sys.meta_path.insert(0, _PutOff())
    gc.set_threshold(YOUNG_OBJECTS)
    open_missing_streams()
    write_in_any_encoding()
    code = run_guarded(main, sys.argv[1:])
    if code in (ExitCode.INTERRUPTED, ExitCode.TERMINATED):
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
    sys.exit(code)


def _run(words: list[str], *, debug: bool) -> int:
    """Parse and run; every error that is not an interruption becomes a message and an exit code."""
    try:
        word = next((word for word in words if not word.startswith("-")), "")
        code = _command_of(word)(args=words, prog_name="kpiopt", standalone_mode=False, obj=words)
        sys.stdout.flush()
        return code if isinstance(code, int) else int(ExitCode.OK)
    except Exception as error:
        code = None if isinstance(error, KpioptError) else stopped_by()
        return int(end_with(error, words, debug=debug) if code is None else code)
