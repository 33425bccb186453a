"""Which files a document may name, and how they are shown."""

from pathlib import Path

import pytest

from kpiopt.errors import ScenarioError, SecurityError
from kpiopt.reading.regular_file import display_path, project_root, read_bytes, read_regular_file, resolve_inside


@pytest.mark.parametrize(
    ("scenario", "root"),
    [("/nowhere/x/scenarios/a.toml", "/nowhere/x"), ("/nowhere/a.toml", "/nowhere"), ("/a.toml", "/")],
)
def test_root_without_a_marker(scenario, root):
    assert project_root(Path(scenario)) == Path(root)


def test_root_is_the_nearest_marked_folder(tmp_path):
    (tmp_path / ".git").mkdir()
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    assert project_root(tmp_path / "a" / "b" / "c" / "x.toml") == tmp_path
    (tmp_path / "a" / "kpiopt.toml").touch()
    assert project_root(tmp_path / "a" / "b" / "c" / "x.toml") == tmp_path / "a"


def test_paths_are_shown_relative_to_the_working_folder_where_near(tmp_path, monkeypatch):
    here = tmp_path / "x" / "here"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    assert display_path(here / "m" / "a.toml") == "m/a.toml"
    assert display_path(tmp_path / "x" / "m" / "a.toml") == "../m/a.toml"
    assert display_path(tmp_path / "a.toml") == (tmp_path / "a.toml").as_posix()


def test_a_sibling_folder_with_the_same_beginning_is_outside(tmp_path):
    (tmp_path / "plan").mkdir()
    (tmp_path / "plan-secret").mkdir()
    with pytest.raises(SecurityError):
        resolve_inside("../plan-secret/x.csv", tmp_path / "plan", tmp_path / "plan", None)
    inside = resolve_inside("../plan/x.csv", tmp_path / "plan", tmp_path / "plan", None)
    assert inside == tmp_path / "plan" / "x.csv"


def test_a_linked_folder_cannot_lead_out(tmp_path):
    (tmp_path / "plan").mkdir()
    (tmp_path / "plan" / "data").symlink_to(tmp_path)
    with pytest.raises(SecurityError, match="outside the project folder"):
        resolve_inside("data/x.csv", tmp_path / "plan", tmp_path / "plan", None)


def test_a_file_that_is_replaced_by_a_link_after_the_check_is_not_followed(tmp_path):
    (tmp_path / "secret").write_text("x")
    (tmp_path / "link").symlink_to("secret")
    with pytest.raises(ScenarioError, match="cannot be read"):
        read_regular_file(tmp_path / "link", "link", 10, None)


def test_a_file_that_grows_while_it_is_read_is_still_limited(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(b"")
    before = path.stat()
    path.write_bytes(b"x" * 11)
    monkeypatch.setattr("os.fstat", lambda _: before)
    with pytest.raises(SecurityError, match="E-file-size"):
        read_regular_file(path, "a", 10, None)


def test_what_is_larger_than_is_read_is_refused(tmp_path):
    (tmp_path / "kept.json").write_bytes(b"12345")
    assert read_bytes(tmp_path / "kept.json", 5) == b"12345"
    with pytest.raises(OSError, match="more than 4 bytes"):
        read_bytes(tmp_path / "kept.json", 4)
