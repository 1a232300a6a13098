"""The writer's connection: what it reads under the log's lock, and what it commits."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from select import POLLIN, poll
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import psycopg
from psycopg import AsyncConnection, AsyncCursor, AsyncPipeline
from psycopg.rows import DictRow

from application.batch import Batch, Hold, Repeat, StartKey
from application.books import bookkeeping, columns
from application.database_time import DatabaseTime
from application.recorder import LogRecorder
from application.records import Logged, read
from domain.events import Resumed

# One statement for all that each batch asks, because each statement costs the driver more than the
# server. A look-up in an index for each stream; max() with GROUP BY would read every event of them.
_SITUATION = """
    WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now)
    SELECT clock.now, ids.id, e.originator_version AS version
    FROM clock, unnest(%s::uuid[]) AS ids (id) LEFT JOIN LATERAL (
        SELECT originator_version FROM execution_events
        WHERE originator_id = ids.id ORDER BY originator_version DESC LIMIT 1
    ) AS e ON true
"""
_EVENTS = """
    SELECT e.* FROM unnest(%s::uuid[], %s::bigint[]) AS known (id, version)
    CROSS JOIN LATERAL (
        SELECT * FROM execution_events
        WHERE originator_id = known.id AND originator_version > known.version
        ORDER BY originator_version
    ) AS e
"""
_SNAPSHOTS = """
    SELECT s.originator_id, s.state FROM unnest(%s::uuid[]) AS ids (id) CROSS JOIN LATERAL (
        SELECT originator_id, state FROM execution_snapshots
        WHERE originator_id = ids.id ORDER BY originator_version DESC LIMIT 1
    ) AS s
"""
_KEYS = """
    SELECT owner, workflow, key, execution_id
    FROM unnest(%s::text[], %s::text[], %s::text[]) AS wanted (owner, workflow, key)
    JOIN start_keys USING (owner, workflow, key)
"""
_HOLDS = """
    SELECT execution_id, owner, worker, released_version,
        coalesce(expires_at > clock_timestamp(), false) AS alive
    FROM execution_holds LEFT JOIN worker_leases USING (owner, worker)
    WHERE execution_id = ANY (%s)
"""
_REPEATS = """
    SELECT e.* FROM unnest(%s::uuid[], %s::bigint[]) AS wanted (id, version)
    JOIN execution_events AS e ON e.originator_id = wanted.id
        AND e.originator_version = ANY (ARRAY[wanted.version, wanted.version + 1])
