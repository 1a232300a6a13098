"""The only place where the objects of a server are built and connected."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from psycopg_pool import AsyncConnectionPool
from starlette.types import ASGIApp

from api.asgi import MetricsAccess, build_app, with_cors
from api.auth import Authenticator
from api.context import Context, Services
from api.database import migrate, reading_pool, retry_after
from api.database_monitor import DatabaseMonitor
from api.graphql.document_cache import DocumentCache
from api.graphql.executor import Executor
from api.graphql.http import GraphQLOverHttp
from api.graphql.websocket import GraphQLOverWebSocket
from api.schema import SERVED
from api.settings import Settings
from application.api_keys import ApiKeys
from application.command_handling.writer import Writer
from application.event_store.reader import Reader
from application.event_store.recent_events import RecentEvents
from application.event_store.store import ExecutionEventStore
from application.process_managers.children import ChildProcessManager
from application.process_managers.leader_election import LeaderElection
from application.process_managers.timers import TimerProcessManager
from application.subscriptions.event_tail import EventTail
from application.workers.dispatcher import Dispatcher
from application.workers.leases import Leases
from application.workers.long_polling import LongPolling
from domain.values import Principal
from projections.approvals.query import ApprovalQuery
from projections.executions.query import ExecutionQuery
from projections.querying.checkpoints import Checkpoints
from projections.registry import MODELS
from projections.runtime.projector import Projector


@dataclass(frozen=True, slots=True)
class Container:
    """The running parts of one server process."""

    app: ASGIApp
    services: Services
    pool: AsyncConnectionPool
    sockets: GraphQLOverWebSocket


@asynccontextmanager
async def serve(
    settings: Settings, database_url: str, development: Mapping[str, Principal]
) -> AsyncIterator[Container]:
    """Build and start a server; stop it at the end of the block.

    ``development`` maps tokens to principals, in addition to the API keys. Raises psycopg errors if
    the database can't be reached.
    """
    await asyncio.to_thread(migrate, database_url)
    pool = reading_pool(database_url, settings)
    log = ExecutionEventStore(
        database_url,
        lock_timeout=settings.lock_timeout,
        idle_in_transaction_timeout=settings.idle_in_transaction_timeout,
    )
    recent, checkpoints = RecentEvents(), Checkpoints()
    reader = Reader(recent, pool)
    election = LeaderElection(database_url)
    projector = Projector(
        database_url,
        MODELS.values(),
        leads=lambda: election.leads,
        recent=recent,
        checkpoints=checkpoints,
    )
    tail = EventTail(
        database_url, reader, recent, poll=settings.poll_interval, on_events=projector.wake
    )
    writer = Writer(
        log,
        recent,
        queue_limit=settings.max_queue,
        batch_limit=settings.batch_max,
        on_commit=tail.offer,
    )
    leases = Leases(pool, writer, reader)
    services = Services(
        writer=writer,
        reader=reader,
        tail=tail,
        leases=leases,
        dispatcher=Dispatcher(tail, reader, leases),
        long_polling=LongPolling(leases, reader, tail),
        executions=ExecutionQuery(pool, checkpoints),
        approvals=ApprovalQuery(pool, checkpoints),
    )
    read_again = retry_after(pool)
    authenticator = Authenticator(ApiKeys(pool), development, read_again=read_again)
    monitor = DatabaseMonitor(database_url)
    background = (
        monitor,
        TimerProcessManager(pool, writer, tail, election),
        ChildProcessManager(pool, writer, reader, tail, election),
        authenticator,
    )
    executor = Executor(
        SERVED, DocumentCache(SERVED), fast=settings.fast_path, read_again=read_again
    )
    make_context = partial(Context, services=services)
    http = GraphQLOverHttp(
        executor,
        authenticator.authenticate,
        make_context,
        max_body_bytes=settings.max_body_bytes,
        graphiql=settings.resolved_mode() == "development",
    )
    sockets = GraphQLOverWebSocket(executor, authenticator.authenticate, make_context)

    async def unready() -> str | None:
        return await monitor.problem() or writer.write_refusals.reason

    await pool.open()
    await tail.start()
    await election.start()
    writer.start()
    projector.start()
    await services.dispatcher.start()
    for one in background:
        await one.start()
    try:
        metrics = MetricsAccess(settings.metrics_port, settings.metrics_token)
        app = with_cors(build_app(http, sockets, unready, metrics), settings.origins)
        yield Container(app, services, pool, sockets)
    finally:
        for one in background:
            await one.close()
        await election.close()
        await services.dispatcher.close()
        await writer.close()
        await tail.close()
        await asyncio.to_thread(projector.close)
        await pool.close()
        log.close()
