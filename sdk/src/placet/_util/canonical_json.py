"""JSON as it is stored and digested: what was shown, and what may be done."""

import hashlib
import json
from contextlib import suppress
from typing import Any

import msgspec
import rfc8785

from placet._util.sets import in_order

_encode_sorted = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
).encode


def digest(value: Any) -> str:
    """Give ``sha256:`` and the hex SHA-256 over the RFC 8785 canonical JSON of the value.

    Raises ValueError for what I-JSON can't say: a number that is not finite, or a whole number
    beyond +-(2^53 - 1).
    """
    return digest_of_json(plain(value, "the value"))


def digest_of_json(value: Any) -> str:
    """Give the same for a value that was decoded from JSON, and is plain already.

    Raises ValueError as :func:`digest` does.
    """
    return _sha256(rfc8785.dumps(value))


def digest_expecting(value: Any, expected: str) -> str:
    """Give the same as :func:`digest_of_json`, sooner if it is what is expected.

    As a rule the text that the encoder makes is the canonical one, and then its hash says so:
    no other text has it. Raises ValueError as :func:`digest` does.
    """
    with suppress(ValueError, TypeError):
        if _sha256(_encode_sorted(value).encode()) == expected:
            return expected
    return digest_of_json(value)


def _sha256(text: bytes) -> str:
    return "sha256:" + hashlib.sha256(text).hexdigest()


def plain(value: Any, what: str) -> Any:
    """Give the value as JSON would give it back: dicts, lists, strings, numbers, bools, None.

    Dataclasses, msgspec Structs, models of pydantic, datetimes, UUIDs, Decimals and enums are taken
    too, and sets, as sorted lists. A workflow then sees the same value when it runs and when it is
    replayed. ``what`` names the value in the message of the ValueError that anything else raises.
    """
    try:
        # The encoder of msgspec writes a number that is not finite as null, and so would change it.
        text = json.dumps(_builtins(value), allow_nan=False, ensure_ascii=False)
        # Half of a surrogate pair is no text, though an escape of JSON can say it.
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        msg = f"{what} is not JSON: {error}"
        raise ValueError(msg) from error
    return json.loads(text)


def _builtins(value: Any) -> Any:
    return in_order(value, msgspec.to_builtins(value, str_keys=True, enc_hook=_encode))


def _encode(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)
    if dump is None:
        msg = f"a {type(value).__name__} can't be written as JSON"
        raise TypeError(msg)
    return dump(mode="json")
