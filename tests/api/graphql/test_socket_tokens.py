"""Where a WebSocket may have its token, and what ends a subscription that shows nothing."""

from typing import Any

import pytest

from tests.api.whole_server import WholeServer

VIEWER = {"query": "{ viewer { id } }"}
OLIVIA, ANN = "Bearer olivia", "Bearer ann"


@pytest.mark.parametrize(
    "payload",
    [
        {"authorization": OLIVIA},
        {"Authorization": OLIVIA},
        {"AUTHORIZATION": OLIVIA},
        {"headers": {"Authorization": OLIVIA}},
        {"headers": {"authorization": OLIVIA}},
        {"Authorization": OLIVIA, "headers": {"Authorization": ANN}},
    ],
)
async def test_the_token_is_found_in_the_payload_however_it_is_written(
    whole_server: WholeServer, payload: Any
) -> None:
    async with whole_server.socket(token=None) as socket:
        await socket.send("connection_init", payload=payload)
        assert await socket.receive() == {"type": "connection_ack"}
        await socket.send("subscribe", id="1", payload=VIEWER)
        assert (await socket.receive())["payload"]["data"]["viewer"]["id"] == "olivia"


@pytest.mark.parametrize("payload", [{}, {"payload": None}, {"payload": {"headers": []}}])
async def test_the_token_may_be_in_the_header_of_the_request(
    whole_server: WholeServer, payload: Any
) -> None:
    async with whole_server.socket(token=None, authorization=OLIVIA) as socket:
        await socket.send("connection_init", **payload)
        assert await socket.receive() == {"type": "connection_ack"}


@pytest.mark.parametrize("given", ["Bearer nobody", 1, None, "olivia"])
async def test_a_wrong_token_in_the_payload_is_not_replaced_by_the_header(
    whole_server: WholeServer, given: Any
) -> None:
    async with whole_server.socket(token=None, authorization=OLIVIA) as socket:
        await socket.send("connection_init", payload={"Authorization": given})
        assert (await socket.closed())[0] == 4401


@pytest.mark.parametrize(
    ("token", "query", "code"),
    [
        ("olivia", 'executionEvents(executionId: "nothing") { version }', "NOT_FOUND"),
        (
            "engine",
            'executionEvents(executionId: "0190f1a6-0000-7000-8000-000000000001") { version }',
            "NOT_FOUND",
        ),
        ("ann", "events { cursor }", "FORBIDDEN"),
    ],
)
async def test_a_subscription_that_can_show_nothing_says_why(
    whole_server: WholeServer, token: str, query: str, code: str
) -> None:
    async with whole_server.socket(token) as socket:
        await socket.send("subscribe", id="1", payload={"query": f"subscription {{ {query} }}"})
        message = await socket.receive()
        assert message["type"] == "error"
        assert [error["extensions"]["code"] for error in message["payload"]] == [code]


async def test_who_may_not_see_an_execution_is_told_that_there_is_none(
    whole_server: WholeServer,
) -> None:
    document = 'mutation { startExecution(input: {workflow: "w"}) { execution { id } } }'
    started = (await whole_server.post({"query": document})).json()["data"]["startExecution"]
    id_ = started["execution"]["id"]
    query = f'subscription {{ executionEvents(executionId: "{id_}") {{ type }} }}'
    async with whole_server.socket("ann") as socket:
        await socket.send("subscribe", id="1", payload={"query": query})
        [error] = (await socket.receive())["payload"]
        assert error["extensions"] == {"code": "NOT_FOUND"}
