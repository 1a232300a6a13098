"""Signatures: other programs accept them, and only with a secret that is valid."""

import json
import os
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from api.channels.webhooks.signatures import new_secret, signed_headers
from tests.api.channels.receiver import verifies

ANOTHER_LIBRARY = Path(__file__).with_name("another_library")
BODY = '{"title":"Zürich → Bogotá 🛫"}'.encode()


def message(*secrets: str, at: datetime | None = None, body: bytes = BODY) -> dict[str, Any]:
    """Return the headers and body of a message."""
    headers = signed_headers("5e1f3b9a", at or datetime.now(UTC), body, secrets)
    return {"headers": headers, "body": body.decode()}


def test_a_secret_has_the_form_and_length_of_the_specification() -> None:
    secret = new_secret()
    assert secret.startswith("whsec_")
    assert 24 <= len(secret.removeprefix("whsec_")) * 3 / 4 - 1 <= 64
    assert new_secret() != secret


def test_the_example_of_the_specification_is_signed_as_it_says() -> None:
    # https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    headers = signed_headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        datetime.fromtimestamp(1614265330, UTC),
        b'{"test": 2432232314}',
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_while_a_secret_is_rotated_both_are_valid() -> None:
    old, new, other = new_secret(), new_secret(), new_secret()
    made = message(new, old)
    assert made["headers"]["webhook-signature"].count("v1,") == 2
    assert [verifies(made["headers"], BODY, each) for each in (old, new, other)] == [
        True,
        True,
        False,
    ]
    assert not verifies(made["headers"], BODY + b" ", new)


@pytest.mark.skipif(shutil.which("npm") is None and "CI" not in os.environ, reason="no Node here")
def test_another_library_accepts_them(tmp_path: Path) -> None:
    for name in ("package.json", "verify.mjs"):
        shutil.copy(ANOTHER_LIBRARY / name, tmp_path)
    subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    old, new, other = new_secret(), new_secret(), new_secret()
    made, late = message(new, old), message(new, at=datetime.now(UTC) - timedelta(hours=1))
    altered = {**made, "body": made["body"] + " "}
    messages = [
        {**made, "secret": new},
        {**made, "secret": old},
        {**made, "secret": other},
        {**altered, "secret": new},
        {**late, "secret": new},
    ]
    done = subprocess.run(
        ["node", "verify.mjs"],
        cwd=tmp_path,
        input=json.dumps(messages),
        check=True,
        capture_output=True,
        text=True,
    )
    assert json.loads(done.stdout) == [
        "valid",
        "valid",
        "No matching signature found",
        "No matching signature found",
        "Message timestamp too old",
    ]
