"""The cost of folding: microseconds for each event, and reading the state at a past version."""

import gc
import time
from uuid import UUID, uuid4

from psycopg_pool import AsyncConnectionPool

from application.event_store.chained_events import Head, LoggedEvent, advance
from application.event_store.reader import Reader
from application.event_store.recent_events import RecentEvents
from bench.log_load import send, start, step, writer
from bench.measure import Result, median, milliseconds
from domain.execution.evolve import fold
from domain.serialization.event_codec import decode

SIZES = (10, 1_000, 10_000)
ROUNDS = 5
LOOKS = 50


async def run(url: str) -> Result:
    """Measure."""
    result = Result("Folding, microseconds an event; executionAt at the middle")
    streams: dict[int, UUID] = {size: uuid4() for size in SIZES}
    async with writer(url) as to:
        for size, id_ in streams.items():
            await send(to, [start(size, id_), *(step(id_, f"step-{n}") for n in range(size - 1))])
    async with AsyncConnectionPool(url, kwargs={"autocommit": True}, open=False) as pool:
        for size, id_ in streams.items():
            events = await history_of(Reader(RecentEvents(), pool), id_, size)
            figures: dict[str, float | str] = {
                "fold": _per_event(size, lambda events=events: _fold(events)),
                "decode, fold": _per_event(size, lambda events=events: _decode(events)),
                "decode, check the chain, fold": _per_event(
                    size, lambda events=events: _advance(events)
                ),
            }
            # A new reader for each read, so that none has cached states.
            looks = []
            for n in range(LOOKS):
                reader = Reader(RecentEvents(), pool)
                began = time.perf_counter()
                assert await reader.past.at_version(id_, max(size // 2 - n % 7, 1)) is not None
                looks.append(time.perf_counter() - began)
            middle = milliseconds(looks)
            figures |= {"at the middle, p50 ms": middle["p50 ms"], "p99 ms": middle["p99 ms"]}
            result.add(f"{size} events", **figures)
    return result


async def history_of(reader: Reader, execution_id: UUID, size: int) -> list[LoggedEvent]:
    """Read all events. A page of them ends after some bytes."""
    events: list[LoggedEvent] = []
    while len(events) < size:
        page = await reader.history(execution_id, after=len(events), limit=size)
        assert page, "the execution has fewer events"
        events += page
    return events


def _per_event(size: int, work: object) -> float:
    assert callable(work)
    times = []
    repeats = max(10_000 // size, 1)
    gc.disable()
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(repeats):
            work()
        times.append((time.perf_counter() - began) / repeats / size * 1e6)
    gc.enable()
    return median(times)


def _fold(events: list[LoggedEvent]) -> None:
    assert fold(None, (event.recorded for event in events)) is not None


def _decode(events: list[LoggedEvent]) -> None:
    rows = (decode(e.recorded.execution_id, e.recorded.version, e.topic, e.stored) for e in events)
    assert fold(None, rows) is not None


def _advance(events: list[LoggedEvent]) -> None:
    head: Head | None = None
    for event in events:
        head = advance(head, event)
