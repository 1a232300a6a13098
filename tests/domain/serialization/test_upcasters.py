"""Events of an older shape are read in the present one, and their bytes and hashes stay."""

import json
from typing import Any
from uuid import UUID

import pytest

from domain.aggregates import ALL_EVENT_TYPES
from domain.approvals.events import (
    ApprovalGranted,
    ApprovalRejected,
)
from domain.approvals.quorum import missing
from domain.execution.events import (
    Recorded,
)
from domain.execution.evolve import fold
from domain.serialization.event_codec import (
    decode,
    decode_as_stored,
    encode,
    hash_of,
    topics_of,
)
from domain.serialization.upcasters import SHAPES, UPCASTERS
from tests.domain.golden import DIRECTORY, STREAM

OLDER = sorted(UPCASTERS)


def golden(topic: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((DIRECTORY / f"{topic}.json").read_text(encoding="utf-8"))
    return content


def arguments(row: dict[str, Any]) -> tuple[UUID, int, str, bytes]:
    return UUID(row["executionId"]), row["version"], row["topic"], row["stored"].encode()


def stream() -> list[Recorded]:
    rows = json.loads(STREAM.read_text(encoding="utf-8"))["events"]
    return [decode(*arguments(row)) for row in rows]


@pytest.mark.parametrize("topic", OLDER)
def test_an_older_event_is_read_in_the_present_shape_of_its_type(topic: str) -> None:
    event = decode(*arguments(golden(topic))).event

    assert type(event) in ALL_EVENT_TYPES
    assert topic in topics_of(type(event))


@pytest.mark.parametrize("topic", [shape.topic for shape in SHAPES])
def test_the_bytes_and_the_hash_of_every_shape_stay_as_they_were(topic: str) -> None:
    row = golden(topic)

    as_stored = decode_as_stored(*arguments(row))

    assert encode(as_stored) == row["stored"].encode()
    assert hash_of(*arguments(row)) == row["hash"]


@pytest.mark.parametrize("event_type", [ApprovalGranted, ApprovalRejected])
def test_a_decision_of_version_1_does_not_know_all_groups_of_the_person(
    event_type: type[ApprovalGranted | ApprovalRejected],
) -> None:
    present, older = topics_of(event_type)
    old, new = decode(*arguments(golden(older))).event, decode(*arguments(golden(present))).event

    assert isinstance(old, event_type)
    assert isinstance(new, event_type)
    assert (old.all_groups_known, new.all_groups_known) == (False, True)
    assert (old.groups, old.rule, old.content) == (new.groups, new.rule, new.content)


def test_an_execution_with_decisions_of_version_1_folds_to_the_same_quorum() -> None:
    events = stream()
    assert any(isinstance(each.event, ApprovalGranted | ApprovalRejected) for each in events)

    state = fold(None, events)

    assert state is not None
    for approval in state.approvals.values():
        for decision in approval.decisions:
            assert not decision.all_groups_known
            assert decision.groups
        if approval.status == "GRANTED":
            assert not missing(approval.policy, approval.decisions)


def test_the_topics_of_a_type_begin_with_the_present_one() -> None:
    for event_type in ALL_EVENT_TYPES:
        assert topics_of(event_type)[0] == event_type.topic
    assert sorted(topic for each in ALL_EVENT_TYPES for topic in topics_of(each)) == sorted(
        shape.topic for shape in SHAPES
    )
