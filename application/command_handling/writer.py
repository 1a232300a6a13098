"""The writer: one task that decides all queued commands as a batch and commits the events.

A batch is usually decided on the states in the cache. The statement that commits it also takes the
log's lock and checks that these states are still the latest, so there is one round trip. If another
process has committed first, the batch is decided again under the lock. All answers wait for the
commit, also refusals and repeats, because they depend on the state under the lock.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from math import inf
from time import monotonic, perf_counter
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
from application.command_handling.command_spans import (
    CommandSpans,
    begin_commit,
    end_commit,
    outcome_name,
)
from application.command_handling.outcomes import Outcome, Refused
from application.command_handling.requests import Request, RequestGroup
from application.command_handling.unit_of_work import Committed, OvertakenError, UnitOfWork
from application.command_handling.write_refusals import WriteRefusals, refused_write, rolled_back
from application.event_store.chained_events import FoldedEvent, at_position
from application.event_store.recent_events import RecentEvents
from application.event_store.snapshot_writer import SnapshotWriter
from application.event_store.snapshots import snapshot_due
from application.event_store.store import ExecutionEventStore
from application.tracing import tracing
from domain.execution.state import Execution
from domain.refusals import RefusalCode

_log = structlog.get_logger(__name__)

DATABASE_ERRORS = (psycopg.Error, PersistenceError)
LOOK_UP_SECONDS = 5.0
CLOCK_INTERVAL = 5.0
BUSY_SECONDS = 0.02
"""For how long after a request others are expected."""
NO_DATABASE = "the database can't be reached"
NOTHING_RECORDED = "; nothing was recorded, try again later"
UNKNOWN = "the database's answer was lost; repeat the command, which is idempotent"
OVERLOADED = "too many commands are waiting; nothing was recorded, try again later"


class Commit(NamedTuple):
    """The events of a commit, each with the head after it.

    ``after`` is the position of the event before the first of them, None if it is not known.
    """

    after: int | None
    entries: tuple[FoldedEvent, ...]
    writer_pid: int


class _UnansweredError(Exception):
    """A commit was sent, and the answer was an error or did not come."""

    def __init__(self, batch: CommandBatch, reason: Exception) -> None:
        super().__init__(str(reason))
        self.batch = batch
        self.reason = reason


class Writer:
    """Takes requests on an event loop, and answers each after its commit.

    ``queue_limit`` is how many requests may wait, ``batch_limit`` how many one commit may have.
    After ``time_limit`` seconds a caller is answered that the outcome is not known. An idle writer
    reads the database's clock every ``clock_interval`` seconds. So the first command after a quiet
    period can be committed in one round trip, on a connection that works. ``on_commit`` is called
    after each commit with events, before any answer and before the cache has the states. It must
    not block.
    """

    def __init__(
        self,
        log: ExecutionEventStore,
        recent: RecentEvents,
        *,
        queue_limit: int = 4096,
        batch_limit: int = 256,
        time_limit: float = 15.0,
        clock_interval: float = CLOCK_INTERVAL,
        on_commit: Callable[[Commit], None] = lambda _: None,
    ) -> None:
        self._log = log
        self._recent = recent
        self._states = recent.states
        self.write_refusals = WriteRefusals()
        # After a failover, the new PostgreSQL may lack events that are in memory here.
        self._unit_of_work = UnitOfWork(log.log_recorder, on_connect=recent.forget)
        self._queue_limit = queue_limit
        self._batch_limit = batch_limit
        self._time_limit = time_limit
        self._on_commit = on_commit
        self._queue: deque[RequestGroup] = deque()
        self._depth = 0
        self._asked_at = -inf
        self._closing = False
        self._changed = asyncio.Event()
        self._clock_interval = clock_interval
        self._clock_due = False
        self._clock_timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._snapshots = SnapshotWriter(log.conninfo)

    @property
    def depth(self) -> int:
        """The number of requests in the queue."""
        return self._depth

    @property
    def busy(self) -> bool:
        """Whether a request waits or came a moment ago. What is less urgent gives way then."""
        return self._depth > 0 or monotonic() - self._asked_at < BUSY_SECONDS

    def start(self) -> None:
        """Start the task on the running event loop."""
        self._task = asyncio.create_task(self._run(), name="placet-writer")
        metrics.QUEUE_DEPTH.set_function(lambda: self.depth)
        self._schedule_clock_reading()

    async def close(self) -> None:
        """Accept no further requests, answer the queued ones, and stop."""
        self._closing = True
        self._changed.set()
        if self._clock_timer is not None:
            self._clock_timer.cancel()
        if self._task is not None:
            await self._task
        # The metric's function would keep this writer and its states in memory.
        metrics.QUEUE_DEPTH.set_function(lambda: 0)
        await asyncio.to_thread(self._snapshots.close)
        await self._unit_of_work.drop()

    async def handle(self, requests: Sequence[Request], *, chained: bool = False) -> list[Outcome]:
        """Carry out requests, and return one outcome for each, in order.

        ``chained``: after a refused request, later ones for the same execution are SKIPPED.
        """
        if not requests:
            return []
        self._asked_at = monotonic()
        if tracing.on:
            spans = CommandSpans(requests)
            group = RequestGroup(spans.requests, chained=chained, spans=spans)
        else:
            group = RequestGroup(requests, chained=chained)
        if self._closing or self._depth + len(requests) > self._queue_limit:
            outcomes = group.all_refused(RefusalCode.OVERLOADED, OVERLOADED)
            _count(group, outcomes)
            group.answer(outcomes)
            return outcomes
        self._queue.append(group)
        self._depth += len(requests)
        self._changed.set()
        group.expire_after(self._time_limit, self._expire)
        return await group.future

    def _expire(self, group: RequestGroup) -> None:
        if group.taken:
            group.answer(group.all_refused(RefusalCode.OUTCOME_UNKNOWN, UNKNOWN))
            return
        self._queue.remove(group)
        self._depth -= len(group.requests)
        group.answer(group.all_unavailable(NO_DATABASE + NOTHING_RECORDED))

    async def _run(self) -> None:
        while groups := await self._take():
            span = begin_commit(groups) if tracing.on else None
            try:
                answers = await self._process(groups)
            except Exception as error:  # noqa: BLE001 - it is the callers' answer
                _log.exception("batch_failed", requests=sum(len(c.requests) for c in groups))
                await self._unit_of_work.drop()
                answers = {group: [error for _ in group.requests] for group in groups}
            if span is not None:
                end_commit(span, answers.values())
            if not self._queue:
                # Let the tasks run first that the commit has woken.
                await asyncio.sleep(0)
            metrics.BATCH_SIZE.observe(sum(len(group.requests) for group in groups))
            for group, outcomes in answers.items():
                _count(group, outcomes)
                group.answer(outcomes)

    async def _take(self) -> list[RequestGroup]:
        """Wait for groups in the queue, and return them. Returns none at the end."""
        while not self._queue and not self._closing:
            if self._clock_due:
                await self._read_clock()
                continue
            self._changed.clear()
            await self._changed.wait()
        groups: list[RequestGroup] = []
        size = 0
        while self._queue and (
            not groups or size + len(self._queue[0].requests) <= self._batch_limit
        ):
            group = self._queue.popleft()
            group.taken = True
            groups.append(group)
            size += len(group.requests)
        self._depth -= size
        return groups

    def _schedule_clock_reading(self) -> None:
        loop = asyncio.get_running_loop()
        self._clock_timer = loop.call_later(self._clock_interval, self._schedule_clock_reading)
        self._clock_due = True
        self._changed.set()

    async def _read_clock(self) -> None:
        self._clock_due = False
        try:
            await self._unit_of_work.read_clock()
        except DATABASE_ERRORS:
            # The next command reports the error.
            await self._unit_of_work.drop()
        except Exception:  # noqa: BLE001 - logged, and the writer goes on
            _log.exception("clock_reading_failed")
            await self._unit_of_work.drop()

    async def _process(self, groups: list[RequestGroup]) -> dict[RequestGroup, list[Outcome]]:
        # The connection may have broken since it was last used, so each batch gets a second try on
        # a new one. A batch that was not committed can be decided again.
        may_commit_later = False
        problem = NO_DATABASE
        for _ in range(2):
            began = perf_counter()
            try:
                batch, committed = await self._decide_and_commit(groups)
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
                    may_commit_later = True
                    break
                if looked_up is None:
                    # It may still be in flight, and is carried out unless the second try is first.
                    may_commit_later = may_commit_later or isinstance(
                        error.reason, psycopg.OperationalError
                    )
                    continue
                committed = looked_up
            took = perf_counter() - began
            self._publish(batch, committed)
            metrics.COMMIT_SECONDS.observe(took)
            return batch.outcomes(committed.positions, committed.repeats)
        if may_commit_later:
            return {
                group: group.all_refused(RefusalCode.OUTCOME_UNKNOWN, UNKNOWN) for group in groups
            }
        return {group: group.all_unavailable(problem + NOTHING_RECORDED) for group in groups}

    async def _decide_and_commit(
        self, groups: list[RequestGroup]
    ) -> tuple[CommandBatch, Committed]:
        """Decide and commit. Raises _UnansweredError if it is unknown whether it was committed."""
        loader = BatchLoader(self._unit_of_work, self._states, groups)
        await loader.gather()
        batch = loader.decide_without_lock()
        if batch is not None:
            try:
                commit = self._unit_of_work.commit_expecting(batch, loader.heads)
                return batch, await _send(batch, commit)
            except OvertakenError:
                metrics.OVERTAKEN.inc()
        batch = await loader.decide_under_lock()
        if loader.diverged:
            _log.error("log_diverged", reason="the log has other events than those in memory")
            self._recent.forget()
        return batch, await _send(batch, self._unit_of_work.commit(batch))

    async def _look_up(self, batch: CommandBatch) -> Committed | None:
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(DATABASE_ERRORS),
            stop=stop_after_delay(LOOK_UP_SECONDS),
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
            self._notify(batch, committed)
        for execution_id, head in batch.heads.items():
            self._states.put(head)
            before = batch.before.get(execution_id)
            first = 0 if before is None else before.version
            # A standing grant has too few events for a snapshot.
            if isinstance(head.state, Execution) and snapshot_due(first, head.version):
                self._snapshots.offer(head)

    def _notify(self, batch: CommandBatch, committed: Committed) -> None:
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
            # The commit is done, so an error of a follower must not fail the commands.
            _log.exception("commit_not_published")


async def _send(batch: CommandBatch, commit: Awaitable[Committed]) -> Committed:
    """Send the commit. Raises _UnansweredError if it is unknown whether it was committed."""
    try:
        return await commit
    except psycopg.errors.LockNotAvailable:
        raise
    except DATABASE_ERRORS as error:
        raise _UnansweredError(batch, error) from error


def _count(group: RequestGroup, outcomes: list[Outcome]) -> None:
    for request, outcome in zip(group.requests, outcomes, strict=True):
        if isinstance(outcome, Refused):
            metrics.REFUSALS.labels(outcome.code).inc()
        metrics.COMMANDS.labels(type(request.command).__name__, outcome_name(outcome)).inc()
