"""The database's time between two looks at it: what it certainly has reached."""

from datetime import UTC, datetime, timedelta
from time import monotonic

FRESH_SECONDS = 10.0
"""So long a look at the database's clock is good for."""
DRIFT = 0.0005
"""How much faster this process's clock may run than the database's; NTP slews by as much."""


class DatabaseTime:
    """A lower bound of the database's time, from the answers that it gave.

    What the database said it was when it answered is past when the answer is read, so the time
    since then is to be added, and nothing more. The bound is never ahead of the database's clock,
    and behind it by about a round trip.
    """

    def __init__(self) -> None:
        self._said: datetime | None = None
        self._heard = 0.0

    def hear(self, said: datetime) -> None:
        """Take what the database's clock showed before now. A tighter bound is kept."""
        bound = self.now()
        if bound is None or said > bound:
            self._said, self._heard = said.astimezone(UTC), monotonic()

    def forget(self) -> None:
        """Know nothing: it may be another database's clock from now on."""
        self._said = None

    def now(self) -> datetime | None:
        """Give the bound in UTC, None if the last look is too long ago."""
        since = monotonic() - self._heard
        if self._said is None or since > FRESH_SECONDS:
            return None
        return self._said + timedelta(seconds=since * (1 - DRIFT))
