"""GraphQL over WebSocket: the protocol graphql-transport-ws, and tokens that end."""

import asyncio
import json
from collections import deque
from typing import Any

import psycopg
import pytest
from prometheus_client import REGISTRY
from starlette.types import Message

from api.graphql.websocket import MESSAGES_AT_ONCE, PROTOCOL, GraphQLOverWebSocket
from domain.values import Role
from tests.api.whole_server import START, WholeServer

EVENTS = "subscription ($after: String) { events(after: $after) { cursor event { type } } }"


async def test_a_query_and_a_mutation_are_answered_once(whole_server: WholeServer) -> None:
    async with whole_server.socket() as socket:
        await socket.send("subscribe", id="q", payload={"query": "{ viewer { id } }"})
        assert (await socket.receive())["payload"] == {"data": {"viewer": {"id": "olivia"}}}
        assert await socket.receive() == {"type": "complete", "id": "q"}
        given = {"query": START, "variables": {"input": {"workflow": "w"}}}
        await socket.send("subscribe", id="m", payload=given)
        result = (await socket.receive())["payload"]["data"]["startExecution"]
        assert result["__typename"] == "Accepted"
    assert whole_server.recorded() == 1


async def test_a_subscription_goes_on_until_the_client_completes_it(
    whole_server: WholeServer,
) -> None:
    given = {"query": START, "variables": {"input": {"workflow": "w"}}}
    async with whole_server.socket() as socket:
        payload = {"query": EVENTS, "variables": {"after": "0"}}
        await socket.send("subscribe", id="1", payload=payload)
        for _ in range(2):
            await whole_server.post(given)
            message = await socket.receive()
            assert message["id"] == "1"
            assert message["payload"]["data"]["events"]["event"]["type"] == "Started"
        await socket.send("complete", id="1")
        await socket.send("ping", payload={"n": 1})
        assert await socket.receive() == {"type": "pong", "payload": {"n": 1}}
        await whole_server.post(given)
        # The id is free again, and nothing of the first subscription comes any more.
        await socket.send("subscribe", id="1", payload={"query": "{ viewer { id } }"})
        assert "viewer" in (await socket.receive())["payload"]["data"]


async def test_open_subscriptions_are_counted(whole_server: WholeServer) -> None:
    def count() -> float:
        found = REGISTRY.get_sample_value("placet_open_subscriptions", {"field": "events"})
        return found or 0.0

    before = count()
    async with whole_server.socket() as socket:
        await socket.send("subscribe", id="1", payload={"query": EVENTS})
        await socket.receive()
        assert count() == before + 1
    assert count() == before


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"query": "{"}, "BAD_REQUEST"),
        ({"query": "subscription { nothing }"}, "BAD_REQUEST"),
        ({"query": EVENTS, "variables": {"after": "x"}}, "BAD_REQUEST"),
        ({"query": EVENTS, "variables": {"after": 1}}, "BAD_REQUEST"),
        ({"query": "subscription { assignments(worker: 1) { lost } }"}, "BAD_REQUEST"),
        ({"query": 'subscription { assignments(worker: "w") { lost } }'}, "FORBIDDEN"),
        ({"query": "{" + " stateDiagram" * 20_000 + "}"}, "LIMIT_EXCEEDED"),
        ({}, "BAD_REQUEST"),
        ("{ viewer { id } }", "BAD_REQUEST"),
    ],
)
async def test_an_invalid_operation_is_an_error_of_that_operation_alone(
    whole_server: WholeServer, payload: Any, code: str
) -> None:
    async with whole_server.socket() as socket:
        await socket.send("subscribe", id="1", payload=payload)
        message = await socket.receive()
        assert (message["type"], message["id"]) == ("error", "1")
        assert {error["extensions"]["code"] for error in message["payload"]} == {code}
        await socket.send("subscribe", id="1", payload={"query": "{ viewer { id } }"})
        assert (await socket.receive())["type"] == "next"


@pytest.mark.parametrize(
    "payload", [None, {}, {"authorization": "Bearer nobody"}, {"authorization": 1}, "Bearer olivia"]
)
async def test_without_a_valid_token_the_connection_is_closed(
    whole_server: WholeServer, payload: Any
) -> None:
    async with whole_server.socket(token=None) as socket:
        await socket.send("connection_init", payload=payload)
        code, _ = await socket.closed()
    assert code == 4401


async def test_before_the_token_only_pings_are_answered(whole_server: WholeServer) -> None:
    async with whole_server.socket(token=None) as socket:
        await socket.send("ping")
        assert await socket.receive() == {"type": "pong"}
        await socket.send("subscribe", id="1", payload={"query": "{ viewer { id } }"})
        assert (await socket.closed())[0] == 4401


