"""Pages that take long to make: in a thread, so that nobody who waits for a decision is held up."""

import asyncio
from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec

from domain.approvals.state import Approval

T = TypeVar("T")

LIGHT_BYTES = 16 * 1024
"""A page of payloads up to this size is made in a few milliseconds."""


async def made_from(approvals: Iterable[Approval], make: Callable[[], T]) -> T:
    """Return what ``make`` returns for these approvals; in a thread if their payloads are large.

    10,000 rows take half a second. The event loop meanwhile waits for some milliseconds at most.
    """
    if sum(len(msgspec.json.encode(one.payload)) for one in approvals) <= LIGHT_BYTES:
        return make()
    return await asyncio.to_thread(make)
