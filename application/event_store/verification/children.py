"""Parents and children: what each of the two says of the other.

The other execution is somewhere else in the log, so both are looked up, some hundred at a time.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple
from uuid import UUID

import msgspec

from application.event_store.chained_events import DAMAGE
from application.event_store.verification.audit import NOTHING, Audit, Step, Stream
from application.event_store.verification.database import Database
from application.event_store.verification.findings import Finding
from domain.authorization import SERVICE
from domain.execution.event import (
    Event,
)
from domain.execution.events import (
    Cancelled,
    ChildEnded,
    ChildStarted,
    Completed,
    Recorded,
    Started,
)
from domain.execution.state import Execution
from domain.identifiers import is_id_of_child
from domain.serialization.canonical_json import same
from domain.serialization.event_codec import decode
from domain.values import ExecutionState

KIND = "child"

NOT_STARTED = "the child could not be started"
"""How the error of a child begins that the server could not start. There is no execution then."""

_AT_ONCE = 500
_FOLLOWER = "SELECT position FROM projection_positions WHERE name = 'children'"
_FIRST_AND_LAST = """
    SELECT e.originator_id, e.originator_version, e.topic, e.state
    FROM unnest(%s::uuid[]) AS wanted (id) CROSS JOIN LATERAL (
        (SELECT * FROM execution_events WHERE originator_id = wanted.id
         ORDER BY originator_version LIMIT 1)
        UNION
        (SELECT * FROM execution_events WHERE originator_id = wanted.id
         ORDER BY originator_version DESC LIMIT 1)
    ) AS e ORDER BY e.originator_id, e.originator_version
"""
_GONE = "it was removed, or the server could not start it, which its own log then says"
_LINK = "the link between the two was changed"
# The outcomes that are final, and the last event of a child that ended so.
_LAST: dict[ExecutionState, type[Event]] = {
    ExecutionState.COMPLETED: Completed,
    ExecutionState.CANCELLED: Cancelled,
}


class _Ends(NamedTuple):
    """The first and the last event of an execution."""

    first: Recorded
    last: Recorded


class _Born(msgspec.Struct):
    """A child as its parent has recorded it."""

    start: Step
    started: ChildStarted
    parent: Execution
    ended: ChildEnded | None = None


class _Child(NamedTuple):
    """A child as it has recorded its own start."""

    stream: Stream
    execution: Execution


class ChildrenAudit(Audit):
    """A child that was ordered exists and says so, and its end in the parent is its own."""

    def __init__(self) -> None:
        self._born: dict[tuple[str, int], _Born] = {}
        self._parents: list[_Born] = []
        self._children: list[_Child] = []
        self._count = 0

    def open(self, database: Database) -> None:
        self._database = database
        found = database.rows(_FOLLOWER)
        self._follower: int = found[0][0] if found else 0

    def event(self, step: Step) -> Iterable[Finding]:
        if step.before is None:
            self._born = {}
        event = step.event.recorded.event
        if isinstance(event, ChildStarted):
            born = _Born(step, event, step.head.execution)
            self._born[event.key, event.round] = born
            if not is_id_of_child(event.child_id, step.head.id, event.key, event.round):
                message = (
                    f"the id of the child {event.key!r} is not the one that follows from its key"
                )
                return [step.finding(KIND, message, _LINK)]
        elif isinstance(event, ChildEnded):
            self._born[event.key, event.round].ended = event
            actor = step.event.recorded.actor
            if actor.id != SERVICE.id:
                message = f"{actor.id!r} reports the end of the child {event.key!r}"
                return [step.finding(KIND, message, "only the server itself does that")]
        return NOTHING

    def ended(self, stream: Stream) -> Iterable[Finding]:
        if stream.head is None:
            self._born = {}
            return NOTHING
        if self._born:
            self._count += len(self._born)
            self._parents += self._born.values()
            self._born = {}
        execution = stream.head.execution
        if execution.parent is not None:
            self._children.append(_Child(stream, execution))
        if len(self._parents) + len(self._children) >= _AT_ONCE:
            return list(self._look_up())
        return NOTHING

    def close(self) -> Iterable[Finding]:
        return self._look_up()

    def checked(self) -> Iterable[str]:
        yield f"{self._count} children: that they exist, whose they are, and how they ended"

    def _look_up(self) -> Iterator[Finding]:
        parents, children = self._parents, self._children
        self._parents, self._children = [], []
        wanted = {born.started.child_id for born in parents}
        wanted |= {
            child.execution.parent.execution_id for child in children if child.execution.parent
        }
        ends = self._ends(wanted)
        for born in parents:
            yield from self._child_flaws(born, ends)
        for child in children:
            yield from _parent_flaws(child, ends)

    def _ends(self, ids: Iterable[UUID]) -> dict[UUID, _Ends | None]:
        """Return the ends of executions. None for one that can't be read, which is found itself."""
        found: dict[UUID, _Ends | None] = {}
        for id_, version, topic, state in self._database.rows(_FIRST_AND_LAST, list(ids)):
            try:
                event = decode(id_, version, topic, state)
            except (*DAMAGE, TypeError):
                found[id_] = None
                continue
            known = found.setdefault(id_, _Ends(event, event))
            if known is not None:
                found[id_] = _Ends(known.first, event)
        return found

    def _child_flaws(self, born: _Born, ends: dict[UUID, _Ends | None]) -> Iterator[Finding]:
        started, ended = born.started, born.ended
        if ended is not None and (ended.content.error or "").startswith(NOT_STARTED):
            return
        what = f"the child {started.key!r}, execution {started.child_id},"
        if started.child_id not in ends:
            # The server may not have come to it yet, or may have found its parent ended.
            if ended is not None or born.start.event.position <= self._follower:
                yield born.start.finding(KIND, f"{what} has no events", _GONE)
            return
        child = ends[started.child_id]
        if child is None:
            return
        first = child.first.event
        if not isinstance(first, Started) or first.parent is None:
            yield born.start.finding(KIND, f"{what} says nothing of its parent", _LINK)
            return
        expected = (started.workflow, started.workflow_version, started.queue)
        if (first.workflow, first.workflow_version, first.queue) != expected or not same(
            first.content.input, started.content.input
        ):
            yield born.start.finding(KIND, f"{what} was started with other content", _LINK)
        if child.first.actor.id != born.parent.initiator.id or (
            first.on_behalf_of != born.parent.on_behalf_of
        ):
            message = f"{what} has another initiator or beneficiary than its parent"
            yield born.start.finding(KIND, message, "four eyes excludes other people in the child")
        if ended is not None and not _ended_so(child.last.event, ended):
            message = f"{what} did not end as the parent has recorded: {ended.outcome}"
            yield born.start.finding(KIND, message, "the end of the child was changed or removed")


def _ended_so(last: Event, ended: ChildEnded) -> bool:
    expected = _LAST.get(ended.outcome)
    if expected is None:
        # A child that failed can have been retried since.
        return ended.outcome is ExecutionState.FAILED
    if not isinstance(last, expected):
        return False
    return not isinstance(last, Completed) or same(last.content.result, ended.content.result)


def _parent_flaws(child: _Child, ends: dict[UUID, _Ends | None]) -> Iterator[Finding]:
    parent = child.execution.parent
    assert parent is not None
    if parent.execution_id not in ends:
        message = f"its parent, execution {parent.execution_id}, has no events"
        yield child.stream.finding(KIND, message, "the parent was removed")
    if not is_id_of_child(child.execution.id, parent.execution_id, parent.key, parent.round):
        message = f"its id does not follow from its parent, {parent.execution_id}, and its key"
        yield child.stream.finding(KIND, message, _LINK)
