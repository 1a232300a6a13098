"""The process manager of children: starts and cancels them, and reports their end to the parent.

No commit changes two executions. So the parent records ChildStarted, and then this process manager
sends StartExecution for the child. When the child has ended, it sends EndChild to the parent. These
commands are idempotent. Only the leader sends them. The position in the log is saved after they
were carried out, so that after a failure they are sent again.
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
from application.event_store.chained_events import DAMAGE, LoggedEvent
from application.event_store.reader import Reader
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

INTERVAL = 1.0
PAUSE = 0.2
AT_ONCE = 256
TRIES = 5
"""How often a command is sent that fails with an unexpected error."""
AGAIN = frozenset({RefusalCode.OVERLOADED, RefusalCode.OUTCOME_UNKNOWN})

_POSITION = "SELECT position FROM projection_positions WHERE name = 'children'"
_SAVE_POSITION = """
    UPDATE projection_positions SET position = greatest(position, %s) WHERE name = 'children'
"""


class ChildProcessManager:
    """Follows the log and sends commands while this process is the leader."""

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
        """Start to follow the log."""
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
            await asyncio.sleep(INTERVAL)

    async def _follow(self) -> None:
        async with self._pool.connection() as connection:
            row = await (await connection.execute(_POSITION)).fetchone()
        position = 0 if row is None else row[0]
        async for page in self._tail.follow(position, idle=INTERVAL):
            if not self._election.leads:
                return
            commands = [
                (command, event)
                for event in page.events
                for command in await self._commands_or_none(event)
            ]
            if commands:
                await self._carry_out(commands)
            if commands or monotonic() >= self._saved_at + INTERVAL:
                await self._save_position(page.position)

    async def _save_position(self, position: int) -> None:
        async with self._pool.connection() as connection:
            await connection.execute(_SAVE_POSITION, (position,))
        self._saved_at = monotonic()

    async def _commands_or_none(self, event: LoggedEvent) -> list[Command]:
        """Return the commands that an event causes. An error is reported, and gives no commands.

        Otherwise an event with an error would stop all later ones, also after a restart.
        """
        try:
            return await self._commands(event)
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

    async def _commands(self, event: LoggedEvent) -> list[Command]:
        """Return the commands to the parent or children that an event causes."""
        recorded = event.recorded
        if not isinstance(recorded.event, (ChildStarted, Retried, *ENDS)):
            return []
        try:
            after = await self._reader.after(event)
            if isinstance(recorded.event, Retried):
                return await self._ends_since_failure(after)
        except DAMAGE as error:
            _log.error("parent_or_child_damaged", id=str(recorded.execution_id), error=str(error))
            return []
        if isinstance(recorded.event, ChildStarted):
            return [_start_child(after, recorded.event)]
        commands: list[Command] = [] if after.parent is None else [_report_end(after.parent, after)]
        if isinstance(recorded.event, Cancelled):
            children = after.children.values()
            commands += [
                _cancellation(child, recorded.actor) for child in children if child.outcome is None
            ]
        return commands

    async def _ends_since_failure(self, parent: Execution) -> list[Command]:
        """Return the commands for children that ended while their parent was failed.

        A failed parent refuses EndChild, so it is sent again after the parent was retried.
        """
        awaited = [child.id for child in parent.children.values() if child.outcome is None]
        children = [await self._reader.execution(id_) for id_ in awaited]
        return [
            _report_end(child.parent, child)
            for child in children
            if child is not None and child.parent is not None and child.state.final
        ]

    async def _carry_out(self, commands: Sequence[tuple[Command, LoggedEvent]]) -> None:
        """Send commands in parts until each has an outcome.

        If the writer's queue is full, smaller parts are sent.
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
                    # It would probably fail for ever, and all others would wait for it.
                    _report(command, outcome)
                elif follow_up := _follow_up(command, outcome):
                    again.append((follow_up, cause))
            if any(_is_overload(outcome) for outcome in outcomes):
                at_once = max(at_once // 2, 1)
            if again:
                await asyncio.sleep(PAUSE)
            left.extendleft(reversed(again))


def _is_overload(outcome: Outcome) -> bool:
    return isinstance(outcome, Refused) and outcome.code is RefusalCode.OVERLOADED


def _is_fault(outcome: Outcome) -> bool:
    """Whether a command failed with an unexpected error, which may be permanent."""
    return isinstance(outcome, Exception) and not isinstance(outcome, (UnavailableError, *DAMAGE))


def _report(command: Command, outcome: Outcome) -> None:
    SKIPPED.labels(type(command).__name__).inc()
    _log.error(
        "child_command_skipped",
        command=type(command).__name__,
        id=str(command.execution_id),
        error=str(outcome),
    )


def _follow_up(command: Command, outcome: Outcome) -> Command | None:
    """Return the next command: the same again, or one that reports a failed start, or None."""
    match outcome:
        case Accepted():
            return None
        case Refused(code=code) if code in AGAIN:
            return command
        case Refused() if isinstance(command, StartExecution) and command.parent is not None:
            error = f"the child could not be started: {outcome.message}"
            return _end_child(command.parent, ExecutionState.FAILED, error=error)
        case Refused():
            # The parent or child has ended already.
            return None
        case _ if isinstance(outcome, DAMAGE):
            _report(command, outcome)
            return None
        case _:
            return command


def _start_child(parent: Execution, event: ChildStarted) -> StartExecution:
    # The initiator of the parent is that of the child, so four eyes excludes the same people.
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


def _report_end(parent: Parent, child: Execution) -> EndChild:
    return _end_child(parent, child.state, result=child.result, error=child.error)


def _end_child(
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
