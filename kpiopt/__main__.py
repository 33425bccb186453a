"""`python -m kpiopt` is the same as `kpiopt`."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from types import FrameType
from typing import NoReturn

STOPPED = (
    '{{"schema": "kpiopt.error/1", "status": "{0}", "exit_code": {1}, "count": 1, "problems": [{{"code": "E-{0}", '
    '"message": "the command was {0}", "rule": "", "fix": "run it again", "location": null, "file": null, '
    '"line": null, "column": null, "others": []}}]}}\n'
)
"""The document of a command that is stopped before anything of kpiopt is there."""


def _leave(number: int, _frame: FrameType | None) -> None:
    """End at once: nothing has begun yet, or all is done."""
    code, status = (130, "interrupted") if number == signal.SIGINT else (143, "terminated")
    if "--json" in sys.argv and "kpiopt.cli.app" not in sys.modules:
        with contextlib.suppress(OSError):
            os.write(1, STOPPED.format(status, code).encode())
    os._exit(code)


def console() -> NoReturn:
    """Run the words of the process and end it; Ctrl-C ends it without a traceback while kpiopt is imported, too."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    from kpiopt.cli import console as run  # only now: it takes a moment

    run()


if __name__ == "__main__":
    console()
