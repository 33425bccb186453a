"""Put each real model's plan beside those of a spreadsheet: `python docs/beside_spreadsheets.py`.

Writes the table in `comparing.md`; a test fails where the two differ. All plans of a model are judged by the same
draws, limits and pay budget.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from kpiopt.run.solve import SolveOptions, solve_scenario
from kpiopt.scenario.load import load_scenario

PAGE = Path(__file__).parent / "comparing.md"
SCENARIOS = PAGE.parents[1] / "scenarios"
ASKED = (
    ("AdventureWorks", "adventureworks-base", "last-year+8%"),
    ("AdventureWorks, fitted baselines", "adventureworks-fitted", "last-year+8%"),
    ("Canada's service standards", "canada-service-standards", "last-year+2%"),
    ("Scorecard", "scorecard", "last-year+5%"),
)
HEAD = (
    "| model | plan | goals met | short of goals by | odds of all goals | pay at plan | pay, mean of draws "
    "| largest stretch | limits broken |\n|---|---|---|---|---|---|---|---|---|"
)


def rows(name: str, scenario: str, rule: str) -> list[str]:
    """Return the rows of one model: the optimized plan, the proportional split, last year + x %."""
    run = solve_scenario(
        load_scenario(SCENARIOS / f"{scenario}.toml"), options=SolveOptions(beside=("proportional", rule))
    )
    answer = run.as_dict()
    stretch = next((step["value"] for step in answer["steps"] if step["step"] == "fairness"), None)
    found = [row(name, "optimized", answer, run_worst(answer, stretch), 0)]
    for label, judged in answer["rules"].items():
        found.append(row("", label, judged, judged["worst_stretch"], len(judged["broken_limits"])))
    return found


def run_worst(answer: dict[str, Any], otherwise: float | None) -> float | None:
    """Return the largest relative stretch of an optimized plan."""
    groups = (answer.get("fairness") or {}).get("groups") or []
    values = [group["largest"] for group in groups if group.get("largest") is not None]
    return max(values) if values else otherwise


def row(name: str, plan: str, answer: dict[str, Any], worst: float | None, broken: int) -> str:
    """Return one row; a shortfall is a share of what the goal asks beyond its baseline, on average over goals."""
    goals, pay, everything = answer["goals"], answer["pay"], answer["all_goals"]
    short = [g["shortfall"] / (abs(g["target"] - g["baseline"]) or 1.0) for g in goals]
    met = sum(s <= 1e-9 for s in short)
    odds = f"{100 * everything['estimate']:.0f} %" if everything else ""
    money = [f"{pay[k]:,.0f}" if pay.get("limit") else "" for k in ("plan", "mean")]
    parts = (
        name, plan, f"{met} of {len(goals)}", f"{100 * sum(short) / len(short):.0f} %", odds, *money,
        "" if worst is None else f"{100 * worst:.1f} %", str(broken),
    )  # fmt: skip
    return f"| {' | '.join(parts)} |"


def table(asked: tuple[tuple[str, str, str], ...] = ASKED) -> str:
    """Return the table of some models."""
    return "\n".join([HEAD, *(line for one in asked for line in rows(*one))])


def render_page(page: str, text: str) -> str:
    """Return the page with the table in its place."""
    marked = re.compile(r"(<!-- beside spreadsheets -->\n).*?(\n<!-- end of beside spreadsheets -->)", re.DOTALL)
    return marked.sub(lambda found: f"{found[1]}{text}{found[2]}", page)


if __name__ == "__main__":
    PAGE.write_text(render_page(PAGE.read_text("utf-8"), table()), encoding="utf-8")
