"""What pydantic finds, in the planner's words; and the document without it, so that checking can go on."""

from __future__ import annotations

import types
from collections.abc import Callable, Container, Mapping
from copy import deepcopy
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from kpiopt.errors import Problem, ScenarioError
from kpiopt.reading.findings import Findings
from kpiopt.reading.key_path import KeyPath, did_you_mean, dotted
from kpiopt.scenario.format.document import ScenarioDocument

_STAND_INS = {
    "schema": 1,
    "name": "unnamed",
    "target": 1.0,
    "max": 1.0,
    "value": 1.0,
    "contribution": 1.0,
    "weight": 0.0,
    "limit": 1e12,
    "payout": [[1.0, 1.0]],
}
"""Stand in for required keys that are missing or wrong; the scenario is refused anyway."""

_BULK = ("adjust", "assign", "guardrail", "execution", "noise")
"""Sections whose entries act on many cells: half an entry would do harm, so none of it is kept."""


def validate_document(findings: Findings) -> ScenarioDocument:
    """Check a document against the format.

    Whatever is wrong is noted in `findings`. What is returned lacks the keys with errors, so that everything else can
    be checked further.
    """
    data = findings.document.data
    try:
        return ScenarioDocument.model_validate(data)
    except ValidationError as error:
        details = _details(error)
    unknown = [_path(d) for d in details if d["type"] == "extra_forbidden"]
    for detail in details:
        if not _is_misspelled(detail, unknown):
            _note(findings, detail)
    return _validate_rest(findings, data, details)


def _is_misspelled(missing: ErrorDetails, unknown: list[KeyPath]) -> bool:
    """Whether a key is missing only because it is misspelled, which is reported already."""
    if missing["type"] != "missing":
        return False
    *table, key = _path(missing)
    beside = [str(path[-1]) for path in unknown if list(path[:-1]) == table]
    return any(did_you_mean(name, [str(key)]) for name in beside)


def _validate_rest(findings: Findings, data: dict[str, Any], details: list[ErrorDetails]) -> ScenarioDocument:
    rest = deepcopy(data)
    while details:
        for detail in details:
            path = _path(detail)
            findings.damaged.add(str(path[0]))
            _repair(rest, path, is_missing=detail["type"] == "missing")
        try:
            return ScenarioDocument.model_validate(rest)
        except ValidationError as error:
            details = _details(error)
    return ScenarioDocument.model_validate(rest)


def _details(error: ValidationError) -> list[ErrorDetails]:
    """Return what pydantic found, of a value that may be of several kinds as one finding of the kind that it is.

    Pydantic tries every kind and puts the kind's name into the place of what it finds; the file has no such key.
    """
    found: list[ErrorDetails] = []
    kinds: dict[KeyPath, dict[str, list[ErrorDetails]]] = {}
    for detail in error.errors(include_url=False):
        cut = _kind_at(detail["loc"])
        if cut is None:
            found.append(detail)
            continue
        outer, tag, inner = detail["loc"][:cut], str(detail["loc"][cut]), detail["loc"][cut + 1 :]
        kinds.setdefault(outer, {}).setdefault(tag, []).append({**detail, "loc": (*outer, *inner)})
    for outer, branches in kinds.items():
        fitting = next((b for b in branches.values() if not any(_is_another_kind(d, outer) for d in b)), None)
        found += fitting or [_of_no_kind([branch[0] for branch in branches.values()])]
    return found


def _kind_at(place: tuple[int | str, ...]) -> int | None:
    """Return where in a place the name of a kind stands, if there is one."""
    kind: Any = ScenarioDocument
    for depth, part in enumerate(place):
        if len(_kinds(kind)) > 1:
            return depth
        kind = _inside(kind, part)
    return None


def _is_another_kind(detail: ErrorDetails, place: KeyPath) -> bool:
    """Whether a finding says that the value at `place` is of another kind, not that it is wrong for its kind."""
    is_word = detail["type"] == "literal_error" and isinstance(detail["input"], str)
    return detail["loc"] == place and (detail["type"] in _TYPES or detail["type"] == "literal_error") and not is_word


