"""Changes events as somebody does who can compute the hashes anew."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

from msgspec.structs import fields as fields_of
from msgspec.structs import replace
from psycopg import Connection

from domain.execution.event import (
    Event,
)
from domain.execution.events import (
    Recorded,
)
from domain.serialization.event_codec import GENESIS_HASH, decode, encode, hash_of
from domain.serialization.upcasters import UPCASTERS

Rewrite = Callable[[list[Recorded]], list[Recorded]]


def rewrite(connection: Connection[Any], id_: UUID, *changes: Rewrite) -> None:
    """Write all events of an execution anew, each with the hash of the one before."""
    rows = connection.execute(
        "DELETE FROM execution_events WHERE originator_id = %s"
        " RETURNING originator_version, topic, state, notification_id",
        [id_],
    ).fetchall()
    rows.sort()
    events = [decode(id_, version, topic, state) for version, topic, state, _ in rows]
    for change in changes:
        events = change(events)
    positions = [position for *_, position in rows]
    while len(positions) < len(events):
        [(position,)] = connection.execute(
            "SELECT nextval(pg_get_serial_sequence('execution_events', 'notification_id'))"
        ).fetchall()
        positions.append(position)
    hash_ = GENESIS_HASH
    for version, (event, position) in enumerate(zip(events, positions, strict=False), 1):
        topic = event.event.topic
        stored = encode(replace(event, version=version, previous_hash=hash_))
        hash_ = hash_of(id_, version, topic, stored)
        connection.execute(
            "INSERT INTO execution_events VALUES (%s, %s, %s, %s, %s)",
            [id_, version, topic, stored, position],
        )


def record(version: int, **fields: Any) -> Rewrite:
    """Change what is recorded with an event: its actor, time, or command."""
    return _at(version, lambda recorded: replace(recorded, **fields))


def alter(version: int, **fields: Any) -> Rewrite:
    """Change fields of an event."""
    return _at(version, lambda recorded: replace(recorded, event=replace(recorded.event, **fields)))


def in_older_shape(version: int, **fields: Any) -> Rewrite:
    """Record a decision under the first topic of its type, with changes to its fields."""

    def older(recorded: Recorded) -> Recorded:
        event = recorded.event
        shape = UPCASTERS[f"{event.topic.removesuffix('.v2')}.v1"].shape
        known = {field.name: getattr(event, field.name) for field in fields_of(shape)}
        return replace(recorded, event=shape(**{**known, **fields}))

    return _at(version, older)


def drop(version: int) -> Rewrite:
    """Remove an event."""
    return lambda events: [*events[: version - 1], *events[version:]]


def append(event: Event, **fields: Any) -> Rewrite:
    """Add an event at the end, otherwise like the last one."""

    def change(events: list[Recorded]) -> list[Recorded]:
        return [*events, replace(events[-1], event=event, command_id=uuid4(), **fields)]

    return change


def _at(version: int, change: Callable[[Recorded], Recorded]) -> Rewrite:
    def changed(events: list[Recorded]) -> list[Recorded]:
        return [change(event) if event.version == version else event for event in events]

    return changed
