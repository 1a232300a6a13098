"""The only place where the objects of a server are built and connected."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from importlib.metadata import version
from typing import Protocol

from psycopg_pool import AsyncConnectionPool
from starlette.types import ASGIApp

from api.approval_metrics import ApprovalMetrics
from api.asgi import MetricsAccess, Readiness, build_app, with_cors
from api.auth import Authenticator
from api.calendars import definitions, load_calendars
from api.channel_wiring import all_channels, push_subscriptions, slack_of
from api.channels.webhooks.administration import WebhookAdministration, targets_of
from api.console.app import Console
from api.console.assets import load
from api.console.fanout import Fanout
from api.console.graphiql import page
from api.console.health import Health
from api.console.saved_views import SavedViews
from api.console.sessions import Sessions
from api.console.templates import Templates
from api.console.visit import Site
from api.context import Services, context_for
from api.database import outbox_pool, reading_pool, retry_after, working_pool
from api.database_monitor import DatabaseMonitor
from api.graphql.document_cache import DocumentCache
from api.graphql.executor import Executor
from api.graphql.http import GraphQLOverHttp
from api.graphql.websocket import GraphQLOverWebSocket
from api.identity.identities import Identities
from api.identity.issuers import load_issuers
from api.identity.logins import Logins
from api.migration import migrate
from api.notification_wiring import Notifications
from api.schema import SERVED
from api.scim_wiring import scim_mounts
from api.settings import Settings
from application.api_keys import ApiKeys
from application.calendars_in_force import CalendarsInForce
from application.command_handling.writer import Writer
from application.directory import Directory
from application.eligible_people import EligiblePeople
from application.event_store.reader import Reader
from application.event_store.recent_events import RecentEvents
from application.event_store.store import ExecutionEventStore
from application.notifications.center import NotificationCenter
from application.notifications.directory_people import DirectoryPeople
from application.process_managers.cancellations import CancellationProcessManager
from application.process_managers.children import ChildProcessManager
from application.process_managers.leader_election import LeaderElection
from application.process_managers.standing_grants import StandingGrantProcessManager
from application.process_managers.timers import TimerProcessManager
from application.process_managers.unserved_workflows import UnservedWorkflows
from application.sign_ins import SignIns
from application.subscriptions.event_tail import EventTail
from application.substitute_pages import SubstitutePages
from application.substitutes import Substitutes
from application.webhooks.registrations import Webhooks
from application.workers.dispatcher import Dispatcher
from application.workers.leases import Leases
from application.workers.long_polling import LongPolling
from domain.values import Principal
from projections.approvals.numbers import ApprovalNumbers
from projections.approvals.overview import ApprovalOverview
from projections.approvals.past_query import PastApprovalQuery
from projections.approvals.query import ApprovalQuery
from projections.decisions.query import DecisionQuery
from projections.events.query import EventSearch
from projections.executions.query import ExecutionQuery
from projections.querying.checkpoints import Checkpoints
from projections.registry import MODELS
from projections.runtime.projector import Projector
from projections.standing_grants.query import StandingGrantQuery


@dataclass(frozen=True, slots=True)
class Container:
    """The running parts of one server process."""

    app: ASGIApp
    services: Services
    pool: AsyncConnectionPool
    sockets: GraphQLOverWebSocket
    console: Console


@asynccontextmanager
async def serve(
    settings: Settings, database_url: str, development: Mapping[str, Principal]
) -> AsyncIterator[Container]:
    """Build and start a server; stop it at the end of the block.

    ``development`` maps tokens to principals, in addition to the API keys. Raises
    ConfigurationError, DatabaseUnfitError, and psycopg errors if the database can't be reached.
    """
    await asyncio.to_thread(migrate, database_url)
    reads, pool = reading_pool(database_url, settings), working_pool(database_url, settings)
    log = ExecutionEventStore(
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
        log,
        recent,
        queue_limit=settings.max_queue,
        batch_limit=settings.batch_max,
        on_commit=tail.offer,
    )
    leases = Leases(pool, writer, reader)
    read_again = retry_after(pool, reads)
    substitutes = Substitutes(pool, read_again=read_again)
    services = Services(
        writer=writer,
        reader=client_reader,
        tail=tail,
        leases=leases,
        dispatcher=Dispatcher(tail, reader, leases),
        long_polling=LongPolling(leases, reader, tail),
        executions=ExecutionQuery(reads, checkpoints),
        approvals=ApprovalQuery(reads, checkpoints),
        past_approvals=PastApprovalQuery(reads, client_reader, checkpoints),
        decisions=DecisionQuery(reads, checkpoints),
        events=EventSearch(reads, client_reader),
        standing_grants=StandingGrantQuery(reads, checkpoints),
        substitutes=substitutes,
        absences=SubstitutePages(pool),
        directory=(read_directory := Directory(reads, writer)),
        eligible_people=EligiblePeople(read_directory),
        webhooks=WebhookAdministration(Webhooks(pool), targets_of(settings)),
        notifications=NotificationCenter(reads, pool),
        calendars=load_calendars(settings.calendars),
    )
    outbox = outbox_pool(database_url)
    outbox_reader = Reader(recent, outbox)
    ways = all_channels(settings, outbox, outbox_reader)
    slack = slack_of(settings, outbox, outbox_reader, services, election)
    services.notifications.offer([*ways.channels, *(slack.channels if slack else ())])
    notifications = Notifications(
        outbox,
        writer,
        tail,
        election,
        people=DirectoryPeople(Directory(outbox), substitutes.of),
        channels=[*ways.channels, *(slack.channels if slack else ())],
        sources=[*ways.sources, *(slack.sources if slack else ())],
        fallback_group=settings.fallback_group,
    )
    authenticator = Authenticator(
        keys := ApiKeys(pool, writer),
        development,
        read_again=read_again,
        identities=(identities := Identities(load_issuers(settings.issuers), pool)),
        directory=(directory := Directory(pool, writer)),
        sign_ins=(sign_ins := SignIns(pool, directory, lambda: election.leads)),
    )
    authenticate = substitutes.after(authenticator.authenticate)
    monitor = DatabaseMonitor(database_url)
    background = (
        monitor,
        TimerProcessManager(pool, writer, tail, election),
        ChildProcessManager(pool, writer, reader, tail, election),
        StandingGrantProcessManager(pool, writer, reader, tail, election),
        CancellationProcessManager(
            pool, writer, election, timedelta(seconds=settings.clean_up_timeout)
        ),
        UnservedWorkflows(pool, election),
        CalendarsInForce(pool, writer, definitions(settings.calendars)),
        notifications,
        authenticator,
        identities,
        substitutes,
        sign_ins,
    )
    executor = Executor(
        SERVED, DocumentCache(SERVED), fast=settings.fast_path, read_again=read_again
    )
    make_context = partial(context_for, services, reads)
    assets = load()
    http = GraphQLOverHttp(
        executor,
        authenticate,
        make_context,
        max_body_bytes=settings.max_body_bytes,
        ide=page(assets) if settings.resolved_mode() == "development" else None,
    )
    sockets = GraphQLOverWebSocket(executor, authenticate, make_context)

    unready = _readiness(monitor, writer, projector, settings.max_lag)
    people = {principal.id: principal for principal in development.values()}
    console = Console(
        Site(
            services=services,
            reads=reads,
            fanout=Fanout(tail, busy=lambda: writer.depth > 0),
            sessions=Sessions(
                pool,
                people,
                lifetime=settings.session_lifetime,
                idle=settings.session_idle,
                trusts=(logins := Logins(identities, pool)).knows,
                substitutes=substitutes,
                deactivated=directory.deactivated,
            ),
            logins=logins,
            sign_ins=sign_ins,
            public_url=settings.public_url,
            push=push_subscriptions(settings, pool),
            templates=Templates(assets),
            overview=ApprovalOverview(reads, checkpoints),
            keys=keys,
            views=SavedViews(reads),
            health=Health(
                unready=unready,
                models=projector.status,
                queued=lambda: writer.depth,
                queue_limit=settings.max_queue,
                leads=lambda: election.leads,
                mode=settings.resolved_mode(),
                version=version("placet-server"),
            ),
            authenticate=authenticate,
            development=people,
            development_tokens={token: one.id for token, one in development.items()},
            max_form_bytes=settings.max_body_bytes,
            secure=settings.resolved_mode() == "production",
            graphiql=settings.resolved_mode() == "development",
        ),
        assets,
    )

    numbers = ApprovalMetrics(ApprovalNumbers(reads))
    metrics = MetricsAccess(settings.metrics_port, settings.metrics_token, numbers.refresh)
    apps = {} if slack is None else slack.apps
    mounted = scim_mounts(settings, reads, read_directory)
    routes = build_app(http, sockets, console, unready, projector.behind, metrics, apps, mounted)
    app = with_cors(routes, settings.origins)
    parts: list[_Part] = [*background, console] if slack is None else [*background, slack, console]
    try:
        async with _running((pool, reads), services, projector, election, parts):
            yield Container(app, services, pool, sockets, console)
    finally:
        log.close()


class _Part(Protocol):
    """A part that works in the background."""

    async def start(self) -> None: ...
    async def close(self) -> None: ...


@asynccontextmanager
async def _running(
    pools: Sequence[AsyncConnectionPool],
    services: Services,
    projector: Projector,
    election: LeaderElection,
    parts: Sequence[_Part],
) -> AsyncIterator[None]:
    """Start all parts of a server, and stop them at the end of the block."""
    for pool in pools:
        await pool.open()
    await services.tail.start()
    await election.start()
    services.writer.start()
    projector.start()
    await services.dispatcher.start()
    for part in parts:
        await part.start()
    try:
        yield
    finally:
        for part in reversed(parts):
            await part.close()
        await election.close()
        await services.dispatcher.close()
        await services.writer.close()
        await services.tail.close()
        await asyncio.to_thread(projector.close)
        for pool in reversed(pools):
            await pool.close()


def _readiness(
    monitor: DatabaseMonitor, writer: Writer, projector: Projector, max_lag: int | None
) -> Readiness:
    async def unready() -> str | None:
        return (
            await monitor.problem()
            or writer.write_refusals.reason
            or _too_far_behind(projector, max_lag)
        )

    return unready


def _too_far_behind(projector: Projector, seconds: int | None) -> str | None:
    if seconds is None or not (late := projector.behind(seconds)):
        return None
    names = ", ".join(sorted(late))
    return f"for more than {seconds} s these read models lack events: {names}"
