"""The projector, compared with the library's ``ProjectionRunner`` that writes the same rows."""

import asyncio
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
from eventsourcing.persistence import Tracking
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from eventsourcing.utils import EnvType
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import dict_row, tuple_row

import placet
from application.event_store.chained_events import ChainedEvent
from application.event_store.store import ExecutionEventStore
from bench.log_load import ask, library_settings, send, start, step, writer
from bench.measure import Bound, Result, milliseconds
from bench.stack import stack
from bench.steady import steady_load
from domain.execution.commands import Command
from domain.execution.evolve import evolve
from domain.execution.state import Execution
from projections.querying.checkpoints import Checkpoints
from projections.registry import MODELS
from projections.runtime.projector import Projector
from projections.runtime.read_model import Change
from projections.runtime.rebuild import rebuild

FEW = 500
"""How many lifecycles the slower one projects. Its rate does not depend on their number."""
MANY = 10_000
RATE = 200
SECONDS = 10.0


class RunnerLog(ExecutionEventStore):
    """The event store, with the constructor that the runner calls."""

    name = "execution"

    def __init__(self, env: EnvType | None = None) -> None:
        assert env is not None
        super().__init__(env["CONNINFO"])


class Rows(PostgresTrackingRecorder):
    """Writes an event's rows and its tracking in one transaction."""

    def write(self, change: Change, after: int, tracking: Tracking) -> None:
        with self.datastore.transaction(commit=True) as cursor:
            connection: Any = cursor.connection
            connection.row_factory = tuple_row
            for model in MODELS.values():
                model.write(connection, [change], after, tracking.notification_id)
            connection.row_factory = dict_row
            self._insert_tracking(cursor, tracking)


class EventByEvent(Projection[Rows]):
    """The library's way: one transaction for each event with its rows."""

    name = "bench"

    def __init__(self, view: Rows) -> None:
        super().__init__(view)
        self._states: dict[UUID, Execution] = {}
        self._position = 0

    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        assert isinstance(domain_event, ChainedEvent)
        recorded = domain_event.recorded
        before = self._states.get(recorded.execution_id)
        after = evolve(before, recorded)
        self._states[after.id] = after
        ordinal = getattr(recorded.event, "ordinal", None)
        touched = {} if ordinal is None else {ordinal: after}
        requested = set(after.approvals) - set(() if before is None else before.approvals)
        change = Change(after, before is None, requested, touched)
        self.view.write(change, self._position, tracking)
        self._position = tracking.notification_id


async def run(url: str) -> Result:
    """Measure."""
    result = Result("Projecting: events a second into executions and approvals")
    few = await _fill(url, FEW)
    with _copy(url) as copy:
        waiting = await asyncio.to_thread(_runner, copy, few)
    with _copy(url) as copy:
        _without_disk(copy)
        not_waiting = await asyncio.to_thread(_runner, copy, few)
    end = await _fill(url, MANY)
    ours = await asyncio.to_thread(_projector, url, end)
    result.add("ProjectionRunner", **{"events/s": few / waiting, "events": few})
    result.add(
        "ProjectionRunner, synchronous_commit off",
        **{"events/s": few / not_waiting, "events": few},
    )
    result.add("projector", **{"events/s": end / ours, "events": end})
    for name, model in MODELS.items():
        done = await asyncio.to_thread(rebuild, url, model)
        result.add(f"rebuild of {name}", **{"events/s": done.rate, "events": done.events})
    ratio = (end / ours) / (few / waiting)
    result.bounds.append(Bound("projector to ProjectionRunner", ratio, 20.0))
    result.notes.append(
        "The projector's commits do not wait for the disk, because it can project the log again. "
        f"To a runner that does not wait either, it is {(end / ours) / (few / not_waiting):.1f}."
    )
    await _lag(url, result)
    return result


async def _fill(url: str, number: int) -> int:
    commands: list[Command] = []
    for n in range(number):
        id_ = uuid4()
        commands += [start(n, id_), step(id_, "one"), ask(n, id_), step(id_, "two")]
    async with writer(url) as to:
        return await send(to, commands)


@contextmanager
def _copy(url: str) -> Iterator[str]:
    """Make a copy of the database. Nothing may be connected to it."""
    name = "bench_copy"
    source = conninfo_to_dict(url)["dbname"]
    with psycopg.connect(make_conninfo(url, dbname="postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {source}")
        yield make_conninfo(url, dbname=name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _without_disk(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        name = conninfo_to_dict(url)["dbname"]
        connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")


def _runner(url: str, end: int) -> float:
    env = {**library_settings(url), "CONNINFO": url}
    began = time.perf_counter()
    with ProjectionRunner(
        application_class=RunnerLog, projection_class=EventByEvent, view_class=Rows, env=env
    ) as runner:
        runner.wait(end, timeout=600)
        return time.perf_counter() - began


_STANDS = (
    "SELECT min(position) FROM projection_positions"
    " WHERE name NOT IN ('children', 'standing_grant_uses')"
)


def _projector(url: str, end: int) -> float:
    checkpoints = Checkpoints()
    projector = Projector(url, MODELS.values(), checkpoints=checkpoints)
    began = time.perf_counter()
    projector.start()
    with psycopg.connect(url, autocommit=True) as connection:
        while True:
            found = connection.execute(_STANDS).fetchall()
            if found == [(end,)]:
                break
            time.sleep(0.005)
    seconds = time.perf_counter() - began
    projector.close()
    return seconds


async def _lag(url: str, result: Result) -> None:
    """Measure the time from a command's answer until a query sees it, while the log grows."""
    with (
        tempfile.TemporaryDirectory() as data,
        stack(Path(data), database_url=url) as server,
        steady_load(server, RATE, SECONDS),
    ):
        async with placet.Client(server.url, server.tokens["operator"]) as operator:
            lags: list[float] = []
            until = time.perf_counter() + SECONDS * 0.8
            while time.perf_counter() < until:
                accepted = await operator.start("lag", {"n": len(lags)})
                began = time.perf_counter()
                await operator.executions(first=1, at_least=accepted.position)
                lags.append(time.perf_counter() - began)
                await asyncio.sleep(0.02)
    result.add(f"lag of the read model at {RATE} commands/s", **milliseconds(lags))
