"""Fills a log and its read models with COPY: valid executions, without a writer and a projector.

An execution has eight events: it is started and claimed, has five steps, and then completes or, one
in twenty, waits for an approval. Its content is determined by its number.
"""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg import Connection
from psycopg.sql import SQL, Identifier

from application.event_store.chained_events import (
    ChainedEvent,
    Head,
    LoggedEvent,
    advance,
    at_position,
)
from bench.log_load import ENGINE, OPERATOR, ask, start
from domain.execution.commands import Command
from domain.execution.decide import decide
from domain.execution.event import (
    Event,
)
from domain.execution.events import (
    Claimed,
    Completed,
    Recorded,
    ResultContent,
    StepCompleted,
)
from domain.serialization.event_codec import GENESIS_HASH, encode, hash_of
from domain.values import Principal
from projections.registry import MODELS
from projections.runtime.read_model import Changing

EVENTS_EACH = 8
WAITING = 20
"""One in this many executions waits."""
DAYS = 50
AT_ONCE = 1_000

_STEPS = [
    StepCompleted(
        key=f"step-{number}",
        name=f"step-{number}",
        attempt=1,
        content=ResultContent(result={"ok": True, "number": number}),
    )
    for number in range(EVENTS_EACH - 3)
]
_COMPLETED = Completed(content=ResultContent(result={"done": True}))
_CLAIMED = Claimed(worker="worker", fence=1)
_COPY = (
    "COPY execution_events (originator_id, originator_version, topic, state, notification_id)"
    " FROM STDIN (FORMAT BINARY)"
)
_COPY_HOLDS = (
    "COPY execution_holds (execution_id, queue, progress, owner, worker, fence)"
    " FROM STDIN (FORMAT BINARY)"
)


def fill(url: str, first: int, last: int, of: int) -> int:
    """Append the executions from ``first`` up to ``last``, of ``of`` in all. Returns the position.

    The database has all tables, and nothing but the executions before ``first``. The times of the
    events are spread over the last ``DAYS`` days.
    """
    random_ = random.Random(first)
    step = timedelta(days=DAYS) / (of * EVENTS_EACH)
    began = datetime.now(UTC) - timedelta(days=DAYS)
    position = first * EVENTS_EACH
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")
        for begin in range(first, last, AT_ONCE):
            numbers = range(begin, min(begin + AT_ONCE, last))
            after = position
            changes: dict[UUID, Changing] = {}
            logged: list[LoggedEvent] = []
            for event, head in _interleaved(numbers, random_, began, step, position):
                position = event.position
                logged.append(event)
                changes.setdefault(head.id, Changing()).note(head, event)
            with connection.transaction():
                _copy(connection, logged)
                done = [change.change() for change in changes.values()]
                _copy_holds(connection, [c.after for c in done if not c.after.state.final])
                for model in MODELS.values():
                    assert model.write(connection, done, after, position)
        connection.execute(
            "SELECT setval(pg_get_serial_sequence('execution_events', 'notification_id'), %s)",
            [position],
        )
        connection.execute("UPDATE projection_positions SET position = %s", [position])
    return position


def drop_indexes(url: str) -> None:
    """Drop the indexes of the read models. Rows are written faster without them."""
    with psycopg.connect(url, autocommit=True) as connection:
        for model in MODELS.values():
            found = connection.execute(
                "SELECT indexname FROM pg_indexes WHERE schemaname = current_schema()"
                " AND tablename = ANY (%s) AND NOT EXISTS ("
                "   SELECT FROM pg_constraint WHERE conname = indexname)",
                [list(model.tables)],
            ).fetchall()
            for (name,) in found:
                connection.execute(SQL("DROP INDEX {}").format(Identifier(name)))


def create_indexes(url: str) -> None:
    """Create the indexes of the read models, and gather statistics."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET maintenance_work_mem = '256MB'")
        for model in MODELS.values():
            model.create_indexes(connection)
        connection.execute("VACUUM ANALYZE")


def _interleaved(
    numbers: range, random_: random.Random, began: datetime, step: timedelta, position: int
) -> Iterator[tuple[LoggedEvent, Head]]:
    """Yield the events of these executions, the first events of all of them first."""
    heads: dict[int, Head] = {}
    for version in range(1, EVENTS_EACH + 1):
        for number in numbers:
            position += 1
            head = heads.get(number)
            id_ = UUID(int=random_.getrandbits(128), version=4) if head is None else head.id
            at = began + step * position
            by, event = _event(number, version, id_, head, at)
            chained = _chained(id_, version, by, event, at, head)
            heads[number] = advance(head, chained)
            yield at_position(chained, position), heads[number]


def _event(
    number: int, version: int, id_: UUID, head: Head | None, at: datetime
) -> tuple[Principal, Event]:
    if version == 1:
        return OPERATOR, _decided(head, start(number, id_), at)
    if version == EVENTS_EACH:
        if number % WAITING == (number // WAITING) % WAITING:
            assert head is not None
            command = ask(number, id_, fence=1)
            return ENGINE, _decided(head, command, at)
        return ENGINE, _COMPLETED
    return ENGINE, _CLAIMED if version == 2 else _STEPS[version - 3]


def _decided(head: Head | None, command: Command, at: datetime) -> Event:
    [event] = decide(None if head is None else head.execution, command, at)
    return event


def _chained(
    id_: UUID, version: int, by: Principal, event: Event, at: datetime, head: Head | None
) -> ChainedEvent:
    recorded = Recorded(
        execution_id=id_,
        version=version,
        at=at,
        actor=by.actor,
        command_id=id_,
        correlation_id=id_,
        previous_hash=GENESIS_HASH if head is None else head.hash,
        event=event,
    )
    stored = encode(recorded)
    return ChainedEvent(recorded, event.topic, stored, hash_of(id_, version, event.topic, stored))


def _copy(connection: Connection[Any], events: list[LoggedEvent]) -> None:
    with connection.cursor().copy(_COPY) as copy:
        copy.set_types(["uuid", "int8", "text", "bytea", "int8"])
        for event in events:
            copy.write_row(
                (
                    event.originator_id,
                    event.originator_version,
                    event.topic,
                    event.stored,
                    event.position,
                )
            )


def _copy_holds(connection: Connection[Any], waiting: list[Any]) -> None:
    with connection.cursor().copy(_COPY_HOLDS) as copy:
        copy.set_types(["uuid", "text", "bool", "text", "text", "int8"])
        for execution in waiting:
            copy.write_row((execution.id, execution.queue, False, ENGINE.id, "worker", 1))
