"""Takes secrets out of texts that go into the log or into the table of the outbox.

Errors of libraries name the URL of a request. In it can be a password (RFC 3986, section 3.2.1), a
token in the query, or the ticket of a socket. What is left says which host and path it was.
"""

import re

_HIDDEN = "***"
_USER = re.compile(r"(?<=://)[^\s/?#'\"<>]*@")
_QUERY = re.compile(r"(\w://[^\s?#'\"<>]*[?#])[^\s'\"<>]*")


def without_secrets(text: str) -> str:
    """Return the text without the user and password, the query and the fragment of URLs in it."""
    if "://" not in text:
        return text
    return _QUERY.sub(rf"\1{_HIDDEN}", _USER.sub(f"{_HIDDEN}@", text))
