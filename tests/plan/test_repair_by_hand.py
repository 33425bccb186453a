"""Repairs of rounded counts on parts and limits written down one by one; the right counts are worked out on paper."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from kpiopt.plan.limits import LimitRows
from kpiopt.plan.parts import FlowParts, Parts
from kpiopt.plan.repair import TRIES, _in_turn, _Repair, repair

FAR = 100


def tree(
    values: list[float],
    parents: list[int],
    low: dict[int, int] | None = None,
    high: dict[int, int] | None = None,
    flows: tuple[FlowParts, ...] = (),
) -> Parts:
    """Parts of step 1, each with a cell of its own; inner ones stand before those below them."""
    m = len(values)
    depth = np.zeros(m, dtype=np.int64)
    last = np.arange(1, m + 1)
    for i, parent in enumerate(parents):
        depth[i] = depth[parent] + 1 if parent >= 0 else 0
    for i in range(m - 1, -1, -1):
        if parents[i] >= 0:
            last[parents[i]] = max(last[parents[i]], last[i])
    ends = [
        np.array([found.get(i, usual) for i in range(m)]) for found, usual in ((low or {}, -FAR), (high or {}, FAR))
    ]
    zeros = np.zeros(m, dtype=np.int64)
    return Parts(
        node=np.arange(m),
        kpi=zeros,
        unit=np.arange(m),
        parent=np.array(parents),
        depth=depth,
        cell=np.arange(m),
        value=np.array(values, dtype=float),
        offset=np.zeros(m),
        step=np.ones(m),
        low=ends[0],
        high=ends[1],
        last=last,
        flows=flows,
    )


def limits(
    parts: Parts,
    use: list[list[float]],
    room: list[float],
    group: list[int] | None = None,
    floor: list[float] | None = None,
    move: np.ndarray | None = None,
) -> LimitRows:
    """Limits whose rows count the stretch of each part's cell; planned stretch is the value."""
    m = len(parts)
    return LimitRows(
        names=tuple(f"limit {i}" for i in range(len(use))),
        room=np.array(room, dtype=float),
        use=sp.csr_array(np.array(use, dtype=float)),
        move=sp.csr_array(np.eye(m) if move is None else move),
        planned=parts.value.copy(),
        floor=np.full(m, -np.inf) if floor is None else np.array(floor, dtype=float),
        group=np.arange(len(use)) if group is None else np.array(group),
    )


def repaired(parts: Parts, rows: LimitRows, counts: list[int]) -> list[int]:
    return repair(parts, rows, np.array(counts)).tolist()


def draft(parts: Parts, rows: LimitRows, counts: list[int]) -> _Repair:
    return _Repair(parts, rows, np.array(counts))


def test_what_keeps_all_limits_stays() -> None:
    parts = tree([3.2, 1.6, 1.6], [-1, 0, 0])
    assert repaired(parts, limits(parts, [[0, 1, 1]], [0.8]), [4, 2, 2]) == [4, 2, 2]


def test_the_part_that_was_rounded_up_most_goes_down() -> None:
    """1.6 and 1.7 are 4 of 3.4 hours: one step is to go, from 1.6, and from the last where both are alike."""
    parts = tree([3.3, 1.6, 1.7], [-1, 0, 0])
    assert repaired(parts, limits(parts, [[0, 1, 1]], [0.1]), [4, 2, 2]) == [3, 1, 2]
    alike = tree([3.2, 1.6, 1.6], [-1, 0, 0])
    assert repaired(alike, limits(alike, [[0, 1, 1]], [0.1]), [4, 2, 2]) == [3, 2, 1]


def test_only_as_many_go_down_as_are_needed() -> None:
    """Four of 1.6 at 2 each are 1.6 above the plan: with a room of 0.7 one goes, of 0.5 two, of -0.6 three."""
    parts = tree([6.4, 1.6, 1.6, 1.6, 1.6], [-1, 0, 0, 0, 0])
    for room, right in ((0.7, [2, 2, 2, 1]), (0.5, [2, 2, 1, 1]), (-0.5, [2, 1, 1, 1])):
        assert repaired(parts, limits(parts, [[0, 1, 1, 1, 1]], [room]), [8, 2, 2, 2, 2]) == [sum(right), *right]


