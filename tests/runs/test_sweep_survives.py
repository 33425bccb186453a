"""Sweeps that are killed, interrupted, refused by the disk or run elsewhere end as if nothing had happened."""

import csv
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kpiopt.cli import main
from kpiopt.errors import ExitCode
from kpiopt.runs.executor import Failure
from kpiopt.runs.store import RunStore
from kpiopt.runs.sweep import PointResult, SweepJob
from tests.runs.dask_workers import loopback_cluster
from tests.runs.failing_disk import Disk

# Kills, fault points and clusters take minutes; the ordinary run covers the journal beneath in test_journal.py.
pytestmark = pytest.mark.nightly

ROOT = Path(__file__).parents[2]
HAND, ADVENTURE = ROOT / "scenarios" / "hand-solved.toml", ROOT / "scenarios" / "adventureworks-base.toml"
LONG = [str(ADVENTURE), "--over", "budget.pay.limit=60_000:130_000:24", "--over", "goal.sales.target=37e6,38e6"]
N_POINTS = 48


def sweep(out: Path, *words: str) -> int:
    return main(["sweep", *words, "--out", str(out)])


def result(out: Path) -> dict[str, bytes | dict]:
    """Return what a sweep found, without when and where."""
    [folder] = [path for path in out.iterdir() if not path.name.startswith(".")]
    document = json.loads((folder / "sweep.json").read_text("utf-8"))
    assert document.pop("manifest")["files"]
    assert document.pop("folder") == str(folder)
    assert sorted(p.name for p in out.iterdir()) == [folder.name]
    return {"document": document, "points": (folder / "points.csv").read_bytes()}


def kept_points(out: Path) -> set[str]:
    """Return names and contents of the answers in the journal."""
    files = out.glob(".*.journal/[!.]*.json")
    return {f"{path.name} {path.read_text('utf-8')}" for path in files if path.name != "question.json"}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed")
    assert sweep(out, *LONG) == 0
    return result(out)


def start(out: Path, *words: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "kpiopt", "sweep", *LONG, "--out", str(out), *words]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def wait_for_points(out: Path, process: subprocess.Popen, n: int) -> None:
    while len(kept_points(out)) < n and process.poll() is None:
        time.sleep(0.005)


def kill_at_random(out: Path, executor: str, kills: int, chance: random.Random) -> int:
    """Start the sweep again and again, and kill it at random moments; return how often it was killed."""
    before: set[str] = set()
    for done in range(kills):
        process = start(out, "--executor", executor)
        wait_for_points(out, process, min(len(before) + 1, N_POINTS - 1))
        time.sleep(chance.random() * 0.05)
        process.kill()
        process.communicate()
        if process.returncode == 0:
            return done
        kept = kept_points(out)
        assert before <= kept, "an answer that was kept is gone"
        assert all(run.is_complete for run in RunStore(out).runs())
        before = kept
    assert start(out, "--executor", executor).communicate()[1] == b""
    return kills


@pytest.mark.parametrize(("executor", "kills"), [("serial", 6), ("processes:2", 4)])
def test_killed_at_random_moments(tmp_path, undisturbed, executor, kills):
    assert kill_at_random(tmp_path, executor, kills, random.Random(5)) > 0
    assert result(tmp_path) == undisturbed


@pytest.mark.nightly
@pytest.mark.parametrize("executor", ["serial", "threads:2", "processes:2"])
def test_200_kills(tmp_path, undisturbed, executor):
    chance, kills = random.Random(11), 0
    for attempt in range(1000):
        out = tmp_path / str(attempt)
        kills += kill_at_random(out, executor, 12, chance)
        assert result(out) == undisturbed
        if kills >= 67:  # 201 with three executors
            return
    pytest.fail("hardly ever killed in time")


