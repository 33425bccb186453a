"""A long computation that is killed, refused by the disk or run twice at once: nothing lost, nothing different."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kpiopt.errors import Locked, OutputError
from kpiopt.runs.journal import answer_points, open_journal
from kpiopt.workers.job import SERIAL, Executor, Failure, Place
from tests.runs.failing_disk import Disk
from tests.runs.journaled import NAME, compute, expected, points_of
from tests.workers.toy_job import Fractions, Row, Squares

ROOT = str(Path(__file__).parents[2])


def published(folder: Path) -> dict:
    return json.loads((folder / "points.json").read_text())


def names(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir())


def test_answers_come_back_to_the_last_bit(tmp_path):
    with open_journal(tmp_path, "a", "q", Row) as journal:
        first = answer_points(Fractions(), points_of(9), SERIAL, journal)
    with open_journal(tmp_path, "a", "q", Row) as journal:
        assert journal.read() == first == expected(9)


def test_points_that_are_known_are_not_answered_again(tmp_path):
    with open_journal(tmp_path, "a", "q", Row) as journal:
        answer_points(Fractions(), points_of(5), SERIAL, journal)
        told = []
        poisoned = {**points_of(5), "last": 1.0}
        found = answer_points(Fractions(), poisoned, SERIAL, journal, lambda done, total: told.append((done, total)))
    assert told == [(5, 6), (6, 6)]
    assert list(found) == list(poisoned)


def test_failures_are_tried_again(tmp_path):
    points = {"a": ("square", 2.0), "b": ("infeasible", 1.0)}
    with open_journal(tmp_path, "a", "q", tuple[float, str]) as journal:
        found = answer_points(Squares(), points, SERIAL, journal)
        assert isinstance(found["b"], Failure)
        assert list(journal.read()) == ["a"]


def test_a_journal_of_another_question_is_dropped(tmp_path):
    for digest, n in (("q", 3), ("other", 0)):
        with open_journal(tmp_path, "a", digest, Row) as journal:
            assert len(journal.read()) == 0
            answer_points(Fractions(), points_of(n or 3), SERIAL, journal)


@pytest.mark.parametrize("damage", [lambda t: t[: len(t) // 2], lambda t: "", lambda t: t.replace("third", "fourth")])
def test_an_entry_that_is_not_as_it_was_written_counts_as_missing(tmp_path, damage):
    with open_journal(tmp_path, "a", "q", Row) as journal:
        answer_points(Fractions(), points_of(4), SERIAL, journal)
        entry = next(path for path in journal.folder.glob("*.json") if "point 2" in path.read_text())
        entry.write_text(damage(entry.read_text()))
        assert sorted(journal.read()) == ["point 0", "point 1", "point 3"]
        assert answer_points(Fractions(), points_of(4), SERIAL, journal) == expected(4)


def test_an_entry_of_another_form_counts_as_missing(tmp_path):
    """Whole and signed, but not what this version keeps."""
    with open_journal(tmp_path, "a", "q", list[str]) as journal:
        journal.keep("point 1", ["not", "a", "row"])
    with open_journal(tmp_path, "a", "q", Row) as journal:
        assert journal.read() == {}
        assert answer_points(Fractions(), points_of(3), SERIAL, journal) == expected(3)


def test_second_process_in_the_same_journal_is_refused_others_are_not(tmp_path):
    with open_journal(tmp_path, "a", "q", Row):
        with pytest.raises(Locked, match=str(os.getpid())), open_journal(tmp_path, "a", "q", Row):
            pass
        with open_journal(tmp_path, "b", "q", Row) as other:
            assert other.read() == {}


def test_two_processes_in_one_folder_do_not_harm_each_other(tmp_path):
    words = [sys.executable, "-m", "tests.runs.journaled", str(tmp_path / "runs"), "serial", "30"]
    running = [subprocess.Popen(words, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=60)[1] for process in running]
    codes = sorted(process.returncode for process in running)
    assert codes in ([0, 0], [0, 1])  # one after the other, or the second one is refused
    assert codes == [0, 0] or any("is being written by" in text for text in said), said
    assert published(tmp_path / "runs" / NAME) == expected(30)
    assert names(tmp_path / "runs") == [NAME]


def killed_until_done(root: Path, executor: str, n: int, kills: int, seed: int) -> int:
    """Run the computation and kill it at random moments; return how often it was killed."""
    chance, words = random.Random(seed), [sys.executable, "-m", "tests.runs.journaled", str(root), executor, str(n)]
    before: set[str] = set()
    for done in range(kills):
        process = subprocess.Popen(words, cwd=ROOT)
        try:
            assert process.wait(timeout=0.15 + chance.random() * 0.5) == 0
            return done
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        kept = kept_points(root)
        assert before <= kept or (root / NAME).is_dir()
        assert all(is_whole(file.parent) for file in root.glob("*/run.json"))
        before = kept
    assert subprocess.run(words, cwd=ROOT, timeout=120, check=False).returncode == 0
    return kills


def kept_points(root: Path) -> set[str]:
    """Return the names and contents of everything that the journal holds."""
    files = (root / f".{NAME}.journal").glob("[!.]*.json")
    return {f"{path.name} {path.read_text()}" for path in files}


@pytest.mark.parametrize("executor", ["serial", "threads:2"])
def test_killed_at_random_moments_it_ends_as_if_nothing_had_happened(tmp_path, executor):
    root = tmp_path / "runs"
    assert killed_until_done(root, executor, 60, kills=5, seed=1) > 0
    assert published(root / NAME) == expected(60)
    assert names(root) == [NAME]


@pytest.mark.nightly
@pytest.mark.parametrize("executor", ["serial", "threads:2", "processes:2"])
def test_killed_200_times(tmp_path, executor):
    kills = seed = 0
    while kills < 200:
        root = tmp_path / f"runs-{seed}"
        kills += killed_until_done(root, executor, 200, kills=25, seed=seed)
        assert published(root / NAME) == expected(200)
        assert names(root) == [NAME]
        seed += 1


POINT = "68b7c16d"  # the journal names its files by the points' digests
FILES = ["question.json", POINT, "scenario.toml", "points.json", "run.json"]
FAULTS = [
    *((operation, file) for operation in ("open", "write", "fsync") for file in FILES),
    *(("rename", file) for file in ("question.json", POINT, f".{NAME}.partial", f"*/{NAME}")),
    ("fsync", "*/runs"),  # the folder itself, when the journal is made in it
]


def is_whole(folder: Path) -> bool:
    """Whether a published folder holds every file that its manifest lists, with its size."""
    files = json.loads((folder / "run.json").read_text("utf-8"))["manifest"]["files"]
    return all((folder / name).stat().st_size == entry["bytes"] for name, entry in files.items())


@pytest.mark.parametrize(("operation", "file"), FAULTS)
def test_20_fault_points_lose_nothing_that_is_finished(tmp_path, monkeypatch, operation, file):
    root = tmp_path / "runs"
    root.mkdir()
    compute(root, "serial", 3)
    disk = Disk(operation, file)
    with monkeypatch.context() as patch:
        disk.install(patch)
        with pytest.raises(OutputError) as refused:
            compute(root, "threads:2", 12)
    assert disk.has_failed
    assert refused.value.exit_code == 8
    assert all(is_whole(folder) for folder in root.iterdir() if not folder.name.startswith("."))
    kept = sum('"point": ' in entry for entry in kept_points(root))
    assert kept == 12 or file in (*FILES[:2], "*/runs")
    former = published(root / NAME) if (root / NAME).is_dir() else None
    assert former in (None, expected(3), expected(12))
    assert published(compute(root, "serial", 12)) == expected(12)
    assert names(root) == [NAME]


def test_a_full_disk_keeps_what_is_finished(tmp_path):
    """The operating system itself refuses files beyond a size: 12 short answers fit, the long table does not."""
    script = (
        "import resource, sys; from pathlib import Path; from tests.runs.journaled import compute\n"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (900, 900))\n"
        "compute(Path(sys.argv[1]), 'serial', 12)"
    )
    root = tmp_path / "runs"
    done = subprocess.run(
        [sys.executable, "-c", script, str(root)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "OutputError" in done.stderr
    assert names(root) == [f".{NAME}.journal"]
    assert len(kept_points(root)) == 13
    assert published(compute(root, "serial", 12)) == expected(12)
    assert names(root) == [NAME]


def test_an_interrupted_computation_goes_on(tmp_path):
    root, words = tmp_path / "runs", [sys.executable, "-m", "tests.runs.journaled", str(tmp_path / "runs")]
    process = subprocess.Popen([*words, "processes:2", "400"], cwd=ROOT, stderr=subprocess.PIPE)
    while len(kept_points(root)) < 20:
        time.sleep(0.02)
        assert process.poll() is None
    process.send_signal(2)
    _, said = process.communicate(timeout=30)
    assert b"KeyboardInterrupt" in said
    assert 20 <= len(kept_points(root)) < 400
    assert published(compute(root, "serial", 400)) == expected(400)


def test_executors_share_a_journal(tmp_path):
    with open_journal(tmp_path, "a", "q", Row) as journal:
        for n, executor in ((3, SERIAL), (6, Executor(Place.THREADS, 2)), (9, Executor(Place.PROCESSES, 2))):
            assert answer_points(Fractions(), points_of(n), executor, journal) == expected(n)
