"""GraphQL over HTTP: authentication, malformed requests and limits."""

import json
from typing import Any

import psycopg
import pytest
from structlog.testing import capture_logs

from api import metrics
from domain.values import Role
from tests.api.whole_server import START, WholeServer

JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json"
PING = {"query": "{ __typename }"}


def code(body: dict[str, Any]) -> str:
    [error] = body["errors"]
    assert error["message"]
    found: str = error["extensions"]["code"]
    return found


@pytest.mark.parametrize("accept", [JSON, GRAPHQL_JSON])
@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer nobody", "Basic olivia", "Bearer " + "x" * 5000]
)
async def test_without_a_valid_token_nothing_is_answered(
    whole_server: WholeServer, authorization: str | None, accept: str
) -> None:
    headers = {"accept": accept} | ({"authorization": authorization} if authorization else {})
    response = await whole_server.post({"query": START}, token=None, **headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert code(response.json()) == "UNAUTHENTICATED"


async def test_a_revoked_or_expired_key_is_no_token(whole_server: WholeServer) -> None:
    live = await whole_server.keys.create("live", roles=[Role.OPERATOR])
    revoked = await whole_server.keys.create("revoked", roles=[Role.OPERATOR])
    await whole_server.keys.revoke("revoked")
    with psycopg.connect(whole_server.url, autocommit=True) as connection:
        expired = await whole_server.keys.create("expired", roles=[Role.OPERATOR])
        connection.execute("UPDATE api_keys SET expires_at = now() WHERE name = 'expired'")
    assert (await whole_server.post(PING, live)).status_code == 200
    assert (await whole_server.post(PING, revoked)).status_code == 401
    assert (await whole_server.post(PING, expired)).status_code == 401


async def test_a_command_without_the_role_is_refused_and_records_nothing(
    whole_server: WholeServer,
) -> None:
    response = await whole_server.post(
        {"query": START, "variables": {"input": {"workflow": "w"}}}, "ann"
    )
    assert response.json()["data"]["startExecution"]["code"] == "FORBIDDEN"
    assert whole_server.recorded() == 0


@pytest.mark.parametrize("accept", [JSON, GRAPHQL_JSON])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"query": "{ __typename }", "variables": {"n": NaN}}',
        b"[" * 100_000,
        [PING],
        "text",
        {},
        {"query": None},
        {"query": ["{ __typename }"]},
        {**PING, "variables": []},
        {**PING, "variables": "{}"},
        {**PING, "operationName": 1},
        {**PING, "extensions": []},
    ],
)
async def test_a_malformed_request_is_a_bad_request(
    whole_server: WholeServer, body: Any, accept: str
) -> None:
    response = await whole_server.post(body, accept=accept)
    assert response.status_code == 400
    assert code(response.json()) == "BAD_REQUEST"
    assert "data" not in response.json()


@pytest.mark.parametrize(
    "body",
    [
        {"query": "{"},
        {"query": ""},
        {"query": "{ nothing }"},
        {"query": "query A { __typename } query B { __typename }"},
        {"query": "query A { __typename }", "operationName": "C"},
        {"query": "fragment F on Query { __typename }"},
        {"query": START, "variables": {"input": {}}},
        {"query": START, "variables": {"input": {"workflow": 1}}},
        {"query": START, "variables": {"input": {"workflow": "w", "labels": [{"name": "n"}]}}},
        {"query": START, "variables": {"input": {"workflow": "w", "unknown": 1}}},
        {"query": "{ execution(id: {}) { id } }"},
        {"query": "{ a: executions(orderBy: NO_SUCH) { position } }"},
    ],
)
async def test_a_request_that_does_not_match_the_schema_is_a_bad_request(
    whole_server: WholeServer, body: Any
) -> None:
    strict = await whole_server.post(body, accept=GRAPHQL_JSON)
    assert strict.status_code == 400
    assert "data" not in strict.json()
    assert {e["extensions"]["code"] for e in strict.json()["errors"]} == {"BAD_REQUEST"}
    lenient = await whole_server.post(body, accept=JSON)
    assert lenient.status_code == 200
    assert lenient.json() == strict.json()
    assert whole_server.recorded() == 0


