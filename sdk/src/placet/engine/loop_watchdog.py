"""Warns when the event loop stood still, because nothing else in the process can."""

import asyncio
import logging
from time import monotonic

log = logging.getLogger("placet.engine")

LOOK_SECONDS = 1.0
STALL_SECONDS = 5.0


async def watch() -> None:
    """Warn when the loop has stood still, until cancelled.

    An engine whose loop stands still answers nothing. After a while the service takes it for dead
    and lets other engines repeat what it is doing.
    """
    while True:
        began = monotonic()
        await asyncio.sleep(LOOK_SECONDS)
        stalled = monotonic() - began - LOOK_SECONDS
        if stalled >= STALL_SECONDS:
            log.warning(
                "the event loop stood still for %.0f s: the process was stopped, or something"
                " blocks it, such as a call in an async step that is not awaited; a step that is a"
                " plain function gets a thread",
                stalled,
            )
