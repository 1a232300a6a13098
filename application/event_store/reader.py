"""Reads from the log itself: current states, and the events as recorded."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from psycopg.rows import DictRow
from psycopg.sql import SQL, Composable
from psycopg_pool import AsyncConnectionPool

from application.event_store.chained_events import (
    DAMAGE,
    Head,
    LoggedEvent,
    advance,
    as_execution,
    logged,
    logged_or_unreadable,
)
from application.event_store.head_loader import LATEST
from application.event_store.histories import (
    HISTORIES,
    HistoryLimits,
    histories,
    parameters,
)
from application.event_store.log_rows import LogRows
from application.event_store.past_states import PastStates
from application.event_store.position_reader import PositionReader
from application.event_store.reading import DECODED
from application.event_store.recent_events import RecentEvents
from domain.aggregates import Aggregate
from domain.directory.events import DirectoryEvent
from domain.execution.event import Event
from domain.execution.events import Started
from domain.execution.state import Execution
from domain.standing_grants.events import StandingGrantCreated
from domain.standing_grants.state import StandingGrant

MAX_ORIGINS = 100_000
PAGE_BYTES = 1024 * 1024
"""Bytes of stored events after which a page of events ends. It has one event at least."""

# The sizes are read without the events themselves, so only those that are returned are loaded.
_PAGE = SQL("""
    SELECT * FROM (
        SELECT *, count(*) OVER () AS found,
            sum(octet_length(state)) OVER (ORDER BY {order} ROWS UNBOUNDED PRECEDING) AS so_far
        FROM (
            SELECT * FROM execution_events WHERE {where} ORDER BY {order} LIMIT %s
        ) AS limited
    ) AS sized
    WHERE so_far - octet_length(state) < %s ORDER BY {order}
""")


_VERSIONS = SQL("""
    SELECT given.id, last.originator_version AS version
    FROM unnest(%s::uuid[]) AS given (id), LATERAL (
        SELECT originator_version FROM execution_events WHERE originator_id = given.id
        ORDER BY originator_version DESC LIMIT 1
    ) AS last
