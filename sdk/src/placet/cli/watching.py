"""Lists that are printed again whenever they change."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, TypeVar

from placet.cli.terminal import out
from placet.models.responses import ApprovalMessage, EventMessage, Page

PACE = 0.5
"""The seconds between two prints at least."""

Row = TypeVar("Row")


async def watch(
    read: Callable[[str | None], Awaitable[Page[Row]]],
    show: Callable[[Page[Row]], None],
    changes: Callable[[str | None], AsyncGenerator[EventMessage | ApprovalMessage, None]],
) -> None:
    """Print a list, and again when it has changed, until the command is interrupted.

    ``read`` gets the position that the list must have reached, ``changes`` the one to begin after.
    Raises RequestError if the stream is refused, as ``read`` does.
    """
    page = await read(None)
    seen = page.position
    changed = asyncio.Event()

    async def follow() -> None:
        nonlocal seen
        # From where the page ends, so that no change in between is missed.
        async with aclosing(changes(seen)) as stream:
            async for message in stream:
                seen = message.cursor
                changed.set()

    following = asyncio.create_task(follow())
    following.add_done_callback(lambda _: changed.set())
    try:
        _print(page, show)
        while True:
            await changed.wait()
            if following.done():
                following.result()
                return
            changed.clear()
            # The stream comes from the log, which the list may be behind.
            latest = await read(seen)
            # In a terminal also without a change, because the list says how long ago things were.
            if out.is_terminal or _content(latest) != _content(page):
                _print(latest, show)
            page = latest
            await asyncio.sleep(PACE)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


def _print(page: Page[Row], show: Callable[[Page[Row]], None]) -> None:
    if out.is_terminal:
        out.clear()
    show(page)


def _content(page: Page[Any]) -> tuple[object, ...]:
    return page.edges, page.page_info, page.total_count
