"""Draw docs/architecture.md from the code: `python docs/architecture.py`. A test fails where page and code differ."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

PAGE = Path(__file__).with_suffix(".md")
PACKAGE = Path(__file__).parents[1] / "kpiopt"


def rooms() -> list[str]:
    """Return the rooms in the order that the package's own docstring names."""
    text = ast.get_docstring(ast.parse((PACKAGE / "__init__.py").read_text("utf-8"))) or ""
    listed = re.search(r"The rooms are the pipeline: ([^.]*)\.", text)
    return [name.strip() for name in listed[1].replace("\n", " ").split(",")] if listed else []


def purpose(room: str) -> str:
    """Return the first line of a room's docstring."""
    path = PACKAGE / room / "__init__.py"
    path = path if path.is_file() else PACKAGE / f"{room}.py"
    return (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").splitlines()[0]


def arrows() -> Counter[tuple[str, str]]:
    """Count the files of each room that import from another one."""
    found: Counter[tuple[str, str]] = Counter()
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).with_suffix("").parts[0]
        tree = ast.parse(path.read_text("utf-8"))
        used = {n.module.split(".")[1] for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module
                and n.module.startswith("kpiopt.")}  # fmt: skip
        found.update((room, other) for other in used if other != room)
    return found


def table() -> str:
    """Return the rooms with what they are for and what they import from."""
    names, counted = rooms(), arrows()
    lines = ["| room | what for | imports from |", "|---|---|---|"]
    for room in names:
        others = ", ".join(other for other in names if counted[room, other])
        lines.append(f"| `{room}` | {purpose(room)} | {others} |")
    return "\n".join(lines)


def render_page(page: str) -> str:
    """Return the page with its generated part as it should be."""
    marked = re.compile(r"(<!-- rooms -->\n).*?(<!-- end of rooms -->)", re.DOTALL)
    return marked.sub(lambda found: f"{found[1]}{table()}\n{found[2]}", page)


if __name__ == "__main__":
    PAGE.write_text(render_page(PAGE.read_text("utf-8")), encoding="utf-8")
