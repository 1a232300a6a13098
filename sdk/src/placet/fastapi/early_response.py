"""Responses with which a guarded endpoint answers instead of acting."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse, Response

IDEMPOTENCY = "https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/"
"""The draft asks responses about the key to link to it."""


class EarlyResponse(Exception):  # noqa: N818 - it is not an error
    """Leaves the endpoint. The middleware sends ``response``."""

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
) -> EarlyResponse:
    """Return an RFC 9457 problem. ``code`` is for programs, ``detail`` for people."""
    body = {"type": kind, "title": status.phrase, "status": status, "detail": detail, "code": code}
    return EarlyResponse(
        JSONResponse(
            body | more,
            status,
            headers=dict(headers or {}),
            media_type="application/problem+json",
        )
    )
