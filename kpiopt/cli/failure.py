"""How a failed command ends: the message on stderr, or one JSON document on stdout, and the documented exit code."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress

import typer

from kpiopt.cli.terminal import DOCUMENT, json_text, print_json, say, say_problems
from kpiopt.errors import (
    ExitCode,
    KpioptError,
    OutputError,
    Problem,
    UsageError,
    as_known_error,
    printable,
    problem_as_dict,
)

# The root of the parser's own errors. Typer brings its parser along in some versions and imports it in others, so the
# class is found as an ancestor of the one that Typer itself exports.
PARSER_ERROR: type[Exception] = typer.BadParameter.__mro__[2]

UNDELIVERED = (errno.EPIPE, errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO)
"""What a stream says that takes no more: whoever writes to it first, a command or the parser, learns of it."""

NO_PLACE = (errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ELOOP)
"""What the system says of a name that is no place: it may not be looked at, is too long, or a link in a circle."""

_STATUS = {ExitCode.INFEASIBLE: "infeasible", ExitCode.UNBOUNDED: "unbounded"}
_STOPPED = {ExitCode.INTERRUPTED: "interrupted", ExitCode.TERMINATED: "terminated"}


def end_with_gaps(gaps: Sequence[Problem]) -> None:
    """Say what failed of a study whose other answers stand, and end with exit code 9; nothing where nothing did."""
    if gaps:
        say_problems(gaps)
        raise typer.Exit(int(ExitCode.PARTIAL))


def end_with(error: Exception, arguments: Sequence[str], *, debug: bool) -> ExitCode:
    """Report an error the way the command line asked for it.

    Parameters
    ----------
    arguments : sequence of str
        The words of the command line; `--json` among them asks for JSON.
    debug : bool
        Whether to show the traceback as well.

    Returns
    -------
    ExitCode
    """
    if debug:
        traceback.print_exception(error)
    known = _as_known_error(error)
    cause = error.__cause__ or error
    if isinstance(cause, OSError) and cause.errno in UNDELIVERED:
        _drop_stdout()
    if isinstance(cause, BrokenPipeError):  # `kpiopt … | head` has what it wanted
        return known.exit_code
    if "--json" in arguments:
        print_json(error_document(known))
    else:
        say_problems(known.problems)
        _say_usage(error)
    return known.exit_code


def _as_known_error(error: Exception) -> KpioptError:
    """Return the error in kpiopt's own tree; the parser's are about usage."""
    if isinstance(error, PARSER_ERROR):
        return UsageError(Problem("E-usage", error.format_message()))  # type: ignore[attr-defined]
    if isinstance(error, OSError) and error.filename is None and error.errno in UNDELIVERED:
        return OutputError(Problem("E-output", f"the answer cannot be written: {error.strerror}"))
    if isinstance(error, OSError) and error.errno in NO_PLACE and error.filename is not None:
        place = printable(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else error.filename
        fix = "check its name and the permissions of it and of its folder, or choose another"
        return OutputError(Problem("E-output", f"{place} may not be read or written: {error.strerror}", fix=fix))
    return as_known_error(error)


def error_document(error: KpioptError) -> dict[str, object]:
    """Return the JSON form of an error: schema kpiopt.error/1."""
    return {
        "schema": "kpiopt.error/1",
        "status": _STATUS.get(error.exit_code, "error"),
        "exit_code": int(error.exit_code),
        "count": sum(p.is_error for p in error.problems),
        "problems": [problem_as_dict(p) for p in error.problems],
        **({"diagnosis": error.details} if error.details else {}),
    }


def interruption_document(code: ExitCode) -> dict[str, object]:
    """Return the JSON form of an interruption: schema kpiopt.error/1."""
    status = _STOPPED[code]
    problem = Problem(f"E-{status}", f"the command was {status}", rule="what is finished is kept", fix="run it again")
    return {
        "schema": "kpiopt.error/1",
        "status": status,
        "exit_code": int(code),
        "count": 1,
        "problems": [problem_as_dict(problem)],
    }


def say_interrupted(arguments: Sequence[str], code: ExitCode) -> None:
    """Print the document of an interruption, where one was asked for and none is printed yet; straight to the stream.

    The main thread may be deep in compiled code, and whoever read the stream may be gone.
    """
    if "--json" in arguments and DOCUMENT.claim():
        with suppress(OSError, ValueError):
            sys.stdout.write(json_text(interruption_document(code)))
            sys.stdout.flush()


def _say_usage(error: Exception) -> None:
    """Point to the help of the command that was used wrongly."""
    context = getattr(error, "ctx", None)
    if context is not None:
        say(f"    see:  {context.command_path} --help")


def _drop_stdout() -> None:
    """Point stdout nowhere: flushing it once more at exit would only repeat the complaint."""
    if sys.stdout is not None and sys.stdout is sys.__stdout__:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)
