"""The journal of a long computation: one file for each point that is finished, so that nothing is computed twice.

It stands hidden beside the runs until the whole is published. A file appears in it whole or not at all, so a process
that is killed loses what it had in hand and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

from kpiopt.runs.durable import make_folder, remove_if_empty, remove_tree, replace_file
from kpiopt.runs.lock import hold_lock
from kpiopt.runs.stored_run import read_run_file
from kpiopt.workers.executor import execute
from kpiopt.workers.job import Executor, Failure, Job

P = TypeVar("P")
R = TypeVar("R")

QUESTION_FILE = "question.json"


class Journal(Generic[R]):
    """Answers of finished points.

    Parameters
    ----------
    kind : type
        Of the answers: a dataclass of plain values, or whatever else JSON can hold, so that they come back as they
        were.
    """

    def __init__(self, folder: Path, kind: type[R]) -> None:
        from pydantic import TypeAdapter  # only where there is a journal

        self.folder = folder
        self._form = TypeAdapter(kind)

    def read(self) -> dict[str, R]:
        """Return the answers by the keys of their points; what is not as it was written is left out."""
        found = (_read_entry(path) for path in sorted(self.folder.glob("[!.]*.json")))
        answers = ((entry["point"], self._answer(entry)) for entry in found if entry)
        return {point: answer for point, answer in answers if answer is not None}

    def _answer(self, entry: Mapping[str, Any]) -> R | None:
        """Return the answer in an entry, or None where it has another form."""
        try:
            return self._form.validate_python(entry["answer"])
        except ValueError:  # pydantic's
            return None

    def keep(self, key: str, answer: R) -> None:
        """Keep the answer of a point.

        Raises
        ------
        OutputError
            When it cannot be written; what was kept before stays.
        """
        content = self._form.dump_python(answer, mode="json")
        entry = {"point": key, "sha256": _digest(content), "answer": content}
        name = hashlib.sha256(key.encode()).hexdigest()[:32]
        replace_file(self.folder / f"{name}.json", _json(entry))

    def remove(self) -> None:
        """Remove the journal, once all of it is published."""
        remove_tree(self.folder)


@contextmanager
def open_journal(root: Path, name: str, digest: str, kind: type[R]) -> Iterator[Journal[R]]:
    """Open the journal of a question, with what an earlier process kept.

    Parameters
    ----------
    root : Path
        The runs folder.
    name : str
        Of what will be published.
    digest : str
        Of the question; a journal of another question with the same name is dropped.
    kind : type
        Of the answers, see `Journal`.

    Yields
    ------
    Journal
        It stays until it is removed, unless no point was kept in it.

    Raises
    ------
    Locked
        When another process works on the same question.
    OutputError
    """
    folder = _folder(root, name)
    with ExitStack() as stack:
        stack.callback(remove_if_empty, root)
        stack.enter_context(hold_lock(_lock(folder)))
        stack.callback(_remove_if_no_answer, folder)
        _prepare(folder, digest)
        yield Journal(folder, kind)


def _folder(root: Path, name: str) -> Path:
    return root / f".{name}.journal"


def _lock(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def unfinished(root: Path) -> dict[str, int]:
    """Return what is not published yet by its name, and how many points of each are kept."""
    found = {}
    for folder in sorted(root.glob(".*.journal")):
        name = folder.name.removeprefix(".").removesuffix(".journal")
        if not os.path.lexists(root / name):
            found[name] = sum(path.name != QUESTION_FILE for path in folder.glob("[!.]*.json"))
    return found


def give_up(root: Path, name: str) -> None:
    """Remove the journal of something unfinished.

    Raises
    ------
    Locked
        When a process works on it.
    OutputError
    """
    folder = _folder(root, name)
    with hold_lock(_lock(folder)):
        remove_tree(folder)


def _prepare(folder: Path, digest: str) -> None:
    """Make the folder of a journal, or tidy up what an earlier process left in it."""
    if _question_of(folder) != digest:
        remove_tree(folder)
        make_folder(folder)
        replace_file(folder / QUESTION_FILE, _json({"digest": digest}))
    for left in folder.glob(".*.partial"):
        remove_tree(left)


def _remove_if_no_answer(folder: Path) -> None:
    """Remove a journal in which no point is kept: a refused question leaves nothing behind."""
    if not any(path.name != QUESTION_FILE for path in folder.glob("*.json")):
        remove_tree(folder)


def answer_points(
    job: Job[P, R],
    points: Mapping[str, P],
    executor: Executor,
    journal: Journal[R],
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, R | Failure]:
    """Answer points and keep each answer as it comes; points that the journal knows are not answered again.

    Parameters
    ----------
    points : mapping of str to point
        By keys that tell them apart in every later call with the same journal.
    on_progress : callable
        Called with the number of points that are done and the number of all; first before any is answered.

    Returns
    -------
    dict
        Answer or failure of each point, in the order of the points. Failures are not kept: they are tried again.

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C; the next call goes on from here.
    OutputError
        When an answer cannot be kept.
    UsageError, LimitReached, KpioptError
        See `execute`.
    """
    kept = journal.read()
    found: dict[str, R | Failure] = {key: kept[key] for key in points if key in kept}
    on_progress(len(found), len(points))

    def take(key: str, answer: R | Failure) -> None:
        if not isinstance(answer, Failure):
            journal.keep(key, answer)
        found[key] = answer
        on_progress(len(found), len(points))

    execute(job, {key: point for key, point in points.items() if key not in found}, executor, take)
    return {key: found[key] for key in points}


def _question_of(folder: Path) -> str | None:
    try:
        digest = json.loads(read_run_file(folder / QUESTION_FILE))["digest"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return str(digest)


def _read_entry(path: Path) -> dict[str, Any] | None:
    """Return an entry, or None where it is not what was written."""
    try:
        entry = json.loads(read_run_file(path))
        is_whole = path.name != QUESTION_FILE and entry["sha256"] == _digest(entry["answer"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return dict(entry) if is_whole and isinstance(entry["point"], str) else None


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _digest(answer: Any) -> str:
    return hashlib.sha256(json.dumps(answer, sort_keys=True).encode()).hexdigest()
