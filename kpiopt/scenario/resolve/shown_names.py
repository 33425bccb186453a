"""Names as they are shown: where two things of a kind bear one name, each carries its id."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def shown_names(ids: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return the names to show, in order.

    Examples
    --------
    >>> shown_names(["new_sales", "old_sales", "visits"], ["Sales", "Sales", "Visits"])
    ['Sales (new_sales)', 'Sales (old_sales)', 'Visits']
    """
    borne = Counter(name.casefold() for name in names)
    return [f"{name} ({key})" if borne[name.casefold()] > 1 else name for key, name in zip(ids, names, strict=True)]
