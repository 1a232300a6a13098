"""The digest of a JSON value: what was shown to people, and what may be done."""

import hashlib
from typing import Any

import rfc8785

from placet._util.serde import plain


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
    return "sha256:" + hashlib.sha256(rfc8785.dumps(value)).hexdigest()
