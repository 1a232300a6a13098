"""Fifty ask at once where ten uses are left, at two servers, and the one that decides is killed."""

import asyncio
import os
import signal
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import httpx
import psycopg
from prometheus_client.parser import text_string_to_metric_families

from bench.stack import Stack
from placet import Approval, ApprovalStatus, Client, require
from tests.sdk.people import until
from tests.support.audit import findings
from tests.system.conftest import Opened

ASKED = 50
LEFT = 10
FINANCE = require(1, group="finance")
HANDLED = """
    SELECT position >= (SELECT max(notification_id) FROM execution_events)
    FROM projection_positions WHERE name = 'standing_grant_uses'
"""


def decided_in_advance(server: Stack) -> int:
    """Return how often this server has sent a decision by a standing grant."""
    families = text_string_to_metric_families(httpx.get(f"{server.url}/metrics").text)
    return sum(
        int(sample.value)
        for family in families
        for sample in family.samples
        if sample.name == "placet_commands_total" and sample.labels["command"] == "DecideInAdvance"
    )


async def ask(engine: Client, execution_id: str) -> Approval:
    asked = await engine.request_approval(
        execution_id, "go", "Go", payload={"euros": 5}, policy=FINANCE
    )
    assert asked.approval is not None
    return asked.approval


async def test_as_many_are_granted_as_are_left_also_if_the_server_is_killed_that_grants_them(
    open_server: Opened, database: str
) -> None:
    servers = [open_server(), open_server()]
    urls = [server.url for server in servers]
    tokens = servers[0].tokens
    async with AsyncExitStack() as stack:

        async def client(name: str, first: int = 0) -> Client:
            addresses = [*urls[first:], *urls[:first]]
            return await stack.enter_async_context(Client(addresses, tokens[name]))

        approver, operator = await client("approver-a"), await client("operator")
        engines = [await client("engine", 0), await client("engine", 1)]
        grant = await approver.create_standing_grant(
            "daily",
            payload_schema={"properties": {"euros": {"maximum": 5}}},
            max_uses=LEFT + 1,
            expires_at=datetime.now(UTC) + timedelta(days=1),
            comment="Small sums",
        )
        started = await asyncio.gather(*(operator.start("daily") for _ in range(ASKED + 1)))
        first, *ids = [each.id for each in started]
        await ask(engines[0], first)

        async def deciding() -> Stack | None:
            return next((each for each in servers if decided_in_advance(each)), None)

        leader = await until(deciding)
        asking = [
            asyncio.create_task(ask(engines[number % 2], id_)) for number, id_ in enumerate(ids)
        ]

        async def under_way() -> bool | None:
            return decided_in_advance(leader) > 1 or None

        await until(under_way)
        os.kill(leader.process.pid, signal.SIGKILL)
        asked = await asyncio.gather(*asking)

        async def handled() -> bool | None:
            with psycopg.connect(database) as connection:
                return connection.execute(HANDLED).fetchone() == (True,) or None

        await until(handled)
        now = [await operator.approval(each.id) for each in asked]
        statuses = [each.status for each in now if each is not None]
        assert statuses.count(ApprovalStatus.GRANTED) == LEFT
        assert statuses.count(ApprovalStatus.PENDING) == ASKED - LEFT
        used = await approver.standing_grant(grant.id)
        assert used is not None
        assert used.uses == LEFT + 1
    assert findings(database) == []
