"""Stored events: read back unchanged, chained, with content apart from structure."""

import base64
import hashlib
import json
import re
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from domain.aggregates import ALL_EVENT_TYPES
from domain.directory.events import DirectoryEvent
from domain.execution.event import (
    Event,
)
from domain.execution.events import (
    Recorded,
    ResultContent,
    Resumed,
    Started,
    StepCompleted,
)
from domain.refusals import DamagedEventError, UnknownTopicError
from domain.serialization.event_codec import GENESIS_HASH, decode, encode, hash_of
from domain.standing_grants.events import StandingGrantEvent
from domain.values import Actor
from tests.domain.golden import SAMPLES, in_envelope
from tests.domain.strategies import any_recorded, recorded_of

STEP = in_envelope(StepCompleted(key="k", name="n", attempt=1, content=ResultContent(result=[1])))
TOPIC = StepCompleted.topic


@pytest.mark.parametrize("event_type", ALL_EVENT_TYPES, ids=lambda event: event.__name__)
@settings(max_examples=25)
@given(st.data())
def test_every_event_is_read_back_as_it_was(event_type: type[Event], data: st.DataObject) -> None:
    recorded = data.draw(recorded_of(event_type))

    read = decode(recorded.execution_id, recorded.version, recorded.event.topic, encode(recorded))

    assert read == recorded
    assert type(read.event) is event_type


@given(any_recorded)
def test_reading_and_writing_again_changes_no_byte(recorded: Recorded) -> None:
    topic, stored = recorded.event.topic, encode(recorded)

    assert encode(decode(recorded.execution_id, recorded.version, topic, stored)) == stored


def test_an_event_without_content_is_read_back_with_the_default() -> None:
    for event in (StepCompleted(key="k", name="n", attempt=1), Resumed()):
        recorded = in_envelope(event)
        read = decode(recorded.execution_id, recorded.version, event.topic, encode(recorded))
        assert read == recorded


def test_the_stored_bytes_are_json_with_the_structure_in_the_open() -> None:
    envelope = json.loads(encode(STEP))

    assert envelope["data"] == {"key": "k", "name": "n", "attempt": 1}
    assert envelope["actor"] == "engine"
    assert envelope["previousHash"] == STEP.previous_hash
    assert json.loads(base64.b64decode(envelope["sealed"])) == {
        "actorName": "The Engine",
        "content": {"result": [1]},
    }


def words(value: object) -> list[str]:
    """Every text in a JSON value, that of names included."""
    match value:
        case str():
            return [value]
        case dict():
            return [word for member in value.values() for word in words(member)]
        case list():
            return [word for item in value for word in words(item)]
        case _:
            return []


@pytest.mark.parametrize("event", SAMPLES, ids=lambda event: type(event).__name__)
def test_what_people_wrote_is_nowhere_in_the_structure(event: Event) -> None:
    envelope = json.loads(encode(in_envelope(event)))
    sealed = json.loads(base64.b64decode(envelope.pop("sealed")))

    written = words(sealed)
    assert "The Engine" in written
    assert not set(written) & set(words(envelope))


@pytest.mark.parametrize("event", SAMPLES, ids=lambda event: type(event).__name__)
def test_without_the_content_the_structure_can_still_be_read(event: Event) -> None:
    recorded = in_envelope(event)
    envelope = json.loads(encode(recorded))
    envelope["sealed"] = base64.b64encode(b"{}").decode()

    read = decode(recorded.execution_id, 2, event.topic, json.dumps(envelope).encode())

    assert read.actor == Actor(id="engine")
    assert read.event == replace(event, content=type(event.content)())


def test_fields_of_a_later_version_are_passed_over() -> None:
    envelope = json.loads(encode(STEP))
    envelope["later"] = {"a": 1}
    envelope["data"]["later"] = 1

    assert decode(STEP.execution_id, 2, TOPIC, json.dumps(envelope).encode()) == STEP


