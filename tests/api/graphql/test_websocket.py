"""GraphQL over WebSocket: the protocol graphql-transport-ws, and who may stay connected."""

import asyncio
from typing import Any

import psycopg
import pytest
from prometheus_client import REGISTRY

from domain.values import Role
from tests.api.whole_server import START, Edge

EVENTS = "subscription ($after: String) { events(after: $after) { cursor event { type } } }"


async def test_a_query_and_a_mutation_are_answered_once(edge: Edge) -> None:
    async with edge.socket() as socket:
        await socket.say("subscribe", id="q", payload={"query": "{ viewer { id } }"})
        assert (await socket.heard())["payload"] == {"data": {"viewer": {"id": "olivia"}}}
        assert await socket.heard() == {"type": "complete", "id": "q"}
        given = {"query": START, "variables": {"input": {"workflow": "w"}}}
        await socket.say("subscribe", id="m", payload=given)
        result = (await socket.heard())["payload"]["data"]["startExecution"]
        assert result["__typename"] == "Accepted"
    assert edge.recorded() == 1


async def test_a_subscription_goes_on_until_the_client_completes_it(edge: Edge) -> None:
    given = {"query": START, "variables": {"input": {"workflow": "w"}}}
    async with edge.socket() as socket:
        payload = {"query": EVENTS, "variables": {"after": "0"}}
        await socket.say("subscribe", id="1", payload=payload)
        for _ in range(2):
            await edge.post(given)
            message = await socket.heard()
            assert message["id"] == "1"
            assert message["payload"]["data"]["events"]["event"]["type"] == "Started"
        await socket.say("complete", id="1")
        await socket.say("ping", payload={"n": 1})
        assert await socket.heard() == {"type": "pong", "payload": {"n": 1}}
        await edge.post(given)
        # The id is free again, and nothing of the first subscription comes any more.
        await socket.say("subscribe", id="1", payload={"query": "{ viewer { id } }"})
        assert "viewer" in (await socket.heard())["payload"]["data"]


async def test_open_subscriptions_are_counted(edge: Edge) -> None:
    def count() -> float:
        found = REGISTRY.get_sample_value("placet_open_subscriptions", {"field": "events"})
        return found or 0.0

    before = count()
    async with edge.socket() as socket:
        await socket.say("subscribe", id="1", payload={"query": EVENTS})
        await socket.heard()
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
async def test_what_can_t_be_executed_is_an_error_of_that_operation_alone(
    edge: Edge, payload: Any, code: str
) -> None:
    async with edge.socket() as socket:
        await socket.say("subscribe", id="1", payload=payload)
        message = await socket.heard()
        assert (message["type"], message["id"]) == ("error", "1")
        assert {error["extensions"]["code"] for error in message["payload"]} == {code}
        await socket.say("subscribe", id="1", payload={"query": "{ viewer { id } }"})
        assert (await socket.heard())["type"] == "next"


@pytest.mark.parametrize(
    "payload", [None, {}, {"authorization": "Bearer nobody"}, {"authorization": 1}, "Bearer olivia"]
)
async def test_without_a_valid_token_the_connection_is_closed(edge: Edge, payload: Any) -> None:
    async with edge.socket(token=None) as socket:
        await socket.say("connection_init", payload=payload)
        code, _ = await socket.closed()
    assert code == 4401


async def test_nothing_goes_before_the_token(edge: Edge) -> None:
    async with edge.socket(token=None) as socket:
        await socket.say("ping")
        assert await socket.heard() == {"type": "pong"}
        await socket.say("subscribe", id="1", payload={"query": "{ viewer { id } }"})
        assert (await socket.closed())[0] == 4401


async def test_a_connection_without_a_word_is_closed(
    edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.graphql.websocket.INIT_SECONDS", 0.01)
    async with edge.socket(token=None) as socket:
        assert (await socket.closed())[0] == 4408


async def test_another_protocol_is_not_spoken(edge: Edge) -> None:
    async with edge.socket(token=None, protocol="graphql-ws") as socket:
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
async def test_what_is_not_of_the_protocol_closes_the_connection(
    edge: Edge, text: str, code: int
) -> None:
    async with edge.socket() as socket:
        await socket.say_text(text)
        assert (await socket.closed())[0] == code


async def test_an_id_is_used_by_one_operation_at_a_time(edge: Edge) -> None:
    async with edge.socket() as socket:
        await socket.say("subscribe", id="1", payload={"query": EVENTS})
        assert (await socket.heard())["type"] == "next"
        await socket.say("subscribe", id="1", payload={"query": EVENTS})
        assert (await socket.closed())[0] == 4409


async def test_a_revoked_token_ends_the_connection_also_if_nothing_happens(
    edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.graphql.websocket.RECHECK_SECONDS", 0.02)
    token = await edge.keys.create("auditor", roles=[Role.AUDITOR])
    async with edge.socket(token) as socket:
        payload = {"query": EVENTS, "variables": {"after": "0"}}
        await socket.say("subscribe", id="1", payload=payload)
        await edge.keys.revoke("auditor")
        code, reason = await socket.closed()
    assert code == 4401
    assert "revoked" in reason


async def test_a_revoked_token_gets_no_further_event(edge: Edge) -> None:
    token = await edge.keys.create("auditor", roles=[Role.AUDITOR])
    async with edge.socket(token) as socket:
        await socket.say(
            "subscribe", id="1", payload={"query": EVENTS, "variables": {"after": "0"}}
        )
        await edge.keys.revoke("auditor")
        # That is how long a token is remembered.
        await asyncio.sleep(1.1)
        await edge.post({"query": START, "variables": {"input": {"workflow": "w"}}})
        message = await socket.heard()
    assert message["type"] == "error"
    assert message["payload"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_who_waits_for_its_token_holds_up_nobody(edge: Edge) -> None:
    token = await edge.keys.create("auditor", roles=[Role.AUDITOR])
    async with edge.socket(token) as socket:
        # That is how long a token is remembered.
        await asyncio.sleep(1.1)
        async with await psycopg.AsyncConnection.connect(edge.url) as other:
            await other.execute("LOCK TABLE api_keys")
            await socket.say("subscribe", id="q", payload={"query": "{ viewer { id } }"})
            await socket.say("ping")
            assert await socket.heard() == {"type": "pong"}
        assert "viewer" in (await socket.heard())["payload"]["data"]


async def test_a_token_that_cannot_be_looked_up_costs_one_operation(edge: Edge) -> None:
    token = await edge.keys.create("auditor", roles=[Role.AUDITOR])
    async with edge.socket(token) as socket:
        async with await psycopg.AsyncConnection.connect(edge.url, autocommit=True) as other:
            await other.execute("ALTER TABLE api_keys RENAME TO api_keys_away")
            await asyncio.sleep(1.1)
            await socket.say("subscribe", id="q", payload={"query": "{ viewer { id } }"})
            message = await socket.heard()
            await other.execute("ALTER TABLE api_keys_away RENAME TO api_keys")
        assert (message["type"], message["id"]) == ("error", "q")
        await socket.say("subscribe", id="q", payload={"query": "{ viewer { id } }"})
        assert "viewer" in (await socket.heard())["payload"]["data"]


async def test_pings_before_the_token_are_answered_however_many(edge: Edge) -> None:
    async with edge.socket(token=None) as socket:
        for _ in range(2_000):
            await socket.say("ping")
        for _ in range(2_000):
            assert await socket.heard() == {"type": "pong"}
