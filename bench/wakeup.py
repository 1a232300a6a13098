"""The latency from a client's decision to the message that a waiting client gets."""

import asyncio
import json
import random
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

import placet
from bench.load import PostConnection, request
from bench.measure import Bound, Result, milliseconds, percentile
from bench.stack import Stack, stack
from bench.steady import steady_load

EVENTS = """
subscription ($id: ID!, $after: Int) {
  executionEvents(executionId: $id, afterVersion: $after) { type version }
}
"""
GRANT = """
mutation ($input: DecisionInput!) {
  grantApproval(input: $input) { __typename approval { status } }
}
"""
DECISIONS = 300
POLLERS = 60
POLL_SECONDS = 0.5
RATE = 200
MAX_SECONDS = 60.0


class WakeupClients:
    """Clients that start, request approvals and decide, and one that waits."""

    def __init__(
        self,
        operator: placet.Client,
        engine: placet.Client,
        approver: placet.Client,
        waiter: placet.Client,
    ) -> None:
        self.operator = operator
        self.engine = engine
        self.approver = approver
        self.waiter = waiter

    async def asked(self) -> placet.Approval:
        """Create and return a pending approval."""
        started = await self.operator.start("wake")
        assert started.execution is not None
        accepted = await self.engine.request_approval(
            started.execution.id,
            "go",
            "Go on?",
            payload={"n": 1},
            policy=placet.require(1, group="finance"),
        )
        assert accepted.approval is not None
        return accepted.approval


async def run(url: str) -> Result:
    """Measure. Floor and idle are measured in turns, so that other load affects both."""
    result = Result("From grantApproval sent to the waiting client's message")
    with tempfile.TemporaryDirectory() as data, stack(Path(data), database_url=url) as server:
        async with AsyncExitStack() as opened, Floor.open(url) as floor:
            clients = await _clients(opened, server, server)
            for _ in range(30):
                await _pushed(clients)
            bare = await opened.enter_async_context(BareClient.open(server))
            floors, bares, idle = [], [], []
            for _ in range(DECISIONS):
                floors.append(await floor.measure())
                bares.append(await bare.measure(await clients.asked()))
                idle.append(await _pushed(clients))
            result.add("floor: one commit, one NOTIFY, two connections", **milliseconds(floors))
            result.add("subscription of a bare client, idle", **milliseconds(bares))
            result.add("subscription of the sdk, idle", **milliseconds(idle))
            with steady_load(server, RATE, MAX_SECONDS):
                busy = [await _pushed(clients) for _ in range(DECISIONS)]
            result.add(f"subscription of the sdk, at {RATE} commands/s", **milliseconds(busy))
            with stack(Path(data), database_url=url) as other:
                elsewhere = await _clients(opened, server, other)
                crossed = [await _pushed(elsewhere) for _ in range(DECISIONS)]
            result.add("subscription of the sdk at another process, idle", **milliseconds(crossed))
            polled = await asyncio.gather(*(_polled(clients) for _ in range(POLLERS)))
            result.add(f"poll every {POLL_SECONDS:g} s", **milliseconds(polled))
    low = percentile(floors, 0.5)
    ratio = percentile(bares, 0.5) / low
    result.bounds.append(Bound("idle p50 to the floor's", ratio, 3.0, at_least=False))
    result.notes.append(f"Of the sdk, whose own time is in it: {percentile(idle, 0.5) / low:.2f}.")
    return result


async def _clients(opened: AsyncExitStack, server: Stack, waits_at: Stack) -> WakeupClients:
    async def client(of: Stack, name: str) -> placet.Client:
        return await opened.enter_async_context(placet.Client(of.url, of.tokens[name]))

    return WakeupClients(
        await client(server, "operator"),
        await client(server, "engine"),
        await client(server, "approver-b"),
        await client(waits_at, "operator"),
    )


async def _pushed(clients: WakeupClients) -> float:
    approval = await clients.asked()
    events = clients.waiter.execution_events(approval.execution_id, after_version=0)
    began, granting = 0.0, None
    async with aclosing(events):
        async for event in events:
            if event.type == "ApprovalRequested":
                # The stream is live, so the next event is the awaited one.
                await asyncio.sleep(random.uniform(0.002, 0.01))
                began = time.perf_counter()
                granting = asyncio.create_task(clients.approver.grant(approval))
            elif event.type == "ApprovalGranted" and granting is not None:
                seconds = time.perf_counter() - began
                await granting
                return seconds
    raise AssertionError("the stream ended")


