"""Events that were stored by earlier versions are read as they were."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from domain.aggregates import ALL_EVENT_TYPES
from domain.execution.events import Recorded
from domain.execution.evolve import fold
from domain.serialization.event_codec import GENESIS_HASH, decode, hash_of, topics_of
from domain.serialization.upcasters import SHAPES
from tests.domain.golden import DIRECTORY, STREAM, rendered

FILES = sorted(DIRECTORY.glob("*.v[0-9].json"))
CURRENT = {event_type.topic for event_type in ALL_EVENT_TYPES}


def read(row: dict[str, Any]) -> tuple[Recorded, str]:
    execution_id, version, topic = UUID(row["executionId"]), row["version"], row["topic"]
    stored = row["stored"].encode()
    recorded = decode(execution_id, version, topic, stored)
    return recorded, hash_of(execution_id, version, topic, stored)


def test_every_topic_has_its_file() -> None:
    """Run ``python -m tests.domain.golden`` after a new event type has joined the catalogue."""
    assert {shape.topic for shape in SHAPES} == {file.stem for file in FILES}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_stored_event_is_read_for_ever(file: Path) -> None:
    golden = json.loads(file.read_text(encoding="utf-8"))

    recorded, event_hash = read(golden)

    assert golden["topic"] == file.stem
    assert file.stem in topics_of(type(recorded.event))
    assert recorded.event.topic in CURRENT
    assert rendered(recorded) == golden["decoded"]
    assert event_hash == golden["hash"]


def test_a_recorded_execution_folds_to_the_state_it_had() -> None:
    golden = json.loads(STREAM.read_text(encoding="utf-8"))
    events: list[Recorded] = []
    previous_hash = GENESIS_HASH
    for row in golden["events"]:
        recorded, event_hash = read(row)
        assert recorded.previous_hash == previous_hash
        assert event_hash == row["hash"]
        events.append(recorded)
        previous_hash = event_hash

    state = fold(None, events)

    assert state is not None
    assert rendered(state) == golden["state"]
