"""What a document may extend: bad inputs 18 to 23; each test names its row."""

import os

import pytest

from kpiopt.errors import ScenarioError, SecurityError, format_problem
from kpiopt.reading.document import read_document
from tests.reading.refused import only, positions, refusal


def test_row_18_extended_documents_need_it_too(project):
    path = project(a='schema = 1\nextends = "b.toml"\n', b="schema = 3\n")
    assert only(refusal(ScenarioError, path), "E-schema-version").location.file.endswith("b.toml")


def test_row_19_cycle_prints_its_chain(project):
    documents = {"a": "b", "b": "c", "c": "b"}
    path = project(**{name: f'schema = 1\nextends = "{other}.toml"\n' for name, other in documents.items()})
    problem = only(refusal(ScenarioError, path), "E-extends-cycle")
    names = [part.split("/")[-1] for part in problem.message.split(": ")[1].split(" -> ")]
    assert names == ["b.toml", "c.toml", "b.toml"]
    assert problem.location.file.endswith("c.toml")


def test_row_19_a_document_that_extends_itself(project):
    only(refusal(ScenarioError, project(a='schema = 1\nextends = "./a.toml"\n')), "E-extends-cycle")


@pytest.mark.parametrize(("length", "is_fine"), [(16, True), (17, False), (1000, False)])
def test_row_20_depth_of_extends(project, length, is_fine):
    documents = {f"d{i}": f'schema = 1\nextends = "d{i + 1}.toml"\n' for i in range(length - 1)}
    path = project(**documents, **{f"d{length - 1}": "schema = 1\nlast = true\n"})
    if is_fine:
        assert read_document(path).data["last"]
    else:
        only(refusal(SecurityError, path), "E-extends-depth")


@pytest.mark.parametrize(
    "target",
    [
        "../../secret.toml",
        "../secret.toml",
        "sub/../../secret.toml",
        "/etc/passwd",
        "~/secret.toml",
        "~root/x.toml",
        "http://example.org/a.toml",
        "file:///etc/passwd",
        "file:secret",
        "C:/secret.toml",
        "C:\\\\secret.toml",
        "\\\\\\\\host\\\\share\\\\a.toml",
        "//host/share/a.toml",
        "a\\u0000.toml",
    ],
)
def test_row_21_paths_outside_the_project(project, tmp_path, target):
    (tmp_path.parent / "secret.toml").write_text("schema = 1\npassword = 'x'\n")
    path = project(a=f'schema = 1\nextends = "{target}"\n')
    problem = only(refusal(SecurityError, path), "E-path-outside")
    assert positions([problem]) == [(2, 11)]
    assert "password" not in format_problem(problem)


def test_row_22_symbolic_link_out_of_the_project(project, tmp_path):
    (tmp_path.parent / "secret.toml").write_text("schema = 1\n")
    (tmp_path / "link.toml").symlink_to(tmp_path.parent / "secret.toml")
    only(refusal(SecurityError, project(a='schema = 1\nextends = "link.toml"\n')), "E-path-outside")


def test_row_22_symbolic_link_inside_the_project_is_fine(project, tmp_path):
    path = project(a='schema = 1\nextends = "link.toml"\n', b="schema = 1\nx = 1\n")
    (tmp_path / "link.toml").symlink_to("b.toml")
    assert read_document(path).data["x"] == 1


def test_row_22_link_to_a_device(project, tmp_path):
    (tmp_path / "link.toml").symlink_to("/dev/zero")
    only(refusal(SecurityError, project(a='schema = 1\nextends = "link.toml"\n')), "E-path-outside")


def test_row_22_pipes_and_sockets_do_not_block(project, tmp_path):
    os.mkfifo(tmp_path / "pipe.toml")
    only(refusal(SecurityError, project(a='schema = 1\nextends = "pipe.toml"\n')), "E-file-special")
    only(refusal(SecurityError, tmp_path / "pipe.toml"), "E-file-special")
    only(refusal(SecurityError, "/dev/zero"), "E-file-special")


def test_row_23_two_extended_documents_disagree(project):
    path = project(
        a='schema = 1\nextends = ["b.toml", "c.toml"]\n',
        b="schema = 1\n[budget.pay]\nlimit = 5\n[kpi.x]\nunit = 'USD'\n",
        c="schema = 1\nbudget.pay.limit = 6\nkpi.x.unit = 'USD'\nkpi.x.step = 1\n",
    )
    problem = only(refusal(ScenarioError, path), "E-extends-clash")
    assert "budget.pay.limit" in problem.message
    assert [(p.file[-6:], p.line) for p in (*problem.others, problem.location)] == [("b.toml", 3), ("c.toml", 2)]


def test_a_missing_extended_document_is_named_as_given_and_resolved(project, tmp_path):
    path = project(a='schema = 1\nextends = "bsae.toml"\n', base="schema = 1\n")
    problem = only(refusal(ScenarioError, path), "E-file-missing")
    assert "'bsae.toml'" in problem.message
    assert str(tmp_path / "bsae.toml") in problem.message
    assert "did you mean 'base.toml'?" in problem.fix


def test_a_name_that_no_file_system_takes(project, tmp_path):
    only(refusal(ScenarioError, project(a=f'schema = 1\nextends = "{"x" * 5000}"\n')), "E-file-missing")
    only(refusal(ScenarioError, tmp_path / ("x" * 5000)), "E-file-missing")


def test_a_link_to_itself(project, tmp_path):
    (tmp_path / "loop.toml").symlink_to("loop.toml")
    only(refusal(ScenarioError, project(a='schema = 1\nextends = "loop.toml"\n')), "E-file-missing")
    only(refusal(ScenarioError, tmp_path / "loop.toml"), "E-file-missing")


def test_a_folder_cannot_be_extended(project, tmp_path):
    (tmp_path / "sub").mkdir()
    problem = only(refusal(ScenarioError, project(a='schema = 1\nextends = "sub"\n')), "E-file-missing")
    assert "is a folder" in problem.message


@pytest.mark.parametrize("target", ["", "models\\\\b.toml"])
def test_path_forms(project, target):
    only(refusal(ScenarioError, project(a=f'schema = 1\nextends = "{target}"\n')), "E-path-form")


@pytest.mark.parametrize("value", ["5", "true", "{ a = 1 }", "[['b.toml']]"])
def test_extends_of_another_type(project, value):
    only(refusal(ScenarioError, project(a=f"schema = 1\nextends = {value}\n")), "E-extends-form")
