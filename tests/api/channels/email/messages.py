"""Messages to Ann about an approval, as the outbox hands them to a channel."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from msgspec.structs import replace

from application.notifications.message import Message, MessageKind, Subject
from tests.application.notifications.town import Known, known
from tests.domain import facts
from tests.domain.people import ANN
from tests.domain.scenario import Given, given

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def asked(*then: Any, **rest: Any) -> Given:
    return given(facts.started(), facts.requested(**rest), *then)


def message(
    of: Given,
    kind: MessageKind = MessageKind.OPENED,
    *,
    person: Known | None = None,
    **changed: Any,
) -> Message:
    """Return a message about the first approval. ``changed``: what is different in it."""
    subject = Subject(
        person or known(ANN),
        of.state,
        replace(of.approval(1), **changed),
        of.log[-1],
        "Europe/Berlin",
    )
    return Message(
        id=uuid4(),
        kind=kind,
        recipient="ann",
        channel="email",
        execution_id=of.state.id,
        ordinal=1,
        version=of.state.version,
        position=1,
        created_at=NOW,
        tries=1,
        subject=subject,
    )


def digest(*items: Message) -> Message:
    return replace(
        items[0],
        id=uuid4(),
        kind=MessageKind.DIGEST,
        execution_id=None,
        ordinal=None,
        subject=None,
        items=items,
    )
