"""Write docs/formulation.md from the docstrings of the formulation: `python docs/formulation.py`.

A test fails where the page and the code differ.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kpiopt.program.formulation import (
    actions,
    chosen,
    columns,
    compared,
    constraints,
    effort,
    elimination,
    objectives,
    promises,
    response,
    variants,
)
from kpiopt.program.order import steps, ties
from kpiopt.program.order.promised import draw_by_draw, few_draws, search
from kpiopt.studies import recourse

PAGE = Path(__file__).with_suffix(".md")

INTRODUCTION = """\
# Formulation

This page is written from the docstrings of `kpiopt/program/` by `python docs/formulation.py`. `str(program)` prints any
program in this notation; `kpiopt export` writes it as LP or MPS; `tests/program/golden/` holds small ones.

{symbols}

A *hub* is a node that keeps a column of its own; all other nodes are substituted:

> {elimination}

A *way* leads from a hub, a cell, a factor or an initiative into a hub; its coefficient is the product of the edges'
coefficients along it.
"""


def rule(block: str, function: Callable[..., Any]) -> str:
    """Return one rule as a heading and its formula."""
    text = inspect.getdoc(function) or ""
    formula, _, remark = text.partition("\n\n")
    remark = "" if remark.startswith("Parameters") else f"\n{remark}\n"
    where = f"`{function.__module__.removeprefix('kpiopt.')}.{function.__name__}`"
    return f"### {block}\n\n    {formula}\n{remark}\n{where}\n"


def section(title: str, rules: dict[str, Callable[..., Any]]) -> str:
    """Return a section of rules."""
    return f"## {title}\n\n" + "\n".join(rule(block, function) for block, function in rules.items())


def page() -> str:
    """Return the whole page."""
    symbols = (constraints.__doc__ or "").partition("Symbols\n-------\n")[2].rstrip()
    idea = (elimination.__doc__ or "").partition("\n\n")[2].strip().replace("\n", "\n> ")
    parts = [
        INTRODUCTION.format(symbols="\n".join(f"    {line}" for line in symbols.splitlines()), elimination=idea),
        section(
            "Columns",
            {
                "stretch": columns.add_stretch,
                "load": effort.add_loads,
                "level": columns.add_levels,
                "change": columns.add_changes,
                "shortfall": columns.add_shortfalls,
                "together": columns.shared_shortfall,
                "missed": columns.add_missed,
                "spared": chosen.add_spared,
                "response, part, full": response.add_responses,
                "largest": compared.add_largest,
                "mean": compared.add_mean,
                "worst, beyond": compared.add_ranks,
                "on, choice, idle": actions.add_switches,
            },
        ),
        section(
            "Rows",
            {
                "value": constraints.add_value_rows,
                "curve": response.add_curve_rows,
                "pieces, filled": response.add_part_rows,
                "goal": constraints.add_goal_rows,
                "met": constraints.add_met_rows,
                "lock_target": constraints.add_lock_target_rows,
                "total": constraints.add_total_rows,
                "bound": constraints.add_bound_rows,
                "effort_curve": effort.add_effort_curve_rows,
                "capacity": constraints.add_capacity_rows,
                "budget": constraints.add_budget_rows,
                "fairness": constraints.add_fairness_rows,
                "mean": constraints.add_mean_rows,
                "band": constraints.add_band_rows,
                "peers": constraints.add_peer_rows,
                "rank": constraints.add_rank_rows,
                "on": actions.add_on_rows,
                "run, least": actions.add_run_rows,
                "levels, steps": actions.add_choice_rows,
                "once": actions.add_once_rows,
                "needs": actions.add_needs_rows,
                "not_with": actions.add_not_with_rows,
                "spared_most, spared_least": chosen.add_spared_rows,
                "kpis, kpis_least": chosen.add_kpis_rows,
            },
        ),
        section(
            "Steps",
            {
                "hard promises": objectives.hard_promises,
                "met": objectives.met_objective,
                "goals": objectives.goal_objectives,
                "maximize": objectives.maximize_objective,
                "fairness": objectives.fairness_objective,
                "cost": objectives.cost_objective,
                "reference": objectives.build_reference,
            },
        ),
        f"## Promised odds\n\n{inspect.getdoc(promises)}\n\n{inspect.getdoc(search)}\n\n"
        f"{inspect.getdoc(draw_by_draw)}\n\n{inspect.getdoc(few_draws)}\n",
        f"## Several variants\n\n{inspect.getdoc(variants)}\n",
        f"## Two stages\n\n{inspect.getdoc(recourse)}\n",
        f"## Order\n\n{inspect.getdoc(steps)}\n\n## The last step\n\n{inspect.getdoc(ties)}\n",
    ]
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
