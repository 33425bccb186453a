"""Quantities: what is read, what is refused, exact means, inverse-transform quantiles."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from kpiopt.scenario.quantity import Quantity, parse_quantity

Z95 = stats.norm.ppf(0.95)
ALL = [
    "0.8 to 1.6",
    "-2 to 3",
    {"normal": [3, 2]},
    {"lognormal": [1, 40]},
    {"triangular": [0, 1, 5]},
    {"triangular": [0, 0, 5]},
    {"triangular": [0, 5, 5]},
    {"pert": [-1, 2, 8]},
    {"uniform": [-3, 4]},
    {"beta": [0.5, 3, 10, 20]},
]


def reference(value: object) -> stats.rv_continuous:
    """The same distribution from SciPy's catalogue."""
    if isinstance(value, str):
        a, b = (float(x) for x in value.split(" to "))
        if a > 0:
            return stats.lognorm(math.log(b / a) / (2 * Z95), scale=math.sqrt(a * b))
        return stats.norm((a + b) / 2, (b - a) / (2 * Z95))
    ((kind, p),) = value.items()
    if kind == "pert":
        low, mode, high = p
        shape = 1 + 4 * (mode - low) / (high - low), 1 + 4 * (high - mode) / (high - low)
        return stats.beta(*shape, low, high - low)
    return {
        "normal": lambda: stats.norm(*p),
        "lognormal": lambda: reference(f"{p[0]} to {p[1]}"),
        "triangular": lambda: stats.triang((p[1] - p[0]) / (p[2] - p[0]), p[0], p[2] - p[0]),
        "uniform": lambda: stats.uniform(p[0], p[1] - p[0]),
        "beta": lambda: stats.beta(p[0], p[1], p[2], p[3] - p[2]),
    }[kind]()


@pytest.mark.parametrize("value", ALL, ids=str)
def test_moments_and_quantiles_agree_with_scipy(value: object) -> None:
    quantity, expected = parse_quantity(value), reference(value)
    u = np.array([1e-9, 0.001, 0.05, 0.3, 0.5, 0.77, 0.95, 0.9999])
    assert quantity.mean == pytest.approx(expected.mean(), rel=1e-12)
    assert quantity.standard_deviation == pytest.approx(expected.std(), rel=1e-12)
    assert quantity.quantile(u) == pytest.approx(expected.ppf(u), rel=1e-9)
    assert quantity.at_score(stats.norm.ppf(u)) == pytest.approx(expected.ppf(u), rel=1e-9)


@pytest.mark.parametrize("value", ALL, ids=str)
def test_mean_is_the_integral_of_the_quantile_function(value: object) -> None:
    quantity = parse_quantity(value)
    mean, _ = integrate.quad(lambda u: float(quantity.quantile(np.array([u]))[0]), 0, 1, limit=400)
    assert quantity.mean == pytest.approx(mean, rel=1e-6)


FAR = [
    *ALL,
    7,
    {"pert": [0.3, 0.9, 1.1]},
    {"pert": [0, 0, 1]},
    {"pert": [2, 2, 2]},
    {"beta": [3, 3, -1, 1]},
    {"beta": [0.001, 0.001, 0, 1]},
    {"beta": [1e5, 0.01, 0, 1]},
    {"beta": [0.01, 1e5, 0, 1]},
    {"lognormal": [1e-9, 1e12]},
    {"lognormal": [1e-28, 1e8]},
    {"discrete": [[-1, 0.25], [5, 0.5], [9, 0.25]]},
    {"samples": "history#x"},
]


@pytest.mark.parametrize("value", FAR, ids=str)
def test_quantiles_are_finite_and_rise_at_every_score_a_sampler_can_give(value: object) -> None:
    quantity = parse_quantity(value, lambda _: [3.0, 1.0, 2.0])
    z = np.unique(np.concatenate([np.linspace(-40, 40, 8001), [-38.48, -37.52, -8.3, 8.3]]))
    with np.errstate(all="raise", under="ignore"):
        values, at_ends = quantity.at_score(z), quantity.quantile(np.array([0.0, 5e-324, 1e-300, 1 - 2**-53, 1.0]))
    assert np.isfinite(values).all()
    assert (np.diff(values) >= -1e-15 * np.abs(values[1:])).all()
    if quantity.kind not in ("normal", "lognormal"):
        assert np.isfinite(at_ends).all()
        assert values.min() >= at_ends[0] - 1e-15
        assert values.max() <= at_ends[-1] + 1e-15


