"""The database's time between two looks at it."""

from datetime import UTC, datetime, timedelta
from time import monotonic

FRESH_SECONDS = 15.0
"""So long a look at the database's clock is good for."""
DRIFT = 0.001
"""How far two clocks go apart at most: each may be off by 500 ppm (RFC 5905, MAXFREQ)."""


class DatabaseClock:
    """What the database's last answer said, plus the time since it came, less what may be drift.

    So it is not ahead: it is behind by about the answer's way back and, where the clocks do not
    drift, a thousandth of the time since, twice that at most. Clocks that are set, or a machine
    that slept, make it wrong by more, so whoever uses it has the database compare it.
    """

    def __init__(self) -> None:
        self._last_reading: datetime | None = None
        self._read_at = 0.0

    def set(self, reading: datetime) -> None:
        """Take what the database's clock showed just now."""
        self._last_reading, self._read_at = reading.astimezone(UTC), monotonic()

    def forget(self) -> None:
        """Know nothing: it may be another database's clock from now on."""
        self._last_reading = None

    def now(self) -> datetime | None:
        """Give the time in UTC, None if the last look is too long ago."""
        since = monotonic() - self._read_at
        if self._last_reading is None or since > FRESH_SECONDS:
            return None
        return self._last_reading + timedelta(seconds=since * (1 - DRIFT))
