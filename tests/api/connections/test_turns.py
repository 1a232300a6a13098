"""What unknown clients send is handled a few connections at a time, between other work."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from api.connections.turns import AT_ONCE, MAX_WAITING_BYTES, Turns


class Sender:
    """A connection. ``handled`` has its data, each with the pass of the loop it was handled in."""

    def __init__(self, turns: Turns, passes: list[int]) -> None:
        self._turns = turns
        self._passes = passes
        self.paused = False
        self.aborted = False
        self.handled: list[tuple[int, bytes]] = []

    def receive(self, data: bytes) -> None:
        if self._turns.handles_now(self, data):
            self._handle(data)

    def pause_reading(self) -> None:
        self.paused = True

    def take_turn(self, data: bytes) -> None:
        self.paused = False
        self._handle(data)

    def abort(self) -> None:
        self.aborted = True

    def _handle(self, data: bytes) -> None:
        self.handled.append((self._passes[0], data))


@pytest.fixture
async def passes() -> AsyncIterator[list[int]]:
    """The number of passes that the event loop has made."""
    passed = [0]

    async def count() -> None:
        while True:
            await asyncio.sleep(0)
            passed[0] += 1

    counting = asyncio.create_task(count())
    yield passed
    counting.cancel()


async def until_handled(senders: list[Sender]) -> None:
    async with asyncio.timeout(10):
        while not all(sender.handled for sender in senders):
            await asyncio.sleep(0)


async def test_a_burst_is_handled_a_few_connections_a_pass_in_order(passes: list[int]) -> None:
    turns = Turns()
    senders = [Sender(turns, passes) for _ in range(10 * AT_ONCE)]
    for sender in senders:
        sender.receive(b"x")
    assert [sender.paused for sender in senders] == [False] * AT_ONCE + [True] * 9 * AT_ONCE
    assert turns.crowded()
    await until_handled(senders)
    when = [sender.handled[0][0] for sender in senders]
    assert when == sorted(when)
    assert max(when.count(number) for number in when) == AT_ONCE
    assert not any(sender.paused for sender in senders)
    assert not turns.crowded()


async def test_a_connection_alone_does_not_wait(passes: list[int]) -> None:
    sender = Sender(Turns(), passes)
    for _ in range(3):
        sender.receive(b"x")
        assert not sender.paused
        await asyncio.sleep(0)
    assert len(sender.handled) == 3


async def test_a_turn_that_fails_ends_its_connection_and_no_other(passes: list[int]) -> None:
    class Failing(Sender):
        def take_turn(self, data: bytes) -> None:
            raise RuntimeError(data)

    turns = Turns()
    first = [Sender(turns, passes) for _ in range(AT_ONCE)]
    failing, last = Failing(turns, passes), Sender(turns, passes)
    for sender in (*first, failing, last):
        sender.receive(b"x")
    await until_handled([last])
    assert failing.aborted
    assert not last.aborted


async def test_what_comes_while_data_waits_is_handled_with_it(passes: list[int]) -> None:
    turns = Turns()
    senders = [Sender(turns, passes) for _ in range(AT_ONCE + 1)]
    for sender in senders:
        sender.receive(b"x")
    senders[-1].receive(b"y")
    await until_handled(senders)
    assert [data for _, data in senders[-1].handled] == [b"xy"]


async def test_the_data_of_a_connection_that_has_ended_is_dropped(passes: list[int]) -> None:
    turns = Turns()
    senders = [Sender(turns, passes) for _ in range(AT_ONCE + 2)]
    for sender in senders:
        sender.receive(b"x")
    turns.left(senders[AT_ONCE])
    await until_handled([senders[-1]])
    assert not senders[AT_ONCE].handled


async def test_waiting_data_takes_little_memory(passes: list[int]) -> None:
    turns = Turns()
    first = [Sender(turns, passes) for _ in range(AT_ONCE)]
    for sender in first:
        sender.receive(b"x")
    waiting, next_ = Sender(turns, passes), Sender(turns, passes)
    waiting.receive(b"x" * MAX_WAITING_BYTES)
    assert waiting.paused
    next_.receive(b"y")
    assert [data for _, data in next_.handled] == [b"y"]
