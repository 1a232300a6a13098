"""The commands ``placet-server webhooks``: what they print, and how they fail."""

import asyncio
import json
import subprocess

from tests.api.channels.receiver import Receiver, answering
from tests.support import forked
from tests.support.forked import PLACET_SERVER


async def run(url: str, *arguments: str, allow: str = "") -> subprocess.CompletedProcess[str]:
    env = {"PATH": "", "PLACET_DATABASE_URL": url, "PLACET_WEBHOOK_ALLOW": allow}
    return await asyncio.to_thread(forked.run, PLACET_SERVER, "webhooks", *arguments, env=env)


async def printed(url: str, *arguments: str, allow: str = "") -> str:
    done = await run(url, *arguments, allow=allow)
    assert done.returncode == 0, done.stderr
    return done.stdout.rstrip("\n")


async def failed(url: str, *arguments: str, allow: str = "") -> str:
    done = await run(url, *arguments, allow=allow)
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr
    return done.stderr.rstrip("\n")


async def test_from_the_first_message_to_the_end(log_url: str) -> None:
    async with Receiver.open() as receiver:
        create = ("create", "--name=erp", f"--url={receiver.url}/placet", "--group=finance")
        assert "127.0.0.1 is a loopback address" in await failed(log_url, *create)
        allowed = "127.0.0.0/8"
        old = await printed(log_url, *create, "--include-payload", allow=allowed)
        assert old.startswith("whsec_")
        assert "named 'erp' already" in await failed(log_url, *create, allow=allowed)

        listed = json.loads(await printed(log_url, "list"))
        assert (listed["name"], listed["groups"], listed["include_payload"]) == (
            "erp",
            ["finance"],
            True,
        )
        assert "whsec_" not in json.dumps(listed)
        new = await printed(log_url, "rotate", "erp", "--overlap=1")
        assert await printed(log_url, "test", "erp", allow=allowed) == "the receiver answered 204"
        [sent] = receiver.received
        assert sent.signed_with(old)
        assert sent.signed_with(new)
        assert sent.event["type"] == "placet.webhook.test.v1"
        assert sent.event["data"] == {"webhookId": listed["id"]}
        assert sent.event["subject"] == listed["id"]
        assert sent.event["source"] == "http://127.0.0.1:8000"

        receiver.answer = answering(500)
        assert await failed(log_url, "test", "erp", allow=allowed) == (
            "placet-server: the receiver answered 500"
        )
        assert "loopback" in await failed(log_url, "test", "erp")
        assert await printed(log_url, "delete", "erp") == "erp is deleted"
    assert await failed(log_url, "rotate", "erp") == "placet-server: there is no webhook 'erp'"
    assert await printed(log_url, "list") == ""


async def test_what_is_wrong_with_the_configuration_is_named(log_url: str) -> None:
    message = await failed(log_url, "list", allow="10.0.0.0/33")
    assert message.startswith("placet-server: PLACET_WEBHOOK_ALLOW: '10.0.0.0/33' is neither")