@pytest.mark.parametrize(
    ("executor", "number", "code"),
    [
        ("serial", signal.SIGINT, 130),
        ("threads:2", signal.SIGINT, 130),
        ("processes:2", signal.SIGINT, 130),
        ("serial", signal.SIGTERM, 143),
    ],
)
def test_an_interrupted_sweep_ends_within_two_seconds_and_goes_on(tmp_path, undisturbed, executor, number, code):
    process = start(tmp_path, "--executor", executor)
    wait_for_points(tmp_path, process, 3)
    process.send_signal(number)
    started = time.monotonic()
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (code, b"")
    assert err in (b"interrupted; what is answered is kept, and the same command goes on from there\n", b"")
    assert time.monotonic() - started < 2.0
    kept = kept_points(tmp_path)
    assert 3 <= len(kept) < N_POINTS
    assert sweep(tmp_path, *LONG) == 0
    assert result(tmp_path) == undisturbed


def test_what_is_kept_is_not_solved_again(tmp_path, undisturbed, capsys, monkeypatch):
    process = start(tmp_path)
    wait_for_points(tmp_path, process, 10)
    process.kill()
    process.communicate()
    n_kept, answered = len(kept_points(tmp_path)), []
    prepare = SweepJob.prepare

    def counting(job):
        answer = prepare(job)
        return lambda point: (answered.append(point), answer(point))[1]

    monkeypatch.setattr(SweepJob, "prepare", counting)
    assert sweep(tmp_path, *LONG) == 0
    assert len(answered) == N_POINTS - n_kept < N_POINTS
    assert result(tmp_path) == undisturbed


def test_a_second_process_is_refused_and_does_no_harm(tmp_path, undisturbed, capsys):
    process = start(tmp_path)
    wait_for_points(tmp_path, process, 1)
    assert sweep(tmp_path, *LONG) == ExitCode.LOCKED
    assert f"process {process.pid}" in capsys.readouterr().err
    assert sweep(tmp_path, str(HAND)) == 0  # another question in the same folder
    assert process.communicate(timeout=60)[1] == b""
    assert process.returncode == 0
    [hand] = [run for run in RunStore(tmp_path).runs() if "hand" in run.name]
    RunStore(tmp_path).remove(hand)
    assert result(tmp_path) == undisturbed


def test_one_of_two_dask_workers_killed_in_the_middle_gives_the_digest_of_serial(tmp_path, undisturbed):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with loopback_cluster(elsewhere, workers=2) as cluster:
        process = start(tmp_path / "runs", "--executor", cluster.address)
        wait_for_points(tmp_path / "runs", process, 10)
        cluster.workers[0].kill()
        assert process.communicate(timeout=120)[1] == b""
        assert process.returncode == 0
    assert result(tmp_path / "runs") == undisturbed


def test_workers_need_no_file_of_this_machine(tmp_path):
    """A job whose files are out of reach is answered from what it carries."""
    here = SweepJob(HAND).prepare()
    document = _resolved(tmp_path)
    files = tuple((p.relative_to(document).as_posix(), p.read_bytes()) for p in document.rglob("*") if p.is_file())
    there = SweepJob(Path("/nowhere/scenario.toml"), files=files).prepare()
    for number, limit in enumerate((200, 650)):
        point = _point(number, limit)
        assert there(point) == here(point)


def _resolved(tmp_path: Path) -> Path:
    """Return a folder with a resolved scenario and its inputs."""
    assert sweep(tmp_path, str(HAND)) == 0
    [folder] = tmp_path.iterdir()
    for name in ("sweep.json", "points.csv", "summary.txt"):
        (folder / name).unlink()
    return folder


def _point(number: int, limit: float):
    from kpiopt.runs.axes import Point

    return Point(number, (("budget.pay.limit", limit),))


FAULTS = [
    *((operation, file) for operation in ("open", "write", "fsync") for file in ("question.json", "points.csv")),
    *((operation, file) for operation in ("open", "write", "fsync") for file in ("sweep.json", "summary.txt")),
    *((operation, file) for operation in ("open", "write", "fsync") for file in (".journal/question/scenario.toml",)),
    *((operation, ".journal/.") for operation in ("open", "write", "fsync", "rename")),
    ("rename", ".partial"),
]


