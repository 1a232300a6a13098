"""Accepts a few connections at a time, so that a burst of them does not hold up all others.

The event loop's own servers accept all that wait at once. With a thousand of them, nothing else was
done for a third of a second.
"""

import asyncio
import socket
from collections.abc import Callable

import structlog

_log = structlog.get_logger(__name__)

AT_ONCE = 4
PAUSE = 0.1
"""Seconds after which accepting is tried again if there are no descriptors left."""


class PacedListener:
    """Listens on one socket. It has what uvicorn needs of a server of asyncio.

    Nothing is accepted while ``crowded`` returns True.
    """

    def __init__(
        self,
        listening: socket.socket,
        protocol: Callable[[], asyncio.Protocol],
        crowded: Callable[[], bool],
    ) -> None:
        self._socket = listening
        self._crowded = crowded
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._retry: asyncio.TimerHandle | None = None
        self._opening: set[asyncio.Task[object]] = set()
        listening.setblocking(False)
        self._loop.add_reader(listening, self._accept)

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """The socket."""
        return (self._socket,)

    def close(self) -> None:
        """Accept no more connections."""
        if self._retry is not None:
            self._retry.cancel()
        self._loop.remove_reader(self._socket)

    async def wait_closed(self) -> None:
        """Wait for connections that are being opened."""
        if self._opening:
            await asyncio.wait(self._opening)

    def _accept(self) -> None:
        if self._crowded():
            return
        for _ in range(AT_ONCE):
            try:
                accepted, _ = self._socket.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                _log.warning("connection_not_accepted", error=str(error))
                self._loop.remove_reader(self._socket)
                self._retry = self._loop.call_later(
                    PAUSE, self._loop.add_reader, self._socket, self._accept
                )
                return
            accepted.setblocking(False)
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task: asyncio.Task[object] = self._loop.create_task(self._open(accepted))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open(self, accepted: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._protocol, accepted)
        except OSError as error:
            _log.info("connection_not_opened", error=str(error))
            accepted.close()
