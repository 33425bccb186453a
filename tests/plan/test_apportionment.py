"""Apportionment of whole counts, by hand: parts are built one by one, a parent's count may come from elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from kpiopt.plan.apportionment import apportion, preferred_range, spread
from kpiopt.plan.parts import Parts


def parts_of(
    value: list[float], parent: list[int], low: list[int], high: list[int], unit: list[int] | None = None
) -> Parts:
    """Parts of one KPI with a step of 1; parents stand before their children."""
    depth = [0] * len(value)
    for part, above in enumerate(parent):
        depth[part] = depth[above] + 1 if above >= 0 else 0
    last = [1 + max(j for j in range(len(value)) if j == i or _is_below(j, i, parent)) for i in range(len(value))]
    whole = np.arange(len(value)) if unit is None else np.array(unit)
    zero = np.zeros(len(value))
    return Parts(
        whole, zero.astype(int), whole, np.array(parent), np.array(depth), np.full(len(value), -1), np.array(value),
        zero, zero + 1.0, np.array(low), np.array(high), np.array(last),
    )  # fmt: skip


def _is_below(part: int, top: int, parent: list[int]) -> bool:
    while part >= 0 and part != top:
        part = parent[part]
    return part == top


@pytest.mark.parametrize(
    ("amount", "room", "right"),
    [
        (0, [3, 3], [0, 0]),
        (0, [0, 0], [0, 0]),
        (1, [0, 0, 2], [0, 0, 1]),
        (5, [9, 9, 9], [2, 2, 1]),  # a level of 1 for all, the two that are left to the first
        (6, [9, 9, 9], [2, 2, 2]),
        (6, [1, 9, 9], [1, 3, 2]),
        (7, [1, 2, 9], [1, 2, 4]),
        (12, [1, 2, 9], [1, 2, 9]),
        (40, [100], [40]),
        (4, [0, 1, 0, 9], [0, 1, 0, 3]),
    ],
)
def test_steps_are_handed_out_as_evenly_as_room_allows(amount: int, room: list[int], right: list[int]) -> None:
    assert spread(amount, np.array(room)).tolist() == right


def test_nobody_gets_nothing() -> None:
    assert spread(0, np.array([], dtype=int)).tolist() == []


def test_counts_next_to_the_value_are_summed_from_below() -> None:
    # Children: 1.4 lies between 1 and 2; 2 is whole; 3.5 may be at most 3, 0.5 at least 1.
    parts = parts_of([7.4, 1.4, 2.0, 3.5, 0.5], [-1, 0, 0, 0, 0], [0, 0, 0, 0, 1], [99, 9, 9, 3, 9])
    low, high = preferred_range(parts)
    # The sums are 1 + 2 + 3 + 1 = 7 and 2 + 2 + 3 + 1 = 8; the parent's own 7.4 lies between 7 and 8.
    assert low.tolist() == [7, 1, 2, 3, 1]
    assert high.tolist() == [8, 2, 2, 3, 1]
    # All of them whole: there is nothing above.
    low, high = preferred_range(parts_of([3.7, 1.0, 2.0], [-1, 0, 0], [0, 0, 0], [99, 9, 9]))
    assert (low.tolist(), high.tolist()) == ([3, 1, 2], [3, 1, 2])
    # Its children leave the parent no less than 4, and the parent's own limits no more than 3.
    low, high = preferred_range(parts_of([2.5, 2.0, 2.0], [-1, 0, 0], [0, 0, 0], [3, 9, 9]))
    assert (int(low[0]), int(high[0])) == (3, 3)
    low, high = preferred_range(parts_of([2.5, 1.0, 1.0], [-1, 0, 0], [5, 0, 0], [9, 9, 9]))
    assert (int(low[0]), int(high[0])) == (5, 5)


def test_largest_remainders_first_and_the_first_of_equal_ones() -> None:
    parts = parts_of([6.0, 1.25, 2.5, 2.25], [-1, 0, 0, 0], [0] * 4, [9] * 4)
    assert apportion(parts).tolist() == [6, 1, 3, 2]
    parts = parts_of([6.0, 3.25, 1.5, 1.25], [-1, 0, 0, 0], [0] * 4, [9] * 4)
    assert apportion(parts).tolist() == [6, 3, 2, 1]
    parts = parts_of([5.0, 1.25, 1.25, 1.25, 1.25], [-1, 0, 0, 0, 0], [0] * 5, [9] * 5)
    assert apportion(parts).tolist() == [5, 2, 1, 1, 1]


def test_what_two_parents_split_stays_with_each() -> None:
    value = [9.0, 3.0, 1.5, 1.5, 6.0, 2.25, 3.75]
    parent = [-1, 0, 1, 1, 0, 4, 4]
    assert apportion(parts_of(value, parent, [0] * 7, [9] * 7)).tolist() == [9, 3, 2, 1, 6, 2, 4]


def test_who_may_have_no_more_takes_none_however_large_the_remainder() -> None:
    parts = parts_of([5.0, 3.5, 1.25, 0.25], [-1, 0, 0, 0], [0] * 4, [9, 3, 9, 9])
    assert apportion(parts).tolist() == [5, 3, 2, 0]


def test_steps_beyond_the_counts_next_to_the_value_go_by_room() -> None:
    """The parent's count is 9, those of its children are 1 or 2 and 2: six more than that, b has room for one."""
    parts = parts_of([9.0, 1.5, 2.0, 0.0], [-1, 0, 0, 0], [0] * 4, [99, 9, 3, 9])
    # a takes 2 first, then (5 left) a +2, b +1, c +2.
    assert apportion(parts).tolist() == [9, 4, 3, 2]


def test_steps_below_the_counts_next_to_the_value_are_taken_back_by_room() -> None:
    """The parent's count is 3, its children stand at 4, 3 and 1: five too many, of which b may give one."""
    parts = parts_of([3.0, 4.0, 3.0, 1.0], [-1, 0, 0, 0], [0, 0, 2, 0], [99] * 4)
    # Rooms are 4, 1 and 1: one of each, and the two that are left from a.
    assert apportion(parts).tolist() == [3, 1, 2, 0]


def test_two_parents_that_lack_steps_and_one_that_has_too_many() -> None:
    value = [9.0, 6.0, 1.0, 1.0, 3.0, 2.0, 2.0]
    parent = [-1, 0, 1, 1, 0, 4, 4]
    low, high = preferred_range(parts_of(value, parent, [0] * 7, [9] * 7))
    assert low.tolist() == high.tolist() == [6, 2, 1, 1, 4, 2, 2]
    # 9 of the top are 3 more than the 2 + 4 of those below: 2 for the first, 1 for the second, and so on down.
    assert apportion(parts_of(value, parent, [0] * 7, [9] * 7)).tolist() == [9, 4, 2, 2, 5, 3, 2]
