"""How peers are compared: `[fairness]` and `[decide] fairness`."""

from __future__ import annotations

import numpy as np

from kpiopt.errors import ModelError, Problem
from kpiopt.reading.findings import Findings
from kpiopt.scenario.chance import has_chance, keeps_its_odds
from kpiopt.scenario.format.document import ScenarioDocument
from kpiopt.scenario.resolve.cell_table import CellTable
from kpiopt.scenario.scenario import Fairness, Integers, Scenario

SECTION, CHANCE = "fairness", ("decide", "fairness")


def resolve_fairness(findings: Findings, model: ScenarioDocument) -> Fairness:
    """Return how peers are compared."""
    entry, measure = model.fairness, model.decide.fairness
    is_step = "fairness" in model.decide.order
    if measure == "chance" and not is_step:
        message = "equal odds are asked for, and the step `fairness` is not in the order"
        findings.at("W-no-effect", message, CHANCE, fix="add the step, or remove it", key=True)
    if entry is None:
        return Fairness(measure)
    if not is_step and (entry.leximin or entry.measure != "stretch") and entry.band is None:
        message, fix = (
            "[fairness] changes nothing: the step `fairness` is not in the order",
            "add the step, or remove it",
        )
        findings.at("W-no-effect", message, (SECTION,), fix=fix, key=True)
    if measure == "chance" and (entry.measure == "load" or entry.band is not None):
        message = "peers are asked for equal odds, and [fairness] compares something else"
        rule, fix = (
            "one thing is compared: stretch, load or odds",
            'remove [decide] fairness = "chance", or band and measure',
        )
        findings.at("E-fairness", message, (SECTION,), rule=rule, fix=fix, key=True, kind=ModelError)
    return Fairness("chance" if measure == "chance" else entry.measure, entry.band, entry.leximin, entry.price)


def check_beside_peers(findings: Findings, scenario: Scenario, model: ScenarioDocument) -> None:
    """Guardrails beside peers compare stretch, and load compares effort that is in proportion to it."""
    if scenario.fairness.measure == "load" and model.effort_curve:
        message = "[fairness] compares load, and effort grows faster than stretch ([effort_curve])"
        rule, fix = "loads are compared where effort is in proportion to stretch", 'write measure = "stretch"'
        findings.at("E-fairness", message, (SECTION, "measure"), rule=rule, fix=fix, kind=ModelError)
    if scenario.fairness.measure == "load" and not scenario.horizon.effort:
        message = "[fairness] compares load, and no cell has effort: nobody is compared"
        fix = 'give cells effort.<resource> and units a capacity, or write measure = "stretch"'
        findings.at("W-no-effect", message, (SECTION, "measure"), fix=fix, key=True)
    offered = ~np.isnan(scenario.cells.offered) & scenario.cells.has_decision
    if scenario.reconcile and not offered.any():
        message = "[reconcile] changes nothing: no cell with a decision has a commit"
        findings.at("W-no-effect", message, ("reconcile",), fix="give cells a commit, or remove it", key=True)
    named = [name for name, entry in model.guardrail.items() if entry.least is not None or entry.most is not None]
    for name in named:
        entry, path = model.guardrail[name], ("guardrail", name)
        if scenario.fairness.measure != "stretch":
            message = f"guardrail '{name}' compares stretch, and [fairness] compares {scenario.fairness.measure}"
            rule = "least and most are about the mean relative stretch of peers"
            fix = "remove one of the two"
            findings.at("E-guardrail-peers", message, path, rule=rule, fix=fix, key=True, kind=ModelError)
        if entry.least is not None and entry.most is not None and entry.least > entry.most:
            message, rule = f"guardrail '{name}' has least above most", "least is at most most"
            findings.at("E-guardrail-peers", message, (*path, "least"), rule=rule, fix="swap them", kind=ModelError)


def check_chance(findings: Findings, scenario: Scenario, table: CellTable) -> None:
    """Every cell whose odds are compared has odds of its own: an uncertain baseline."""
    if scenario.fairness.measure != "chance":
        return
    cells = scenario.horizon
    compared = np.flatnonzero(cells.has_decision & ~cells.is_locked)
    certain = compared[~has_chance(scenario, compared)]

    def problem(cell: int) -> Problem:
        message = f"the baseline of {table.name(cell)} is certain, so that its odds say nothing about its stretch"
        rule = "peers are asked for equal odds by their own noise and execution"
        fix = 'give it noise ([noise.NAME] sd, or a baseline such as "90 to 110")'
        return Problem("E-chance-noise", message, rule, fix, table.location(cell, "baseline"))

    findings.each(certain.tolist(), problem, ModelError)
    if not len(certain):
        _tell_who_keeps_odds(findings, scenario, compared, table)


def _tell_who_keeps_odds(findings: Findings, scenario: Scenario, compared: Integers, table: CellTable) -> None:
    """Warn where peers cannot have equal odds because those of some hardly fall with what is asked of them."""
    kept = keeps_its_odds(scenario, compared)
    kpis = scenario.horizon.kpi[compared]
    for kpi in np.unique(kpis[kept]).tolist():
        cells = compared[kept & (kpis == kpi)]
        more = f" and {len(cells) - 1:,} more" if len(cells) > 1 else ""
        message = (
            f"the odds of {table.name(int(cells[0]))}{more} hardly fall with what is asked, so that peers of "
            f"'{scenario.kpi_ids[kpi]}' are not asked for equal odds but for targets that each would reach of its own "
            "accord with equal odds"
        )
        rule = "odds fall with stretch where execution is mostly below 1"
        fix = "give these cells an execution below 1, or a KPI or role of their own"
        findings.warn("W-chance", message, table.location(int(cells[0]), "execution"), rule=rule, fix=fix)
