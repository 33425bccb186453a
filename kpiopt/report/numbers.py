"""Numbers as planners read them: thousands separators, sensible digits, the unit behind."""

from __future__ import annotations

import math
import re

import numpy as np

from kpiopt.scenario.scenario import Kpi
from kpiopt.scenario.target_grid import LEAST_SIZE, TOLERANCE, round_to_grid, shown_decimals, target_grid
from kpiopt.simulation.odds import Estimate

MAX_DECIMALS = 6
MOST_DECIMALS = 12
MOST_POINT_DECIMALS = 4
NO_GAP = 1e-16
PLURAL = re.compile(r"(?!series$|species$|news$|lens$)(?=[a-z]*[aeiouy])[a-z]{3,}s")
MORE_DECIMALS, NOTHING = 2, 1e-9
"""How many decimals more than those of its step a target off the step has at most."""


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
    >>> amount(71.26, "points", 0.5), amount(1, "visits"), amount(-1, "complaints per 1,000 jobs", 1), amount(1, "EUR")
    ('71.3 points', '1 visit', '-1 complaint per 1,000 jobs', '1 EUR')
    """
    decimals = _decimals_of(value) if step is None else decimals_of_step(step)
    text = _write(value, decimals)
    return f"{text} {one_of(unit) if text in ('1', '-1') else unit}".rstrip()


def one_of(unit: str) -> str:
    """Return a unit of measure as it stands behind a 1: an English word in the plural loses its ending.

    Examples
    --------
    >>> [one_of(unit) for unit in ("visits", "batches", "companies", "cases", "series", "kbps", "days per order")]
    ['visit', 'batch', 'company', 'case', 'series', 'kbps', 'day per order']
    """
    first, space, rest = unit.partition(" ")
    if not PLURAL.fullmatch(first) or first.endswith(("ss", "us", "is")) or (rest and not rest.startswith("per ")):
        return unit
    if first.endswith("ies"):
        return f"{first[:-3]}y{space}{rest}"
    return first.removesuffix("es" if first.endswith(("ches", "shes", "sses", "xes")) else "s") + space + rest


def says_more(kpi: Kpi) -> bool:
    """Whether a KPI's unit says more than its name: "Sales, USD", but not "Complaints, complaints"."""
    return bool(kpi.unit) and kpi.unit.casefold() != kpi.name.casefold()


def with_unit(name: str, kpi: Kpi) -> str:
    """Return a name with the unit of its KPI, where that says more."""
    return f"{name}, {kpi.unit}" if says_more(kpi) else name


def gap_words(gap: float) -> str:
    """Write a relative gap; what is below the precision of numbers is none.

    Examples
    --------
    >>> gap_words(5e-324), gap_words(1.34e-14)
    ('0', '1.3e-14')
    """
    return f"{gap:.1e}" if gap > NO_GAP else "0"


def target_step(kpi: Kpi, target: float) -> float | None:
    """Return the step in whose decimals a target is shown: its KPI's, or a finer one where a limit keeps it off that.

    Examples
    --------
    >>> kpi = Kpi("steps", "Steps", None, "", 1, "sum", 1, "flow", None, ())
    >>> [amount(target, "", target_step(kpi, target)) for target in (592, 592.5, 592 + 1 / 3)]
    ['592', '592.5', '592.33']
    """
    if kpi.step is None or not math.isfinite(target):
        return kpi.step
    least = decimals_of_step(kpi.step)
    decimals = shown_decimals(target, least, MORE_DECIMALS)
    return kpi.step if decimals == least else 10.0**-decimals


def _write(value: float, decimals: int) -> str:
    text = f"{value:,.{decimals}f}"
    return text if float(text.replace(",", "")) else text.removeprefix("-")


