"""Records what became of tries, those that end together in one transaction."""

import asyncio
from collections.abc import Sequence

import psycopg
import structlog
from psycopg_pool import PoolTimeout

from application.background_tasks import stop
from application.metrics import MESSAGES
from application.notifications.message import MessageStatus
from application.notifications.outbox_table import OutboxTable, Outcome, Recorded

_log = structlog.get_logger(__name__)

PAUSE = 0.5
AT_ONCE = 500
TO_END = 2.0


class OutcomeRecorder:
    """Keeps outcomes until they are recorded, also while the database is away."""

    def __init__(self, table: OutboxTable) -> None:
        self._table = table
        self._waiting: list[tuple[Sequence[Outcome], asyncio.Future[None]]] = []
        self._added = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start to record."""
        self._tasks = [asyncio.create_task(self._run(), name="placet-outbox-outcomes")]

    async def close(self) -> None:
        """Stop, after what is waiting was recorded, if that is possible soon."""
        if self._waiting:
            await asyncio.wait([future for _, future in self._waiting], timeout=TO_END)
        await stop(self._tasks)

    async def record(self, outcomes: Sequence[Outcome]) -> None:
        """Record the outcomes of one message together. Returns when they are."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((outcomes, future))
        self._added.set()
        await future

    async def _run(self) -> None:
        while True:
            await self._added.wait()
            self._added.clear()
            while self._waiting:
                taken = self._waiting[:AT_ONCE]
                try:
                    recorded = await self._table.record([o for each, _ in taken for o in each])
                except (psycopg.Error, PoolTimeout) as error:
                    _log.debug("outcomes_not_recorded", error=str(error))
                    await asyncio.sleep(PAUSE)
                    continue
                except Exception:  # noqa: BLE001 - logged; they are tried again after their lease
                    _log.exception("outcomes_not_recorded")
                    recorded = []
                del self._waiting[: len(taken)]
                for _, future in taken:
                    if not future.done():
                        future.set_result(None)
                _count(recorded)


def _count(recorded: Sequence[Recorded]) -> None:
    for each in recorded:
        if each.failed:
            MESSAGES.labels(each.channel, "failed").inc()
        if each.status is not MessageStatus.WAITING:
            MESSAGES.labels(each.channel, each.status.lower()).inc()
        if each.status is MessageStatus.DEAD:
            _log.warning(
                "message_dead",
                id=str(each.id),
                channel=each.channel,
                hint="the query messages shows why; resendMessages sends it again",
            )
