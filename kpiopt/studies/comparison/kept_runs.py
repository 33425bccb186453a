"""What differs between two kept runs: the values of their questions, and what became of goals, pay and targets."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kpiopt.reading.key_path import KeyPath, dotted
from kpiopt.reading.toml.emit import value_text
from kpiopt.runs.kept_plan import read_targets
from kpiopt.runs.stored_run import StoredRun, damaged_run, read_run_file

LARGEST_MOVES = 10


@dataclass(frozen=True)
class Change:
    """One thing that differs; None where a run does not have it.

    Attributes
    ----------
    name : str
        Path of a value in the file, file name, or what was computed.
    first, second : object
    """

    name: str
    first: Any
    second: Any


@dataclass(frozen=True)
class Difference:
    """All that differs between two runs.

    Attributes
    ----------
    versions : tuple of Change
        Python, packages and kpiopt's own code (by its digest) that differ: equal questions may differ in nothing else.
    inputs : tuple of Change
        Values of the scenario; digests of tables that differ.
    results : tuple of Change
        Plan values and odds of goals, pay.
    targets : tuple of Change
        Targets, those first that moved most relative to the larger of both values.
    """

    runs: tuple[str, str]
    versions: tuple[Change, ...]
    inputs: tuple[Change, ...]
    results: tuple[Change, ...]
    targets: tuple[Change, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form: schema `kpiopt.diff/1`."""
        parts = {"versions": self.versions, "inputs": self.inputs, "results": self.results, "targets": self.targets}
        changes = {
            part: [{"name": c.name, "first": c.first, "second": c.second} for c in found]
            for part, found in parts.items()
        }
        return {"schema": "kpiopt.diff/1", "runs": list(self.runs), **changes}

    def lines(self) -> Iterator[str]:
        """Yield the difference as lines for a reader; of the targets the ten that moved most."""
        yield f"{self.runs[0]} -> {self.runs[1]}"
        if self.versions:
            yield from _part("made by other versions", self.versions)
        yield from _part("inputs", self.inputs)
        yield from _part("results", self.results)
        yield from _part("targets", self.targets[:LARGEST_MOVES])
        if len(self.targets) > LARGEST_MOVES:
            yield f"  … and {len(self.targets) - LARGEST_MOVES:,} more targets"


def _part(title: str, changes: tuple[Change, ...]) -> Iterator[str]:
    yield f"{title}: {'no difference' if not changes else ''}".rstrip()
    yield from (f"  {c.name}: {_text(c.first)} -> {_text(c.second)}" for c in changes)


def _text(value: Any) -> str:
    if value is None:
        return "(none)"
    if isinstance(value, str):
        return value
    return value_text(value) if isinstance(value, bool | list | dict) else f"{value:,.10g}"


def compare_runs(first: StoredRun, second: StoredRun) -> Difference:
    """Compare two complete runs."""
    return Difference(
        (first.name, second.name),
        tuple(_differing(_versions(first), _versions(second))),
        tuple(_differing(_inputs(first), _inputs(second))),
        tuple(_differing(_results(first), _results(second))),
        tuple(sorted(_differing(_targets(first), _targets(second)), key=_size, reverse=True)),
    )


def _differing(first: dict[str, Any], second: dict[str, Any]) -> Iterator[Change]:
    """Yield the entries that are not equal, in the order of the first run, then those only the second has."""
    for name in dict.fromkeys([*first, *second]):
        if first.get(name) != second.get(name):
            yield Change(name, first.get(name), second.get(name))


def _versions(run: StoredRun) -> dict[str, Any]:
    """Return what made a run, kpiopt's own code first."""
    versions = dict(run.manifest["versions"])
    return {"kpiopt's code": versions.pop("code", None), **versions}


def _inputs(run: StoredRun) -> dict[str, Any]:
    try:
        document = tomllib.loads(read_run_file(run.folder / "scenario.toml").decode())
    except (OSError, ValueError) as error:
        raise damaged_run(run, f"scenario.toml ({error})") from None
    files = run.manifest["files"]
    tables = {name: entry["sha256"][:12] for name, entry in files.items() if name.startswith("inputs/")}
    return {**dict(_leaves(document, ())), **tables}


def _leaves(value: dict[str, Any], path: KeyPath) -> Iterator[tuple[str, Any]]:
    for key, child in value.items():
        if isinstance(child, dict):
            yield from _leaves(child, (*path, key))
        else:
            yield dotted((*path, key)), child


def _results(run: StoredRun) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for goal in run.document["goals"]:
        name = f"goal {goal['goal']}"
        found[f"{name} plan"] = goal["plan"]
        found[f"{name} shortfall"] = goal["shortfall"]
        found[f"{name} odds"] = goal["odds"]["estimate"] if goal["odds"] else None
    found["odds of all goals"] = (run.document["all_goals"] or {}).get("estimate")
    found["pay at plan"] = (run.document["pay"] or {}).get("plan")
    return found


def _targets(run: StoredRun) -> dict[str, Any]:
    frame = read_targets(run)
    names = zip(frame["unit"], frame["kpi"], frame["period"], frame["target"], strict=True)
    return {f"{unit}/{kpi}{'' if period is None else f'/{period}'}": target for unit, kpi, period, target in names}


def _size(change: Change) -> float:
    """How far a target moved, relative to the larger of both values; new and dropped ones first."""
    if change.first is None or change.second is None:
        return float("inf")
    return float(abs(change.second - change.first) / max(abs(change.first), abs(change.second)))
