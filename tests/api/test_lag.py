"""``/readyz`` tells of read models that are far behind the log."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from api import asgi
from projections.registry import MODELS
from tests.api.whole_server import WholeServer
from tests.support.patience import HANGS

EVERY = sorted(MODELS)


@contextmanager
def locked_out(url: str) -> Iterator[None]:
    """Hold a lock that the projector waits for, as a long maintenance of a table does."""
    with psycopg.connect(url) as holder:
        holder.execute("LOCK TABLE projection_positions")
        yield


async def readiness(whole_server: WholeServer, word: str) -> tuple[int, dict[str, Any]]:
    """Ask until the answer has a member with this name."""
    async with asyncio.timeout(HANGS):
        while True:
            response = await whole_server.http.get("/readyz")
            if word in response.json():
                return response.status_code, response.json()
            await asyncio.sleep(0.05)


async def test_read_models_that_are_not_written_are_named_and_the_server_stays_ready(
    log_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asgi, "FAR_BEHIND", 2.5)
    async with WholeServer.open(log_url) as whole_server:
        assert (await whole_server.http.get("/readyz")).json() == {"status": "ready"}

        with locked_out(log_url):
            status, answer = await readiness(whole_server, "secondsBehind")
            assert (status, sorted(answer["secondsBehind"])) == (200, EVERY)

        async with asyncio.timeout(HANGS):
            while (await whole_server.http.get("/readyz")).json() != {"status": "ready"}:
                await asyncio.sleep(0.05)


async def test_beyond_the_configured_lag_the_server_is_not_ready(log_url: str) -> None:
    async with WholeServer.open(log_url, max_lag=2) as whole_server:
        with locked_out(log_url):
            status, answer = await readiness(whole_server, "reason")

        assert status == 503
        assert ", ".join(EVERY) in answer["reason"]
