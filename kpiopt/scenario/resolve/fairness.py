"""How peers are compared: `[fairness]` and `[decide] fairness`."""

from __future__ import annotations

import numpy as np

from kpiopt.errors import ModelError, Problem
from kpiopt.reading.findings import Findings
from kpiopt.scenario.chance import has_chance, keeps_its_odds
from kpiopt.scenario.format.document import ScenarioDocument
from kpiopt.scenario.peers import peer_groups
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
    _check_means(findings, scenario, model)
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


def _check_means(findings: Findings, scenario: Scenario, model: ScenarioDocument) -> None:
    """Refuse guardrails beside peers that only a stretch of 0 keeps: not all can be above their mean, or below it."""
    cells = scenario.horizon
    decided = np.flatnonzero(cells.has_decision)
    swapped = [e for e in model.guardrail.values() if (e.least or 0.0) > (np.inf if e.most is None else e.most)]
    if np.isnan(cells.beside_peers).all() or scenario.fairness.measure != "stretch" or swapped:
        return  # the others are noted with their guardrails
    peers = peer_groups(scenario, decided, np.flatnonzero(~cells.is_locked[decided]))
    least, most = cells.beside_peers[:, decided[peers.member]]
    n = len(peers.count)
    low = np.bincount(peers.group, np.nan_to_num(least), n) / peers.count
    high = np.bincount(peers.group, np.where(np.isnan(most), np.inf, most), n) / peers.count
    for side, mean, beyond in (("least", low, low > 1.0 + 1e-9), ("most", high, high < 1.0 - 1e-9)):
        for g in np.flatnonzero(beyond)[:1].tolist():
            name = next(k for k, entry in reversed(model.guardrail.items()) if getattr(entry, side) is not None)
            word = "above" if side == "least" else "below"
            message = f"the {side} of all {peers.count[g]} peers ({peers.names[g]}) is {mean[g]:g} times their mean"
            rule = f"not all peers can be {word} their own mean: only a stretch of 0 for each of them is"
            fix = f"write {side} = {0.8 if side == 'least' else 1.2}, or let it hold for some of them only"
            path = ("guardrail", name, side)
            findings.at("E-guardrail-peers", message, path, rule=rule, fix=fix, kind=ModelError)


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
