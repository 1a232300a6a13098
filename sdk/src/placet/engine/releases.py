"""Giving executions back to the service: many at once, and again after a lost answer."""

import asyncio
from collections.abc import Mapping
from typing import NamedTuple

from placet.client.leases import Leases
from placet.client.transport.retry import retried

MAX_RELEASED = 5_000
"""Executions in one request."""


class Returned(NamedTuple):
    """How an execution goes back: the last wake-up dealt with, and the fence it was held under."""

    seen: int | None
    fence: int


class Releases:
    """What one worker gives back. ``unconfirmed`` are those that no answer has confirmed yet."""

    def __init__(self, leases: Leases, worker: str) -> None:
        self.unconfirmed: dict[str, Returned] = {}
        self._leases = leases
        self._worker = worker
        self._queue: dict[str, Returned] = {}

    def add(self, execution_id: str, returned: Returned) -> bool:
        """Queue an execution. Returns whether the queue was empty and so has to be flushed."""
        first = not self._queue
        self._queue[execution_id] = self.unconfirmed[execution_id] = returned
        return first

    async def flush(self) -> None:
        """Give back what is queued, for as long as the service is away."""
        queue, self._queue = self._queue, {}
        try:
            # What is on its way back is not delivered again, so giving up is not an option.
            await retried(None, self.send, queue)
        except Exception:
            for execution_id, returned in queue.items():
                self._confirm(execution_id, returned)
            raise

    def forget(self, execution_id: str) -> None:
        """Note that it does not matter any more whether an execution is given back."""
        self.unconfirmed.pop(execution_id, None)

    async def send(self, returned: Mapping[str, Returned], seconds: float | None = None) -> None:
        """Return these back in as many requests as it takes, with a time limit for each request."""
        items = list(returned.items())
        for start in range(0, len(items), MAX_RELEASED):
            some = items[start : start + MAX_RELEASED]
            async with asyncio.timeout(seconds):
                await self._leases.release(
                    self._worker,
                    seen={execution_id: each.seen for execution_id, each in some},
                    fences={execution_id: each.fence for execution_id, each in some},
                )
            for execution_id, each in some:
                self._confirm(execution_id, each)

    async def send_rest(self, seconds: float) -> None:
        """Give back all else that the worker holds, such as claims that never reached it."""
        async with asyncio.timeout(seconds):
            await self._leases.release(self._worker, seen={}, others=True)

    def _confirm(self, execution_id: str, returned: Returned) -> None:
        # A later claim of the same execution may be on its way back meanwhile.
        if self.unconfirmed.get(execution_id) == returned:
            del self.unconfirmed[execution_id]
