"""Giving executions back to the service: many at once, and again after a lost answer."""

import asyncio
import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple

from placet.client.leases import Leases
from placet.client.transport.retry import retried
from placet.errors import PlacetError

log = logging.getLogger("placet.engine")

MAX_RELEASED = 5_000
"""Executions in one request."""
LAST_SECONDS = 3.0
"""For each request by which an engine that shuts down gives its executions back."""


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

    async def send_all(self, held: Mapping[str, Returned], lease: timedelta) -> None:
        """Give back these and all else that the worker holds, because it ends.

        A service that is away is not waited for: it takes them when their leases end.
        """
        transport = self._leases.transport
        transport.retry_for = min(transport.retry_for, LAST_SECONDS)
        try:
            await self.send({**self.unconfirmed, **held}, LAST_SECONDS)
            # Claims that never reached it may be left.
            async with asyncio.timeout(LAST_SECONDS):
                await self._leases.release(self._worker, seen={}, others=True)
        except (PlacetError, TimeoutError) as error:
            reason = str(error) or f"no answer from {transport.url} in {LAST_SECONDS:g} s"
            if held or self.unconfirmed:
                log.warning(
                    "executions are not released; the service takes them when their leases end,"
                    " at most %g s after it last heard of this engine: %s",
                    lease.total_seconds(),
                    reason,
                )
            else:
                log.info("the service was not told that this engine has ended: %s", reason)

    def _confirm(self, execution_id: str, returned: Returned) -> None:
        # A later claim of the same execution may be on its way back meanwhile.
        if self.unconfirmed.get(execution_id) == returned:
            del self.unconfirmed[execution_id]