def test_a_topic_that_is_not_known_is_named() -> None:
    with pytest.raises(UnknownTopicError, match=r"version 2 has the unknown topic 'execution\.x"):
        decode(STEP.execution_id, 2, "execution.x.v1", encode(STEP))


def damaged(**changes: object) -> bytes:
    envelope = {**json.loads(encode(STEP)), **changes}
    kept = {name: value for name, value in envelope.items() if value is not ...}
    return json.dumps(kept).encode()


@pytest.mark.parametrize(
    "stored",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xff\xfe", id="no UTF-8"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[" * 100_000, id="too deep"),
        pytest.param(encode(STEP)[:-1], id="cut short"),
        pytest.param(encode(STEP) + b"x", id="something after"),
        pytest.param(damaged(data=...), id="no data"),
        pytest.param(damaged(data={"key": "k"}), id="a field is missing"),
        pytest.param(damaged(data={"key": 1, "name": "n", "attempt": 1}), id="a wrong type"),
        pytest.param(damaged(sealed=...), id="no content"),
        pytest.param(damaged(sealed="***"), id="no base64"),
        pytest.param(damaged(sealed="e30"), id="base64 without its end"),
        pytest.param(damaged(sealed=base64.b64encode(b"\xff").decode()), id="sealed, no JSON"),
        pytest.param(
            damaged(sealed=base64.b64encode(b'{"content": []}').decode()), id="sealed, wrong type"
        ),
        pytest.param(damaged(at="yesterday"), id="no time"),
        pytest.param(damaged(commandId="7"), id="no id"),
        pytest.param(damaged(previousHash=...), id="no hash"),
    ],
)
def test_bytes_that_were_never_written_are_damaged(stored: bytes) -> None:
    with pytest.raises(DamagedEventError, match=r"0000000000aa version 2 .*can't be read: ."):
        decode(STEP.execution_id, 2, TOPIC, stored)


@given(st.binary(max_size=60))
def test_no_bytes_make_reading_fail_otherwise(stored: bytes) -> None:
    with pytest.raises(DamagedEventError):
        decode(STEP.execution_id, 2, TOPIC, stored)


def test_the_hash_is_the_one_that_the_contract_describes() -> None:
    stored = encode(STEP)
    head = UUID(str(STEP.execution_id)).bytes + b"\x00\x00\x00\x00\x00\x00\x00\x02"

    expected = hashlib.sha256(head + b"execution.step-completed.v1" + b"\x00" + stored)

    assert hash_of(STEP.execution_id, 2, TOPIC, stored) == expected.hexdigest()


def test_the_hash_covers_the_place_the_topic_and_each_byte() -> None:
    stored = encode(STEP)
    hashes = {
        hash_of(STEP.execution_id, 2, TOPIC, stored),
        hash_of(UUID(int=9), 2, TOPIC, stored),
        hash_of(STEP.execution_id, 3, TOPIC, stored),
        hash_of(STEP.execution_id, 2, Started.topic, stored),
        hash_of(STEP.execution_id, 2, TOPIC, stored + b" "),
        hash_of(STEP.execution_id, 2, TOPIC, encode(replace(STEP, previous_hash=GENESIS_HASH))),
    }

    assert len(hashes) == 6


def test_topics_are_named_after_the_events_and_have_a_version() -> None:
    for event_type in ALL_EVENT_TYPES:
        kebab = re.sub(r"(?<!^)(?=[A-Z])", "-", event_type.__name__).lower()
        subject = (
            "standing-grant"
            if issubclass(event_type, StandingGrantEvent)
            else "directory"
            if issubclass(event_type, DirectoryEvent)
            else "execution"
        )
        what = kebab.removeprefix(f"{subject}-")
        assert re.fullmatch(rf"{subject}\.{what}\.v[1-9]", event_type.topic)
    assert len({event_type.topic for event_type in ALL_EVENT_TYPES}) == len(ALL_EVENT_TYPES)
