"""What an endpoint answered is recorded, and answered again to the byte."""

from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import pytest
from fastapi import Depends, FastAPI, Request
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.types import Message, Receive, Scope, Send

from placet import Gate
from placet.fastapi import ApprovalMiddleware, Guard, Guarded
from tests.integrations.fastapi_shop import FINANCE, acting, granted_by, serving
from tests.sdk.people import People


async def test_a_response_that_is_no_text_is_answered_again_to_the_byte(people: People) -> None:
    guard = Guard(Gate(await people.get("engine")))

    async def act(request: Request) -> Response:
        await (await guard(request)).cleared(1, title="Act", policy=FINANCE)
        return Response(b"\xff\xfe", media_type="application/pdf")

    app = acting(act, "/acts")
    headers = {"idempotency-key": str(uuid4())}
    async with serving(app) as client:
        first = await client.post("/acts", headers=headers)
        await granted_by(people, first)
        for _ in range(2):
            done = await client.post("/acts", headers=headers)
            assert (done.status_code, done.content) == (200, b"\xff\xfe")
            assert done.headers["content-type"] == "application/pdf"


@pytest.mark.parametrize("text", ["\uffff", "\x00", "a\ufdd0b"], ids=ascii)
async def test_a_response_with_any_text_is_answered_again(people: People, text: str) -> None:
    guard, acted = Guard(Gate(await people.get("engine"))), 0

    async def act(request: Request) -> Response:
        nonlocal acted
        await (await guard(request)).cleared(1, title="Act", policy=FINANCE)
        acted += 1
        return PlainTextResponse(text)

    headers = {"idempotency-key": str(uuid4())}
    async with serving(acting(act, "/acts")) as client:
        await granted_by(people, await client.post("/acts", headers=headers))
        for _ in range(2):
            done = await client.post("/acts", headers=headers)
            assert (done.status_code, done.text) == (200, text)
    assert acted == 1


async def test_a_repeat_of_what_was_done_says_so_if_its_response_can_not_be_recorded(
    people: People,
) -> None:
    guard, acted = Guard(Gate(await people.get("engine"))), 0

    async def act(request: Request) -> Response:
        nonlocal acted
        await (await guard(request)).cleared(1, title="Act", policy=FINANCE)
        acted += 1
        return PlainTextResponse("x" * 300_000, 201)

    headers = {"idempotency-key": str(uuid4())}
    async with serving(acting(act, "/acts")) as client:
        await granted_by(people, await client.post("/acts", headers=headers))
        done = await client.post("/acts", headers=headers)
        assert (done.status_code, len(done.content)) == (201, 300_000)
        repeats = [await client.post("/acts", headers=headers) for _ in range(2)]
    for again in repeats:
        assert (again.status_code, again.headers["content-type"]) == (
            201,
            "application/problem+json",
        )
        assert again.json() == {
            "status": 201,
            "detail": "this request was carried out; its response, with status 201, can't be"
            " recorded and was sent only once",
            "code": "RESPONSE_NOT_RECORDED",
        }
    assert acted == 1


class Template(PlainTextResponse):
    """A template of Starlette, which tells a test's client first what it shows."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if "http.response.debug" in scope["extensions"]:
            await send({"type": "http.response.debug", "info": {}})
        await super().__call__(scope, receive, send)


@pytest.mark.parametrize("extension", ["http.response.debug", "http.response.pathsend"])
@pytest.mark.parametrize("kind", ["template", "file"])
async def test_what_a_server_takes_beside_a_body_is_recorded_all_the_same(
    people: People, tmp_path: Path, kind: str, extension: str
) -> None:
    guard = Guard(Gate(await people.get("engine")))
    file = tmp_path / "receipt.txt"
    file.write_text("receipt")

    async def act(request: Request) -> Response:
        await (await guard(request)).cleared(1, title="Act", policy=FINANCE)
        return FileResponse(file) if kind == "file" else Template("receipt")

    app = acting(act, "/acts")

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        async def plainly(message: Message) -> None:
            if message["type"] != "http.response.debug":
                await send(message)

        await app({**scope, "extensions": {extension: {}}}, receive, plainly)

    headers = {"idempotency-key": str(uuid4())}
    async with serving(served) as client:
        first = await client.post("/acts", headers=headers)
        await granted_by(people, first)
        for _ in range(2):
            done = await client.post("/acts", headers=headers)
            assert (done.status_code, done.text) == (200, "receipt")


@pytest.mark.parametrize("further_in", [True, False])
async def test_a_middleware_that_packs_responses_may_be_on_either_side(
    people: People, *, further_in: bool
) -> None:
    guard, acted = Guard(Gate(await people.get("engine"))), 0
    app = FastAPI()
    order: list[Any] = [GZipMiddleware, ApprovalMiddleware]
    for each in order if further_in else reversed(order):
        app.add_middleware(each)

    @app.post("/acts")
    async def act(guarded: Annotated[Guarded, Depends(guard)]) -> str:
        nonlocal acted
        await guarded.cleared(1, title="Act", policy=FINANCE)
        acted += 1
        return "done " * 1000

    headers = {"idempotency-key": str(uuid4()), "accept-encoding": "gzip"}
    async with serving(app) as client:
        await granted_by(people, await client.post("/acts", headers=headers))
        for _ in range(2):
            done = await client.post("/acts", headers=headers)
            assert (done.status_code, done.json()) == (200, "done " * 1000)
            assert done.headers["content-encoding"] == "gzip"
    assert acted == 1
