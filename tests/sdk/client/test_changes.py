"""Waiting at a service that says what a service says seldom."""

import asyncio
import logging
from typing import Any

import pytest
from aiohttp import web

from placet import Client, ExecutionState, errors
from placet.client.transport.websocket_health import FAILURES, LASTING_SECONDS, WebSocketHealth
from tests.sdk.peer import Peer


def execution(version: int, state: str) -> dict[str, Any]:
    return {
        "id": "x",
        "workflow": "w",
        "queue": "default",
        "state": state,
        "version": version,
        "fence": 0,
        "labels": [],
        "initiator": {"id": "olivia", "name": None},
        "startedAt": "2026-01-02T03:04:05Z",
        "updatedAt": "2026-01-02T03:04:05Z",
    }


def answering(peer: Peer, first: dict[str, Any], *later: dict[str, Any]) -> list[dict[str, Any]]:
    """Have the service show the execution as it is first, and then as it is later.

    Gives the variables of each request.
    """
    shown = [first, *later]
    requests: list[dict[str, Any]] = []

    async def post(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        requests.append(body["variables"])
        now = shown.pop(0) if len(shown) > 1 else shown[0]
        result: dict[str, Any] = now
        if "executionAfter" in body["query"]:
            changed = now["version"] != body["variables"]["version"]
            result = {
                "changed": changed,
                "version": now["version"],
                "execution": now if changed else None,
            }
        return web.json_response({"data": {"result": result}})

    peer.post = post
    return requests


async def test_an_event_of_a_newer_service_has_the_execution_read(
    peer: Peer, client: Client
) -> None:
    requests = answering(peer, execution(1, "RUNNING"), execution(2, "CANCELLED"))
    async with client.watch("x") as watch:
        assert (watch.state, watch.version) == (ExecutionState.RUNNING, 1)
        talk = await peer.conversation()
        key, _ = await talk.subscription()
        await talk.next(key, {"version": 2, "type": "Expropriated"})
        assert await watch.until() is ExecutionState.CANCELLED
        assert watch.version == 2
    assert len(requests) == 2


async def test_known_events_cost_no_request(peer: Peer, client: Client) -> None:
    requests = answering(peer, execution(1, "RUNNING"))
    async with client.watch("x") as watch:
        talk = await peer.conversation()
        key, variables = await talk.subscription()
        assert variables == {"id": "x", "after": 1}
        resumed = asyncio.ensure_future(watch.until(ExecutionState.RESUMED))
        await asyncio.sleep(0)
        types = ["ApprovalRequested", "ApprovalGranted", "Resumed", "StepCompleted", "Completed"]
        for version, type_ in enumerate(types, 2):
            await talk.next(key, {"version": version, "type": type_})
        assert await watch.until() is ExecutionState.COMPLETED
        # Also a state that it only passed through.
        assert await resumed is ExecutionState.RESUMED
        assert await watch.until(ExecutionState.COMPLETED) is ExecutionState.COMPLETED
    assert len(requests) == 1


async def test_a_wait_reads_the_execution_once_at_its_end(peer: Peer, client: Client) -> None:
    requests = answering(peer, execution(1, "RUNNING"), execution(3, "COMPLETED"))
    waiting = asyncio.ensure_future(client.wait("x"))
    talk = await peer.conversation()
    key, _ = await talk.subscription()
    await talk.next(key, {"version": 2, "type": "StepCompleted"})
    await talk.next(key, {"version": 3, "type": "Completed"})
    assert (await waiting).version == 3
    assert len(requests) == 2


async def test_where_there_is_no_room_for_one_more_stream_it_polls(
    peer: Peer, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    requests = answering(peer, execution(1, "RUNNING"), execution(2, "COMPLETED"))
    waiting = asyncio.ensure_future(client.wait("x"))
    talk = await peer.conversation()
    key, _ = await talk.subscription()
    await talk.error(key, "LIMIT_EXCEEDED")
    assert (await waiting).version == 2
    assert requests[-1] == {"id": "x", "version": 1, "wait": "PT20S"}
    assert "waiting by polling instead of by push" in caplog.text


async def test_while_there_is_no_websocket_it_is_polled(peer: Peer, client: Client) -> None:
    peer.accept = lambda _: False
    requests = answering(peer, execution(1, "RUNNING"), execution(2, "COMPLETED"))
    assert (await client.wait("x")).version == 2
    assert (requests[-1]["id"], requests[-1]["version"]) == ("x", 1)
    # The pause before the next attempt is a long poll.
    assert requests[-1]["wait"].startswith("PT0.")


async def test_what_may_not_be_seen_any_more_is_not_there(peer: Peer, client: Client) -> None:
    answering(peer, execution(1, "RUNNING"))
    waiting = asyncio.ensure_future(client.wait("x"))
    talk = await peer.conversation()
    key, _ = await talk.subscription()
    await talk.error(key, "FORBIDDEN")
    with pytest.raises(errors.NotFound):
        await waiting


async def test_a_watch_that_has_ended_shows_no_stale_state(peer: Peer, client: Client) -> None:
    answering(peer, execution(1, "RUNNING"))
    async with client.watch("x") as watch:
        talk = await peer.conversation()
        key, _ = await talk.subscription()
        waiting = asyncio.ensure_future(watch.until())
        await asyncio.sleep(0)
        await talk.error(key, "BAD_REQUEST")
        with pytest.raises(errors.BadRequest):
            await waiting
        with pytest.raises(errors.BadRequest):
            assert watch.state
        with pytest.raises(errors.BadRequest):
            assert watch.version
        with pytest.raises(errors.BadRequest):
            await watch.until(ExecutionState.RUNNING)


def test_websockets_are_blocked_when_they_fail_again_and_again_while_http_works() -> None:
    health = WebSocketHealth("http://service")
    for _ in range(FAILURES):
        assert not health.blocked
        health.refused()
        health.http_works()
    assert health.blocked


def test_failures_that_http_shares_count_once(caplog: pytest.LogCaptureFixture) -> None:
    health = WebSocketHealth("http://service")
    with caplog.at_level(logging.WARNING, "placet"):
        for _ in range(FAILURES):
            for _ in range(100):
                health.refused()
            health.http_works()
            health.http_works()
            health.lost(LASTING_SECONDS)
    assert not health.blocked
    assert not caplog.text


def test_connections_that_are_cut_young_count() -> None:
    health = WebSocketHealth("http://service")
    for _ in range(FAILURES):
        health.lost(LASTING_SECONDS / 2)
        health.http_works()
    assert health.blocked
