"""The runs folder: whole or not there, whatever fails; one process at a time."""

import errno
import hashlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kpiopt.errors import Locked, OutputError, UsageError
from kpiopt.runs import durable
from kpiopt.runs.lock import hold_lock
from kpiopt.runs.run_document import seal
from kpiopt.runs.store import RunStore, open_store
from kpiopt.runs.stored_run import foreign_files, is_run, read_run


def document(files: dict[str, object], started: str) -> dict[str, object]:
    return seal(
        {
            "schema": "kpiopt.solve/1",
            "run": "base-12345678",
            "folder": "runs/base-12345678",
            "status": "optimal",
            "steps": [],
            "goals": [],
            "all_goals": None,
            "limits": [],
            "initiatives": [],
            "pay": None,
            "manifest": {"files": files, "started": started},
        }
    )


def publish(store: RunStore, name: str = "base-12345678", text: str = "a", started: str = "2027-01-01") -> Path:
    files = {"targets.csv": {"bytes": len(text), "sha256": hashlib.sha256(text.encode()).hexdigest()}}
    with store.staging(name) as staging:
        staging.write("targets.csv", text.encode())
        staging.write("inputs/units.csv", b"unit\n")
        staging.write("run.json", json.dumps(document(files, started)).encode())
        return staging.publish()


def tree(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def test_published_run_is_whole_and_nothing_else_is_left(tmp_path):
    folder = publish(open_store(tmp_path / "runs"))
    assert folder == tmp_path / "runs" / "base-12345678"
    assert sorted(tree(tmp_path)) == [
        f"runs/base-12345678/{n}" for n in ("inputs/units.csv", "run.json", "targets.csv")
    ]
    assert read_run(folder).is_complete


def test_unpublished_run_leaves_nothing_not_even_the_folder(tmp_path):
    store = open_store(tmp_path / "runs")
    with pytest.raises(ZeroDivisionError), store.staging("base-1") as staging:
        staging.write("targets.csv", b"half")
        _ = 1 / 0
    assert list(tmp_path.iterdir()) == []


def test_same_run_again_takes_the_place_of_the_former(tmp_path):
    store = open_store(tmp_path / "runs")
    publish(store, text="old")
    publish(store, text="newer")
    assert (tmp_path / "runs/base-12345678/targets.csv").read_text() == "newer"
    assert len(list((tmp_path / "runs").iterdir())) == 1


FAULTS = [("fsync", n) for n in range(8)] + [("rename", n) for n in range(2)] + [("open", n) for n in range(3)]


@pytest.mark.parametrize(("point", "nth"), FAULTS)
def test_a_full_disk_at_any_point_keeps_the_earlier_run(tmp_path, monkeypatch, point, nth):
    store = open_store(tmp_path / "runs")
    publish(store, "other-00000000")
    publish(store, text="old")
    before = tree(tmp_path)
    calls = {"left": nth}

    def failing(real):
        def call(*arguments, **options):
            if calls["left"] == 0:
                calls["left"] -= 1
                raise OSError(errno.ENOSPC, "No space left on device")
            calls["left"] -= 1
            return real(*arguments, **options)

        return call

    if point == "fsync":
        monkeypatch.setattr(os, "fsync", failing(os.fsync))
    elif point == "rename":
        monkeypatch.setattr(Path, "replace", failing(Path.replace))
    else:
        monkeypatch.setattr(Path, "open", failing(Path.open))
    failed = False
    try:
        publish(store, text="new")
    except OutputError as error:
        failed = True
        assert error.exit_code == 8
        assert "no space is left" in str(error)
    monkeypatch.undo()
    publish(store, "next-00000000")  # the next run tidies up
    after = {name: content for name, content in tree(tmp_path).items() if "next-" not in name}
    changed = {**before, "runs/base-12345678/targets.csv": b"new"}
    old_or_new = [before] if point == "open" else [before, {**changed, **_run_json(after)}]
    assert after in old_or_new
    assert failed or after != before


def _run_json(files: dict[str, bytes]) -> dict[str, bytes]:
    return {"runs/base-12345678/run.json": files["runs/base-12345678/run.json"]}


def _killed_while_writing(root: Path) -> None:
    with open_store(root).staging("base-12345678") as staging:
        staging.write("targets.csv", b"half")
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_run_looks_like_nothing_and_is_tidied_up(tmp_path):
    root = tmp_path / "runs"
    process = multiprocessing.get_context("fork").Process(target=_killed_while_writing, args=(root,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert RunStore(root).runs() == []
    assert any(root.iterdir())
    publish(open_store(root), "other-87654321")
    assert [p.name for p in root.iterdir()] == ["other-87654321"]


def test_a_run_killed_between_two_renames_keeps_the_former(tmp_path):
    root = tmp_path / "runs"
    publish(open_store(root), text="old")
    (root / "base-12345678").rename(root / ".base-12345678.former")
    publish(open_store(root), "other-87654321")
    assert (root / "base-12345678/targets.csv").read_text() == "old"


def test_second_process_in_the_same_run_is_refused_by_name(tmp_path):
    store = open_store(tmp_path / "runs")
    with store.staging("base-1"), pytest.raises(Locked) as refused, store.staging("base-1"):
        pass
    assert refused.value.exit_code == 10
    assert f"process {os.getpid()}" in str(refused.value)


def test_other_runs_may_be_written_at_the_same_time(tmp_path):
    store = open_store(tmp_path / "runs")
    with store.staging("base-1") as first:
        publish(store, "other-2")
        assert first.folder.is_dir()


def test_a_lock_file_of_a_dead_process_does_not_lock(tmp_path):
    lock = tmp_path / ".base.lock"
    lock.write_text('{"pid": 1, "host": "elsewhere", "started": "2020-01-01"}')
    with hold_lock(lock):
        assert json.loads(lock.read_text())["pid"] == os.getpid()
    assert not lock.exists()


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda p: p.write_text("x"), "E-output-file"),
        (lambda p: p.mkdir() or (p / "scenario.toml").write_text("x"), "E-output-is-input"),
    ],
)
def test_row_95_folders_that_cannot_hold_runs(tmp_path, make, code):
    root = tmp_path / "runs"
    make(root)
    with pytest.raises(OutputError) as refused:
        open_store(root, [root / "scenario.toml"])
    assert refused.value.problems[0].code == code


