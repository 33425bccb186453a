"""One writer of programs: what one command solves, the others solve, check and export."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2] / "kpiopt"
WRITER = ROOT / "run" / "program.py"


@pytest.mark.parametrize("part", ["apply_rules", "add_variants"])
def test_the_parts_of_a_program_are_put_together_in_one_file(part):
    calls = {path for path in ROOT.rglob("*.py") if re.search(rf"(?<!def ){part}\(", path.read_text("utf-8"))}
    assert calls == {WRITER}
