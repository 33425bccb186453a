"""Pages for planners are executed: files they show are written, commands run in order, and print what the page says."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import ZipFile

import pytest

from kpiopt.cli import main
from tests.workers.dask_workers import loopback_cluster

ROOT = Path(__file__).parents[1]
PAGES = ("from-excel", "how-to")
CLUSTER = "dask://127.0.0.1:8786"
BEFORE = r"(?:`(?P<name>[\w.-]+)`:\n\n|<!-- exit code (?P<code>\d+) -->\n)?"
BLOCK = r"```(?P<language>\w*)\n(?P<content>.*?)```"
TYPED = r"<!-- typed: (?P<book>\S+) (?P<sheet>\w+)!(?P<cell>\w+) = (?P<value>.+?) -->"
PART = re.compile(f"{BEFORE}{BLOCK}|{TYPED}", re.DOTALL)


def chapters(page: str) -> list[tuple[str, str, str]]:
    """Return page, title and text of every chapter; a tutorial is one chapter."""
    text = (ROOT / "docs" / f"{page}.md").read_text("utf-8")
    if page != "how-to":
        return [(page, page, text)]
    return [(page, part.partition("\n")[0], part) for part in text.split("\n## ")[1:]]


def words(text: str) -> str:
    return " ".join(text.split())


def run(line: str, code: int, capsys: pytest.CaptureFixture[str]) -> str:
    """Run one command as it stands on the page."""
    program, *given = shlex.split(line)
    assert program == "kpiopt", line
    found, printed = main(given), capsys.readouterr()
    assert found == code, f"{line}\n{printed.out}\n{printed.err}"
    return printed.out + printed.err


@contextmanager
def cluster(text: str, folder: Path) -> Iterator[str]:
    """Where a chapter computes on a cluster: start one, and put its address into the text."""
    if CLUSTER not in text:
        yield text
        return
    with loopback_cluster(folder, workers=1) as found:
        yield text.replace(CLUSTER, found.address)


def type_into(workbook: Path, sheet: str, cell: str, value: str) -> None:
    """Put another number where one stands in a sheet, as a planner does by hand."""
    with ZipFile(workbook) as book:
        parts = {name: book.read(name) for name in book.namelist()}
    sheets = re.findall(r'<sheet name="(\w+)"', parts["xl/workbook.xml"].decode())
    part = f"xl/worksheets/sheet{sheets.index(sheet) + 1}.xml"
    place = re.compile(rf'(<c r="{cell}"[^>]*><v>)[^<]*(</v>)')
    parts[part], n_places = re.subn(place, rf"\g<1>{value}\g<2>", parts[part].decode())
    assert n_places == 1, f"{sheet}!{cell} holds no number"
    with ZipFile(workbook, "w") as book:
        for name, content in parts.items():
            book.writestr(name, content)


@pytest.mark.parametrize(("page", "title", "text"), [c for page in PAGES for c in chapters(page)], ids=lambda t: t[:20])
def test_the_page_can_be_followed(page, title, text, tmp_path, monkeypatch, capsys):
    for folder in ("scenarios", "models"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "110")  # as in a pipe, whatever the tests before this one left
    printed, n_commands = "", 0
    with cluster(text, tmp_path) as text:
        for part in PART.finditer(text):
            if part["book"]:
                type_into(tmp_path / part["book"], *part.group("sheet", "cell", "value"))
            elif part["name"]:
                (tmp_path / part["name"]).write_text(part["content"], "utf-8")
            elif part["language"] == "sh":
                commands = part["content"].splitlines()
                printed = "".join(run(line, int(part["code"] or 0), capsys) for line in commands)
                n_commands += len(commands)
            else:
                assert part["language"] == "", f"a block that nobody runs: {part[0]}"
                for line in part["content"].splitlines():
                    assert words(line) in words(printed), f"{line}\n\nis not in\n\n{printed}"
    assert n_commands
