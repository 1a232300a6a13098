"""What makes messages of events."""

from collections.abc import Sequence
from typing import Protocol

from application.event_store.chained_events import LoggedEvent
from application.notifications.message import NewMessage


class MessageSource(Protocol):
    """Says which messages an event causes.

    It is asked about every event of the log, in order, so it must be quick about those that do not
    concern it. It may be asked again about an event after a failure: the ids of the messages tell
    those that are in the outbox already.
    """

    def concerns(self, event: LoggedEvent) -> bool:
        """Whether the event may cause a message. This must not look anything up."""

    async def messages(self, event: LoggedEvent) -> Sequence[NewMessage]:
        """Return the messages that an event causes.

        Raises psycopg errors or PoolTimeout if the database is unavailable: then it is asked again.
        After any other error the event causes no messages of this source, which is reported.
        """
