"""The cards that were posted: which approval each is about, and which state it shows."""

from collections.abc import Iterable
from datetime import timedelta
from typing import LiteralString, NamedTuple
from uuid import UUID

from psycopg.rows import class_row
from psycopg_pool import AsyncConnectionPool

from api.slack.client import Posted
from domain.identifiers import ApprovalId

KEEP = timedelta(days=90)
"""For how long closed cards are remembered, so that what is said later goes into their threads."""
AT_ONCE = 200
_FORGET_AT_ONCE = 1_000

_COLUMNS: LiteralString = (
    "channel, ts, execution_id, ordinal, recipient, version, fingerprint, tries"
)
_ADD = """
    INSERT INTO slack_cards (channel, ts, execution_id, ordinal, recipient, version, fingerprint)
    VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (channel, ts) DO NOTHING
"""
# A card whose post was not recorded, because the process ended: somebody has clicked on it.
_ADOPT = """
    INSERT INTO slack_cards (
        channel, ts, execution_id, ordinal, recipient, version, fingerprint, due_at
    ) VALUES (%s, %s, %s, %s, %s, 0, '', clock_timestamp())
    ON CONFLICT (channel, ts) DO NOTHING
"""
_COMPARE_AGAIN = """
    UPDATE slack_cards SET due_at = clock_timestamp(), fingerprint = '', open = true
    WHERE channel = %s AND ts = %s
"""
_LAST = f"""
    SELECT {_COLUMNS} FROM slack_cards
    WHERE execution_id = %s AND ordinal = %s AND recipient = %s ORDER BY posted_at DESC LIMIT 1
"""  # noqa: S608 - only names of columns
_IN_CHANNEL = f"""
    SELECT {_COLUMNS} FROM slack_cards
    WHERE execution_id = %s AND ordinal = %s AND recipient IS NULL AND channel = %s LIMIT 1
"""  # noqa: S608 - only names of columns
_OF_EXECUTIONS = f"""
    SELECT {_COLUMNS} FROM slack_cards WHERE open AND execution_id = ANY (%s)
"""  # noqa: S608 - only names of columns
_DUE = f"""
    SELECT {_COLUMNS} FROM slack_cards
    WHERE open AND due_at <= clock_timestamp() ORDER BY due_at LIMIT {AT_ONCE}
"""  # noqa: S608 - only names of columns
# Those whose execution has gone on since they were compared with it: a process ended in between.
_MARK_BEHIND = """
    UPDATE slack_cards AS c SET due_at = clock_timestamp()
    WHERE open AND due_at IS NULL AND EXISTS (
        SELECT FROM execution_events AS e
        WHERE e.originator_id = c.execution_id AND e.originator_version > c.version
    )
"""
# Those of people of whom something has changed, which may be what they may see.
_MARK_PEOPLE = """
    UPDATE slack_cards SET due_at = clock_timestamp()
    WHERE open AND recipient IN (SELECT id FROM people WHERE stream_id = ANY (%s))
"""
_SHOWN = """
    UPDATE slack_cards SET version = %s, fingerprint = %s, open = %s, due_at = NULL, tries = 0
    WHERE channel = %s AND ts = %s
"""
_AGAIN = """
    UPDATE slack_cards SET tries = tries + 1, due_at = clock_timestamp() + %s
    WHERE channel = %s AND ts = %s
"""
_CLOSE = "UPDATE slack_cards SET open = false, due_at = NULL WHERE channel = %s AND ts = %s"
_FORGET = """
    DELETE FROM slack_cards WHERE (channel, ts) IN (
        SELECT channel, ts FROM slack_cards
        WHERE NOT open AND posted_at < clock_timestamp() - %s LIMIT %s
    )
"""


class PostedCard(NamedTuple):
    """A card. ``version`` is that of its execution when it was last compared with it."""

    channel: str
    ts: str
    execution_id: UUID
    ordinal: int
    recipient: str | None
    version: int
    fingerprint: str
    tries: int

    @property
    def posted(self) -> Posted:
        """The message."""
        return Posted(self.channel, self.ts)


class PostedCards:
    """The table. Each method raises psycopg errors or PoolTimeout."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    async def add(
        self, posted: Posted, approval: ApprovalId, recipient: str | None, shown: tuple[int, str]
    ) -> None:
        """Remember a card. ``shown``: the version of the execution, and the fingerprint."""
        await self._execute(_ADD, *posted, *approval, recipient, *shown)

    async def adopt(self, posted: Posted, approval: ApprovalId, recipient: str | None) -> None:
        """Remember a card, if it is not known yet, and have it compared with its approval."""
        await self._execute(_ADOPT, *posted, *approval, recipient)

    async def compare_again(self, posted: Posted) -> None:
        """Have a card shown anew: its reader saw something else."""
        await self._execute(_COMPARE_AGAIN, *posted)

    async def card_of(self, approval: ApprovalId, recipient: str) -> PostedCard | None:
        """Return a person's last card of an approval, None if there is none."""
        return next(iter(await self._cards(_LAST, *approval, recipient)), None)

    async def card_in(self, approval: ApprovalId, channel: str) -> PostedCard | None:
        """Return the card of an approval that is in a channel for all, None if there is none."""
        return next(iter(await self._cards(_IN_CHANNEL, *approval, channel)), None)

    async def of_executions(self, ids: Iterable[UUID]) -> list[PostedCard]:
        """Return the open cards of these executions."""
        return await self._cards(_OF_EXECUTIONS, list(ids))

    async def due(self) -> list[PostedCard]:
        """Return some of the open cards that are due, the earliest first."""
        return await self._cards(_DUE)

    async def mark_behind(self) -> None:
        """Make those due whose executions have gone on."""
        await self._execute(_MARK_BEHIND)

    async def mark_people(self, streams: Iterable[UUID]) -> None:
        """Make the cards of these people due, who are named by their streams."""
        await self._execute(_MARK_PEOPLE, list(streams))

    async def shown(self, card: PostedCard, version: int, fingerprint: str, *, open: bool) -> None:  # noqa: A002
        """Remember what a card shows now."""
        await self._execute(_SHOWN, version, fingerprint, open, card.channel, card.ts)

    async def try_again(self, card: PostedCard, wait: timedelta) -> None:
        """Make a card due after a while."""
        await self._execute(_AGAIN, wait, card.channel, card.ts)

    async def close_card(self, card: PostedCard) -> None:
        """Let a card be: it can't be changed any more."""
        await self._execute(_CLOSE, card.channel, card.ts)

    async def forget_old(self) -> None:
        """Delete some of the closed cards that are old."""
        await self._execute(_FORGET, KEEP, _FORGET_AT_ONCE)

    async def _cards(self, statement: LiteralString, *params: object) -> list[PostedCard]:
        async with self._pool.connection() as connection:
            cursor = connection.cursor(row_factory=class_row(PostedCard))
            await cursor.execute(statement, params)
            return await cursor.fetchall()

    async def _execute(self, statement: LiteralString, *params: object) -> None:
        async with self._pool.connection() as connection:
            await connection.execute(statement, params)
