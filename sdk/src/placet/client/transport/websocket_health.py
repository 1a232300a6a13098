"""Whether WebSockets get through to the service, where plain HTTP does."""

import logging
from time import monotonic

log = logging.getLogger("placet")

LASTING_SECONDS = 10.0
FAILURES = 3
BLOCKED_SECONDS = 300.0


class WebSocketHealth:
    """Judges by what happened to the connections.

    A connection that is refused, or lost within LASTING_SECONDS, counts as a failure of WebSockets
    if a request by HTTP works after it. If the service is away, neither works. After FAILURES in a
    row WebSockets count as blocked, for example by a proxy, for BLOCKED_SECONDS.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._failed = False
        self._failures = 0
        self._blocked_until = 0.0

    @property
    def blocked(self) -> bool:
        """Whether it is useless to try."""
        return monotonic() < self._blocked_until

    def refused(self) -> None:
        """Note a connection that could not be opened."""
        self._failed = True

    def lost(self, age: float) -> None:
        """Note a connection that was lost after so many seconds."""
        if age < LASTING_SECONDS:
            self._failed = True
        else:
            self._failures = 0

    def http_works(self) -> None:
        """Note that a request by HTTP was answered after the last failure."""
        if not self._failed:
            return
        self._failed = False
        self._failures += 1
        if self._failures < FAILURES:
            return
        self._failures = 0
        self._blocked_until = monotonic() + BLOCKED_SECONDS
        log.warning(
            "WebSockets do not get through to %s, though HTTP does; waiting by polling instead",
            self._url,
        )
