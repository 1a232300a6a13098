"""Substitutes with API keys over HTTP: at the same time, after the end, and in the audit."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from application.event_store.verification.log_audit import Verification
from domain.values import Role
from tests.api.whole_server import WholeServer
from tests.support.patience import HANGS

SET = """mutation ($input: SubstituteInput!) {
    setSubstitute(input: $input) { code message substitute { number } }
}"""
GRANT = """mutation ($input: DecisionInput!) { grantApproval(input: $input) {
    __typename ... on Refused { code message } } }"""
ASK = """mutation ($input: RequestApprovalInput!) {
    requestApproval(input: $input) { approval { id digest } }
}"""
START = 'mutation { startExecution(input: { workflow: "w" }) { execution { id } } }'
END = "mutation ($number: Int!) { endSubstitute(number: $number) { code } }"
SEEN = "query ($id: ID!) { approval(id: $id) { viewerMayDecide { allowed } } }"


async def ask(server: WholeServer, token: str, query: str, **variables: Any) -> Any:
    answer = await server.post({"query": query, "variables": variables}, token)
    body = answer.json()
    assert "errors" not in body, body
    [value] = body["data"].values()
    return value


async def test_of_all_substitutes_at_the_same_time_one_decides_and_the_log_is_sound(
    whole_server: WholeServer,
) -> None:
    maja = await whole_server.keys.create("maja", roles=[Role.APPROVER], groups=["legal"])
    stand_ins = {
        name: await whole_server.keys.create(name, roles=[Role.APPROVER])
        for name in ("omar", "nina", "igor")
    }
    ends = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    for name in stand_ins:
        given = {"substitute": name, "endsAt": ends}
        assert (await ask(whole_server, maja, SET, input=given))["code"] is None
    execution = (await ask(whole_server, "olivia", START))["execution"]["id"]
    policy = {"requirements": [{"count": 2, "groups": ["legal"]}]}
    wanted = {"executionId": execution, "key": "k", "title": "T", "payload": 1, "policy": policy}
    approval = (await ask(whole_server, "engine", ASK, input=wanted))["approval"]
    given = {"approvalId": approval["id"], "digest": approval["digest"]}

    tokens = [*stand_ins.values(), maja]
    results = await asyncio.gather(*[ask(whole_server, t, GRANT, input=given) for t in tokens])

    kinds = sorted(result["__typename"] for result in results)
    assert kinds == ["Accepted", "Refused", "Refused", "Refused"]
    assert all("already decided" in r["message"] for r in results if "message" in r)
    assert [str(each) for each in Verification(whole_server.url).findings()] == []

    # Whoever did not decide sees nothing of it any more once the substitution has ended.
    number = 1 if results[0]["__typename"] == "Refused" else 2
    idle = tokens[number - 1]
    assert await sees(whole_server, idle, approval["id"])
    assert (await ask(whole_server, maja, END, number=number))["code"] is None
    async with asyncio.timeout(HANGS):
        while await sees(whole_server, idle, approval["id"]):
            await asyncio.sleep(0.02)


async def sees(server: WholeServer, token: str, approval: str) -> bool:
    return await ask(server, token, SEEN, id=approval) is not None
