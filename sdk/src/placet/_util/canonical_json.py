"""The digest of a JSON value: what was shown to people, and what may be done."""

import hashlib
import json
from contextlib import suppress
from typing import Any

import rfc8785

from placet._util.serde import plain

_encode_sorted = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
).encode


def digest(value: Any) -> str:
    """Return ``sha256:`` and the hex SHA-256 of the RFC 8785 canonical JSON of the value.

    Raises ValueError for what I-JSON can't express: a number that is not finite, or an integer
    beyond +-(2^53 - 1).
    """
    return digest_of_json(plain(value, "the value"))


def digest_of_json(value: Any) -> str:
    """Return the same for a value that was decoded from JSON and so is plain already.

    Raises ValueError as :func:`digest` does.
    """
    return _sha256(rfc8785.dumps(value))


def digest_expecting(value: Any, expected: str) -> str:
    """Return the same as :func:`digest_of_json`, sooner if it is what is expected.

    As a rule the text that the encoder makes is the canonical one, and then its hash says so:
    no other text has it. Raises ValueError as :func:`digest` does.
    """
    with suppress(ValueError, TypeError):
        if _sha256(_encode_sorted(value).encode()) == expected:
            return expected
    return digest_of_json(value)


def _sha256(text: bytes) -> str:
    return "sha256:" + hashlib.sha256(text).hexdigest()
