"""Decodes JSON that clients send, without changing values that later checks must report."""

import json
from collections import Counter
from typing import Any, NoReturn

import msgspec

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_MAX_SHOWN = 100


class _RepeatedNameError(ValueError):
    """An object has a name twice."""


def decode_json(data: bytes, what: str) -> Any:
    """Decode JSON. Whole numbers stay exact. Raises ValueError if it can't be accepted.

    ``what`` is the subject of the error's message. A number that is too large for a double becomes
    infinity, and a lone surrogate stays. The check of the value then refuses it with its path.

    An object with a name twice is refused: readers disagree about which of the two values counts,
    so what an approver is shown could differ from what is carried out.
    """
    try:
        value = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _read(data, what)
    # What is encoded to the same bytes has no name twice. Most bodies are, and a check of all names
    # takes longer.
    if not _encodes_to(value, data):
        _read(data, what)
    return value


def _encodes_to(value: Any, data: bytes) -> bool:
    try:
        return _encode(value) == data
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError):
        return False


def _read(data: bytes, what: str) -> Any:
    try:
        return json.loads(data, parse_constant=_no_constant, object_pairs_hook=_object)
    except RecursionError as error:
        msg = f"{what} is not valid JSON: the JSON is nested too deeply"
        raise ValueError(msg) from error
    except _RepeatedNameError as error:
        msg = f"{what} has an object with the name {error} twice; send each name once"
        raise ValueError(msg) from error
    except ValueError as error:
        msg = f"{what} is not valid JSON: {error}"
        raise ValueError(msg) from error


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(members)
    if len(value) < len(members):
        [(repeated, _)] = Counter(name for name, _ in members).most_common(1)
        raise _RepeatedNameError(repr(repeated[:_MAX_SHOWN]))
    return value


def _no_constant(name: str) -> NoReturn:
    msg = f"{name} is not a JSON value"
    raise ValueError(msg)
