"""What clients without a token, or with any token, can do to a server: all at once.

While the attacks run, an upright worker and an upright approver go on, and are timed.
"""

import asyncio
import json
import resource
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import psutil
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from bench.measure import Bound, Result, milliseconds, percentile
from bench.stack import Stack, stack

MIB = 1024 * 1024
spawn = get_context("spawn")
LARGE_INPUT = 200_000

START = """mutation($i: StartExecutionInput!) { startExecution(input: $i) {
  execution { id } ... on Refused { message } } }"""
ASK = """mutation($i: RequestApprovalInput!) { requestApproval(input: $i) {
  approval { id digest } ... on Refused { message } } }"""
GRANT = """mutation($i: DecisionInput!) { grantApproval(input: $i) {
  __typename ... on Refused { message } } }"""
SUBMIT = "mutation($c: [CommandInput!]!) { submit(commands: $c) { __typename } }"
HEARTBEAT = 'mutation { heartbeat(worker: "upright") { executions } }'
AMPLIFIED = (
    "{"
    + " ".join(f"r{n}: executions(first: 100) {{ ...f }}" for n in range(8))
    + "} fragment f on ExecutionConnection { edges { node {"
    + " ".join(f"x{n}: input" for n in range(24))
    + "} } }"
)


class Sizes(NamedTuple):
    """How hard to attack."""

    seconds: float = 20.0
    pingers: int = 4
    inits: int = 1_500
    half_requests: int = 1_100
    large_executions: int = 40
    amplifiers: int = 4
    unread_streams: int = 40
    steps: int = 10_000
    past_states: int = 55
    past_requests: int = 2
    approver_streams: int = 300


@dataclass
class Observed:
    """What an upright client and the operator saw. Times are in seconds."""

    before_bytes: int = 0
    most_bytes: int = 0
    livez: list[float] = field(default_factory=list)
    decisions: list[float] = field(default_factory=list)
    heartbeats: list[float] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)


class Client:
    """The server under attack, as its clients use it."""

    def __init__(self, url: str, tokens: dict[str, str]) -> None:
        self.url = url
        self.tokens = tokens
        self.http = httpx.AsyncClient(base_url=url, timeout=60)

    async def ask(self, who: str, query: str, **variables: Any) -> Any:
        """Send a request that must succeed, and return its data."""
        found = (await self.post(who, query, variables)).json()
        assert "errors" not in found, found
        return found["data"]

    async def post(self, who: str, query: str, variables: Any = None) -> httpx.Response:
        return await self.http.post(
            "/graphql",
            json={"query": query, "variables": variables or {}},
            headers={"authorization": f"Bearer {self.tokens[who]}"},
        )

    async def start(self, **rest: Any) -> str:
        data = await self.ask("operator", START, i={"workflow": "attack", **rest})
        id_: str = data["startExecution"]["execution"]["id"]
        return id_

    async def request(self, execution_id: str, key: str, who: str = "finance") -> Any:
        given = {"executionId": execution_id, "key": key, "title": "t", "payload": {"euros": 1}}
        given["policy"] = {"requirements": [{"groups": [who]}]}
        return (await self.ask("engine", ASK, i=given))["requestApproval"]["approval"]

    async def steps(self, execution_id: str, number: int) -> None:
        for start in range(0, number, 200):
            commands = [
                {
                    "recordStep": {
                        "executionId": execution_id,
                        "key": f"s{n}",
                        "name": "s",
                        "result": {"text": "x" * 200},
                    }
                }
                for n in range(start, min(start + 200, number))
            ]
            await self.ask("engine", SUBMIT, c=commands)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        where = urlsplit(self.url)
        reader, writer = await asyncio.open_connection(where.hostname, where.port)
        try:
            yield reader, writer
        finally:
            writer.transport.abort()

    @asynccontextmanager
    async def socket(self, who: str | None) -> AsyncIterator[ClientConnection]:
        async with connect(
            self.url.replace("http", "ws") + "/graphql",
            subprotocols=[Subprotocol("graphql-transport-ws")],
            open_timeout=30,
            close_timeout=0.1,
            ping_interval=None,
        ) as opened:
            if who is not None:
                token = self.tokens[who]
                payload = {"authorization": f"Bearer {token}"}
                await opened.send(json.dumps({"type": "connection_init", "payload": payload}))
                await opened.recv()
            yield opened


