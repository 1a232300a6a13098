"""Recorded events, and pages of them."""

from base64 import b64encode
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from enum import Enum
from functools import cache
from typing import Any
from uuid import UUID

import msgspec
import strawberry

from api.schema.paging import PageInfo
from api.schema.people import Actor
from api.schema.positions import position_of
from api.schema.scalars import JSON
from application.event_store.chained_events import LoggedEvent
from domain.approvals.document import instant_json
from domain.execution.event import (
    Event,
)
from domain.serialization.event_codec import Unreadable


def data_of(event: Event) -> dict[str, Any]:
    """Return an event as one JSON object, with its structure, its content and all defaults."""
    members = _members(event)
    content = members.pop("content")
    return {**members, **content}


def _members(value: msgspec.Struct) -> dict[str, Any]:
    return {shown: _plain(getattr(value, name)) for name, shown in _names(type(value))}


@cache
def _names(struct: type[msgspec.Struct]) -> tuple[tuple[str, str], ...]:
    """Return each field's name in Python and its name in stored events."""
    return tuple((field.name, field.encode_name) for field in msgspec.structs.fields(struct))


def _plain(value: Any) -> Any:
    match value:
        case msgspec.Struct():
            return _members(value)
        case tuple():
            return [_plain(item) for item in value]
        case datetime():
            return instant_json(value)
        case timedelta() | UUID():
            return msgspec.to_builtins(value)
        case Enum():
            return value.value
        case _:
            return value


@strawberry.type(description="One event of the log. It never changes.")
class RecordedEvent:
    event: strawberry.Private[LoggedEvent]
    position: str
    execution_id: strawberry.ID
    version: int
    type: str = strawberry.field(
        description="The type of the event, such as ApprovalGranted. Unreadable: this server does "
        "not know the topic, or the bytes are damaged. What it can't read is null or empty."
    )
    topic: str = strawberry.field(description="The stable name that it is stored under.")
    at: datetime = strawberry.field(
        description="The database's time at the commit, or up to a tenth of a second before."
    )
    command_id: strawberry.ID
    correlation_id: strawberry.ID
    causation_id: strawberry.ID | None
    previous_hash: str
    hash: str
    traceparent: str | None = strawberry.field(
        description="The W3C traceparent of the command that caused the event: of its span if this "
        "server makes spans, else as the caller sent it. Null if there was none."
    )

    @strawberry.field(
        description="The fields of the event, with the content that people or programs sent."
    )
    def data(self) -> JSON | None:
        event = self.event.recorded.event
        return None if isinstance(event, Unreadable) else JSON(data_of(event))

    @strawberry.field
    def actor(self) -> Actor:
        return Actor.of(self.event.recorded.actor)

    @strawberry.field(description="The stored bytes, in Base64.")
    def stored_bytes(self) -> str:
        return b64encode(self.event.stored).decode()

    @classmethod
    def of(cls, event: LoggedEvent) -> "RecordedEvent":
        """Make the GraphQL type of an event."""
        recorded = event.recorded
        causation = recorded.causation_id
        return cls(
            event=event,
            position=position_of(event),
            execution_id=strawberry.ID(str(recorded.execution_id)),
            version=recorded.version,
            type=type(recorded.event).__name__,
            topic=event.topic,
            at=recorded.at,
            command_id=strawberry.ID(str(recorded.command_id)),
            correlation_id=strawberry.ID(str(recorded.correlation_id)),
            causation_id=None if causation is None else strawberry.ID(str(causation)),
            previous_hash=recorded.previous_hash,
            hash=event.hash,
            traceparent=recorded.trace,
        )


@strawberry.type(description="An event in a page, with its cursor.")
class EventEdge:
    cursor: str
    node: RecordedEvent


@strawberry.type(description="A page of events.")
class EventConnection:
    edges: list[EventEdge]
    page_info: PageInfo

    @classmethod
    def of(
        cls,
        events: Sequence[LoggedEvent],
        after: int,
        cursor: Callable[[LoggedEvent], str],
        *,
        more: bool,
    ) -> "EventConnection":
        """Make a page of these events. ``more``: whether there is a next page."""
        edges = [EventEdge(cursor=cursor(event), node=RecordedEvent.of(event)) for event in events]
        return cls(
            edges=edges,
            page_info=PageInfo.of(
                [edge.cursor for edge in edges],
                has_next=more,
                has_previous=after > 0,
            ),
        )