""")


class LogPage(NamedTuple):
    """Events, and whether there are more in the range that was asked for."""

    events: list[LoggedEvent]
    more: bool


NO_QUEUE = ""
"""The queue of a stream that is no execution. No execution has it."""
NO_WORKFLOW = ""
"""The workflow of a person. No execution has it."""


class Origin(NamedTuple):
    """What never changes of a stream, and tells whether somebody wants its events."""

    workflow: str
    queue: str


_OF_DIRECTORY = Origin(NO_WORKFLOW, NO_QUEUE)


def origin_of(state: Aggregate) -> Origin:
    """Return the origin of a stream."""
    match state:
        case Execution():
            return Origin(state.workflow, state.queue)
        case StandingGrant():
            return Origin(state.workflow, NO_QUEUE)
        case _:
            return _OF_DIRECTORY


def _origin_by(first: Event) -> Origin | None:
    """Return the origin of the stream that begins with an event, None if none can begin with it."""
    match first:
        case Started():
            return Origin(first.workflow, first.queue)
        case StandingGrantCreated():
            return Origin(first.workflow, NO_QUEUE)
        case DirectoryEvent():
            return _OF_DIRECTORY
        case _:
            return None


class Transition(NamedTuple):
    """The states right before and right after an event. Before the first event there is none."""

    before: Aggregate | None
    after: Aggregate


class Reader:
    """Asynchronous reads. Raises psycopg errors or PoolTimeout if the database is unavailable.

    ``positions`` knows which positions the log has, ``past`` the states of before.
    """

    def __init__(self, recent: RecentEvents, pool: AsyncConnectionPool) -> None:
        self._recent = recent
        self._log = LogRows(pool)
        self.positions = PositionReader(self._log, recent)
        self.past = PastStates(self._log, recent)
        self._origins: OrderedDict[UUID, Origin] = OrderedDict()

    async def execution(self, execution_id: UUID) -> Execution | None:
        """Return the current state of an execution, None if there is no such execution."""
        state = await self.aggregate(execution_id)
        return state if isinstance(state, Execution) else None

    async def standing_grant(self, grant_id: UUID) -> StandingGrant | None:
        """Return the current state of a standing grant, None if there is no such grant."""
        state = await self.aggregate(grant_id)
        return state if isinstance(state, StandingGrant) else None

    async def aggregate(self, stream_id: UUID) -> Aggregate | None:
        """Return the current state of a stream, None if it has no event."""
        head = self._recent.states.get(stream_id)
        if head is None:
            head = await self._log.load_one(stream_id)
        else:
            for event in await self._log.history(stream_id, head.version, None):
                head = advance(head, event)
        if head is None:
            return None
        self._recent.states.put(head)
        return head.state

    async def aggregates(self, ids: Iterable[UUID]) -> list[Aggregate]:
        """Return the states of streams, in this order. Those that can't be read are left out.

        They are as they are in memory, or else in the log. So they may be behind the log.
        """
        heads = {id_: self._recent.states.get(id_) for id_ in ids}
        if missing := [id_ for id_, head in heads.items() if head is None]:
            for id_, loaded in (await self._log.load(dict.fromkeys(missing, LATEST))).items():
                if isinstance(loaded, Head):
                    heads[id_] = loaded
                    self._recent.states.put(loaded)
        return [head.state for head in heads.values() if head is not None]

    async def current(self, ids: Iterable[UUID]) -> dict[UUID, Aggregate]:
        """Return the current states of streams by their ids. Those that can't be read are left out.

        It takes two statements at most, however many they are.
        """
        wanted = list(dict.fromkeys(ids))
        rows = await self._log.rows(_VERSIONS, [wanted]) if wanted else []
        heads: dict[UUID, Head] = {}
        behind: dict[UUID, int] = {}
        for row in rows:
            head = self._recent.states.get(row["id"])
            if head is not None and head.version == row["version"]:
                heads[row["id"]] = head
            else:
                behind[row["id"]] = LATEST
        if behind:
            for id_, loaded in (await self._log.load(behind)).items():
                if isinstance(loaded, Head):
                    heads[id_] = loaded
                    self._recent.states.put(loaded)
        return {id_: head.state for id_, head in heads.items()}

    async def history(
        self, execution_id: UUID, *, after: int = 0, limit: int = 100
    ) -> list[LoggedEvent]:
        """Return the events of an execution after a version, in order."""
        return (await self.history_page(execution_id, after=after, limit=limit)).events

    async def history_page(self, execution_id: UUID, *, after: int = 0, limit: int) -> LogPage:
        """Return up to ``limit`` events of an execution after a version, in order.

        There are fewer if they are large: a page ends after PAGE_BYTES.
        """
        of_one = SQL("originator_id = %s AND originator_version > %s")
        order = SQL("originator_version")
        rows, more = await self._page(of_one, [execution_id, after], order, limit)
        return LogPage([logged(row) for row in rows], more)

    async def histories(
        self, versions: Mapping[UUID, int], limits: HistoryLimits
    ) -> dict[UUID, list[LoggedEvent]]:
        """Return the events of executions up to these versions.

        Those that are larger than the limits are left out, and those that can't be read.
        """
        return histories(await self._log.rows(HISTORIES, parameters(versions, limits)))

    async def versions(self, execution_id: UUID, versions: Sequence[int]) -> list[LoggedEvent]:
        """Return these events of an execution, in order."""
        if not versions:
            return []
        statement = SQL(
            "SELECT * FROM execution_events WHERE originator_id = %s"
            " AND originator_version = ANY (%s) ORDER BY originator_version"
        )
        rows = await self._log.rows(statement, [execution_id, list(versions)])
        self._log.charge(DECODED * sum(len(row["state"]) for row in rows))
        return [logged(row) for row in rows]

    async def events(
        self,
        *,
        execution_id: UUID | None = None,
        after: int = 0,
        upto: int | None = None,
        limit: int = 100,
    ) -> list[LoggedEvent]:
        """Return the events of :meth:`page`."""
        page = await self.page(execution_id=execution_id, after=after, upto=upto, limit=limit)
        return page.events

    async def page(
        self,
        *,
        execution_id: UUID | None = None,
        after: int = 0,
        upto: int | None = None,
        limit: int,
        max_bytes: int = PAGE_BYTES,
        newest_first: bool = False,
    ) -> LogPage:
        """Return events after a position, up to ``upto`` inclusive, in the order of the log.

        There are up to ``limit``, or fewer if they are large: a page ends after ``max_bytes``.
        ``execution_id``: only those of one execution. ``newest_first``: from ``upto`` backwards. An
        event that can't be read is returned as Unreadable.
        """
        conditions = [SQL("notification_id > %s")]
        params: list[Any] = [after]
        if upto is not None:
            conditions.append(SQL("notification_id <= %s"))
            params.append(upto)
        if execution_id is not None:
            conditions.append(SQL("originator_id = %s"))
            params.append(execution_id)
        where = SQL(" AND ").join(conditions)
        order = SQL("notification_id DESC" if newest_first else "notification_id")
        rows, more = await self._page(where, params, order, limit, max_bytes)
        return LogPage([logged_or_unreadable(row) for row in rows], more)

    async def _page(
        self,
        where: Composable,
        params: list[Any],
        order: SQL,
        limit: int,
        max_bytes: int = PAGE_BYTES,
    ) -> tuple[list[DictRow], bool]:
        """Return the rows of a page. One more is looked for, to know whether there are more."""
        found = await self._log.rows(
            _PAGE.format(where=where, order=order), [*params, limit + 1, max_bytes]
        )
        rows = found[:limit]
        self._log.charge(DECODED * sum(len(row["state"]) for row in rows))
        return rows, bool(found) and len(rows) < found[0]["found"]

    async def after(self, event: LoggedEvent) -> Execution:
        """Return the state of an execution right after an event.

        Raises one of DAMAGE if it can't be read, and TypeError for an event of another stream.
        """
        head = self._recent.head_after(event)
        if head is not None:
            return head.execution
        [transition] = await self.transitions([event])
        if isinstance(transition, Exception):
            raise transition
        return as_execution(transition.after)

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
                state = None if before is None else before.state
                found.append(Transition(state, after.state))
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
            heads |= await self._log.load(missing)
        return heads

    async def origin_of(self, event: LoggedEvent) -> Origin | None:
        """Return the origin of the event's stream, None if its first event can't be read."""
        execution_id = event.recorded.execution_id
        origin = _origin_by(event.recorded.event)
        if origin is not None:
            pass
        elif (known := self._origins.get(execution_id)) is not None:
            return known
        elif (head := self._recent.states.get(execution_id)) is not None:
            origin = origin_of(head.state)
        else:
            try:
                [first] = await self._log.history(execution_id, 0, 1)
            except DAMAGE:
                return None
            origin = _origin_by(first.recorded.event)
            assert origin is not None
        self._origins[execution_id] = origin
        if len(self._origins) > MAX_ORIGINS:
            self._origins.popitem(last=False)
        return origin
