"""Slack's requests over HTTP: the signature, and what is answered."""

import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from api.slack.card import GRANT, REJECT
from api.slack.http import MAX_BODY, PATH
from tests.api.slack.workspace import TWO, Workspace, connected
from tests.api.whole_server import WholeServer

SECRET = "a-signing-secret"


@pytest.fixture
async def workspace(log_url: str) -> AsyncIterator[Workspace]:
    options = {"slack_app_token": None, "slack_signing_secret": SECRET}
    async with connected(log_url, **options) as workspace:
        yield workspace


def signature(body: bytes, at: str, secret: str = SECRET) -> str:
    """Return the signature as Slack's documentation says, independently of its library."""
    basis = b"v0:" + at.encode() + b":" + body
    return "v0=" + hmac.new(secret.encode(), basis, hashlib.sha256).hexdigest()


def form(payload: Any) -> bytes:
    return urlencode({"payload": json.dumps(payload)}).encode()


async def post(workspace: Workspace, body: bytes, **headers: str | None) -> httpx.Response:
    """Post a body, signed but for the headers that are given. None leaves one out."""
    at = headers.pop("timestamp", str(int(time.time())))
    signed = headers.pop("signature", signature(body, at or ""))
    sent = {
        "content-type": "application/x-www-form-urlencoded",
        "x-slack-request-timestamp": at,
        "x-slack-signature": signed,
    }
    given = [(name.encode(), value.encode()) for name, value in sent.items() if value is not None]
    return await workspace.server.http.post(PATH, content=body, headers=given)


async def test_a_signed_click_decides_and_a_repeat_of_it_does_not(workspace: Workspace) -> None:
    approval, card = await workspace.asked(policy=TWO)
    body = form(workspace.slack.click_payload(workspace.users["ann"], card, GRANT))
    for _ in range(2):
        answer = await post(workspace, body)
        assert (answer.status_code, answer.content) == (200, b"")
    assert len((await workspace.approval(approval))["decisions"]) == 1


async def test_a_window_is_answered_in_the_response(workspace: Workspace) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 9}}}
    _, card = await workspace.asked(form=schema)
    ann = workspace.users["ann"]
    await post(workspace, form(workspace.slack.click_payload(ann, card, GRANT)))
    window = await workspace.slack.window(ann)
    wrong = {"answer-0": {"input": {"value": "10"}}}
    answer = await post(workspace, form(workspace.slack.submit_payload(window, wrong)))
    assert answer.json() == {
        "response_action": "errors",
        "errors": {"answer-0": "It must be at most 9."},
    }


async def test_what_slack_has_not_signed_just_now_is_refused(workspace: Workspace) -> None:
    approval, card = await workspace.asked()
    body = form(workspace.slack.click_payload(workspace.users["ann"], card, GRANT))
    now = int(time.time())
    old, early = str(now - 301), str(now + 301)
    refused: list[dict[str, str | None]] = [
        {"signature": None},
        {"timestamp": None},
        {"signature": ""},
        {"signature": "v0=\u00e9"},
        {"signature": signature(body, str(now), "another secret")},
        {"signature": signature(body + b"&more=1", str(now))},
        {"signature": signature(body, str(now)).removeprefix("v0=")},
        {"timestamp": old},
        {"timestamp": early},
        {"timestamp": "soon"},
        {"timestamp": "9" * 5_000, "signature": "v0=x"},
    ]
    for headers in refused:
        answer = await post(workspace, body, **headers)
        assert answer.status_code == 401, headers
    assert (await workspace.approval(approval))["status"] == "PENDING"


async def test_what_is_signed_and_no_request_of_slack_is_refused(workspace: Workspace) -> None:
    for body in (b"", b"payload", b"payload=", b"payload=[]", b"payload={", b"\xff", b"a=1&" * 50):
        assert (await post(workspace, body)).status_code in {400, 401}, body
    assert (await post(workspace, b"x" * (MAX_BODY + 1))).status_code == 413
    assert (await workspace.server.http.get(PATH)).status_code == 405
    odd_ones: list[Any] = [{}, {"type": "block_actions"}, {"type": "view_submission"}, {"type": []}]
    for odd in odd_ones:
        assert (await post(workspace, form(odd))).status_code == 200, odd


async def test_odd_payloads_of_clicks_decide_nothing(
    workspace: Workspace,
) -> None:
    approval, card = await workspace.asked()
    click = workspace.slack.click_payload(workspace.users["ann"], card, REJECT)
    [action] = click["actions"]
    values = [
        "",
        "{",
        "[]",
        '{"a":"x","d":"y"}',
        '{"a":1,"d":2}',
        '{"a":"' + "9" * 40 + '.1","d":""}',
    ]
    for value in values:
        odd = {**click, "actions": [{**action, "value": value}]}
        assert (await post(workspace, form(odd))).status_code == 200
    for odd in (
        {**click, "actions": []},
        {**click, "actions": None},
        {**click, "user": None},
        {**click, "user": {}},
        {**click, "container": None},
        {**click, "team": None, "user": {"id": workspace.users["ann"]}},
    ):
        assert (await post(workspace, form(odd))).status_code == 200
    assert (await workspace.approval(approval))["decisions"] == []


async def test_without_slack_there_is_nothing_at_its_address(log_url: str) -> None:
    async with WholeServer.open(log_url) as server:
        assert (await server.http.post(PATH)).status_code in {404, 405}
