"""Moments as people type them."""

import re
from datetime import UTC, datetime, timedelta

import typer

_SPAN = re.compile(r"(\d+)\s*(s|min|h|d|w)", re.IGNORECASE)
_UNITS = {"s": "seconds", "min": "minutes", "h": "hours", "d": "days", "w": "weeks"}

_DATES = "2026-03-02, '2026-03-02 14:30', with +01:00 or Z for another zone"
HELP = f"{_DATES}; or 2h, 3d for so long ago"
AHEAD_HELP = f"{_DATES}; or 2h, 3d for so long from now"


def moment(text: str, *, ahead: bool = False) -> datetime:
    """Return a moment, in the reader's zone unless it has one. Raises typer.BadParameter.

    A span, such as 2h, is so long ago; if ``ahead``, so long from now.
    """
    typed = text.strip()
    try:
        if found := _SPAN.fullmatch(typed):
            span = timedelta(**{_UNITS[found[2].lower()]: int(found[1])})
            return datetime.now(UTC) + (span if ahead else -span)
        if typed.lower() == "now":
            return datetime.now(UTC)
        return datetime.fromisoformat(typed).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        msg = f"{text!r} is not a moment; give one such as {AHEAD_HELP if ahead else HELP}"
        raise typer.BadParameter(msg) from error
