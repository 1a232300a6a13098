"""The writer's connection: it reads under the log's lock, and commits."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from select import POLLIN, poll
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

import msgspec
import psycopg
from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import DictRow

from application.command_handling.batch import CommandBatch, EventPosition, Hold, Repeat, StartKey
from application.event_store.chained_events import DAMAGE, Head, logged, logged_or_unreadable
from application.event_store.database_clock import DatabaseClock
from application.event_store.head_loader import Load, events_between, run
from application.event_store.recorder import Appended, LogRecorder
from domain.execution.events import Resumed
from domain.serialization.event_codec import topics_of

T = TypeVar("T")

_RESUMED = topics_of(Resumed)

_CLOCK = "SELECT clock_timestamp() AS now"
# One statement for everything that each batch reads, because a statement costs the driver more than
# the server. One index look-up for each execution: max() with GROUP BY would read all its events.
_VERSIONS = """
    WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now)
    SELECT clock.now, ids.id, e.originator_version AS version,
        event_hash_v1(ids.id, e.originator_version, e.topic, e.state) AS hash
    FROM clock, unnest(%s::uuid[]) AS ids (id) LEFT JOIN LATERAL (
        SELECT originator_version, topic, state FROM execution_events
        WHERE originator_id = ids.id ORDER BY originator_version DESC LIMIT 1
    ) AS e ON true
"""
_KEYS = """
    SELECT owner, workflow, key, execution_id
    FROM unnest(%s::text[], %s::text[], %s::text[]) AS wanted (owner, workflow, key)
    JOIN start_keys USING (owner, workflow, key)
"""
_HOLDS = """
    SELECT execution_id, owner, worker, released_version,
        coalesce(
            expires_at > clock_timestamp() AND (
                lasts IS NULL OR expires_at <= clock_timestamp() + lasts + interval '1 second'
            ),
            false
        ) AS alive
    FROM execution_holds LEFT JOIN worker_leases USING (owner, worker)
    WHERE execution_id = ANY (%s)
"""
_REPEATS = """
    SELECT e.* FROM unnest(%s::uuid[], %s::bigint[]) AS wanted (id, version)
    JOIN execution_events AS e ON e.originator_id = wanted.id
        AND e.originator_version = ANY (ARRAY[wanted.version, wanted.version + 1])
