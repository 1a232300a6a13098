"""Moments between events, whose times are estimated: they may be a tenth of a second early."""

import asyncio
from datetime import UTC, datetime, timedelta

APART = timedelta(seconds=0.25)


async def moment_after(recorded: datetime) -> datetime:
    """Return a moment after an event. What is recorded from now on has a later time."""
    moment = recorded + APART
    while datetime.now(UTC) < moment + APART:
        await asyncio.sleep(0.01)
    return moment