def goal_amounts(kpi: Kpi, target: float, plan: float, *baselines: float) -> tuple[str, ...]:
    """Write the target, the plan and how much is missing, then baselines, with the digits that decide.

    With a step target and plan are rounded as they are compared; baselines are what they are, with the step's decimals.
    Without one there are so many digits that a plan that is short of its target does not look like it. What is missing
    is "" where nothing is.

    Examples
    --------
    >>> kpi = Kpi("steps", "Steps", None, "", 1, "sum", None, "flow", None, ())
    >>> goal_amounts(kpi, 10_000, 9_999.6)
    ('10,000.0', '9,999.6', '0.4')
    """
    values = [*(round_to_grid(v, target, kpi.step, kpi.sign) for v in (target, plan)), *baselines]
    missing = kpi.sign * (values[0] - values[1])
    if missing <= TOLERANCE * max(abs(target), LEAST_SIZE):
        missing = 0.0
    if kpi.step is None:
        decimals = max(_decimals_of(v) for v in values)
        if missing:
            decimals = max(decimals, min(MOST_DECIMALS, -math.floor(math.log10(missing))))
    else:
        decimals = decimals_of_step(float(target_grid(np.array([target]), np.array([kpi.step]))[0]) or kpi.step)
    texts = [_write(v, decimals) for v in (*values[:2], missing, *values[2:])]
    return (*texts[:2], texts[2] if missing else "", *texts[3:])


def goal_beside_target(kpi: Kpi, wanted: float, plan: float, target: float) -> str:
    """Say what a goal wants and whether the plan reaches it, where the target that is asked is another figure.

    Examples
    --------
    >>> kpi = Kpi("steps", "Steps", None, "", 1, "sum", 1000, "flow", None, ())
    >>> goal_beside_target(kpi, 10_400, 10_399.6, 10_000), goal_beside_target(kpi, 10_000, 10_000, 10_000)
    ('the goal is 10,400, met on average', '')
    >>> goal_beside_target(kpi, 10_400, 10_200, 10_000)
    'the goal is 10,400; the plan of 10,200 is short of it by 200'
    """
    goal, reached, missing = goal_amounts(kpi, wanted, plan)
    if target == wanted or not math.isfinite(target):
        return ""
    said = f"the goal is {goal} {kpi.unit}".rstrip()
    return f"{said}; the plan of {reached} is short of it by {missing}" if missing else f"{said}, met on average"


def odds_of_all(count: int, odds: Estimate) -> str:
    """Say how likely all goals are together, as "the odds of all 5 are 12.0 % (11.0 to 13.0 %)"."""
    whose = "it" if count == 1 else "both" if count == 2 else f"all {count}"
    if odds.is_certain:
        verb = "is" if count == 1 else "are"
        return f"{whose} {verb} {'certain' if odds.estimate else 'never reached'}{' together' if count > 1 else ''}"
    return f"{'its odds' if count == 1 else f'the odds of {whose}'} are {odds.text}"


def change(value: float, unit: str = "", step: float | None = None) -> str:
    """Write a change with its sign, as "+150,000 USD"; of a KPI in % it is so many points.

    Examples
    --------
    >>> change(150_000, "USD"), change(-1.5, "%", 0.5), change(1, "%"), change(-0.01, "", 0.1)
    ('+150,000 USD', '-1.5 points', '+1 point', '0.0')
    """
    text = amount(abs(value), "points" if unit.strip() == "%" else unit, step)
    is_nothing = not text.partition(" ")[0].strip("0.,")
    return text if is_nothing else f"{'-' if value < 0 else '+'}{text}"


def moved_step(step: float | None, before: float, after: float, low: float, high: float) -> float | None:
    """Return the step in whose decimals a change is shown with its ends, before what was and what is then.

    A target is a multiple of its KPI's step, a change is not: three digits of it are shown, where they are not 0.

    Examples
    --------
    >>> moved_step(1, 159.25, 162.75, 3.5, 3.5), moved_step(1000, 0, 14_565, 14_000, 15_130)
    (0.1, 1000)
    """
    size = max(abs(low), abs(high), abs(after - before))
    least = _decimals_of(max(abs(before), abs(after))) if step is None else decimals_of_step(step)
    if size <= NOTHING * max(abs(before), abs(after)):
        return step
    decimals = min(MAX_DECIMALS, 2 - math.floor(math.log10(size)))
    while decimals > least and all(
        abs(round(value, decimals) - round(value, decimals - 1)) <= NOTHING * size
        for value in (after - before, low, high)
    ):
        decimals -= 1
    return step if decimals <= least and step is not None else 10.0 ** -max(decimals, least)


