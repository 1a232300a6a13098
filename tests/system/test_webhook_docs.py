"""The receiver that the documentation shows accepts what is signed, and nothing else."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from api.channels.webhooks.cloud_event import trial_body
from api.channels.webhooks.sender import UnreachableError, WebhookSender
from api.channels.webhooks.signatures import new_secret, signed_headers
from api.channels.webhooks.targets import Targets
from application.webhooks.event_types import TYPES
from tests.docs_types import BLOCK
from tests.sdk.people import until

DOCS = Path(__file__).parents[2] / "docs/notifications.md"


@contextmanager
def running(receiver: str, secret: str) -> Iterator[list[str]]:
    """Run a program. What it has printed is in the list at the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", receiver],
        env={**os.environ, "PLACET_WEBHOOK_SECRET": secret},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    printed: list[str] = []
    try:
        yield printed
    finally:
        process.kill()
        printed += process.communicate()[0].splitlines()


async def test_the_receiver_of_the_documentation(port: int) -> None:
    [receiver] = [each for each in BLOCK.findall(DOCS.read_text()) if "do_POST" in each]
    secret, old, wrong = new_secret(), new_secret(), new_secret()
    webhook_id = uuid4()
    body = trial_body(webhook_id, "1", "https://placet.example")
    with running(receiver.replace("9000", str(port)), secret) as printed:
        async with WebhookSender(Targets.parse("127.0.0.1")) as sender:

            async def status(*secrets: str) -> int | None:
                headers = signed_headers(str(uuid4()), datetime.now(UTC), body, secrets)
                try:
                    return (await sender.post(f"http://127.0.0.1:{port}/", headers, body)).status
                except UnreachableError:
                    return None

            async def answered() -> int | None:
                return await status(wrong)

            assert await until(answered) == 401
            assert await status(secret) == 204
            assert await status(old, secret) == 204
    assert printed == [f"placet.webhook.test.v1 {webhook_id}"] * 2


def test_every_type_is_in_the_documentation() -> None:
    text = DOCS.read_text()
    for type_ in TYPES.values():
        short = type_.removeprefix("placet.approval")
        assert re.search(rf"`(placet\.approval)?{re.escape(short)}`", text), type_


@pytest.mark.parametrize("command", ["create", "list", "test", "rotate", "delete"])
def test_every_command_is_in_the_documentation(command: str) -> None:
    assert f"placet-server webhooks {command}" in DOCS.read_text()
