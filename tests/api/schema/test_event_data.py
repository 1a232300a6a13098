from typing import Any

import msgspec
import pytest

from api.schema.events import data_of
from domain.approvals.policy import Policy, Requirement
from domain.execution.events import EVENT_TYPES, ApprovalRequested, Event, Resumed


@pytest.mark.parametrize("kind", EVENT_TYPES, ids=lambda kind: kind.__name__)
def test_structure_and_content_have_no_name_in_common(kind: type[Event]) -> None:
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    content = {field.encode_name for field in msgspec.structs.fields(fields["content"].default)}
    assert content.isdisjoint(fields)


def test_defaults_are_filled_in_at_every_depth() -> None:
    event = ApprovalRequested(
        ordinal=1,
        key="permit",
        round=1,
        policy=Policy(requirements=(Requirement(groups=("finance",)),)),
        payload_digest="sha256:0",
        digest="sha256:1",
    )
    expected: dict[str, Any] = {
        "ordinal": 1,
        "key": "permit",
        "round": 1,
        "policy": {
            "requirements": [{"count": 1, "groups": ["finance"], "users": []}],
            "rejections": 1,
            "allowInitiator": False,
            "onExpiry": "REJECT",
            "escalateTo": [],
        },
        "payloadDigest": "sha256:0",
        "digest": "sha256:1",
        "deadline": None,
        "title": None,
        "description": None,
        "payload": None,
        "form": None,
    }
    assert data_of(event) == expected
    assert data_of(Resumed()) == {}
