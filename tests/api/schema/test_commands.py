from typing import Any
from uuid import uuid4

import pytest

from domain.execution.decide import decide
from domain.values import Principal
from tests.api.documents import CANCEL, GRANT, GRANTS, REQUEST, START, STEP, SUBMIT
from tests.api.graphql_client import GraphQLClient
from tests.api.positions import number
from tests.domain.people import ANN, AUDREY, ENGINE, NOBODY, OLIVIA, OTHER_ENGINE

FINANCE = {"requirements": [{"groups": ["finance"]}]}
NIL = "00000000-0000-0000-0000-000000000000"


async def start(client: GraphQLClient, by: Principal = OLIVIA, **rest: Any) -> Any:
    return await client.ask(START, by, input={"workflow": "travel", **rest})


async def request(
    client: GraphQLClient, execution_id: str, by: Principal = ENGINE, **rest: Any
) -> Any:
    fields = {"key": "permit", "title": "Trip", "payload": {"cost": 1}, "policy": FINANCE, **rest}
    return await client.ask(REQUEST, by, input={"executionId": execution_id, **fields})


async def digest_of(client: GraphQLClient, approval_id: str) -> Any:
    found = await client.ask(
        "query ($id: ID!) { approval(id: $id) { digest } }", ANN, id=approval_id
    )
    return found["digest"]


async def test_a_start_is_accepted_and_shown(client: GraphQLClient) -> None:
    labels = [{"name": "b", "value": "2"}, {"name": "a", "value": "1"}]
    found = await start(client, input={"days": 3}, labels=labels)
    execution = found["execution"]
    assert found["__typename"] == "Accepted"
    assert number(found["position"]) == 1
    assert (found["repeated"], found["approval"]) == (False, None)
    assert (execution["state"], execution["version"], execution["fence"]) == ("RUNNING", 1, 0)
    assert (execution["queue"], execution["input"]) == ("default", {"days": 3})
    assert execution["labels"] == sorted(labels, key=lambda label: label["name"])
    assert execution["initiator"] == {"id": "olivia"}


async def test_an_explicit_null_means_the_default(client: GraphQLClient) -> None:
    nothing: dict[str, Any] = dict.fromkeys(
        ["id", "workflowVersion", "queue", "input", "labels", "onBehalfOf", "idempotencyKey"]
    )
    execution = (await start(client, **nothing))["execution"]
    assert execution["queue"] == "default"
    step = {"executionId": execution["id"], "key": "book", "name": "book"}
    none = {"fence": None, "attempt": None, "result": None, "error": None}
    assert (await client.ask(STEP, ENGINE, input=step))["repeated"] is False
    assert (await client.ask(STEP, ENGINE, input=step | none))["repeated"] is True
    requirement = {"count": None, "groups": ["finance"], "users": None}
    policy = {
        "requirements": [requirement],
        **dict.fromkeys(["rejections", "allowInitiator", "onExpiry", "escalateTo"]),
    }
    found = await request(
        client, execution["id"], policy=policy, description=None, form=None, deadline=None
    )
    shown = await client.ask(
        "query ($id: ID!) { approval(id: $id) { policy {"
        " requirements { count groups users } rejections allowInitiator onExpiry escalateTo } } }",
        id=found["approval"]["id"],
    )
    assert shown["policy"] == {
        "requirements": [{"count": 1, "groups": ["finance"], "users": []}],
        "rejections": 1,
        "allowInitiator": False,
        "onExpiry": "REJECT",
        "escalateTo": [],
    }


async def test_a_client_may_choose_the_id(client: GraphQLClient) -> None:
    chosen = str(uuid4())
    assert (await start(client, id=chosen))["execution"]["id"] == chosen
    assert (await start(client, id=chosen))["repeated"] is True


@pytest.mark.parametrize("chosen", ["nonsense", "", NIL, "{00000000-0000-4000-8000-000000000001}"])
async def test_an_invalid_id_is_refused(client: GraphQLClient, chosen: str) -> None:
    found = await start(client, id=chosen)
    assert (found["code"], found["execution"]) == ("INVALID_INPUT", None)
    assert found["message"].startswith("id must be a UUID")
    assert (await start(client, AUDREY, id=chosen))["code"] == "FORBIDDEN"
    assert await client.services.reader.positions.last() == 0


@pytest.mark.parametrize("text", ["nonsense", "", NIL, f"{NIL}.1", "ä" * 1000])
async def test_an_invalid_id_is_not_found_unless_the_command_is_forbidden(
    client: GraphQLClient, text: str
) -> None:
    cancel = {"executionId": text, "reason": "done"}
    grant = {"approvalId": text, "digest": "sha256:0"}
    assert (await client.ask(CANCEL, OLIVIA, input=cancel))["code"] == "NOT_FOUND"
    assert (await client.ask(CANCEL, NOBODY, input=cancel))["code"] == "FORBIDDEN"
    assert (await client.ask(GRANT, ANN, input=grant))["code"] == "NOT_FOUND"
    assert (await client.ask(GRANT, ENGINE, input=grant))["code"] == "FORBIDDEN"


async def test_the_message_quotes_an_invalid_id(client: GraphQLClient) -> None:
    step = {"executionId": "trip-7", "key": "k", "name": "k"}
    grant = {"approvalId": "x" * 1000, "digest": "sha256:0"}
    said = [
        (await client.ask(STEP, ENGINE, input=step))["message"],
        (await client.ask(SUBMIT, ENGINE, commands=[{"recordStep": step}]))[0]["message"],
    ]
    assert all(message.startswith("no execution 'trip-7': ") for message in said)
    [refused] = await client.ask(GRANTS, ANN, inputs=[grant])
    assert refused["message"].startswith(f"no approval '{'x' * 100}...': ")
    unknown = str(uuid4())
    cancel = {"executionId": unknown, "reason": "done"}
    refused = await client.ask(CANCEL, OLIVIA, input=cancel)
    assert refused["message"] == f"no execution {unknown} that this token may see"


