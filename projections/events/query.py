"""Queries for events of the log, by type, actor, time, workflow and queue.

The read model says at which positions the events are, and the log has the events. What the read
model has not reached yet is read from the log alone, so a page has every event up to now.
"""

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from psycopg.rows import DictRow, dict_row
from psycopg.sql import SQL, Composed, Literal

from application.event_store.chained_events import LoggedEvent, logged_or_unreadable
from application.event_store.reader import NO_QUEUE, PAGE_BYTES, LogPage, Origin, Reader
from application.event_store.reading import DECODED, charge
from domain.aggregates import ALL_EVENT_TYPES
from domain.execution.events import TOPIC_PREFIX
from projections.events.projection import BLOCK, EVENTS
from projections.querying.hashed_terms import person_term, workflow_term
from projections.querying.keyset_pages import BehindError
from projections.querying.page_query import Pool
from projections.querying.where_clause import WhereClause, storable

TYPES = frozenset(event_type.__name__ for event_type in ALL_EVENT_TYPES)

MAX_UNINDEXED = 20_000
"""How many events that are not in the read model yet are searched one by one."""
BATCH = 200
MAX_POSITION = 2**63 - 1

# The position of the read model, and the blocks between which there are events of these times.
_RANGE = SQL("""
    SELECT checkpoint.position,
        (SELECT min(block) FROM event_times WHERE latest >= %(since)s::timestamptz) AS first,
        (SELECT max(block) FROM event_times WHERE earliest <= %(until)s::timestamptz) AS last
    FROM projection_positions AS checkpoint WHERE name = 'events' AND version = {version}
""").format(version=Literal(EVENTS.version))
_FOUND = SQL("""
    SELECT * FROM (
        SELECT e.*, count(*) OVER () AS found, sum(octet_length(e.state))
            OVER (ORDER BY e.notification_id {direction} ROWS UNBOUNDED PRECEDING) AS so_far
        FROM (
            SELECT position FROM ({branches}) AS branches ORDER BY position {direction}
            LIMIT {limit}
        ) AS places
        JOIN execution_events AS e ON e.notification_id = places.position
    ) AS sized
    WHERE so_far - octet_length(state) < {max_bytes} ORDER BY notification_id {direction}
""")


class EventQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which events are wanted. None means any.

    ``types`` are names of event types (``Started``), ``actors`` are ids. ``since`` and ``until``
    are inclusive. ``workflows`` and ``queues`` limit the query to executions of these. Without
    ``beside_executions``, the events of standing grants and of the directory are left out.
    """

    execution_id: UUID | None = None
    types: frozenset[str] | None = None
    actors: frozenset[str] | None = None
    since: datetime | None = None
    until: datetime | None = None
    workflows: frozenset[str] | None = None
    queues: frozenset[str] | None = None
    beside_executions: bool = True

    def matches(self, event: LoggedEvent, origin: Origin | None) -> bool:
        """Whether an event is wanted. ``origin`` is needed only if it :attr:`asks_origin`."""
        recorded = event.recorded
        return (
            (self.execution_id is None or recorded.execution_id == self.execution_id)
            and (self.types is None or type(recorded.event).__name__ in self.types)
            and (self.actors is None or recorded.actor.id in self.actors)
            and (self.since is None or recorded.at >= self.since)
            and (self.until is None or recorded.at <= self.until)
            and (
                self.workflows is None or (origin is not None and origin.workflow in self.workflows)
            )
            and (self.queues is None or (origin is not None and origin.queue in self.queues))
            and (self.beside_executions or event.topic.startswith(TOPIC_PREFIX))
        )

    @property
    def asks_origin(self) -> bool:
        """Whether the workflow or the queue of an event's execution must be known."""
        return self.workflows is not None or self.queues is not None

    @property
    def conditional(self) -> bool:
        """Whether there is a condition beside that on the execution."""
        unconditional = EventQuery(
            execution_id=self.execution_id, beside_executions=self.beside_executions
        )
        return self != unconditional

    @property
    def impossible(self) -> bool:
        """Whether no event can match, so that nothing need be read."""
        return (
            self.queues == frozenset()
            or self.workflows == frozenset()
            or self.actors == frozenset()
            or (self.types is not None and self.types.isdisjoint(TYPES))
        )


class _Found(NamedTuple):
    """Events, and whether the page ended before because they are large."""

    events: list[LoggedEvent]
    ended: bool


