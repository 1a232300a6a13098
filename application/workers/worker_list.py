"""The workers that there are, and the executions that wait for one. For people who look after them.

What is read is bounded: at most a hundred workers and workflows, and of each at most 10,000
executions are counted.
"""

from datetime import UTC, datetime

import msgspec
from psycopg.rows import dict_row
from psycopg.sql import SQL
from psycopg_pool import AsyncConnectionPool

WORKERS = 100
COUNTED = 10_000

# When a lease is over, see lease_statements.py.
_ALIVE = SQL("""
    (l.expires_at > clock_timestamp()
        AND (l.lasts IS NULL OR l.expires_at <= clock_timestamp() + l.lasts + interval '1 second'))
""")
_WORKERS = SQL("""
    SELECT l.owner, l.worker, l.queues, l.workflows, l.expires_at, {alive} AS alive, held.number
    FROM worker_leases AS l
    CROSS JOIN LATERAL (
        SELECT count(*) AS number FROM (
            SELECT FROM execution_holds AS h
            WHERE h.owner = l.owner AND h.worker = l.worker LIMIT %(counted)s
        ) AS counted
    ) AS held
    ORDER BY alive DESC, l.worker, l.owner LIMIT %(workers)s
""").format(alive=_ALIVE)
_WAITING = SQL("""
    SELECT waiting.*, EXISTS (
        SELECT FROM worker_leases AS l
        WHERE {alive} AND (l.queues IS NULL OR waiting.queue = ANY (l.queues))
            AND (
                l.workflows IS NULL
                OR l.workflows @> jsonb_build_array(jsonb_build_array(waiting.workflow, NULL))
                OR l.workflows @> jsonb_build_array(
                    jsonb_build_array(waiting.workflow, waiting.version)
                )
            )
    ) AS served
    FROM (
        SELECT queue, workflow, workflow_version AS version, count(*) AS number FROM (
            SELECT queue, workflow, workflow_version FROM execution_holds
            WHERE worker IS NULL AND (progress OR woken_version > released_version)
                AND workflow IS NOT NULL
            LIMIT %(counted)s
        ) AS counted
        GROUP BY queue, workflow, workflow_version
        ORDER BY number DESC, queue, workflow, version LIMIT %(workers)s
    ) AS waiting
""").format(alive=_ALIVE)


class WorkerShown(msgspec.Struct, frozen=True, kw_only=True):
    """A worker. ``queues`` and ``workflows`` are what it takes, as (name, version or None).

    Both are None if it takes all. ``alive``: its lease is not over. ``held`` of None: more than
    10,000 executions.
    """

    owner: str
    worker: str
    queues: list[str] | None
    workflows: list[tuple[str, str | None]] | None
    expires_at: datetime
    alive: bool
    held: int | None


class WaitingWork(msgspec.Struct, frozen=True, kw_only=True):
    """Executions of one workflow that wait for a worker. ``served``: one that knows it is there."""

    queue: str
    workflow: str
    version: str | None
    number: int
    served: bool


class WorkerList(msgspec.Struct, frozen=True):
    """The workers, those that are there first, and what waits for one.

    ``more_workers``: there are further ones. ``more_waiting``: more than 10,000 executions wait,
    and not all of them are in the numbers.
    """

    workers: list[WorkerShown]
    waiting: list[WaitingWork]
    more_workers: bool
    more_waiting: bool


async def read_workers(pool: AsyncConnectionPool) -> WorkerList:
    """Read them. Raises psycopg errors."""
    params = {"counted": COUNTED + 1, "workers": WORKERS + 1}
    async with pool.connection() as connection:
        cursor = connection.cursor(row_factory=dict_row)
        workers = await (await cursor.execute(_WORKERS, params)).fetchall()
        waiting = await (await cursor.execute(_WAITING, params)).fetchall()
    return WorkerList(
        [
            WorkerShown(
                owner=row["owner"],
                worker=row["worker"],
                queues=row["queues"],
                workflows=msgspec.convert(row["workflows"], list[tuple[str, str | None]] | None),
                expires_at=row["expires_at"].astimezone(UTC),
                alive=row["alive"],
                held=row["number"] if row["number"] <= COUNTED else None,
            )
            for row in workers[:WORKERS]
        ],
        [WaitingWork(**row) for row in waiting[:WORKERS]],
        more_workers=len(workers) > WORKERS,
        more_waiting=sum(row["number"] for row in waiting) > COUNTED,
    )
