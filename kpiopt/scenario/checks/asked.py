"""Words of a scenario that say nothing more than what stands there already, or what nothing follows from."""

from __future__ import annotations

from kpiopt.reading.findings import Findings
from kpiopt.reading.key_path import KeyPath, dotted, walk
from kpiopt.scenario.format.document import ScenarioDocument

_RULE = "what is written in a scenario changes something"
_ELSEWHERE = (("decide", "order"), ("decide", "robust"))
"""Lists in which a name that stands twice is an error."""
_NO_NAMES = ("extends", "periods", "simulation", "sweep", "tables", "variant")
"""Sections whose lists hold no names of the scenario."""


def check_asked(findings: Findings, model: ScenarioDocument) -> None:
    """Note names that stand twice in a list, and settings of steps and promises that are not asked for."""
    _check_names(findings)
    _check_steps(findings, model)
    _check_priority(findings, model)
    _check_promised(findings, model)


def _check_names(findings: Findings) -> None:
    for path, value in walk(findings.document.data):
        if not isinstance(value, list) or path[0] in _NO_NAMES or path[:2] in _ELSEWHERE:
            continue
        twice = [name for i, name in enumerate(value) if isinstance(name, str) and name in value[:i]]
        for name in dict.fromkeys(twice):
            message = f"{dotted(path)} names '{name}' twice, which says nothing more than once"
            _note(findings, message, path, "remove one, or name what was meant")


def _check_steps(findings: Findings, model: ScenarioDocument) -> None:
    decide = model.decide
    if "cvar" in decide.model_fields_set and "cvar" not in decide.order:
        message = "decide.cvar changes nothing: the step `cvar` is not in the order"
        _note(findings, message, ("decide", "cvar"), 'add "cvar" to the order, or remove it')
    if decide.effort_price and "cost" not in decide.order:
        message = "decide.effort_price changes nothing: the step `cost` is not in the order"
        _note(findings, message, ("decide", "effort_price"), 'add "cost" to the order, or remove it')


def _check_promised(findings: Findings, model: ScenarioDocument) -> None:
    """What `[odds]` says is about odds that the plan promises; a study may ask for some as well."""
    given = model.odds.model_fields_set & {"draws", "seed"}
    document = findings.document
    words = {str(key) for data in (document.merged.data, document.data) for path, _ in walk(data) for key in path}
    is_used = any(word == "p_min" or word.endswith(".p_min") for word in words)
    if not given or is_used or model.recourse is not None or "cvar" in model.decide.order:
        return
    first = next(field for field in type(model.odds).model_fields if field in given)
    message = f"odds.{first} changes nothing of the plan: it promises no odds"
    _note(findings, message, ("odds", first), "write p_min beside it or in a goal, or remove it (solve --risk uses it)")


def _check_priority(findings: Findings, model: ScenarioDocument) -> None:
    """After the goals of a priority that none has a promise is served where it would be without that."""
    asked, served = model.odds.priority, sorted({goal.priority for goal in model.goal.values() if not goal.hard})
    if asked is None or asked in served or not served or model.odds.p_min is None or not findings.is_whole("goal"):
        return
    before = [priority for priority in served if priority < asked]
    where = f"after those of priority {before[-1]}" if before else "before all goals"
    message = f"[odds] priority = {asked} is the priority of no goal: all goals together are served {where}"
    _note(findings, message, ("odds", "priority"), f"goals have the priorities {', '.join(map(str, served))}")


def _note(findings: Findings, message: str, path: KeyPath, fix: str) -> None:
    findings.at("W-no-effect", message, path, rule=_RULE, fix=fix, key=True)
