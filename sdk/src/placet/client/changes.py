"""How an execution changes after a version: by push, or by polling where push is not possible."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import timedelta
from typing import Literal, get_args

from placet.client.queries import NO_WAIT, Queries
from placet.client.transport.envelope import BoundOperation
from placet.client.transport.http import HttpTransport
from placet.client.transport.operations.subscriptions import MOVES
from placet.client.transport.reconnecting import StreamCutError, pause_seconds
from placet.client.transport.retry import retried
from placet.errors import Forbidden, LimitExceeded, NoSuchObject, NotFound
from placet.models.responses import Execution, Move
from placet.models.rules import MAX_WAIT

log = logging.getLogger("placet")

Mode = Literal["push", "poll"]
News = Move | Execution

MODES = get_args(Mode)


def check_mode(mode: str) -> None:
    """Raise ValueError for a mode that does not exist."""
    if mode not in MODES:
        msg = f"there is no way to wait named {mode!r}; there is {' and '.join(MODES)}"
        raise ValueError(msg)


class Changes:
    """Follows the changes of single executions."""

    def __init__(self, transport: HttpTransport, queries: Queries) -> None:
        self._transport = transport
        self._queries = queries

    async def after(
        self, execution_id: str, version: int, *, mode: Mode, poll: float | None
    ) -> AsyncGenerator[News, None]:
        """Yield what an execution becomes after a version, in order of version, without end.

        By push this is each event as it happens. By polling it is the execution, each time that it
        is found changed: by long polls, or with ``poll`` by asking every so many seconds. While no
        WebSocket can be opened, push polls between its attempts. If that lasts, it changes over to
        polling. Raises NotFound once the caller may not see the execution, RequestError for what
        trying again can't cure, and ValueError for a mode that does not exist.
        """
        check_mode(mode)
        if mode == "push":
            async with aclosing(self._pushed(execution_id, version)) as pushed:
                async for news in pushed:
                    version = news.version
                    yield news
        async with aclosing(self._polled(execution_id, version, poll)) as polled:
            async for execution in polled:
                yield execution

    async def _pushed(self, execution_id: str, version: int) -> AsyncGenerator[News, None]:
        """Push until it is clear that WebSockets do not get through."""

        def asked() -> BoundOperation[Move]:
            return MOVES(execution_id, version)

        socket = self._transport.socket
        while not socket.health.blocked:
            try:
                async with aclosing(self._moves(execution_id, asked)) as moves:
                    async for move in moves:
                        version = move.version
                        yield move
            except LimitExceeded as error:
                log.warning("waiting by polling instead of by push: %s", error)
                return
            except StreamCutError as error:
                log.info("asking by HTTP, because there is no WebSocket: %s", error)
            # The pause before the next attempt is a long poll, so that nothing is late meanwhile.
            pause = timedelta(seconds=pause_seconds())
            execution = await self._look(execution_id, version, pause)
            socket.health.http_works()
            if execution is not None:
                version = execution.version
                yield execution

    async def _polled(
        self, execution_id: str, version: int, poll: float | None
    ) -> AsyncGenerator[Execution, None]:
        wait = MAX_WAIT if poll is None else NO_WAIT
        while True:
            execution = await self._look(execution_id, version, wait)
            if execution is not None:
                version = execution.version
                yield execution
            if poll is not None:
                await asyncio.sleep(poll)

    async def _look(self, execution_id: str, version: int, wait: timedelta) -> Execution | None:
        """Return the execution if it is past the version. Raises NotFound."""
        change = await retried(None, self._queries.execution_after, execution_id, version, wait)
        if change is None:
            raise no_such_execution(execution_id)
        return change.execution

    async def _moves(
        self, execution_id: str, asked: Callable[[], BoundOperation[Move]]
    ) -> AsyncGenerator[Move, None]:
        moves = self._transport.socket.stream(asked, ends=True, patient=False)
        try:
            async with aclosing(moves):
                async for move in moves:
                    yield move
        except (Forbidden, NoSuchObject) as error:
            raise no_such_execution(execution_id) from error
        raise no_such_execution(execution_id)


async def existing(queries: Queries, execution_id: str) -> Execution:
    """Read an execution from the log. Raises NotFound and RequestError."""
    execution = await queries.execution(execution_id)
    if execution is None:
        raise no_such_execution(execution_id)
    return execution


def no_such_execution(execution_id: str) -> NotFound:
    """Return the error for an execution that does not exist, or that the caller may not see."""
    return NotFound("NOT_FOUND", f"there is no execution {execution_id!r} that you may see")
