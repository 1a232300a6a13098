"""The events of one stream: their rows, bytes, hashes, order, and whether each may follow."""

from datetime import timedelta
from uuid import UUID

from application.event_store.chained_events import DAMAGE, Head, LoggedEvent, advance
from application.event_store.verification.audit import Step, Stream
from application.event_store.verification.database import Row
from application.event_store.verification.findings import Finding
from domain.aggregates import Aggregate, kind_of
from domain.execution.events import Recorded, Resumed
from domain.execution.state import Execution
from domain.serialization.event_codec import (
    GENESIS_HASH,
    decode_as_stored,
    encode,
    hash_of,
    present,
)

_UTC = timedelta(0)

CHANGED = "it was changed after it was recorded"
FORGED = "no server records this"


class EventChain:
    """The chain of one execution, as far as it was read.

    ``found`` has the findings of the last :meth:`read`. After an error the state is unknown, so
    from there on only the rows, bytes and hashes are checked.
    """

    def __init__(self, execution_id: UUID) -> None:
        self.execution_id = execution_id
        self.found: list[Finding] = []
        self._version = 0
        self._position = 0
        self._hash = GENESIS_HASH
        self._previous: Recorded | None = None
        self._head: Head | None = None
        self._sound = True
        self._kind: type[Aggregate] = Execution

    def read(self, row: Row) -> Step | None:
        """Read the next row: id, version, topic, bytes and position.

        Returns the event and its state if they are known.
        """
        _, version, topic, stored, position = row
        self.found = []
        if version < 1 or topic is None or stored is None:
            self._find(version, position or 0, "the row has no event that can be read", FORGED)
            self._sound = False
            return None
        step = self._read(version, topic, stored, position or 0)
        self._version, self._position = version, position or 0
        return step

    @property
    def stream(self) -> Stream:
        """The stream, after its last row."""
        head = self._head if self._sound else None
        return Stream(self.execution_id, self._version, self._position, head, self._kind)

    def _read(self, version: int, topic: str, stored: bytes, position: int) -> Step | None:
        before_hash, follows = self._hash, version == self._version + 1
        self._hash = hash_of(self.execution_id, version, topic, stored)
        if not follows:
            self._sound = False
            message = f"versions {self._version + 1} to {version - 1} are missing"
            self._find(version, position, message, "events were removed, or versions changed")
        if position <= self._position:
            message = f"the position is not after {self._position}, that of version {self._version}"
            if not self._version:
                message = "positions begin with 1"
            self._find(version, position, message, "the position was changed")
        try:
            as_stored = decode_as_stored(self.execution_id, version, topic, stored)
            recorded = present(as_stored)
        except DAMAGE as error:
            self._sound = False
            self._find(version, position, f"the stored bytes can't be read: {error}", CHANGED)
            return None
        if version == 1 or self._kind is Execution:
            self._kind = kind_of(recorded.event)
        if recorded.at.utcoffset() != _UTC:
            self._sound = False
            self._find(version, position, "its time is not in UTC", CHANGED)
        if follows and recorded.previous_hash != before_hash:
            self._sound = False
            message = (
                f"it names the previous hash {recorded.previous_hash}, but version {version - 1} "
                f"has {before_hash}"
            )
            meaning = f"version {version - 1} or this one was changed after it was recorded"
            self._find(version, position, message, meaning)
        if encode(as_stored) != stored:
            message = "these are not the bytes that a server writes for this event"
            self._find(version, position, message, CHANGED)
        if not self._sound:
            return None
        return self._fold(LoggedEvent(recorded, topic, stored, self._hash, position))

    def _fold(self, event: LoggedEvent) -> Step | None:
        head, previous, recorded = self._head, self._previous, event.recorded
        try:
            self._head = after = advance(head, event)
        except (*DAMAGE, OverflowError) as error:
            self._sound = False
            message = f"it can't follow the events before it: {error}"
            self._find(recorded.version, event.position, message, FORGED)
            return None
        self._check_fields(event, previous)
        self._previous = recorded
        return Step(event, previous, None if head is None else head.state, after)

    def _check_fields(self, event: LoggedEvent, previous: Recorded | None) -> None:
        recorded = event.recorded
        if recorded.correlation_id != self.execution_id:
            self._say(event, "its correlation id is not the id of its stream", FORGED)
        if not recorded.actor.id:
            self._say(event, "it has no actor", FORGED)
        if previous is None:
            return
        if recorded.at < previous.at:
            message = f"its time {recorded.at} is before {previous.at}, that of the event before"
            self._say(event, message, "a time was changed: times never go back in an execution")
        if recorded.command_id == previous.command_id:
            self._check_same_command(event, previous)
        elif isinstance(recorded.event, Resumed):
            message = "it has another command id than the resolution before it"
            self._say(event, message, "the two are recorded by one command, in one commit")

    def _check_same_command(self, event: LoggedEvent, previous: Recorded) -> None:
        """Events of one command are one commit: side by side, by one actor, at one time."""
        recorded = event.recorded
        if event.position != self._position + 1:
            message = f"its position does not follow {self._position}, of the same command"
            self._say(event, message, "one of the two positions was changed")
        if recorded.actor != previous.actor:
            by, command_by = recorded.actor.id, previous.actor.id
            message = f"its actor {by!r} is not {command_by!r}, that of the same command"
            self._say(event, message, "one of the two actors was changed")
        if recorded.at != previous.at:
            message = f"its time {recorded.at} is not {previous.at}, that of the same command"
            self._say(event, message, "one of the two times was changed")

    def _say(self, event: LoggedEvent, message: str, meaning: str) -> None:
        self._find(event.recorded.version, event.position, message, meaning)

    def _find(self, version: int, position: int, message: str, meaning: str) -> None:
        self.found.append(Finding("event", self.execution_id, version, position, message, meaning))