def _of_no_kind(details: list[ErrorDetails]) -> ErrorDetails:
    wanted = [_listed(d) if d["type"] == "literal_error" else [_TYPES[d["type"]][0]] for d in details]
    words = [word for several in wanted for word in several]
    return {**details[0], "type": "no_kind", "ctx": {"expected": f"{', '.join(words[:-1])} or {words[-1]}"}}


def _repair(data: dict[str, Any], path: KeyPath, *, is_missing: bool) -> None:
    """Remove what is wrong, or put a stand-in where something is missing; each call brings the document nearer."""
    if path[0] in _BULK:
        path, is_missing = path[:2], False
    elif is_missing and path[-1] not in _STAND_INS:
        path, is_missing = path[:-1], False
    table: Any = data
    for depth, key in enumerate(path[:-1]):
        if not isinstance(table.get(key), dict):
            path = path[: depth + 1]
            break
        table = table[key]
    if is_missing:
        table[path[-1]] = deepcopy(_STAND_INS[str(path[-1])])
    elif path[-1] in table or len(path) == 1:
        table.pop(path[-1], None)
    else:  # it stands in a short form that was written out
        _repair(data, path[:-1], is_missing=False)


def _path(detail: ErrorDetails) -> KeyPath:
    return tuple(part for part in detail["loc"] if part != "[key]")


def faults_of(data: dict[str, Any], *, but: Container[str] = ()) -> list[str]:
    """Say what the format has against a document, in a sentence each.

    Parameters
    ----------
    but : container of str
        Kinds of faults, by pydantic's names, that do not count.
    """
    try:
        ScenarioDocument.model_validate(data)
    except ValidationError as error:
        details = [detail for detail in _details(error) if detail["type"] not in but]
        return [_sentence(detail) for detail in details]
    return []


def _sentence(detail: ErrorDetails) -> str:
    problem = _describe(detail)
    return f"{problem.message}; {problem.fix or problem.rule}"


def _note(findings: Findings, detail: ErrorDetails) -> None:
    path, problem = _path(detail), _describe(detail)
    is_missing = detail["type"] == "missing"
    findings.at(
        problem.code,
        problem.message,
        path[:-1] if is_missing else path,
        rule=problem.rule,
        fix=problem.fix,
        key=is_missing or _is_unknown(detail),
        kind=ScenarioError,
    )


def _is_unknown(detail: ErrorDetails) -> bool:
    return detail["type"] == "extra_forbidden" or detail["loc"][-1] == "[key]"


def _describe(detail: ErrorDetails) -> Problem:
    """Return a fault as a problem without a place."""
    path, kind = _path(detail), detail["type"]
    if _is_unknown(detail):
        known = _known_keys(path[:-1]) if kind == "extra_forbidden" else _listed(detail)
        where = f"[{dotted(path[:-1])}]" if len(path) > 1 else "a scenario"
        fix = did_you_mean(str(path[-1]), known) or f"its keys are {', '.join(known)}"
        rule = "unknown keys are refused, so that no input is lost"
        return Problem("E-unknown-key", f"unknown key '{path[-1]}' in {where}", rule, fix)
    if kind == "missing":
        message = f"'{path[-1]}' is missing in [{dotted(path[:-1])}]" if len(path) > 1 else f"'{path[-1]}' is missing"
        return Problem("E-missing-key", message, f"{path[-1]}: {_description(path)}", f"add {path[-1]} = …")
    code, problem, rule, fix = _explain(detail)
    return Problem(code, f"{dotted(path)} {problem}", rule, fix)


def _explain(detail: ErrorDetails) -> tuple[str, str, str, str]:
    """Return code, predicate, rule and fix for a value that is not what the format wants."""
    kind, value = detail["type"], detail["input"]
    shown = show_value(value)
    if kind in _TYPES:
        wanted, advise = _TYPES[kind]
        return "E-type", f"must be {wanted}, not {shown}", "values are not converted", advise(value)
    if kind == "no_kind":
        wanted = detail["ctx"]["expected"]
        return "E-type", f"must be {wanted}, not {shown}", "values are not converted", f"write {wanted}"
    if kind == "literal_error":
        allowed = _listed(detail)
        fix = did_you_mean(str(value), allowed) or f"write one of {', '.join(allowed)}"
        return "E-value", f"cannot be {shown}", f"allowed are {', '.join(allowed)}", fix
    if kind in BOUNDS:
        words, key = BOUNDS[kind]
        bound = f"must be {words} {detail.get('ctx', {})[key]:g}"
        return "E-value", f"is {shown}, but {bound}", f"the number {bound}", "correct the number"
    if kind in ("too_short", "too_long"):
        return "E-value", f"has the wrong number of entries: {shown}", _length(detail), "correct the list"
    if kind == "string_too_short":
        return "E-value", "is empty", "a name has at least one character", "write a name, or remove the key"
    if kind == "string_too_long":
        return "E-value", f"is too long: {shown}", _length(detail), "shorten it"
    return "E-value", f"cannot be {shown}", "see the description of the format", "correct the value"