def test_what_was_rounded_down_goes_down_only_where_nothing_else_can() -> None:
    """2 of 1.6 cannot fall: 1 of 1.4 does."""
    parts = tree([3.0, 1.6, 1.4], [-1, 0, 0], low={1: 2})
    assert repaired(parts, limits(parts, [[0, 1, 1]], [-0.6]), [3, 2, 1]) == [2, 2, 0]
    free = tree([3.0, 1.6, 1.4], [-1, 0, 0])
    assert repaired(free, limits(free, [[0, 1, 1]], [-0.6]), [3, 2, 1]) == [2, 1, 1]


def test_a_part_that_saves_nothing_stays() -> None:
    """The first and the fourth are rounded up most, but a step of theirs saves nothing, or costs more."""
    parts = tree([1.1, 1.3, 1.6, 1.2], [-1, -1, -1, -1])
    assert repaired(parts, limits(parts, [[0, 1, 1, -1]], [0.1]), [2, 2, 2, 2]) == [2, 1, 2, 2]


def test_what_is_below_the_floor_saves_nothing() -> None:
    """Stretches of 1.6 and -0.6; the second earns nothing anyhow."""
    parts = tree([1.6, -0.6], [-1, -1])
    rows = limits(parts, [[1, 1]], [0.1], floor=[0, 0])
    assert repaired(parts, rows, [2, 0]) == [1, 0]
    # Of 0.3 above the floor a step saves 0.3, not 1: both go.
    parts = tree([1.6, -0.7], [-1, -1])
    rows = limits(parts, [[1, 1]], [-0.5], floor=[0, -0.3])
    assert rows.room_left(parts, np.array([2, 0])).tolist() == pytest.approx([-1.2])
    assert repaired(parts, rows, [2, 0]) == [1, -1]


def test_a_step_counts_by_its_rate() -> None:
    """A step of the second saves 3: it alone is enough, and being rounded up less it is not asked first."""
    parts = tree([1.5, 1.6], [-1, -1])
    assert repaired(parts, limits(parts, [[1, 3]], [0.9]), [2, 2]) == [1, 2]
    assert repaired(parts, limits(parts, [[1, 3]], [0.0]), [2, 2]) == [1, 1]


def test_what_a_stock_gives_one_period_it_takes_from_the_next() -> None:
    """A step of the first part moves the stretch of both cells: it saves nothing of what both use."""
    parts = tree([1.1, 1.6], [-1, -1])
    move = np.array([[1.0, 0.0], [-1.0, 1.0]])
    assert repaired(parts, limits(parts, [[1, 1]], [0.1], move=move), [2, 2]) == [2, 1]
    assert repaired(parts, limits(parts, [[1, 0]], [0.1], move=move), [2, 2]) == [1, 2]
    assert repaired(parts, limits(parts, [[0, 1]], [-0.6], move=move), [2, 2]) == [2, 1]
    assert repaired(parts, limits(parts, [[2, 1]], [0.4], move=move), [2, 2]) == [1, 2]


def test_every_broken_limit_is_brought_back_the_lowest_first() -> None:
    """A limit of the first part alone, and one of both: once the first is down, both hold."""
    parts = tree([1.6, 1.5], [-1, -1])
    assert repaired(parts, limits(parts, [[1, 0], [1, 1]], [0.1, 0.1]), [2, 2]) == [1, 2]
    assert repaired(parts, limits(parts, [[1, 0], [1, 1]], [0.1, 0.1], group=[1, 0]), [2, 2]) == [1, 1]


def test_limits_of_one_group_are_brought_back_together() -> None:
    parts = tree([1.6, 1.6, 1.7, 1.6], [-1, -1, -1, -1])
    rows = limits(parts, [[1, 1, 0, 0], [0, 0, 1, 1]], [0.7, 0.2], group=[0, 0])
    assert repaired(parts, rows, [2, 2, 2, 2]) == [2, 1, 2, 1]


def test_a_step_that_is_taken_back_goes_to_who_has_room() -> None:
    """The second part has 1.6 hours for 2: its step goes to the next of its own unit, not to the other unit."""
    parts = tree([6.0, 3.0, 1.6, 1.4, 3.0, 1.6, 1.4], [-1, 0, 1, 1, 0, 4, 4])
    rows = limits(parts, [[0, 0, 1, 0, 0, 0, 0]], [0.1])
    assert repaired(parts, rows, [6, 3, 2, 1, 3, 2, 1]) == [6, 3, 1, 2, 3, 2, 1]
    full = tree([6.0, 3.0, 1.6, 1.4, 3.0, 1.6, 1.4], [-1, 0, 1, 1, 0, 4, 4], high={3: 1})
    assert repaired(full, rows, [6, 3, 2, 1, 3, 2, 1]) == [6, 2, 1, 1, 4, 2, 2]