async def test_a_connection_without_a_token_is_closed_after_a_while(
    whole_server: WholeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.graphql.websocket.INIT_SECONDS", 0.01)
    async with whole_server.socket(token=None) as socket:
        assert (await socket.closed())[0] == 4408


async def test_another_protocol_is_refused(whole_server: WholeServer) -> None:
    async with whole_server.socket(token=None, protocol="graphql-ws") as socket:
        assert (await socket.closed())[0] == 4406


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", 4400),
        ("[]", 4400),
        ('{"id": "1"}', 4400),
        ('{"type": "start", "id": "1"}', 4400),
        ('{"type": "subscribe", "payload": {}}', 4400),
        ('{"type": "subscribe", "id": 1, "payload": {}}', 4400),
        ('{"type": "connection_init"}', 4429),
    ],
)
async def test_an_invalid_message_closes_the_connection(
    whole_server: WholeServer, text: str, code: int
) -> None:
    async with whole_server.socket() as socket:
        await socket.send_text(text)
        assert (await socket.closed())[0] == code


async def test_an_id_is_used_by_one_operation_at_a_time(whole_server: WholeServer) -> None:
    async with whole_server.socket() as socket:
        await socket.send("subscribe", id="1", payload={"query": EVENTS})
        assert (await socket.receive())["type"] == "next"
        await socket.send("subscribe", id="1", payload={"query": EVENTS})
        assert (await socket.closed())[0] == 4409


async def test_a_revoked_token_ends_the_connection_also_if_nothing_happens(
    whole_server: WholeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.graphql.websocket.RECHECK_SECONDS", 0.02)
    token = await whole_server.keys.create("operator", roles=[Role.OPERATOR])
    async with whole_server.socket(token) as socket:
        payload = {"query": EVENTS, "variables": {"after": "0"}}
        await socket.send("subscribe", id="1", payload=payload)
        await whole_server.keys.revoke("operator")
        code, reason = await socket.closed()
    assert code == 4401
    assert "revoked" in reason


async def test_a_revoked_token_gets_no_further_event(whole_server: WholeServer) -> None:
    token = await whole_server.keys.create("operator", roles=[Role.OPERATOR])
    async with whole_server.socket(token) as socket:
        await socket.send(
            "subscribe", id="1", payload={"query": EVENTS, "variables": {"after": "0"}}
        )
        await whole_server.keys.revoke("operator")
        # That is how long a token is remembered.
        await asyncio.sleep(1.1)
        await whole_server.post({"query": START, "variables": {"input": {"workflow": "w"}}})
        message = await socket.receive()
    assert message["type"] == "error"
    assert message["payload"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_waiting_for_a_token_does_not_delay_other_connections(
    whole_server: WholeServer,
) -> None:
    token = await whole_server.keys.create("auditor", roles=[Role.AUDITOR])
    async with whole_server.socket(token) as socket:
        # That is how long a token is remembered.
        await asyncio.sleep(1.1)
        async with await psycopg.AsyncConnection.connect(whole_server.url) as other:
            await other.execute("LOCK TABLE api_keys")
            await socket.send("subscribe", id="q", payload={"query": "{ viewer { id } }"})
            await socket.send("ping")
            assert await socket.receive() == {"type": "pong"}
        assert "viewer" in (await socket.receive())["payload"]["data"]


async def test_if_a_token_cannot_be_looked_up_one_operation_fails(
    whole_server: WholeServer,
) -> None:
    token = await whole_server.keys.create("auditor", roles=[Role.AUDITOR])
    async with whole_server.socket(token) as socket:
        async with await psycopg.AsyncConnection.connect(
            whole_server.url, autocommit=True
        ) as other:
            await other.execute("ALTER TABLE api_keys RENAME TO api_keys_away")
            await asyncio.sleep(1.1)
            await socket.send("subscribe", id="q", payload={"query": "{ viewer { id } }"})
            message = await socket.receive()
            await other.execute("ALTER TABLE api_keys_away RENAME TO api_keys")
        assert (message["type"], message["id"]) == ("error", "q")
        await socket.send("subscribe", id="q", payload={"query": "{ viewer { id } }"})
        assert "viewer" in (await socket.receive())["payload"]["data"]


async def test_all_pings_before_the_token_are_answered(whole_server: WholeServer) -> None:
    async with whole_server.socket(token=None) as socket:
        for _ in range(2_000):
            await socket.send("ping")
        for _ in range(2_000):
            assert await socket.receive() == {"type": "pong"}


async def test_messages_that_came_together_leave_others_their_turns() -> None:
    batches = 10
    texts = [{"type": "connection_init"}]
    texts += [{"type": "complete", "id": "1"}] * (batches * MESSAGES_AT_ONCE)
    messages = deque[Message]([{"type": "websocket.connect"}])
    messages += [{"type": "websocket.receive", "text": json.dumps(text)} for text in texts]
    messages.append({"type": "websocket.disconnect"})
    passes = 0

    async def authenticate(_: str | None) -> str:
        return "olivia"

    async def receive() -> Message:
        return messages.popleft()

    async def send(_: Message) -> None:
        pass

    async def others() -> None:
        nonlocal passes
        while messages:
            passes += 1
            await asyncio.sleep(0)

    unused: Any = None
    app = GraphQLOverWebSocket(unused, authenticate, unused)
    scope = {"type": "websocket", "subprotocols": [PROTOCOL], "headers": []}
    await asyncio.gather(others(), app(scope, receive, send))
    assert passes >= batches
