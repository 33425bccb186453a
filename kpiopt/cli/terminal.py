"""Where words go: the answer to stdout, the talk to stderr."""

from __future__ import annotations

import codecs
import io
import itertools
import json
import os
import re
import sys
import threading
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Any

from kpiopt.errors import OutputError, Problem, format_problem
from kpiopt.report.page.kept_files import PLAIN_WIDTH, without_padding

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

ASCII_FOR = {
    "─": "-", "│": "|", "━": "-", "…": "...", "±": "+/-", "→": "->", "−": "-", "≥": ">=", "≤": "<=", "·": "*",
    "\u00a0": " ", "\u202f": " ", "–": "-", "’": "'", "“": '"', "”": '"', "×": "x", "█": "#", "▏": "|",
    "€": "EUR",
}  # fmt: skip
"""What stands for a character that the stream's encoding has not; letters lose their accents, others are escaped."""

SHOWN_PROBLEMS = 50
SOURCE = "    | "
LABEL = re.compile(r"    (rule:|fix: |also:) ")
UNBROKEN = re.compile(r"\(?--[\w-]+ '[^']*'\S*|\S+")
FEW_OF_A_KIND = 2


def open_missing_streams() -> None:
    """Point streams that were closed before the process began (`>&-`) at nothing.

    Otherwise the next file that is opened would take the number of standard output, and what compiled code prints.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            with suppress(OSError):
                os.fstat(number)
                continue
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def _spell_out(error: UnicodeError) -> tuple[str, int]:
    """Write what an encoding has not with what it has: an error handler of codecs."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(_in_ascii(character) for character in text), error.end


def _in_ascii(character: str) -> str:
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return ASCII_FOR.get(character) or plain or character.encode("ascii", "backslashreplace").decode()


def write_in_any_encoding() -> None:
    """Let standard output and standard error take every character, whatever encoding they were opened with."""
    codecs.register_error("kpiopt", _spell_out)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="kpiopt")


def open_console(stream: IO[str]) -> Console:
    """Return a rich console for a stream: width-aware on a terminal, plain and of fixed width elsewhere."""
    from rich.console import Console  # only when something is printed with layout

    width = None if stream.isatty() or "COLUMNS" in os.environ else PLAIN_WIDTH
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False)


def print_answer(answer: RenderableType) -> None:
    """Print a renderable answer on stdout."""
    console = open_console(sys.stdout)
    with console.capture() as captured:
        console.print(answer)
    _write(captured.get() if sys.stdout.isatty() else without_padding(captured.get()))


def print_lines(lines: Iterable[str]) -> None:
    """Print plain lines of the answer on stdout, without wrapping."""
    _write("".join(f"{line}\n" for line in lines))


def print_file(content: bytes) -> None:
    """Print a whole file on stdout: in its own encoding, which is not the terminal's, unless a terminal shows it."""
    if sys.stdout.isatty():
        _write(content.decode())
        return
    try:
        sys.stdout.buffer.write(content)
        sys.stdout.flush()
    except OSError as error:
        raise OutputError(Problem("E-output", f"the answer cannot be written: {error.strerror}")) from error


class OneDocument:
    """The JSON document of a command: whoever comes first prints it, the command, its failure or its interruption."""

    def __init__(self) -> None:
        self._lock, self._is_printed = threading.Lock(), False

    def begin(self) -> None:
        """Begin another command."""
        self._is_printed = False

    def claim(self) -> bool:
        """Whether nobody has printed it yet; then the caller does."""
        with self._lock:
            was_printed, self._is_printed = self._is_printed, True
        return not was_printed


DOCUMENT = OneDocument()


def json_text(document: Mapping[str, Any]) -> str:
    """Return a document as it is printed; a number that is not finite is a bug and raises."""
    is_unicode = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "").startswith("utf")
    text = json.dumps(document, ensure_ascii=not is_unicode, allow_nan=False, indent=2) + "\n"
    return _whole_characters(text)


def print_json(document: Mapping[str, Any]) -> None:
    """Print the one JSON document of the answer on stdout."""
    text = json_text(document)
    if DOCUMENT.claim():
        _write(text)


def _write(text: str) -> None:
    """Write to stdout at once; what cannot be delivered is an output error, not a fault of kpiopt."""
    try:
        sys.stdout.write(_whole_characters(text))
        sys.stdout.flush()
    except OSError as error:
        raise OutputError(Problem("E-output", f"the answer cannot be written: {error.strerror}")) from error


