"""Guarded endpoints of FastAPI and Starlette, before a service with people who decide."""

import asyncio
from decimal import Decimal
from typing import Annotated
from uuid import uuid4

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from pydantic import BaseModel
from starlette.background import BackgroundTask
from starlette.responses import PlainTextResponse, Response

from placet import Client, ExecutionState, Gate
from placet.fastapi import ApprovalMiddleware, Guard, Guarded
from tests.integrations.fastapi_shop import (
    FINANCE,
    Bank,
    Payment,
    Shop,
    acting,
    application,
    serving,
)
from tests.sdk.people import People


async def test_a_request_waits_and_then_acts_once(shop: Shop) -> None:
    first = await shop.pay()
    approval = await shop.asked(first)
    assert first.headers["location"] == "http://bank/accounts/7/payments"
    assert first.headers["retry-after"] == "5"
    assert approval.workflow == "POST /accounts/{account}/payments"
    assert approval.title == "Pay 120 to Ada"
    assert approval.payload == {"account": "7", "payment": {"euros": 120, "to": "Ada"}}
    assert (await shop.pay()).json()["approval"] == approval.id
    assert shop.bank.payments == []

    await (await shop.people.get("approver-a")).grant(approval)
    done, again = await shop.pay(), await shop.pay()
    assert (done.status_code, done.json()["number"]) == (201, 1)
    assert (again.status_code, again.content) == (201, done.content)
    assert again.headers["content-type"] == done.headers["content-type"]
    assert len(shop.bank.payments) == 1
    assert await shop.state(approval) is ExecutionState.COMPLETED


async def test_a_rejection_is_403_with_its_reason(shop: Shop) -> None:
    approval = await shop.asked(await shop.pay())
    await (await shop.people.get("approver-b")).reject(approval, comment="too dear")
    response = await shop.pay()
    assert response.status_code == 403
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json() == {
        "type": "about:blank",
        "title": "Forbidden",
        "status": 403,
        "detail": "rejected: too dear",
        "code": "APPROVAL_REJECTED",
        "approval": approval.id,
    }
    assert await shop.state(approval) is ExecutionState.FAILED


async def test_a_request_whose_grant_was_revoked_is_403(shop: Shop) -> None:
    approval = await shop.granted()
    await (await shop.people.get("operator")).revoke(approval, reason="not wanted")
    response = await shop.pay()
    assert (response.status_code, response.json()["code"]) == (403, "APPROVAL_REVOKED")
    assert shop.bank.payments == []


async def test_a_request_that_is_cancelled_after_it_was_granted_is_403(shop: Shop) -> None:
    approval = await shop.granted()
    await (await shop.people.get("operator")).cancel(approval.execution_id, "not wanted")
    for _ in range(2):
        response = await shop.pay()
        assert (response.status_code, response.json()["code"]) == (403, "EXECUTION_ENDED")
        assert "before it was carried out" in response.json()["detail"]
    assert shop.bank.payments == []


async def test_another_body_under_the_same_key_is_422(shop: Shop) -> None:
    await shop.granted()
    response = await shop.pay(1_000_000)
    assert (response.status_code, response.json()["code"]) == (422, "KEY_REUSED")
    assert (await shop.pay()).status_code == 201
    assert (await shop.pay(1_000_000)).status_code == 422
    assert [payment.euros for payment in shop.bank.payments] == [120]


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        ([], "IDEMPOTENCY_KEY_MISSING"),
        (['"a"', '"b"'], "IDEMPOTENCY_KEY_INVALID"),
        (['"'], "IDEMPOTENCY_KEY_INVALID"),
        (['""'], "IDEMPOTENCY_KEY_INVALID"),
        (["a b"], "IDEMPOTENCY_KEY_INVALID"),
        (["x" * 101], "IDEMPOTENCY_KEY_INVALID"),
    ],
)
async def test_without_one_key_it_is_400(shop: Shop, keys: list[str], code: str) -> None:
    response = await shop.client.post(
        "/accounts/7/payments",
        json={"euros": 1, "to": "Ada"},
        headers=[("x-user", "ada"), *(("idempotency-key", key) for key in keys)],
    )
    assert (response.status_code, response.json()["code"]) == (400, code)
    assert "idempotency-key" in response.json()["type"]


async def test_a_key_is_the_same_with_and_without_quotes(shop: Shop) -> None:
    quoted = await shop.asked(await shop.pay())
    bare = await shop.asked(await shop.pay(key=shop.key.strip('"')))
    assert bare.id == quoted.id


async def test_a_body_that_is_not_valid_asks_nobody(shop: Shop) -> None:
    response = await shop.client.post(
        "/accounts/7/payments",
        json={"euros": "many"},
        headers={"idempotency-key": shop.key, "x-user": "ada"},
    )
    assert response.status_code == 422
    assert (await shop.pay()).status_code == 202


