"""Durations as the contract has them."""

from datetime import timedelta


def iso_duration(duration: timedelta) -> str:
    """Return an ISO 8601 duration in seconds."""
    return f"PT{duration.total_seconds():f}".rstrip("0").rstrip(".") + "S"
