"""What a channel is: a way by which messages leave this service, such as e-mail."""

from collections.abc import Collection, Iterable
from typing import Protocol, runtime_checkable

from application.notifications.message import Message
from application.notifications.people import Addressee


class DeliveryFailed(Exception):  # noqa: N818 - it names what happened, as the domain's refusals do
    """A channel could not deliver a message.

    ``permanent``: another try would fail too, so the message is dead at once. ``retry_after``: the
    receiver asked to wait for so many seconds. ``channel_down``: the channel reaches nobody at
    present, so its other messages wait too.
    """

    def __init__(
        self,
        reason: str,
        *,
        permanent: bool = False,
        retry_after: float | None = None,
        channel_down: bool = False,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.permanent = permanent
        self.retry_after = retry_after
        self.channel_down = channel_down


class DeliverySkipped(Exception):  # noqa: N818 - as above
    """A channel found that a message need not be sent. ``reason`` is recorded."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Channel(Protocol):
    """A way out. It runs on the event loop of the leader's process.

    Deliveries run at the same time, at most ``concurrency`` of them, and at most ``per_recipient``
    to one recipient, so that one that hangs does not hold up others. Each ends after ``timeout``
    seconds. A message that may have been taken is sent again with the same id, so a receiver can
    tell that it has it.
    """

    name: str
    concurrency: int
    per_recipient: int
    timeout: float
    to_people: bool
    """Whether recipients are people. A message to a person is sent only if it still matters and
    the person may see what it is about; :attr:`Message.subject` then has that."""

    def reaches(self, person: Addressee) -> bool:
        """Whether the channel may reach a person. If not, no message is made for them."""

    async def deliver(self, message: Message) -> str | None:
        """Deliver a message. Returns the receiver's own name for it, if that will be needed.

        Raises DeliveryFailed and DeliverySkipped. Any other exception is a fault of the channel:
        it is logged, and the message is tried again.
        """

    async def close(self) -> None:
        """Close connections. A later delivery opens them again."""


@runtime_checkable
class SubscribedChannel(Channel, Protocol):
    """A channel that reaches only people who have subscribed to it themselves."""

    async def subscribers(self, people: Iterable[str]) -> Collection[str]:
        """Return which of these people have subscribed, by their ids in normal form."""
