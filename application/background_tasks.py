"""Ending background tasks."""

import asyncio
from collections.abc import Iterable
from typing import Any

ASK_AGAIN = 0.5


async def stop(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait until all have ended.

    The cancellation is repeated. Before Python 3.12, ``asyncio.wait_for`` loses a cancellation
    that comes together with the result, and psycopg waits for the database with it.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=ASK_AGAIN)
