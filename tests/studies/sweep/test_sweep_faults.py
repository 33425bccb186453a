"""The disk refuses something once, at every place where a real sweep touches it; or it is full."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from kpiopt.cli import main
from kpiopt.errors import ExitCode
from kpiopt.runs.store import RunStore
from kpiopt.runs.stored_run import is_intact
from tests.nights import rest_at_night
from tests.runs.failing_disk import Disk, FullDisk
from tests.studies.sweep.real_sweep import HAND, kept_points, result, result_in, sweep

ENTRY = f".{hashlib.sha256(b'budget.pay.limit=400').hexdigest()[:32]}.json"
PLACES = {
    "the journal's question": "/.question.json.",
    "the copy that workers read": ".journal/question/scenario.toml",
    "the third point": f".journal/{ENTRY}.",
    "the published question": ".partial/scenario.toml",
    "the table": "/points.csv",
    "the summary": "/summary.txt",
    "the document": "/sweep.json",
}
FAULTS = [
    *((operation, place) for operation in ("open", "write", "fsync") for place in PLACES.values()),
    ("rename", "/.question.json."),
    ("rename", f".journal/{ENTRY}."),
    ("rename", ".partial"),
    ("fsync", "*/runs"),
    ("fsync", "*.journal"),
    ("fsync", "*.partial"),
]
OVER_A_FORMER = [("rename", "*.partial"), ("rename", "*/sweep-hand-solved-plan-????????"), ("write", "/sweep.json")]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed")
    assert sweep(out, str(HAND)) == 0
    return result(out)


def refuse_once(disk: Disk, monkeypatch, out: Path, *words: str) -> None:
    with monkeypatch.context() as patch:
        disk.install(patch)
        assert sweep(out, str(HAND), *words) == ExitCode.OUTPUT
    assert disk.has_failed


@pytest.mark.parametrize(
    ("operation", "place"),
    rest_at_night(sorted(FAULTS, key=FAULTS[::3].count, reverse=True), 9),
)
def test_20_fault_points_of_a_real_sweep(tmp_path, monkeypatch, capsys, undisturbed, operation, place):
    out = tmp_path / "runs"
    refuse_once(Disk(operation, place), monkeypatch, out)
    said = capsys.readouterr().err
    assert said.startswith("E-disk-full" if operation == "write" else "E-output")
    assert RunStore(out).runs() == []
    kept = kept_points(out)
    assert len(kept) in (0, 2, 3, 6)
    assert sweep(out, str(HAND)) == 0
    assert result(out) == undisturbed


@pytest.mark.parametrize(("operation", "place"), OVER_A_FORMER)
def test_a_sweep_that_is_answered_again_stays_until_the_new_one_is_whole(
    tmp_path, monkeypatch, undisturbed, operation, place
):
    out = tmp_path / "runs"
    assert sweep(out, str(HAND)) == 0
    refuse_once(Disk(operation, place), monkeypatch, out, "--force")
    assert main(["runs", "list", "--out", str(out)]) == 0
    assert sweep(out, str(HAND)) == 0
    [stored] = RunStore(out).runs()
    assert is_intact(stored)
    assert result_in(stored.folder) == undisturbed


def used(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def contents(folder: Path) -> dict[str, bytes]:
    """Return everything that is not hidden."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(p): p.read_bytes() for p in found if not any(part.startswith(".") for part in p.parts)}


@pytest.mark.parametrize("space", rest_at_night([0, 2_500, 15_000, 100, 1_000, 5_000, 10_000], 3))
def test_a_disk_that_stays_full(tmp_path, monkeypatch, capsys, undisturbed, space):
    """Nothing can be written any more, not even who holds a lock; what was finished before stays."""
    out = tmp_path / "runs"
    assert main(["solve", str(HAND), "--out", str(out)]) == 0
    before = contents(out)
    with monkeypatch.context() as patch:
        FullDisk(space).install(patch)
        assert sweep(out, str(HAND)) == ExitCode.OUTPUT
    said = capsys.readouterr().err
    assert "E-disk-full: no space is left to write" in said
    assert "free some space or choose another" in said
    assert contents(out) == before
    assert sweep(out, str(HAND)) == 0
    [run, stored] = RunStore(out).runs()
    assert is_intact(run)
    assert is_intact(stored)
    assert result_in(stored.folder) == undisturbed


WRITERS = {
    "solve": (["solve", str(HAND), "--force", "--out"], "runs"),
    "compare": (["compare", str(HAND), "--no-study", "--html"], "page.html"),
    "export": (["export", str(HAND), "--out"], "program.lp"),
    "schema": (["schema", "--out"], "schema.json"),
}


@pytest.mark.parametrize("space", rest_at_night([700, 0], 1))
@pytest.mark.parametrize("command", WRITERS)
def test_on_a_full_disk_every_command_keeps_what_there_was(tmp_path, monkeypatch, capsys, command, space):
    words, name = WRITERS[command]
    target = tmp_path / name
    assert main([*words, str(target)]) == 0
    before = contents(tmp_path)
    with monkeypatch.context() as patch:
        FullDisk(space).install(patch)
        assert main([*words, str(target)]) == ExitCode.OUTPUT
    assert "E-disk-full" in capsys.readouterr().err
    assert contents(tmp_path) == before
    assert list(tmp_path.rglob(".*")) == []


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own, which grows when asked to; only where this process may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def resize(kilobytes: int, options: str = "remount,") -> bool:
        command = ["mount", "-t", "tmpfs", "-o", f"{options}size={kilobytes}k", "tmpfs", str(folder)]
        try:
            return subprocess.run(command, capture_output=True, check=False).returncode == 0
        except OSError:
            return False

    if not resize(4096, ""):
        pytest.skip("no file system can be mounted here; the simulated full disk above is what is tested")
    yield folder, resize
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("kilobytes", rest_at_night([28, 0, 12, 44], 1))
def test_a_file_system_without_space(small_disk, undisturbed, capsys, kilobytes):
    """The operating system itself refuses, at the lock, in the journal, among the points, at publishing."""
    folder, resize = small_disk
    out = folder / "runs"
    assert main(["solve", str(HAND), "--out", str(out)]) == 0
    before = contents(out)
    blocks = sum(-(-path.stat().st_size // 4096) * 4 for path in folder.rglob("*") if path.is_file())
    assert resize(blocks + kilobytes)
    assert sweep(out, str(HAND)) == ExitCode.OUTPUT
    assert "E-disk-full" in capsys.readouterr().err
    assert contents(out) == before
    assert resize(4096)
    assert sweep(out, str(HAND)) == 0
    assert contents(out).items() > before.items()
    assert result_in(next(out.glob("sweep-*"))) == undisturbed