async def test_an_approver_gets_the_approval_without_its_execution(client: GraphQLClient) -> None:
    started = (await start(client))["execution"]
    approval_id = (await request(client, started["id"]))["approval"]["id"]
    wrong = await client.ask(GRANT, ANN, input={"approvalId": approval_id, "digest": "sha256:0"})
    assert (wrong["code"], wrong["execution"]) == ("DIGEST_MISMATCH", None)
    assert wrong["approval"]["viewerMayDecide"] == {"allowed": True, "reasons": []}
    given = {"approvalId": approval_id, "digest": await digest_of(client, approval_id)}
    granted = await client.ask(GRANT, ANN, input=given)
    assert (granted["__typename"], granted["execution"]) == ("Accepted", None)
    assert granted["approval"]["status"] == "GRANTED"
    assert granted["approval"]["viewerMayDecide"]["allowed"] is False


async def test_a_refusal_does_not_show_an_execution_that_the_caller_may_not_see(
    client: GraphQLClient,
) -> None:
    started = (await start(client))["execution"]
    step = {"executionId": started["id"], "key": "book", "name": "book"}
    found = await client.ask(STEP, OTHER_ENGINE, input=step)
    assert (found["code"], found["execution"]) == ("NOT_FOUND", None)


async def test_submit_gives_one_result_each_in_order(client: GraphQLClient) -> None:
    first, second = str(uuid4()), str(uuid4())

    def step(execution_id: str, **rest: Any) -> Any:
        return {"recordStep": {"executionId": execution_id, "key": "k", "name": "k", **rest}}

    found = await client.ask(
        SUBMIT,
        ENGINE,
        commands=[
            {"startExecution": {"id": first, "workflow": "travel"}},
            step(first, fence=7),
            {"startExecution": {"id": second, "workflow": "travel"}},
            step(first),
            step(second),
        ],
    )
    codes = [result.get("code", result["__typename"]) for result in found]
    assert codes == ["Accepted", "FENCED", "Accepted", "SKIPPED", "Accepted"]


@pytest.mark.parametrize("many", ["submit", "grants"])
async def test_a_fault_of_one_command_is_the_answer_to_that_one(
    client: GraphQLClient, monkeypatch: pytest.MonkeyPatch, many: str
) -> None:
    first, second = [(await start(client))["execution"]["id"] for _ in range(2)]
    approvals = [(await request(client, id_))["approval"]["id"] for id_ in (first, second)]

    def faulty(state: Any, command: Any, now: Any) -> Any:
        if str(command.execution_id) == first:
            raise ZeroDivisionError
        return decide(state, command, now)

    grants = [{"approvalId": id_, "digest": await digest_of(client, id_)} for id_ in approvals]
    monkeypatch.setattr("application.command_handling.batch.decide", faulty)
    if many == "submit":
        steps = [{"executionId": id_, "key": "k", "name": "k"} for id_ in (first, second, first)]
        commands = [{"recordStep": step} for step in steps]
        found = await client.ask(SUBMIT, ENGINE, commands=commands)
        codes = ["INTERNAL", "Accepted", "SKIPPED"]
    else:
        found = await client.ask(GRANTS, ANN, inputs=grants)
        codes = ["INTERNAL", "Accepted"]
    assert [result.get("code", result["__typename"]) for result in found] == codes
    assert "the log of the server has it with the reference" in found[0]["message"]


async def test_each_input_of_submit_has_exactly_one_command(client: GraphQLClient) -> None:
    for command in ({}, {"startExecution": {"workflow": "a"}, "failExecution": None}):
        result = await client.answer(ENGINE, SUBMIT, commands=[command])
        assert result.data is None
        assert result.errors
    assert await client.services.reader.positions.last() == 0


async def test_requests_of_too_many_commands_are_refused(client: GraphQLClient) -> None:
    command = {"startExecution": {"workflow": "travel"}}
    assert await client.code(SUBMIT, commands=[command] * 257) == "LIMIT_EXCEEDED"
    decision = {"approvalId": "x", "digest": "x"}
    assert await client.code(GRANTS, ANN, inputs=[decision] * 101) == "LIMIT_EXCEEDED"
    assert len(await client.ask(GRANTS, ANN, inputs=[decision] * 100)) == 100
    assert await client.services.reader.positions.last() == 0


@pytest.mark.parametrize("number", [2**53, -(2**53), float("inf")])
async def test_a_number_beyond_i_json_is_refused_with_its_path(
    client: GraphQLClient, number: float
) -> None:
    found = await start(client, input={"a": [{"b": number}]})
    assert found["code"] == "INVALID_INPUT"
    assert "input.a.0.b" in found["message"]


async def test_a_number_beyond_i_json_is_refused_in_a_literal_too(client: GraphQLClient) -> None:
    document = """mutation { startExecution(input: {workflow: "travel", input: {a: 1e999}}) {
        ... on Refused { code message } } }"""
    found = await client.ask(document)
    assert found["code"] == "INVALID_INPUT"
    assert "input.a" in found["message"]


async def test_fields_without_effect_yet_are_refused(client: GraphQLClient) -> None:
    execution_id = (await start(client))["execution"]["id"]
    unsupported: dict[str, Any] = {"deadline": "2026-01-01T00:00:00Z"}
    for field, value in unsupported.items():
        found = await request(client, execution_id, ENGINE, **{field: value})
        assert found["code"] == "INVALID_INPUT"
        assert field in found["message"]
