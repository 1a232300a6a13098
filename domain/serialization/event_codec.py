"""How an event is stored: as JSON, each event chained to the one before by its hash.

The JSON has the structure of the event in ``data``. All that people wrote or sent, and the actor's
name, is in ``sealed``: base64 of JSON. The hash of an event is the hex SHA-256 of the 16 bytes of
the execution's UUID, the version as 8 bytes big-endian, the topic in UTF-8, one zero byte, and the
stored bytes, which contain the previous hash.

An event of an older topic is read in the shape that it had then, and becomes one of the present
shape, see :mod:`domain.serialization.upcasters`.
"""

import hashlib
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec.structs import replace

from domain.execution.event import (
    Content,
    Event,
)
from domain.execution.events import (
    Recorded,
)
from domain.refusals import DamagedEventError, UnknownTopicError
from domain.serialization.upcasters import SHAPES, upcast
from domain.values import Actor

GENESIS_HASH = "0" * 64


NEVER = datetime.min.replace(tzinfo=UTC)
"""The time of an event of which not even the time can be read."""


class Unreadable(Event, frozen=True, kw_only=True):
    """Stands for an event that this program can't read, and says why. It is never stored."""

    reason: str


class _Envelope(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    previous_hash: str
    at: datetime
    actor: str
    command_id: UUID
    correlation_id: UUID
    data: Any
    sealed: bytes = b""
    causation_id: UUID | None = None
    trace: str | None = None


class _StoredEnvelope(_Envelope, frozen=True):
    data: msgspec.Raw


class _Sealed(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    actor_name: str | None = None
    content: Any = None


class _Decoders:
    """The decoders of one event type, for its structure and for its sealed part."""

    def __init__(self, event_type: type[Event]) -> None:
        default = next(
            field.default for field in msgspec.structs.fields(event_type) if field.name == "content"
        )
        self.no_content: Content = default
        self.structure = msgspec.json.Decoder(event_type)
        self.sealed: msgspec.json.Decoder[Any] = msgspec.json.Decoder(
            msgspec.defstruct(
                "Sealed",
                [("actor_name", str | None, None), ("content", type(default), default)],
                rename="camel",
            )
        )


_DECODERS = {shape.topic: _Decoders(shape) for shape in SHAPES}
_encode = msgspec.json.Encoder().encode
_decode_envelope = msgspec.json.Decoder(_StoredEnvelope).decode


def encode(recorded: Recorded) -> bytes:
    """Return the bytes that are stored for the event."""
    event, actor = recorded.event, recorded.actor
    no_content = _DECODERS[event.topic].no_content
    content = None if event.content is no_content else event.content
    return _encode(
        _Envelope(
            previous_hash=recorded.previous_hash,
            at=recorded.at,
            actor=actor.id,
            command_id=recorded.command_id,
            correlation_id=recorded.correlation_id,
            # Defaults are not written, so the default content keeps the content out of ``data``.
            data=replace(event, content=no_content),
            sealed=_encode(_Sealed(actor_name=actor.name, content=content)),
            causation_id=recorded.causation_id,
            trace=recorded.trace,
        )
    )


def topics_of(event_type: type[Event]) -> tuple[str, ...]:
    """Return the topics under which events of a type are stored, the present one first."""
    name = _without_version(event_type.topic)
    return tuple(shape.topic for shape in SHAPES if _without_version(shape.topic) == name)


def _without_version(topic: str) -> str:
    return topic.rpartition(".")[0]


def decode(execution_id: UUID, version: int, topic: str, stored: bytes) -> Recorded:
    """Read a stored event, in the present shape of its type.

    Raises the errors of :func:`decode_as_stored`.
    """
    return present(decode_as_stored(execution_id, version, topic, stored))


def present(recorded: Recorded) -> Recorded:
    """Return an event of :func:`decode_as_stored` in its present shape."""
    event = upcast(recorded.event)
    return recorded if event is recorded.event else replace(recorded, event=event)


def decode_as_stored(execution_id: UUID, version: int, topic: str, stored: bytes) -> Recorded:
    """Read a stored event in the shape of its topic, which :func:`encode` turns into its bytes.

    Raises UnknownTopicError for a topic that no event type has, and DamagedEventError for bytes
    that :func:`encode` can't have written.
    """
    decoders = _DECODERS.get(topic)
    if decoders is None:
        msg = f"{execution_id} version {version} has the unknown topic {topic!r}"
        raise UnknownTopicError(msg)
    try:
        envelope = _decode_envelope(stored)
        event = decoders.structure.decode(envelope.data)
        sealed = decoders.sealed.decode(envelope.sealed)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        msg = f"{execution_id} version {version} ({topic}) can't be read: {error}"
        raise DamagedEventError(msg) from error
    return Recorded(
        execution_id=execution_id,
        version=version,
        at=envelope.at,
        actor=Actor(id=envelope.actor, name=sealed.actor_name),
        command_id=envelope.command_id,
        correlation_id=envelope.correlation_id,
        causation_id=envelope.causation_id,
        trace=envelope.trace,
        previous_hash=envelope.previous_hash,
        event=replace(event, content=sealed.content),
    )


def unreadable(execution_id: UUID, version: int, stored: bytes, reason: str) -> Recorded:
    """Give what can be known of an event that :func:`decode` can't read.

    If its envelope can be read, only what happened is unknown. If not, its time is NEVER, its
    actor and the hash before have no text, and its ids are zero.
    """
    event = Unreadable(reason=reason)
    try:
        envelope = _decode_envelope(stored)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        nobody = UUID(int=0)
        return Recorded(
            execution_id=execution_id,
            version=version,
            at=NEVER,
            actor=Actor(id=""),
            command_id=nobody,
            correlation_id=nobody,
            previous_hash="",
            event=event,
        )
    return Recorded(
        execution_id=execution_id,
        version=version,
        at=envelope.at,
        actor=Actor(id=envelope.actor),
        command_id=envelope.command_id,
        correlation_id=envelope.correlation_id,
        causation_id=envelope.causation_id,
        trace=envelope.trace,
        previous_hash=envelope.previous_hash,
        event=event,
    )


def hash_of(execution_id: UUID, version: int, topic: str, stored: bytes) -> str:
    """Return the hash of a stored event, which the next version has as its ``previous_hash``."""
    head = execution_id.bytes + version.to_bytes(8, "big") + topic.encode() + b"\x00"
    return hashlib.sha256(head + stored).hexdigest()
