"""How long the rest takes: by the points that this process answered, not by those it found done."""

import pytest

from kpiopt.runs.time_left import TimeLeft, duration_text


def test_the_rest_is_judged_by_the_points_answered_since_the_start():
    now = [100.0]
    clock = TimeLeft(lambda: now[0])
    assert clock.tell(40, 100) == "40 of 100"
    now[0] = 120.0
    assert clock.tell(50, 100) == "50 of 100, about 100 s left".replace("100 s", "2 min")
    now[0] = 700.0
    assert clock.tell(100, 100) == "100 of 100"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "a few seconds"), (34, "about 30 s"), (200, "about 3 min"), (5460, "about 1.5 h"), (86400, "about 24.0 h")],
)
def test_durations_are_rounded_to_what_can_be_known(seconds, text):
    assert duration_text(seconds) == text
