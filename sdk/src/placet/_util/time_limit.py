"""A time limit whose error says what was waited for."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager


@asynccontextmanager
async def limited(
    seconds: float | None, wanted: str, seen: Callable[[], str | None]
) -> AsyncIterator[None]:
    """End the block after so many seconds, None: never.

    Raises TimeoutError, which says what was ``wanted`` and what was ``seen`` of it last.
    """
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            yield
    except TimeoutError:
        if not limit.expired():
            # Of something in the block, which has words of its own.
            raise
        last = seen()
        told = "no answer about it came" if last is None else f"last seen {last}"
        msg = f"waited {seconds:g} s for {wanted}; {told}"
        raise TimeoutError(msg) from None
