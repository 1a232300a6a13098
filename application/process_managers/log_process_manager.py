"""The base of process managers that follow the log and send commands for what they see in it.

No commit changes two streams. So one stream records an event, and then a process manager sends
commands to others. The commands are idempotent. Only the leader sends them. The position in the log
is saved after they were carried out, so that after a failure they are sent again.
"""

import asyncio
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Sequence
from time import monotonic
from uuid import UUID, uuid4

import prometheus_client
import psycopg
import structlog
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from application.background_tasks import stop
from application.command_handling.outcomes import Accepted, Outcome, Refused, UnavailableError
from application.command_handling.requests import Request
from application.command_handling.writer import Writer
from application.event_store.chained_events import DAMAGE, LoggedEvent
from application.event_store.reader import Reader
from application.process_managers.leader_election import LeaderElection
from application.process_managers.log_following import INTERVAL, follow_as_leader
from application.subscriptions.event_tail import EventPage, EventTail
from domain.execution.commands import Command
from domain.refusals import RefusalCode

_log = structlog.get_logger(__name__)

PAUSE = 0.2
AT_ONCE = 256
TRIES = 5
"""How often a command is sent that fails with an unexpected error."""
AGAIN = frozenset({RefusalCode.OVERLOADED, RefusalCode.OUTCOME_UNKNOWN})

_POSITION = "SELECT position FROM projection_positions WHERE name = %s"
_SAVE_POSITION = """
    UPDATE projection_positions SET position = greatest(position, %s) WHERE name = %s
"""


class LogProcessManager(ABC):
    """Follows the log while this process is the leader.

    ``name`` is that of its position in ``projection_positions``. ``skipped`` counts what could not
    be done.
    """

    name: str
    skipped: prometheus_client.Counter

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

    @abstractmethod
    async def commands(self, event: LoggedEvent) -> list[Command]:
        """Return the commands that an event causes."""

    @abstractmethod
    async def after_refusal(self, command: Command, refused: Refused) -> list[Command]:
        """Return what to send in place of a command that was refused."""

    async def prepare(self) -> None:  # noqa: B027 - most have nothing to prepare
        """Get ready to follow the log, from the saved position on."""

    async def start(self) -> None:
        """Start to follow the log."""
        following = follow_as_leader(
            self.name, self._tail, self._election, begin=self._begin, act=self._act
        )
        self._tasks = [asyncio.create_task(following, name=f"placet-{self.name}")]

    async def close(self) -> None:
        """Stop."""
        await stop(self._tasks)

    async def _begin(self) -> int:
        async with self._pool.connection() as connection:
            row = await (await connection.execute(_POSITION, [self.name])).fetchone()
        await self.prepare()
        return 0 if row is None else row[0]

    async def _act(self, page: EventPage) -> None:
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
            await connection.execute(_SAVE_POSITION, (position, self.name))
        self._saved_at = monotonic()

    async def _commands_or_none(self, event: LoggedEvent) -> list[Command]:
        """Return the commands that an event causes. An error is reported, and gives no commands.

        Otherwise an event with an error would stop all later ones, also after a restart.
        """
        try:
            return await self.commands(event)
        except (psycopg.Error, PoolTimeout):
            raise
        except DAMAGE as error:
            id_ = str(event.recorded.execution_id)
            _log.error("stream_damaged", manager=self.name, id=id_, error=str(error))
            return []
        except Exception:  # noqa: BLE001 - reported
            self.skipped.labels(type(event.recorded.event).__name__).inc()
            _log.exception(
                "event_skipped",
                manager=self.name,
                id=str(event.recorded.execution_id),
                version=event.recorded.version,
            )
            return []

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
                        trace=cause.recorded.trace,
                    )
                    for command, cause in sent
                ]
            )
            again: list[tuple[Command, LoggedEvent]] = []
            waits = False
            for (command, cause), outcome in zip(sent, outcomes, strict=True):
                faults[command.execution_id] += _is_fault(outcome)
                if faults[command.execution_id] >= TRIES:
                    # It would probably fail for ever, and all others would wait for it.
                    self._report(command, outcome)
                    continue
                following = await self._follow_up(command, outcome)
                waits = waits or command in following
                again += [(each, cause) for each in following]
            if any(_is_overload(outcome) for outcome in outcomes):
                at_once = max(at_once // 2, 1)
            if waits:
                await asyncio.sleep(PAUSE)
            left.extendleft(reversed(again))

    async def _follow_up(self, command: Command, outcome: Outcome) -> Sequence[Command]:
        """Return the next commands: the same again, or what comes after a refusal, or none."""
        match outcome:
            case Accepted():
                return ()
            case Refused(code=code) if code in AGAIN:
                return (command,)
            case Refused():
                try:
                    return await self.after_refusal(command, outcome)
                except DAMAGE as error:
                    self._report(command, error)
                    return ()
            case _ if isinstance(outcome, DAMAGE):
                self._report(command, outcome)
                return ()
            case _:
                return (command,)

    def _report(self, command: Command, outcome: Outcome) -> None:
        self.skipped.labels(type(command).__name__).inc()
        _log.error(
            "command_skipped",
            manager=self.name,
            command=type(command).__name__,
            id=str(command.execution_id),
            error=str(outcome),
        )


def _is_overload(outcome: Outcome) -> bool:
    return isinstance(outcome, Refused) and outcome.code is RefusalCode.OVERLOADED


def _is_fault(outcome: Outcome) -> bool:
    """Whether a command failed with an unexpected error, which may be permanent."""
    return isinstance(outcome, Exception) and not isinstance(outcome, (UnavailableError, *DAMAGE))