async def attacked(running: Stack, sizes: Sizes) -> Observed:
    """Run all attacks at once against a server, and observe it."""
    server, seen = Client(running.url, running.tokens), Observed()
    process = psutil.Process(running.process.pid)
    async with server.http:
        for _ in range(sizes.large_executions):
            await server.start(input="x" * LARGE_INPUT)
        long = await server.start()
        await server.steps(long, sizes.steps)
        waiting = await server.start()
        approvals = [await server.request(waiting, f"k{n}") for n in range(200)]
        # The read models have them too.
        await asyncio.sleep(2)
        seen.before_bytes = process.memory_info().rss
        until = time.monotonic() + sizes.seconds
        refused: Any = spawn.Queue()
        arguments = (running.url, running.tokens, sizes, long, refused)
        attackers = spawn.Process(target=_attack, args=arguments, daemon=True)
        attackers.start()
        try:
            await asyncio.gather(
                _sample_memory(until, process, seen),
                _sample_livez(until, server, seen),
                _sample_heartbeats(until, server, seen),
                _sample_decisions(until, server, seen, approvals),
            )
            seen.refused = await asyncio.to_thread(refused.get, timeout=30)
        finally:
            attackers.kill()
            attackers.join()
    return seen


def _attack(url: str, tokens: dict[str, str], sizes: Sizes, long: str, refused: Any) -> None:
    """Attack from another process, so that the upright clients are not slowed down themselves."""
    _raise_descriptors()
    found: dict[str, int] = {}
    asyncio.run(_attack_all(Client(url, tokens), sizes, long, found))
    refused.put(found)


async def _attack_all(server: Client, sizes: Sizes, long: str, refused: dict[str, int]) -> None:
    until = time.monotonic() + sizes.seconds
    attacks = [
        *(_repeat(until, _pings, server) for _ in range(sizes.pingers)),
        *(_repeat(until, _init, server) for _ in range(sizes.inits)),
        *(_repeat(until, _half_request, server) for _ in range(sizes.half_requests)),
        *(_repeat(until, _amplified, server, refused) for _ in range(sizes.amplifiers)),
        *(_repeat(until, _unread, server) for _ in range(sizes.unread_streams)),
        *(_repeat(until, _past, server, refused, long, sizes) for _ in range(sizes.past_requests)),
        _repeat(until, _many_streams, server, refused, sizes.approver_streams),
    ]
    with suppress(TimeoutError):
        async with server.http, asyncio.timeout(sizes.seconds):
            await asyncio.gather(*attacks)


async def run(url: str) -> Result:
    """Attack a server on this database."""
    result = Result("All attacks at once")
    with TemporaryDirectory() as data, stack(Path(data), database_url=url) as running:
        seen = await attacked(running, Sizes())
    result.add(
        "memory", **{"before MiB": seen.before_bytes / MIB, "most MiB": seen.most_bytes / MIB}
    )
    for name, times in (
        ("/livez", seen.livez),
        ("decision", seen.decisions),
        ("heartbeat", seen.heartbeats),
    ):
        result.add(name, **milliseconds(times), **{"most ms": max(times) * 1000})
    result.bounds += [
        Bound("memory, MiB", seen.most_bytes / MIB, 400, at_least=False),
        Bound("slowest /livez, s", max(seen.livez), 1.0, at_least=False),
        Bound(
            "p99 of a decision, ms", percentile(seen.decisions, 0.99) * 1000, 100, at_least=False
        ),
    ]
    result.notes += [f"refused, {why}: {times} times" for why, times in seen.refused.items()]
    return result


def _raise_descriptors() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20_000), hard))


async def _repeat(until: float, attack: Callable[..., Awaitable[None]], *given: Any) -> None:
    while time.monotonic() < until:
        with suppress(OSError, EOFError, TimeoutError, WebSocketException, httpx.HTTPError):
            await attack(*given)
        await asyncio.sleep(0.2)


