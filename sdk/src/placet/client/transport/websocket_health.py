"""Whether WebSockets get through to the service, where plain HTTP does."""

import logging
from time import monotonic

log = logging.getLogger("placet")

LASTING_SECONDS = 10.0
FAILURES = 3
BLOCKED_SECONDS = 300.0


class WebSocketHealth:
    """Judges by what became of the connections.

    One that is refused, or lost within LASTING_SECONDS, counts against WebSockets once HTTP was
    seen to work after it: with a service that is away, neither does. After FAILURES in a row they
    are taken to be blocked, by a proxy say, and are tried again after BLOCKED_SECONDS.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._failed = False
        self._failures = 0
        self._blocked_until = 0.0

    @property
    def blocked(self) -> bool:
        """Whether it is no use to try."""
        return monotonic() < self._blocked_until

    def refused(self) -> None:
        """Take note of a connection that could not be opened."""
        self._failed = True

    def lost(self, age: float) -> None:
        """Take note of a connection that was lost after so many seconds."""
        if age < LASTING_SECONDS:
            self._failed = True
        else:
            self._failures = 0

    def http_works(self) -> None:
        """Take note that a request by HTTP was answered after what failed."""
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
