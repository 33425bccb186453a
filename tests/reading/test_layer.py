"""Merging layers: properties that hold for any stack of documents."""

from pathlib import Path

from hypothesis import assume, given
from hypothesis import strategies as st

from kpiopt.reading.layer import Layer, entries, file_layer, is_table, join, merge, override_layer
from kpiopt.reading.toml.emit import emit_toml
from kpiopt.reading.toml.text import scan_toml
from kpiopt.reading.toml.toml_file import TomlFile

KEYS = st.sampled_from(["a", "b", "c d", "normal", "uniform"])
VALUES = st.recursive(
    st.integers(0, 2) | st.lists(st.integers(0, 1), max_size=2) | st.booleans(),
    lambda inner: st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(KEYS, VALUES, max_size=4)


def layer(table, name="f"):
    text = emit_toml(table)
    return file_layer(TomlFile(Path(name), name, "", table, scan_toml(text, name), ()))


def leaves(data):
    return {path: value for path, value in entries(data) if not is_table(value)}


def value_at(data, path):
    for key in path:
        data = data[key]
    return data


@given(st.lists(DOCUMENTS, min_size=1, max_size=4))
def test_every_value_is_what_its_mark_says(tables):
    merged = Layer()
    for i, table in enumerate(tables):
        merged = merge(merged, layer(table, f"f{i}"))
    assert [path for path, _ in entries(merged.data)] == [p for p, _ in entries(merged.data) if p in merged.marks]
    assert len(merged.marks) == len(list(entries(merged.data)))
    for path, value in leaves(merged.data).items():
        assert value_at(merged.marks[path].file.data, merged.marks[path].path) == value


@given(DOCUMENTS, DOCUMENTS)
def test_the_upper_layer_wins_and_nothing_else_changes(below, above):
    merged = leaves(merge(layer(below), layer(above)).data)
    upper = leaves(above)
    assert {path: merged.get(path) for path in upper} == upper
    for path, value in leaves(below).items():
        if not any(path[: len(p)] == p[: len(path)] for p, _ in entries(above) if p in upper or p == path):
            assert merged[path] == value


@given(DOCUMENTS, DOCUMENTS, DOCUMENTS)
def test_laying_over_is_associative_where_tables_stay_tables(first, second, third):
    one, two, three = layer(first, "1"), layer(second, "2"), layer(third, "3")
    left, right = merge(merge(one, two), three), merge(one, merge(two, three))
    paths = [{path for path, value in entries(table) if is_table(value)} for table in (first, second, third)]
    plain = [leaves(table).keys() for table in (first, second, third)]
    if not any(tables & leaf for tables in paths for leaf in plain):
        assert left.data == right.data
        assert leaves(left.data).keys() == leaves(right.data).keys()


@given(DOCUMENTS)
def test_a_document_beside_itself_never_clashes(table):
    assert join(layer(table), layer(table)).clashes == ()
    assert merge(layer(table), Layer()).data == merge(Layer(), layer(table)).data == table


@given(DOCUMENTS, DOCUMENTS)
def test_without_a_clash_the_order_of_neighbours_does_not_matter(first, second):
    assume({"normal", "uniform"}.isdisjoint([*first, *second]))  # a document as a whole is no distribution
    one, two = join(layer(first), layer(second)), join(layer(second), layer(first))
    assert {c.path for c in one.clashes} == {c.path for c in two.clashes}
    assert (one.data == two.data) or one.clashes


@given(DOCUMENTS, st.lists(KEYS, min_size=1, max_size=3), VALUES)
def test_an_override_is_the_last_word(table, path, value):
    merged = merge(layer(table), override_layer(tuple(path), value, "typed"))
    if is_table(value):
        assert leaves(value).items() <= leaves(value_at(merged.data, path)).items()
    else:
        assert value_at(merged.data, path) == value
        found = merged.find(tuple(path))
        assert found is not None
        assert found[0].override == "typed"


def test_layers_are_not_changed_by_merging():
    below, above = layer({"a": {"b": [1]}}), layer({"a": {"c": [2]}})
    before = dict(below.marks), dict(above.marks)
    assert merge(below, above).data == join(below, above).data == {"a": {"b": [1], "c": [2]}}
    assert (below.marks, above.marks) == before
    assert (below.data, above.data) == ({"a": {"b": [1]}}, {"a": {"c": [2]}})