def test_nobody_goes_beyond_the_next_count_unless_the_total_would_be_lost() -> None:
    """Both others stand at the count above their value: the one that is less above takes it in the end."""
    parts = tree([5.0, 1.6, 1.8, 1.6], [-1, 0, 0, 0])
    rows = limits(parts, [[0, 1, 0, 0]], [0.1])
    assert repaired(parts, rows, [6, 2, 2, 2]) == [6, 1, 3, 2]
    tight = tree([5.0, 1.6, 1.8, 1.6], [-1, 0, 0, 0], high={2: 2, 3: 2})
    assert repaired(tight, rows, [6, 2, 2, 2]) == [5, 1, 2, 2]


def test_who_has_no_room_left_is_passed_over() -> None:
    """The one farthest below its value needs 1 of 0.9 hours; the next one takes the step; exactly 1 is enough."""
    parts = tree([4.0, 1.6, 1.25, 1.15], [-1, 0, 0, 0])
    for hours, right in ((0.9, [4, 1, 1, 2]), (0.6, [4, 1, 1, 2]), (1.0, [4, 1, 2, 1])):
        rows = limits(parts, [[0, 1, 0, 0], [0, 0, 1, 0]], [0.1, hours - 0.25])
        assert repaired(parts, rows, [4, 2, 1, 1]) == right


def test_two_steps_go_to_two_parts() -> None:
    parts = tree([7.8, 3.6, 1.4, 1.4, 1.4], [-1, 0, 0, 0, 0])
    rows = limits(parts, [[0, 1, 0, 0, 0]], [-1.6])
    assert repaired(parts, rows, [7, 4, 1, 1, 1]) == [7, 2, 2, 2, 1]


def test_room_is_made_by_an_exchange() -> None:
    """The step of 1.6 could go to 1.4, whose hours another KPI's 1.6 takes; that one goes to its own neighbour."""
    parts = tree([3.0, 1.6, 1.4, 3.0, 1.6, 1.4], [-1, 0, 0, -1, 3, 3], high={})
    rows = limits(parts, [[0, 1, 0, 0, 0, 0], [0, 0, 1, 0, 1, 0]], [0.1, 0.5])
    assert repaired(parts, rows, [3, 2, 1, 3, 2, 1]) == [3, 1, 2, 3, 1, 2]
    alone = tree([3.0, 1.6, 1.4, 3.0, 1.6, 1.4], [-1, 0, 0, -1, 3, 3], high={5: 1})
    assert repaired(alone, rows, [3, 2, 1, 3, 2, 1]) == [2, 1, 1, 3, 2, 1]


def test_a_part_without_total_gives_its_step_away() -> None:
    parts = tree([3.0, 1.6, 1.4, 1.6], [-1, 0, 0, -1])
    rows = limits(parts, [[0, 1, 0, 0], [0, 0, 1, 1]], [0.1, 0.5])
    assert repaired(parts, rows, [3, 2, 1, 2]) == [3, 1, 2, 1]


def test_a_giver_must_save_enough_and_is_not_the_part_itself() -> None:
    parts = tree([3.0, 1.6, 1.4, 1.6], [-1, 0, 0, -1])
    for rate, right in ((1.0, [3, 1, 2, 1]), (0.4, [2, 1, 1, 2])):
        rows = limits(parts, [[0, 1, 0, 0], [0, 0, 1, rate]], [0.1, 0.4 * rate + 0.1])
        assert repaired(parts, rows, [3, 2, 1, 2]) == right


def test_two_periods_of_one_target_go_down_one_after_the_other() -> None:
    """Both periods are rounded up in limits of their own, but over the horizon one step can go, not two."""
    flows = (FlowParts(np.array([[0], [1]]), low=np.array([3]), high=np.array([9])),)
    parts = tree([1.6, 1.7], [-1, -1], flows=flows)
    rows = limits(parts, [[1, 0], [0, 1]], [0.1, 0.1], group=[0, 0])
    assert repaired(parts, rows, [2, 2]) == [1, 2]
    free = tree([1.6, 1.7], [-1, -1], flows=(FlowParts(np.array([[0], [1]]), low=np.array([2]), high=np.array([9])),))
    assert repaired(free, rows, [2, 2]) == [1, 1]
    tight = tree([1.6, 1.7], [-1, -1], flows=(FlowParts(np.array([[0], [1]]), low=np.array([4]), high=np.array([9])),))
    assert repaired(tight, rows, [2, 2]) == [2, 2]


