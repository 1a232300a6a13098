"""The console: the server's time for each page, live inboxes, and what they cost a decision."""

import asyncio
import json
import random
import re
import tempfile
import time
from pathlib import Path
from typing import NamedTuple, Self
from urllib.parse import urlencode, urlsplit

import psycopg

import placet
from bench.load import PostConnection, request
from bench.measure import Bound, Result, milliseconds, percentile
from bench.open_inboxes import OpenInbox, open_inboxes
from bench.pages import EXECUTIONS, PENDING, fill
from bench.stack import Stack, stack
from bench.wakeup import GRANT
from projections.registry import MODELS
from projections.runtime.rebuild import rebuild

LOOKS = 60
SLOWEST_MS = 50.0
LATEST_MS = 250.0
HEAVIEST_KB = 150.0
MOST_COST = 1.1
REQUESTS = 60
INBOXES = 500
ROUNDS = 3
DECISIONS = 60

# As many numbers as an installation with fifty workflows has after a month.
_STATISTICS = """
    INSERT INTO approval_days (day, workflow, outcome, took, number)
    SELECT current_date - day, 'workflow-' || workflow, outcome, took, 1 + took
    FROM generate_series(0, 29) AS day, generate_series(1, 50) AS workflow,
        unnest(ARRAY['GRANTED', 'REJECTED', 'EXPIRED']) AS outcome, generate_series(20, 39) AS took
"""
_LINKED = re.compile(rb'(?:src|href)="(/static/[^"]+)"')


class Clients(NamedTuple):
    """Who starts and who asks."""

    operator: placet.Client
    engine: placet.Client

    async def started(self) -> str:
        """Start an execution and return its id."""
        started = await self.operator.start("console")
        assert started.execution is not None
        return started.execution.id

    async def asked(self, execution: str, title: str) -> placet.Approval:
        """Ask for an approval and return it."""
        policy = placet.require(1, group="finance")
        asked = await self.engine.request_approval(
            execution, "go", title, payload={"euros": 120}, policy=policy
        )
        assert asked.approval is not None
        return asked.approval


