"""What the leader does now and then: counts what waits in the outbox, and deletes what is old."""

import asyncio
from collections.abc import Sequence
from time import monotonic

import psycopg
import structlog
from psycopg_pool import PoolTimeout

from application.metrics import MESSAGES_WAITING
from application.notifications.leadership import Leadership
from application.notifications.outbox_table import OutboxTable

_log = structlog.get_logger(__name__)

COUNT_EVERY = 10.0
FORGET_EVERY = 600.0
STEP = 0.5


async def keep_house(table: OutboxTable, channels: Sequence[str], election: Leadership) -> None:
    """Keep house until this process is not the leader any more."""
    count_at = forget_at = monotonic()
    term = election.term
    while election.leads and election.term == term:
        try:
            if monotonic() >= count_at:
                count_at = monotonic() + COUNT_EVERY
                waiting = await table.waiting()
                for name in {*channels, *waiting}:
                    MESSAGES_WAITING.labels(name).set(waiting.get(name, 0))
            if monotonic() >= forget_at and not await table.forget():
                forget_at = monotonic() + FORGET_EVERY
        except (psycopg.Error, PoolTimeout) as error:
            _log.debug("outbox_unreachable", error=str(error))
        await asyncio.sleep(STEP)
    for name in channels:
        # The leader has the number.
        MESSAGES_WAITING.labels(name).set(0)
