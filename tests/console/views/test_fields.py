"""JSON as lines: every part is there, once, and can't be taken for another."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.console.views.differences import differences
from api.console.views.fields import cell, fields

LEAVES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20)
VALUES: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=30,
)


def leaves(value: Any) -> list[str]:
    """Return how each part without parts of its own is shown."""
    if isinstance(value, dict) and value:
        return [leaf for one in value.values() for leaf in leaves(one)]
    if isinstance(value, list) and value:
        return [leaf for one in value for leaf in leaves(one)]
    return [cell(value).text]


@given(VALUES)
def test_every_part_is_shown_once(value: Any) -> None:
    shown = [
        one.text
        for line in fields(value)
        for one in (*line.cells, *(one for row in line.rows for one in row))
        if one is not None
    ]
    assert sorted(shown) == sorted(leaves(value))


@given(LEAVES, LEAVES)
def test_two_values_never_look_the_same(one: Any, other: Any) -> None:
    if type(one) is not type(other) or one != other:
        assert cell(one).text != cell(other).text


@pytest.mark.parametrize("levels", [200, 5_000])
def test_depth_is_no_limit(levels: int) -> None:
    value: Any = 1
    for _ in range(levels):
        value = {"down": value}
    assert [line.depth for line in fields(value)] == list(range(levels))


def test_alike_objects_become_a_table_with_all_columns() -> None:
    [line] = fields({"rows": [{"a": 1, "b": 2}, {"b": 3, "c": None}]})
    assert (line.kind, line.columns) == ("table", ("a", "b", "c"))
    assert [[one and one.text for one in row] for row in line.rows] == [
        ["1", "2", None],
        [None, "3", "null"],
    ]


def test_objects_that_are_not_alike_are_no_table() -> None:
    assert fields([{"a": 1}, {"b": {"c": 2}}])[0].kind == "group"


def test_a_long_text_is_folded_and_whole() -> None:
    folded = cell("word " * 200 + "end")
    assert folded.beginning is not None
    assert folded.text.endswith("end")


@given(VALUES)
def test_a_value_does_not_differ_from_itself(value: Any) -> None:
    assert differences([value, value, value]) == []


def test_differences_are_found_by_path_and_by_type() -> None:
    found = differences([{"a": [1, {"b": True}], "c": 1}, {"a": [1, {"b": 1}], "d": None}])
    assert [(one.path, [value and value.text for value in one.values]) for one in found] == [
        ("a.2.b", ["true", "1"]),
        ("c", ["1", None]),
        ("d", [None, "null"]),
    ]