def _length(detail: ErrorDetails) -> str:
    context = detail.get("ctx", {})
    if "min_length" in context:
        return f"at least {context['min_length']}"
    return f"at most {context['max_length']}"


def _listed(detail: ErrorDetails) -> list[str]:
    expected = str(detail.get("ctx", {}).get("expected", ""))
    return expected.replace("'", "").replace(" or ", ", ").split(", ")


def show_value(value: Any) -> str:
    """Describe a TOML value in a few words.

    Examples
    --------
    >>> show_value("10"), show_value(True), show_value({})
    ('the text "10"', 'true', 'a table')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'the text "{value}"' if len(value) <= 60 else f'the text "{value[:60]}…"'
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list):
        return f"the list {value}" if len(str(value)) <= 60 else f"a list of {len(value)}"
    return f"the number {value}"


def _in_digits(value: Any) -> str:
    if isinstance(value, float):
        return "write a whole number without decimals"
    try:
        return f"write {float(value):.15g} without quotes" if isinstance(value, str) else "write a number"
    except ValueError:
        return "write a number"


def _fixed(text: str) -> Callable[[Any], str]:
    return lambda _: text


def _in_quotes(value: Any) -> str:
    return (
        f'write "{value}" in quotes' if isinstance(value, int | float) and not isinstance(value, bool) else "write text"
    )


_TYPES: dict[str, tuple[str, Callable[[Any], str]]] = {
    "string_type": ("text", _in_quotes),
    "float_type": ("a number", _in_digits),
    "int_type": ("a whole number", _in_digits),
    "int_from_float": ("a whole number", _fixed("write a whole number without decimals")),
    "bool_type": ("true or false", _fixed("write true or false without quotes")),
    "dict_type": ("a table", _fixed("write keys and values below a [header], or in { }")),
    "model_type": ("a table", _fixed("write keys and values below a [header], or in { }")),
    "list_type": ("a list", _fixed("write it in [ ]")),
}
BOUNDS = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
}
"""Faults of numbers of the right kind."""


def _known_keys(table: KeyPath) -> list[str]:
    """Return the keys that a table of the format may have."""
    model = _model_at(table)
    if model is None:
        return []
    return [field.alias or name for name, field in model.model_fields.items()]


def _description(path: KeyPath) -> str:
    model = _model_at(path[:-1])
    fields = model.model_fields if model else {}
    return next((f.description or "" for n, f in fields.items() if (f.alias or n) == path[-1]), "")


def _model_at(path: KeyPath) -> type[BaseModel] | None:
    """Follow a path through the format to the model of the table there."""
    kind: Any = ScenarioDocument
    for part in path:
        kind = _inside(kind, part)
    kind = _plain(kind)
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _inside(kind: Any, part: str | int) -> Any:
    kind = _plain(kind)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        fields = kind.model_fields.items()
        return next((field.annotation for name, field in fields if (field.alias or name) == part), None)
    arguments = get_args(kind)
    return arguments[-1] if arguments else None


def _kinds(kind: Any) -> list[Any]:
    """Return the kinds that a value may be of, without `Annotated` and `None`."""
    if get_origin(kind) is Annotated:
        return _kinds(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        return [inner for argument in get_args(kind) for inner in _kinds(argument)]
    return [] if kind is type(None) else [kind]


def _plain(kind: Any) -> Any:
    """Strip `Annotated` and `| None`; of several kinds it is the one with keys of its own."""
    kinds = _kinds(kind)
    return next((k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)), kinds[0] if kinds else None)