async def _polled(clients: WakeupClients) -> float:
    approval = await clients.asked()
    await asyncio.sleep(random.uniform(0, 10))

    async def poll() -> float:
        while True:
            found = await clients.operator.execution(approval.execution_id)
            assert found is not None
            if found.state is placet.ExecutionState.RESUMED:
                return time.perf_counter()
            await asyncio.sleep(POLL_SECONDS)

    polling = asyncio.create_task(poll())
    await asyncio.sleep(random.uniform(1, 1 + POLL_SECONDS))
    began = time.perf_counter()
    await clients.approver.grant(approval)
    return await polling - began


class BareClient:
    """A minimal client: its requests are made before, and it reads messages without the sdk."""

    def __init__(self, server: Stack, socket: ClientConnection, post: PostConnection) -> None:
        self._server = server
        self._socket = socket
        self._post = post
        self._numbers = count(1)

    @classmethod
    @asynccontextmanager
    async def open(cls, server: Stack) -> AsyncIterator["BareClient"]:
        """Open a WebSocket of the operator and a connection of the approver."""
        parts = urlsplit(server.url)
        token = f"Bearer {server.tokens['operator']}"
        assert parts.hostname is not None
        assert parts.port is not None
        loop = asyncio.get_running_loop()
        _, post = await loop.create_connection(PostConnection, parts.hostname, parts.port)
        async with connect(
            f"ws://{parts.netloc}/graphql", subprotocols=[Subprotocol("graphql-transport-ws")]
        ) as socket:
            init = {"type": "connection_init", "payload": {"authorization": token}}
            await socket.send(json.dumps(init))
            assert "connection_ack" in str(await socket.recv())
            yield cls(server, socket, post)

    async def measure(self, approval: placet.Approval) -> float:
        """Return the seconds from sending the request to the subscription's message."""
        key = str(next(self._numbers))
        variables = {"id": approval.execution_id, "after": 0}
        payload = {"query": EVENTS, "variables": variables}
        subscribe = {"type": "subscribe", "id": key, "payload": payload}
        await self._socket.send(json.dumps(subscribe))
        while "ApprovalRequested" not in str(await self._socket.recv()):
            pass
        given = {"approvalId": approval.id, "digest": approval.digest}
        body = json.dumps({"query": GRANT, "variables": {"input": given}}).encode()
        sent = request(self._server.url, self._server.tokens["approver-b"], body)
        waiting = asyncio.create_task(self._socket.recv())
        await asyncio.sleep(random.uniform(0.002, 0.01))
        began = time.perf_counter()
        answer = self._post.send(sent)
        message = await waiting
        seconds = time.perf_counter() - began
        assert "ApprovalGranted" in str(message)
        assert b"Accepted" in await answer
        await self._socket.send(json.dumps({"type": "complete", "id": key}))
        await self._drain()
        return seconds

    async def _drain(self) -> None:
        """Read the remaining messages of the subscription, up to the answer to a ping."""
        await self._socket.send(json.dumps({"type": "ping"}))
        while "pong" not in str(await self._socket.recv()):
            pass


class Floor:
    """The minimum: one insert, one commit and one notification, with the driver alone."""

    def __init__(
        self, writes: psycopg.AsyncConnection, notified: AsyncGenerator[psycopg.Notify, None]
    ) -> None:
        self._writes = writes
        self._notified = notified

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str) -> AsyncIterator["Floor"]:
        """Open the two connections."""
        async with (
            await psycopg.AsyncConnection.connect(url, autocommit=True) as writes,
            await psycopg.AsyncConnection.connect(url, autocommit=True) as listens,
        ):
            await writes.execute("CREATE TABLE floor (id bigserial PRIMARY KEY, body bytea)")
            await listens.execute("LISTEN floor")
            async with aclosing(listens.notifies()) as notified:
                yield cls(writes, notified)

    async def measure(self) -> float:
        """Return the seconds from the insert to its notification on the other connection."""
        waiting = asyncio.ensure_future(anext(self._notified))
        await asyncio.sleep(random.uniform(0.002, 0.01))
        began = time.perf_counter()
        async with self._writes.pipeline():
            await self._writes.execute("BEGIN")
            await self._writes.execute("INSERT INTO floor (body) VALUES (%s)", [b"x" * 500])
            await self._writes.execute("NOTIFY floor")
            await self._writes.execute("COMMIT")
        await waiting
        return time.perf_counter() - began
