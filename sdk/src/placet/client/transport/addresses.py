"""The addresses of one service, of which one is in use at a time."""

import logging
from collections.abc import Sequence
from urllib.parse import urlsplit

log = logging.getLogger("placet")


class Addresses:
    """Where a service takes GraphQL. While one address gives no answer, the next one is used.

    Raises ValueError for an address that is not a URL, and if there is none.
    """

    def __init__(self, given: str | Sequence[str]) -> None:
        texts = given.replace(",", " ").split() if isinstance(given, str) else list(given)
        if not texts:
            msg = "a client needs the address of a service, such as http://127.0.0.1:8000"
            raise ValueError(msg)
        self.all = tuple(map(_graphql, texts))
        self.current = self.all[0]

    def away(self, url: str) -> None:
        """Note that an address gave no answer."""
        if url != self.current or len(self.all) == 1:
            return
        following = self.all.index(url) + 1
        self.current = self.all[following % len(self.all)]
        log.warning("no answer from %s, going on with %s", url, self.current)


def _graphql(text: str) -> str:
    base = text.strip().rstrip("/")
    parts = urlsplit(base)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        msg = f"a service's address is a URL such as http://127.0.0.1:8000, not {text!r}"
        raise ValueError(msg)
    return base if base.endswith("/graphql") else base + "/graphql"
