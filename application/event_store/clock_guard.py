"""Finds out that the database's clock was set, before timers fire and leases end by it."""

from datetime import datetime, timedelta
from time import monotonic

TOLERANCE = timedelta(seconds=1)
SETTLES_AFTER = 10.0
"""Seconds for which a clock that was set must stay so, before it is believed."""


class ClockGuard:
    """Compares the database's clock with the monotonic clock of this process.

    A clock that is a day ahead for a second would fire all timers of the next day and end all
    leases, and that can't be undone. So a time that differs by more than ``tolerance`` from what it
    should be is not believed at first, until it has stayed so for ten seconds.
    """

    def __init__(self, tolerance: timedelta = TOLERANCE) -> None:
        self._tolerance = tolerance
        self._base: datetime | None = None
        self._base_at = 0.0
        self._jump: timedelta | None = None
        self._jumped_at = 0.0

    def forget(self) -> None:
        """Forget all readings. The next one is believed."""
        self._base = self._jump = None

    def trusts(self, reading: datetime) -> bool:
        """Whether to go by what the database's clock says now."""
        now = monotonic()
        if self._base is not None:
            jump = reading - self._expected(self._base, now)
            if abs(jump) > self._tolerance:
                if self._jump is None or abs(jump - self._jump) > self._tolerance:
                    self._jump, self._jumped_at = jump, now
                if now - self._jumped_at < SETTLES_AFTER:
                    return False
        self._base, self._base_at, self._jump = reading, now, None
        return True

    def time(self, reading: datetime) -> datetime:
        """Return the time to go by, given what the database's clock says now.

        If that is not believed, it is the earlier one of the two. So no timer fires early.
        """
        if self.trusts(reading):
            return reading
        assert self._base is not None
        return min(reading, self._expected(self._base, monotonic()))

    def _expected(self, base: datetime, now: float) -> datetime:
        return base + timedelta(seconds=now - self._base_at)