def test_the_far_tail_of_beta_is_its_leading_term() -> None:
    """I_x(3, 3) = 10 x^3 (1 - 1.5 x + 0.6 x^2): far out x is the cube root of u / 10."""
    u = 10.0 ** -np.arange(30.0, 301.0, 3.0)
    found = parse_quantity({"beta": [3, 3, 0, 1]}).quantile(u)
    assert found == pytest.approx(np.cbrt(u / 10), rel=1e-9)


def test_ranges_hold_their_ends() -> None:
    for text, a, b in (("0.8 to 1.6", 0.8, 1.6), ("-2 to 3", -2, 3), ("1_000 to 2.5e3", 1000, 2500)):
        assert parse_quantity(text).quantile(np.array([0.05, 0.95])) == pytest.approx([a, b], rel=1e-12)


def test_discrete_takes_each_value_with_its_probability() -> None:
    quantity = parse_quantity({"discrete": [[12, 0.75], [10, 0.25]]})
    values, counts = np.unique(quantity.quantile((np.arange(1000) + 0.5) / 1000), return_counts=True)
    assert values.tolist() == [10, 12]
    assert counts.tolist() == [250, 750]
    assert quantity.mean == 11.5
    assert quantity.standard_deviation == pytest.approx(math.sqrt(0.75))


def test_thirds_that_sum_to_one_but_for_rounding_are_taken() -> None:
    quantity = parse_quantity({"discrete": [[1, 0.3333333], [2, 0.3333333], [6, 0.3333333]]})
    assert quantity.mean == pytest.approx(3.0, rel=1e-12)
    assert quantity.quantile(np.array([1 - 1e-16])).tolist() == [6.0]


def test_samples_are_the_empirical_distribution_whatever_their_order() -> None:
    asked = []

    def read(reference: str) -> list[float]:
        asked.append(reference)
        return [5, 1, 3.0, 3.0]

    quantity = parse_quantity({"samples": "history.csv#share"}, read)
    assert asked == ["history.csv#share"]
    assert quantity.parameters == parse_quantity({"samples": "x"}, lambda _: [3, 5, 3, 1]).parameters
    assert quantity.mean == 3
    assert quantity.quantile(np.array([0.2, 0.25, 0.26, 0.75, 0.76, 0.99])).tolist() == [1, 1, 3, 3, 5, 5]
    assert quantity.standard_deviation == pytest.approx(np.std([1, 3, 3, 5]))


def test_a_number_is_certain_and_minus_zero_is_zero() -> None:
    quantity = parse_quantity(-0.0)
    assert quantity.is_number
    assert math.copysign(1, quantity.mean) == 1
    assert quantity.quantile(np.array([0.1, 0.9])).tolist() == [0, 0]
    assert not parse_quantity({"normal": [5, 0]}).is_number


