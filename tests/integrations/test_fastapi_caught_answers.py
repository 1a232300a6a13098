"""Endpoints and middlewares that catch what is raised, and what callers send wrongly."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any
from uuid import uuid4

import httpx
import pytest
from fastapi import Depends, FastAPI, HTTPException, Request
from starlette.responses import PlainTextResponse, Response

from placet import Gate
from placet.fastapi import ApprovalMiddleware, Guard, Guarded
from tests.integrations.fastapi_shop import (
    FINANCE,
    Shop,
    acting,
    granted_by,
    serving,
)
from tests.sdk.people import People


async def caught() -> AsyncIterator[None]:
    """Do as a dependency does that undoes its work whatever is raised."""
    try:
        yield
    except Exception as error:
        raise HTTPException(500, "the database is rolled back") from error


async def wrapped() -> AsyncIterator[None]:
    try:
        yield
    except Exception as error:
        raise OSError("the database is rolled back") from error


async def catching(request: Request, following: Callable[[Request], Any]) -> Response:
    try:
        answered: Response = await following(request)
    except Exception as error:  # noqa: BLE001 - as applications do that answer all errors alike
        return PlainTextResponse(f"caught {error!r}", 500)
    return answered


def guarded_by(guard: Guard, *dependencies: Callable[..., Any]) -> FastAPI:
    app = FastAPI(dependencies=[Depends(each) for each in dependencies])

    @app.post("/acts")
    async def act(guarded: Annotated[Guarded, Depends(guard)]) -> str:
        await guarded.cleared(7, title="Act", policy=FINANCE)
        return "done"

    return app


def with_middleware(guard: Guard) -> FastAPI:
    app = guarded_by(guard)
    app.middleware("http")(catching)
    return app


def mounted(guard: Guard) -> FastAPI:
    app = FastAPI()
    app.mount("/", guarded_by(guard))
    return app


@pytest.mark.parametrize(
    "made",
    [
        with_middleware,
        mounted,
        lambda guard: guarded_by(guard, caught),
        lambda guard: guarded_by(guard, wrapped),
    ],
    ids=["middleware", "mount", "dependency", "dependency that raises"],
)
async def test_an_answer_arrives_where_an_application_catches_what_is_raised(
    people: People, made: Callable[[Guard], FastAPI]
) -> None:
    app = made(Guard(Gate(await people.get("engine"))))
    app.add_middleware(ApprovalMiddleware)
    headers = {"idempotency-key": str(uuid4())}
    async with serving(app) as client:
        missing = await client.post("/acts")
        assert (missing.status_code, missing.json()["code"]) == (400, "IDEMPOTENCY_KEY_MISSING")
        asked = await client.post("/acts", headers=headers)
        assert (asked.status_code, asked.headers["retry-after"]) == (202, "5")
        await granted_by(people, asked)
        for _ in range(2):
            done = await client.post("/acts", headers=headers)
            assert (done.status_code, done.json()) == (200, "done")


async def test_an_endpoint_that_catches_its_answer_and_goes_on_does_not_succeed(
    people: People,
) -> None:
    guard = Guard(Gate(await people.get("engine")))

    async def act(request: Request) -> Response:
        guarded = await guard(request)
        try:
            await guarded.cleared(1, title="Act", policy=FINANCE)
        except Exception:  # noqa: BLE001 - the mistake that is tested
            return PlainTextResponse("done")
        raise NotImplementedError

    app = acting(act)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
        with pytest.raises(RuntimeError, match="answered 200 without being cleared"):
            await client.post("http://bank/", headers={"idempotency-key": str(uuid4())})
    async with serving(app) as client:
        done = await client.post("/", headers={"idempotency-key": str(uuid4())})
        assert done.status_code == 500


@pytest.mark.parametrize(
    ("value", "status", "reason"),
    [
        ('"' + "x" * 300_000 + '"', 422, "the limit is 262144"),
        ('"' + "x" * 1_100_000 + '"', 422, "the limit is 262144"),
        (str(2**60), 422, "payload.value is a whole number beyond"),
        (r'"\ud800"', 422, "surrogates not allowed"),
        ("NaN", 422, "payload is not JSON"),
    ],
    ids=["large", "larger", "number", "surrogate", "not a number"],
)
async def test_what_a_client_sends_that_can_not_be_asked_is_told(
    people: People, value: str, status: int, reason: str
) -> None:
    guard = Guard(Gate(await people.get("engine")))

    async def act(request: Request) -> Response:
        payload = {"value": json.loads(await request.body())}
        await (await guard(request)).cleared(payload, title="Act", policy=FINANCE)
        raise NotImplementedError

    app = acting(act)
    headers = {"idempotency-key": str(uuid4())}
    async with serving(app) as client:
        for _ in range(2):
            answer = await client.post("/", content=value, headers=headers)
            assert answer.status_code == status
            assert reason in answer.json()["detail"]
        other = await client.post("/", content="1", headers=headers)
        if "whole number" in reason:
            assert (other.status_code, other.json()["code"]) == (422, "KEY_REUSED")
        else:
            assert other.status_code == 202


@pytest.mark.parametrize("payload", [None, object()])
async def test_a_payload_that_is_the_endpoints_fault_is_raised(
    people: People, payload: object
) -> None:
    guard = Guard(Gate(await people.get("engine")))

    async def act(request: Request) -> Response:
        await (await guard(request)).cleared(payload, title="Act", policy=FINANCE)
        raise NotImplementedError

    app = acting(act)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
        with pytest.raises(ValueError, match="payload"):
            await client.post("http://bank/", headers={"idempotency-key": str(uuid4())})


async def test_a_body_with_a_name_twice_is_refused_before_anybody_is_asked(shop: Shop) -> None:
    answer = await shop.client.post(
        "/accounts/7/payments",
        content='{"to": "Ada", "euros": 10, "euros": 10000}',
        headers={"content-type": "application/json", "idempotency-key": shop.key, "x-user": "ada"},
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "BAD_REQUEST")
    assert answer.json()["detail"] == (
        "the body has an object with the name 'euros' twice; give each name once"
    )
    # The key was not used.
    await shop.asked(await shop.pay())


async def test_a_second_approval_in_one_request_is_refused_before_anything_follows(
    people: People,
) -> None:
    guard, acted = Guard(Gate(await people.get("engine"))), False

    async def act(request: Request) -> Response:
        nonlocal acted
        guarded = await guard(request)
        await guarded.cleared("one", title="Act", policy=FINANCE)
        await (await guard(request)).cleared("two", title="Act", policy=FINANCE)
        acted = True
        return PlainTextResponse("done")

    app = acting(act)
    headers = {"idempotency-key": str(uuid4())}
    async with serving(app) as client:
        await granted_by(people, await client.post("/", headers=headers))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
        with pytest.raises(RuntimeError, match="one payload"):
            await client.post("http://bank/", headers=headers)
        again = await client.post("http://bank/", headers=headers)
    assert (again.status_code, again.json()["code"]) == (500, "FAILED")
    assert not acted
