"""Paths of keys: how one value in a document is named, in messages and on the command line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

KeyPath = tuple[str | int, ...]
"""Keys from the root of a document to a value; an int is the position in an array."""

SHOWN = 8
"""Names that a message lists."""
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_TWO_CHARACTER_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


def quote(text: str) -> str:
    r"""Write a text as a TOML basic string: in double quotes, control characters escaped.

    Examples
    --------
    >>> quote('say "hi"')
    '"say \\"hi\\""'
    """
    return '"' + "".join(_TWO_CHARACTER_ESCAPES.get(c) or _escape(c) for c in text) + '"'


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x20 or code == 0x7F else character


def key_text(part: str) -> str:
    """Write one key as TOML: bare where that is allowed, else in quotes."""
    return part if _BARE.fullmatch(part) else quote(part)


def dotted(path: KeyPath) -> str:
    """Write a path as `--set` reads it; array positions stand in brackets.

    Examples
    --------
    >>> dotted(("cell", "x/sales", "max_stretch"))
    'cell."x/sales".max_stretch'
    >>> dotted(("pay_plan", "rep", "payout", 0))
    'pay_plan.rep.payout[0]'
    """
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + key_text(part)
    return text


def walk(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """Yield every value inside a document with its path: tables and arrays before what they contain."""
    waiting: list[tuple[KeyPath, Any]] = [(path, value)]
    while waiting:
        place, found = waiting.pop()
        yield place, found
        if isinstance(found, dict):
            waiting += [((*place, key), child) for key, child in reversed(found.items())]
        elif isinstance(found, list):
            waiting += [((*place, i), found[i]) for i in reversed(range(len(found)))]


def value_at(data: Any, path: KeyPath) -> Any:
    """Return what stands at a path of a document; None where there is nothing."""
    for key in path:
        if isinstance(data, Mapping):
            data = data.get(key)
        elif isinstance(data, list) and isinstance(key, int) and key < len(data):
            data = data[key]
        else:
            return None
    return data


def with_value(data: Any, path: KeyPath, value: Any) -> Any:
    """Return a document with one value changed; what is not on its path is shared, tables on it are made."""
    if not path:
        return value
    head, *rest = path
    if isinstance(data, list) and isinstance(head, int):
        return [with_value(item, tuple(rest), value) if i == head else item for i, item in enumerate(data)]
    table = data if isinstance(data, Mapping) else {}
    return {**table, head: with_value(table.get(head), tuple(rest), value)}


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return "did you mean 'x'?" for the known name nearest to `name`, or an empty string.

    Letter case, spaces, hyphens and underscores do not count as differences.
    """
    import difflib  # only needed when something is wrong

    names = {_plain(candidate): candidate for candidate in known}
    near = difflib.get_close_matches(_plain(name), names, n=1, cutoff=0.6)
    return f"did you mean '{names[near[0]]}'?" if near else ""


def name_the_right_ones(name: str, known: Iterable[str]) -> str:
    """Return what to do about a name that is not known: the nearest one, else the first of those that there are.

    Examples
    --------
    >>> name_the_right_ones("slaes", ["sales", "visits"]), name_the_right_ones("x", ["sales", "visits"])
    ("did you mean 'sales'?", 'write one of sales, visits')
    """
    names = list(known)
    listed = f"write one of {', '.join(names[:SHOWN])}{' …' if len(names) > SHOWN else ''}" if names else ""
    return did_you_mean(name, names) or listed


def _plain(name: str) -> str:
    return name.strip().casefold().replace(" ", "_").replace("-", "_")


def is_number(value: Any) -> bool:
    """Whether a value of a document is a plain number."""
    return isinstance(value, int | float) and not isinstance(value, bool)
