"""Ending background tasks."""

import asyncio
from collections.abc import Iterable
from typing import Any

ASK_AGAIN = 0.5


async def stop(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait until all have ended.

    They are asked again and again: until Python 3.12 ``asyncio.wait_for``, with which psycopg
    waits for the database, swallows a cancellation that comes together with the answer.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=ASK_AGAIN)
