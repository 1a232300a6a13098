"""Parents and children: what one execution asks of another, carried out and told by the service.

No commit spans two executions, so a parent records that a child is to be started, and from that
event the child is started; when it has ended, that is told to the parent. Each is an ordinary
command that does no harm when repeated, sent by one process for all, from a position in the log
that is moved on after it.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Sequence
from time import monotonic
from uuid import UUID, uuid4

import psycopg
import structlog
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from application.background_tasks import stop
from application.command_handling.batch import ENDS
from application.command_handling.outcomes import Accepted, Outcome, Refused, UnavailableError
from application.command_handling.requests import Request
from application.command_handling.writer import Writer
from application.event_store.reader import Reader
from application.event_store.recorded import DAMAGE, LoggedEvent
from application.metrics import SKIPPED
from application.process_managers.leader_election import LeaderElection
from application.subscriptions.event_tail import EventTail
from domain.authorization import SERVICE
from domain.execution.commands import CancelExecution, Command, EndChild, StartExecution
from domain.execution.events import Cancelled, ChildStarted, Retried
from domain.execution.state import Child, Execution
from domain.refusals import RefusalCode
from domain.values import Actor, ExecutionState, Parent, Principal, Role

_log = structlog.get_logger(__name__)

TURN = 1.0
PAUSE = 0.2
AT_ONCE = 256
TRIES = 5
"""So often a command is sent that fails for no reason of its own or of the database."""
AGAIN = frozenset({RefusalCode.OVERLOADED, RefusalCode.OUTCOME_UNKNOWN})

_POSITION = "SELECT position FROM projection_positions WHERE name = 'children'"
_MOVE_ON = """
    UPDATE projection_positions SET position = greatest(position, %s) WHERE name = 'children'