def test_only_parts_below_their_value_take_part_in_an_exchange() -> None:
    """Those that one limit blocks, least use first; what stands at its value or above it does not want more."""
    parts = tree([9.0, 1.4, 1.4, 2.0, 1.6, 1.4], [-1, 0, 0, 0, 0, 0])
    rows = limits(parts, [[0, 3, 2, 1, 1, 1], [0, 0, 0, 0, 0, 1]], [0.0, -1.0])
    some = draft(parts, rows, [9, 1, 1, 2, 2, 1])
    takers = np.array([1, 2, 3, 4, 5])
    assert some._modest(takers, 0).tolist() == [2, 1]
    assert some._modest(takers, -1).tolist() == [2, 1]


def test_givers_are_those_farthest_above_their_value() -> None:
    parts = tree([1.2, 1.6, 2.0, 1.6, 1.1], [-1] * 5, low={4: 2})
    some = draft(parts, limits(parts, [[1, 2, 3, 0, 5]], [9.0]), [2, 2, 2, 2, 2])
    member, rate = some._givers(0)
    assert member.tolist() == [0, 1, 2]
    assert rate.tolist() == [1, 2, 3]


def test_two_orders_are_taken_in_turn_up_to_a_width() -> None:
    assert _in_turn(np.array([1, 2, 3]), np.array([3, 1])) == [1, 3, 2]
    assert _in_turn(np.array([], dtype=int), np.array([5, 4])) == [5, 4]
    assert _in_turn(np.arange(40), np.arange(100, 140)) == [n for k in range(12) for n in (k, 100 + k)]


def test_an_exchange_ends_when_it_has_tried_enough() -> None:
    parts = tree([3.0, 1.6, 1.4, 1.6], [-1, 0, 0, -1])
    rows = limits(parts, [[0, 1, 0, 0], [0, 0, 1, 1]], [0.1, 0.5])
    some = draft(parts, rows, [3, 2, 1, 2])
    assert some.tries == TRIES
    some.lower()
    some.tries = 2.0
    some.hand_over()
    assert some.counts.tolist()[1:] == [1, 1, 2]
    some = draft(parts, rows, [3, 2, 1, 2])
    some.lower()
    some.tries = 2.0061
    some.hand_over()
    assert some.counts.tolist()[1:] == [1, 2, 1]


def test_exactly_enough_is_enough() -> None:
    """Halves and quarters are exact: 2 and 2 of 1.5 are 1 above what there is, and one step is 1."""
    parts = tree([1.5, 1.5], [-1, -1])
    assert repaired(parts, limits(parts, [[1, 1]], [0.0]), [2, 2]) == [2, 1]
    # The giver's step is exactly what the taker needs, with nothing left.
    parts = tree([3.0, 1.5, 1.5, 1.75], [-1, 0, 0, -1])
    rows = limits(parts, [[0, 1, 0, 0], [0, 0, 1, 0.5]], [0.25, 0.125])
    assert repaired(parts, rows, [3, 2, 1, 2]) == [3, 1, 2, 1]


def test_a_limit_that_breaks_while_another_is_repaired_is_repaired_in_turn() -> None:
    for value, first, second in ((1.6, 0.1, 0.1), (1.5, 0.25, -0.5)):
        parts = tree([value, value], [-1, -1])
        assert repaired(parts, limits(parts, [[1, -1], [0, 1]], [first, second]), [2, 2]) == [1, 1]


def test_a_part_that_is_still_the_farthest_above_goes_down_again() -> None:
    """After a step 1.05 is at 1, nearer to its value than 1 is below 1.1; and from 3 it is above it twice."""
    parts = tree([1.05, 1.1], [-1, -1])
    assert repaired(parts, limits(parts, [[1, 1]], [-0.75]), [2, 1]) == [0, 1]
    parts = tree([1.05, 2.0], [-1, -1])
    assert repaired(parts, limits(parts, [[1, 1]], [0.5]), [3, 2]) == [1, 2]


