"""Moments in the time zone of a reader."""

from datetime import UTC, datetime, tzinfo


def local_time(at: datetime, zone: tzinfo) -> datetime:
    """Return a moment in a zone; in UTC if Python can't represent it there.

    Deadlines that mean "never" are often at the end of the year 9999.
    """
    try:
        return at.astimezone(zone)
    except OverflowError:
        return at.astimezone(UTC)