async def test_callers_have_keys_of_their_own_and_do_not_decide(shop: Shop) -> None:
    ada = await shop.asked(await shop.pay())
    bob = await shop.asked(await shop.pay(user="bob"))
    assert ada.id != bob.id
    own = await shop.asked(await shop.pay(user="approver-a"))
    [reason] = own.viewer_may_decide.reasons
    rule = "four eyes: the execution was started on behalf of this person"
    assert reason == f"{rule}; groups held: finance, managers"


async def test_a_request_while_it_acts_is_409(shop: Shop) -> None:
    await shop.granted()
    begun, leave = asyncio.Event(), asyncio.Event()

    async def slow(_payment: Payment) -> None:
        begun.set()
        await leave.wait()

    shop.bank.does = slow
    acting = asyncio.create_task(shop.pay())
    await begun.wait()
    response = await shop.pay()
    assert (response.status_code, response.json()["code"]) == (409, "OUTSTANDING")
    leave.set()
    assert (await acting).status_code == 201
    assert (await shop.pay()).status_code == 201
    assert len(shop.bank.payments) == 1


async def test_of_many_requests_at_once_one_acts(shop: Shop) -> None:
    await shop.granted()
    responses = await asyncio.gather(*(shop.pay() for _ in range(8)))
    assert {each.status_code for each in responses} <= {201, 409}
    assert len(shop.bank.payments) == 1


async def test_an_endpoint_that_raises_is_500_and_does_not_act_again(shop: Shop) -> None:
    approval = await shop.granted()

    def closed(_payment: Payment) -> None:
        raise OSError("the vault's code is 1234")

    shop.bank.does = closed
    assert (await shop.pay()).status_code == 500
    again = await shop.pay()
    assert (again.status_code, again.json()["code"]) == (500, "FAILED")
    assert "1234" not in again.text
    assert len(shop.bank.payments) == 1
    assert await shop.state(approval) is ExecutionState.FAILED


async def test_an_endpoint_that_refuses_is_answered_the_same_again(shop: Shop) -> None:
    approval = await shop.granted()

    def broke(_payment: Payment) -> None:
        raise HTTPException(409, "no money")

    shop.bank.does = broke
    first, again = await shop.pay(), await shop.pay()
    assert (first.status_code, again.status_code) == (409, 409)
    assert again.json() == first.json() == {"detail": "no money"}
    assert await shop.state(approval) is ExecutionState.COMPLETED


async def test_a_service_that_is_away_is_503() -> None:
    async with Client("http://127.0.0.1:9", "no-token", retry_for=0.0) as away:
        app = application(Bank(), Guard(Gate(away)))
        async with serving(app) as client:
            response = await client.post(
                "/accounts/7/payments",
                json={"euros": 1, "to": "Ada"},
                headers={"idempotency-key": '"k"'},
            )
    assert (response.status_code, response.json()["code"]) == (503, "UNAVAILABLE")
    assert response.headers["retry-after"] == "5"


async def test_without_the_middleware_it_says_what_is_missing(people: People) -> None:
    app = FastAPI()
    guard = Guard(Gate(await people.get("engine")))

    @app.post("/")
    async def act(guarded: Annotated[Guarded, Depends(guard)]) -> None:
        raise NotImplementedError(guarded)

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://bank") as client:
        with pytest.raises(RuntimeError, match="ApprovalMiddleware"):
            await client.post("/")


async def test_the_header_is_in_the_description_of_the_interface(shop: Shop) -> None:
    description = (await shop.client.get("/openapi.json")).json()
    operation = description["paths"]["/accounts/{account}/payments"]["post"]
    assert "Idempotency-Key" in [each["name"] for each in operation["parameters"]]


async def test_in_starlette_it_does_the_same(people: People) -> None:
    guard = Guard(Gate(await people.get("engine")), retry_after=1)
    after: list[str] = []

    async def note(text: str) -> None:
        after.append(text)
        raise ValueError("a task that fails is no failure of what was answered")

    async def act(request: Request) -> Response:
        guarded = await guard(request)
        clearance = await guarded.cleared(await request.json(), title="Act", policy=FINANCE)
        return PlainTextResponse(
            f"did {clearance.payload}", background=BackgroundTask(note, "after")
        )

    app = acting(act, "/acts")
    headers = {"idempotency-key": str(uuid4())}
    async with serving(app) as client:
        first = await client.post("/acts", json="thät", headers=headers)
        approver = await people.get("approver-a")
        approval = await approver.approval(first.json()["approval"])
        assert approval is not None
        assert approval.workflow == "POST /acts"
        await approver.grant(approval)
        for _ in range(2):
            done = await client.post("/acts", json="thät", headers=headers)
            assert (done.status_code, done.text) == (200, "did thät")
    assert after == ["after"]


