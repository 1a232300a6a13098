"""What comes of an execution after a version: by push, or by polling where that can't be had."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import timedelta
from typing import Any, Literal, get_args

from placet.client.queries import NO_WAIT, Queries
from placet.client.transport import operations
from placet.client.transport.reconnecting import StreamCutError, pause_seconds
from placet.client.transport.retry import retried
from placet.errors import Forbidden, LimitExceeded, NoSuchObject, NotFound
from placet.models.responses import Execution, Move

log = logging.getLogger("placet")

Mode = Literal["push", "poll"]
News = Move | Execution

MODES = get_args(Mode)
LONG_POLL = timedelta(seconds=20)


def check_mode(mode: str) -> None:
    """Raise ValueError for a way to wait that there is not."""
    if mode not in MODES:
        msg = f"there is no way to wait named {mode!r}; there is {' and '.join(MODES)}"
        raise ValueError(msg)


async def changes(
    client: Queries, execution_id: str, version: int, *, mode: Mode, poll: float | None
) -> AsyncGenerator[News, None]:
    """Give what an execution becomes after a version, in order of version, for ever.

    By push that is each event as it happens. By polling it is the execution, each time that it is
    found changed: by long polls, or with ``poll`` by asking every so many seconds. While no
    WebSocket can be had, push polls between its attempts, and if that lasts, it goes over to
    polling. Raises NotFound once the caller may not see the execution, and RequestError for what
    trying again can't cure, and ValueError for a mode that there is not.
    """
    check_mode(mode)
    if mode == "push":
        async with aclosing(_pushed(client, execution_id, version)) as pushed:
            async for news in pushed:
                version = news.version
                yield news
    async with aclosing(_polled(client, execution_id, version, poll)) as polled:
        async for execution in polled:
            yield execution


async def _pushed(client: Queries, execution_id: str, version: int) -> AsyncGenerator[News, None]:
    """Push, until it is clear that it can't be had."""

    def asked() -> dict[str, Any]:
        return {"id": execution_id, "after": version}

    socket = client.socket
    while not socket.reach.blocked:
        try:
            async with aclosing(_moves(client, execution_id, asked)) as moves:
                async for move in moves:
                    version = move.version
                    yield move
        except LimitExceeded as error:
            log.warning("waiting by polling instead of by push: %s", error)
            return
        except StreamCutError as error:
            log.info("looking by HTTP, because there is no WebSocket: %s", error)
        # The pause before the next attempt is a long poll, so that nothing is late in it.
        pause = timedelta(seconds=pause_seconds())
        execution = await _look(client, execution_id, version, pause)
        socket.reach.http_works()
        if execution is not None:
            version = execution.version
            yield execution


async def _polled(
    client: Queries, execution_id: str, version: int, poll: float | None
) -> AsyncGenerator[Execution, None]:
    wait = LONG_POLL if poll is None else NO_WAIT
    while True:
        execution = await _look(client, execution_id, version, wait)
        if execution is not None:
            version = execution.version
            yield execution
        if poll is not None:
            await asyncio.sleep(poll)


async def _look(
    client: Queries, execution_id: str, version: int, wait: timedelta
) -> Execution | None:
    """Give the execution if it is no longer at the version. Raises NotFound."""
    change = await retried(None, client.execution_after, execution_id, version, wait)
    if change is None:
        raise no_such_execution(execution_id)
    return change.execution


async def _moves(
    client: Queries, execution_id: str, asked: Callable[[], dict[str, Any]]
) -> AsyncGenerator[Move, None]:
    moves = client.socket.stream(operations.MOVES, asked, ends=True, patient=False)
    try:
        async with aclosing(moves):
            async for move in moves:
                yield move
    except (Forbidden, NoSuchObject) as error:
        raise no_such_execution(execution_id) from error
    raise no_such_execution(execution_id)


async def existing(client: Queries, execution_id: str) -> Execution:
    """Give an execution from the log. Raises NotFound and RequestError."""
    execution = await client.execution(execution_id)
    if execution is None:
        raise no_such_execution(execution_id)
    return execution


def no_such_execution(execution_id: str) -> NotFound:
    """There is none, or not one that the caller may see, or not any more."""
    return NotFound("NOT_FOUND", f"there is no execution {execution_id!r} that you may see")
