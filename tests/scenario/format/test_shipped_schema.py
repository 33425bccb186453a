"""The schema that shipped documents point editors to is the format's own."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from kpiopt.scenario.format.document import json_schema

ROOT = Path(__file__).parents[3]
DOCUMENTS = sorted([*(ROOT / "scenarios").glob("*.toml"), *(ROOT / "models").glob("*/model.toml")])


def test_shipped_schema_is_current() -> None:
    """`kpiopt schema > kpiopt.schema.json` writes it anew."""
    assert json.loads((ROOT / "kpiopt.schema.json").read_text(encoding="utf-8")) == json_schema()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_documents_point_to_it(path: Path) -> None:
    found = re.match(r"#:schema (\S+)", path.read_text(encoding="utf-8"))
    assert found is not None
    assert (path.parent / found[1]).resolve() == ROOT / "kpiopt.schema.json"
