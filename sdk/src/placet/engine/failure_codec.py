"""What a workflow gets for something that could not be had: the same when it is replayed."""

import re

from placet.errors import (
    REFUSALS,
    REQUEST_ERRORS,
    Doubt,
    PlacetError,
    Refused,
    RequestError,
    StepFailed,
)

_REFUSED = re.compile(r"Refused: (?P<code>[A-Z_]+): (?P<message>.*)", re.DOTALL)
_DOUBT = "Doubt: "


def refused_text(what: str, error: Refused | RequestError) -> str:
    """Give the text to record for what the service refused."""
    message = error.message if isinstance(error, Refused) else str(error)
    return f"Refused: {error.code}: {what}: {message}"


def doubt_text(message: str) -> str:
    """Give the text to record for work of which nobody knows whether it was done."""
    return f"{_DOUBT}{message}"


def is_final(text: str) -> bool:
    """Say whether another attempt could change nothing."""
    return text.startswith(_DOUBT) or _REFUSED.match(text) is not None


def failure(key: str, text: str) -> PlacetError:
    """Give the exception for what was recorded of a failure."""
    if text.startswith(_DOUBT):
        return Doubt(text.removeprefix(_DOUBT))
    refused = _REFUSED.match(text)
    if refused is None:
        return StepFailed(key, text)
    code, message = refused["code"], refused["message"]
    if code in REQUEST_ERRORS and code not in REFUSALS:
        return REQUEST_ERRORS[code](message)
    return REFUSALS.get(code, Refused)(code, message)
