"""Substitutions in memory: requests that come while they are read."""

import asyncio
from typing import Any

from application.substitutes import Substitutes
from tests.domain.people import ANN


class OutdatedOnce(Substitutes):
    """What it reads first is outdated at once. Just then a request comes."""

    def __init__(self) -> None:
        super().__init__(pool=None)  # type: ignore[arg-type] # nothing is read from a database
        self.reads = 0
        self.requests: list[asyncio.Task[Any]] = []

    async def _rows(self) -> list[dict[str, Any]]:
        self.reads += 1
        if self.reads == 1:
            self.forget()
            # It gets its turn when this read has ended, and before anybody is told that it has.
            self.requests.append(asyncio.create_task(self.of(ANN)))
        return []


async def test_a_request_does_not_wait_for_a_read_that_has_ended() -> None:
    substitutes = OutdatedOnce()
    async with asyncio.timeout(10):
        assert await substitutes.of(ANN) == ANN
        assert await asyncio.gather(*substitutes.requests) == [ANN]
    assert substitutes.reads == 2