def percent(share: float, decimals: int = 1) -> str:
    """Write a share as a percentage, as "6.2 %"."""
    return f"{100 * share:,.{decimals}f} %"


def relative_change(new: float, old: float) -> str:
    """Write by how much a value grows or shrinks, as "+6.2 %"; "new" where it was 0."""
    if old == 0:
        return "new" if new else "±0 %"
    return f"{signed(100 * (new - old) / abs(old), 1)} %"


def points(difference: Estimate) -> str:
    """Write a difference of odds in percentage points with its interval, as "-17.4 (-17.9 to -16.8)".

    There are as many decimals as it takes to tell the ends of the interval from 0 and from each other.
    """
    values = [100 * value for value in (difference.estimate, difference.low, difference.high)]
    smallest = min((abs(value) for value in (*values, (values[2] - values[1]) / 4) if value), default=1.0)
    decimals = min(MOST_POINT_DECIMALS, max(1, math.ceil(-math.log10(2 * smallest))))
    estimate, low, high = (signed(value, decimals) for value in values)
    return f"{estimate} ({low} to {high})"


def signed(value: float, decimals: int) -> str:
    """Write a number with its sign, but none before what is written as 0."""
    text = f"{value:+,.{decimals}f}"
    return text if text.strip("+-0.,") else text[1:]


def certain_words(odds: Estimate) -> str:
    """Say that odds are certain, and why."""
    return f"{'certain' if odds.estimate else 'never reached'}: nothing uncertain reaches this goal"


def change_of_target(new: float, old: float, unit: str, step: float | None = None) -> str:
    """Write by how much a KPI's value changes: as a share of the old one, in points where the KPI itself is in %."""
    return change(new - old, unit, step) if unit.strip() == "%" else relative_change(new, old)


def round_amount(size: float) -> float:
    """Return the power of ten that is about a hundredth to a thousandth of a size, at least 1: "1,000 USD more"."""
    return 10.0 ** max(0, math.floor(math.log10(size)) - 2) if size > 0 else 1.0


def decimals_of_step(step: float) -> int:
    """Return how many decimals a multiple of a step has, such as 2 for 0.25."""
    for decimals in range(MOST_DECIMALS):
        scaled = step * 10**decimals
        if abs(scaled - round(scaled)) < 1e-9 * max(1.0, abs(scaled)) and round(scaled):
            return decimals
    return MOST_DECIMALS


def _decimals_of(value: float) -> int:
    """Return decimals that show about four digits; none for whole numbers, but for the solver's rounding."""
    if abs(value - round(value)) <= 1e-9 * abs(value) or abs(value) >= 1000:
        return 0
    return min(MAX_DECIMALS, max(0, 3 - math.floor(math.log10(abs(value)))))


def lock_words(reason: str | None, owner: str | None) -> str:
    """Say why a lock stands and who answers for it, as ": theatre rebuilt (Dr. M.)"; empty where neither is given."""
    why = f": {reason.rstrip('. ')}" if reason else ""
    return f"{why} ({owner})" if owner else why


def cushion_words(kpi: Kpi, share: float) -> str:
    """Say by which share a target is more than the plan asks, on purpose."""
    side = "above" if kpi.sign > 0 else "below"
    return f"the target holds a cushion, {percent(share)} {side} what the plan asks"


def share_of_baseline(baseline: float, share: float) -> str:
    """Write a stretch as a share of its baseline; "new" where that is 0."""
    return percent(float(share)) if baseline else "new"
