"""Builds the parts of a server with the modules of ``api/wiring``, starts them and stops them."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from psycopg_pool import AsyncConnectionPool
from starlette.types import ASGIApp

from api.console.app import Console
from api.context import Services
from api.database_monitor import DatabaseMonitor
from api.graphql.websocket import GraphQLOverWebSocket
from api.migration import migrate
from api.settings import Settings
from api.wiring.core import Core, build_core
from api.wiring.identity import build_identity
from api.wiring.notifications import build_telling
from api.wiring.part import Part
from api.wiring.process_managers import build_process_managers
from api.wiring.services import build_services
from api.wiring.web import build_web
from domain.values import Principal


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
    core = build_core(settings, database_url)
    services = build_services(settings, core)
    telling = build_telling(settings, database_url, core, services)
    identity = build_identity(settings, core, services.substitutes, development)
    monitor = DatabaseMonitor(database_url)
    slack = telling.slack
    web = build_web(settings, core, services, identity, monitor, slack.apps if slack else {})
    parts: list[Part] = [
        monitor,
        *build_process_managers(settings, core),
        telling.notifications,
        identity.authenticator,
        identity.identities,
        services.substitutes,
        identity.sign_ins,
        *([slack] if slack else []),
        web.console,
    ]
    async with _running(core, services, parts):
        yield Container(web.app, services, core.pool, web.sockets, web.console)


@asynccontextmanager
async def _running(core: Core, services: Services, parts: Sequence[Part]) -> AsyncIterator[None]:
    """Start everything, and stop it at the end of the block.

    ``parts`` are started in their order after all that they use, and stopped before it.
    """
    try:
        for pool in core.pools:
            await pool.open()
        await core.tail.start()
        await core.election.start()
        core.writer.start()
        core.projector.start()
        await services.dispatcher.start()
        for part in parts:
            await part.start()
        try:
            yield
        finally:
            for part in reversed(parts):
                await part.close()
            await core.election.close()
            await services.dispatcher.close()
            await core.writer.close()
            await core.tail.close()
            await asyncio.to_thread(core.projector.close)
            for pool in reversed(core.pools):
                await pool.close()
    finally:
        core.store.close()
