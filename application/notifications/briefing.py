"""What is looked up before messages are sent: the person, their wishes, and what it is about."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import NamedTuple
from uuid import UUID

from msgspec.structs import replace

from application.event_store.reader import Reader
from application.notifications.message import (
    QUOTES,
    Message,
    MessageKind,
    MessageStatus,
    Subject,
)
from application.notifications.outbox_table import OutboxTable, Outcome
from application.notifications.people import Addressee, People
from application.notifications.preferences import (
    DEFAULT,
    MessageTiming,
    Preferences,
    PreferencesTable,
)
from application.notifications.relevance import why_not
from domain.execution.state import Execution

FRESH = 1.0
"""For how many seconds what was looked up for many messages is used."""


class Briefed(NamedTuple):
    """The people to whom some messages go, their preferences, and the executions, at a moment."""

    people: Mapping[str, Addressee]
    preferences: Mapping[str, Preferences]
    executions: Mapping[UUID, Execution]
    at: float


class Briefing:
    """Makes messages to people ready. Raises psycopg errors or PoolTimeout."""

    def __init__(
        self, reader: Reader, people: People, preferences: PreferencesTable, table: OutboxTable
    ) -> None:
        self._reader = reader
        self._people = people
        self._preferences = preferences
        self._table = table

    async def of_all(self, messages: Sequence[Message]) -> Briefed:
        """Look up what several messages need, at once."""
        at, people = monotonic(), {message.recipient for message in messages}
        return Briefed(
            await self._people.people_of(people),
            await self._preferences.of(people),
            await self._executions(messages),
            at,
        )

    async def ready(self, message: Message, briefed: Briefed) -> tuple[Message, list[Outcome]]:
        """Return the message with all that a channel needs, and which of its items are skipped.

        What was looked up a while ago is looked up again. Raises NotNow if it is not sent now.
        """
        if monotonic() - briefed.at > FRESH:
            briefed = await self.of_all([message])
        person = briefed.people.get(message.recipient)
        if person is None:
            raise NotNow.skip(message, "the directory does not know the person")
        wishes = briefed.preferences.get(person.id, DEFAULT)
        if wishes.timing(message.channel) is MessageTiming.NEVER:
            raise NotNow.skip(message, f"the person does not want to be told by {message.channel}")
        if message.kind is MessageKind.DIGEST:
            return await self._digest(message, person, wishes)
        now = datetime.now(UTC)
        if (moment := wishes.first_moment(now)) > now:
            raise NotNow(Outcome(id=message.id, status=MessageStatus.WAITING, due_at=moment))
        found = await self._subject(message, person, wishes, briefed.executions)
        if isinstance(found, str):
            raise NotNow.skip(message, found)
        return replace(message, subject=found), []

    async def _digest(
        self, digest: Message, person: Addressee, wishes: Preferences
    ) -> tuple[Message, list[Outcome]]:
        waiting = await self._table.items_of(digest.id)
        executions = await self._executions(waiting)
        items, skipped = [], []
        for item in waiting:
            found = await self._subject(item, person, wishes, executions)
            if isinstance(found, str):
                skipped.append(_skipped(item, found))
            else:
                items.append(replace(item, subject=found))
        if not items:
            raise NotNow(*skipped, _skipped(digest, "nothing in it matters any more"))
        return replace(digest, items=tuple(items)), skipped

    async def _executions(self, messages: Sequence[Message]) -> dict[UUID, Execution]:
        ids = [each.execution_id for each in messages if each.execution_id is not None]
        states = await self._reader.current(ids)
        return {id_: state for id_, state in states.items() if isinstance(state, Execution)}

    async def _subject(
        self,
        message: Message,
        person: Addressee,
        wishes: Preferences,
        executions: Mapping[UUID, Execution],
    ) -> Subject | str:
        """Return what a message is about, or why it is not sent."""
        assert message.execution_id is not None
        assert message.ordinal is not None
        execution = executions.get(message.execution_id)
        approval = None if execution is None else execution.approvals.get(message.ordinal)
        if execution is None or approval is None:
            return "there is no such approval, or it can't be read"
        if reason := why_not(message.kind, message.version, person, execution, approval):
            return reason
        event = None
        if message.kind in QUOTES:
            [logged] = await self._reader.versions(execution.id, [message.version])
            event = logged.recorded
        return Subject(person, execution, approval, event, wishes.time_zone)


class NotNow(Exception):  # noqa: N818 - nothing is wrong
    """A message is not sent now. ``outcomes`` are to be recorded."""

    def __init__(self, *outcomes: Outcome) -> None:
        super().__init__()
        self.outcomes = outcomes

    @classmethod
    def skip(cls, message: Message, reason: str) -> "NotNow":
        """Make one for a message that is not sent at all."""
        return cls(_skipped(message, reason))


def _skipped(message: Message, reason: str) -> Outcome:
    return Outcome(id=message.id, status=MessageStatus.SKIPPED, error=reason)
