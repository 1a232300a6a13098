"""Watches for executions that wait for a worker, while no connected worker knows their workflow.

They are left waiting, because a worker that knows it may still come: code is being deployed, say.
After a minute, a metric and a line in the log say so. Only the leader does this.
"""

import asyncio
from time import monotonic
from typing import NamedTuple

import psycopg
import structlog
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from application.background_tasks import stop
from application.metrics import UNSERVED
from application.process_managers.leader_election import LeaderElection

_log = structlog.get_logger(__name__)

CHECK_EVERY = 10.0
PATIENCE = 60.0
LIMIT = 100
"""Workflows that are looked at in one check."""

# Rows are grouped before they are compared with the workers, because there may be many of them.
_WAITING = """
    SELECT waiting.* FROM (
        SELECT queue, workflow, workflow_version AS version, count(*) AS executions
        FROM execution_holds
        WHERE worker IS NULL AND (progress OR woken_version > released_version)
            AND workflow IS NOT NULL
        GROUP BY queue, workflow, workflow_version
    ) AS waiting
    WHERE NOT EXISTS (
        SELECT FROM worker_leases AS l
        WHERE l.expires_at > clock_timestamp()
            AND (l.queues IS NULL OR waiting.queue = ANY (l.queues))
            AND (
                l.workflows IS NULL
                OR l.workflows @> jsonb_build_array(jsonb_build_array(waiting.workflow, NULL))
                OR l.workflows @> jsonb_build_array(
                    jsonb_build_array(waiting.workflow, waiting.version)
                )
            )
    )
    ORDER BY executions DESC, queue, workflow, version LIMIT %s
"""


class _Workflow(NamedTuple):
    queue: str
    workflow: str
    version: str | None


class UnservedWorkflows:
    """Says which executions have waited for a minute for a worker that knows their workflow."""

    def __init__(self, pool: AsyncConnectionPool, election: LeaderElection) -> None:
        self._pool = pool
        self._election = election
        self._tasks: list[asyncio.Task[None]] = []
        self._since: dict[_Workflow, float] = {}
        self._told: set[_Workflow] = set()

    async def start(self) -> None:
        """Start to watch."""
        self._tasks = [asyncio.create_task(self._run(), name="placet-unserved")]

    async def close(self) -> None:
        """Stop."""
        await stop(self._tasks)

    async def _run(self) -> None:
        while True:
            if not self._election.leads:
                # The leader has the number.
                UNSERVED.set(0)
            await self._election.elected()
            try:
                await self.check()
            except (psycopg.Error, PoolTimeout) as error:
                _log.debug("unserved_unreachable", error=str(error))
            except Exception:  # noqa: BLE001 - logged, and it goes on
                _log.exception("unserved_failed")
            await asyncio.sleep(CHECK_EVERY)

    async def check(self) -> None:
        """Look once."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(_WAITING, (LIMIT,), prepare=True)
            found = {_Workflow(*row[:3]): row[3] for row in await cursor.fetchall()}
        now = monotonic()
        self._since = {each: self._since.get(each, now) for each in found}
        late = {each for each, since in self._since.items() if now - since >= PATIENCE}
        UNSERVED.set(sum(found[each] for each in late))
        for each in sorted(late - self._told, key=str):
            _log.warning(
                "no_worker_knows_workflow",
                workflow=each.workflow,
                version=each.version,
                queue=each.queue,
                executions=found[each],
                hint="start an engine with this workflow and version on this queue",
            )
        self._told = late
