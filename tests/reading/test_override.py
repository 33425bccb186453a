"""What `--set path=value` means."""

import pytest

from kpiopt.errors import KpioptError, NumericsError, SecurityError, UsageError
from kpiopt.reading.override import read_overrides


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("a=1", {"a": 1}),
        ("a = 1_000.5", {"a": 1000.5}),
        ("a=true", {"a": True}),
        ('a="1"', {"a": "1"}),
        ("a=''", {"a": ""}),
        ("a=[1, 2]", {"a": [1, 2]}),
        ("a={ normal = [0, 1] }", {"a": {"normal": [0, 1]}}),
        ('cell."x/sales".max_stretch=5', {"cell": {"x/sales": {"max_stretch": 5}}}),
        ("cell.'a=b'.lock=0", {"cell": {"a=b": {"lock": 0}}}),
        ("currency=EUR", {"currency": "EUR"}),
        ("name=Plan #2", {"name": "Plan #2"}),
        ("name=5 # five", {"name": "5 # five"}),
        ("name=a=b", {"name": "a=b"}),
        ("drivers.x=0.8 to 1.6", {"drivers": {"x": "0.8 to 1.6"}}),
        ("name=1\nother = 2", {"name": "1\nother = 2"}),
        ("name=${HOME}", {"name": "${HOME}"}),
        ("name=True", {"name": "True"}),
    ],
)
def test_values(text, data):
    assert read_overrides([text]).data == data


def test_several_overrides_are_merged():
    assert read_overrides(["a.b=1", "a.c=2", "a.b=3"]).data == {"a": {"b": 3, "c": 2}}


@pytest.mark.parametrize(
    ("text", "kind", "code"),
    [
        ("a", UsageError, "E-set-form"),
        ("", UsageError, "E-set-form"),
        ("=5", UsageError, "E-set-form"),
        ("a..b=5", UsageError, "E-set-form"),
        ("cell.x sales.lock=5", UsageError, "E-set-form"),
        ("a=", UsageError, "E-set-value"),
        ("a=[1, 2", UsageError, "E-set-value"),
        ('a="open', UsageError, "E-set-value"),
        ("a={ b = 1", UsageError, "E-set-value"),
        ("schema=2", UsageError, "E-set-key"),
        ("extends=b.toml", UsageError, "E-set-key"),
        ("variant.x.a=1", UsageError, "E-set-key"),
        ("a=2026-01-01", UsageError, "E-toml-date"),
        (f"a={10**30}", UsageError, "E-toml-integer"),
        ("a=" + "9" * 5000, UsageError, "E-toml-integer"),
        ("a=nan", NumericsError, "E-number-range"),
        ("a.b=[1, { c = -inf }]", NumericsError, "E-number-range"),
        ("a=" + "[" * 100_000, SecurityError, "E-toml-depth"),
        ("a." * 100_000 + "a=1", SecurityError, "E-toml-depth"),
    ],
)
def test_refusals(text, kind, code):
    with pytest.raises(KpioptError) as caught:
        read_overrides([text])
    assert type(caught.value) is kind
    assert [p.code for p in caught.value.problems] == [code]
    assert caught.value.problems[0].location.file == "--set"


def test_all_bad_overrides_are_reported_at_once():
    with pytest.raises(UsageError) as caught:
        read_overrides(["a", "b=1", "c=nan", "d="])
    assert [p.code for p in caught.value.problems] == ["E-set-form", "E-number-range", "E-set-value"]


def test_the_key_path_is_named():
    with pytest.raises(NumericsError, match=r"a\.\"x/y\"\[1\]\.c = -inf"):
        read_overrides(['a."x/y"=[1, { c = -inf }]'])
