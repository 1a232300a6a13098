"""What a guarded endpoint answers instead of acting."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse, Response

IDEMPOTENCY = "https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/"
"""What the draft asks an answer about the key to link to."""


class Answer(Exception):  # noqa: N818 - no error, but how an endpoint is left
    """Leaves the endpoint with a response that the middleware sends."""

    def __init__(self, response: Response) -> None:
        super().__init__(f"HTTP {response.status_code}")
        self.response = response


def problem(
    status: HTTPStatus,
    code: str,
    detail: str,
    *,
    kind: str = "about:blank",
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> Answer:
    """Give an RFC 9457 problem. ``code`` is for programs, ``detail`` for people."""
    body = {"type": kind, "title": status.phrase, "status": status, "detail": detail, "code": code}
    return Answer(
        JSONResponse(
            body | more,
            status,
            headers=dict(headers or {}),
            media_type="application/problem+json",
        )
    )
