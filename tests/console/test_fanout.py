"""Open pages are woken by events, a few at a time, and share what is the same for all."""

import asyncio
from collections.abc import Callable

import pytest

from api.console.fanout import Fanout, Shared


class Tail:
    """A tail whose events come when the test says so."""

    def __init__(self) -> None:
        self.position = 7
        self.came: Callable[[tuple[()]], None] = lambda _: None

    def add_listener(self, listener: Callable[[tuple[()]], None]) -> None:
        self.came = listener


async def test_all_pages_are_woken_and_those_that_are_behind_do_not_wait() -> None:
    tail = Tail()
    fanout = Fanout(tail, busy=lambda: True)  # type: ignore[arg-type]
    await fanout.start()
    try:
        await fanout.wait(6, 60)
        waiting = [asyncio.create_task(fanout.wait(7, 60)) for _ in range(20)]
        await asyncio.sleep(0)
        tail.position = 8
        tail.came(())
        async with asyncio.timeout(20):
            await asyncio.gather(*waiting)
    finally:
        await fanout.close()


async def test_a_page_without_an_event_waits_no_longer_than_it_said() -> None:
    fanout = Fanout(Tail())  # type: ignore[arg-type]
    async with asyncio.timeout(20):
        await fanout.wait(7, 0.01)


async def test_what_is_shared_is_read_once_and_a_failure_is_not_kept() -> None:
    shared = Shared(most=2)
    reads: list[str] = []

    async def read() -> str:
        reads.append("read")
        await asyncio.sleep(0)
        if len(reads) == 1:
            raise ConnectionError
        return "found"

    with pytest.raises(ConnectionError):
        await shared.once("key", read)
    assert await asyncio.gather(*(shared.once("key", read) for _ in range(9))) == ["found"] * 9
    assert reads == ["read", "read"]


async def test_only_the_latest_is_kept() -> None:
    shared = Shared(most=2)
    for number in range(4):
        shared.put(number, number)
    assert [shared.get(number) for number in range(4)] == [None, None, 2, 3]