class Browser:
    """One person who is signed in. Use it as ``async with browser:``, with one connection."""

    def __init__(self, server: Stack, cookie: str) -> None:
        self._url = server.url
        self._connection: PostConnection | None = None
        self.cookie = cookie

    async def __aenter__(self) -> Self:
        self._connection = await PostConnection.open(self._url)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._connection is not None
        self._connection.close()

    @classmethod
    async def signed_in(cls, server: Stack, person: str) -> "Browser":
        parts = urlsplit(server.url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        form = urlencode({"token": server.tokens[person]}).encode()
        head = (
            f"POST /sign-in HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(form)}\r\n\r\n"
        )
        writer.write(head.encode() + form)
        answer = (await reader.read()).decode()
        writer.close()
        found = re.search(r"(?im)^set-cookie: ([^;]+);", answer)
        assert found is not None, answer
        return cls(server, found[1])

    async def get(self, address: str) -> bytes:
        """Return the body of a page."""
        assert self._connection is not None
        host = urlsplit(self._url).netloc
        head = (
            f"GET {address} HTTP/1.1\r\nHost: {host}\r\nCookie: {self.cookie}\r\n"
            "Accept-Encoding: gzip\r\n\r\n"
        )
        return await self._connection.send(head.encode())


async def run(url: str) -> Result:
    """Measure."""
    result = Result(f"The console, {EXECUTIONS:,} executions, {PENDING:,} pending")
    await fill(url)
    for model in MODELS.values():
        await asyncio.to_thread(rebuild, url, model)
    with psycopg.connect(url) as connection:
        connection.execute(_STATISTICS)
        connection.execute("ANALYZE")
    with tempfile.TemporaryDirectory() as data, stack(Path(data), database_url=url) as server:
        await measure(server, result)
    return result


async def measure(server: Stack, result: Result, looks: int = LOOKS) -> None:
    """Measure on a running server whose database is filled."""
    people = {
        person: await Browser.signed_in(server, person)
        for person in ("approver-b", "auditor", "operator", "admin")
    }
    slowest = 0.0
    for what, (person, address) in (await _addresses(people)).items():
        taken = await _timed(people[person], address, looks)
        p95 = percentile(taken, 0.95) * 1000
        slowest = max(slowest, p95)
        result.add(what, **{"p50 ms": percentile(taken, 0.5) * 1000, "p95 ms": p95})
    result.bounds.append(Bound("slowest page, p95 ms", slowest, SLOWEST_MS, at_least=False))
    weight = await _weight(people["approver-b"], "/inbox")
    result.add("inbox with styles and scripts", kB=weight)
    result.bounds.append(Bound("weight of the inbox, kB", weight, HEAVIEST_KB, at_least=False))
    async with (
        placet.Client(server.url, server.tokens["operator"]) as operator,
        placet.Client(server.url, server.tokens["engine"]) as engine,
    ):
        clients = Clients(operator, engine)
        cookie = people["approver-b"].cookie
        appeared = await _appearing(server, clients, cookie)
        result.add("from a request to an open inbox", **milliseconds(appeared))
        late = percentile(appeared, 0.99) * 1000
        result.bounds.append(Bound("request to inbox, p99 ms", late, LATEST_MS, at_least=False))
        alone, watched = await _decisions(server, clients, cookie)
        result.add("a decision", **milliseconds(alone))
        result.add(f"a decision, {INBOXES} open inboxes", **milliseconds(watched))
        ratio = percentile(watched, 0.5) / percentile(alone, 0.5)
        result.bounds.append(Bound("decision with open inboxes", ratio, MOST_COST, at_least=False))


async def _addresses(people: dict[str, Browser]) -> dict[str, tuple[str, str]]:
    """Return who looks at which address, by what it is."""
    async with people["approver-b"] as approver:
        page = await approver.get("/inbox")
    approvals = re.findall(rb'data-id="([^"]+)"', page)
    approval = approvals[0].decode()
    execution = approval.partition(".")[0]
    marked = "&".join(f"id={one.decode()}" for one in approvals[:20])
    return {
        "inbox of one group": ("approver-b", "/inbox"),
        "inbox, searched": ("approver-b", "/inbox?q=city44"),
        "all waiting": ("auditor", "/inbox/waiting"),
        "decided by me": ("approver-b", "/inbox/decided"),
        "one approval": ("approver-b", f"/approvals/{approval}"),
        "20 to decide": ("approver-b", f"/decide?verdict=grant&{marked}"),
        "executions": ("operator", "/executions"),
        "executions of a state": ("operator", "/executions?state=WAITING_APPROVAL"),
        "executions, searched": ("operator", "/executions?q=city44"),
        "one execution": ("operator", f"/executions/{execution}"),
        "its past": ("auditor", f"/executions/{execution}/at?version=1"),
        "overview": ("auditor", "/overview"),
        "operations": ("operator", "/operations"),
        "API keys": ("admin", "/operations/keys"),
        "audit, the log": ("auditor", "/audit"),
        "audit, by type and person": ("auditor", "/audit?type=ApprovalRequested&by=engine"),
        "audit, decisions": ("auditor", "/audit/decisions"),
        "audit, waiting at a moment": ("auditor", "/audit/waiting"),
        "standing grants": ("auditor", "/standing-grants"),
    }


async def _timed(browser: Browser, address: str, looks: int) -> list[float]:
    taken = []
    async with browser:
        for _ in range(looks):
            began = time.perf_counter()
            body = await browser.get(address)
            taken.append(time.perf_counter() - began)
            assert b'<main id="main"' in body, address
    # The first one fills caches.
    return taken[1:]


async def _weight(browser: Browser, address: str) -> float:
    """Return the kilobytes sent for a page with all that it links, apart from pictures."""
    async with browser:
        page = await browser.get(address)
        found = dict.fromkeys(_LINKED.findall(page))
        linked = [one.decode() for one in found if b".svg" not in one]
        return (len(page) + sum([len(await browser.get(one)) for one in linked])) / 1000


async def _appearing(server: Stack, clients: Clients, cookie: str) -> list[float]:
    """Return the seconds from sending a request to the message in an open inbox."""
    taken = []
    async with OpenInbox.open(server.url, cookie) as inbox:
        for number in range(REQUESTS):
            title = f"appears as number {number}"
            coming = asyncio.create_task(inbox.until(title.encode()))
            execution = await clients.started()
            await asyncio.sleep(random.uniform(0.02, 0.1))
            began = time.perf_counter()
            asking = asyncio.create_task(clients.asked(execution, title))
            await coming
            taken.append(time.perf_counter() - began)
            await asking
    return taken


async def _decisions(
    server: Stack, clients: Clients, cookie: str
) -> tuple[list[float], list[float]]:
    """Return the seconds of decisions without and with open inboxes, measured in turns."""
    alone: list[float] = []
    watched: list[float] = []
    for _ in range(ROUNDS):
        waiting = [await clients.asked(await clients.started(), "Go on?") for _ in range(DECISIONS)]
        alone += await _decided(server, waiting[::2])
        with open_inboxes(server, cookie, INBOXES):
            watched += await _decided(server, waiting[1::2])
    return alone, watched


async def _decided(server: Stack, waiting: list[placet.Approval]) -> list[float]:
    post = await PostConnection.open(server.url)
    taken = []
    for approval in waiting:
        given = {"approvalId": approval.id, "digest": approval.digest}
        body = json.dumps({"query": GRANT, "variables": {"input": given}}).encode()
        sent = request(server.url, server.tokens["approver-b"], body)
        # People decide one after another, and not at once.
        await asyncio.sleep(random.uniform(0.2, 0.4))
        began = time.perf_counter()
        answer = await post.send(sent)
        taken.append(time.perf_counter() - began)
        assert b"Accepted" in answer, answer
    post.close()
    return taken
