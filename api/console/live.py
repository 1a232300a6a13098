"""Live updates: server-sent events (HTML standard, section 9.2), as long as the session lasts."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from starlette.responses import Response, StreamingResponse

from api.console.responses import PageError
from api.console.visit import Visit
from api.schema.paging import number_of
from application.subscriptions.event_tail import CLIENT_PAGE, EventPage
from domain.values import Principal

IDLE_SECONDS = 15.0
RETRY_MILLISECONDS = 1_000


class Message(NamedTuple):
    """A message to the page: its type, and any JSON value."""

    type: str
    data: Any


Messages = Callable[[EventPage, Principal], Awaitable[Iterable[Message]]]
"""Makes the messages about new events for a viewer."""


def last_seen(visit: Visit) -> int | None:
    """Return the position that the page knows: of the last message, or in the address."""
    given = visit.request.headers.get("last-event-id") or visit.query.word("after")
    return number_of(given, "after")


def streamed(
    visit: Visit,
    after: int | None,
    messages: Messages,
    *,
    execution_id: UUID | None = None,
    pause: float = 0.0,
) -> Response:
    """Stream messages about the events after a position, until the session or the server ends.

    ``pause``: so many seconds are between two batches of events, unless many of them wait.
    """
    if visit.services.tail.draining:
        raise PageError(
            503, visit.text("The server ends"), visit.text("Open the page again in a moment.")
        )
    return StreamingResponse(
        _stream(visit, after, messages, execution_id, pause),
        media_type="text/event-stream",
        # So that a proxy does not collect the messages before it sends them.
        headers={"x-accel-buffering": "no"},
    )


async def _stream(
    visit: Visit,
    after: int | None,
    messages: Messages,
    execution_id: UUID | None,
    pause: float,
) -> AsyncIterator[bytes]:
    assert visit.session is not None
    tail, fanout = visit.services.tail, visit.site.fanout
    # What follows all events is woken by the fanout, and then finds them at once.
    whole = execution_id is None
    position = tail.position if after is None else after
    pages = tail.follow(position, execution_id=execution_id, idle=0.0 if whole else IDLE_SECONDS)

    async def next_page() -> EventPage:
        if whole:
            await fanout.wait(position, IDLE_SECONDS)
        return await anext(pages)

    yield f"retry: {RETRY_MILLISECONDS}\n\n".encode()
    with visit.site.sessions.follow(visit.session) as followed:
        ended = asyncio.ensure_future(followed.ended.wait())
        # A reading of its own: that of the request has ended before the stream begins.
        reading = visit.site.reads.begin(visit.principal.id)
        coming: asyncio.Task[EventPage] | None = None
        try:
            while True:
                coming = asyncio.create_task(next_page())
                await asyncio.wait({coming, ended}, return_when=asyncio.FIRST_COMPLETED)
                principal = followed.principal
                if principal is None:
                    # The page then says so, and does not connect again.
                    yield _encoded(Message("ended", None), None)
                    return
                page = await coming
                position = page.position
                told = list(await messages(page, principal))
                for message in told:
                    yield _encoded(message, page.position)
                if not told:
                    # Keeps the connection open, and the position known.
                    yield f"id: {page.position}\n\n".encode()
                if pause and len(page.events) < CLIENT_PAGE:
                    await asyncio.wait({ended}, timeout=pause)
        finally:
            ended.cancel()
            if coming is not None:
                coming.cancel()
                # What it may have failed with is of no use any more.
                await asyncio.wait({coming})
            await pages.aclose()
            reading.finish()


def _encoded(message: Message, position: int | None) -> bytes:
    # JSON has no line break in it, so each message is one line of data.
    number = "" if position is None else f"id: {position}\n"
    data = msgspec.json.encode(message.data).decode()
    return f"{number}event: {message.type}\ndata: {data}\n\n".encode()
