"""Commands over the WebSocket of a client that has one open."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
from aiohttp import web

from placet import Client, errors
from placet.client.transport import graphql_ws
from placet.client.transport.http import LARGE, MANY
from tests.sdk.client.transport.test_http import ACCEPTED, answers, data, failure
from tests.sdk.peer import Conversation, Peer
from tests.support.patience import HANGS

EXECUTION = "00000000-0000-4000-8000-000000000001"


@pytest.fixture
async def talk(peer: Peer, client: Client) -> AsyncIterator[Conversation]:
    """A client with a stream."""

    async def follow() -> None:
        async with aclosing(client.execution_events(EXECUTION, after_version=0)) as stream:
            async for _ in stream:
                pass

    following = asyncio.create_task(follow())
    conversation = await peer.conversation()
    await conversation.subscription()
    yield conversation
    following.cancel()
    await asyncio.wait([following])


async def test_a_command_and_its_answer_go_over_the_socket(
    peer: Peer, client: Client, talk: Conversation
) -> None:
    async with asyncio.TaskGroup() as group:
        started = group.create_task(client.start("w", {"n": 1}, id=EXECUTION))
        key, variables = await talk.subscription()
        assert variables["input"]["workflow"] == "w"
        await talk.next(key, ACCEPTED)
        await talk.send(id=key, type="complete")
    assert started.result().position == "1"
    assert peer.posts == 0


async def test_answers_find_their_commands_in_any_order(client: Client, talk: Conversation) -> None:
    async with asyncio.TaskGroup() as group:
        first = group.create_task(client.start("w", id=EXECUTION))
        one, _ = await talk.subscription()
        second = group.create_task(client.start("w", id=EXECUTION))
        two, _ = await talk.subscription()
        await talk.next(two, {**ACCEPTED, "position": "2"})
        await talk.next(one, {**ACCEPTED, "position": "1"})
    assert [first.result().position, second.result().position] == ["1", "2"]


@pytest.fixture
def no_second_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stream does not come back in time, or a command would be sent once more over that."""
    monkeypatch.setattr("placet.client.transport.reconnecting.pause_seconds", lambda: 60.0)


@pytest.mark.usefixtures("no_second_socket")
async def test_what_was_not_answered_is_posted_with_the_same_ids(
    peer: Peer, client: Client, talk: Conversation
) -> None:
    bodies = answers(peer, data(ACCEPTED))
    async with asyncio.TaskGroup() as group:
        started = group.create_task(client.start("w"))
        _, variables = await talk.subscription()
        await talk.hang_up()
    assert started.result().position == "1"
    assert [body["variables"] for body in bodies] == [variables]


async def test_what_was_completed_without_an_answer_is_asked_again(
    client: Client, talk: Conversation
) -> None:
    async with asyncio.TaskGroup() as group:
        started = group.create_task(client.start("w"))
        key, first = await talk.subscription()
        await talk.send(id=key, type="complete")
        key, second = await talk.subscription()
        await talk.next(key, ACCEPTED)
    assert first == second
    assert started.result().position == "1"


@pytest.mark.usefixtures("no_second_socket")
@pytest.mark.parametrize("code", [1009, 1012, 4400, 4401])
async def test_another_s_fault_that_ends_the_connection_is_no_answer(
    peer: Peer, client: Client, talk: Conversation, code: int
) -> None:
    answers(peer, data(ACCEPTED))
    async with asyncio.TaskGroup() as group:
        started = group.create_task(client.start("w"))
        await talk.subscription()
        await talk.hang_up(code)
    assert started.result().position == "1"
    assert peer.posts == 1


async def test_a_claim_is_posted(peer: Peer, client: Client, talk: Conversation) -> None:
    """It is sent once, and a server that ends answers what was posted."""
    answers(peer, data({"claims": [], "lost": []}))
    await client.claim("me")
    assert peer.posts == 1
    assert talk.frames.empty()


async def test_what_was_given_up_counts_until_the_service_has_ended_it(
    peer: Peer, client: Client, talk: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graphql_ws, "MAX_CARRIED", 2)
    answers(peer, data(ACCEPTED))
    given_up = asyncio.create_task(client.start("w"))
    key, _ = await talk.subscription()
    given_up.cancel()
    await asyncio.wait([given_up])
    await client.start("w")
    assert peer.posts == 1
    await talk.next(key, ACCEPTED)
    await talk.send(id=key, type="complete")
    async with asyncio.TaskGroup() as group:
        # The stream's own message is read after the two before it.
        while client.socket.connection is None:
            await asyncio.sleep(0.001)
        group.create_task(client.start("w"))
        key, _ = await talk.subscription()
        await talk.next(key, ACCEPTED)
    assert peer.posts == 1


