"""Sends the commands of all runs: together, in order, and again until they are answered."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass, field
from time import monotonic

import msgspec

from placet._util.tracing import current_traceparent
from placet.client.transport.retry import retried
from placet.errors import (
    BadRequest,
    Internal,
    LimitExceeded,
    PlacetError,
    Refused,
    Unauthenticated,
    transient,
)
from placet.models.commands import Command
from placet.models.enums import RefusalCode
from placet.models.rules import MAX_BODY_BYTES, MAX_COMMANDS
from placet.models.worker_responses import Noted

MAX_BYTES = MAX_BODY_BYTES // 2
"""Half of what the service takes as one body."""

Result = Noted | Refused
Send = Callable[[Sequence[msgspec.Raw], Sequence[str | None]], Awaitable[list[Result]]]
"""Sends commands, each with the traceparent from which it was submitted."""

MAX_FAULTS = 4
"""How often in a row a command is repeated on which the service failed."""

log = logging.getLogger("placet.engine")

_PAUSE_SECONDS = 0.2
_REFUSED_PAUSE_SECONDS = 1.0
_encode = msgspec.json.Encoder().encode


@dataclass(eq=False, slots=True)
class _Queued:
    """A command of an execution. ``faults``: how often in a row the service failed on it."""

    body: msgspec.Raw
    size: int
    execution_id: str
    trace: str | None
    result: asyncio.Future[Noted] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    faults: int = 0


class CommandBatcher:
    """Sends the queued commands in one request at a time, which keeps the order of an execution.

    A command that the service could not take, or skipped after an earlier refusal, is sent again in
    its place until it is answered or nobody waits for it. A command on which the service failed is
    repeated after a pause, which later commands of its execution wait for and others do not.

    ``keep_for``: for how many seconds commands are kept while the service refuses the token.
    """

    def __init__(self, send: Send, keep_for: float = 0) -> None:
        self._send = send
        self._keep_for = keep_for
        self._refused_since: float | None = None
        self._queue: deque[_Queued] = deque()
        self._pump: asyncio.Task[None] | None = None
        self._faults = 0
        # Until when the commands of an execution are kept back, by its id.
        self._kept_back: dict[str, float] = {}
        self._changed = asyncio.Event()

    async def submit(self, command: Command, execution_id: str | None = None) -> Noted:
        """Send a command together with others. Raises Refused and RequestError.

        ``execution_id``: the execution that it is about, for a command that does not name it.
        """
        body = _encode({command.field: command})
        if execution_id is None:
            execution_id = str(getattr(command, "execution_id", ""))
        waiting = _Queued(msgspec.Raw(body), len(body), execution_id, current_traceparent())
        self._queue.append(waiting)
        if self._pump is None or self._pump.done():
            # In a context of its own: it sends for others than who happens to start it.
            self._pump = asyncio.create_task(self._run(), name="placet-batcher", context=Context())
        elif self._kept_back:
            self._changed.set()
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
        while self._queue:
            batch = self._take()
            if not batch:
                await self._wait()
                continue
            try:
                again = await self._deliver(batch)
            except asyncio.CancelledError:
                self._queue.extendleft(reversed(batch))
                raise
            self._queue.extendleft(reversed(again))

    def _take(self) -> list[_Queued]:
        batch: list[_Queued] = []
        size = 0
        kept_back = self._still_kept_back()
        passed: list[_Queued] = []
        while self._queue and len(batch) < MAX_COMMANDS:
            waiting = self._queue[0]
            if batch and size + waiting.size > MAX_BYTES:
                break
            self._queue.popleft()
            # Nobody waits for the commands of an abandoned run, and they must not be sent.
            if waiting.result.done():
                continue
            if waiting.execution_id in kept_back:
                passed.append(waiting)
                continue
            batch.append(waiting)
            size += waiting.size
        self._queue.extendleft(reversed(passed))
        return batch

    def _still_kept_back(self) -> dict[str, float]:
        if self._kept_back:
            now = monotonic()
            self._kept_back = {id_: until for id_, until in self._kept_back.items() if until > now}
        return self._kept_back

    async def _wait(self) -> None:
        """Wait until a command may be sent that was kept back, or another one comes."""
        if not self._kept_back:
            return
        self._changed.clear()
        pause = min(self._kept_back.values()) - monotonic()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), max(pause, 0))

    async def _deliver(self, batch: list[_Queued]) -> list[_Queued]:
        """Send a batch. Returns what has to be sent again, in order."""
        try:
            bodies = [waiting.body for waiting in batch]
            traces = [waiting.trace for waiting in batch]
            results = await retried(None, self._send, bodies, traces)
        except PlacetError as error:
            return await self._after(error, batch)
        except Exception as error:
            log.exception("a request of %d commands could not be made", len(batch))
            for waiting in batch:
                _raise(waiting, Internal(f"the request could not be made: {error}"))
        else:
            self._faults = 0
            self._refused_since = None
            return await self._settle(batch, results)
        return []

    async def _after(self, error: PlacetError, batch: list[_Queued]) -> list[_Queued]:
        """Act on an error that a whole request met. Returns what has to be sent again, in order."""
        match error:
            case BadRequest() | LimitExceeded():
                return await self._deliver_apart(batch, error)
            case Unauthenticated():
                if await self._keep(len(batch), error):
                    return batch
            case Internal():
                # Commands can be repeated, so a fault of the service or a proxy need not reach the
                # workflows yet.
                log.warning("the service failed on a request of %d commands: %s", len(batch), error)
                self._faults += 1
                if len(batch) == 1:
                    return self._kept(batch[0], error)
                if self._faults > 1:
                    return await self._deliver_apart(batch, error)
                await asyncio.sleep(_PAUSE_SECONDS)
                return batch
        for waiting in batch:
            _raise(waiting, error)
        return []

    async def _keep(self, count: int, error: Unauthenticated) -> bool:
        """Pause because the token is refused. Returns whether its commands are still kept."""
        now = monotonic()
        if self._refused_since is None:
            self._refused_since = now
            log.warning(
                "the service refuses the token: what %d commands record is kept and sent again for"
                " %g s, as long as the lease: %s",
                count,
                self._keep_for,
                error,
            )
        if now - self._refused_since >= self._keep_for:
            log.error("%d commands are not recorded, because the token is refused", count)
            return False
        await asyncio.sleep(_REFUSED_PAUSE_SECONDS)
        return True

    async def _deliver_apart(self, batch: list[_Queued], error: PlacetError) -> list[_Queued]:
        """Send each command alone, because one of them is at fault and the others are not.

        Returns what has to be sent again, and with it what must not overtake it.
        """
        if len(batch) == 1:
            _raise(batch[0], error)
            return []
        again: list[_Queued] = []
        held: set[str] = set()
        for waiting in batch:
            left = [waiting]
            if waiting.execution_id not in held:
                left = await self._deliver([waiting])
            if left:
                held.add(waiting.execution_id)
            again += left
        return again

    def _kept(self, waiting: _Queued, error: PlacetError) -> list[_Queued]:
        """Keep a command back on which the service failed, or give up."""
        waiting.faults += 1
        if waiting.faults > MAX_FAULTS:
            _raise(waiting, error)
            return []
        pause = _PAUSE_SECONDS * 2**waiting.faults
        self._kept_back[waiting.execution_id] = monotonic() + pause
        return [waiting]

    async def _settle(self, batch: list[_Queued], results: list[Result]) -> list[_Queued]:
        again: list[_Queued] = []
        pause = False
        for waiting, result in zip(batch, results, strict=True):
            if isinstance(result, Noted):
                if not waiting.result.done():
                    waiting.result.set_result(result)
            elif result.code == RefusalCode.INTERNAL:
                log.warning("the service failed on a command: %s", result.message)
                again += self._kept(waiting, Internal(result.message))
            elif result.code == RefusalCode.SKIPPED or transient(result):
                again.append(waiting)
                pause = pause or result.code != RefusalCode.SKIPPED
            else:
                _raise(waiting, result)
        if pause:
            await asyncio.sleep(_PAUSE_SECONDS)
        return again


def _raise(waiting: _Queued, error: PlacetError) -> None:
    if not waiting.result.done():
        waiting.result.set_exception(error)
