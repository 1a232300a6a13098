"""The Idempotency-Key header (draft-ietf-httpapi-idempotency-key-header-07)."""

import re
from http import HTTPStatus

from starlette.requests import Request

from placet.fastapi.early_response import IDEMPOTENCY, EarlyResponse, problem

NAME = "Idempotency-Key"
MAX_KEY = 100

# The draft asks for a String of RFC 9651. Many clients leave out the quotes.
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])+)"')
_BARE = re.compile(r"[!#-+\--~]+")
_ESCAPE = re.compile(r'\\(["\\])')


def idempotency_key(request: Request) -> str:
    """Return the request's key. Raises a 400 for none, for several, and for an invalid one."""
    values = request.headers.getlist(NAME)
    if not values:
        raise _refused("IDEMPOTENCY_KEY_MISSING", f"this operation needs the header {NAME}")
    if len(values) > 1:
        raise _refused("IDEMPOTENCY_KEY_INVALID", f"the header {NAME} must be given once")
    value = values[0].strip()
    if quoted := _QUOTED.fullmatch(value):
        value = _ESCAPE.sub(r"\1", quoted[1])
    elif not _BARE.fullmatch(value):
        raise _refused("IDEMPOTENCY_KEY_INVALID", f'{NAME} must be a string: "like-this"')
    if len(value) > MAX_KEY or not value.strip():
        raise _refused("IDEMPOTENCY_KEY_INVALID", f"{NAME} must have 1 to {MAX_KEY} characters")
    return value


def _refused(code: str, detail: str) -> EarlyResponse:
    return problem(HTTPStatus.BAD_REQUEST, code, detail, kind=IDEMPOTENCY)