@pytest.mark.parametrize("code", ["FORBIDDEN", "BAD_REQUEST", "INTERNAL"])
async def test_an_error_is_raised_by_its_code(
    client: Client, talk: Conversation, code: str
) -> None:
    asked = asyncio.create_task(client.start("w"))
    key, _ = await talk.subscription()
    await talk.error(key, code)
    with pytest.raises(errors.REQUEST_ERRORS[code], match=f"it is {code}"):
        await asked


async def test_without_an_answer_in_time_it_is_unavailable(peer: Peer) -> None:
    async with Client(peer.url, "a-token", timeout=0.05, retry_for=0) as client:
        reading = asyncio.create_task(anext(client.execution_events(EXECUTION, after_version=0)))
        talk = await peer.conversation()
        await talk.subscription()
        with pytest.raises(errors.Unavailable, match=r"no answer from .* within 0.05 s"):
            await client.start("w")
        # It may come yet, and means nothing to anybody.
        key, _ = await talk.subscription()
        await talk.next(key, ACCEPTED)
        reading.cancel()
        await asyncio.wait([reading])


async def test_queries_and_what_is_large_are_posted(
    peer: Peer, client: Client, talk: Conversation
) -> None:
    answers(peer, data(ACCEPTED), failure("FORBIDDEN"))
    await client.start("w", "x" * LARGE)
    with pytest.raises(errors.Forbidden):
        await client.viewer()
    assert peer.posts == 2
    assert talk.frames.empty()


async def test_what_a_busy_socket_does_not_take_is_posted(
    peer: Peer, client: Client, talk: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graphql_ws, "MAX_CARRIED", 2)
    answers(peer, data(ACCEPTED))
    async with asyncio.TaskGroup() as group:
        group.create_task(client.start("w"))
        key, _ = await talk.subscription()
        await client.start("w")
        assert peer.posts == 1
        await talk.next(key, ACCEPTED)


async def test_many_commands_at_once_have_a_socket_opened_for_those_that_follow(
    peer: Peer, client: Client
) -> None:
    bodies = held(peer, MANY)
    async with asyncio.TaskGroup() as group:
        for _ in range(MANY):
            group.create_task(client.start("w"))
        talk = await peer.conversation()
    assert len(bodies) == MANY
    async with asyncio.TaskGroup() as group:
        while client.socket.connection is None:
            await asyncio.sleep(0.001)
        started = group.create_task(client.start("w"))
        key, _ = await talk.subscription()
        await talk.next(key, ACCEPTED)
    assert started.result().position == "1"
    assert peer.posts == MANY
    assert peer.conversations.empty()


async def test_a_few_commands_at_once_have_none(peer: Peer, client: Client) -> None:
    held(peer, MANY - 1)
    for _ in range(3):
        await asyncio.gather(*(client.start("w") for _ in range(MANY - 1)))
    assert peer.conversations.empty()


async def test_a_socket_that_is_refused_is_not_asked_for_again_and_again(
    peer: Peer, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "placet")
    openings: list[object] = []

    def refuse(opening: object) -> bool:
        openings.append(opening)
        return False

    peer.accept = refuse
    held(peer, MANY, until=openings)
    await asyncio.gather(*(client.start("w") for _ in range(MANY)))
    await asyncio.gather(*(client.start("w") for _ in range(MANY)))
    assert len(openings) == 1
    assert ["commands go by HTTP" in line for line in caplog.messages] == [True]


def held(peer: Peer, number: int, until: list[object] | None = None) -> list[object]:
    """Have the peer answer once so many commands wait; what comes later is answered at once.

    ``until``: and once there is something in it.
    """
    bodies: list[object] = []

    async def post(request: web.Request) -> web.Response:
        bodies.append(await request.read())
        async with asyncio.timeout(HANGS):
            while len(bodies) < number or until == []:
                await asyncio.sleep(0.001)
        return data(ACCEPTED)

    peer.post = post
    return bodies
