"""Stops work for a client that has hung up."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeVar

from api.errors import ApiError, ErrorCode

T = TypeVar("T")


async def while_there(
    gone: Callable[[], Awaitable[None]] | None, work: Coroutine[Any, Any, T], *, wait: timedelta
) -> T:
    """Return what the work returns. If it may take ``wait``, cancel it once the client is gone.

    Raises UNAVAILABLE if it was cancelled. ``gone`` returns once the client has hung up; None if
    that can't be known.
    """
    if gone is None or not wait:
        return await work
    working = asyncio.ensure_future(work)
    going = asyncio.ensure_future(gone())
    try:
        await asyncio.wait({working, going}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ApiError(ErrorCode.UNAVAILABLE, "the client hung up before the answer was ready")
        return working.result()
    finally:
        working.cancel()
        going.cancel()
