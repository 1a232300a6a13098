"""Sends the commands of all runs: together, in order, and again until they are answered."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from placet.client.transport.retry import retried
from placet.errors import BadRequest, Internal, LimitExceeded, PlacetError, Refused, transient
from placet.models.commands import Command
from placet.models.enums import RefusalCode
from placet.models.rules import MAX_BODY_BYTES, MAX_COMMANDS
from placet.models.worker_responses import Noted

MAX_BYTES = MAX_BODY_BYTES // 2
"""Half of what the service takes as one body."""

Result = Noted | Refused
Send = Callable[[Sequence[msgspec.Raw]], Awaitable[list[Result]]]

MAX_FAULTS = 4
"""How often in a row a request is repeated on which the service failed."""

log = logging.getLogger("placet.engine")

_PAUSE_SECONDS = 0.2
_encode = msgspec.json.Encoder().encode


@dataclass(eq=False, slots=True)
class _Queued:
    body: msgspec.Raw
    size: int
    result: asyncio.Future[Noted] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class CommandBatcher:
    """Sends the queued commands in one request at a time, which keeps the order of an execution.

    A command that the service could not take, or skipped after an earlier refusal, is sent again in
    its place until it is answered or nobody waits for it.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._queue: deque[_Queued] = deque()
        self._pump: asyncio.Task[None] | None = None
        self._faults = 0

    async def submit(self, command: Command) -> Noted:
        """Send a command together with others. Raises Refused and RequestError."""
        body = _encode({command.field: command})
        waiting = _Queued(msgspec.Raw(body), len(body))
        self._queue.append(waiting)
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._run(), name="placet-batcher")
        return await waiting.result

    async def close(self) -> None:
        """Drop what has not been sent, and cancel those who wait for it."""
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.wait([self._pump])
        while self._queue:
            self._queue.popleft().result.cancel()

    async def _run(self) -> None:
        # So that runs that were woken together get their commands into the first request.
        await asyncio.sleep(0)
        while batch := self._take():
            try:
                await self._deliver(batch)
            except asyncio.CancelledError:
                self._queue.extendleft(reversed(batch))
                raise

    def _take(self) -> list[_Queued]:
        batch: list[_Queued] = []
        size = 0
        while self._queue and len(batch) < MAX_COMMANDS:
            waiting = self._queue[0]
            if batch and size + waiting.size > MAX_BYTES:
                break
            self._queue.popleft()
            # Nobody waits for the commands of an abandoned run, and they must not be sent.
            if not waiting.result.done():
                batch.append(waiting)
                size += waiting.size
        return batch

    async def _deliver(self, batch: list[_Queued]) -> None:
        try:
            bodies = [waiting.body for waiting in batch]
            results = await retried(None, self._send, bodies)
        except (BadRequest, LimitExceeded) as error:
            await self._deliver_apart(batch, error)
        except Internal as error:
            # Commands can be repeated, so a fault of the service or a proxy need not reach the
            # workflows yet.
            self._faults += 1
            if self._faults <= MAX_FAULTS:
                log.warning("the service failed on a request of %d commands: %s", len(batch), error)
                self._queue.extendleft(reversed(batch))
                await asyncio.sleep(_PAUSE_SECONDS * 2**self._faults)
            else:
                await self._deliver_apart(batch, error)
        except PlacetError as error:
            for waiting in batch:
                _raise(waiting, error)
        except Exception as error:
            log.exception("a request of %d commands could not be made", len(batch))
            for waiting in batch:
                _raise(waiting, Internal(f"the request could not be made: {error}"))
        else:
            self._faults = 0
            await self._settle(batch, results)

    async def _deliver_apart(self, batch: list[_Queued], error: PlacetError) -> None:
        """Send each command alone, because one of them is at fault and the others are not."""
        if len(batch) == 1:
            _raise(batch[0], error)
            return
        for waiting in batch:
            await self._deliver([waiting])

    async def _settle(self, batch: list[_Queued], results: list[Result]) -> None:
        again: list[_Queued] = []
        pause = False
        for waiting, result in zip(batch, results, strict=True):
            if isinstance(result, Noted):
                if not waiting.result.done():
                    waiting.result.set_result(result)
            elif result.code == RefusalCode.SKIPPED or transient(result):
                again.append(waiting)
                pause = pause or result.code != RefusalCode.SKIPPED
            else:
                _raise(waiting, result)
        self._queue.extendleft(reversed(again))
        if pause:
            await asyncio.sleep(_PAUSE_SECONDS)


def _raise(waiting: _Queued, error: PlacetError) -> None:
    if not waiting.result.done():
        waiting.result.set_exception(error)
