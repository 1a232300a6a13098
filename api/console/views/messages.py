"""The messages that a person was sent, as their page shows them."""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from api.console.views.wording import MESSAGE_STATUSES, MESSAGE_TONES
from application.notifications.message import MessageStatus
from application.notifications.outbox_query import OutboxRow


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A message. Times are in UTC.

    ``title`` and ``address`` are of the approval that it is about; None if it is about none, or the
    recipient may not see it any more. ``at`` is when it ended, or, while it waits, when it is due.
    ``kind``, ``channel`` and ``status`` are constants, ``word`` is the status in words.
    """

    kind: str
    channel: str
    title: str | None
    address: str | None
    at: datetime
    status: str
    word: str
    tone: str
    reason: str | None


def told(row: OutboxRow, titles: Mapping[str, str | None]) -> Told:
    """Return a message as it is shown. ``titles`` are of the approvals that can be seen, by id."""
    approval = None if row.approval_id is None else str(row.approval_id)
    title = None if approval is None else titles.get(approval)
    return Told(
        kind=row.kind.value,
        channel=row.channel,
        title=title,
        address=None if title is None else f"/approvals/{approval}",
        at=row.ended_at or row.due_at,
        status=row.status.value,
        word=MESSAGE_STATUSES[row.status.value],
        tone=MESSAGE_TONES[row.status.value],
        reason=None if row.status is MessageStatus.SENT else row.last_error,
    )
