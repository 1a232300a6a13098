"""The address of the SMTP server, as it is configured."""

from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}


class SmtpServer(NamedTuple):
    """An SMTP server. ``tls`` is from the beginning, ``starttls`` after a greeting in the clear."""

    host: str
    port: int
    tls: bool = False
    starttls: bool = False
    user: str | None = None
    password: str | None = None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def smtp_server(url: str) -> SmtpServer:
    """Return the server of a URL. Raises ValueError, which never shows the password.

    The scheme says how the connection is protected: smtps, TLS from the beginning (RFC 8314);
    smtp+starttls, TLS that the server must offer (RFC 3207); smtp, none.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(_FORM) from None
    if parts.scheme not in PORTS or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(_FORM)
    if parts.path not in {"", "/"}:
        raise ValueError(_FORM)
    if (parts.username is None) != (parts.password is None):
        raise ValueError("give a user and a password, or neither: smtps://user:password@host:465")
    user = None if parts.username is None else unquote(parts.username)
    password = None if parts.password is None else unquote(parts.password)
    if user is not None and parts.scheme == "smtp" and not _on_this_machine(parts.hostname):
        raise ValueError(
            "with smtp:// the password would be sent in the clear; use smtps:// or smtp+starttls://"
        )
    return SmtpServer(
        host=parts.hostname,
        port=port or PORTS[parts.scheme],
        tls=parts.scheme == "smtps",
        starttls=parts.scheme == "smtp+starttls",
        user=user,
        password=password,
    )


_FORM = (
    "not the URL of an SMTP server; write smtps://user:password@host:465, "
    "smtp+starttls://user:password@host:587 or smtp://host:25, and special characters of user and "
    "password as %40 for @ and so on"
)


def _on_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
