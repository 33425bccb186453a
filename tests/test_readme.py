"""The README is true: its commands are those of CI, its sample is what is printed, its links and Python work."""

import importlib.util
import re
import stat
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
COMMANDS = [block.strip() for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)]


def generator():
    spec = importlib.util.spec_from_file_location("readme_generator", ROOT / "docs" / "readme.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_ci_runs_the_test_command_of_the_readme():
    script = ROOT / ".ci" / "run"
    assert "pytest" in COMMANDS[1]
    assert COMMANDS[1] in script.read_text("utf-8").splitlines()
    assert script.stat().st_mode & stat.S_IXUSR


def test_the_first_command_solves_a_shipped_scenario():
    assert "kpiopt solve" in COMMANDS[0]
    assert (ROOT / COMMANDS[0].split()[-1]).is_file()


def test_the_generated_parts_are_current():
    """Bring them up to date with `python docs/readme.py`."""
    assert generator().render_page(README) == README


def test_every_kpiopt_command_of_the_readme_exists(capsys):
    from kpiopt.cli.manual import commands

    used = set(re.findall(r"(?:^|[/`])kpiopt (\w+)", README, re.MULTILINE))
    assert used
    assert {f"kpiopt {name}" for name in used} <= {" ".join(name.split()[:2]) for name in commands()}


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#]+)", README))
def test_links_lead_to_files_of_the_project(link):
    assert (ROOT / link).exists()


def test_the_python_of_the_readme_runs(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(compile(code, "README.md", "exec"), {})
    assert "target" in capsys.readouterr().out
