"""Channels in Slack that get the requests of a group: one card for everybody there.

Whoever is in such a channel reads what is asked. Who may decide is decided at each click, as in a
direct message.
"""

from collections.abc import Mapping

from api.slack.channel import failure_of, post_card
from api.slack.client import SlackClient, SlackError
from api.slack.posted_cards import PostedCards
from api.slack.rich_text import one_line
from api.slack.showing import Shows
from application.event_store.chained_events import LoggedEvent
from application.event_store.reader import Reader
from application.notifications.channel import DeliverySkipped
from application.notifications.message import Message, MessageKind, NewMessage
from application.notifications.people import Addressee
from domain.approvals.events import ApprovalEscalated, ApprovalGranted, ApprovalRequested
from domain.approvals.quorum import current_stage
from domain.approvals.state import Approval
from domain.identifiers import ApprovalId
from domain.names import normal
from domain.standing_grants.matching import asks_anew

NAME = "slack-channels"

_WORDS = {
    MessageKind.OPENED: "This waits for a decision.",
    MessageKind.STAGE_BEGAN: "The next stage has begun.",
    MessageKind.ESCALATED: "The deadline has passed, and more people are asked.",
}


class GroupChannelMessages:
    """Makes messages to channels of the events by which their groups are asked.

    It implements :class:`application.notifications.source.MessageSource`. ``channels`` are the ids
    of channels by groups.
    """

    def __init__(self, reader: Reader, channels: Mapping[str, str]) -> None:
        self._reader = reader
        self._channels = channels

    def concerns(self, event: LoggedEvent) -> bool:
        """Whether a group may be asked by the event."""
        asking = (ApprovalRequested, ApprovalGranted, ApprovalEscalated)
        return bool(self._channels) and isinstance(event.recorded.event, asking)

    async def messages(self, event: LoggedEvent) -> list[NewMessage]:
        """Return a message for each channel. Raises DAMAGE if the state can't be read."""
        happened = event.recorded.event
        assert isinstance(happened, ApprovalRequested | ApprovalGranted | ApprovalEscalated)
        execution = await self._reader.after(event)
        approval = execution.approvals[happened.ordinal]
        match happened:
            case ApprovalRequested():
                kind, groups = MessageKind.OPENED, _groups_of_stage(approval)
            case ApprovalEscalated():
                kind, groups = MessageKind.ESCALATED, list(approval.escalated_to)
            case _ if not happened.resolves and asks_anew(happened, approval):
                kind, groups = MessageKind.STAGE_BEGAN, _groups_of_stage(approval)
            case _:
                return []
        found = (self._channels.get(normal(group)) for group in groups)
        return [
            NewMessage(
                kind=kind,
                recipient=channel,
                channel=NAME,
                execution_id=execution.id,
                version=event.recorded.version,
                position=event.position,
                ordinal=happened.ordinal,
            )
            for channel in dict.fromkeys(filter(None, found))
        ]


class GroupChannels:
    """Posts the cards. It implements :class:`application.notifications.channel.Channel`."""

    name = NAME
    concurrency = 4
    per_recipient = 1
    timeout = 30.0
    to_people = False

    def __init__(
        self, client: SlackClient, reader: Reader, cards: PostedCards, shows: Shows
    ) -> None:
        self._client = client
        self._reader = reader
        self._cards = cards
        self._shows = shows

    def reaches(self, person: Addressee) -> bool:  # noqa: ARG002
        """Return False: no message of this channel is to a person."""
        return False

    async def deliver(self, message: Message) -> str | None:
        """Post the card, or a line into its thread if it is there. Returns where it is."""
        assert message.execution_id is not None
        assert message.ordinal is not None
        execution = await self._reader.execution(message.execution_id)
        approval = None if execution is None else execution.approvals.get(message.ordinal)
        if approval is None or not approval.pending:
            raise DeliverySkipped("the approval is resolved")
        channel = message.recipient
        try:
            return str(await self._tell(message, approval.id, channel, approval.title or ""))
        except SlackError as error:
            raise failure_of(error) from error

    async def close(self) -> None:
        """Close the connections to Slack. A later call opens them again."""
        await self._client.close()

    async def _tell(
        self, message: Message, approval_id: ApprovalId, channel: str, title: str
    ) -> object:
        card = await self._cards.card_in(approval_id, channel)
        if card is None:
            return await post_card(
                self._client, self._cards, self._shows, approval_id, channel, None
            )
        words = _WORDS[message.kind]
        await self._client.reply(card.posted, words, f"{one_line(title)} \u00b7 {words}")
        return card.posted


def _groups_of_stage(approval: Approval) -> list[str]:
    stage = current_stage(approval)
    return [
        group
        for requirement in approval.policy.requirements
        if requirement.stage == stage
        for group in requirement.groups
    ]
