"""A policy asks for a login: what a decision with a token is answered, and how the next one is."""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from domain.values import Role
from tests.api.identity.issuer_files import issuer_table, write
from tests.api.whole_server import WholeServer
from tests.support.oidc_provider import SigningIssuer

START = """mutation ($input: StartExecutionInput!) {
  startExecution(input: $input) { execution { id } }
}"""
REQUEST = """mutation ($input: RequestApprovalInput!) {
  requestApproval(input: $input) {
    __typename ... on Refused { code message }
    approval { id digest document policy { acrValues maxAuthAge } }
  }
}"""
RESULT = "__typename ... on Refused { code message } approval { decisions { explanation } }"
GRANT = f"mutation ($input: DecisionInput!) {{ grantApproval(input: $input) {{ {RESULT} }} }}"
GRANTS = f"""mutation ($input: DecisionInput!) {{
  grantApprovals(inputs: [$input, $input]) {{ {RESULT} }}
}}"""
REJECT = """mutation ($input: RejectionInput!) {
  rejectApproval(input: $input) { ... on Refused { code } }
}"""
MAY = "query ($id: ID!) { approval(id: $id) { viewerMayDecide { allowed reasons } } }"


@pytest.fixture
async def server(
    log_url: str, issuers_file: Path, issuer: SigningIssuer
) -> AsyncIterator[WholeServer]:
    write(issuers_file, issuer_table(issuer.url))
    async with WholeServer.open(log_url, "production", issuers=issuers_file) as server:
        yield server


async def asked(server: WholeServer, owner: str = "engine", **policy: Any) -> Any:
    engine = await server.keys.create(owner, roles=[Role.OPERATOR, Role.ENGINE])
    started = await server.post({"query": START, "variables": {"input": {"workflow": "w"}}}, engine)
    given = {
        "executionId": started.json()["data"]["startExecution"]["execution"]["id"],
        "key": "permit",
        "title": "Pay",
        "payload": {},
        "policy": {"requirements": [{"groups": ["finance"]}], **policy},
    }
    answer = await server.post({"query": REQUEST, "variables": {"input": given}}, engine)
    return answer.json()["data"]["requestApproval"]["approval"]


def decision(approval: Any, query: str = GRANT) -> Any:
    given = {"approvalId": approval["id"], "digest": approval["digest"]}
    return {"query": query, "variables": {"input": given}}


async def test_a_decision_is_refused_until_the_login_is_what_the_policy_asks_for(
    server: WholeServer, issuer: SigningIssuer
) -> None:
    approval = await asked(server, acrValues=["phr"], maxAuthAge="PT5M")
    assert approval["policy"] == {"acrValues": ["phr"], "maxAuthAge": "PT300S"}
    assert approval["document"]["policy"]["acrValues"] == ["phr"]
    weak = issuer.token(acr="pwd", auth_time=time.time())
    may = await server.post({"query": MAY, "variables": {"id": approval["id"]}}, weak)
    assert may.json()["data"]["approval"]["viewerMayDecide"] == {
        "allowed": False,
        "reasons": [
            "the policy asks for a login with one of the strengths phr, and this one has pwd"
        ],
    }

    refused = await server.post(decision(approval), weak)
    assert refused.json()["data"]["grantApproval"]["code"] == "STEP_UP_REQUIRED"
    assert refused.status_code == 200
    assert refused.headers["www-authenticate"] == (
        'Bearer error="insufficient_user_authentication", '
        'error_description="the policy asks for another login", acr_values="phr", max_age="300"'
    )
    several = await server.post(decision(approval, GRANTS), weak)
    assert [one["code"] for one in several.json()["data"]["grantApprovals"]] == [
        "STEP_UP_REQUIRED"
    ] * 2
    assert "www-authenticate" not in several.headers
    old = issuer.token(acr="phr", auth_time=time.time() - 600)
    refused = await server.post(decision(approval), old)
    assert refused.json()["data"]["grantApproval"]["code"] == "STEP_UP_REQUIRED"

    strong = issuer.token(acr="phr", auth_time=time.time())
    granted = await server.post(decision(approval), strong)
    result = granted.json()["data"]["grantApproval"]
    assert result["__typename"] == "Accepted"
    assert "with the strength phr" in result["approval"]["decisions"][0]["explanation"]
    assert "www-authenticate" not in granted.headers


async def test_a_key_of_the_same_person_is_refused_and_what_asks_for_nothing_shows_nothing(
    server: WholeServer,
) -> None:
    approval = await asked(server, maxAuthAge="PT5M")
    key = await server.keys.create("k", owner="maja", roles=[Role.APPROVER], groups=["finance"])
    refused = await server.post(decision(approval), key)
    assert refused.json()["data"]["grantApproval"]["code"] == "STEP_UP_REQUIRED"
    assert "acr_values" not in refused.headers["www-authenticate"]


async def test_an_approval_that_asks_for_no_login_has_the_document_of_before(
    server: WholeServer, issuer: SigningIssuer
) -> None:
    approval = await asked(server)
    assert set(approval["document"]["policy"]) == {
        "requirements",
        "rejections",
        "allowInitiator",
        "onExpiry",
        "escalateTo",
    }
    granted = await server.post(decision(approval), issuer.token())
    assert granted.json()["data"]["grantApproval"]["__typename"] == "Accepted"


async def test_a_person_with_a_key_and_a_token_is_one_person(
    server: WholeServer, issuer: SigningIssuer
) -> None:
    approval = await asked(server, requirements=[{"groups": ["finance"], "count": 2}])
    key = await server.keys.create("k", owner="maja", roles=[Role.APPROVER], groups=["finance"])
    first = await server.post(decision(approval), key)
    assert first.json()["data"]["grantApproval"]["__typename"] == "Accepted"
    given = {**decision(approval)["variables"]["input"], "comment": "no"}
    again = await server.post({"query": REJECT, "variables": {"input": given}}, issuer.token())
    assert again.json()["data"]["rejectApproval"]["code"] == "ALREADY_DECIDED"
    other = await server.post(decision(approval), issuer.token(sub="noor"))
    assert len(other.json()["data"]["grantApproval"]["approval"]["decisions"]) == 2


async def test_what_somebody_asks_for_with_a_key_they_do_not_decide_with_a_token(
    server: WholeServer, issuer: SigningIssuer
) -> None:
    approval = await asked(server, "maja")
    refused = (await server.post(decision(approval), issuer.token())).json()["data"]
    assert refused["grantApproval"]["code"] == "NOT_ELIGIBLE"
    assert "four eyes" in refused["grantApproval"]["message"]
