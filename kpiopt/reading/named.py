"""Things by name: a name that is not there says which ones are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NoReturn, TypeVar

from kpiopt.reading.key_path import name_the_right_ones

T = TypeVar("T")


class UnknownNameError(KeyError):
    """A lookup by a name that is not there."""

    def __str__(self) -> str:
        return str(self.args[0])


class Named(dict[str, T]):
    """A dictionary whose lookups say what there is.

    Parameters
    ----------
    what : str
        What is looked up, such as "goal".

    Examples
    --------
    >>> Named("goal", {"sales": 1})["salez"]
    Traceback (most recent call last):
    kpiopt.reading.named.UnknownNameError: there is no goal 'salez': did you mean 'sales'?
    """

    def __init__(self, what: str, entries: Mapping[str, T] | Iterable[tuple[str, T]] = ()) -> None:
        super().__init__(entries)
        self.what = what

    def __missing__(self, name: object) -> NoReturn:
        advice = name_the_right_ones(str(name), self) or "there are none"
        raise UnknownNameError(f"there is no {self.what} {name!r}: {advice}") from None

    def __reduce__(self) -> tuple[type[Named[T]], tuple[str, dict[str, T]]]:
        return type(self), (self.what, dict(self))