@pytest.mark.parametrize(("operation", "file"), FAULTS)
def test_20_fault_points_of_a_real_sweep(tmp_path, monkeypatch, capsys, operation, file):
    assert sweep(tmp_path / "a", str(HAND)) == 0
    out = tmp_path / "b"
    disk = Disk(operation, file)
    with monkeypatch.context() as patch:
        disk.install(patch)
        assert sweep(out, str(HAND)) == ExitCode.OUTPUT
    assert disk.has_failed
    assert "Traceback" not in capsys.readouterr().err
    assert RunStore(out).runs() == []
    assert sweep(out, str(HAND)) == 0
    ours, theirs = result(out), result(tmp_path / "a")
    assert ours == theirs


def test_a_poison_point_is_marked_and_the_rest_is_kept(tmp_path, capsys, monkeypatch):
    """The point kills every worker process that takes it; its neighbours are answered."""
    words = [str(HAND), "--over", "budget.pay.limit=200:700:6", "--executor", "processes:2"]
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr("kpiopt.runs.sweep_folder.answer_points", _poisoned)
    assert sweep(tmp_path, *words, "--json") == ExitCode.PARTIAL
    document = json.loads(capsys.readouterr().out)
    states = [point["status"] for point in document["points"]]
    assert states == ["optimal", "optimal", "failed", "optimal", "optimal", "optimal"]
    assert document["points"][2]["problems"][0]["code"] == "E-worker-lost"
    assert document["points"][2]["attempts"] == 3
    assert len(kept_points(tmp_path)) == 5
    assert main(["runs", "list", "--out", str(tmp_path)]) == 0
    assert "sweep of 6 points, 1 failed" in capsys.readouterr().out
    monkeypatch.undo()
    assert sweep(tmp_path, *words) == 0  # once it is harmless, only it is solved
    with next(tmp_path.glob("*/points.csv")).open() as file:
        assert [row["status"] for row in csv.DictReader(file)] == ["optimal"] * 6


def _poisoned(job, points, executor, journal, on_progress):
    from kpiopt.runs.journal import answer_points
    from tests.runs.toy_job import Poisoned

    found = answer_points(Poisoned(job, 400), points, executor, journal, on_progress)
    assert all(isinstance(answer, PointResult | Failure) for answer in found.values())
    return found


def test_a_refused_sweep_leaves_nothing_behind(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("kpiopt.runs.dask_cluster.CONNECT_SECONDS", 0.5)
    out = tmp_path / "runs"
    assert sweep(out, str(HAND), "--executor", "dask://127.0.0.1:9") == ExitCode.USAGE
    assert "no Dask scheduler answers" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("file", ["points.csv", "summary.txt", "scenario.toml"])
def test_an_altered_sweep_is_made_again(tmp_path, capsys, file):
    assert sweep(tmp_path, str(HAND)) == 0
    [folder] = tmp_path.iterdir()
    content = (folder / file).read_bytes()
    (folder / file).write_bytes(content[:-2] + b"9\n")
    assert sweep(tmp_path, str(HAND)) == 0
    assert (folder / file).read_bytes() == content


def test_sweeps_are_listed_shown_and_removed_but_no_runs(tmp_path, capsys):
    assert sweep(tmp_path, str(HAND)) == 0
    shown = capsys.readouterr().out
    [folder] = tmp_path.iterdir()
    words = ["--out", str(tmp_path)]
    assert main(["runs", "list", *words]) == 0
    assert "sweep of 6 points" in capsys.readouterr().out
    assert main(["runs", "show", folder.name, *words]) == 0
    assert capsys.readouterr().out == shown
    for command in (["verify"], ["explain"], ["simulate"], ["runs", "diff", folder.name]):
        code = main([*command, folder.name, *words])
        said = capsys.readouterr().err
        assert code == ExitCode.USAGE, (command, said)
    assert main(["runs", "rm", folder.name, *words]) == 0
    assert list(tmp_path.iterdir()) == []
