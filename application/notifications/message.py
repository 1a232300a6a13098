"""A message of the outbox: what one recipient is told through one channel because of one event.

The row in the outbox says only what it is about. What it shows is read when it is sent, from the
state then.
"""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID, uuid5

import msgspec

from application.notifications.people import Addressee
from domain.approvals.state import Approval
from domain.execution.events import Recorded
from domain.execution.state import Execution

_NAMESPACE = UUID("5f0b1d6e-6f52-4f1c-9d8e-0a7a3c1b7d42")


class MessageKind(StrEnum):
    """Why a message is sent."""

    OPENED = "OPENED"
    """An approval was requested, and the recipient may decide it."""
    STAGE_BEGAN = "STAGE_BEGAN"
    """The stage of an approval began in which the recipient may decide."""
    REMINDER = "REMINDER"
    """An approval comes near its deadline, and the recipient may still decide it."""
    ESCALATED = "ESCALATED"
    """The deadline passed, and the recipient may decide."""
    DELEGATED = "DELEGATED"
    """Somebody handed the decision to the recipient."""
    TOO_FEW_PEOPLE = "TOO_FEW_PEOPLE"
    """Fewer people are known who may decide than are needed. The fallback group is told."""
    CHANGES_REQUESTED = "CHANGES_REQUESTED"
    """An approver asked for changes, and the approval is still pending."""
    COMMENTED = "COMMENTED"
    """Somebody commented on an approval that the recipient takes part in."""
    RESOLVED = "RESOLVED"
    """An approval was resolved: granted, rejected, sent back for changes, expired, withdrawn."""
    REVOKED = "REVOKED"
    """A grant was taken back."""
    DIGEST = "DIGEST"
    """What a person would have been told one by one, gathered once a day."""
    EVENT = "EVENT"
    """An event of the log, for a program that asked for it."""


ASKS = frozenset(
    {
        MessageKind.OPENED,
        MessageKind.STAGE_BEGAN,
        MessageKind.REMINDER,
        MessageKind.ESCALATED,
        MessageKind.DELEGATED,
    }
)
"""The kinds that ask the recipient for a decision."""


QUOTES = frozenset(
    {
        MessageKind.DELEGATED,
        MessageKind.CHANGES_REQUESTED,
        MessageKind.COMMENTED,
        MessageKind.RESOLVED,
        MessageKind.REVOKED,
    }
)
"""The kinds whose events may have a text of who caused them."""


class MessageStatus(StrEnum):
    """Where a message stands."""

    WAITING = "WAITING"
    """It is to be sent, now or later."""
    SENT = "SENT"
    """The receiver took it."""
    SKIPPED = "SKIPPED"
    """It was not sent, because it no longer mattered; the reason is recorded."""
    DEAD = "DEAD"
    """It could not be delivered, and is not tried again unless an ADMIN asks for it."""


class NewMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message to be put into the outbox.

    ``version`` is that of the event in its stream ``execution_id``, and ``position`` its place in
    the log. ``ordinal`` is the approval's; None if it is about no approval. ``due_at`` is when it
    is to be sent; None is at once. ``digest_id`` is the digest that it waits for.
    """

    kind: MessageKind
    recipient: str
    channel: str
    execution_id: UUID
    version: int
    position: int
    ordinal: int | None = None
    due_at: datetime | None = None
    digest_id: UUID | None = None

    @property
    def id(self) -> UUID:
        """The id. It follows from the event, so the same event never makes another message."""
        return message_id(
            self.execution_id, str(self.version), self.kind, self.channel, self.recipient
        )


class Subject(NamedTuple):
    """What a message to a person is about, as it is when it is sent.

    ``event`` is the event that caused the message, if somebody may have written something with it.
    ``time_zone`` is the person's, a name of the IANA time zone database.
    """

    person: Addressee
    execution: Execution
    approval: Approval
    event: Recorded | None = None
    time_zone: str = "UTC"


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message that is sent now.

    ``tries`` counts this try too. ``subject`` is given if the recipient is a person, except for a
    digest, which has ``items`` instead: messages with a subject, the oldest first.
    ``channel_reference`` is what the channel returned when it delivered the message before.
    """

    id: UUID
    kind: MessageKind
    recipient: str
    channel: str
    execution_id: UUID | None
    ordinal: int | None
    version: int
    position: int
    created_at: datetime
    tries: int
    channel_reference: str | None = None
    subject: Subject | None = None
    items: tuple["Message", ...] = ()


def message_id(*parts: UUID | str) -> UUID:
    """Return the id that belongs to these parts, always the same (RFC 9562, version 5)."""
    return uuid5(_NAMESPACE, "\x00".join(map(str, parts)))
