"""Events and states with their position in the log and in the hash chain."""

from collections.abc import Iterable
from uuid import UUID

import msgspec
from psycopg.rows import DictRow

from domain.aggregates import Aggregate, evolve
from domain.execution.events import Recorded
from domain.execution.state import Execution
from domain.refusals import DamagedEventError, IllegalTransitionError, UnknownTopicError
from domain.serialization.event_codec import (
    GENESIS_HASH,
    Unreadable,
    decode,
    hash_of,
    unreadable,
)

DAMAGE = (DamagedEventError, IllegalTransitionError, UnknownTopicError)
"""The errors of reading or folding an execution whose events were changed or can't be decoded."""


class ChainedEvent(msgspec.Struct, frozen=True, gc=False):
    """An event, its bytes in the log, and their hash (hex SHA-256)."""

    recorded: Recorded
    topic: str
    stored: bytes
    hash: str

    @property
    def originator_id(self) -> UUID:
        """The id of the stream, under the name that the event store uses."""
        return self.recorded.execution_id

    @property
    def originator_version(self) -> int:
        """The version, under the name that the event store uses."""
        return self.recorded.version


class LoggedEvent(ChainedEvent, frozen=True):
    """A chained event with its position in the log. Positions only grow."""

    position: int


class Head(msgspec.Struct, frozen=True, gc=False):
    """The state of a stream at a version, and the hash that its next event must name.

    The stream is an execution or a standing grant.

    ``size`` is the number of bytes of the events folded. The memory that the state takes is
    roughly proportional to it.
    """

    state: Aggregate
    hash: str
    size: int

    @property
    def id(self) -> UUID:
        """The id of the stream."""
        return self.state.id

    @property
    def version(self) -> int:
        """The number of events folded."""
        return self.state.version

    @property
    def execution(self) -> Execution:
        """The state of a stream that is an execution. Raises TypeError for another one."""
        return as_execution(self.state)


def as_execution(state: Aggregate) -> Execution:
    """Return the state of an execution. Raises TypeError if it is that of another aggregate."""
    if not isinstance(state, Execution):
        msg = f"{state.id} is a {type(state).__name__}, not an execution"
        raise TypeError(msg)
    return state


class FoldedEvent(msgspec.Struct, gc=False):
    """An event of the log, and the head right after it. The head is None until it is computed."""

    event: LoggedEvent
    head: Head | None


class BrokenChainError(DamagedEventError):
    """An event does not name the hash of the event before it, so the log was changed."""


def chained(execution_id: UUID, version: int, topic: str, stored: bytes) -> ChainedEvent:
    """Decode a stored event. Raises DamagedEventError or UnknownTopicError."""
    return ChainedEvent(
        recorded=decode(execution_id, version, topic, stored),
        topic=topic,
        stored=stored,
        hash=hash_of(execution_id, version, topic, stored),
    )


def at_position(event: ChainedEvent, position: int) -> LoggedEvent:
    """Return the event with a position in the log."""
    return LoggedEvent(event.recorded, event.topic, event.stored, event.hash, position)


def logged(row: DictRow) -> LoggedEvent:
    """Decode a row of the log. Raises DamagedEventError or UnknownTopicError."""
    event = chained(
        row["originator_id"], row["originator_version"], row["topic"], bytes(row["state"])
    )
    return at_position(event, row["notification_id"])


def logged_or_unreadable(row: DictRow) -> LoggedEvent:
    """Decode a row of the log. An event that can't be read is returned as Unreadable."""
    try:
        return logged(row)
    except (DamagedEventError, UnknownTopicError) as error:
        execution_id, version = row["originator_id"], row["originator_version"]
        topic, stored = row["topic"], bytes(row["state"])
        return LoggedEvent(
            unreadable(execution_id, version, stored, str(error)),
            topic,
            stored,
            hash_of(execution_id, version, topic, stored),
            row["notification_id"],
        )


def advance(head: Head | None, chained: ChainedEvent) -> Head:
    """Fold the next event into a head.

    Raises BrokenChainError if the event does not follow the head's hash, DamagedEventError if it
    is Unreadable, and IllegalTransitionError if the domain does not allow it.
    """
    recorded = chained.recorded
    if isinstance(recorded.event, Unreadable):
        raise DamagedEventError(recorded.event.reason)
    expected = GENESIS_HASH if head is None else head.hash
    if recorded.previous_hash != expected:
        msg = (
            f"{recorded.execution_id} version {recorded.version} names the previous hash "
            f"{recorded.previous_hash}, but the event before has {expected}"
        )
        raise BrokenChainError(msg)
    if head is None:
        return Head(evolve(None, recorded), chained.hash, len(chained.stored))
    return Head(evolve(head.state, recorded), chained.hash, head.size + len(chained.stored))


def fold_heads(head: Head | None, events: Iterable[ChainedEvent]) -> Head | None:
    """Fold events into a head. Returns None for no event. Raises the errors of :func:`advance`."""
    for event in events:
        head = advance(head, event)
    return head
