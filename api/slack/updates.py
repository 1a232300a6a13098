"""Keeps the cards in Slack up to date: the leader's process follows the log and compares them.

Only what has changed is sent, and always the latest state, so a card that Slack was slow to take
misses nothing. A process that ends in between leaves cards that are behind their executions: the
next leader finds them.
"""

import asyncio
import random
from collections.abc import Sequence
from datetime import timedelta
from time import monotonic

import psycopg
import structlog
from prometheus_client import Counter
from psycopg_pool import PoolTimeout

from api.slack.client import SlackClient, SlackError
from api.slack.posted_cards import PostedCard, PostedCards
from api.slack.showing import Showing, Shows
from application.background_tasks import stop
from application.event_store.chained_events import DAMAGE
from application.process_managers.leader_election import LeaderElection
from application.process_managers.log_following import follow_as_leader
from application.subscriptions.event_tail import EventPage, EventTail
from domain.approvals.events import (
    ApprovalAmended,
    ApprovalDelegated,
    ApprovalEscalated,
    ApprovalExpired,
    ApprovalRedeemed,
    ApprovalRevoked,
    ApprovalWithdrawn,
    Decided,
    DecisionRetracted,
    DelegationTakenBack,
)
from domain.directory.events import DirectoryEvent
from domain.execution.event import Event
from domain.identifiers import ApprovalId

_log = structlog.get_logger(__name__)

SWEEP_SECONDS = 600.0
"""How often all open cards are looked at, in case one was missed."""
AT_ONCE = 8
LONGEST_WAIT = 600.0
MAX_TRIES = 200
"""After about a day without success a card is left as it is."""

UPDATES = Counter("placet_slack_updates", "Cards in Slack that were changed", ["outcome"])

CHANGING: tuple[type[Event], ...] = (
    Decided,
    DecisionRetracted,
    ApprovalAmended,
    ApprovalDelegated,
    DelegationTakenBack,
    ApprovalEscalated,
    ApprovalExpired,
    ApprovalWithdrawn,
    ApprovalRevoked,
    ApprovalRedeemed,
)
"""The events that change what a card shows."""


class CardUpdates:
    """Follows the log while this process is the leader."""

    def __init__(
        self,
        client: SlackClient,
        cards: PostedCards,
        shows: Shows,
        tail: EventTail,
        election: LeaderElection,
    ) -> None:
        self._client = client
        self._cards = cards
        self._shows = shows
        self._tail = tail
        self._election = election
        self._paused_until = 0.0
        self._swept_at = 0.0
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start to follow the log."""
        following = follow_as_leader(
            "slack_cards",
            self._tail,
            self._election,
            begin=self._begin,
            act=self._act,
            failed="slack_cards_failed",
        )
        self._tasks = [asyncio.create_task(following, name="placet-slack-cards")]

    async def close(self) -> None:
        """Stop."""
        await stop(self._tasks)

    async def _begin(self) -> int:
        # Taken before the sweep, so that no event between the two is missed.
        position = self._tail.position
        await self._sweep()
        return position

    async def _act(self, page: EventPage) -> None:
        changed = {
            event.recorded.execution_id
            for event in page.events
            if isinstance(event.recorded.event, CHANGING)
        }
        people = {
            event.recorded.execution_id
            for event in page.events
            if isinstance(event.recorded.event, DirectoryEvent)
        }
        if people:
            await self._cards.mark_people(people)
        if changed:
            await self._compare(await self._cards.of_executions(changed))
        if monotonic() >= self._swept_at + SWEEP_SECONDS:
            await self._sweep()
        await self._compare_due()

    async def _sweep(self) -> None:
        self._swept_at = monotonic()
        await self._cards.mark_behind()
        await self._cards.forget_old()
        await self._compare_due()

    async def _compare_due(self) -> None:
        while monotonic() >= self._paused_until and (due := await self._cards.due()):
            await self._compare(due)

    async def _compare(self, cards: Sequence[PostedCard]) -> None:
        """Bring cards up to date. Those that fail are due again later."""
        for start in range(0, len(cards), AT_ONCE):
            await asyncio.gather(*map(self._compare_one, cards[start : start + AT_ONCE]))

    async def _compare_one(self, card: PostedCard) -> None:
        approval_id = ApprovalId(card.execution_id, card.ordinal)
        try:
            showing = await self._shows.card(approval_id, card.recipient)
        except DAMAGE as error:
            _log.error(
                "stream_damaged", manager="slack_cards", id=str(approval_id), error=str(error)
            )
            await self._again(card, LONGEST_WAIT)
            return
        except (psycopg.Error, PoolTimeout):
            raise
        except Exception:  # noqa: BLE001 - logged; the other cards must not wait for this one
            _log.exception("slack_card_failed", id=str(approval_id))
            await self._again(card, LONGEST_WAIT)
            return
        if showing is None:
            # The log was restored to a time before the request.
            await self._cards.close_card(card)
            return
        await self._bring_up_to_date(card, showing)

    async def _bring_up_to_date(self, card: PostedCard, showing: Showing) -> None:
        fingerprint = showing.card.fingerprint
        if fingerprint != card.fingerprint:
            wait = self._paused_until - monotonic()
            if wait > 0:
                await self._again(card, wait)
                return
            try:
                await self._client.update(card.posted, showing.card)
            except SlackError as error:
                await self._failed(card, error)
                return
            UPDATES.labels("changed").inc()
        await self._cards.shown(card, showing.version, fingerprint, open=showing.open)

    async def _failed(self, card: PostedCard, error: SlackError) -> None:
        UPDATES.labels("failed").inc()
        if error.permanent or card.tries >= MAX_TRIES:
            _log.warning("slack_card_left", channel=card.channel, ts=card.ts, error=str(error))
            await self._cards.close_card(card)
            return
        if error.retry_after is not None:
            self._paused_until = max(self._paused_until, monotonic() + error.retry_after)
        await self._again(card, error.retry_after or min(2.0**card.tries, LONGEST_WAIT))

    async def _again(self, card: PostedCard, wait: float) -> None:
        jitter = random.uniform(1.0, 1.2)  # noqa: S311 - no secret
        await self._cards.try_again(card, timedelta(seconds=wait * jitter))
