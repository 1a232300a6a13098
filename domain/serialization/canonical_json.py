"""Canonical JSON and digests.

The canonical form is RFC 8785 (JCS). Only I-JSON (RFC 7493) is accepted, so that every reader in
every language computes the same bytes.
"""

import hashlib
import re
from collections.abc import Mapping
from math import inf
from typing import Any

import rfc8785

MAX_SAFE_INTEGER = 2**53 - 1
MAX_DEPTH = 100
_MAX_SHOWN = 100
# RFC 7493, section 2.1: surrogates, and the noncharacters U+FDD0..U+FDEF and U+xxFFFE, U+xxFFFF.
_BARRED = re.compile(
    "[\\ud800-\\udfff\\ufdd0-\\ufdef"
    + "".join(f"{chr(plane << 16 | 0xFFFE)}{chr(plane << 16 | 0xFFFF)}" for plane in range(17))
    + "]"
)


def canonical(value: Any) -> bytes:
    """Return the RFC 8785 bytes of an I-JSON value. Check it with :func:`flaw` first."""
    return rfc8785.dumps(value)


def same(one: Any, other: Any) -> bool:
    """Whether two I-JSON values have the same canonical JSON.

    The values are compared as they are: building the JSON would cost most of the time of a repeat,
    and other commands wait meanwhile.
    """
    match one:
        case None | bool() | str():
            return one is other or (type(one) is type(other) and bool(one == other))
        case int() | float():
            # RFC 8785 writes numbers as ECMAScript does, which has only one type of number.
            return isinstance(other, int | float) and type(other) is not bool and one == other
        case dict():
            return (
                isinstance(other, dict)
                and one.keys() == other.keys()
                and all(same(member, other[name]) for name, member in one.items())
            )
        case list() | tuple():
            return (
                isinstance(other, list | tuple)
                and len(one) == len(other)
                and all(map(same, one, other))
            )
        case _:
            msg = f"{type(one).__name__} is not a JSON type"
            raise TypeError(msg)


def canonical_object(members: Mapping[str, bytes]) -> bytes:
    """Return the RFC 8785 bytes of an object whose member values are canonical already.

    The names must be ASCII. Python sorts such names by UTF-16 units, as RFC 8785, section 3.2.3,
    asks for.
    """
    inner = b",".join(
        b'"%s":%s' % (name.encode("ascii"), members[name]) for name in sorted(members)
    )
    return b"{" + inner + b"}"


def digest(data: bytes) -> str:
    """Return ``sha256:`` and the hex SHA-256 of canonical bytes."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def flaw(value: Any, path: str, depth: int = 0) -> str | None:
    """Return why and where a value is not I-JSON, or None if it is."""
    match value:
        case None | bool():
            return None
        case str():
            return text_flaw(value, path)
        case int() | float():
            return _number_flaw(value, path)
        case _ if depth >= MAX_DEPTH:
            return f"{path} is nested more than {MAX_DEPTH} levels deep"
        case dict():
            return next((f for f in _member_flaws(value, path, depth) if f), None)
        case list() | tuple():
            items = (flaw(item, f"{path}.{i}", depth + 1) for i, item in enumerate(value))
            return next((f for f in items if f), None)
        case _:
            return f"{path} is a {type(value).__name__}, which JSON does not have"


def text_flaw(value: str, path: str) -> str | None:
    """Return which code point of a text I-JSON forbids (surrogates, noncharacters), or None."""
    if value.isascii() or (barred := _BARRED.search(value)) is None:
        return None
    code_point = ord(barred.group())
    return f"{path} holds U+{code_point:04X}, which is no Unicode character"


def _number_flaw(value: float, path: str) -> str | None:
    if not -inf < value < inf:
        return f"{path} is a number that is not finite"
    # RFC 8785 writes a double without a fraction as an integer, so it has the same bound.
    if abs(value) > MAX_SAFE_INTEGER and value == int(value):
        return f"{path} is a whole number beyond +-(2^53 - 1); send it as a string"
    return None


def _member_flaws(value: dict[Any, Any], path: str, depth: int) -> Any:
    for name, member in value.items():
        if not isinstance(name, str):
            yield f"{path} has a name that is not a string"
        else:
            yield text_flaw(name, f"a name in {path}")
            yield flaw(member, f"{path}.{_shown(name)}", depth + 1)


def _shown(name: str) -> str:
    """Shorten a name, so that a message never contains a whole payload."""
    return name if len(name) <= _MAX_SHOWN else name[:_MAX_SHOWN] + "..."
