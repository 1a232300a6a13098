"""A payload as fields that a person can change."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.console.forms import Form
from api.console.views.payload_fields import (
    MAX_BYTES,
    MAX_FIELDS,
    WHOLE,
    FieldError,
    changed_payload,
    editable,
)
from domain.serialization.canonical_json import same
from tests.domain.strategies import json_values

PAYLOAD = {
    "to": "ACME",
    "why": "late\nfees",
    "euros": 120.5,
    "urgent": False,
    "lines": [{"sku": "a"}],
    "note": None,
    "odd": "a\u202eb",
}


def sent(payload: Any, **changes: str) -> Form:
    """Return the form as a browser sends it, with changes of fields by the name of the member."""
    shown = editable(payload)
    assert shown is not None
    fields = {each.name: each.text for each in shown.fields} | {WHOLE: shown.whole}
    fields |= {WHOLE if name == "whole" else f"payload.{name}": v for name, v in changes.items()}
    return Form((name, text.replace("\n", "\r\n")) for name, text in fields.items())


def test_each_member_is_a_field_of_its_kind() -> None:
    shown = editable(PAYLOAD)
    assert shown is not None
    assert {each.label: each.kind for each in shown.fields} == {
        "to": "line",
        "why": "lines",
        "euros": "number",
        "urgent": "choice",
        "lines": "json",
        "note": "json",
        # A character that nobody sees is shown escaped.
        "odd": "json",
    }
    assert shown.fields[-1].text == '"a\\u202eb"'


@given(st.dictionaries(st.text(), json_values, max_size=4) | json_values)
def test_what_was_not_touched_stays_exactly_as_it_is(payload: Any) -> None:
    assert changed_payload(sent(payload), payload) is payload


@given(json_values, json_values)
def test_the_whole_can_be_changed_to_anything(before: Any, after: Any) -> None:
    shown = editable(after)
    assert shown is not None
    assert same(changed_payload(sent(before, whole=shown.whole), before), after)


@pytest.mark.parametrize(
    ("name", "typed", "value"),
    [
        ("to", " 12 ", " 12 "),
        ("why", "a\nb", "a\nb"),
        ("euros", " 99 ", 99),
        ("urgent", "true", True),
        ("lines", "[]", []),
        ("note", '"none"', "none"),
    ],
)
def test_a_field_changes_its_member_alone(name: str, typed: str, value: Any) -> None:
    changed = changed_payload(sent(PAYLOAD, **{name: typed}), PAYLOAD)
    assert changed == PAYLOAD | {name: value}
    assert type(changed[name]) is type(value)


@pytest.mark.parametrize(
    ("name", "typed", "label"),
    [
        ("euros", "12,5", "euros"),
        ("euros", "true", "euros"),
        ("euros", "", "euros"),
        ("lines", "[", "lines"),
        ("lines", '{"a": 1, "a": 2}', "lines"),
        ("whole", "NaN", ""),
    ],
)
def test_what_cannot_be_read_names_its_field(name: str, typed: str, label: str) -> None:
    with pytest.raises(FieldError) as found:
        changed_payload(sent(PAYLOAD, **{name: typed}), PAYLOAD)
    assert found.value.label == label


def test_a_form_without_fields_changes_nothing() -> None:
    assert changed_payload(Form([("payload.other", "1")]), PAYLOAD) is PAYLOAD


def test_large_payloads_and_those_of_many_members() -> None:
    assert editable({"a": "x" * MAX_BYTES}) is None
    many = editable({str(n): n for n in range(MAX_FIELDS + 1)})
    assert many is not None
    assert many.fields == ()