async def test_a_body_beyond_its_limit_is_refused(whole_server: WholeServer) -> None:
    body = json.dumps({**PING, "variables": {"x": "x" * 1024 * 1024}}).encode()

    async def in_pieces() -> Any:
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]

    told = await whole_server.post(body)
    untold = await whole_server.http.post(
        "/graphql",
        content=in_pieces(),
        headers={"authorization": "Bearer olivia", "content-type": JSON},
    )
    for response in (told, untold):
        assert response.status_code == 413
        assert code(response.json()) == "LIMIT_EXCEEDED"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"workflow": "w", "input": "x" * 256 * 1024}, "input"),
        ({"workflow": "w" * 201}, "workflow"),
        ({"workflow": "w", "input": {"n": [1, 2**53]}}, "input.n.1"),
        ({"workflow": "w", "input": {"half": "\ud83d"}}, "input.half"),
    ],
)
async def test_an_input_beyond_its_limits_is_refused_by_name(
    whole_server: WholeServer, given: dict[str, Any], named: str
) -> None:
    response = await whole_server.post({"query": START, "variables": {"input": given}})
    result = response.json()["data"]["startExecution"]
    assert result["code"] == "INVALID_INPUT"
    assert result["message"].startswith(named)
    assert whole_server.recorded() == 0


async def test_an_error_message_may_quote_half_a_surrogate_pair(whole_server: WholeServer) -> None:
    response = await whole_server.post(
        b'{"query": "{ execution(id: \\"\\\\ud83d\\") { \\ud83d } }"}'
    )
    assert code(response.json()) == "BAD_REQUEST"


IN_PAGES = """
{ execution(id: 1) { approvals(first: 500) { edges { node { execution {
  approvals(first: 500) { position }
} } } } } }
"""
DOUBLING = "\n".join(
    ["{ ...F0 }"]
    + [f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }}" for n in range(30)]
    + ["fragment F30 on Query { stateDiagram }"]
)


@pytest.mark.parametrize(
    "query",
    [
        DOUBLING,
        "{" + " ".join(f"a{n}: stateDiagram" for n in range(2_000)) + "}",
        "{ node(id: 1) " + "{ ... on Approval { execution " * 80 + "{ id }" + "} }" * 80 + " }",
        "{ a " * 4_000 + "}" * 4_000,
        "{ stateDiagram " + "@include(if: true) " * 3_000 + "}",
        "{" + " stateDiagram" * 20_000 + "}",
        "{ ...F0 } " + " ".join(f"fragment F{n} on Query {{ ...F{n + 1} }}" for n in range(1_200)),
        IN_PAGES,
        "query ($n: Int) { executions(first: $n) { edges { node { steps(first: $n) { x } } } } }",
        "{ executions(first: 100000) { position } }",
        "{ approvals(first: 501) { position } }",
        "{ events(first: -1) { pageInfo { endCursor } } }",
        "fragment F on Query {" + " ".join(f"a{n}: stateDiagram" for n in range(2_000)) + "}",
    ],
)
async def test_a_query_beyond_the_limits_is_refused_before_validation(
    whole_server: WholeServer, query: str
) -> None:
    response = await whole_server.post({"query": query}, accept=GRAPHQL_JSON)
    found = response.json()
    if "first" not in query:
        assert response.status_code == 400
        assert "data" not in found
    assert {error["extensions"]["code"] for error in found["errors"]} == {"LIMIT_EXCEEDED"}


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/json; charset=latin-1"])
async def test_a_body_is_json_in_utf_8(whole_server: WholeServer, content_type: str) -> None:
    response = await whole_server.post(PING, content_type=content_type)
    assert response.status_code == 415
    assert code(response.json()) == "BAD_REQUEST"