def say(message: str) -> None:
    """Say something on stderr."""
    sys.stderr.write(_whole_characters(f"{message}\n"))


def _whole_characters(text: str) -> str:
    """Escape lone halves of character pairs: file names that are not UTF-8 are made of them."""
    return text.encode("utf-8", "backslashreplace").decode()


def say_problems(problems: Iterable[Problem]) -> None:
    """Write problems to stderr: 50 in full, errors before anything else, and how many more there are."""
    found = list(problems)
    chosen = _choose(found)
    for problem, following in itertools.zip_longest(chosen, chosen[1:]):
        is_said_next = following and not problem.is_error and _advice(problem) == _advice(following)
        say(_rendered(replace(problem, rule="", fix="") if is_said_next else problem))
    if len(found) > SHOWN_PROBLEMS:
        say(f"… and {len(found) - SHOWN_PROBLEMS:,} more")
    errors = sum(p.is_error for p in found)
    if errors > 1:
        say(f"{errors:,} errors found")


def _advice(problem: Problem) -> tuple[str, str, str]:
    """Return what neighbours have in common, so that the last of them says it for all."""
    return problem.code, problem.rule, problem.fix


def in_brief(problems: Iterable[Problem]) -> list[Problem]:
    """Put many warnings of one code into one, with the first of them; errors and the rest stay as they are."""
    found = list(problems)
    count = Counter(problem.code for problem in found if not problem.is_error)
    told: dict[str, Problem] = {}
    for position, problem in enumerate(found):
        key = problem.code if count[problem.code] > FEW_OF_A_KIND and not problem.is_error else str(position)
        told.setdefault(key, problem)
    fix = "kpiopt check lists them"
    return [
        replace(problem, message=f"{count[key]:,} of this kind, the first: {problem.message}", fix=fix)
        if key == problem.code
        else problem
        for key, problem in told.items()
    ]


def _choose(found: list[Problem]) -> list[Problem]:
    """Return at most 50 problems in their order, chosen so that many of one kind do not hide another kind."""
    seen: Counter[str] = Counter()
    ranked = []
    for position, problem in enumerate(found):
        ranked.append((not problem.is_error, seen[problem.code], position))
        seen[problem.code] += 1
    return [found[position] for position in sorted(p for _, _, p in sorted(ranked)[:SHOWN_PROBLEMS])]


def _rendered(problem: Problem) -> str:
    """Render a problem; on a terminal as wide as it is, and its code stands out (red for errors, yellow else)."""
    text = format_problem(problem)
    if not sys.stderr.isatty():
        return text
    width = open_console(sys.stderr).width
    text = "\n".join(line for long in text.split("\n") for line in _wrapped(long, width))
    if "NO_COLOR" in os.environ:
        return text
    colour = 31 if problem.is_error else 33
    return text.replace(problem.code, f"\x1b[1;{colour}m{problem.code}\x1b[0m", 1)


def _wrapped(line: str, width: int) -> Iterator[str]:
    """Break a line of a problem between its words, with a hanging indent; a source line and its caret stay as they are.

    A word that is wider than a line stays whole, as does an option with its quoted value: both are there to be copied.
    """
    from rich.cells import cell_len

    label = LABEL.match(line)
    if cell_len(line) <= width or line.startswith(SOURCE):
        yield line
        return
    begun = label.group() if label else ""
    indent = " " * (len(begun) or 4)
    words = UNBROKEN.findall(line[len(begun) :])
    begun += words[0]
    for word in words[1:]:
        if cell_len(begun) + 1 + cell_len(word) > width:
            yield begun
            begun = indent + word
        else:
            begun += f" {word}"
    yield begun


def show_cursor() -> None:
    """Leave the line of a spinner and show the cursor that it hides, when the process must end without unwinding."""
    if sys.stderr is not None and sys.stderr.isatty():
        os.write(sys.stderr.fileno(), b"\x1b[?25h\n")


@contextmanager
def showing_progress(title: str) -> Iterator[Callable[[str], None]]:
    """Show a spinner with the present step on stderr while the block runs; silent where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    with open_console(sys.stderr).status(f"{title} …") as status:
        yield lambda step: status.update(f"{title}: {step} …")
