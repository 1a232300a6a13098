"""Deciding: deadlines due under load, many due at once, and a large policy with many decisions."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import psycopg
from msgspec.structs import replace
from psycopg_pool import AsyncConnectionPool

from api.container import serve
from api.settings import Settings
from application.command_handling.writer import Writer
from application.event_store.reader import Reader
from application.event_store.recent_events import RecentEvents
from application.subscriptions.event_tail import EventTail
from bench.folding import history_of
from bench.log_load import ask, send, start, writer
from bench.measure import Bound, Result, median, milliseconds
from domain.approvals.commands import Decide
from domain.approvals.events import ApprovalExpired
from domain.approvals.policy import Policy, Requirement
from domain.approvals.state import Verdict
from domain.execution.decide import decide
from domain.execution.evolve import fold
from domain.values import Principal, Role

DUE = 10_000
AHEAD = timedelta(seconds=25)
"""Until then all of them must be requested."""
IN_SECONDS = 10.0
UNDER_LOAD_AHEAD = timedelta(seconds=5)
IN_ONE_SECOND, SPREAD = 499, timedelta(seconds=1)
LATEST_MS = 1000.0
BUSY = 16
"""So many callers start executions while the deadlines pass."""
STAGES, IN_A_STAGE, COUNT = 5, 2, 10
DECISIONS = STAGES * IN_A_STAGE * COUNT
ROUNDS = 100
MILLISECONDS = 1.0


async def run(url: str) -> Result:
    """Measure."""
    result = Result("Deciding")
    await _expire_under_load(url, result)
    await _expire(url, result)
    await _large_policy(url, result)
    return result


async def _expire_under_load(url: str, result: Result) -> None:
    """Let deadlines pass within a second while others send commands."""
    settings = Settings.read(database_url=url, mode="production")
    async with serve(settings, url, {}) as server:
        to = server.services.writer
        first = datetime.now(UTC) + UNDER_LOAD_AHEAD
        deadlines = {
            uuid4(): first + number * SPREAD / IN_ONE_SECOND for number in range(IN_ONE_SECOND)
        }
        await send(to, (start(number, id_) for number, id_ in enumerate(deadlines)))
        asked = enumerate(deadlines.items())
        await send(to, (replace(ask(n, id_), deadline=at) for n, (id_, at) in asked))
        assert datetime.now(UTC) < first, "the requests took too long"
        async with _busy(to) as others:
            late = await _lateness(server.services.tail, deadlines)
    assert min(late) >= 0, "a deadline acted before its time"
    figures = {**milliseconds(late), "latest ms": max(late) * 1000, "others' commands": len(others)}
    result.add(f"{IN_ONE_SECOND} deadlines due within a second, under load", **figures)
    what = f"the latest of {IN_ONE_SECOND} deadlines due within a second, ms"
    result.bounds.append(Bound(what, max(late) * 1000, LATEST_MS, at_least=False))


@asynccontextmanager
async def _busy(to: Writer) -> AsyncIterator[list[UUID]]:
    """Start executions all the time, from several callers. Yields the ids of those started."""
    started: list[UUID] = []

    async def work() -> None:
        while True:
            id_ = uuid4()
            await send(to, [start(len(started), id_)])
            started.append(id_)

    working = [asyncio.create_task(work()) for _ in range(BUSY)]
    try:
        yield started
    finally:
        for task in working:
            task.cancel()
        for ended in await asyncio.gather(*working, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended


async def _lateness(tail: EventTail, deadlines: Mapping[UUID, datetime]) -> list[float]:
    """Wait until all have expired, and return how late each was, in seconds."""
    late: dict[UUID, float] = {}
    async for batch in tail.follow(0):
        for recorded in (each.recorded for each in batch.events):
            if isinstance(recorded.event, ApprovalExpired):
                id_ = recorded.execution_id
                late[id_] = (recorded.at - deadlines[id_]).total_seconds()
        if len(late) == len(deadlines):
            break
    return list(late.values())


async def _expire(url: str, result: Result) -> None:
    settings = Settings.read(database_url=url, mode="production")
    async with serve(settings, url, {}) as server:
        to = server.services.writer
        deadline = datetime.now(UTC) + AHEAD
        ids = [uuid4() for _ in range(DUE)]
        await send(to, (start(number, id_) for number, id_ in enumerate(ids)))
        await send(to, (replace(ask(n, id_), deadline=deadline) for n, id_ in enumerate(ids)))
        early = (deadline - datetime.now(UTC)).total_seconds()
        assert early > 0, f"the requests took {-early:.1f} s too long"
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            assert await _waiting(connection) == DUE
            await asyncio.sleep(early)
            while await _waiting(connection):  # noqa: ASYNC110 - it is in the database
                await asyncio.sleep(0.05)
            seconds = (datetime.now(UTC) - deadline).total_seconds()
    result.add(f"{DUE} deadlines due at once", **{"seconds": seconds, "a second": DUE / seconds})
    what = f"seconds from the deadline of {DUE} approvals to the expiry of the last"
    result.bounds.append(Bound(what, seconds, IN_SECONDS, at_least=False))


async def _waiting(connection: psycopg.AsyncConnection) -> int:
    cursor = await connection.execute("SELECT count(*) FROM execution_timers")
    [number] = await cursor.fetchone() or ()
    return int(number)


async def _large_policy(url: str, result: Result) -> None:
    """Fold the decisions of a large policy, and decide the last one."""
    policy = Policy(
        requirements=tuple(
            Requirement(groups=(f"group-{stage}-{number}",), count=COUNT, stage=stage)
            for stage in range(1, STAGES + 1)
            for number in range(IN_A_STAGE)
        )
    )
    people = [
        Principal(
            id=f"person-{number}",
            name=f"Person {number}",
            roles=frozenset({Role.APPROVER}),
            groups=frozenset(policy.requirements[number // COUNT].groups),
        )
        for number in range(DECISIONS)
    ]
    id_ = uuid4()
    async with writer(url) as to:
        await send(to, [start(0, id_), replace(ask(0, id_), policy=policy)])
        async with AsyncConnectionPool(url, kwargs={"autocommit": True}, open=False) as pool:
            [_, asked] = await history_of(Reader(RecentEvents(), pool), id_, 2)
            digest = asked.recorded.event.digest  # type: ignore[attr-defined]
            grants = [_grant(person, id_, digest) for person in people]
            await send(to, grants[:-1])
            events = await history_of(Reader(RecentEvents(), pool), id_, DECISIONS + 1)
    recorded = [event.recorded for event in events]
    folds, decisions = [], []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        state = fold(None, recorded)
        folded = time.perf_counter()
        decided = decide(state, grants[-1], recorded[-1].at)
        decisions.append(time.perf_counter() - folded)
        folds.append(folded - began)
        assert len(decided) == 2, "the last decision resolves it"
    fold_ms, decide_ms = median(folds) * 1000, median(decisions) * 1000
    what = f"{len(policy.requirements)} requirements in {STAGES} stages, {DECISIONS} decisions"
    result.add(what, **{"fold ms": fold_ms, "decide ms": decide_ms, "both ms": fold_ms + decide_ms})
    result.bounds.append(
        Bound(f"{what}: ms to fold and decide", fold_ms + decide_ms, MILLISECONDS, at_least=False)
    )


def _grant(person: Principal, execution_id: UUID, digest: str) -> Decide:
    return Decide(
        by=person,
        execution_id=execution_id,
        ordinal=1,
        verdict=Verdict.GRANTED,
        digest=digest,
    )
