"""Failures as text to record, and the recorded text as the same exception in every replay."""

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
    """Return the text to record for a request that the service refused."""
    message = error.message if isinstance(error, Refused) else str(error)
    return f"Refused: {error.code}: {what}: {message}"


def doubt_text(message: str) -> str:
    """Return the text to record for work that may or may not have been done."""
    return f"{_DOUBT}{message}"


def is_final(text: str) -> bool:
    """Whether another attempt would be useless."""
    return text.startswith(_DOUBT) or _REFUSED.match(text) is not None


def failure(key: str, text: str) -> PlacetError:
    """Return the exception for the recorded text of a failure."""
    if text.startswith(_DOUBT):
        return Doubt(text.removeprefix(_DOUBT))
    refused = _REFUSED.match(text)
    if refused is None:
        return StepFailed(key, text)
    code, message = refused["code"], refused["message"]
    if code in REQUEST_ERRORS and code not in REFUSALS:
        return REQUEST_ERRORS[code](message)
    return REFUSALS.get(code, Refused)(code, message)
