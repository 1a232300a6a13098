"""Runs the application under uvicorn until a signal ends it."""

import asyncio
import gc
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping
from errno import EADDRINUSE
from math import ceil

import uvicorn

from api.container import serve
from api.graphql.fastpath.write_coalescing import CorkedProtocol
from api.settings import ConfigurationError, Settings
from domain.values import Principal

GARBAGE = 10_000, 20, 50
"""How many new objects, and then how many rounds of each kind, until the next larger round."""


ENVELOPE = 64 * 1024
"""Bytes of a WebSocket's message around what would be posted, with what its escapes add."""


class Signals:
    """SIGTERM and SIGINT: before the server serves they end the process, in order; then it drains.

    uvicorn takes them over while it serves, and raises the signal once more when it has ended.
    """

    def __init__(self) -> None:
        self.serving = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def _ask(self, *_: object) -> None:
        if not self.serving:
            # What is being started is ended on the way out. A second signal is not heard.
            self.serving = True
            raise SystemExit(0)


class _Server(uvicorn.Server):
    """Says one line when it is ready, and at the end has those answered who only wait."""

    def __init__(self, config: uvicorn.Config, ready: str, signals: Signals) -> None:
        super().__init__(config)
        self._ready = ready
        self._signals = signals
        self.drain: Callable[[], Awaitable[None]] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._signals.serving = True
        await super().startup(sockets)
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            print(self._ready.format(url=f"http://{shown}:{port}"), flush=True)  # noqa: T201

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self.drain is not None:
            await self.drain()
        await super().shutdown(sockets)


def run(
    settings: Settings,
    database_url: str,
    development: Mapping[str, Principal],
    ready: str,
    signals: Signals,
) -> None:
    """Serve until SIGTERM or SIGINT, then drain. ``ready`` is printed with ``{url}`` filled in."""
    config = uvicorn.Config(
        app=_refuse,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=CorkedProtocol,
        ws="websockets-sansio",
        ws_max_size=settings.max_body_bytes + ENVELOPE,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=ceil(settings.drain),
    )
    server = _Server(config, ready, signals)

    async def main() -> None:
        async with serve(settings, database_url, development) as built:
            config.app = built.app

            async def drain() -> None:
                built.services.tail.drain()
                await built.sockets.drain(settings.drain)

            server.drain = drain
            # What is there by now, the schema above all, stays. Walking through it again and again
            # for garbage stopped everything for up to a tenth of a second, and walking through all
            # states in memory for a fiftieth, once a second. Garbage is young, as a rule.
            gc.collect()
            gc.freeze()
            gc.set_threshold(*GARBAGE)
            with _listening(settings.host, settings.port) as listening:
                await server.serve(sockets=[listening])

    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(main())


def _listening(host: str, port: int) -> socket.socket:
    """Listen. Raises ConfigurationError, where uvicorn would only log what is wrong."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        if error.errno == EADDRINUSE:
            msg = (
                f"port {port} of {host} is in use; end what uses it, or give --port or PLACET_PORT"
            )
        else:
            msg = f"can't listen on port {port} of {host}: {error.strerror or error}"
        raise ConfigurationError(msg) from error


async def _refuse(*_: object) -> None:
    raise RuntimeError("the server is asked before it is built")
