"""The writer: one task that turns all commands queued at a moment into one commit.

Throughput comes from the batches, order from the log's lock. As a rule a batch is decided on the
states in the cache and sent with them as a condition, so that lock, check and commit are one round
trip; if another process was there first, it is decided anew under the lock. Nobody is told anything
before the commit, also no refusal and no repeat, because they are true of the state at the lock.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter
from typing import NamedTuple

import psycopg
import structlog
from eventsourcing.persistence import PersistenceError
from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_after_delay,
    wait_random_exponential,
)

from application import metrics
from application.command_handling.batch import CommandBatch
from application.command_handling.batch_loader import BatchLoader
from application.command_handling.outcomes import Accepted, Outcome, Refused
from application.command_handling.requests import Request, RequestGroup
from application.command_handling.unit_of_work import Committed, OvertakenError, UnitOfWork
from application.event_store.recent_events import RecentEvents
from application.event_store.recorded import FoldedEvent, at_position
from application.event_store.snapshot_writer import SnapshotWriter
from application.event_store.snapshots import snapshot_due
from application.event_store.store import ExecutionEventStore
from application.write_refusals import WriteRefusals, refused_write, rolled_back
from domain.refusals import RefusalCode

_log = structlog.get_logger(__name__)

DATABASE_ERRORS = (psycopg.Error, PersistenceError)
LOOK_UP_FOR = 5.0
LOOK_EVERY = 5.0
NO_DATABASE = "the database can't be reached"
NOTHING_RECORDED = "; nothing was recorded, try again later"
UNKNOWN = "the database's answer was lost; repeat the command, it is idempotent"
OVERLOADED = "too many commands are waiting; nothing was recorded, try again later"


class Commit(NamedTuple):
    """Events just committed, each with the head after it.

    ``after`` is the position of the event before the first of them, None if that is not known.
    """

    after: int | None
    entries: tuple[FoldedEvent, ...]
    writer_pid: int


class _UnansweredError(Exception):
    """A batch was sent to be committed, and the answer is an error or none."""

    def __init__(self, batch: CommandBatch, reason: Exception) -> None:
        super().__init__(str(reason))
        self.batch = batch
        self.reason = reason


class Writer:
    """Takes requests on an event loop and answers each when its commit is done.

    ``queue_limit`` is the number of requests that may wait, ``batch_limit`` that of one commit,
    ``time_limit`` the seconds after which a caller is told that the outcome is not known. After
    ``look_every`` seconds it looks at the database's clock, if it has nothing to do: what comes
    after a long rest can then be committed in one round trip, on a connection that works.
    ``on_commit`` is called after each commit with events, before anybody is answered, and before
    the cache has the states; it must not wait.
    """

    def __init__(
        self,
        log: ExecutionEventStore,
        recent: RecentEvents,
        *,
        queue_limit: int = 4096,
        batch_limit: int = 256,
        time_limit: float = 15.0,
        look_every: float = LOOK_EVERY,
        on_commit: Callable[[Commit], None] = lambda _: None,
    ) -> None:
        self._log = log
        self._states = recent.states
        self.write_refusals = WriteRefusals()
        # A server that took over from another one may have lost what was seen of the log.
        self._unit_of_work = UnitOfWork(log.log_recorder, on_connect=recent.forget)
        self._queue_limit = queue_limit
        self._batch_limit = batch_limit
        self._time_limit = time_limit
        self._on_commit = on_commit
        self._queue: deque[RequestGroup] = deque()
        self._depth = 0
        self._closing = False
        self._changed = asyncio.Event()
        self._look_every = look_every
        self._look_due = False
        self._look_later: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._snapshots = SnapshotWriter(log.conninfo)

    @property
    def depth(self) -> int:
        """The number of requests that wait for their turn."""
        return self._depth

    def start(self) -> None:
        """Begin, on the loop that runs."""
        self._task = asyncio.create_task(self._run(), name="placet-writer")
        metrics.QUEUE_DEPTH.set_function(lambda: self.depth)
        self._have_it_look()

    async def close(self) -> None:
        """Answer what is queued, take nothing more and end."""
        self._closing = True
        self._changed.set()
        if self._look_later is not None:
            self._look_later.cancel()
        if self._task is not None:
            await self._task
        # It would keep this writer, and the states that it has.
        metrics.QUEUE_DEPTH.set_function(lambda: 0)
        await asyncio.to_thread(self._snapshots.close)
        await self._unit_of_work.drop()

    async def handle(self, requests: Sequence[Request], *, chained: bool = False) -> list[Outcome]:
        """Carry requests out and give one outcome for each, in order.

        ``chained``: after a refused request, later ones of the same execution are SKIPPED.
        """
        if not requests:
            return []
        call = RequestGroup(requests, chained=chained)
        if self._closing or self._depth + len(requests) > self._queue_limit:
            outcomes = call.all_refused(RefusalCode.OVERLOADED, OVERLOADED)
            _count(call, outcomes)
            return outcomes
        self._queue.append(call)
        self._depth += len(requests)
        self._changed.set()
        call.expire_after(self._time_limit, self._expire)
        return await call.future

    def _expire(self, call: RequestGroup) -> None:
        if call.taken:
            call.answer(call.all_refused(RefusalCode.OUTCOME_UNKNOWN, UNKNOWN))
            return
        self._queue.remove(call)
        self._depth -= len(call.requests)
        call.answer(call.all_unavailable(NO_DATABASE + NOTHING_RECORDED))

    async def _run(self) -> None:
        while calls := await self._take():
            try:
                answers = await self._process(calls)
            except Exception as error:  # noqa: BLE001 - it is the callers' answer
                _log.exception("batch_failed", requests=sum(len(c.requests) for c in calls))
                await self._unit_of_work.drop()
                answers = {call: [error for _ in call.requests] for call in calls}
            if not self._queue:
                # Whoever was woken by the commit goes first.
                await asyncio.sleep(0)
            metrics.BATCH_SIZE.observe(sum(len(call.requests) for call in calls))
            for call, outcomes in answers.items():
                _count(call, outcomes)
                call.answer(outcomes)

    async def _take(self) -> list[RequestGroup]:
        """Give what is queued, at least one call, or none at the end."""
        while not self._queue and not self._closing:
            if self._look_due:
                await self._look()
                continue
            self._changed.clear()
            await self._changed.wait()
        calls: list[RequestGroup] = []
        size = 0
        while self._queue and (
            not calls or size + len(self._queue[0].requests) <= self._batch_limit
        ):
            call = self._queue.popleft()
            call.taken = True
            calls.append(call)
            size += len(call.requests)
        self._depth -= size
        return calls

    def _have_it_look(self) -> None:
        loop = asyncio.get_running_loop()
        self._look_later = loop.call_later(self._look_every, self._have_it_look)
        self._look_due = True
        self._changed.set()

    async def _look(self) -> None:
        self._look_due = False
        try:
            await self._unit_of_work.look()
        except DATABASE_ERRORS:
            # Whoever commands next is told what is wrong.
            await self._unit_of_work.drop()
        except Exception:  # noqa: BLE001 - logged, and the writer goes on
            _log.exception("look_failed")
            await self._unit_of_work.drop()

    async def _process(self, calls: list[RequestGroup]) -> dict[RequestGroup, list[Outcome]]:
        # A connection may have died unnoticed since it was last used, so each batch has a second
        # try on a new one. What was not committed is simply decided again.
        may_come = False
        problem = NO_DATABASE
        for _ in range(2):
            began = perf_counter()
            try:
                batch, committed = await self._carry_out(calls)
            except psycopg.errors.LockNotAvailable as error:
                _log.warning("log_lock_timeout", error=str(error))
                await self._unit_of_work.drop()
                break
            except DATABASE_ERRORS as error:
                _log.debug("log_unreachable", error=str(error))
                await self._unit_of_work.drop()
                continue
            except _UnansweredError as error:
                await self._unit_of_work.drop()
                self.write_refusals.note(error.reason)
                problem = refused_write(error.reason) or problem
                batch = error.batch
                if not batch.appended or rolled_back(error.reason):
                    _log.info("commit_refused", error=str(error))
                    continue
                _log.warning("commit_unanswered", error=str(error))
                try:
                    looked_up = await self._look_up(batch)
                except DATABASE_ERRORS as second:
                    _log.warning("commit_unknown", error=str(second))
                    may_come = True
                    break
                if looked_up is None:
                    # It may be on its way still, and is carried out if no try comes before it.
                    may_come = may_come or isinstance(error.reason, psycopg.OperationalError)
                    continue
                committed = looked_up
            took = perf_counter() - began
            self._publish(batch, committed)
            metrics.COMMIT_SECONDS.observe(took)
            return batch.outcomes(committed.positions, committed.repeats)
        if may_come:
            return {call: call.all_refused(RefusalCode.OUTCOME_UNKNOWN, UNKNOWN) for call in calls}
        return {call: call.all_unavailable(problem + NOTHING_RECORDED) for call in calls}

    async def _carry_out(self, calls: list[RequestGroup]) -> tuple[CommandBatch, Committed]:
        """Decide and commit. Raises _UnansweredError if the commit may have happened or not."""
        attempt = BatchLoader(self._unit_of_work, self._states, calls)
        await attempt.gather()
        batch = attempt.foreseen()
        if batch is not None:
            try:
                committing = self._unit_of_work.commit_expecting(batch, attempt.versions)
                return batch, await _sent(batch, committing)
            except OvertakenError:
                metrics.OVERTAKEN.inc()
        batch = await attempt.under_lock()
        return batch, await _sent(batch, self._unit_of_work.commit(batch))

    async def _look_up(self, batch: CommandBatch) -> Committed | None:
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(DATABASE_ERRORS),
            stop=stop_after_delay(LOOK_UP_FOR),
            wait=wait_random_exponential(multiplier=0.05, max=1),
            reraise=True,
        ):
            with attempt:
                try:
                    return await self._unit_of_work.look_up(batch)
                except DATABASE_ERRORS:
                    await self._unit_of_work.drop()
                    raise
        return None

    def _publish(self, batch: CommandBatch, committed: Committed) -> None:
        if batch.appended:
            self.write_refusals.accepted()
            self._tell(batch, committed)
        for execution_id, head in batch.heads.items():
            self._states.put(head)
            before = batch.before.get(execution_id)
            first = 0 if before is None else before.version
            if snapshot_due(first, head.version):
                self._snapshots.offer(head)

    def _tell(self, batch: CommandBatch, committed: Committed) -> None:
        entries = tuple(
            [
                FoldedEvent(at_position(event, position), head)
                for event, position, head in zip(
                    batch.appended, committed.positions, batch.folded, strict=True
                )
            ]
        )
        writer_pid = self._unit_of_work.backend_pid
        assert writer_pid is not None
        try:
            self._on_commit(Commit(committed.after, entries, writer_pid))
        except Exception:  # noqa: BLE001 - logged
            # It is committed, whatever becomes of those who are told.
            _log.exception("commit_not_published")


async def _sent(batch: CommandBatch, committing: Awaitable[Committed]) -> Committed:
    """Give what the commit came to. Raises _UnansweredError if it may have happened or not."""
    try:
        return await committing
    except psycopg.errors.LockNotAvailable:
        raise
    except DATABASE_ERRORS as error:
        raise _UnansweredError(batch, error) from error


def _count(call: RequestGroup, outcomes: list[Outcome]) -> None:
    for request, outcome in zip(call.requests, outcomes, strict=True):
        match outcome:
            case Accepted():
                name = "repeated" if outcome.repeated else "accepted"
            case Refused():
                name = "refused"
                metrics.REFUSALS.labels(outcome.code).inc()
            case _:
                name = "failed"
        metrics.COMMANDS.labels(type(request.command).__name__, name).inc()
