"""Runs the application with uvicorn until a signal ends it."""

import asyncio
import gc
import resource
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from errno import EADDRINUSE
from functools import partial
from math import ceil
from typing import Any

import structlog
import uvicorn

from api.connections.http_connection import HttpConnection
from api.connections.open_connections import ConnectionLimits, OpenConnections
from api.connections.paced_listener import PacedListener
from api.connections.websocket_connection import WebSocketConnection
from api.container import serve
from api.dev_tokens import record_people
from api.settings import ConfigurationError, Settings
from domain.values import Principal

GARBAGE = 10_000, 20, 50
"""Thresholds of Python's garbage collector, see ``gc.set_threshold``."""


_log = structlog.get_logger(__name__)

BACKLOG = 4_096
"""Connections that may wait to be accepted, as far as the system allows it."""
OTHER_DESCRIPTORS = 128
"""File descriptors that are kept for the database and for files."""
MOST_DESCRIPTORS = 65_536

ENVELOPE = 64 * 1024
"""Bytes that a message on a WebSocket may have more than the body of the same request by POST."""


class Signals:
    """Handles SIGTERM and SIGINT until the server serves: they exit the process in an orderly way.

    While it serves, uvicorn handles both and drains. It raises the signal again at its end.
    """

    def __init__(self) -> None:
        self.serving = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def _ask(self, *_: object) -> None:
        if not self.serving:
            # SystemExit stops what was started. A second signal is ignored.
            self.serving = True
            raise SystemExit(0)


class _Server(uvicorn.Server):
    """Prints a line when it is ready, and answers waiting requests before it shuts down."""

    def __init__(
        self,
        config: uvicorn.Config,
        ready: Callable[[str], str],
        signals: Signals,
        crowded: Callable[[], bool],
    ) -> None:
        super().__init__(config)
        self._crowded = crowded
        self._ready = ready
        self._signals = signals
        self.drain: Callable[[], Awaitable[None]] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._signals.serving = True
        assert sockets, "the server is given the sockets to listen on"

        def connection() -> asyncio.Protocol:
            return self.config.http_protocol_class(  # type: ignore[call-arg]
                config=self.config, server_state=self.server_state, app_state=self.lifespan.state
            )

        listeners: Any = [PacedListener(each, connection, self._crowded) for each in sockets]
        self.servers = listeners
        self.started = True
        host, port = sockets[0].getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        print(self._ready(f"http://{shown}:{port}"), flush=True)  # noqa: T201

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self.drain is not None:
            await self.drain()
        await super().shutdown(sockets)


def run(
    settings: Settings,
    database_url: str,
    development: Mapping[str, Principal],
    ready: Callable[[str], str],
    signals: Signals,
) -> None:
    """Serve until SIGTERM or SIGINT, then drain.

    ``ready`` returns the line to print when the server answers at the URL that it gets.
    """
    connections = OpenConnections(
        ConnectionLimits(
            most=_most_connections(settings.max_connections),
            headers_within=settings.header_timeout,
            complete_within=settings.body_timeout,
        )
    )
    config = uvicorn.Config(
        app=_refuse,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=_protocol(HttpConnection, connections),
        ws=_protocol(WebSocketConnection, connections),
        ws_max_size=settings.max_body_bytes + ENVELOPE,
        # It would let a few bytes from anybody become a whole message, and takes time and memory.
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=ceil(settings.drain),
    )
    server = _Server(config, ready, signals, connections.turns.crowded)

    async def main() -> None:
        async with serve(settings, database_url, development) as built:
            config.app = built.app
            if development:
                await record_people(built.services.directory, development)

            async def drain() -> None:
                built.services.tail.drain()
                built.console.drain()
                await built.sockets.drain(settings.drain)

            server.drain = drain
            # What exists by now, such as the schema, stays. Collections that walked through it
            # stopped the server for up to 100 ms. Those that walked through all states in memory
            # stopped it for 20 ms, once a second. Most garbage is young.
            gc.collect()
            gc.freeze()
            gc.set_threshold(*GARBAGE)
            ports = {"--port or PLACET_PORT": settings.port}
            if settings.metrics_port is not None:
                ports["PLACET_METRICS_PORT"] = settings.metrics_port
            with ExitStack() as stack:
                sockets = [
                    stack.enter_context(_listening(settings.host, port, option))
                    for option, port in ports.items()
                ]
                await connections.start()
                try:
                    await server.serve(sockets=sockets)
                finally:
                    await connections.close()

    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(main())


def _protocol(
    connection: type[HttpConnection | WebSocketConnection], connections: OpenConnections
) -> Any:
    """Return what makes connections of this kind, which uvicorn calls like a class."""
    return partial(connection, open_connections=connections)


def _most_connections(wanted: int) -> int:
    """Return how many connections there may be, with the file descriptors that there are.

    First, as many descriptors as the system allows are asked for.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard > MOST_DESCRIPTORS:
        hard = max(soft, MOST_DESCRIPTORS)
    if soft < hard:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (hard, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        )
    room = max(hard - OTHER_DESCRIPTORS, 16)
    if room < wanted:
        _log.warning("few_descriptors", connections=room, wanted=wanted)
    return min(wanted, room)


def _listening(host: str, port: int, option: str) -> socket.socket:
    """Listen on the address. Raises ConfigurationError; uvicorn would only log the error."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        if error.errno == EADDRINUSE:
            msg = f"port {port} of {host} is in use; stop what uses it, or set {option}"
        else:
            msg = f"can't listen on port {port} of {host}: {error.strerror or error}"
        raise ConfigurationError(msg) from error


async def _refuse(*_: object) -> None:
    raise RuntimeError("a request came before the server was built")
