"""Reads from the log itself: current states, past states, and the events as recorded."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, LiteralString, NamedTuple
from uuid import UUID

import msgspec
from psycopg.rows import DictRow, dict_row
from psycopg.sql import SQL, Composable, Composed
from psycopg_pool import AsyncConnectionPool

from application.event_store.chained_events import (
    DAMAGE,
    Head,
    LoggedEvent,
    advance,
    logged,
    logged_or_unreadable,
)
from application.event_store.head_loader import LATEST, Loaded, load_heads, run
from application.event_store.recent_events import RecentEvents
from domain.execution.events import EVENT_TYPES, Started
from domain.execution.state import Execution

MAX_QUEUES = 100_000
TOPICS = {event_type.__name__: event_type.topic for event_type in EVENT_TYPES}

_ENVELOPE = SQL("convert_from(e.state, 'UTF8')::json")
_QUEUE = SQL("convert_from(s.state, 'UTF8')::json -> 'data' ->> 'queue'")


class EventQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which events are wanted. None means any.

    ``types`` are names of event types (``Started``), ``actors`` are ids. ``since`` and ``until``
    are inclusive. ``queues`` limits the query to executions of these queues.
    """

    execution_id: UUID | None = None
    types: frozenset[str] | None = None
    actors: frozenset[str] | None = None
    since: datetime | None = None
    until: datetime | None = None
    queues: frozenset[str] | None = None

    def matches(self, event: LoggedEvent, queue: str | None) -> bool:
        """Whether an event is wanted. ``queue`` is its execution's, needed only for ``queues``."""
        recorded = event.recorded
        return (
            (self.execution_id is None or recorded.execution_id == self.execution_id)
            and (self.types is None or type(recorded.event).__name__ in self.types)
            and (self.actors is None or recorded.actor.id in self.actors)
            and (self.since is None or recorded.at >= self.since)
            and (self.until is None or recorded.at <= self.until)
            and (self.queues is None or queue in self.queues)
        )

    @property
    def impossible(self) -> bool:
        """Whether no event can match, so that the log need not be read."""
        return (
            self.queues == frozenset()
            or self.actors == frozenset()
            or (self.types is not None and self.types.isdisjoint(TOPICS))
        )

    def conditions(self) -> tuple[list[Composable], list[Any]]:
        """Return the same conditions as SQL, for events under the alias ``e``."""
        conditions: list[Composable] = []
        params: list[Any] = []
        if self.execution_id is not None:
            conditions.append(SQL("e.originator_id = %s"))
            params.append(self.execution_id)
        if self.types is not None:
            conditions.append(SQL("e.topic = ANY (%s)"))
            params.append([TOPICS[name] for name in self.types if name in TOPICS])
        if self.actors is not None:
            conditions.append(SQL("{} ->> 'actor' = ANY (%s)").format(_ENVELOPE))
            params.append(list(self.actors))
        for operator, instant in ((SQL(">="), self.since), (SQL("<="), self.until)):
            if instant is not None:
                conditions.append(
                    SQL("({} ->> 'at')::timestamptz {} %s").format(_ENVELOPE, operator)
                )
                params.append(instant)
        if self.queues is not None:
            conditions.append(
                SQL(
                    "EXISTS (SELECT FROM execution_events AS s WHERE"
                    " s.originator_id = e.originator_id AND s.originator_version = 1"
                    " AND {} = ANY (%s))"
                ).format(_QUEUE)
            )
            params.append(list(self.queues))
        return conditions, params


class Transition(NamedTuple):
    """The states right before and right after an event. Before the first event there is none."""

    before: Execution | None
    after: Execution


