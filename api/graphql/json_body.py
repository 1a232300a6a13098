"""Decodes JSON that clients send, without changing values that later checks must report."""

import json
from typing import Any, NoReturn

import msgspec

_decode = msgspec.json.Decoder().decode


def decode_json(data: bytes) -> Any:
    """Decode JSON. Whole numbers stay exact. Raises ValueError if it is not valid.

    A number that is too large for a double becomes infinity, and a lone surrogate stays. The check
    of the value then refuses it with its path.
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
    msg = f"{name} is not a JSON value"
    raise ValueError(msg)