class EventSearch:
    """Pages of events, in the order of the log."""

    def __init__(self, pool: Pool, reader: Reader) -> None:
        self._pool = pool
        self._reader = reader

    async def page(self, wanted: EventQuery, *, after: int = 0, limit: int) -> LogPage:
        """Return up to ``limit`` events after a position. One that can't be read is Unreadable.

        There are fewer if they are large: a page ends after PAGE_BYTES.

        Raises BehindError if the read model is so far behind that the rest can't be searched.
        """
        if wanted.impossible:
            return LogPage([], more=False)
        # One more is looked for, to know whether there are more.
        found, ended = await self._search(wanted, after=after, limit=limit + 1)
        return LogPage(found[:limit], more=ended or len(found) > limit)

    async def latest(self, wanted: EventQuery, *, before: int | None = None, limit: int) -> LogPage:
        """Return up to ``limit`` events before a position, by default from the end, newest first.

        The rest is as for :meth:`page`.
        """
        if wanted.impossible:
            return LogPage([], more=False)
        upto = MAX_POSITION if before is None else before - 1
        found, ended = await self._search_back(wanted, upto=upto, limit=limit + 1)
        return LogPage(found[:limit], more=ended or len(found) > limit)

    async def _search_back(self, wanted: EventQuery, *, upto: int, limit: int) -> _Found:
        if wanted.execution_id is not None or not wanted.conditional:
            return await self._from_log(wanted, after=0, upto=upto, limit=limit, newest_first=True)
        reached, first, last = await self._range(wanted)
        found = await self._from_log(
            wanted, after=reached, upto=upto, limit=limit, most=MAX_UNINDEXED, newest_first=True
        )
        if found.ended or len(found.events) >= limit or min(upto, last) < first:
            return found
        rest = await self._from_read_model(
            wanted,
            after=max(first - 1, 0),
            upto=min(upto, last),
            limit=limit - len(found.events),
            newest_first=True,
        )
        return _Found(found.events + rest.events, rest.ended)

    async def _search(self, wanted: EventQuery, *, after: int, limit: int) -> _Found:
        if wanted.execution_id is not None or not wanted.conditional:
            return await self._from_log(wanted, after=after, limit=limit)
        reached, first, last = await self._range(wanted)
        found = _Found([], ended=False)
        if last > after:
            within: dict[str, Any] = {"after": max(after, first - 1), "upto": last, "limit": limit}
            if wanted.types is None and wanted.actors is None and not wanted.asks_origin:
                found = await self._from_log(wanted, **within)
            else:
                found = await self._from_read_model(wanted, **within)
        if found.ended or len(found.events) >= limit:
            return found
        rest = await self._from_log(
            wanted,
            after=max(after, reached),
            limit=limit - len(found.events),
            most=MAX_UNINDEXED,
        )
        return _Found(found.events + rest.events, rest.ended)

    async def _range(self, wanted: EventQuery) -> tuple[int, int, int]:
        """Return what the read model has reached, and the first and last position to look at."""
        rows = await self._rows(_RANGE, {"since": wanted.since, "until": wanted.until})
        if not rows:
            # It does not exist, or belongs to another version of this program.
            return 0, 0, 0
        reached, first, last = rows[0]["position"], 0, rows[0]["position"]
        if wanted.since is not None:
            block = rows[0]["first"]
            first = reached + 1 if block is None else block * BLOCK
        if wanted.until is not None:
            block = rows[0]["last"]
            last = 0 if block is None else min(last, (block + 1) * BLOCK - 1)
        return reached, first, last

    async def _from_read_model(
        self,
        wanted: EventQuery,
        *,
        after: int,
        upto: int,
        limit: int,
        newest_first: bool = False,
    ) -> _Found:
        conditions = WhereClause().add(
            "item.position > %(after)s AND item.position <= %(upto)s", after=after, upto=upto
        )
        if wanted.actors is not None:
            conditions.one_of("actor", map(person_term, sorted(wanted.actors)))
        if wanted.types is not None:
            conditions.one_of("type", sorted(wanted.types & TYPES))
        if wanted.workflows is not None:
            conditions.one_of("workflow", map(workflow_term, sorted(wanted.workflows)))
        if wanted.queues is not None:
            conditions.one_of("queue", storable(sorted(wanted.queues)))
        if not wanted.beside_executions:
            conditions.add("item.queue <> %(no_queue)s", no_queue=NO_QUEUE)
        if wanted.since is not None:
            conditions.add("item.at >= %(since)s", since=wanted.since)
        if wanted.until is not None:
            conditions.add("item.at <= %(until)s", until=wanted.until)
        direction = SQL("DESC" if newest_first else "ASC")
        branches = [
            SQL(
                "(SELECT position FROM events AS item WHERE {} ORDER BY position {} LIMIT {})"
            ).format(where, direction, Literal(limit))
            for where in conditions.each()
        ]
        statement = _FOUND.format(
            branches=SQL(" UNION ALL ").join(branches),
            direction=direction,
            limit=Literal(limit),
            max_bytes=Literal(PAGE_BYTES),
        )
        rows = await self._rows(statement, conditions.params)
        charge(DECODED * sum(len(row["state"]) for row in rows))
        ended = bool(rows) and len(rows) < rows[0]["found"]
        return _Found([logged_or_unreadable(row) for row in rows], ended)

    async def _from_log(
        self,
        wanted: EventQuery,
        *,
        after: int,
        limit: int,
        upto: int | None = None,
        most: int | None = None,
        newest_first: bool = False,
    ) -> _Found:
        """Search the log itself. Raises BehindError after ``most`` events."""
        batch = max(limit, BATCH) if wanted.conditional else limit
        found: list[LoggedEvent] = []
        searched = size = 0
        while True:
            events, more = await self._reader.page(
                execution_id=wanted.execution_id,
                after=after,
                upto=upto,
                limit=batch,
                newest_first=newest_first,
            )
            for event in events:
                origin = await self._reader.origin_of(event) if wanted.asks_origin else None
                if wanted.matches(event, origin):
                    if size >= PAGE_BYTES:
                        return _Found(found, ended=True)
                    found.append(event)
                    size += len(event.stored)
                    if len(found) == limit:
                        return _Found(found, ended=False)
            if not more:
                return _Found(found, ended=False)
            if newest_first:
                upto = events[-1].position - 1
            else:
                after = events[-1].position
            searched += len(events)
            if most is not None and searched >= most:
                msg = (
                    f"the read model 'events' is more than {most:,} events behind the log; try "
                    "again later, or ask for one execution or without conditions"
                )
                raise BehindError(msg)

    async def _rows(self, statement: Composed, params: dict[str, Any]) -> list[DictRow]:
        async with self._pool.connection() as connection:
            cursor = connection.cursor(row_factory=dict_row)
            # Not prepared, because a good plan depends on the values.
            await cursor.execute(statement, params, prepare=False)
            return await cursor.fetchall()
