"""How an input that a study moves in memory is written in the file."""

from __future__ import annotations

import re

from kpiopt.scenario.scenario import Scenario


def written(scenario: Scenario, path: str, value: float) -> list[str]:
    """Return the overrides that give an input of a scenario a value; factors on tables are bulk edits."""
    entry = scenario.document
    for key in path.split("."):
        entry = entry.get(key, {}) if isinstance(entry, dict) else {}
    if isinstance(entry, dict) and "contribution" in entry:
        return [f"{path}.contribution={value!r}"]
    if path.startswith("cells."):
        kpi, _, field = path.removeprefix("cells.").rpartition(".")
        if kpi == "effort":
            kpi, field = "", f"effort.{field}"
        elif kpi.endswith(".effort"):
            kpi, field = kpi.removesuffix(".effort"), f"effort.{field}"
        where = f'where = {{ kpi = "{kpi}" }}, ' if kpi else ""
        head, _, resource = field.partition(".")
        scale = f"{head} = {{ {resource} = {value!r} }}" if resource else f"{head} = {value!r}"
        return [f"adjust.moved={{ {where}scale = {{ {scale} }} }}"]
    single = re.fullmatch(r"(cell|unit)\.([^.]+)\.(.+)", path)
    if single:
        return [f'{single[1]}."{single[2]}".{single[3]}={value!r}']
    return [f"{path}={value!r}"]
