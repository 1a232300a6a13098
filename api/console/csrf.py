"""Forged requests: a form is taken only from a page that this console made for the same session.

Two checks, as the OWASP cheat sheet on cross-site request forgery recommends. The browser must not
say that another site sent the form, and the form must have a token that follows from the secret in
the session's cookie, which other sites can't read.
"""

import hashlib
import hmac
from urllib.parse import urlsplit

from starlette.datastructures import Headers

FIELD = "csrf"
_PURPOSE = b"placet console csrf v1"


def token_of(session_token: str) -> str:
    """Return the token that the forms of a session have."""
    return hmac.new(session_token.encode(), _PURPOSE, hashlib.sha256).hexdigest()


def is_token_of(session_token: str, given: str | None) -> bool:
    """Whether a form's token is that of the session."""
    expected = token_of(session_token)
    return given is not None and hmac.compare_digest(expected.encode(), given.encode())


def from_another_site(headers: Headers) -> bool:
    """Whether the browser says that another site sent the request.

    Sec-Fetch-Site is of W3C Fetch Metadata, Origin of RFC 6454. A request without both is not from
    a browser of today; the form's token still has to be right.
    """
    site = headers.get("sec-fetch-site")
    if site is not None and site not in {"same-origin", "none"}:
        return True
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host")