def test_own_neighbours_come_before_others_who_are_farther_below() -> None:
    parts = tree([6.05, 3.0, 1.6, 1.4, 3.05, 1.6, 1.45], [-1, 0, 1, 1, 0, 4, 4])
    rows = limits(parts, [[0, 0, 1, 0, 0, 0, 0]], [0.1])
    assert repaired(parts, rows, [6, 3, 2, 1, 3, 2, 1]) == [6, 3, 1, 2, 3, 2, 1]
    # But none of them goes beyond the next count while another unit has one to take.
    assert repaired(parts, rows, [7, 4, 2, 2, 3, 2, 1]) == [7, 3, 1, 2, 4, 2, 2]


def test_a_step_goes_up_level_by_level() -> None:
    """Neither the unit nor the one above it has room; the top has, three levels up."""
    parts = tree([4.4, 3.0, 3.0, 1.6, 1.4, 1.4], [-1, 0, 1, 2, 2, 0], high={4: 1})
    rows = limits(parts, [[0, 0, 0, 1, 0, 0]], [0.1])
    assert repaired(parts, rows, [4, 3, 3, 2, 1, 1]) == [4, 2, 2, 1, 1, 2]


def test_who_is_farthest_below_takes_the_step_however_large_it_is() -> None:
    parts = tree([6.3, 1.6, 3.3, 1.4], [-1, 0, 0, 0])
    assert repaired(parts, limits(parts, [[0, 1, 0, 0]], [0.1]), [6, 2, 3, 1]) == [6, 1, 3, 2]


def chained(length: int) -> tuple[Parts, LimitRows, list[int]]:
    """KPIs of two parts each: the second of one shares its hours with the first of the next; the last is free."""
    values, parents, counts = [], [], []
    for k in range(length + 1):
        values += [3.0, 1.6, 1.4]
        parents += [-1, 3 * k, 3 * k]
        counts += [3, 2, 1]
    parts = tree(values, parents)
    use = [[float(i == 1) for i in range(len(values))]]
    use += [[float(i in (3 * k + 2, 3 * k + 4)) for i in range(len(values))] for k in range(length)]
    return parts, limits(parts, use, [0.1, *[0.5] * length]), counts


@pytest.mark.parametrize(("length", "found"), [(1, True), (2, True), (3, True), (4, False)])
def test_chains_of_up_to_three_exchanges_are_found(length: int, found: bool) -> None:
    parts, rows, counts = chained(length)
    right = [3, 1, 2] * (length + 1) if found else [2, 1, 1, *[3, 2, 1] * length]
    assert repaired(parts, rows, counts) == right


def test_two_missing_steps_take_two_exchanges() -> None:
    parts = tree([6.0, 1.6, 1.6, 1.4, 1.4, 1.6, 1.6], [-1, 0, 0, 0, 0, -1, -1])
    use = [[0, 1, 0, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0, 0], [0, 0, 0, 1, 0, 1, 0], [0, 0, 0, 0, 1, 0, 1]]
    rows = limits(parts, use, [0.1, 0.1, 0.5, 0.5])
    assert repaired(parts, rows, [6, 2, 2, 1, 1, 2, 2]) == [6, 1, 1, 2, 2, 1, 1]


def test_givers_above_their_value_come_before_one_at_it_that_saves_more() -> None:
    """The first giver's own total finds nobody; of the next two the one above its value gives."""
    parts = tree([3.0, 1.6, 1.4, 1.5, 1.5, 1.7, 2.0], [-1, 0, 0, -1, 3, -1, -1])
    rows = limits(parts, [[0, 1, 0, 0, 0, 0, 0], [0, 0, 1, 0, 1, 1, 5]], [0.1, 0.9])
    assert repaired(parts, rows, [3, 2, 1, 2, 2, 2, 2]) == [3, 1, 2, 2, 2, 1, 2]