class Reader:
    """Asynchronous reads. Raises psycopg errors or PoolTimeout if the database is unavailable."""

    def __init__(self, recent: RecentEvents, pool: AsyncConnectionPool) -> None:
        self._recent = recent
        self._pool = pool
        self._queues: OrderedDict[UUID, str] = OrderedDict()

    async def execution(self, execution_id: UUID) -> Execution | None:
        """Return the current state of an execution, None if there is no such execution."""
        head = self._recent.states.get(execution_id)
        if head is None:
            head = await self._load_one(execution_id)
        else:
            for event in await self._history(execution_id, head.version, None):
                head = advance(head, event)
        if head is None:
            return None
        self._recent.states.put(head)
        return head.execution

    async def at_version(self, execution_id: UUID, version: int) -> Execution | None:
        """Return the state at a version, None if the execution has not reached it."""
        head = await self._head_at(execution_id, version)
        return None if head is None else head.execution

    async def at_moment(self, execution_id: UUID, as_of: datetime) -> Execution | None:
        """Return the state at a moment, None if the execution had not started.

        An event of exactly that moment is included. The times of an execution's events never
        decrease, so a binary search finds the last one.
        """
        low, high = 0, await self._last_version(execution_id)
        while low < high:
            middle = (low + high + 1) // 2
            [event] = await self._history(execution_id, middle - 1, 1)
            if event.recorded.at <= as_of:
                low = middle
            else:
                high = middle - 1
        return await self.at_version(execution_id, low) if low else None

    async def history(
        self, execution_id: UUID, *, after: int = 0, limit: int = 100
    ) -> list[LoggedEvent]:
        """Return the events of an execution after a version, in order."""
        return await self._history(execution_id, after, limit)

    async def events(
        self, query: EventQuery, *, after: int = 0, upto: int | None = None, limit: int = 100
    ) -> list[LoggedEvent]:
        """Return events after a position, up to ``upto`` inclusive, in the order of the log.

        An event that can't be read is returned as Unreadable.
        """
        if query.impossible:
            return []
        conditions, params = query.conditions()
        conditions.insert(0, SQL("e.notification_id > %s"))
        params.insert(0, after)
        if upto is not None:
            conditions.append(SQL("e.notification_id <= %s"))
            params.append(upto)
        statement = SQL(
            "SELECT e.* FROM execution_events AS e WHERE {} ORDER BY e.notification_id LIMIT %s"
        ).format(SQL(" AND ").join(conditions))
        rows = await self._rows(statement, [*params, limit])
        return [logged_or_unreadable(row) for row in rows]

    async def after(self, event: LoggedEvent) -> Execution:
        """Return the state right after an event. Raises one of DAMAGE if it can't be read."""
        head = self._recent.head_after(event)
        if head is not None:
            return head.execution
        [transition] = await self.transitions([event])
        if isinstance(transition, Exception):
            raise transition
        return transition.after

    async def transitions(self, events: Sequence[LoggedEvent]) -> list[Transition | Exception]:
        """Return the states before and after each event, or the error if they can't be read.

        The events must be in the order of the log, and those of one execution without a gap.
        """
        heads = await self._heads_before(events)
        found: list[Transition | Exception] = []
        for event in events:
            before = heads[event.recorded.execution_id]
            if isinstance(before, Exception):
                found.append(before)
                continue
            try:
                after = self._recent.head_after(event) or advance(before, event)
            except DAMAGE as error:
                heads[event.recorded.execution_id] = error
                found.append(error)
            else:
                heads[event.recorded.execution_id] = after
                state = None if before is None else before.execution
                found.append(Transition(state, after.execution))
        return found

    async def _heads_before(
        self, events: Sequence[LoggedEvent]
    ) -> dict[UUID, Head | Exception | None]:
        """Return the head of each execution before the first of these events."""
        heads: dict[UUID, Head | Exception | None] = {}
        missing: dict[UUID, int] = {}
        for event in events:
            execution_id, version = event.recorded.execution_id, event.recorded.version
            if execution_id not in heads:
                heads[execution_id] = self._recent.head_before(event)
                if heads[execution_id] is None and version > 1:
                    missing[execution_id] = version - 1
        if missing:
            heads |= await self._load(missing)
        return heads

    async def queue_of(self, event: LoggedEvent) -> str | None:
        """Return the queue of the event's execution, None if its first event can't be read.

        The queue of an execution never changes.
        """
        execution_id, started = event.recorded.execution_id, event.recorded.event
        if isinstance(started, Started):
            queue = started.queue
        elif (known := self._queues.get(execution_id)) is not None:
            return known
        elif (head := self._recent.states.get(execution_id)) is not None:
            queue = head.execution.queue
        else:
            try:
                [first] = await self._history(execution_id, 0, 1)
            except DAMAGE:
                return None
            assert isinstance(first.recorded.event, Started)
            queue = first.recorded.event.queue
        self._queues[execution_id] = queue
        if len(self._queues) > MAX_QUEUES:
            self._queues.popitem(last=False)
        return queue

    async def end(self) -> tuple[int, str]:
        """Give the position and the hash of the log's last event; 0 and "" if there is none."""
        statement = SQL("SELECT * FROM execution_events ORDER BY notification_id DESC LIMIT 1")
        rows = await self._rows(statement, [])
        return (rows[0]["notification_id"], logged_or_unreadable(rows[0]).hash) if rows else (0, "")

    async def position(self) -> int:
        """Return the position of the last event in the log, 0 if the log is empty."""
        statement = SQL("SELECT coalesce(max(notification_id), 0) AS p FROM execution_events")
        [row] = await self._rows(statement, [])
        return int(row["p"])

    async def _head_at(self, execution_id: UUID, version: int) -> Head | None:
        if version < 1:
            return None
        head = self._recent.states.get(execution_id)
        if head is None or head.version != version:
            head = await self._load_one(execution_id, version)
        return head if head is not None and head.version == version else None

    async def _load_one(self, execution_id: UUID, version: int = LATEST) -> Head | None:
        head = (await self._load({execution_id: version})).get(execution_id)
        if isinstance(head, Exception):
            raise head
        return head

    async def _load(self, upto: Mapping[UUID, int]) -> Loaded:
        return await run(load_heads(upto), lambda statement: self._rows(*statement))

    async def _last_version(self, execution_id: UUID) -> int:
        statement = SQL(
            "SELECT coalesce(max(originator_version), 0) AS v FROM execution_events"
            " WHERE originator_id = %s"
        )
        [row] = await self._rows(statement, [execution_id])
        return int(row["v"])

    async def _history(
        self, execution_id: UUID, after: int, limit: int | None
    ) -> list[LoggedEvent]:
        statement = SQL(
            "SELECT * FROM execution_events WHERE originator_id = %s AND originator_version > %s"
            " ORDER BY originator_version LIMIT %s"
        )
        rows = await self._rows(statement, [execution_id, after, limit])
        return [logged(row) for row in rows]

    async def _rows(
        self, statement: LiteralString | SQL | Composed, params: list[Any]
    ) -> list[DictRow]:
        async with self._pool.connection() as connection:
            cursor = connection.cursor(row_factory=dict_row)
            await cursor.execute(statement, params, prepare=True)
            return await cursor.fetchall()