"""


class OvertakenError(Exception):
    """The log is not as a batch expected it to be; nothing was committed."""


class Committed(NamedTuple):
    """Where a commit's events and the repeats' last events lie in the log.

    ``after`` is the position of the log's last event before it, None if that is not known.
    """

    after: int | None
    positions: Sequence[int]
    repeats: dict[Repeat, int]


class Situation(msgspec.Struct, frozen=True):
    """What is true while the lock is held."""

    now: datetime
    versions: dict[UUID, int]
    keys: dict[StartKey, UUID]
    holds: dict[UUID, Hold]


class Session:
    """One connection, opened when it is needed. After any error of psycopg's it has to be dropped.

    ``on_connect`` is called whenever it was opened: behind it may be another server by now.

    It stays in pipeline mode for its whole life. Leaving that mode makes psycopg send a Flush after
    the last Sync, and a server that has read a Flush no longer counts the time for which the
    transaction is idle: a process stopped with the lock in hand would keep it for ever.
    """

    def __init__(
        self, recorder: LogRecorder, on_connect: Callable[[], None] = lambda: None
    ) -> None:
        self._recorder = recorder
        self._on_connect = on_connect
        self.time = DatabaseTime()
        self._connection: AsyncConnection[DictRow] | None = None
        self._pipeline: AsyncPipeline | None = None
        self._pipeline_mode = AsyncExitStack()

    async def drop(self) -> None:
        """Close the connection, and with it roll back whatever it was in."""
        if self._connection is not None:
            await self._connection.close()
            with suppress(psycopg.Error):
                await self._pipeline_mode.aclose()
            self._connection = self._pipeline = None
            self.time.forget()

    @property
    def backend_pid(self) -> int | None:
        """The process id of the database's end of the connection, None if there is none."""
        return None if self._connection is None else self._connection.info.backend_pid

    async def mapped(self, keys: Iterable[StartKey]) -> dict[StartKey, UUID]:
        """Give the executions that these keys began, without the lock."""
        async with self._round_trip():
            rows = await self._execute(_KEYS, columns(keys, 3))
        return _mapping(await rows.fetchall())

    async def connect(self) -> None:
        """Open the connection if there is none, or if the server has ended it meanwhile.

        Found out later, nobody could say whether what was sent had been committed.
        """
        if self._connection is not None and _spoken_to(self._connection):
            await self.drop()
        await self._connected()

    async def snapshots(self, ids: Iterable[UUID]) -> dict[UUID, bytes]:
        """Give the latest snapshot of each of these executions that has one, as it is stored."""
        async with self._round_trip():
            rows = await self._execute(_SNAPSHOTS, [list(ids)])
        return {row["originator_id"]: bytes(row["state"]) for row in await rows.fetchall()}

    async def rollback(self) -> None:
        """Give the lock back, with nothing done."""
        async with self._round_trip() as connection:
            await connection.execute("ROLLBACK")

    async def begin(
        self, ids: Iterable[UUID], keys: list[StartKey], claims: list[UUID]
    ) -> Situation:
        """Begin a transaction, take the lock and read, in one round trip.

        ``ids`` are the streams that the commands are about, at least one.
        """
        async with self._round_trip() as connection:
            await connection.execute("BEGIN")
            await self._recorder.take_lock(connection.cursor())
            found = await self._execute(_SITUATION, [list(ids)])
            mapped = await self._execute(_KEYS, columns(keys, 3)) if keys else None
            holds = await self._execute(_HOLDS, [claims]) if claims else None
        streams = await found.fetchall()
        now = streams[0]["now"].astimezone(UTC)
        self.time.hear(now)
        return Situation(
            now=now,
            versions={row["id"]: row["version"] for row in streams if row["version"] is not None},
            keys=_mapping(await mapped.fetchall()) if mapped else {},
            holds={
                row["execution_id"]: Hold(
                    row["owner"], row["worker"], row["alive"], row["released_version"]
                )
                for row in (await holds.fetchall() if holds else ())
            },
        )

    async def events_after(self, known: dict[UUID, int]) -> list[DictRow]:
        """Give the rows of these executions after the version known of each, in order."""
        async with self._round_trip():
            rows = await self._execute(_EVENTS, [list(known), list(known.values())])
        return await rows.fetchall()

    async def commit(self, batch: Batch) -> Committed:
        """Insert what the batch decided under the lock and commit, in one round trip."""
        async with self._round_trip() as connection:
            appending = await self._append(batch, {}, None) if batch.appended else None
            repeats = await self._read_repeats(batch)
            await connection.execute("COMMIT")
        return await self._committed(batch, appending, repeats)

    async def commit_expecting(self, batch: Batch, versions: Mapping[UUID, int]) -> Committed:
        """Take the lock, insert what the batch decided and commit, in one round trip.

        ``versions`` is what the batch took for the last version of each execution, 0 for none.
        Raises OvertakenError if one is another, if the batch's time is not about now, or if a start
        key was taken meanwhile; the connection can be used on after it.
        """
        # What is sent in one round trip is one transaction, which begins and ends by itself.
        try:
            async with self._round_trip():
                appending = await self._append(batch, versions, batch.at)
                repeats = await self._read_repeats(batch)
        except (psycopg.errors.SerializationFailure, psycopg.errors.UniqueViolation) as error:
            await self._drain()
            raise OvertakenError from error
        return await self._committed(batch, appending, repeats)

    async def look_up(self, batch: Batch) -> Committed | None:
        """Say what a commit whose answer was lost came to: None if it never happened.

        Takes the lock first, since the commit may still be in flight.
        """
        first = batch.appended[0]
        base = {
            id_: 0 if (head := batch.before.get(id_)) is None else head.version
            for id_ in batch.touched()
        }
        async with self._round_trip() as connection:
            await connection.execute("BEGIN")
            await self._recorder.take_lock(connection.cursor())
            found = await self._execute(_EVENTS, [list(base), list(base.values())])
            repeats = await self._read_repeats(batch)
            await connection.execute("COMMIT")
        rows = {
            (row["originator_id"], row["originator_version"]): row for row in await found.fetchall()
        }
        row = rows.get((first.originator_id, first.originator_version))
        if row is None or bytes(row["state"]) != first.stored:
            return None
        positions = [
            rows[e.originator_id, e.originator_version]["notification_id"] for e in batch.appended
        ]
        return Committed(None, positions, _repeat_positions(batch, await _rows(repeats)))

    async def _append(
        self, batch: Batch, versions: Mapping[UUID, int], at: datetime | None
    ) -> AsyncCursor[DictRow]:
        appending = (await self._connected()).cursor()
        await self._recorder.append(appending, batch.appended, versions, at)
        if batch.appended:
            for query, params in bookkeeping(batch):
                await self._execute(query, params)
        return appending

    async def _committed(
        self,
        batch: Batch,
        appending: AsyncCursor[DictRow] | None,
        repeats: AsyncCursor[DictRow] | None,
    ) -> Committed:
        found = _repeat_positions(batch, await _rows(repeats))
        if appending is None:
            return Committed(None, (), found)
        appended = await self._recorder.appended(appending)
        self.time.hear(appended.at)
        return Committed(appended.last, appended.positions, found)

    async def _connected(self) -> AsyncConnection[DictRow]:
        if self._connection is None:
            self._connection = await self._recorder.connect()
            self._pipeline = await self._pipeline_mode.enter_async_context(
                self._connection.pipeline()
            )
            self._on_connect()
        return self._connection

    @asynccontextmanager
    async def _round_trip(self) -> AsyncIterator[AsyncConnection[DictRow]]:
        """Send all that is executed in the block at once; results are there after it."""
        connection = await self._connected()
        yield connection
        assert self._pipeline is not None
        try:
            await self._pipeline.sync()
        except IndexError as error:
            # The driver has no place for an error that comes with the end of a transaction, after
            # all statements were answered.
            msg = "the transaction could not be ended"
            raise psycopg.InternalError(msg) from error

    async def _drain(self) -> None:
        """Take what the server answered to the rest of a round trip that failed."""
        with suppress(psycopg.errors.PipelineAborted):
            async with self._round_trip():
                pass

    async def _execute(self, query: str, params: list[Any]) -> AsyncCursor[DictRow]:
        connection = await self._connected()
        return await connection.execute(query, params, prepare=True)

    async def _read_repeats(self, batch: Batch) -> AsyncCursor[DictRow] | None:
        if not batch.repeats:
            return None
        return await self._execute(_REPEATS, columns(batch.repeats, 2))


