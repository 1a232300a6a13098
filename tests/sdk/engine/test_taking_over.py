"""An engine goes on with what another one began, by the transcript that comes with the claim."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web

from placet import Client, Run, errors, require
from placet.engine import history
from tests.sdk.client.transport.test_http import answers, data
from tests.sdk.engines import Made, started
from tests.sdk.peer import Peer
from tests.sdk.people import People

FINANCE = require(1, group="finance")
UNKNOWN = {
    "message": "Unknown argument 'transcripts' on field 'Subscription.assignments'.",
    "extensions": {"code": "BAD_REQUEST"},
}


async def asks(run: Run, size: int) -> list[object]:
    text = await run.step(lambda: "x" * size, name="prepare")
    first = await run.approval("First", payload=len(text), policy=FINANCE)
    second = await run.approval("Second", payload=first.payload, policy=FINANCE)
    return [first.payload, second.payload, len(text)]


def counting(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keep the executions whose histories are read."""
    read: list[str] = []

    async def load(queries: Any, execution_id: str) -> history.ExecutionHistory:
        read.append(execution_id)
        return await history.load(queries, execution_id)

    monkeypatch.setattr("placet.engine.execution_pool.load", load)
    return read


@pytest.mark.parametrize("wait", ["push", "poll"])
async def test_only_a_long_history_is_read(
    people: People, engine: Made, wait: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = counting(monkeypatch)
    approver = await people.get("approver-a")
    one, two = (engine(wait=wait, put_away=timedelta(hours=1)) for _ in range(2))
    for each in (one, two):
        each.workflow(asks)
    async with one:
        short, long = [await started(people, one, "asks", size) for size in (10, 70_000)]
        pending = [(await people.pending(each))[0] for each in (short, long)]
    for approval in pending:
        await approver.grant(approval)
    read.clear()
    async with two:
        for execution_id in (short, long):
            [second] = await people.pending(execution_id)
            assert second.title == "Second"
            # From here on a poll gives executions back, and reads them again.
            assert (execution_id in read) is (execution_id == long)
            await approver.grant(second)
            assert (await people.ended(execution_id)).result[2] == second.payload


async def test_a_stream_of_an_older_server_goes_without(peer: Peer, client: Client) -> None:
    stream = client.leases.assignments("worker", transcripts=True)
    reading = asyncio.ensure_future(anext(stream))
    talk = await peer.conversation()
    frame = await talk.expect("subscribe")
    assert "transcript" in frame["payload"]["query"]
    await talk.send(id=frame["id"], type="error", payload=[UNKNOWN])
    frame = await talk.expect("subscribe")
    assert "transcript" not in frame["payload"]["query"]
    await talk.next(frame["id"], {"lost": "it"})
    assert (await reading).lost == "it"
    await stream.aclose()


async def test_a_poll_of_an_older_server_goes_without(peer: Peer, client: Client) -> None:
    refused = web.json_response({"errors": [UNKNOWN]}, status=400)
    polled = {"claims": [], "lost": ["it"], "parked": []}
    bodies = answers(peer, refused, data(polled), data(polled))
    for _ in range(2):
        assert (await client.leases.poll("worker", transcripts=True)).lost == ["it"]
    assert ["transcript" in body["query"] for body in bodies] == [True, False, False]
    assert "transcripts" not in bodies[1]["variables"]["input"]


async def test_another_mistake_is_said(peer: Peer, client: Client) -> None:
    other = {"message": "worker is too long", "extensions": {"code": "BAD_REQUEST"}}
    answers(peer, web.json_response({"errors": [other]}, status=400))
    with pytest.raises(errors.BadRequest, match="too long"):
        await client.leases.poll("worker", transcripts=True)
