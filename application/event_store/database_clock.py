"""An estimate of the database's time, between two readings of its clock."""

from datetime import UTC, datetime, timedelta
from time import monotonic

FRESH_SECONDS = 15.0
"""How long a reading of the database's clock is used."""
DRIFT = 0.001
"""How fast two clocks drift apart at most: 500 ppm each (RFC 5905, MAXFREQ)."""


class DatabaseClock:
    """The last reading, plus the time since then, minus the largest possible drift.

    So the estimate is not ahead of the database. It is behind by the time that the answer took to
    arrive, and by a thousandth of the time since the reading, at most two thousandths. If a clock
    was set, or the machine was suspended, the error is larger. So the database checks each time
    that this clock gave.
    """

    def __init__(self) -> None:
        self._last_reading: datetime | None = None
        self._read_at = 0.0

    def set(self, reading: datetime) -> None:
        """Set the clock to a reading that has just arrived."""
        self._last_reading, self._read_at = reading.astimezone(UTC), monotonic()

    def forget(self) -> None:
        """Forget the reading, because the next database may be another one."""
        self._last_reading = None

    def now(self) -> datetime | None:
        """Return the time in UTC, None if the last reading is too old."""
        since = monotonic() - self._read_at
        if self._last_reading is None or since > FRESH_SECONDS:
            return None
        return self._last_reading + timedelta(seconds=since * (1 - DRIFT))