def _spoken_to(connection: AsyncConnection[DictRow]) -> bool:
    """Say whether there is something to read, though nothing was asked: a last word, or the end."""
    readable = poll()
    readable.register(connection.fileno(), POLLIN)
    return bool(readable.poll(0))


def logged(row: DictRow) -> Logged:
    """Decode a row of the log."""
    return read(
        row["originator_id"],
        row["originator_version"],
        row["topic"],
        bytes(row["state"]),
        row["notification_id"],
    )


def _mapping(rows: list[DictRow]) -> dict[StartKey, UUID]:
    return {
        StartKey(row["owner"], row["workflow"], row["key"]): row["execution_id"] for row in rows
    }


async def _rows(found: AsyncCursor[DictRow] | None) -> list[DictRow]:
    return await found.fetchall() if found else []


def _repeat_positions(batch: Batch, rows: Sequence[DictRow]) -> dict[Repeat, int]:
    by_version = {(row["originator_id"], row["originator_version"]): row for row in rows}
    positions: dict[Repeat, int] = {}
    for repeat in batch.repeats:
        first = by_version[repeat.execution_id, repeat.version]
        after = by_version.get((repeat.execution_id, repeat.version + 1))
        same_command = (
            after is not None
            and after["topic"] == Resumed.topic
            and logged(after).recorded.command_id == logged(first).recorded.command_id
        )
        last = after if same_command and after is not None else first
        positions[repeat] = last["notification_id"]
    return positions
