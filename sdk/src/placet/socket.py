"""The WebSocket that never gives up: it is dialled anew, and each stream goes on where it was."""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any, TypeVar

import aiohttp

from placet.errors import transient
from placet.link import Link, LinkLostError
from placet.retry import retried
from placet.wire import Operation

T = TypeVar("T")

PAUSE_SECONDS = 1.0
"""At most this long before a stream that was refused or cut short is asked for again."""


class Socket:
    """One connection for all streams of a client."""

    def __init__(self, session: aiohttp.ClientSession, url: str, authorization: str) -> None:
        self._session = session
        self._url = url
        self._authorization = authorization
        self._dialling = asyncio.Lock()
        self._link: Link | None = None

    async def close(self) -> None:
        """End the connection; streams that are still read fail."""
        if self._link is not None:
            await self._link.close()

    async def stream(
        self,
        operation: Operation[T],
        variables: Callable[[], Mapping[str, Any]],
        on_open: Callable[[], Awaitable[None]] | None = None,
        *,
        ends: bool = False,
    ) -> AsyncGenerator[T, None]:
        """Give the messages of a subscription for ever, over as many connections as it takes.

        ``ends``: it is over when the service completes it without a single message.

        ``variables`` is asked at each beginning, so that it can name where to go on; ``on_open``
        runs at each beginning. Raises RequestError for what trying again can't cure.
        """
        while True:
            link, told = await self._live(), False
            messages = link.subscribe(operation.document, variables())
            try:
                async with aclosing(messages):
                    if on_open is not None:
                        await on_open()
                    async for payload in messages:
                        told = True
                        message = operation.read(payload)
                        if message is not None:
                            yield message
                if ends and not told:
                    return
            except Exception as error:
                if not (isinstance(error, LinkLostError) or transient(error)):
                    raise
            # Also a service that ends each stream at once must not be asked in a tight loop.
            await asyncio.sleep(random.uniform(0, PAUSE_SECONDS))  # noqa: S311 - jitter, no secret

    async def _live(self) -> Link:
        async with self._dialling:
            link = self._link
            if link is None or link.lost:
                link = await retried(None, Link.open, self._session, self._url, self._authorization)
                self._link = link
            return link
