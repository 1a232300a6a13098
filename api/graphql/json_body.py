"""JSON as clients send it: whole numbers stay exact, and what is wrong is told where it belongs."""

import json
from typing import Any, NoReturn

import msgspec

_decode = msgspec.json.Decoder().decode


def decode_json(data: bytes) -> Any:
    """Decode a JSON text. Raises ValueError if it is none.

    A number too large for a double becomes an infinity, and half a surrogate pair stays one, so
    that the rule about values can name its path.
    """
    try:
        return _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return json.loads(data, parse_constant=_no_constant)
    except RecursionError as error:
        msg = "the JSON is nested too deeply"
        raise ValueError(msg) from error


def _no_constant(name: str) -> NoReturn:
    msg = f"{name} is no JSON"
    raise ValueError(msg)
