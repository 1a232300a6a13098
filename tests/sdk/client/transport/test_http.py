"""Queries and commands over HTTP: what an answer means, and what is sent again."""

import json
from typing import Any

import pytest
from aiohttp import web

from placet import Client, Refused, errors
from tests.sdk.peer import Peer

HEAD = {
    "id": "x",
    "workflow": "w",
    "state": "RUNNING",
    "version": 1,
    "fence": 0,
    "updatedAt": "2026-01-02T03:04:05Z",
    "wokenVersion": 0,
}
ACCEPTED = {
    "__typename": "Accepted",
    "position": "1",
    "repeated": False,
    "execution": HEAD,
    "approval": None,
}


def answers(peer: Peer, *responses: web.Response) -> list[dict[str, Any]]:
    """Have the peer give these responses in turn, the last one for ever; give what it is sent."""
    bodies: list[dict[str, Any]] = []

    async def post(request: web.Request) -> web.Response:
        bodies.append(json.loads(await request.read()))
        some = responses[min(len(bodies), len(responses)) - 1]
        return web.Response(status=some.status, headers=some.headers, body=some.body)

    peer.post = post
    return bodies


def data(result: Any) -> web.Response:
    return web.json_response({"data": {"result": result}})


def failure(code: str, status: int = 200) -> web.Response:
    error = {"message": f"it is {code}", "extensions": {"code": code}}
    return web.json_response({"data": None, "errors": [error]}, status=status)


@pytest.mark.parametrize("status", [200, 400, 401, 403, 413, 500, 503])
@pytest.mark.parametrize("code", ["UNAUTHENTICATED", "FORBIDDEN", "BAD_REQUEST", "INTERNAL"])
async def test_an_error_is_raised_by_its_code(
    peer: Peer, client: Client, code: str, status: int
) -> None:
    answers(peer, failure(code, status))
    with pytest.raises(errors.REQUEST_ERRORS[code], match=f"it is {code}"):
        await client.viewer()
    assert peer.posts == 1


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, errors.Unauthenticated),
        (404, errors.BadRequest),
        (413, errors.LimitExceeded),
        (500, errors.Internal),
    ],
)
async def test_what_is_no_graphql_is_judged_by_its_status(
    peer: Peer, client: Client, status: int, kind: type[errors.RequestError]
) -> None:
    answers(peer, web.Response(status=status, text="a proxy's page"))
    with pytest.raises(kind, match=f"HTTP {status}: a proxy's page"):
        await client.viewer()


async def test_what_may_succeed_later_is_sent_again(peer: Peer, client: Client) -> None:
    refused = ACCEPTED | {"__typename": "Refused", "code": "OUTCOME_UNKNOWN", "message": "lost"}
    bodies = answers(
        peer,
        failure("UNAVAILABLE", 503),
        web.Response(status=502, text="bad gateway"),
        failure("OVERLOADED"),
        data(refused),
        data(ACCEPTED),
    )
    accepted = await client.start("w", {"a": 1})
    assert accepted.execution is not None
    assert len(bodies) == 5
    assert all(body == bodies[0] for body in bodies)


async def test_a_start_without_key_has_an_id_of_its_own(peer: Peer, client: Client) -> None:
    bodies = answers(peer, data(ACCEPTED))
    await client.start("w")
    await client.start("w")
    await client.start("w", key="k")
    first, second, keyed = (body["variables"]["input"] for body in bodies)
    assert first["id"] != second["id"]
    assert keyed == {"workflow": "w", "idempotencyKey": "k"}


async def test_trying_again_ends(peer: Peer) -> None:
    answers(peer, failure("OVERLOADED"))
    async with Client(peer.url, "a-token", retry_for=0.2) as client:
        with pytest.raises(errors.Overloaded):
            await client.viewer()
    assert peer.posts > 1


async def test_a_claim_is_sent_once(peer: Peer, client: Client) -> None:
    answers(peer, failure("UNAVAILABLE"))
    with pytest.raises(errors.Unavailable):
        await client.claim("worker")
    assert peer.posts == 1


async def test_nobody_there_is_unavailable() -> None:
    async with Client("http://127.0.0.1:9", "a-token", retry_for=0.0) as client:
        with pytest.raises(
            errors.Unavailable, match=r"no answer from http://127\.0\.0\.1:9/graphql"
        ):
            await client.viewer()


@pytest.mark.parametrize(("code", "kind"), [*errors.REFUSALS.items(), ("SOMETHING_NEW", Refused)])
async def test_a_refusal_is_raised_by_its_code(
    peer: Peer, client: Client, code: str, kind: type[Refused]
) -> None:
    answers(peer, data({"__typename": "Refused", "code": code, "message": "no", "execution": HEAD}))
    with pytest.raises(kind) as refused:
        await client.complete("x")
    assert (refused.value.code, refused.value.message) == (code, "no")
    assert refused.value.execution is not None
    assert refused.value.execution.id == "x"


async def test_fields_of_a_later_contract_are_passed_over(peer: Peer, client: Client) -> None:
    viewer: dict[str, Any] = {
        "id": "ada",
        "name": None,
        "roles": [],
        "groups": [],
        "queues": None,
        "shoe": 42,
    }
    answers(peer, data(viewer))
    assert (await client.viewer()).id == "ada"


async def test_an_answer_that_can_not_be_read_is_an_error(peer: Peer, client: Client) -> None:
    answers(peer, data({"id": 7}))
    with pytest.raises(errors.Internal, match="can't be read"):
        await client.viewer()


async def test_a_number_that_is_not_finite_is_not_sent_as_null(client: Client) -> None:
    with pytest.raises(ValueError, match="input is not JSON"):
        await client.start("w", {"amount": float("inf")})
