"""Looks up the names of receivers, apart from all other work of the server."""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from aiohttp.abc import AbstractResolver, ResolveResult

THREADS = 16

_Question = tuple[str, int, socket.AddressFamily]


class OwnThreadsResolver(AbstractResolver):
    """Asks the system in threads of its own.

    The event loop's threads also look up the database. A name server that does not answer keeps a
    thread for long, and must not keep those. All who ask for one name at the same time wait for one
    look-up.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="placet-webhook-names")
        self._asking: dict[_Question, asyncio.Task[list[ResolveResult]]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a host. Raises OSError."""
        question = (host, port, family)
        task = self._asking.get(question)
        if task is None:
            task = self._asking[question] = asyncio.create_task(self._look_up(*question))
            task.add_done_callback(partial(self._answered, question))
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Wait for no look-up any more."""
        for task in self._asking.values():
            task.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _answered(self, question: _Question, task: "asyncio.Task[list[ResolveResult]]") -> None:
        self._asking.pop(question, None)
        if not task.cancelled():
            # All who asked may have given up meanwhile.
            task.exception()

    async def _look_up(
        self, host: str, port: int, family: socket.AddressFamily
    ) -> list[ResolveResult]:
        look_up = partial(
            socket.getaddrinfo,
            host,
            port,
            type=socket.SOCK_STREAM,
            family=family,
            flags=socket.AI_ADDRCONFIG,
        )
        found = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in found
        ]
