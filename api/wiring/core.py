"""Builds what all other parts of a server stand on: the log, its writer, and what reads it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from psycopg_pool import AsyncConnectionPool

from api.database import reading_pool, retry_after, working_pool
from api.settings import Settings
from application.command_handling.writer import Writer
from application.event_store.reader import Reader
from application.event_store.reading import SharedPool
from application.event_store.recent_events import RecentEvents
from application.event_store.store import ExecutionEventStore
from application.process_managers.leader_election import LeaderElection
from application.subscriptions.event_tail import EventTail
from projections.querying.checkpoints import Checkpoints
from projections.registry import MODELS
from projections.runtime.projector import Projector


@dataclass(frozen=True, slots=True)
class Core:
    """The log, its writer, and what follows it.

    ``reads`` and ``client_reader`` are for queries and subscriptions of clients, ``pool`` and
    ``reader`` for workers, for deciders and for the server itself. ``read_again`` says whether a
    read that failed should be tried once more.
    """

    reads: SharedPool
    pool: AsyncConnectionPool
    read_again: Callable[[BaseException], Awaitable[bool]]
    store: ExecutionEventStore
    recent: RecentEvents
    reader: Reader
    client_reader: Reader
    writer: Writer
    tail: EventTail
    election: LeaderElection
    checkpoints: Checkpoints
    projector: Projector

    @property
    def pools(self) -> tuple[AsyncConnectionPool, ...]:
        """Its pools of connections, in the order in which they are opened."""
        return self.pool, self.reads


def build_core(settings: Settings, database_url: str) -> Core:
    """Build the log of a database and what follows it."""
    reads, pool = reading_pool(database_url, settings), working_pool(database_url, settings)
    store = ExecutionEventStore(
        database_url,
        lock_timeout=settings.lock_timeout,
        idle_in_transaction_timeout=settings.idle_in_transaction_timeout,
    )
    recent, checkpoints = RecentEvents(), Checkpoints()
    reader, client_reader = Reader(recent, pool), Reader(recent, reads)
    election = LeaderElection(database_url)
    projector = Projector(
        database_url,
        MODELS.values(),
        leads=lambda: election.leads,
        recent=recent,
        checkpoints=checkpoints,
    )
    tail = EventTail(
        database_url,
        reader,
        recent,
        client_reader=client_reader,
        poll=settings.poll_interval,
        on_events=projector.wake,
    )
    writer = Writer(
        store,
        recent,
        queue_limit=settings.max_queue,
        batch_limit=settings.batch_max,
        on_commit=tail.offer,
    )
    return Core(
        reads=reads,
        pool=pool,
        read_again=retry_after(pool, reads),
        store=store,
        recent=recent,
        reader=reader,
        client_reader=client_reader,
        writer=writer,
        tail=tail,
        election=election,
        checkpoints=checkpoints,
        projector=projector,
    )
