"""Write docs/reference.md from the docstrings: `python docs/reference.py`. A test fails where page and code differ."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import kpiopt
from kpiopt.errors import KpioptError

PAGE = Path(__file__).with_suffix(".md")
HEAD = """# Python reference

Written from the docstrings by `python docs/reference.py`. The functions are the words of the command line; options are
named. `import kpiopt` is light: what a function needs is imported when it is called.
"""
SECTION = re.compile(r"^(\w[\w ]*)\n-+\n", re.MULTILINE)


def sections(doc: str) -> tuple[str, dict[str, str]]:
    """Return the text of a docstring and its sections by name."""
    text, *rest = SECTION.split(doc)
    return text.strip(), dict(zip(rest[::2], (part.rstrip() for part in rest[1::2]), strict=True))


def entries(section: str) -> list[tuple[str, str]]:
    """Return the entries of a section: what stands at the margin, and what is indented below it."""
    found: list[tuple[str, list[str]]] = []
    for line in section.splitlines():
        if line[:1].strip():
            found.append((line.strip(), []))
        elif found and line.strip():
            found[-1][1].append(line.strip())
    return [(name, " ".join(lines)) for name, lines in found]


def cell(text: str) -> str:
    """Return a text that can stand in a table."""
    return text.replace("|", "\\|")


def table(section: str, head: str) -> list[str]:
    """Return a section as a table of names, types and meanings."""
    lines = [f"| {head} | type | meaning |", "|---|---|---|"]
    for name, meaning in entries(section):
        names, _, kind = name.partition(" : ")
        lines.append(f"| `{names}` | {cell(kind)} | {cell(meaning)} |")
    return [*lines, ""]


def signature(function: Any) -> str:
    """Return a call with all its options, as the code writes it, types left to the table."""
    parts = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not any(part.startswith("*") for part in parts):
            parts.append("*")
        default, star = parameter.default, "*" if parameter.kind is parameter.VAR_POSITIONAL else ""
        shown = "" if default is parameter.empty else "=…" if callable(default) else f"={default!r}"
        parts.append(f"{star}{parameter.name}{shown}")
    return f"kpiopt.{function.__name__}({', '.join(parts)}) -> {inspect.signature(function).return_annotation}"


def described(name: str, value: Any) -> list[str]:
    """Return the chapter of a function or a type."""
    text, found = sections(inspect.getdoc(value) or "")
    lines = [f"## {name}", "", *(["```text", signature(value), "```", ""] if inspect.isfunction(value) else [])]
    lines += [text, ""]
    for title, head in (("Parameters", "option"), ("Attributes", "attribute")):
        lines += table(found[title], head) if title in found else []
    for title in ("Returns", "Raises"):
        lines += [f"{title}:", "", *(f"- `{n}` {m}".rstrip() for n, m in entries(found.get(title, ""))), ""]
        lines = lines if title in found else lines[:-3]
    return lines


def errors() -> list[str]:
    """Return the errors with their exit codes."""
    lines = ["## Errors", "", "Each has `.problems`: code, message, rule, fix and location.", ""]
    lines += ["| error | exit code | when |", "|---|---|---|"]
    for name in kpiopt.__all__:
        value = getattr(kpiopt, name)
        if inspect.isclass(value) and issubclass(value, KpioptError):
            first = " ".join((inspect.getdoc(value) or "").split("\n\n")[0].split())
            lines.append(f"| `{name}` | {int(value.exit_code)} | {cell(first)} |")
    return [*lines, ""]


def render_page() -> str:
    """Return the whole page."""
    public = {name: getattr(kpiopt, name) for name in kpiopt.__all__}
    functions = [name for name, value in public.items() if inspect.isfunction(value)]
    lines = [HEAD]
    for name in (*functions, "Scenario", "Run"):
        lines += described(name, public[name])
    return "\n".join([*lines, *errors()]).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(render_page(), encoding="utf-8")