"""


class OvertakenError(Exception):
    """The log has changed since the batch was decided, and nothing was committed."""


class Committed(NamedTuple):
    """The positions of a commit's events, and of the last events of repeats.

    ``after`` is the position of the log's last event before the commit, None if it is not known.
    """

    after: int | None
    positions: Sequence[int]
    repeats: dict[Repeat, EventPosition]


class LockedState(msgspec.Struct, frozen=True):
    """What is read under the log's lock: the time, start keys and holds.

    ``last`` has the version and the hash of the last event of each execution.
    """

    now: datetime
    last: dict[UUID, tuple[int, str]]
    keys: dict[StartKey, UUID]
    holds: dict[UUID, Hold]


class UnitOfWork:
    """One connection, opened when it is needed. Call :meth:`drop` after any psycopg error.

    ``on_connect`` is called after each connect, because it may reach another PostgreSQL server.
    """

    def __init__(
        self, recorder: LogRecorder, on_connect: Callable[[], None] = lambda: None
    ) -> None:
        self._recorder = recorder
        self._on_connect = on_connect
        self.clock = DatabaseClock()
        self._connection: AsyncConnection[DictRow] | None = None
        self._appending: AsyncCursor[str] | None = None

    async def drop(self) -> None:
        """Close the connection, which rolls back an open transaction."""
        if self._connection is not None:
            await self._connection.close()
            self._connection = self._appending = None
            self.clock.forget()

    @property
    def backend_pid(self) -> int | None:
        """The process id of the PostgreSQL backend, None if there is no connection."""
        return None if self._connection is None else self._connection.info.backend_pid

    async def read_clock(self) -> None:
        """Read the database's clock, so that the next batch can be decided without the lock."""
        await self.connect()
        [row] = await self._fetch(_CLOCK, [])
        self.clock.set(row["now"])

    async def find_start_keys(self, keys: Iterable[StartKey]) -> dict[StartKey, UUID]:
        """Return the executions that were started with these keys, without the lock."""
        return _by_start_key(await self._fetch(_KEYS, _columns(keys, 3)))

    async def connect(self) -> None:
        """Open the connection if there is none, or if the server has closed it.

        The check comes before sending. If a commit were sent on a closed connection, it would be
        unknown whether it had been carried out.
        """
        if self._connection is not None and _has_unread_data(self._connection):
            await self.drop()
        await self._connected()

    async def load(self, load: Load[T]) -> T:
        """Run a load on this connection."""
        return await run(load, lambda statement: self._fetch(*statement))

    async def rollback(self) -> None:
        """Roll back, which releases the lock."""
        await (await self._connected()).execute("ROLLBACK")

    async def begin(
        self, ids: Iterable[UUID], keys: list[StartKey], claims: list[UUID]
    ) -> LockedState:
        """Begin a transaction, take the lock and read.

        ``ids`` are the executions that the commands are about, at least one.
        """
        await self._recorder.begin(await self._connected())
        streams = await self._fetch(_VERSIONS, [list(ids)])
        start_keys = await self._fetch(_KEYS, _columns(keys, 3)) if keys else []
        holds = await self._fetch(_HOLDS, [claims]) if claims else []
        now = streams[0]["now"].astimezone(UTC)
        self.clock.set(now)
        return LockedState(
            now=now,
            last={
                row["id"]: (row["version"], row["hash"])
                for row in streams
                if row["version"] is not None
            },
            keys=_by_start_key(start_keys),
            holds={
                row["execution_id"]: Hold(
                    row["owner"], row["worker"], row["alive"], row["released_version"]
                )
                for row in holds
            },
        )

    async def events_after(self, known: dict[UUID, int]) -> list[DictRow]:
        """Return the rows of these executions after their known versions, in order."""
        return await self._fetch(*events_between(known))

    async def commit(self, batch: CommandBatch) -> Committed:
        """Insert the events of a batch that was decided under the lock, and commit."""
        appended = await self._append(batch, {}, None) if batch.appended else None
        repeats = await self._repeats(batch)
        await (await self._connected()).execute("COMMIT")
        if appended is None:
            return Committed(None, (), repeats)
        return Committed(appended.last, appended.positions, repeats)

    async def commit_expecting(
        self, batch: CommandBatch, heads: Mapping[UUID, Head | None]
    ) -> Committed:
        """Take the lock, insert the events of the batch and commit, in one statement.

        ``heads`` has the heads that the batch was decided on, None for a new execution. Raises
        OvertakenError if one of them is no longer the last, if the batch's time is wrong, or if a
        start key was used meanwhile. The connection stays usable.
        """
        try:
            appended = await self._append(batch, heads, batch.now)
        except (psycopg.errors.SerializationFailure, psycopg.errors.UniqueViolation) as error:
            raise OvertakenError from error
        return Committed(appended.last, appended.positions, await self._repeats(batch))

    async def look_up(self, batch: CommandBatch) -> Committed | None:
        """Find a commit whose answer was lost. Returns None if it did not happen.

        Takes the lock first, because the commit may still be in flight.
        """
        first = batch.appended[0]
        base = {
            id_: 0 if (head := batch.before.get(id_)) is None else head.version
            for id_ in batch.touched
        }
        connection = await self._connected()
        await self._recorder.begin(connection)
        found = await self._fetch(*events_between(base))
        repeats = await self._repeats(batch)
        await connection.execute("COMMIT")
        rows = {(row["originator_id"], row["originator_version"]): row for row in found}
        row = rows.get((first.originator_id, first.originator_version))
        if row is None or bytes(row["state"]) != first.stored:
            return None
        positions = [
            rows[e.originator_id, e.originator_version]["notification_id"] for e in batch.appended
        ]
        return Committed(None, positions, repeats)

    async def _append(
        self, batch: CommandBatch, heads: Mapping[UUID, Head | None], at: datetime | None
    ) -> Appended:
        connection = await self._connected()
        if self._appending is None:
            self._appending = self._recorder.cursor(connection)
        appended = await self._recorder.append(
            self._appending,
            batch.appended,
            batch.side_table_rows(),
            expected=heads,
            at=at,
        )
        self.clock.set(appended.at)
        return appended

    async def _connected(self) -> AsyncConnection[DictRow]:
        if self._connection is None:
            self._connection = await self._recorder.connect()
            self._on_connect()
        return self._connection

    async def _fetch(self, query: str, params: list[Any]) -> list[DictRow]:
        connection = await self._connected()
        return await (await connection.execute(query, params, prepare=True)).fetchall()

    async def _repeats(self, batch: CommandBatch) -> dict[Repeat, EventPosition]:
        """Return the position of the last event of each repeated command."""
        if not batch.repeats:
            return {}
        return _repeat_positions(batch, await self._fetch(_REPEATS, _columns(batch.repeats, 2)))


def _has_unread_data(connection: AsyncConnection[DictRow]) -> bool:
    """Return whether data can be read although nothing was sent: an error, or the end."""
    readable = poll()
    readable.register(connection.fileno(), POLLIN)
    return bool(readable.poll(0))


def _columns(rows: Iterable[tuple[Any, ...]], width: int) -> list[Any]:
    """Return rows as arrays, one for each column, for unnest()."""
    arrays = [list(column) for column in zip(*rows, strict=True)]
    return arrays or [[] for _ in range(width)]


def _by_start_key(rows: list[DictRow]) -> dict[StartKey, UUID]:
    return {
        StartKey(row["owner"], row["workflow"], row["key"]): row["execution_id"] for row in rows
    }


def _repeat_positions(batch: CommandBatch, rows: Sequence[DictRow]) -> dict[Repeat, EventPosition]:
    by_version = {(row["originator_id"], row["originator_version"]): row for row in rows}
    found: dict[Repeat, EventPosition] = {}
    for repeat in batch.repeats:
        first = by_version[repeat.execution_id, repeat.version]
        after = by_version.get((repeat.execution_id, repeat.version + 1))
        same_command = (
            after is not None
            and after["topic"] in _RESUMED
            and logged(after).recorded.command_id == logged(first).recorded.command_id
        )
        last = after if same_command and after is not None else first
        hash_ = logged_or_unreadable(last).hash
        found[repeat] = EventPosition(last["notification_id"], hash_, _time(first))
    return found


def _time(row: DictRow) -> datetime | None:
    """Return when an event was recorded, None if it can't be read."""
    try:
        return logged(row).recorded.at
    except DAMAGE:
        return None
