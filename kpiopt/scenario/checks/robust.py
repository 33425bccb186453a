"""The variants that one plan is judged in: they are there, and such that one plan can be judged in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from kpiopt.errors import ModelError, Problem
from kpiopt.reading.findings import Findings
from kpiopt.scenario.scenario import Scenario

Read = Callable[[str], tuple[Scenario | None, list[Problem]]]
RULE = "one plan is judged in several variants of the file by the shortfalls of their goals, on average"
PLACE = ("decide", "robust")
OUTSIDE = ("tables", "rules", "periods", "robust")


def add_robust(findings: Findings, scenario: Scenario | None, read: Read) -> Scenario | None:
    """Return a scenario with the variants that `[decide] robust` names; None where something is wrong.

    Parameters
    ----------
    read : callable
        Name of a variant -> its scenario, and what is wrong with it.
    """
    if scenario is None or not scenario.decide.robust:
        return scenario
    found = []
    _check_alone(findings, scenario)
    names, chosen = scenario.decide.robust, findings.document.variant
    for i, name in enumerate(names):
        if name not in findings.document.variants:
            findings.unknown("variant", name, findings.document.variants, (*PLACE, i), ModelError)
        elif name in names[:i]:
            message = f"variant '{name}' is named twice"
            findings.at("E-robust", message, (*PLACE, i), rule=RULE, fix="remove one", kind=ModelError)
        elif _names_files(findings, name, i):
            other, problems = read(name if chosen is None else f"{chosen}+{name}")
            for problem in problems:
                if problem.is_error:
                    findings.add(problem, ModelError)
            if other is not None:
                _check_goals(findings, other, name, i)
                found.append((name, replace(other, decide=replace(other.decide, robust=()), robust=())))
    return None if findings.errors else replace(scenario, robust=tuple(found))


def _check_alone(findings: Findings, scenario: Scenario) -> None:
    """Refuse what a robust plan does not understand."""
    for problem in not_with_robust(scenario):
        findings.at("E-robust", problem.message, PLACE, rule=problem.rule, fix=problem.fix, kind=ModelError)


def not_with_robust(scenario: Scenario) -> list[Problem]:
    """Return what a scenario asks for that a robust plan does not understand."""
    promised = scenario.odds.p_min is not None or any(goal.p_min is not None for goal in scenario.goals.values())
    steps = [step for step in ("odds", "cvar", "met") if step in scenario.decide.order]
    refused = []
    if promised or steps:
        what = f"the step `{steps[0]}`" if steps else "promised odds (p_min)"
        refused.append((what, what))
    if scenario.curved:
        refused.append(("drivers or effects that have a curve", "the curves"))
    if scenario.rules is not None:
        refused.append(("rules of your own", "[rules]"))
    return [
        Problem("E-robust", f"a robust plan does not go with {what}", RULE, f"leave out `robust`, or {name}")
        for what, name in refused
    ]


def _check_goals(findings: Findings, other: Scenario, name: str, i: int) -> None:
    promised = other.odds.p_min is not None or any(goal.p_min is not None for goal in other.goals.values())
    if promised or "goals" not in other.decide.order or all(goal.hard for goal in other.goals.values()):
        why = "promises odds" if promised else "has no goals that may fall short in the step `goals`"
        message = f"variant '{name}' {why}, so there is no regret to tell"
        findings.at("E-robust", message, (*PLACE, i), rule=RULE, fix="name another variant", kind=ModelError)


def _names_files(findings: Findings, name: str, i: int) -> bool:
    """Whether a variant sets numbers only; one that brings files of its own is refused."""
    patch = findings.document.merged.data["variant"][name]
    outside = [key for key in OUTSIDE if key in patch] or (["samples"] if "'samples'" in repr(patch) else [])
    if outside:
        message = f"variant '{name}' sets {outside[0]}, and a robust plan is judged in variants that set numbers"
        fix = "compare it instead: kpiopt compare"
        findings.at("E-robust", message, (*PLACE, i), rule=RULE, fix=fix, kind=ModelError)
    return not outside
