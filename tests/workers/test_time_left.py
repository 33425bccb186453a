"""How long the rest takes: by the points that this process answered, not by those it found done or by its start."""

import pytest

from kpiopt.workers.time_left import TimeLeft, duration_text


def told(steps, total=100):
    """Return what is said after (seconds, points done)."""
    now = [0.0]
    clock = TimeLeft(lambda: now[0])
    said = []
    for now[0], done in steps:
        said.append(clock.tell(done, total))
    return said


def test_the_rest_is_judged_by_the_points_answered_since_the_start():
    said = told([(100.0, 40), (102.0, 41), (122.0, 51), (700.0, 100)])
    assert said == ["40 of 100", "41 of 100", "51 of 100, about 2 min left", "100 of 100"]


def test_making_ready_is_not_taken_for_a_point():
    """Half a minute until the first answer, then one a second: the 90 left take a minute and a half."""
    said = told([(0.0, 0), *((30.0 + i, 1 + i) for i in range(20))])
    assert all("left" not in text for text in said[:16])
    assert said[-1] == "20 of 100, about 80 s left"


def test_the_first_answers_of_many_workers_are_not_their_pace():
    """Eight workers need ten seconds for a point, and all end at once."""
    rounds = [(10.0 * turn + i / 100, 8 * (turn - 1) + i + 1) for turn in (1, 2, 3) for i in range(8)]
    said = told([(0.0, 0), *rounds])
    assert "a few seconds" not in " ".join(said)
    assert said[-1] == "24 of 100, about 70 s left"


def test_a_resumed_sweep_that_has_nothing_left_says_so():
    assert told([(0.0, 100)]) == ["100 of 100"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "a few seconds"), (34, "about 30 s"), (200, "about 3 min"), (5460, "about 1.5 h"), (86400, "about 24.0 h")],
)
def test_durations_are_rounded_to_what_can_be_known(seconds, text):
    assert duration_text(seconds) == text
