"""The form of `run.json` and `sweep.json`: what others count on, and the digest that covers all of it.

Runs are edited and broken by people, by tools that copy folders, by disks. A document is taken as it was written or not
at all: its digest covers every figure, and what is read from it has the types it was written with.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, Literal, NoReturn

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

DIGEST = "document_sha256"
"""Key of the manifest: SHA-256 of the document without this key, as compact JSON with sorted keys."""


class _Part(BaseModel):
    """A part of a document: what is read from it; further keys are left to those who know them."""

    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False, defer_build=True)


class _File(_Part):
    bytes: int
    sha256: str


class _Input(_Part):
    file: str
    sha256: str | None


class _Note(_Part):
    code: str
    message: str
    rule: str
    fix: str


class _Manifest(_Part):
    files: dict[str, _File]
    started: str
    digest: str = ""
    versions: dict[str, str] = {}
    settings: dict[str, Any] = {}
    inputs: list[_Input] = []
    notes: list[_Note] = []
    working_folder: str = "."
    variant: str | None = None

    @field_validator("files")
    @classmethod
    def _stand_inside(cls, files: dict[str, _File]) -> dict[str, _File]:
        for name in files:
            path = PurePath(name)
            if "\0" in name or not path.parts or path.is_absolute() or ".." in path.parts:
                raise ValueError("a file outside of the folder")
        return files


class _Odds(_Part):
    estimate: float
    low: float
    high: float


class _Goal(_Part):
    goal: str
    unit: str
    target: float
    plan: float
    shortfall: float
    odds: _Odds | None


class _Limit(_Part):
    name: str
    limit: float
    used: float
    binding: bool
    step: str | None
    shadow_price: float | None
    lower: float | None = Field(alias="from")
    upper: float | None = Field(alias="to")
    unit: str | None


class _Level(_Part):
    initiative: str
    unit: str
    level: float


class _Pay(_Part):
    plan: float


class _Certificate(_Part):
    kind: str
    passed: bool
    primal_residual: float | None
    relative_gap: float | None


class _Step(_Part):
    step: str
    value: float
    attempt: str
    certificate: _Certificate


class _Point(_Part):
    status: str


class _Document(_Part):
    manifest: _Manifest


class _Run(_Document):
    """`run.json`."""

    run: str
    folder: str
    status: Literal["optimal"]
    steps: list[_Step]
    goals: list[_Goal]
    all_goals: _Odds | None
    limits: list[_Limit]
    initiatives: list[_Level]
    pay: _Pay | None
    rules: dict[str, dict[str, Any]] = {}


class _Sweep(_Document):
    """`sweep.json`."""

    sweep: str
    folder: str
    status: str
    points: list[_Point]


_FORMS: dict[str, type[_Document]] = {"kpiopt.solve/": _Run, "kpiopt.sweep/": _Sweep}


def seal(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document whose manifest bears the digest of all the rest."""
    return {**document, "manifest": {**document["manifest"], DIGEST: _digest(document)}}


def parse_document(content: bytes) -> dict[str, Any]:
    """Read a document as it was written.

    Raises
    ------
    ValueError
        Where it is no JSON, is of another form, or not what its digest says.
    """
    try:
        found = json.loads(content, parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_once)
    except RecursionError:
        raise ValueError("it nests too deep") from None
    schema = found.get("schema") if isinstance(found, dict) else None
    form = next((form for start, form in _FORMS.items() if isinstance(schema, str) and schema.startswith(start)), None)
    if form is None:
        raise ValueError("it is no answer of kpiopt")
    try:
        form.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    if found["manifest"].get(DIGEST) != _digest(found):
        raise ValueError("it was changed after it was written")
    return dict(found)


def _digest(document: Mapping[str, Any]) -> str:
    manifest = {key: value for key, value in document["manifest"].items() if key != DIGEST}
    text = json.dumps({**document, "manifest": manifest}, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _refuse(text)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object in which no name stands twice: programs differ in which of two values they read."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"{text} is no finite number")
