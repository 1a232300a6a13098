"""Socket Mode: Slack's requests come over a WebSocket that this server opens.

So no address of this server needs to be public. The library reconnects by itself; if it does not
succeed for a while, it is started anew with a new address, because the one that it tries again is
good for one connection only.
"""

import asyncio
import contextlib
import logging
from typing import Any

import structlog
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse

from api.slack.client import SlackClient
from api.slack.interactions import Interactions
from application.background_tasks import stop

_log = structlog.get_logger(__name__)

# It writes an error for each attempt to connect. What matters of that is logged here, once.
_LIBRARY = logging.getLogger("slack_sdk.socket_mode.aiohttp")
_LIBRARY.setLevel(logging.CRITICAL)

PING_SECONDS = 2.0
"""How often the connection is tried. One that is lost is replaced within this time."""
CONNECT_SECONDS = 15.0
LOST_SECONDS = 10.0
LONGEST_PAUSE = 30.0
INTERACTIVE = "interactive"


class SocketMode:
    """Keeps a connection to Slack open, and answers what comes over it."""

    def __init__(self, client: SlackClient, app_token: str, interactions: Interactions) -> None:
        self._client = client
        self._app_token = app_token
        self._interactions = interactions
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start to connect. It goes on trying until it is closed."""
        self._tasks = [asyncio.create_task(self._run(), name="placet-slack-socket")]

    async def close(self) -> None:
        """Close the connection."""
        await stop(self._tasks)

    async def _run(self) -> None:
        pause = 1.0
        while True:
            connected_at = asyncio.get_running_loop().time()
            try:
                await self._connect_and_watch()
            except Exception as error:  # noqa: BLE001 - logged, and it connects anew
                _log.warning("slack_socket_failed", error=str(error) or type(error).__name__)
            if asyncio.get_running_loop().time() > connected_at + CONNECT_SECONDS + LOST_SECONDS:
                pause = 1.0
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _connect_and_watch(self) -> None:
        """Return when the connection has been lost for LOST_SECONDS."""
        api = self._client.api
        connection = SocketModeClient(
            self._app_token,
            web_client=api,
            proxy=api.proxy,
            ping_interval=PING_SECONDS,
            logger=_LIBRARY,
        )
        # The library replaces "no proxy" by the one of the environment.
        connection.proxy = api.proxy
        connection.socket_mode_request_listeners.append(self._received)
        try:
            # A wrong token is found here. The library would try again and again.
            connection.wss_uri = await self._client.socket_address(self._app_token)
            async with asyncio.timeout(CONNECT_SECONDS):
                await connection.connect()  # type: ignore[no-untyped-call]
            _log.info("slack_socket_connected")
            lost = 0.0
            while lost < LOST_SECONDS:
                await asyncio.sleep(PING_SECONDS)
                connected = await connection.is_connected()
                if connected != (lost == 0.0):
                    _log.info("slack_socket_connected" if connected else "slack_socket_lost")
                lost = 0.0 if connected else lost + PING_SECONDS
        finally:
            await _closed(connection)

    async def _received(
        self, connection: AsyncBaseSocketModeClient, request: SocketModeRequest
    ) -> None:
        answer: dict[str, Any] = {}
        if request.type == INTERACTIVE and isinstance(request.payload, dict):
            answer = await self._interactions.receive(request.payload)
        response = SocketModeResponse(request.envelope_id, payload=answer or None)
        # If the connection broke meanwhile, Slack sends the request again over another one.
        await connection.send_socket_mode_response(response)


async def _closed(connection: SocketModeClient) -> None:
    """Close a connection, and wait for the tasks that the library leaves behind."""
    with contextlib.suppress(Exception):
        await connection.close()  # type: ignore[no-untyped-call]
    tasks = (
        connection.message_processor,
        connection.current_session_monitor,
        connection.message_receiver,
    )
    await stop([task for task in tasks if isinstance(task, asyncio.Task) and not task.done()])
