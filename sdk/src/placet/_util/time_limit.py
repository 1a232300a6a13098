"""A time limit whose error says what was waited for."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager


@asynccontextmanager
async def limited(
    seconds: float | None, wanted: str, seen: Callable[[], str | None]
) -> AsyncIterator[None]:
    """Limit a block to so many seconds; None: no limit.

    Raises TimeoutError, which says what was ``wanted`` and what was ``seen`` last.
    """
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            yield
    except TimeoutError:
        if not limit.expired():
            # Something in the block raised it, with its own message.
            raise
        last = seen()
        progress = "no answer about it came" if last is None else f"last seen {last}"
        msg = f"waited {seconds:g} s for {wanted}; {progress}"
        raise TimeoutError(msg) from None
