"""What unknown clients send is handled a few connections at a time, between other work."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from api.connections.turns import AT_ONCE, HEALTH_CHECKS_AT_ONCE, MAX_WAITING_BYTES, Turns

CHECK = b"GET %s HTTP/1.1\r\nhost: x\r\n\r\n"


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
    await until_handled(senders)
    when = [sender.handled[0][0] for sender in senders]
    assert when == sorted(when)
    assert max(when.count(number) for number in when) == AT_ONCE
    assert not any(sender.paused for sender in senders)


async def test_a_connection_alone_does_not_wait(passes: list[int]) -> None:
    sender = Sender(Turns(), passes)
    for _ in range(3):
        sender.receive(b"x")
        assert not sender.paused
        await asyncio.sleep(0)
    assert len(sender.handled) == 3


@pytest.mark.parametrize("path", [b"/livez", b"/readyz"])
async def test_a_health_check_does_not_wait_for_what_others_have_sent(
    passes: list[int], path: bytes
) -> None:
    turns = Turns()
    senders = [Sender(turns, passes) for _ in range(10 * AT_ONCE)]
    health = Sender(turns, passes)
    for sender in senders:
        sender.receive(b"x")
    # More than one pass has begun, so that this pass has no turn left.
    await until_handled([senders[AT_ONCE]])
    health.receive(CHECK % path)
    await until_handled([health, *senders])
    before = [each for each in senders if each.handled[0][0] < health.handled[0][0]]
    assert len(before) <= 3 * AT_ONCE


@pytest.mark.parametrize(
    "data",
    [
        CHECK % b"/livez" * 2,
        b"GET /livez HTTP/1.1\r\n",
        CHECK % b"/livezz",
        b"POST /livez HTTP/1.1\r\n\r\n",
    ],
)
async def test_what_is_not_one_health_check_waits_like_anything_else(
    passes: list[int], data: bytes
) -> None:
    turns = Turns()
    senders = [Sender(turns, passes) for _ in range(10 * AT_ONCE)]
    for sender in senders:
        sender.receive(b"x")
    last = Sender(turns, passes)
    last.receive(data)
    await until_handled([last])
    assert all(sender.handled for sender in senders)


async def test_health_checks_without_end_hold_up_others_for_few_passes(
    passes: list[int],
) -> None:
    turns = Turns()
    checks = [Sender(turns, passes) for _ in range(10 * AT_ONCE)]
    for each in checks:
        each.receive(CHECK % b"/livez")
    senders = [Sender(turns, passes) for _ in range(2 * AT_ONCE)]
    for sender in senders:
        sender.receive(b"x")
    begun = passes[0]
    async with asyncio.timeout(10):
        while not all(sender.handled for sender in senders):
            # Whoever was answered asks again.
            for each in checks:
                if not each.paused:
                    each.receive(CHECK % b"/livez")
            await asyncio.sleep(0)
    rest = AT_ONCE - HEALTH_CHECKS_AT_ONCE
    assert max(sender.handled[0][0] for sender in senders) <= begun + len(senders) // rest + 2


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
