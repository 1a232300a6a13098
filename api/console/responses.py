"""Responses: the headers that every page has, and the errors that pages raise."""

from collections.abc import Mapping

from starlette.responses import RedirectResponse, Response

# Nothing inline, nothing from another host, no frame. Forms go to this server only.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS: Mapping[str, str] = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    # Not no-referrer: browsers then hide the origin of forms, and forged ones could not be told.
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class PageError(Exception):
    """A request that gets an error page. ``title`` says what is wrong, ``advice`` what to do."""

    def __init__(self, status: int, title: str, advice: str) -> None:
        super().__init__(title)
        self.status = status
        self.title = title
        self.advice = advice


def with_headers(response: Response) -> Response:
    """Add the headers that protect a page, and keep it out of every cache unless it says so."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("cache-control", "no-store")
    response.headers.setdefault("vary", "accept-language, cookie, hx-request")
    return response


def see_other(address: str) -> Response:
    """Lead to another page after a form, so that a reload or the back button sends nothing."""
    return RedirectResponse(address, status_code=303)


def local_address(given: str | None, default: str) -> str:
    """Return an address if it is of this server, otherwise the default.

    A browser reads two slashes, of either kind, as another host, and ignores tabs and line breaks.
    """
    if not given or not given.startswith("/") or given[1:2] in {"/", "\\"}:
        return default
    return given if given.isprintable() and given.isascii() else default