def test_equal_givers_go_from_the_last_and_those_that_save_nothing_not_at_all() -> None:
    parts = tree([1.6, 1.6, 1.6], [-1, -1, -1])
    assert draft(parts, limits(parts, [[1, 1, 1]], [9.0]), [2, 2, 2])._givers(0)[0].tolist() == [2, 1, 0]
    move = np.array([[1.0, 0.0, 0.0], [-1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    some = draft(parts, limits(parts, [[1, 1, 1]], [9.0], move=move), [2, 2, 2])
    assert some._givers(0)[0].tolist() == [2, 1]


def test_what_blocks_a_taker_is_one_limit_that_has_no_room() -> None:
    """Both have room in the second limit, which neither blocks them nor counts as what they take of the first."""
    parts = tree([5.0, 1.4, 1.45, 1.4], [-1, 0, 0, 0])
    rows = limits(parts, [[0, 2, 2.5, 0], [0, 1, 0, 0], [0, 0, 0, 3]], [0.0, 9.0, 0.0])
    some = draft(parts, rows, [3, 1, 1, 1])
    takers = np.array([2, 1, 3])
    assert some._modest(takers, 0).tolist() == [1, 2]
    assert some._modest(takers, -1).tolist() == [1, 2]
    assert some._modest(takers, 2).tolist() == [3]
    # A limit that is named counts, though another one blocks more of them.
    more = draft(parts, limits(parts, [[0, 2, 0, 0], [0, 0, 2.5, 3]], [0.0, 0.0]), [3, 1, 1, 1])
    assert more._modest(takers, 0).tolist() == [1]
    assert more._modest(takers, -1).tolist() == [2, 3]


def test_room_that_is_just_used_up_needs_no_giver() -> None:
    parts = tree([3.0, 1.5, 1.5, 1.5], [-1, 0, 0, -1])
    some = draft(parts, limits(parts, [[0, 0, 1, 1]], [1.0]), [3, 2, 2, 2])
    assert some.room.tolist() == [0.0]
    assert some._make_room(2, 1)
    assert some.counts.tolist() == [3, 2, 2, 2]


@pytest.mark.parametrize(("tries", "found"), [(2.00599, False), (2.0061, True)])
def test_what_an_exchange_costs_grows_with_what_stands_below_the_top(tries: float, found: bool) -> None:
    parts = tree([1.0, 3.0, 1.6, 1.4, 1.6], [-1, -1, 1, 1, -1])
    rows = limits(parts, [[0, 0, 1, 0, 0], [0, 0, 0, 1, 1]], [0.1, 0.5])
    some = draft(parts, rows, [1, 3, 2, 1, 2])
    some.lower()
    some.tries = tries
    some.hand_over()
    assert some.counts.tolist()[2:] == ([1, 2, 1] if found else [1, 1, 2])


def test_periods_of_each_target_are_counted_by_themselves() -> None:
    """Units of two periods: over the horizon the first may lose one step, the second two."""
    flows = (FlowParts(np.array([[0, 1], [2, 3]]), low=np.array([3, 2]), high=np.array([9, 9])),)
    parts = tree([1.6, 1.6, 1.7, 1.7], [-1, -1, -1, -1], flows=flows)
    rows = limits(parts, [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], [0.1] * 4, group=[0] * 4)
    assert repaired(parts, rows, [2, 2, 2, 2]) == [1, 1, 2, 1]


def test_all_that_are_needed_go_down_together_by_their_own_rates() -> None:
    """2 are missing: the first gives 1 and the second, of which a step counts 3, the rest, not the first again."""
    parts = tree([1.05, 1.4], [-1, -1])
    assert repaired(parts, limits(parts, [[1, 3]], [1.75]), [3, 2]) == [2, 1]


def test_a_step_moves_the_stretch_by_its_length() -> None:
    """A step of 2: of 1.5 above what there is one step is enough."""
    parts = tree([1.6, 1.6], [-1, -1])
    some = draft(parts, limits(parts, [[1, 1]], [0.1], move=2.0 * np.eye(2)), [2, 2])
    before = some.stretch.tolist()
    some.lower()
    assert some.counts.tolist() == [2, 1]
    assert some.stretch.tolist() == pytest.approx([before[0], before[1] - 2.0])
    assert some.room.tolist() == pytest.approx([0.5])


def test_what_takes_nothing_of_a_broken_limit_or_just_fits_is_not_blocked() -> None:
    parts = tree([5.0, 1.5, 1.5], [-1, 0, 0])
    move = np.eye(3)
    move[2, 1] = -1.0  # a step of the first goes from one cell to the other: of both together it takes nothing
    some = draft(parts, limits(parts, [[0, 1, 1], [0, 0, 4]], [-2.0, 0.0], move=move), [3, 1, 1])
    assert some.room[0] < 0.0
    assert some._modest(np.array([1]), 1).tolist() == [1]
    fits = draft(parts, limits(parts, [[0, 1, 1], [0, 0, 4]], [0.0, 3.0]), [3, 1, 1])
    assert fits.room.tolist() == [1.0, 5.0]
    assert fits._modest(np.array([1, 2]), 1).tolist() == [1, 2]
    assert fits._modest(np.array([1, 2]), -1).tolist() == [1, 2]
