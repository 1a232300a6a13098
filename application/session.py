"""The writer's connection: what it reads under the log's lock, and what it commits."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import psycopg
from eventsourcing.persistence import StoredEvent
from psycopg import Connection, Cursor, Pipeline
from psycopg.rows import DictRow

from application.batch import Batch, Hold, Repeat, StartKey
from application.recorder import LogRecorder
from application.records import Head, Logged, read
from domain.events import Resumed
from domain.state import Execution

# Whatever the database's own default is: a snapshot from before the lock would show a past.
_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
# One statement for all that each batch asks, because each statement costs the driver more than the
# server. A look-up in an index for each stream; max() with GROUP BY would read every event of them.
_SITUATION = """
    WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now), log AS MATERIALIZED (
        SELECT coalesce(max(notification_id), 0) AS last FROM execution_events
    )
    SELECT clock.now, log.last, ids.id, e.originator_version AS version
    FROM clock, log, unnest(%s::uuid[]) AS ids (id) LEFT JOIN LATERAL (
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
_PUT_KEYS = """
    INSERT INTO start_keys (owner, workflow, key, execution_id)
    SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::uuid[])
"""
_PUT_HOLDS = """
    INSERT INTO execution_holds (execution_id, queue, progress, woken_version)
    SELECT * FROM unnest(%s::uuid[], %s::text[], %s::boolean[], %s::bigint[])
    ON CONFLICT (execution_id) DO UPDATE
    SET progress = EXCLUDED.progress, woken_version = EXCLUDED.woken_version
"""
_PARK = """
    UPDATE execution_holds SET owner = NULL, worker = NULL, released_version = 0
    WHERE execution_id = ANY (%s)
"""
_DROP_HOLDS = "DELETE FROM execution_holds WHERE execution_id = ANY (%s)"
_HAND_OVER = """
    UPDATE execution_holds AS h SET owner = n.owner, worker = n.worker
    FROM unnest(%s::uuid[], %s::text[], %s::text[]) AS n (id, owner, worker)
    WHERE h.execution_id = n.id
"""
_PUT_LOST = """
    INSERT INTO lost_holds (owner, worker, execution_id)
    SELECT * FROM unnest(%s::text[], %s::text[], %s::uuid[]) ON CONFLICT DO NOTHING
"""
_PUT_TIMERS = """
    INSERT INTO execution_timers (execution_id, key, fires_at)
    SELECT * FROM unnest(%s::uuid[], %s::text[], %s::timestamptz[])
"""
_DROP_TIMERS = """
    DELETE FROM execution_timers AS t USING unnest(%s::uuid[], %s::text[]) AS done (id, key)
    WHERE (t.execution_id, t.key) = (done.id, done.key)
"""


class Situation(msgspec.Struct, frozen=True):
    """What is true while the lock is held. ``last`` is the position of the log's last event."""

    now: datetime
    last: int
    versions: dict[UUID, int]
    keys: dict[StartKey, UUID]
    holds: dict[UUID, Hold]


class Session:
    """One connection, opened when it is needed. After any error it has to be dropped.

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
        self._connection: Connection[DictRow] | None = None
        self._pipeline: Pipeline | None = None
        self._pipeline_mode = ExitStack()

    def drop(self) -> None:
        """Close the connection, and with it roll back whatever it was in."""
        if self._connection is not None:
            self._connection.close()
            with suppress(psycopg.Error):
                self._pipeline_mode.close()
            self._connection = self._pipeline = None

    @property
    def backend_pid(self) -> int:
        """The process id of the database's end of the connection."""
        return self._connected().info.backend_pid

    def mapped(self, keys: Iterable[StartKey]) -> dict[StartKey, UUID]:
        """Give the executions that these keys began, without the lock."""
        with self._round_trip():
            rows = self._execute(_KEYS, _columns(keys, 3))
        return _mapping(rows.fetchall())

    def connect(self) -> None:
        """Open the connection if there is none."""
        self._connected()

    def snapshots(self, ids: Iterable[UUID]) -> dict[UUID, bytes]:
        """Give the latest snapshot of each of these executions that has one, as it is stored."""
        with self._round_trip():
            rows = self._execute(_SNAPSHOTS, [list(ids)])
        return {row["originator_id"]: bytes(row["state"]) for row in rows}

    def rollback(self) -> None:
        """Give the lock back, with nothing done."""
        with self._round_trip() as connection:
            connection.execute("ROLLBACK")

    def begin(self, ids: Iterable[UUID], keys: list[StartKey], claims: list[UUID]) -> Situation:
        """Begin a transaction, take the lock and read, in one round trip.

        ``ids`` are the streams that the commands are about, at least one.
        """
        with self._round_trip() as connection:
            connection.execute(_BEGIN)
            self._recorder.take_lock(connection.cursor())
            found = self._execute(_SITUATION, [list(ids)])
            mapped = self._execute(_KEYS, _columns(keys, 3)) if keys else None
            holds = self._execute(_HOLDS, [claims]) if claims else None
        streams = found.fetchall()
        return Situation(
            now=streams[0]["now"].astimezone(UTC),
            last=streams[0]["last"],
            versions={row["id"]: row["version"] for row in streams if row["version"] is not None},
            keys=_mapping(mapped.fetchall()) if mapped else {},
            holds={
                row["execution_id"]: Hold(
                    row["owner"], row["worker"], row["alive"], row["released_version"]
                )
                for row in holds or ()
            },
        )

    def events_after(self, known: dict[UUID, int]) -> list[DictRow]:
        """Give the rows of these executions after the version known of each, in order."""
        with self._round_trip():
            rows = self._execute(_EVENTS, [list(known), list(known.values())])
        return rows.fetchall()

    def commit(self, batch: Batch) -> tuple[list[int], dict[Repeat, int]]:
        """Insert what the batch decided and commit, in one round trip.

        Gives the positions of the events appended, and that of each repeat's last event.
        """
        events = [
            StoredEvent(e.originator_id, e.originator_version, e.topic, e.stored)
            for e in batch.appended
        ]
        with self._round_trip() as connection:
            inserting = connection.cursor()
            if events:
                self._recorder.append(inserting, events)
                self._keep_books(batch)
            repeats = self._read_repeats(batch) if batch.repeats else None
            connection.execute("COMMIT")
        positions = list(self._recorder.positions(inserting, events)) if events else []
        return positions, _repeat_positions(batch, repeats.fetchall() if repeats else [])

    def look_up(self, batch: Batch) -> tuple[list[int], dict[Repeat, int]] | None:
        """Say what a commit whose answer was lost came to: None if it never happened.

        Takes the lock first, since the commit may still be in flight.
        """
        first = batch.appended[0]
        base = {
            id_: 0 if (head := batch.before.get(id_)) is None else head.version
            for id_ in batch.touched()
        }
        with self._round_trip() as connection:
            connection.execute(_BEGIN)
            self._recorder.take_lock(connection.cursor())
            found = self._execute(_EVENTS, [list(base), list(base.values())])
            repeats = self._read_repeats(batch) if batch.repeats else None
            connection.execute("COMMIT")
        rows = {(row["originator_id"], row["originator_version"]): row for row in found}
        row = rows.get((first.originator_id, first.originator_version))
        if row is None or bytes(row["state"]) != first.stored:
            return None
        positions = [
            rows[e.originator_id, e.originator_version]["notification_id"] for e in batch.appended
        ]
        return positions, _repeat_positions(batch, repeats.fetchall() if repeats else [])

    def _connected(self) -> Connection[DictRow]:
        if self._connection is None:
            self._connection = self._recorder.connect()
            self._pipeline = self._pipeline_mode.enter_context(self._connection.pipeline())
            self._on_connect()
        return self._connection

    @contextmanager
    def _round_trip(self) -> Iterator[Connection[DictRow]]:
        """Send all that is executed in the block at once; results are there after it."""
        connection = self._connected()
        yield connection
        assert self._pipeline is not None
        self._pipeline.sync()

    def _execute(self, query: str, params: list[Any]) -> Cursor[DictRow]:
        return self._connected().execute(query, params, prepare=True)

    def _read_repeats(self, batch: Batch) -> Cursor[DictRow]:
        return self._execute(_REPEATS, _columns(batch.repeats, 2))

    def _keep_books(self, batch: Batch) -> None:
        if batch.started:
            rows = [(*key, execution_id) for key, execution_id in batch.started.items()]
            self._execute(_PUT_KEYS, _columns(rows, 4))
        if batch.ended:
            self._execute(_DROP_HOLDS, [list(batch.ended)])
        if changed := _changed_holds(batch):
            self._execute(_PUT_HOLDS, _columns(changed, 4))
        if batch.parked:
            self._execute(_PARK, [list(batch.parked)])
        if batch.claimed:
            claims = [(execution_id, *holder) for execution_id, holder in batch.claimed.items()]
            self._execute(_HAND_OVER, _columns(claims, 3))
        if batch.lost:
            self._execute(_PUT_LOST, _columns(batch.lost, 3))
        put, dropped = _changed_timers(batch)
        if dropped:
            self._execute(_DROP_TIMERS, _columns(dropped, 2))
        if put:
            self._execute(_PUT_TIMERS, _columns(put, 3))


def logged(row: DictRow) -> Logged:
    """Decode a row of the log."""
    return read(
        row["originator_id"],
        row["originator_version"],
        row["topic"],
        bytes(row["state"]),
        row["notification_id"],
    )


def _columns(rows: Iterable[tuple[Any, ...]], width: int) -> list[Any]:
    columns = [list(column) for column in zip(*rows, strict=True)]
    return columns or [[] for _ in range(width)]


def _mapping(rows: list[DictRow]) -> dict[StartKey, UUID]:
    return {
        StartKey(row["owner"], row["workflow"], row["key"]): row["execution_id"] for row in rows
    }


def _changed_holds(batch: Batch) -> list[tuple[UUID, str, bool, int]]:
    put: list[tuple[UUID, str, bool, int]] = []
    for execution_id in batch.touched():
        after = batch.heads[execution_id].execution
        before = batch.before.get(execution_id)
        new = before is None or execution_id in batch.ended
        if not after.state.final and (new or _work(before) != _work(batch.heads[execution_id])):
            put.append((execution_id, after.queue, *_work_on(after)))
    return put


def _work(head: Head | None) -> tuple[bool, int] | None:
    if head is None or head.execution.state.final:
        return None
    return _work_on(head.execution)


def _work_on(execution: Execution) -> tuple[bool, int]:
    woken_version = execution.woken_version if execution.parked is None else 0
    return execution.workable, woken_version


def _changed_timers(
    batch: Batch,
) -> tuple[list[tuple[UUID, str, datetime]], list[tuple[UUID, str]]]:
    """Give the timers that are pending now and were not before the batch, and the other way."""
    put: list[tuple[UUID, str, datetime]] = []
    dropped: list[tuple[UUID, str]] = []
    for execution_id in batch.touched():
        head, after = batch.before.get(execution_id), batch.heads[execution_id].execution
        before = None if head is None else head.execution
        untouched = not after.timers or (before is not None and before.timers is after.timers)
        if untouched and (before is None or before.state.final == after.state.final):
            continue
        was = {} if before is None else {timer.key: timer for timer in before.pending_timers()}
        now = {timer.key: timer for timer in after.pending_timers()}
        put += [(execution_id, key, now[key].fires_at) for key in now.keys() - was.keys()]
        dropped += [(execution_id, key) for key in was.keys() - now.keys()]
    return put, dropped


def _repeat_positions(batch: Batch, rows: list[DictRow]) -> dict[Repeat, int]:
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
