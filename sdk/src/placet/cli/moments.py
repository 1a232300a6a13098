"""Moments as people type them."""

import re
from datetime import UTC, datetime, timedelta

import typer

_AGO = re.compile(r"(\d+)\s*(s|min|h|d|w)", re.IGNORECASE)
_UNITS = {"s": "seconds", "min": "minutes", "h": "hours", "d": "days", "w": "weeks"}

HELP = (
    "2026-03-02, '2026-03-02 14:30', with +01:00 or Z for another zone; or 2h, 3d for so long ago"
)


def moment(text: str) -> datetime:
    """Return a moment, in the reader's zone unless it has one. Raises typer.BadParameter."""
    typed = text.strip()
    try:
        if found := _AGO.fullmatch(typed):
            past = timedelta(**{_UNITS[found[2].lower()]: int(found[1])})
            return datetime.now(UTC) - past
        if typed.lower() == "now":
            return datetime.now(UTC)
        return datetime.fromisoformat(typed).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        msg = f"{text!r} is not a moment; give one such as {HELP}"
        raise typer.BadParameter(msg) from error
