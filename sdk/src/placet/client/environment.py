"""Which service a client talks to, and as whom, if its caller does not say."""

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from placet.client.transport.addresses import Addresses
from placet.client.transport.token_source import Token

URL = "PLACET_URL"
PUBLIC_URL = "PLACET_PUBLIC_URL"
TOKEN = "PLACET_TOKEN"  # noqa: S105 - the name of a variable
DEFAULT_URL = "http://127.0.0.1:8000"
TOKENS = Path(".placet") / "dev-tokens.json"

_LOCAL = frozenset({"127.0.0.1", "::1", "localhost"})


def addresses(given: str | Sequence[str] | None) -> Addresses:
    """Return what was given, else PLACET_URL, else the address of a development server.

    Raises ValueError for an address that is not a URL.
    """
    return Addresses(given or os.environ.get(URL, "").strip() or DEFAULT_URL)


def public_url(given: str | None, service: Addresses) -> str:
    """Return what was given, else PLACET_PUBLIC_URL, else the first address of the service.

    It has no slash at its end. Raises ValueError for an address that is not a URL.
    """
    chosen = given or os.environ.get(PUBLIC_URL, "").strip()
    url = Addresses([chosen]).current if chosen else service.all[0]
    return url.removesuffix("/graphql")


def token(given: Token | None, name: str, service: Addresses) -> Token:
    """Return what was given, else PLACET_TOKEN, else that of a development server on this machine.

    ``name``: whose token of a development server. It is read from ``.placet`` in the current
    directory. Raises ValueError if there is none.
    """
    if given is not None:
        return given
    if found := os.environ.get(TOKEN, "").strip():
        return found
    local = all(urlsplit(url).hostname in _LOCAL for url in service.all)
    if local and (kept := _development().get(name)) is not None:
        return kept
    msg = f"no token: pass token= or set {TOKEN}"
    if local:
        msg += f"; there is no development token for {name!r} in {TOKENS.absolute()}"
    raise ValueError(msg)


def _development() -> dict[str, str]:
    try:
        return msgspec.json.decode(TOKENS.read_bytes(), type=dict[str, str])
    except (OSError, msgspec.MsgspecError):
        return {}
