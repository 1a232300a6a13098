"""The page of operations: what it tells, and to whom."""

import psycopg
import pytest

from tests.api.whole_server import START, WholeServer
from tests.console.console_client import ConsoleClient

WORKERS = """
    INSERT INTO worker_leases (owner, worker, expires_at, lasts, queues, workflows) VALUES
    ('engine', 'busy', now() + interval '1 h', interval '1 h', '{default}', '[["pay", null]]'),
    ('engine', 'lost', now() - interval '1 h', interval '30 s', NULL, NULL)
"""
# A worker that is gone is remembered as long as it holds something.
HOLD = "UPDATE execution_holds SET owner = 'engine', worker = 'lost' WHERE workflow = 'held'"


async def start(server: WholeServer, workflow: str) -> str:
    given = {"query": START, "variables": {"input": {"workflow": workflow}}}
    answer = (await server.post(given)).json()
    return str(answer["data"]["startExecution"]["execution"]["id"])


async def test_it_tells_how_the_server_is_and_what_stands_still(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    await console.sign_in("olivia")
    await start(whole_server, "pay")
    await start(whole_server, "held")
    with psycopg.connect(whole_server.url) as connection:
        connection.execute(WORKERS)
        connection.execute(HOLD)
    await start(whole_server, "forgotten")
    parked = await start(whole_server, "parked")
    await console.send(f"/executions/{parked}/park", reason="no route to the bank")
    # It waits for the read model, which the page of operations never does.
    assert "1 execution" in await console.read("/executions?parked=yes")
    page = await console.read("/operations")
    for words in ("ready", "approvals", "busy", "lost", "no route to the bank"):
        assert words in page, words
    workers, waiting = page.split('id="workers"')[1].split('id="waiting"')
    assert ("there" in workers.split("lost")[0], "gone" in workers.split("lost")[1]) == (True, True)
    assert "no worker knows it" in waiting.split("forgotten")[1].split("</tr>")[0]
    assert "no worker knows it" not in waiting.split(">pay<")[1].split("</tr>")[0]
    assert "/operations/keys" not in page


@pytest.mark.parametrize("person", ["ann", "engine"])
async def test_it_is_for_those_who_read_everything(console: ConsoleClient, person: str) -> None:
    await console.sign_in(person)
    assert (await console.get("/operations")).status_code == 403
    assert 'href="/operations"' not in (await console.get("/inbox")).text


async def test_it_tells_of_a_read_model_that_has_to_be_rebuilt(
    whole_server: WholeServer, console: ConsoleClient
) -> None:
    await console.sign_in("olivia")
    with psycopg.connect(whole_server.url) as connection:
        connection.execute("UPDATE projection_positions SET version = 1 WHERE name = 'executions'")
    page = await console.read("/operations")
    assert "while the read model is rebuilt" in page
