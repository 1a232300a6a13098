"""Mutations a second through one server process, compared with a stock application without work."""

import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import mean
from typing import Any
from urllib.request import urlopen

from graphql import parse, validate

from api.container import serve
from api.context import Context
from api.graphql.document_cache import DocumentCache
from api.graphql.executor import Executor
from api.graphql.request import GraphQLRequest
from api.schema import SERVED
from api.settings import Settings
from bench.load import LoadResult, request, send
from bench.log_load import OPERATOR
from bench.measure import Bound, Result, median, milliseconds
from bench.stack import stack
from domain.values import Principal

CONNECTIONS = 16
REQUESTS = 3_000
ROUNDS = 5
COMMANDS_EACH = 64
START = """
mutation ($input: StartExecutionInput!) {
  startExecution(input: $input) {
    __typename
    ... on Accepted { position }
    ... on Refused { code message }
    execution { id state version }
  }
}
"""
STOCK = """
mutation ($input: StartExecutionInput!) {
  startExecution(input: $input) { __typename position execution { id state version } }
}
"""
SUBMIT = """
mutation ($commands: [CommandInput!]!) {
  submit(commands: $commands) {
    __typename
    ... on Accepted { position }
    ... on Refused { code message }
    execution { id state version }
  }
}
"""


def started(number: int) -> dict[str, Any]:
    """Return the input of the mutation startExecution."""
    return {"workflow": "bench", "input": {"number": number, "who": "somebody"}}


def body(query: str, **variables: Any) -> bytes:
    """Return the body of a request."""
    return json.dumps({"query": query, "variables": variables}).encode()


async def run(url: str) -> Result:
    """Measure both servers in turns."""
    result = Result(f"GraphQL through one process, {CONNECTIONS} connections")
    with (
        tempfile.TemporaryDirectory() as data,
        stack(Path(data), database_url=url) as server,
        _stock() as stock,
    ):
        token = server.tokens["operator"]

        def starts(number: int) -> list[bytes]:
            return [
                request(server.url, token, body(START, input=started(n))) for n in range(number)
            ]

        def submits(number: int) -> list[bytes]:
            commands = [{"startExecution": started(n)} for n in range(COMMANDS_EACH)]
            return [request(server.url, token, body(SUBMIT, commands=commands))] * number

        def nothing(number: int) -> list[bytes]:
            return [request(stock, token, body(STOCK, input=started(n))) for n in range(number)]

        sides: dict[str, tuple[str, Callable[[int], list[bytes]], int]] = {
            "startExecution, committed": (server.url, starts, REQUESTS),
            "stock Strawberry on FastAPI, no work": (stock, nothing, REQUESTS // 3),
            f"submit, {COMMANDS_EACH} commands a request": (server.url, submits, 150),
        }
        rates: dict[str, float] = {}
        runs: dict[str, list[LoadResult]] = {name: [] for name in sides}
        for where, make, number in sides.values():
            await _sent(where, make(number // 3))
        for _ in range(ROUNDS):
            for name, (where, make, number) in sides.items():
                runs[name].append(await _sent(where, make(number)))
        for name, sent in runs.items():
            rates[name] = median([one.rate for one in sent])
            each = COMMANDS_EACH if name.startswith("submit") else 1
            latencies = [latency for one in sent for latency in one.latencies]
            result.add(
                name,
                **{"requests/s": rates[name], "commands/s": rates[name] * each},
                **milliseconds(latencies),
            )
        ours, theirs = list(rates.values())[:2]
        result.bounds.append(Bound("startExecution to the stock application", ours / theirs, 3.0))
        before = _committed(server.url)
        alone = await send(server.url, starts(400), connections=1, expect=b"Accepted")
        seconds, commits = (b - a for a, b in zip(before, _committed(server.url), strict=True))
    await _shares(url, result, mean(alone.latencies), seconds / commits)
    return result


async def _sent(url: str, requests: list[bytes]) -> LoadResult:
    return await send(url, requests, connections=CONNECTIONS, expect=b"Accepted")


def _committed(url: str) -> tuple[float, float]:
    """Return the duration of all commits of a server in seconds, and their number."""
    with urlopen(f"{url}/metrics") as response:  # noqa: S310 - a server of ours
        lines = dict(line.rsplit(" ", 1) for line in response.read().decode().splitlines())
    return float(lines["placet_commit_seconds_sum"]), float(lines["placet_commit_seconds_count"])


async def _shares(url: str, result: Result, whole: float, commit: float) -> None:
    """Measure how the time of one mutation is divided, sent alone over one connection."""

    def timed(work: Callable[[], Any]) -> float:
        times = []
        for _ in range(50):
            began = time.perf_counter()
            work()
            times.append(time.perf_counter() - began)
        return median(times)

    document = parse(START)
    parsing = timed(lambda: parse(START))
    validating = timed(lambda: validate(SERVED, document))
    executor = Executor(SERVED, DocumentCache(SERVED))
    finding = timed(lambda: executor.prepare(GraphQLRequest(START)))
    settings = Settings.read(database_url=url, mode="production")
    async with serve(settings, url, {}) as built:
        waited: list[float] = []
        handle = built.services.writer.handle

        async def watched(*args: Any, **options: Any) -> Any:
            began = time.perf_counter()
            answer = await handle(*args, **options)
            waited.append(time.perf_counter() - began)
            return answer

        built.services.writer.handle = watched  # type: ignore[method-assign]

        async def recheck() -> Principal | None:
            return OPERATOR

        context = Context(OPERATOR, built.services, recheck)
        operation = executor.prepare(GraphQLRequest(START))
        answered = []
        for number in range(300):
            began = time.perf_counter()
            await executor.answer(operation, {"input": started(number)}, context)
            answered.append(time.perf_counter() - began)
    execute = median(answered) - median(waited)
    for name, seconds in (
        ("parse, once for a document", parsing),
        ("validate, once for a document", validating),
        ("find the document again", finding),
        ("execute", execute),
        ("commit", commit),
        ("I/O", whole - commit - execute - finding),
        ("one mutation alone, whole", whole),
    ):
        result.add(name, ms=seconds * 1000, share=f"{seconds / whole:.0%}")


@contextmanager
def _stock() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with subprocess.Popen([sys.executable, "-m", "bench.stock", str(port)]) as process:
        try:
            until = time.monotonic() + 30
            while time.monotonic() < until:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except ConnectionRefusedError:
                    time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
