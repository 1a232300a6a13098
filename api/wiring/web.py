"""Builds what answers HTTP requests and WebSockets: GraphQL, the console, health and metrics."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

from starlette.types import ASGIApp

from api.approval_metrics import ApprovalMetrics
from api.asgi import MetricsAccess, Readiness, build_app, with_cors
from api.console.app import Console
from api.console.assets import Asset, load
from api.console.fanout import Fanout
from api.console.graphiql import page
from api.console.health import Health
from api.console.saved_views import SavedViews
from api.console.sessions import Sessions
from api.console.templates import Templates
from api.console.visit import Site
from api.context import Services, context_for
from api.database_monitor import DatabaseMonitor
from api.graphql.document_cache import DocumentCache
from api.graphql.executor import Executor
from api.graphql.http import GraphQLOverHttp
from api.graphql.websocket import GraphQLOverWebSocket
from api.schema import SERVED
from api.settings import Settings
from api.wiring.channels import push_subscriptions
from api.wiring.core import Core
from api.wiring.identity import Identity
from api.wiring.scim import scim_mounts
from projections.approvals.numbers import ApprovalNumbers
from projections.approvals.overview import ApprovalOverview


@dataclass(frozen=True, slots=True)
class Web:
    """What a web server needs. ``app`` answers everything; the others are parts of it."""

    app: ASGIApp
    sockets: GraphQLOverWebSocket
    console: Console


def build_web(
    settings: Settings,
    core: Core,
    services: Services,
    identity: Identity,
    monitor: DatabaseMonitor,
    apps: Mapping[str, ASGIApp],
) -> Web:
    """Build the application. ``apps`` answer the paths by which they are named."""
    assets = load()
    http, sockets = _graphql(settings, core, services, identity, assets)
    unready = _readiness(core, monitor, settings.max_lag)
    site = _site(settings, core, services, identity, unready, Templates(assets))
    console = Console(site, assets)
    numbers = ApprovalMetrics(ApprovalNumbers(core.reads))
    metrics = MetricsAccess(settings.metrics_port, settings.metrics_token, numbers.refresh)
    scim = scim_mounts(settings, core.reads, services.directory)
    app = build_app(http, sockets, console, unready, core.projector.behind, metrics, apps, scim)
    return Web(with_cors(app, settings.origins), sockets, console)


def _graphql(
    settings: Settings,
    core: Core,
    services: Services,
    identity: Identity,
    assets: dict[str, Asset],
) -> tuple[GraphQLOverHttp, GraphQLOverWebSocket]:
    executor = Executor(
        SERVED, DocumentCache(SERVED), fast=settings.fast_path, read_again=core.read_again
    )
    make_context = partial(context_for, services, core.reads)
    http = GraphQLOverHttp(
        executor,
        identity.authenticate,
        make_context,
        max_body_bytes=settings.max_body_bytes,
        ide=page(assets) if settings.resolved_mode() == "development" else None,
    )
    return http, GraphQLOverWebSocket(executor, identity.authenticate, make_context)


def _site(
    settings: Settings,
    core: Core,
    services: Services,
    identity: Identity,
    unready: Readiness,
    templates: Templates,
) -> Site:
    """Build what all visits to the console share."""
    people = {principal.id: principal for principal in identity.development.values()}
    return Site(
        services=services,
        reads=core.reads,
        fanout=Fanout(core.tail, busy=lambda: core.writer.depth > 0),
        sessions=Sessions(
            core.pool,
            people,
            lifetime=settings.session_lifetime,
            idle=settings.session_idle,
            trusts=identity.logins.knows,
            substitutes=services.substitutes,
            deactivated=identity.directory.deactivated,
        ),
        logins=identity.logins,
        sign_ins=identity.sign_ins,
        public_url=settings.public_url,
        push=push_subscriptions(settings, core.pool),
        templates=templates,
        overview=ApprovalOverview(core.reads, core.checkpoints),
        keys=identity.keys,
        views=SavedViews(core.reads),
        health=_health(settings, core, unready),
        authenticate=identity.authenticate,
        development=people,
        development_tokens={token: one.id for token, one in identity.development.items()},
        max_form_bytes=settings.max_body_bytes,
        secure=settings.resolved_mode() == "production",
        graphiql=settings.resolved_mode() == "development",
    )


def _health(settings: Settings, core: Core, unready: Readiness) -> Health:
    return Health(
        unready=unready,
        models=core.projector.status,
        queued=lambda: core.writer.depth,
        queue_limit=settings.max_queue,
        leads=lambda: core.election.leads,
        mode=settings.resolved_mode(),
        version=version("placet-server"),
    )


def _readiness(core: Core, monitor: DatabaseMonitor, max_lag: int | None) -> Readiness:
    async def unready() -> str | None:
        return (
            await monitor.problem()
            or core.writer.write_refusals.reason
            or _too_far_behind(core, max_lag)
        )

    return unready


def _too_far_behind(core: Core, seconds: int | None) -> str | None:
    if seconds is None or not (late := core.projector.behind(seconds)):
        return None
    names = ", ".join(sorted(late))
    return f"for more than {seconds} s these read models lack events: {names}"
