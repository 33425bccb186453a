"""Values of the options of Python calls: one that is of another kind than documented is refused, whichever call."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Set
from functools import wraps
from inspect import signature
from numbers import Integral, Real
from pathlib import Path
from typing import ParamSpec, TypeVar

from kpiopt.errors import Problem, UsageError
from kpiopt.reading.key_path import name_the_right_ones

P = ParamSpec("P")
T = TypeVar("T")
Test = Callable[[object], bool]


def _whole(least: int, most: int) -> Test:
    return lambda v: isinstance(v, Integral) and not isinstance(v, bool) and least <= int(v) <= most


def _is_number(v: object) -> bool:
    return isinstance(v, Real) and not isinstance(v, bool) and not math.isnan(float(v))


def _listed(v: object) -> tuple[object, ...] | None:
    """Return the members of a list, a tuple or what is like one; None for anything else, a text among it."""
    if not isinstance(v, Collection) or isinstance(v, str | bytes | Mapping | Set):
        return None
    return tuple(v)


def _is_pair(v: object) -> bool:
    low, high, *more = (*(_listed(v) or ()), None, None)
    return len(more) == 2 and all(map(_is_finite, (low, high))) and low <= high  # type: ignore[operator]


def _is_finite(v: object) -> bool:
    return _is_number(v) and math.isfinite(v)  # type: ignore[arg-type]


def _are_words(v: object) -> bool:
    listed = _listed(v)
    return isinstance(v, str) or (listed is not None and all(isinstance(word, str) for word in listed))


def _are_changes(v: object) -> bool:
    return isinstance(v, Mapping) and all(isinstance(k, str) and _is_pair(x) for k, x in v.items())


def _are_groups(v: object) -> bool:
    return isinstance(v, Mapping) and all(isinstance(k, str) and _are_words(x) and len(x) for k, x in v.items())


WORDS: tuple[Test, str] = _are_words, "a text or a list of texts"
FLAG: tuple[Test, str] = lambda v: isinstance(v, bool), "True or False"
TEXT: tuple[Test, str] = lambda v: isinstance(v, str), "a text"
NUMBER: tuple[Test, str] = _is_number, "a number"
CALL: tuple[Test, str] = callable, "a function"
OPTIONS: Mapping[str, tuple[Test, str]] = {
    **dict.fromkeys(("overrides", "variant", "do", "act", "over", "methods", "kinds", "only", "break_even"), WORDS),
    **dict.fromkeys(("simulate", "allow_code", "zipped", "information"), FLAG),
    **dict.fromkeys(("executor", "solver", "target", "output"), TEXT),
    **dict.fromkeys(("confidence", "time_limit", "alternatives"), NUMBER),
    **dict.fromkeys(("progress", "on_progress"), CALL),
    "beside": WORDS,
    "runs": (lambda v: isinstance(v, str | Path), "a text or a Path"),
    "draws": (_whole(2, 10**9), "a whole number from 2 to 1,000,000,000"),
    "seed": (_whole(0, 2**63 - 1), "a whole number from 0 to 2^63 - 1"),
    "workers": (_whole(1, 1024), "a whole number from 1 to 1,024"),
    "ends": (_is_pair, "two finite numbers, the lower one first"),
    "changes": (_are_changes, "a mapping of paths to two finite numbers each, the lower one first"),
    "groups": (_are_groups, "a mapping of names to lists of texts"),
}
"""By the name of an option, which means the same in every call: whether a value is one, and what it is."""


def checked(call: Callable[P, T]) -> Callable[P, T]:
    """Return a call that refuses values of a kind that its options do not take; None is taken where it is the default.

    What a call is about (a scenario, a run) it checks itself.
    """
    form = signature(call)

    @wraps(call)
    def checking(*args: P.args, **kwargs: P.kwargs) -> T:
        unknown = [name for name in kwargs if name not in form.parameters]
        if unknown:
            advice = name_the_right_ones(unknown[0], form.parameters)
            raise TypeError(f"{call.__name__}() takes no option {unknown[0]!r}: {advice}")
        given = form.bind(*args, **kwargs).arguments
        problems = [
            _not_taken(name, value, OPTIONS[name][1])
            for name, value in given.items()
            if name in OPTIONS
            and not (value is None and form.parameters[name].default is None)
            and not OPTIONS[name][0](value)
        ]
        if problems:
            raise UsageError(*problems)
        return call(*args, **kwargs)

    return checking


def _not_taken(name: str, value: object, rule: str) -> Problem:
    shown = repr(value)
    shown = shown if len(shown) <= 60 else f"a {type(value).__name__}"
    return Problem("E-usage", f"{name} = {shown} is not what is asked for here", f"{name} is {rule}")