async def test_a_query_may_come_by_get_and_a_mutation_may_not(whole_server: WholeServer) -> None:
    headers = {"authorization": "Bearer olivia"}
    query = {
        "query": "query ($id: ID!) { execution(id: $id) { id } }",
        "variables": '{"id": "nothing"}',
    }
    asked = await whole_server.http.get("/graphql", params=query, headers=headers)
    assert asked.json() == {"data": {"execution": None}}
    start = {"query": 'mutation { startExecution(input: {workflow: "w"}) { __typename } }'}
    refused = await whole_server.http.get("/graphql", params=start, headers=headers)
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
    garbled = {**query, "variables": "{"}
    assert (
        await whole_server.http.get("/graphql", params=garbled, headers=headers)
    ).status_code == 400
    assert (await whole_server.http.put("/graphql", headers=headers)).status_code == 405
    assert whole_server.recorded() == 0


async def test_a_subscription_over_http_is_refused_and_names_the_websocket(
    whole_server: WholeServer,
) -> None:
    response = await whole_server.post({"query": "subscription { events { cursor } }"})
    assert response.status_code == 400
    assert "graphql-transport-ws" in response.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, JSON),
        ("*/*", JSON),
        ("text/html", JSON),
        ("application/*;q=0.5", JSON),
        (f"{GRAPHQL_JSON}, {JSON};q=0.9", GRAPHQL_JSON),
        (f"{JSON}, {GRAPHQL_JSON}", GRAPHQL_JSON),
        (f"{JSON}, {GRAPHQL_JSON};q=0.5", JSON),
        (f"{GRAPHQL_JSON};q=0, {JSON}", JSON),
        (f"{GRAPHQL_JSON};q=much", JSON),
    ],
)
async def test_the_media_type_is_the_one_preferred(
    whole_server: WholeServer, accept: str | None, chosen: str
) -> None:
    response = await whole_server.post(PING, accept=accept or "")
    assert response.headers["content-type"] == f"{chosen}; charset=utf-8"


def recorded_traces(server: WholeServer) -> list[str | None]:
    with psycopg.connect(server.url) as connection:
        rows = connection.execute(
            "SELECT convert_from(state, 'UTF8')::json ->> 'trace' FROM execution_events"
            " ORDER BY notification_id"
        ).fetchall()
    return [trace for (trace,) in rows]


async def test_a_trace_is_recorded_with_the_events(whole_server: WholeServer) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    given = {"query": START, "variables": {"input": {"workflow": "w"}}}
    await whole_server.post(given, traceparent=trace)
    await whole_server.post(given, traceparent="nonsense")
    assert recorded_traces(whole_server) == [trace, None]


async def test_each_command_of_a_request_can_have_a_trace_of_its_own(
    whole_server: WholeServer,
) -> None:
    """In the extensions, over HTTP and over a WebSocket, where there is one header for all."""
    one, two, three = (f"00-{str(n) * 32}-{str(n) * 16}-01" for n in (1, 2, 3))
    start = {"startExecution": {"workflow": "w"}}
    body = {
        "query": "mutation ($c: [CommandInput!]!) { submit(commands: $c) { __typename } }",
        "variables": {"c": [start, start, start]},
        "extensions": {"traceparent": one, "traceparents": [two, None, "nonsense"]},
    }
    await whole_server.post(body, "olivia", traceparent=three)
    async with whole_server.socket("olivia", traceparent=three) as socket:
        await socket.send("subscribe", id="1", payload=body)
        await socket.receive()
        plain = {**body, "extensions": {"traceparents": {"0": two}}}
        await socket.send("subscribe", id="2", payload=plain)
        while (await socket.receive()).get("id") != "2":
            pass
    assert recorded_traces(whole_server) == [two, one, one] * 2 + [three] * 3