def test_row_95_missing_parent_is_named(tmp_path):
    with pytest.raises(OutputError, match=r"no folder .*nowhere"):
        open_store(tmp_path / "nowhere" / "runs")


def test_row_95_read_only_folder(tmp_path, monkeypatch):
    store = open_store(tmp_path / "runs")

    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("kpiopt.runs.lock.os.open", refuse)
    with pytest.raises(OutputError, match="Permission denied"), store.staging("base-1"):
        pass


def test_runs_are_ordered_by_their_own_record_not_by_file_times(tmp_path):
    store = open_store(tmp_path / "runs")
    publish(store, "b-2", started="2027-02-01")
    publish(store, "a-1", started="2027-01-01")
    os.utime(tmp_path / "runs/b-2", (0, 0))
    assert [r.name for r in store.runs()] == ["a-1", "b-2"]


def test_find_by_folder_name_and_beginning(tmp_path):
    store = open_store(tmp_path / "runs")
    publish(store, "base-11111111")
    publish(store, "base-22222222")
    assert store.find("base-1").name == store.find("111").name == "base-11111111"
    assert store.find(str(tmp_path / "runs" / "base-22222222")).name == "base-22222222"
    with pytest.raises(UsageError, match=r"names 2 runs.*(?s:.*)base-22222222 of 2"):
        store.find("base")
    with pytest.raises(UsageError, match=r"no run 'x'"):
        store.find("x")


def test_missing_and_shortened_files_are_noticed(tmp_path):
    folder = publish(open_store(tmp_path / "runs"))
    (folder / "targets.csv").write_text("")
    assert read_run(folder).damage == ("targets.csv",)
    (folder / "run.json").write_text("{")
    assert not read_run(folder).is_complete


BROKEN = [
    "",
    "nonsense",
    "[]",
    "5",
    "{}",
    '{"schema": "other/1", "manifest": {"files": {}, "started": ""}}',
    '{"schema": "kpiopt.solve/1", "manifest": {"files": {"a": {}}, "started": ""}}',
    '{"schema": "kpiopt.solve/1", "manifest": {"files": {"../a": {"bytes": 1}}, "started": ""}}',
    '{"schema": "kpiopt.solve/1", "manifest": {"files": {}, "started": 5}}',
    '{"schema": "kpiopt.solve/1", "manifest": {"files": {}, "started": ""}, "goals": 5}',
    "[" * 100_000,
]


