"""Bring the sample output and the exit codes in README.md up to date: `python docs/readme.py`.

A test fails where README and program differ.
"""

from __future__ import annotations

import re
from pathlib import Path

from kpiopt.cli.manual import exit_code_table
from kpiopt.report.page.kept_files import plain_text
from kpiopt.report.summary import render_summary
from kpiopt.run.solve import solve_scenario
from kpiopt.scenario.load import load_scenario

PAGE = Path(__file__).parents[1] / "README.md"
SCENARIO = PAGE.parent / "scenarios" / "adventureworks-base.toml"
SHOWN = ("Goals", "Who is asked what", "What holds the plan back")


def sample() -> str:
    """Return the verdict, the goals and the limits of the shipped scenario's summary, as it is printed and kept."""
    text = plain_text(render_summary(solve_scenario(load_scenario(SCENARIO))))
    parts = re.sub(r" \(residual [^)]*\)", "", text).split("\n\n")  # the last digits differ between machines
    chosen = [part.strip("\n") for i, part in enumerate(parts) if i == 0 or part.startswith(SHOWN)]
    return "```\n" + "\n\n".join(chosen) + "\n```"


def replace_part(page: str, name: str, text: str) -> str:
    """Return the page with the text between two markers replaced."""
    marked = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
    return marked.sub(lambda found: f"{found[1]}{text}\n{found[2]}", page)


def render_page(page: str) -> str:
    """Return the page with its generated parts as they should be."""
    return replace_part(replace_part(page, "sample", sample()), "exit codes", exit_code_table())


if __name__ == "__main__":
    PAGE.write_text(render_page(PAGE.read_text("utf-8")), encoding="utf-8")