def router(guard: Guard) -> APIRouter:
    """Give a router whose endpoints are called alike, but for what is put before them."""
    made = APIRouter()

    async def act(guarded: Annotated[Guarded, Depends(guard)]) -> str:
        clearance = await guarded.cleared(7, title="Act", policy=FINANCE)
        return clearance.approval.workflow

    for path in ("", "/{account}", "/{account}/7", "/files/{file:path}"):
        made.post(path)(act)
    return made


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/payments", "/payments"),
        ("/payments/7", "/payments/{account}"),
        ("/refunds/7", "/refunds/{account}"),
        ("/refunds/refunds", "/refunds/{account}"),
        ("/refunds/7/7", "/refunds/{account}/7"),
        ("/refunds/files/a/files/b", "/refunds/files/{file}"),
        ("/v1/orgs/3/payments/7", "/v1/orgs/{org}/payments/{account}"),
        ("/v1/orgs/7/payments/7/7", "/v1/orgs/{org}/payments/{account}/7"),
        ("/v1/orgs/orgs/payments/7", "/v1/orgs/orgs/payments/{account}"),
        ("/shop/payments/7", "/shop/payments/{account}"),
    ],
)
async def test_a_request_is_named_by_its_whole_path(people: People, path: str, name: str) -> None:
    guard = Guard(Gate(await people.get("engine")))
    nested, shop, app = APIRouter(), FastAPI(), FastAPI()
    nested.include_router(router(guard), prefix="/orgs/{org}/payments")
    shop.include_router(router(guard), prefix="/payments")
    # Needed once; a mounted application that has it, too, does no harm.
    shop.add_middleware(ApprovalMiddleware)
    app.add_middleware(ApprovalMiddleware)
    app.include_router(router(guard), prefix="/payments")
    app.include_router(router(guard), prefix="/refunds")
    app.include_router(nested, prefix="/v1")
    app.mount("/shop", shop)
    async with serving(app) as client:
        asked = await client.post(path, headers={"idempotency-key": str(uuid4())})
    approval = await (await people.get("approver-a")).approval(asked.json()["approval"])
    assert approval is not None
    assert approval.workflow == f"POST {name}"


async def test_a_key_that_was_used_at_one_prefix_is_new_at_another(people: People) -> None:
    guard = Guard(Gate(await people.get("engine")))
    app = FastAPI()
    app.add_middleware(ApprovalMiddleware)
    app.include_router(router(guard), prefix="/payments")
    app.include_router(router(guard), prefix="/refunds")
    headers = {"idempotency-key": str(uuid4())}
    async with serving(app) as client:
        paid, refunded = [
            (await client.post(path, headers=headers)).json()["approval"]
            for path in ("/payments/7", "/refunds/7")
        ]
    assert paid != refunded


async def test_an_endpoint_that_can_not_await_does_not_act(people: People) -> None:
    guard, acted = Guard(Gate(await people.get("engine"))), False
    app = FastAPI()
    app.add_middleware(ApprovalMiddleware)

    @app.post("/")
    def act(guarded: Annotated[Guarded, Depends(guard)]) -> None:
        nonlocal acted
        guarded.cleared(1, title="Act", policy=FINANCE)  # type: ignore[unused-coroutine]
        acted = True

    headers = {"idempotency-key": str(uuid4())}
    async with serving(app) as client:
        assert (await client.post("/", headers=headers)).status_code == 500
    assert not acted
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
        with pytest.raises(RuntimeError, match="make the endpoint async def"):
            await client.post("http://bank/", headers=headers)


@pytest.mark.parametrize(("status", "answered"), [(201, 500), (307, 500), (404, 404)])
async def test_an_endpoint_that_was_never_cleared_does_not_succeed(
    people: People, status: int, answered: int
) -> None:
    guard = Guard(Gate(await people.get("engine")))
    app = FastAPI()
    app.add_middleware(ApprovalMiddleware)

    @app.post("/")
    async def act(guarded: Annotated[Guarded, Depends(guard)]) -> Response:
        # What an endpoint that forgets to await leaves behind, without Python's own warning.
        guarded.cleared(1, title="Act", policy=FINANCE).close()
        return Response("done", status)

    headers = {"idempotency-key": str(uuid4())}
    async with serving(app) as client:
        response = await client.post("/", headers=headers)
    assert response.status_code == answered


async def test_what_was_never_cleared_is_logged(people: People) -> None:
    guard = Guard(Gate(await people.get("engine")))

    async def act(request: Request) -> Response:
        await guard(request)
        return PlainTextResponse("done")

    app = acting(act)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
        with pytest.raises(RuntimeError, match="answered 200 without being cleared"):
            await client.post("http://bank/", headers={"idempotency-key": str(uuid4())})


async def test_people_see_the_number_that_the_endpoint_holds(people: People) -> None:
    guard = Guard(Gate(await people.get("engine")))
    euros = Decimal("123456789012.123456789")

    class Transfer(BaseModel):
        euros: Decimal

    async def act(request: Request) -> Response:
        payload = {"bare": euros, "model": Transfer(euros=euros)}
        await (await guard(request)).cleared(payload, title="Act", policy=FINANCE)
        raise NotImplementedError

    app = acting(act)
    async with serving(app) as client:
        asked = await client.post("/", headers={"idempotency-key": str(uuid4())})
    approval = await (await people.get("approver-a")).approval(asked.json()["approval"])
    assert approval is not None
    assert approval.payload == {"bare": str(euros), "model": {"euros": str(euros)}}
