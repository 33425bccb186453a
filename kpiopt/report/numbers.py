"""Numbers as planners read them: thousands separators, sensible digits, the unit behind."""

from __future__ import annotations

import math

MAX_DECIMALS = 6


def amount(value: float, unit: str = "", step: float | None = None) -> str:
    """Write an amount with its unit.

    Parameters
    ----------
    value : float
        In `unit`.
    unit : str
        Unit of measure, such as "USD" or "%".
    step : float or None
        Rounding step of the KPI; its decimals are shown. Without one, about four digits are.

    Examples
    --------
    >>> amount(2_163_839.4834, "USD", 1_000)
    '2,163,839 USD'
    >>> amount(0.081234)
    '0.08123'
    >>> amount(71.26, "points", 0.5)
    '71.3 points'
    """
    decimals = _decimals_of(value) if step is None else decimals_of_step(step)
    text = f"{value:,.{decimals}f}"
    if not float(text.replace(",", "")):
        text = text.removeprefix("-")
    return f"{text} {unit}".rstrip()


def change(value: float, unit: str = "", step: float | None = None) -> str:
    """Write a change with its sign, as "+150,000 USD"."""
    text = amount(abs(value), unit, step)
    return f"{'-' if value < 0 else '+'}{text}"


def percent(share: float, decimals: int = 1) -> str:
    """Write a share as a percentage, as "6.2 %"."""
    return f"{100 * share:,.{decimals}f} %"


def relative_change(new: float, old: float) -> str:
    """Write by how much a value grows or shrinks, as "+6.2 %"; "new" where it was 0."""
    if old == 0:
        return "new" if new else "±0 %"
    return f"{100 * (new - old) / abs(old):+,.1f} %"


def round_amount(size: float) -> float:
    """Return the power of ten that is about a hundredth to a thousandth of a size, at least 1: "1,000 USD more"."""
    return 10.0 ** max(0, math.floor(math.log10(size)) - 2) if size > 0 else 1.0


def decimals_of_step(step: float) -> int:
    """Return how many decimals a multiple of a step has, such as 2 for 0.25."""
    for decimals in range(MAX_DECIMALS):
        scaled = step * 10**decimals
        if abs(scaled - round(scaled)) < 1e-9 * max(1.0, abs(scaled)) and round(scaled):
            return decimals
    return MAX_DECIMALS


def _decimals_of(value: float) -> int:
    """Return decimals that show about four digits; none for whole numbers, but for the solver's rounding."""
    if abs(value - round(value)) <= 1e-9 * abs(value) or abs(value) >= 1000:
        return 0
    return min(MAX_DECIMALS, max(0, 3 - math.floor(math.log10(abs(value)))))


def lock_words(reason: str | None, owner: str | None) -> str:
    """Say why a lock stands and who answers for it, as ": theatre rebuilt (Dr. M.)"; empty where neither is given."""
    why = f": {reason.rstrip('. ')}" if reason else ""
    return f"{why} ({owner})" if owner else why
