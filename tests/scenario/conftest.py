from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from kpiopt.errors import Problem
from kpiopt.scenario.load import check_scenario
from kpiopt.scenario.scenario import Scenario

ORGANIZATION = """
[unit.co]
level = "company"
[unit.north]
parent = "co"
level = "team"
role = "field"
[unit.south]
parent = "co"
level = "team"
role = "field"
"""
"""A company with two teams."""


@dataclass(frozen=True)
class Checked:
    """What `check` has to say about a scenario."""

    scenario: Scenario | None
    problems: tuple[Problem, ...]

    @property
    def codes(self) -> list[str]:
        return [problem.code for problem in self.problems]

    def one(self, code: str) -> Problem:
        """Return the only problem with this code."""
        (problem,) = [p for p in self.problems if p.code == code]
        return problem

    def only(self, code: str) -> Problem:
        """Return the problem with this code, which must be the only error."""
        errors = [p for p in self.problems if p.is_error]
        assert [p.code for p in errors] == [code], "\n".join(map(str, errors))
        assert self.scenario is None
        return errors[0]

    def fine(self) -> Scenario:
        """Return the scenario, which must have no errors."""
        assert self.scenario is not None, "\n".join(map(str, self.problems))
        return self.scenario


Check = Callable[..., Checked]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Write a scenario with its tables and check it."""

    def run(text: str, units: str = "", cells: str = "", **options: object) -> Checked:
        lines = ["schema = 1", 'name = "test"'] if "schema =" not in text else []
        tables = []
        for name, rows in (("units", units), ("cells", cells)):
            if rows:
                (tmp_path / f"{name}.csv").write_text(rows.strip() + "\n", encoding="utf-8")
                tables.append(f'{name} = "{name}.csv"')
        parts = [*lines, text, *(["[tables]", *tables] if tables else [])]
        path = tmp_path / "scenario.toml"
        path.write_text("\n".join(parts), encoding="utf-8")
        scenario, problems, _ = check_scenario(path, **options)  # type: ignore[arg-type]
        return Checked(scenario, tuple(problems))

    return run
