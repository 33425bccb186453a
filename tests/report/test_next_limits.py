"""The nearest limits at which whole numbers make another plan, against what trying every limit gives."""

import random

import pytest

import kpiopt
from kpiopt.report.explanation_limit import limit_sentences
from kpiopt.report.limits import next_steps, prices_of_less, used_up
from kpiopt.report.page.kept_files import plain_text
from kpiopt.report.summary import render_summary
from kpiopt.run.run import limit_as_dict
from kpiopt.studies.explain_limit import LimitExplanation

HEAD = 'schema = 1\nname = "L"\n[kpi.out]\nstep = 0.1\nbaseline = 100\n[kpi.q]\nbaseline = 1\n[unit.co]\n'


def initiative(name, most, cash, effect, more=""):
    return (
        f"[initiative.{name}]\nmax = {most}\nwhole = true\nuses = {{ cash = {cash} }}\n"
        f"effects = {{ {'out' if effect else 'q'} = {effect or 1} }}\n{more}\n"
    )


def solved(tmp_path, initiatives, limit, target):
    path = tmp_path / "s.toml"
    path.write_text(
        f"{HEAD}[budget.cash]\nlimit = {limit}\n[goal.out]\ntarget = {target}\n{''.join(initiatives)}", "utf-8"
    )
    return kpiopt.solve(kpiopt.load(path), simulate=False)


