"""A form is JSON Schema, and part of what was asked."""

from typing import Any

import pytest

from domain.approvals.document import document_digest, document_of
from domain.approvals.forms import canonical_form, check_form
from domain.approvals.policy import ExpiryAction
from domain.json_schemas import DIALECT
from domain.refusals import RefusalCode
from domain.serialization.canonical_json import canonical
from tests.domain.ask import HOUR, policy, request, start
from tests.domain.scenario import given

KEY_REUSED = RefusalCode.KEY_REUSED
REVIEW: dict[str, Any] = {
    "$schema": DIALECT,
    "type": "object",
    "properties": {
        "risk": {"enum": ["low", "high"]},
        "limit": {"type": "integer", "minimum": 0},
        "address": {"$ref": "#/$defs/address"},
        "born": {"type": "string", "format": "date"},
    },
    "required": ["risk"],
    "$defs": {"address": {"type": "object", "properties": {"zip": {"pattern": "^[0-9]{5}$"}}}},
}


def test_a_form_is_a_json_schema_with_references_into_itself() -> None:
    assert check_form(REVIEW) is None


@pytest.mark.parametrize(
    ("form", "said"),
    [
        (True, "form must be an object"),
        ([], "form must be an object"),
        ("risk", "form must be an object"),
        ({"type": "text"}, "form.type is not valid JSON Schema"),
    ],
)
def test_what_is_no_form_is_refused(form: Any, said: str) -> None:
    given().when(start()).when(request(form=form)).then_refused(RefusalCode.INVALID_INPUT, said)


def test_a_form_that_grants_by_itself_at_its_deadline_is_refused() -> None:
    started = given().when(start())
    grants = policy(on_expiry=ExpiryAction.GRANT, within=HOUR)

    started.when(request(form=REVIEW, policy=grants)).then_refused(
        RefusalCode.INVALID_INPUT, "form and policy.onExpiry GRANT exclude each other"
    )


def test_the_form_is_part_of_the_document_and_of_its_digest() -> None:
    plain = given().when(start()).when(request()).approval(1)
    asked = given().when(start()).when(request(form=REVIEW))
    approval = asked.approval(1)

    document = document_of(asked.state, approval)
    assert document["form"] == REVIEW
    assert approval.digest != plain.digest
    assert approval.digest == document_digest(document, canonical(approval.payload))
    assert canonical_form(REVIEW) == canonical(REVIEW)


def test_another_form_under_the_key_is_other_content_and_the_same_is_a_repeat() -> None:
    asked = given().when(start()).when(request(form=REVIEW))
    reordered = dict(reversed(REVIEW.items()))

    asked.when(request(form=reordered)).then_repeated()
    asked.when(request(form={**REVIEW, "title": "Risk"})).then_refused(KEY_REUSED, "other content")
    asked.when(request()).then_refused(KEY_REUSED, "other content")
