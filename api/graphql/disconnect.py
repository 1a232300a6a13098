"""Work that is of use only while the client is there to be told of it."""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, TypeVar

from api.context import Context
from api.errors import ApiError, ErrorCode

T = TypeVar("T")


async def while_there(context: Context, work: Coroutine[Any, Any, T], *, wait: timedelta) -> T:
    """Give what work gives; if it may take ``wait``, cancel it once the client has gone."""
    if context.gone is None or not wait:
        return await work
    working = asyncio.ensure_future(work)
    going = asyncio.ensure_future(context.gone())
    try:
        await asyncio.wait({working, going}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ApiError(ErrorCode.UNAVAILABLE, "the client did not wait for the answer")
        return working.result()
    finally:
        working.cancel()
        going.cancel()
