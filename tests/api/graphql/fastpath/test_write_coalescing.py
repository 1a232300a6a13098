"""What is written to a connection is written in order, and seldom."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from api.graphql.fastpath.write_coalescing import LIMIT, Corked


class Written(asyncio.Transport):
    """Keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self._closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self._closed
        self.writes.append(bytes(data))

    def close(self) -> None:
        self._closed = True

    def is_closing(self) -> bool:
        return self._closed

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Take any."""


def corked(*, websocket: bool) -> tuple[Corked, Written]:
    written = Written()
    transport = Corked(written, asyncio.get_running_loop())
    if websocket:
        transport.set_protocol(asyncio.Protocol())
    return transport, written


async def test_the_parts_of_an_answer_are_one_write() -> None:
    transport, written = corked(websocket=False)
    transport.write(b"head")
    transport.write(b"body")
    assert written.writes == []
    await asyncio.sleep(0)
    assert written.writes == [b"headbody"]


async def test_the_first_message_of_a_round_is_written_at_once_and_the_rest_together() -> None:
    transport, written = corked(websocket=True)
    for round_ in range(2):
        for data in (b"1", b"2", b"3"):
            transport.write(data)
        assert written.writes[2 * round_ :] == [b"1"]
        await asyncio.sleep(0)
        assert written.writes[2 * round_ :] == [b"1", b"23"]


async def test_not_more_is_kept_back_than_its_limit() -> None:
    """Only what is written can tell its writer to wait for a slow reader."""
    transport, written = corked(websocket=False)
    transport.write(b"x" * (LIMIT - 1))
    assert written.writes == []
    transport.write(b"y")
    assert written.writes == [b"x" * (LIMIT - 1) + b"y"]
    await asyncio.sleep(0)
    assert len(written.writes) == 1


async def test_what_was_written_before_the_end_is_written() -> None:
    transport, written = corked(websocket=False)
    transport.write(b"bye")
    transport.close()
    assert written.writes == [b"bye"]
    assert transport.is_closing()


@given(
    steps=st.lists(st.binary(min_size=1, max_size=3) | st.none()),
    websocket=st.booleans(),
    ended=st.booleans(),
)
def test_nothing_is_lost_or_comes_before_its_turn(
    *, steps: list[bytes | None], websocket: bool, ended: bool
) -> None:
    """``steps``: what is written, None for the end of a round. ``ended``: from the other side."""

    async def play() -> tuple[bytes, bytes]:
        transport, written = corked(websocket=websocket)
        for step in steps:
            if step is None:
                await asyncio.sleep(0)
            else:
                transport.write(step)
        if ended:
            written.close()
        await asyncio.sleep(0)
        return b"".join(written.writes), b"".join(step for step in steps if step is not None)

    came, given_ = asyncio.run(play())
    assert given_.startswith(came) if ended else came == given_