async def test_an_unexpected_error_has_a_reference_that_is_in_the_log(
    whole_server: WholeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> str:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr("api.schema.query.mermaid", broken)
    with capture_logs() as logs:
        response = await whole_server.post({"query": "{ stateDiagram }"})
    [error] = response.json()["errors"]
    assert error["extensions"]["code"] == "INTERNAL"
    assert "secret" not in response.text
    reference = error["message"].split()[-1]
    # Beside it, the server may log what it does in the background.
    assert [entry["reference"] for entry in logs if "reference" in entry] == [reference]


async def test_graphiql_is_for_browsers_in_development(whole_server: WholeServer) -> None:
    page = await whole_server.http.get("/graphql", headers={"accept": "text/html,*/*;q=0.8"})
    assert page.status_code == 200
    assert "GraphiQL" in page.text


async def test_graphiql_is_not_served_in_production(log_url: str) -> None:
    async with WholeServer.open(log_url, mode="production") as whole_server:
        page = await whole_server.http.get("/graphql", headers={"accept": "text/html"})
        assert page.status_code == 401
        assert "GraphiQL" not in page.text


@pytest.mark.parametrize(("fast", "counted"), [(True, 1), (False, 0)])
async def test_the_fast_path_can_be_switched_off(log_url: str, *, fast: bool, counted: int) -> None:
    async with WholeServer.open(log_url, fast_path=fast) as whole_server:
        fallbacks = metrics.FALLBACKS.labels("operation")._value
        before = fallbacks.get()
        response = await whole_server.post({"query": "{ viewer { id } again: viewer { id } }"})
        assert "errors" not in response.json()
        assert fallbacks.get() - before == counted


async def test_health_and_metrics(whole_server: WholeServer) -> None:
    assert (await whole_server.http.get("/livez")).json() == {"status": "alive"}
    assert (await whole_server.http.get("/readyz")).json() == {"status": "ready"}
    await whole_server.post({"query": START, "variables": {"input": {"workflow": "w"}}})
    await whole_server.post({"query": START, "variables": {"input": {"workflow": "w"}}}, "ann")
    text = (await whole_server.http.get("/metrics")).text
    for name in (
        'placet_commands_total{command="StartExecution",outcome="accepted"}',
        'placet_refusals_total{code="FORBIDDEN"}',
        "placet_queue_depth",
        "placet_batch_size_bucket",
        "placet_commit_seconds_bucket",
        'placet_projection_lag_events{model="executions"}',
        'placet_projection_lag_seconds{model="approvals"}',
        "placet_wakeup_seconds_bucket",
        "placet_open_subscriptions",
    ):
        assert name in text, name


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("{", None),
        ("{ nothing }", None),
        ("{ executions(filter: {state: [NO_STATE]}) { position } }", None),
        (
            "query ($s: [ExecutionState!]) { executions(filter: {state: $s}) { position } }",
            {"s": ["NO_STATE"]},
        ),
        ("query ($id: ID!) { execution(id: $id) { id } }", {"id": {"a": 1}}),
        ("query ($id: ID!) { execution(id: $id) { id } }", {"id": "no-uuid"}),
        (START, {"input": {"workflow": "w", "id": "no-uuid"}}),
        (START, {"input": {"workflow": 1}}),
        ('{ executions(after: "no-cursor") { position } }', None),
        (
            "query ($l: [LabelInput!]) { executions(filter: {labels: $l}) { position } }",
            {"l": [{"name": "\ud800", "value": "\0"}]},
        ),
        (
            "query ($g: [String!]) { approvals(filter: {group: $g}) { position } }",
            {"g": ["\ud800"]},
        ),
    ],
)
async def test_a_client_s_error_is_answered_and_not_logged(
    whole_server: WholeServer, caplog: pytest.LogCaptureFixture, query: str, variables: Any
) -> None:
    # Half a surrogate pair comes as an escape, as ``json`` writes it.
    body = {"query": query, "variables": variables}
    with capture_logs() as logs, caplog.at_level("INFO"):
        answer = (await whole_server.post(body)).json()
        async with whole_server.socket() as socket:
            await socket.send("subscribe", id="1", payload=body)
            streamed = await socket.receive()
    codes = {error["extensions"]["code"] for error in answer.get("errors", ())}
    assert codes <= {"BAD_REQUEST"}
    assert streamed["type"] == ("error" if codes and "data" not in answer else "next")
    assert [line for line in logs if line["log_level"] not in {"debug", "info"}] == []
    assert [record for record in caplog.records if record.exc_info] == []
