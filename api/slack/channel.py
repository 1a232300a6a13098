"""Tells people in Slack: a card for each request, and in its thread what happens later."""

import asyncio

from api.slack.client import Posted, SlackClient, SlackError, SlackUser
from api.slack.digest import digest_card
from api.slack.identity import NotKnownError, People, check_user, owner_of
from api.slack.posted_cards import PostedCards
from api.slack.showing import Shows
from api.slack.thread import notice, thread_text
from application.event_store.reader import Reader
from application.notifications.channel import DeliveryFailed, DeliverySkipped
from application.notifications.message import Message, MessageKind
from application.notifications.people import Addressee
from domain.identifiers import ApprovalId

NAME = "slack"
KNOWN_SECONDS = 3600.0
"""For how long it is remembered which user has an address. Slack allows few of these questions."""
MAX_KNOWN = 10_000

# What a new card says by itself.
_ON_THE_CARD = frozenset(
    {
        MessageKind.OPENED,
        MessageKind.STAGE_BEGAN,
        MessageKind.RESOLVED,
        MessageKind.REVOKED,
    }
)


class SlackChannel:
    """Direct messages to people. It is a :class:`application.notifications.channel.Channel`."""

    name = NAME
    concurrency = 8
    per_recipient = 1
    timeout = 30.0
    to_people = True

    def __init__(
        self,
        client: SlackClient,
        reader: Reader,
        people: People,
        cards: PostedCards,
        shows: Shows,
        address: str,
    ) -> None:
        self._client = client
        self._reader = reader
        self._people = people
        self._cards = cards
        self._shows = shows
        self._address = address
        self._known: dict[str, tuple[float, SlackUser | None]] = {}

    def reaches(self, person: Addressee) -> bool:
        """Whether the person has an address by which Slack may know them."""
        return bool(person.emails)

    async def deliver(self, message: Message) -> str | None:
        """Post a card, or a line into the thread of the card. Returns where that is."""
        subject = message.subject or message.items[0].subject
        assert subject is not None
        person = subject.person
        try:
            user = await self._user_of(person)
            if message.kind is MessageKind.DIGEST:
                return str(await self._client.post(user.id, digest_card(message, self._address)))
            return str(await self._tell(message, user))
        except SlackError as error:
            for email in person.emails:
                self._known.pop(email, None)
            raise failure_of(error) from error

    async def close(self) -> None:
        """Close the connections to Slack. A later call opens them again."""
        await self._client.close()

    async def _tell(self, message: Message, user: SlackUser) -> Posted:
        assert message.subject is not None
        approval = message.subject.approval
        recipient = message.subject.person.id
        card = await self._cards.card_of(approval.id, recipient)
        if card is None:
            posted = await post_card(
                self._client, self._cards, self._shows, approval.id, user.id, recipient
            )
            if message.kind in _ON_THE_CARD:
                return posted
        else:
            posted = card.posted
        text = await thread_text(self._reader, message, approval)
        await self._client.reply(posted, text, notice(text, approval))
        return posted

    async def _user_of(self, person: Addressee) -> SlackUser:
        """Return the user that a person is. Raises DeliverySkipped and SlackError."""
        why = "the person has no e-mail address"
        team = await self._client.team()
        for email in person.emails:
            try:
                owner = await owner_of(self._people, email)
                if owner.id != person.id:
                    why = "the e-mail address belongs to somebody else"
                    continue
                user = await self._user_with(email)
                if user is not None:
                    check_user(user, team)
                    return user
                why = "nobody in Slack has an e-mail address of the person"
            except NotKnownError as error:
                why = f"the account in Slack does not count: {error}"
        raise DeliverySkipped(why)

    async def _user_with(self, email: str) -> SlackUser | None:
        """Return the user with an address, as of the last hour; None if there was none."""
        now = asyncio.get_running_loop().time()
        known = self._known.get(email)
        if known is not None and known[0] > now:
            return known[1]
        user = await self._client.user_by_email(email)
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        self._known[email] = now + KNOWN_SECONDS, user
        return user


async def post_card(
    client: SlackClient,
    cards: PostedCards,
    shows: Shows,
    approval_id: ApprovalId,
    channel: str,
    recipient: str | None,
) -> Posted:
    """Post a card and remember it. ``channel`` is that of a channel or of a user."""
    showing = await shows.card(approval_id, recipient)
    if showing is None or showing.hidden:
        raise DeliverySkipped("the person may not see the approval")
    posted = await client.post(channel, showing.card)
    shown = (showing.version, showing.card.fingerprint)
    await cards.add(posted, approval_id, recipient, shown)
    again = await shows.card(approval_id, recipient)
    if again is not None and (again.version, again.card.fingerprint) != shown:
        # Who follows the log may have looked for cards before this one was remembered: also what
        # the person may see can have changed.
        await cards.compare_again(posted)
    return posted


def failure_of(error: SlackError) -> DeliveryFailed:
    """Return what the outbox does about an error of Slack."""
    return DeliveryFailed(
        str(error),
        permanent=error.permanent,
        retry_after=error.retry_after,
        channel_down=error.of_the_app or not error.code or error.retry_after is not None,
    )
