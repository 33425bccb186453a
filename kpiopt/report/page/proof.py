"""Why it can be trusted and what it rests on: assumptions, checks, certificate, provenance."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kpiopt import __version__
from kpiopt.errors import problem_as_dict
from kpiopt.report.input_names import input_name
from kpiopt.report.numbers import amount, gap_words, percent
from kpiopt.report.outlook import curve_sentences
from kpiopt.report.page.page import PageSection, PageTable
from kpiopt.report.page.source import ReportSource
from kpiopt.scenario.noise import Noise
from kpiopt.scenario.scenario import Floats, Scenario

MOST_ASSUMPTIONS, MOST_NOTES, MOST_ALIKE = 60, 40, 3


def assumptions_section(source: ReportSource) -> PageSection:
    """Return what is uncertain and how the plan was decided."""
    graph, scenario = source.graph, source.scenario
    used = [q for q in graph.quantities if not q.quantity.is_number]
    rows = [(input_name(scenario, q.name), q.name, q.quantity.text, amount(q.quantity.mean)) for q in used]
    execution = zip(scenario.uncertainty.paths, scenario.uncertainty.execution, strict=True)
    rows += [(input_name(scenario, path), path, q.text, amount(q.mean)) for path, q in execution if not q.is_number]
    rows += _noise_rows(scenario)
    caption = f"the first {MOST_ASSUMPTIONS} of {len(rows):,}" if len(rows) > MOST_ASSUMPTIONS else ""
    columns = ("what", "in the file", "assumed", "mean")
    order = " → ".join(scenario.decide.order)
    lines = [f"Order of decisions: {order}. Peers: same {' and '.join(scenario.decide.peers)}."]
    lines += curve_sentences(source.simulation, source.expected)
    table = PageTable("What is uncertain", columns, rows[:MOST_ASSUMPTIONS], 3, caption)
    return PageSection("Assumptions", lines, blocks=[table] if rows else [])


def _noise_rows(scenario: Scenario) -> Iterator[tuple[str, str, str, str]]:
    """Yield how baselines scatter: for each noise how many, and by how much."""
    noise = scenario.noise
    if noise is None:
        return
    horizon = _noise_of_horizon(noise, scenario)
    for group, name in enumerate(noise.names):
        sd = horizon[noise.group[:: scenario.n_periods] == group]
        if not np.any(sd > 0):
            continue
        ends = dict.fromkeys(amount(end) if noise.additive[group] else percent(end) for end in (sd.min(), sd.max()))
        one = "baseline" if len(sd) == 1 else "baselines"
        path = f"noise.{name}" if name else "cells.noise_sd"
        yield f"{len(sd):,} {one}", path, f"standard deviation {' to '.join(ends)}", "no change"


def _noise_of_horizon(noise: Noise, scenario: Scenario) -> Floats:
    """Return the noise of each cell's baseline of the horizon: what is added to a flow adds up over its periods."""
    sd, cells = noise.sd.reshape(-1, scenario.n_periods), scenario.horizon
    flow = np.array([kpi.kind == "flow" for kpi in scenario.kpis.values()], dtype=bool)[cells.kpi]
    adds_up = flow & np.array([*noise.additive, False], dtype=bool)[noise.group[:: scenario.n_periods]]
    whole: Floats = np.where(adds_up, sd.sum(axis=1), sd.max(axis=1, initial=0.0))
    return whole


def proof_section(source: ReportSource) -> PageSection:
    """Return notes, the certificate and where everything comes from."""
    notes = list(_notes(source))
    lines = [] if notes else ["Check and rounding have nothing to say."]
    return PageSection("Checks and proof", lines, blocks=[*notes, _certificate(source), _provenance(source)])


def _notes(source: ReportSource) -> Iterator[PageTable]:
    drawn = source.simulation.notes if source.simulation else ()
    found = [*(problem_as_dict(p) for p in source.scenario.warnings), *source.document["rounding"],
             *(problem_as_dict(p) for p in drawn)]  # fmt: skip
    kinds: dict[tuple[str, str], list[str]] = {}
    for note in found:
        kinds.setdefault((note["code"], note["fix"] or ""), []).append(note["message"])
    rows = [(code, _several(messages), fix) for (code, fix), messages in kinds.items()]
    if rows:
        caption = f"the first {MOST_NOTES} of {len(rows):,}" if len(rows) > MOST_NOTES else ""
        yield PageTable("What check and rounding have to say", ("code", "what", "fix"), rows[:MOST_NOTES], 3, caption)


def _several(messages: list[str]) -> str:
    """Return what one kind of note says: a few in full, the rest counted."""
    more = f" … and {len(messages) - MOST_ALIKE} more of this kind." if len(messages) > MOST_ALIKE else ""
    return "; ".join(messages[:MOST_ALIKE]) + more


def _certificate(source: ReportSource) -> PageTable:
    rows = []
    for step in source.document["steps"]:
        proof = step["certificate"]
        name = f"{step['step']} {step['priority']}" if "priority" in step else step["step"]
        numbers = f"{proof['primal_residual']:.1e}", gap_words(proof["relative_gap"])
        value = f"{amount(step['value'])} {step['unit'] or ''}".strip()
        rows.append((name, value, *numbers, "yes" if proof.get("passed", True) else "no"))
    columns = ("step", "value", "residual", "gap", "proved")
    note = "Each step was checked from the original numbers by code that shares nothing with the solver. Check again: "
    return PageTable("Certificate", columns, rows, note=f"{note}kpiopt verify {source.name}")


def _provenance(source: ReportSource) -> PageTable:
    scenario, drawn = source.scenario, source.document["simulation"]
    draws = f"{drawn['draws']:,}, seed {drawn['seed']}, {drawn['method']}" if drawn else "none"
    rows = [("run", source.name), ("scenario", scenario.name), ("variant", scenario.variant or "none"),
            ("kpiopt", __version__), ("draws", draws)]  # fmt: skip
    rows += [(f"input {file}", f"SHA-256 {digest}") for file, digest in sorted(source.inputs.items())[:20]]
    return PageTable("Where it comes from", ("", "what"), rows, 2)
