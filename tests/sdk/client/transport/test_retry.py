"""Trying again."""

import asyncio

from placet.client.transport.retry import retried
from placet.errors import Unavailable
from tests.support.patience import HANGS


async def test_the_pauses_grow_no_longer_than_they_may() -> None:
    left = 50

    async def at_last() -> str:
        nonlocal left
        left -= 1
        if left:
            raise Unavailable("not yet")
        return "there"

    # Pauses that grow without this bound come to minutes.
    async with asyncio.timeout(HANGS):
        assert await retried(None, at_last, pause=0.01) == "there"