A = initiative("a", 1, 5, 5)
CASES = {
    "setup": ([A, initiative("b", 1, 1, 20, "setup = { cash = 9 }")], 5, 140, (4, 5), (10, 15)),
    "needs": ([A, initiative("b", 1, 2, 20, 'needs = "c"'), initiative("c", 1, 6, 0)], 5, 140, (4, 5), (8, 15)),
    "idle": ([A, initiative("b", 1, 7, 20), initiative("z", 3, 1, 0)], 5, 140, (4, 5), (7, 15)),
    "plain": ([A, initiative("b", 1, 7, 20)], 5, 140, (4, 5), (7, 15)),
    "mix": (
        [initiative("a", 3, 6, 7), initiative("b", 3, 10, 11), initiative("c", 3, 15, 17)],
        30, 160, (29, 2), (31, 1),
    ),
    "swap": ([initiative("a", 5, 2, 3), initiative("b", 1, 9, 20)], 8, 130, (7, 3), (9, 8)),
    "off": ([initiative("b", 1, 5, 3, "setup = { cash = 2 }")], 6, 115, None, (7, 3)),
    "some": ([initiative("b", 3, 5, 3, "setup = { cash = 2 }")], 9, 115, None, (12, 3)),
    "slack": ([initiative("a", 3, 3, 4), initiative("b", 3, 5, 9)], 23, 140, None, (24, 4)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_next_limits_are_the_nearest_that_change_the_plan(tmp_path, name):
    initiatives, limit, target, less, more = CASES[name]
    run = solved(tmp_path, initiatives, limit, target)
    told = next_steps(run)
    for side, word, way in ((less, "less", "further from"), (more, "more", "closer to")):
        if side is not None:
            moved = f"With {abs(side[0] - limit)} {word} of the cash budget ({side[0]}),"
            effect = f"out would be {side[1]} {way} its target, at other levels of initiatives."
            assert f"{moved} {effect}" in told
    assert len(told) == (less is not None) + 1
    assert used_up(run) == []
    text = " ".join(plain_text(render_summary(run), 110).split())
    assert "worth nothing" not in text and "is used up" not in text
    goals = [{"goal": "out", "kpi": "out", "met": False, "hard": False, "target": target, "baseline": 100}]
    explained = list(limit_sentences(run.scenario, LimitExplanation(limit_as_dict(run.limits[0]), ()), goals))
    assert explained[-len(told) :] == told
    assert not any("nothing" in sentence for sentence in explained)


def test_where_nothing_is_left_to_buy_more_is_worth_nothing(tmp_path):
    run = solved(tmp_path, [A], 5, 140)
    assert used_up(run) == ["cash budget"]
    effect = "out would be 5 further from its target, at other levels of initiatives."
    assert next_steps(run) == [f"With 5 less of the cash budget (0), {effect}"]


@pytest.mark.parametrize("seed", range(10))
def test_random_next_limits_against_trying_every_limit(tmp_path, seed):
    draw = random.Random(seed)
    parts = [(draw.randint(1, 2), draw.randint(2, 9), draw.randint(1, 9), draw.randint(0, 4)) for _ in range(3)]
    limit = draw.randint(5, 25)
    names = [
        initiative("abc"[i], m, c, e, f"setup = {{ cash = {s} }}" if s else "") for i, (m, c, e, s) in enumerate(parts)
    ]
    found = solved(tmp_path, names, limit, 200).limits[0]
    plans = [(0, 0)]
    for most, cash, effect, setup in parts:
        plans = [(u + k * cash + setup * (k > 0), v + k * effect) for u, v in plans for k in range(most + 1)]

    def best(cap):
        return max(v for u, v in plans if u <= cap)

    later = [cap for cap in range(limit + 1, 200) if best(cap) > best(limit)]
    if later and (found.binding or found.next_more):
        assert (found.next_more.limit, -100 * found.next_more.change) == pytest.approx(
            (later[0], best(later[0]) - best(limit))
        )
    if found.binding:
        assert found.next_less.limit == max(cap for cap in range(limit) if best(cap) < best(limit))
        assert later or found.price_more == 0.0


def test_slack_in_the_order_hides_no_next_limit(tmp_path):
    """A slack of less than any other choice would give up leaves the next limits what they are without it."""
    initiatives, limit, target, _, _ = CASES["mix"]
    plain = next_steps(solved(tmp_path, initiatives, limit, target))
    loose = [*initiatives, "[decide]\nslack = { goals = 0.001 }\n"]
    assert len(plain) == 2 and next_steps(solved(tmp_path, loose, limit, target)) == plain


def test_amounts_that_change_by_degrees_beside_whole_numbers(tmp_path):
    """With 8, a brings 20 and b, at 2, 10: that is what is left below. From 10 on b brings more than 20: 5 for each."""
    b = "[initiative.b]\nmax = 10\nuses = { cash = 1 }\nsetup = { cash = 6 }\neffects = { out = 5 }\n"
    run = solved(tmp_path, [initiative("a", 1, 8, 20), b], 8, 200)
    below, above = (f"out would be {much} its target, at other levels of initiatives." for much in BY_DEGREES)
    assert next_steps(run) == [
        f"With any less of the cash budget (below 8), {below}",
        f"Up to 10 nothing gets better; with 3 more of the cash budget (11), {above}",
    ]


BY_DEGREES = ("10.00 further from", "5 closer to")


def test_of_a_limit_that_slack_leaves_unused_more_is_not_said_to_change_nothing(tmp_path):
    """50 hours bring the goal to 50 of 100; a tenth of what is missing may be given up, so 45 are used. More helps."""
    path = tmp_path / "s.toml"
    path.write_text(
        'schema = 1\nname = "S"\n[kpi.out]\nstep = 1\n[unit.co]\ncapacity = { hours = 50 }\n[cell."co/out"]\n'
        "baseline = 100\nmax_stretch = 100\neffort = { hours = 1 }\n[goal.out]\ntarget = 200\n"
        '[decide]\norder = ["goals", "cost"]\neffort_price = { hours = 1 }\nslack = { goals = 0.1 }\n',
        "utf-8",
    )
    run = kpiopt.solve(kpiopt.load(path), simulate=False)
    (limit,) = run.limits
    assert limit.used == pytest.approx(45) and not limit.binding
    said = list(limit_sentences(run.scenario, LimitExplanation(limit_as_dict(limit), ())))
    left, kept = "5 hours are left; whether more would change anything was not tried", "Less than 45 hours would change"
    assert said == [f"{left}. {kept} the plan."]


def test_what_is_less_than_planners_read_is_practically_nothing(tmp_path):
    run = solved(tmp_path, [initiative("a", 1, 8, 20), initiative("b", 1, 10, 20.001)], 8, 200)
    said = "With 2 more of the cash budget (10), practically nothing would be gained: out would differ by less than is "
    assert next_steps(run)[1] == f"{said}shown, at other levels of initiatives."


def test_nothing_is_said_of_a_limit_that_nobody_can_use_and_less_than_nothing_is_no_limit(tmp_path):
    off = initiative("b", 1, 5, 3, "setup = { cash = 2 }")
    scoped = '[unit.a]\nparent = "co"\n[budget.cash2]\nresource = "cash"\nscope = "a"\nlimit = 0\n'
    run = solved(tmp_path, [off, scoped], 9, 115)
    assert not any(limit.binding for limit in run.limits if limit.name == "budget.cash2")
    run = solved(tmp_path, [off], 0, 115)
    (cash,) = run.limits
    assert cash.binding and cash.next_less is None and prices_of_less(run) == []
    assert next_steps(run) == ["With 7 more of the cash budget (7), out would be 3 closer to its target, at other "
                               "levels of initiatives."]  # fmt: skip
