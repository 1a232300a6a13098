from typing import Any

import msgspec
import pytest

from api.schema.events import data_of
from domain.aggregates import ALL_EVENT_TYPES
from domain.approvals.events import (
    ApprovalRequested,
)
from domain.approvals.policy import Policy, Requirement
from domain.execution.event import (
    Event,
)
from domain.execution.events import (
    Resumed,
)


@pytest.mark.parametrize("kind", ALL_EVENT_TYPES, ids=lambda kind: kind.__name__)
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
            "requirements": [{"count": 1, "groups": ["finance"], "users": [], "stage": 1}],
            "rejections": 1,
            "allowInitiator": False,
            "onExpiry": "REJECT",
            "escalateTo": [],
            "within": None,
            "calendar": None,
            "remindBefore": [],
            "validFor": None,
            "amendable": False,
            "commentRequired": False,
            "acrValues": [],
            "maxAuthAge": None,
        },
        "payloadDigest": "sha256:0",
        "digest": "sha256:1",
        "deadline": None,
        "reminders": [],
        "afterEscalation": None,
        "title": None,
        "description": None,
        "payload": None,
        "form": None,
    }
    assert data_of(event) == expected
    assert data_of(Resumed()) == {}