@pytest.mark.parametrize("text", BROKEN)
def test_a_document_that_is_none_damages_its_run_and_nothing_else(tmp_path, text):
    store = RunStore(tmp_path)
    for folder in ("mine", "base-12345678"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "run.json").write_text(text)
    publish(store, "good-00000000")
    assert [(run.name, run.is_complete) for run in store.runs()] == [("base-12345678", False), ("good-00000000", True)]
    assert store.find_any("good").is_complete
    with pytest.raises(UsageError, match="no run 'mine'"):
        store.find_removable(["mine"])  # a run.json of somebody else
    (damaged,) = store.find_removable(["base"])
    store.remove(damaged)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["good-00000000", "mine"]


def test_a_run_that_lost_its_document_is_a_damaged_run(tmp_path):
    folder = publish(RunStore(tmp_path))
    (folder / "scenario.toml").write_text("")
    (folder / "run.json").unlink()
    (run,) = RunStore(tmp_path).runs()
    assert (run.name, run.is_complete, is_run(folder)) == ("base-12345678", False, True)


def test_only_runs_of_the_folder_are_removed_and_all_or_none(tmp_path):
    store = RunStore(tmp_path / "runs")
    first, second = publish(store), publish(store, "other-00000000")
    elsewhere = publish(RunStore(tmp_path / "elsewhere"), "third-00000000")
    (second / "notes.txt").write_text("mine")
    with pytest.raises(UsageError) as failure:
        store.find_removable(["base", "nope", "other", str(elsewhere), "", ".", "..", "/"])
    codes = [problem.code for problem in failure.value.problems]
    assert codes == ["E-run", "E-run-foreign", "E-run-elsewhere", "E-run", "E-run", "E-run", "E-run"]
    assert [run.folder for run in store.find_removable(["base", str(first), "base-12345678"])] == [first]
    assert foreign_files(read_run(second)) == ["notes.txt"]


def test_of_a_link_to_a_run_the_link_is_removed(tmp_path):
    store = RunStore(tmp_path / "runs")
    publish(store)
    elsewhere = publish(RunStore(tmp_path / "elsewhere"), "third-00000000")
    (store.root / "third-00000000").symlink_to(elsewhere)
    for run in store.find_removable(["third"]):
        store.remove(run)
    assert read_run(elsewhere).is_complete and [run.name for run in store.runs()] == ["base-12345678"]


def test_a_run_that_another_process_has_removed_is_removed(tmp_path):
    store = RunStore(tmp_path)
    folder = publish(store)
    (run,) = store.find_removable(["base"])
    for _ in range(2):
        store.remove(run)
    assert not folder.exists()


def test_remove_hides_before_it_deletes(tmp_path, monkeypatch):
    store = open_store(tmp_path / "runs")
    run = read_run(publish(store))
    seen = []
    real = durable.shutil.rmtree
    monkeypatch.setattr(durable.shutil, "rmtree", lambda p, *a, **k: (seen.append(store.runs()), real(p, *a, **k)))
    store.remove(run)
    assert seen[-1] == []
    assert list((tmp_path / "runs").iterdir()) == []


def test_replace_file_keeps_the_old_one_when_the_disk_is_full(tmp_path, monkeypatch):
    path = tmp_path / "schema.json"
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left")))
    with pytest.raises(OutputError, match="needs 3 bytes"):
        durable.replace_file(path, b"new")
    assert tree(tmp_path) == {"schema.json": b"old"}


@pytest.mark.nightly
def test_200_kills_at_random_moments_never_leave_half_a_run(tmp_path):
    root = tmp_path / "runs"
    script = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[2]); "
        "from tests.runs.test_store import publish; from kpiopt.runs.store import open_store\n"
        "while True: publish(open_store(Path(sys.argv[1])), text='x' * 5000)"
    )
    here = str(Path(__file__).parents[2])
    for i in range(200):
        process = subprocess.Popen([sys.executable, "-c", script, str(root), here])
        try:
            process.wait(timeout=0.35 + 0.0013 * i)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert all(run.is_complete for run in RunStore(root).runs())
    publish(open_store(root), "last-00000000")
    assert sorted(p.name for p in root.iterdir()) == ["base-12345678", "last-00000000"]