"""


class ChildProcessManager:
    """One for a process. That of the leader acts."""

    def __init__(
        self,
        pool: AsyncConnectionPool,
        writer: Writer,
        reader: Reader,
        tail: EventTail,
        election: LeaderElection,
    ) -> None:
        self._pool = pool
        self._writer = writer
        self._reader = reader
        self._tail = tail
        self._election = election
        self._tasks: list[asyncio.Task[None]] = []
        self._saved_at = 0.0

    async def start(self) -> None:
        """Begin to follow the log."""
        self._tasks = [asyncio.create_task(self._run(), name="placet-children")]

    async def close(self) -> None:
        """Stop."""
        await stop(self._tasks)

    async def _run(self) -> None:
        while True:
            await self._election.elected()
            try:
                await self._follow()
            except (psycopg.Error, PoolTimeout) as error:
                _log.debug("children_unreachable", error=str(error))
            except Exception:  # noqa: BLE001 - logged, and it goes on from the position it saved
                _log.exception("children_failed")
            await asyncio.sleep(TURN)

    async def _follow(self) -> None:
        async with self._pool.connection() as connection:
            row = await (await connection.execute(_POSITION)).fetchone()
        position = 0 if row is None else row[0]
        async for batch in self._tail.follow(position, idle=TURN):
            if not self._election.leads:
                return
            commands = [
                (command, event)
                for event in batch.events
                for command in await self._caused_or_none(event)
            ]
            if commands:
                await self._carry_out(commands)
            if commands or monotonic() >= self._saved_at + TURN:
                await self._move_on(batch.position)

    async def _move_on(self, position: int) -> None:
        async with self._pool.connection() as connection:
            await connection.execute(_MOVE_ON, (position,))
        self._saved_at = monotonic()

    async def _caused_or_none(self, event: LoggedEvent) -> list[Command]:
        """Give the commands that an event causes; none if they can't be found, which is reported.

        All others would wait for this event otherwise, also after a restart.
        """
        try:
            return await self._caused(event)
        except (psycopg.Error, PoolTimeout):
            raise
        except Exception:  # noqa: BLE001 - reported
            SKIPPED.labels(type(event.recorded.event).__name__).inc()
            _log.exception(
                "children_event_skipped",
                id=str(event.recorded.execution_id),
                version=event.recorded.version,
            )
            return []

    async def _caused(self, event: LoggedEvent) -> list[Command]:
        """Give the commands to relatives of which this event is the reason."""
        recorded = event.recorded
        if not isinstance(recorded.event, (ChildStarted, Retried, *ENDS)):
            return []
        try:
            after = await self._reader.after(event)
            if isinstance(recorded.event, Retried):
                return await self._ended_meanwhile(after)
        except DAMAGE as error:
            _log.error("parent_or_child_damaged", id=str(recorded.execution_id), error=str(error))
            return []
        if isinstance(recorded.event, ChildStarted):
            return [_birth(after, recorded.event)]
        commands: list[Command] = [] if after.parent is None else [_told(after.parent, after)]
        if isinstance(recorded.event, Cancelled):
            children = after.children.values()
            commands += [
                _cancellation(child, recorded.actor) for child in children if child.outcome is None
            ]
        return commands

    async def _ended_meanwhile(self, parent: Execution) -> list[Command]:
        """Tell of children that ended while their parent had failed, which takes no news then."""
        awaited = [child.id for child in parent.children.values() if child.outcome is None]
        children = [await self._reader.execution(id_) for id_ in awaited]
        return [
            _told(child.parent, child)
            for child in children
            if child is not None and child.parent is not None and child.state.final
        ]

    async def _carry_out(self, commands: Sequence[tuple[Command, LoggedEvent]]) -> None:
        """Send commands until each has an outcome, some at a time.

        There may be more than the writer's queue takes: then they are sent in smaller parts.
        """
        left = deque(commands)
        at_once = AT_ONCE
        faults: Counter[UUID] = Counter()
        while left:
            sent = [left.popleft() for _ in range(min(at_once, len(left)))]
            outcomes = await self._writer.handle(
                [
                    Request(
                        command=command,
                        command_id=uuid4(),
                        causation_id=cause.recorded.command_id,
                    )
                    for command, cause in sent
                ]
            )
            again: list[tuple[Command, LoggedEvent]] = []
            for (command, cause), outcome in zip(sent, outcomes, strict=True):
                faults[command.execution_id] += _is_fault(outcome)
                if faults[command.execution_id] >= TRIES:
                    # It would fail in the same way for ever, and all others would wait for it.
                    _report(command, outcome)
                elif next_ := _next(command, outcome):
                    again.append((next_, cause))
            if any(_is_overload(outcome) for outcome in outcomes):
                at_once = max(at_once // 2, 1)
            if again:
                await asyncio.sleep(PAUSE)
            left.extendleft(reversed(again))


def _is_overload(outcome: Outcome) -> bool:
    return isinstance(outcome, Refused) and outcome.code is RefusalCode.OVERLOADED


def _is_fault(outcome: Outcome) -> bool:
    """Whether a command failed by a fault of the program, which may be there for ever."""
    return isinstance(outcome, Exception) and not isinstance(outcome, (UnavailableError, *DAMAGE))


def _report(command: Command, outcome: Outcome) -> None:
    SKIPPED.labels(type(command).__name__).inc()
    _log.error(
        "child_command_skipped",
        command=type(command).__name__,
        id=str(command.execution_id),
        error=str(outcome),
    )


def _next(command: Command, outcome: Outcome) -> Command | None:
    """Give what is still to be done for a command: itself again, or telling that it failed."""
    match outcome:
        case Accepted():
            return None
        case Refused(code=code) if code in AGAIN:
            return command
        case Refused() if isinstance(command, StartExecution) and command.parent is not None:
            error = f"the child could not be started: {outcome.message}"
            return _end(command.parent, ExecutionState.FAILED, error=error)
        case Refused():
            # The relative came to an end of its own, or is gone.
            return None
        case _ if isinstance(outcome, DAMAGE):
            _report(command, outcome)
            return None
        case _:
            return command


def _birth(parent: Execution, event: ChildStarted) -> StartExecution:
    # Who started the parent has started the child, so four eyes bars the same people.
    return StartExecution(
        by=_as_operator(parent.initiator),
        execution_id=event.child_id,
        given_id=str(event.child_id),
        workflow=event.workflow,
        workflow_version=event.workflow_version,
        queue=event.queue,
        input=event.content.input,
        on_behalf_of=parent.on_behalf_of,
        parent=Parent(execution_id=parent.id, key=event.key, round=event.round),
    )


def _told(parent: Parent, child: Execution) -> EndChild:
    return _end(parent, child.state, result=child.result, error=child.error)


def _end(
    parent: Parent, outcome: ExecutionState, *, result: object = None, error: str | None = None
) -> EndChild:
    return EndChild(
        by=SERVICE,
        execution_id=parent.execution_id,
        key=parent.key,
        round=parent.round,
        outcome=outcome,
        result=result,
        error=error,
    )


def _cancellation(child: Child, by: Actor) -> CancelExecution:
    return CancelExecution(
        by=_as_operator(by), execution_id=child.id, reason="its parent was cancelled"
    )


def _as_operator(actor: Actor) -> Principal:
    roles = frozenset({Role.OPERATOR})
    return Principal(id=actor.id, name=actor.name or actor.id, roles=roles)