async def _pings(server: Client) -> None:
    """Send pings, and read none of the answers."""
    async with server.socket(None) as opened:
        opened.transport.pause_reading()
        while not opened.transport.is_closing():
            for _ in range(200):
                opened.protocol.send_ping(b"x" * 125)
            opened.transport.write(b"".join(opened.protocol.data_to_send()))
            await asyncio.sleep(0.02)


async def _init(server: Client) -> None:
    """Send a large first message."""
    async with server.socket(None) as opened:
        await opened.send(json.dumps({"type": "connection_init", "payload": "x" * MIB}))
        await asyncio.sleep(5)


async def _half_request(server: Client) -> None:
    async with server.connection() as (reader, writer):
        writer.write(b"POST /graphql HTTP/1.1\r\nhost: placet\r\nx: ")
        await reader.read()


async def _amplified(server: Client, refused: dict[str, int]) -> None:
    """Ask for much with a short document."""
    _note(refused, await server.post("operator", AMPLIFIED))


async def _unread(server: Client) -> None:
    """Follow the whole log, and read nothing."""
    async with server.socket("operator") as opened:
        query = 'subscription { events(after: "0") { event { data storedBytes } } }'
        await opened.send(json.dumps({"type": "subscribe", "id": "1", "payload": {"query": query}}))
        opened.transport.pause_reading()
        await asyncio.sleep(10)


async def _past(server: Client, refused: dict[str, int], execution_id: str, sizes: Sizes) -> None:
    """Ask for many past states of a long execution, far from its snapshots."""
    middle = sizes.steps // 2
    fields = " ".join(
        f"a{n}: executionAt(id: $id, version: {middle + n}) {{ version }}"
        for n in range(sizes.past_states)
    )
    query = f"query($id: ID!) {{ {fields} }}"
    _note(refused, await server.post("operator", query, {"id": execution_id}))


async def _many_streams(server: Client, refused: dict[str, int], number: int) -> None:
    """Follow approvals many times, each by words, which the database compares."""
    query = "subscription($n: String) { approvals(filter: {text: $n}) { cursor } }"
    async with server.socket("approver-a") as opened:
        for n in range(number):
            payload = {"query": query, "variables": {"n": f"euros {n}"}}
            message = {"type": "subscribe", "id": str(n), "payload": payload}
            await opened.send(json.dumps(message))
        async with asyncio.timeout(10):
            async for text in opened:
                message = json.loads(text)
                if message["type"] == "error":
                    code = message["payload"][0]["extensions"]["code"]
                    refused[code] = refused.get(code, 0) + 1


def _note(refused: dict[str, int], response: httpx.Response) -> None:
    for error in response.json().get("errors", [])[:1]:
        code = error["extensions"]["code"]
        refused[code] = refused.get(code, 0) + 1


async def _sample_memory(until: float, process: psutil.Process, seen: Observed) -> None:
    while time.monotonic() < until:
        seen.most_bytes = max(seen.most_bytes, process.memory_info().rss)
        await asyncio.sleep(0.05)


async def _sample_livez(until: float, server: Client, seen: Observed) -> None:
    """Ask on a new connection each time, as health checks do."""
    while time.monotonic() < until:
        began = time.perf_counter()
        async with server.connection() as (reader, writer):
            writer.write(b"GET /livez HTTP/1.1\r\nhost: placet\r\n\r\n")
            assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        seen.livez.append(time.perf_counter() - began)
        await asyncio.sleep(0.1)


async def _sample_heartbeats(until: float, server: Client, seen: Observed) -> None:
    while time.monotonic() < until:
        began = time.perf_counter()
        await server.ask("engine", HEARTBEAT)
        seen.heartbeats.append(time.perf_counter() - began)
        await asyncio.sleep(0.1)


async def _sample_decisions(
    until: float, server: Client, seen: Observed, approvals: Sequence[Any]
) -> None:
    for approval in approvals:
        if time.monotonic() >= until:
            return
        given = {"approvalId": approval["id"], "digest": approval["digest"]}
        began = time.perf_counter()
        data = await server.ask("approver-b", GRANT, i=given)
        seen.decisions.append(time.perf_counter() - began)
        assert data["grantApproval"]["__typename"] == "Accepted", data
        await asyncio.sleep(0.1)
