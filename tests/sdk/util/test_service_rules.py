"""The sdk's rules for names, texts and JSON are those of the service."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from domain import validation
from domain.serialization.canonical_json import text_flaw
from placet._util.service_rules import (
    json_problem,
    name_problem,
    required_text_problem,
    text_problem,
)
from placet._util.texts import barred, cleaned
from placet.models.rules import MAX_TEXT

ODD = st.sampled_from(["\x00", "\uffff", "\ufdd0", "\ufdef", "\U0001fffe", "\ud800", "\udfff", "é"])
TEXTS = st.lists(st.one_of(ODD, st.text(max_size=5)), max_size=6).map("".join)
LONG = st.one_of(TEXTS, st.integers(195, 10_010).map("x".__mul__))
NUMBERS = st.one_of(st.integers(-(2**54), 2**54), st.floats())
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=10,
)


@given(LONG)
def test_a_cleaned_text_is_taken_and_a_text_that_is_taken_stays(text: str) -> None:
    kept = cleaned(text)
    assert validation.text(kept, "error") is None
    assert len(kept) <= MAX_TEXT
    if validation.text(text, "error") is None:
        assert kept == text


@given(TEXTS)
def test_the_characters_that_are_refused_are_the_service_s(text: str) -> None:
    assert (barred(text) is None) == (text_flaw(text, "text") is None)


@given(LONG)
def test_names_and_texts_are_judged_as_by_the_service(text: str) -> None:
    assert name_problem(text, "key") == validation.name(text, "key")
    assert text_problem(text, "error") == validation.text(text, "error")
    assert required_text_problem(text, "error") == validation.required_text(text, "error")


@given(VALUES)
def test_json_is_judged_as_by_the_service(value: Any) -> None:
    assert json_problem(value, "result") == validation.json(value, "result")


def test_size_and_depth_of_json_are_judged_as_by_the_service() -> None:
    deep: Any = 0
    for _ in range(101):
        deep = [deep]
    for value in (deep, deep[0], "x" * 262_142, "x" * 262_143, {"x" * 200: "\uffff"}):
        assert json_problem(value, "result") == validation.json(value, "result")
