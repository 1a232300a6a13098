"""The Idempotency-Key header (draft-ietf-httpapi-idempotency-key-header-07)."""

import re
from http import HTTPStatus

from starlette.requests import Request

from placet.fastapi.answer import IDEMPOTENCY, Answer, problem

NAME = "Idempotency-Key"
MAX_KEY = 100

# The draft asks for a String of RFC 9651. Many clients leave the quotes out, and mean the same.
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])+)"')
_BARE = re.compile(r"[!#-+\--~]+")
_ESCAPE = re.compile(r'\\(["\\])')


def idempotency_key(request: Request) -> str:
    """Give the request's key. Raises Answer 400: none, several, or not one."""
    values = request.headers.getlist(NAME)
    if not values:
        raise _refused("IDEMPOTENCY_KEY_MISSING", f"this operation needs the header {NAME}")
    if len(values) > 1:
        raise _refused("IDEMPOTENCY_KEY_INVALID", f"the header {NAME} must be there once")
    value = values[0].strip()
    if quoted := _QUOTED.fullmatch(value):
        value = _ESCAPE.sub(r"\1", quoted[1])
    elif not _BARE.fullmatch(value):
        raise _refused("IDEMPOTENCY_KEY_INVALID", f'{NAME} must be a string: "like-this"')
    if len(value) > MAX_KEY or not value.strip():
        raise _refused("IDEMPOTENCY_KEY_INVALID", f"{NAME} must have 1 to {MAX_KEY} characters")
    return value


def _refused(code: str, detail: str) -> Answer:
    return problem(HTTPStatus.BAD_REQUEST, code, detail, kind=IDEMPOTENCY)
