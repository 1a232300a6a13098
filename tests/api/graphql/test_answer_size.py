"""Answers, messages and pages have a limited size, however short the document that asks."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from api.graphql.answer_budget import MAX_ANSWER_BYTES
from tests.api.whole_server import WholeServer

LARGE = "x" * 200_000
START = "mutation($i: StartExecutionInput!) { startExecution(input: $i) { execution { id } } }"
STEPS = "mutation($c: [CommandInput!]!) { submit(commands: $c) { __typename } }"


@pytest.fixture(params=[True, False], ids=["fast", "slow"])
async def server(log_url: str, request: pytest.FixtureRequest) -> AsyncIterator[WholeServer]:
    async with WholeServer.open(log_url, fast_path=request.param) as server:
        yield server


async def ask(server: WholeServer, query: str, token: str = "olivia", **variables: Any) -> Any:
    found = (await server.post({"query": query, "variables": variables}, token)).json()
    assert "errors" not in found, found
    return found["data"]


async def start(server: WholeServer) -> str:
    given = {"workflow": "w", "input": LARGE}
    id_: str = (await ask(server, START, i=given))["startExecution"]["execution"]["id"]
    return id_


async def test_a_short_document_can_t_ask_for_an_answer_of_any_size(server: WholeServer) -> None:
    id_ = await start(server)
    fields = " ".join(f"x{n}: input" for n in range(60))
    answer = await server.post({"query": f'{{ execution(id: "{id_}") {{ {fields} }} }}'})
    assert answer.json() == {
        "errors": [
            {
                "message": f"the answer would have more than {MAX_ANSWER_BYTES} bytes, which is "
                "the limit; ask for fewer items or fields at once",
                "extensions": {"code": "LIMIT_EXCEEDED"},
            }
        ]
    }


async def test_a_mutation_with_too_large_an_answer_says_that_it_was_carried_out(
    server: WholeServer,
) -> None:
    fields = " ".join(f"x{n}: input" for n in range(60))
    before = server.recorded()
    answer = await server.post(
        {
            "query": START.replace("{ id }", f"{{ {fields} }}"),
            "variables": {"i": {"workflow": "w", "input": LARGE}},
        }
    )
    [error] = answer.json()["errors"]
    assert error["extensions"]["code"] == "LIMIT_EXCEEDED"
    assert "The mutation was carried out" in error["message"]
    assert server.recorded() == before + 1


async def test_a_message_of_a_subscription_has_a_limited_size(server: WholeServer) -> None:
    id_ = await start(server)
    fields = " ".join(f"x{n}: data" for n in range(60))
    query = (
        f'subscription {{ executionEvents(executionId: "{id_}", afterVersion: 0) {{ {fields} }} }}'
    )
    async with server.socket() as socket:
        await socket.send("subscribe", id="1", payload={"query": query})
        message = await socket.receive()
        assert message["type"] == "error"
        [error] = message["payload"]
        assert error["extensions"]["code"] == "LIMIT_EXCEEDED"
        assert "the message would have more than" in error["message"]


PAGES = {
    "executions": "query($a: String, $p: String) { executions(first: 500, after: $a, atLeast: $p)"
    " { edges { node { id } } pageInfo { hasNextPage endCursor } } }",
    "events": 'query($a: String) { events(first: 500, after: $a, filter: {types: ["Started"]})'
    " { edges { node { executionId } } pageInfo { hasNextPage endCursor } } }",
}


@pytest.mark.parametrize("field", PAGES)
async def test_a_page_ends_early_if_its_items_are_large(server: WholeServer, field: str) -> None:
    started = [await start(server) for _ in range(12)]
    variables: dict[str, Any] = {}
    if field == "executions":
        variables["p"] = str(server.recorded())
    found: list[str] = []
    pages = 0
    more = True
    while more:
        page = (await ask(server, PAGES[field], **variables))[field]
        found += [
            node.get("id") or node["executionId"] for node in (e["node"] for e in page["edges"])
        ]
        more, variables["a"] = page["pageInfo"]["hasNextPage"], page["pageInfo"]["endCursor"]
        pages += 1
    assert sorted(found) == sorted(started)
    assert 2 <= pages <= 4


async def test_a_page_of_steps_ends_early_if_their_results_are_large(server: WholeServer) -> None:
    id_ = await start(server)
    for n in range(12):
        step = {"executionId": id_, "key": f"s{n:02}", "name": "s", "result": LARGE}
        await ask(server, STEPS, "engine", c=[{"recordStep": step}])
    query = (
        "query($id: ID!, $a: String) { execution(id: $id) { steps(first: 500, after: $a)"
        " { edges { node { key } } pageInfo { hasNextPage endCursor } } } }"
    )
    found: list[str] = []
    after, pages, more = None, 0, True
    while more:
        page = (await ask(server, query, id=id_, a=after))["execution"]["steps"]
        found += [edge["node"]["key"] for edge in page["edges"]]
        more, after = page["pageInfo"]["hasNextPage"], page["pageInfo"]["endCursor"]
        pages += 1
    assert found == [f"s{n:02}" for n in range(12)]
    assert pages == 2


async def test_an_answer_below_the_limit_is_whole(server: WholeServer) -> None:
    id_ = await start(server)
    fields = " ".join(f"x{n}: input" for n in range(30))
    answer = await server.post({"query": f'{{ execution(id: "{id_}") {{ {fields} }} }}'})
    assert json.loads(answer.content) == {
        "data": {"execution": {f"x{n}": LARGE for n in range(30)}}
    }