@pytest.mark.parametrize(
    "value", ["5 to 5", {"normal": [5, 0]}, {"uniform": [5, 5]}, {"triangular": [5, 5, 5]}, {"pert": [5, 5, 5]}]
)
def test_no_spread_is_allowed_and_stays_in_place(value: object) -> None:
    """Row 82: sd = 0 is fine."""
    quantity = parse_quantity(value)
    assert quantity.mean == pytest.approx(5, rel=1e-15)
    assert quantity.standard_deviation == 0
    assert quantity.quantile(np.array([0.01, 0.5, 0.99])) == pytest.approx([5, 5, 5], rel=1e-15)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (True, "true is not a number"),
        (None, "None is not a number"),
        ("10", '"10" is not a quantity'),
        ("8 - 10", "not a quantity"),
        ("1,000 to 2,000", "not a quantity"),
        ("5 to 3", "write the lower figure first"),
        ("1 to 1e999", "not a finite number"),
        (float("nan"), "not a finite number"),
        (float("inf"), "not a finite number"),
        (10**400, "too large"),
        ({}, "exactly one key, found none"),
        ({"normal": [0, 1], "uniform": [0, 1]}, "exactly one key, found normal, uniform"),
        ({"nromal": [0, 1]}, '"nromal" is no distribution'),
        ({"normal": [0]}, "normal needs 2 numbers: { normal = [mean, sd] }"),
        ({"normal": 3}, "normal needs 2 numbers"),
        ({"normal": [0, True]}, "true is not a number"),
        ({"normal": [0, "1"]}, "'1' is not a number"),
        ({"normal": [0, -1]}, "standard deviation of normal is -1"),
        ({"lognormal": [0, 1]}, "must be above 0"),
        ({"lognormal": [3, 2]}, "swap them"),
        ({"lognormal": [1e-300, 1e300]}, "overflows"),
        ({"lognormal": [1e-20, 1e30]}, "overflows"),
        ({"triangular": [0, 9, 5]}, "the mode 9 of triangular is outside 0 to 5"),
        ({"triangular": [5, 3, 0]}, "swap them"),
        ({"pert": [0, -1, 5]}, "the mode -1 of pert"),
        ({"uniform": [2, 1]}, "low end 2 above its high end 1"),
        ({"beta": [0, 1, 0, 1]}, "alpha of beta is 0"),
        ({"beta": [1, -2, 0, 1]}, "beta of beta is -2"),
        ({"beta": [1, 2, 3, 1]}, "swap them"),
        ({"discrete": []}, "pairs of value and probability"),
        ({"discrete": [1, 2]}, "pairs of value and probability"),
        ({"discrete": [[1, 0.5], [2, 0.4]]}, "sum to 0.9, not to 1"),
        ({"discrete": [[1, 1.5], [2, -0.5]]}, "is negative (-0.5)"),
        ({"samples": [1, 2]}, "names a column of a file"),
        ({"samples": "a.csv#b"}, "cannot be read here"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_in_plain_words(value: object, words: str) -> None:
    """Row 82, and bool is not a number."""
    with pytest.raises(ValueError) as refused:
        parse_quantity(value)
    assert words in str(refused.value)


def test_an_empty_history_is_refused() -> None:
    """Row 82."""
    with pytest.raises(ValueError, match="holds no value"):
        parse_quantity({"samples": "a.csv#b"}, lambda _: [])


@given(
    st.sampled_from(["normal", "lognormal", "uniform", "triangular", "pert"]),
    st.floats(0.001, 1e6),
    st.floats(0, 1e6),
    st.floats(0, 1),
    st.lists(st.floats(1e-12, 1 - 1e-12), min_size=2, max_size=20),
)
def test_quantiles_rise_and_stay_inside(kind: str, low: float, width: float, share: float, us: list[float]) -> None:
    high = low + width
    parameters = [low, high] if kind in ("normal", "lognormal", "uniform") else [low, low + share * width, high]
    quantity = parse_quantity({kind: parameters})
    values = quantity.quantile(np.sort(us))
    slack = 1e-9 * high
    assert np.all(np.diff(values) >= -slack)
    if kind not in ("normal", "lognormal"):
        assert values.min() >= low - slack
        assert values.max() <= high + slack
        assert low - slack <= quantity.mean <= high + slack


def test_texts_are_what_a_planner_would_read() -> None:
    assert [
        parse_quantity(v).text for v in (1.5, "0.8 to 1.6", {"normal": [0, 1]}, {"discrete": [[1, 0.5], [3, 0.5]]})
    ] == [
        "1.5",
        "0.8 to 1.6",
        "normal, mean 0, sd 1",
        "discrete, 1 with 0.5, 3 with 0.5",
    ]
    assert Quantity("samples", (1.0, 2.0)).text == "2 samples, 1 to 2"


def test_reading_a_quantity_does_not_load_numpy() -> None:
    code = "import sys; from kpiopt.scenario.distribution import moments; assert 'numpy' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
