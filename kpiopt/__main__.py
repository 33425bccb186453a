"""`python -m kpiopt` is the same as `kpiopt`."""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import NoReturn


def _leave(number: int, _frame: FrameType | None) -> None:
    """End at once: nothing has begun yet, or all is done."""
    os._exit(130 if number == signal.SIGINT else 143)


def console() -> NoReturn:
    """Run the words of the process and end it; Ctrl-C ends it without a traceback while kpiopt is imported, too."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    from kpiopt.cli import console as run  # only now: it takes a moment

    run()


if __name__ == "__main__":
    console()
