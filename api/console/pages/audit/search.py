"""What the pages for auditors have in common: who sees them, their parts, moments in addresses."""

from datetime import UTC, datetime

from api.console.catalogue import N_
from api.console.responses import PageError
from api.console.visit import Visit, not_allowed
from domain import authorization

PAGE = 50
LOG, DECISIONS, WAITING = "/audit", "/audit/decisions", "/audit/waiting"
PARTS = ((LOG, N_("Log")), (DECISIONS, N_("Decisions")), (WAITING, N_("Waiting at a moment")))


def check_viewer(visit: Visit) -> None:
    """Raise PageError unless the viewer reads everything."""
    if not authorization.sees_all(visit.principal):
        raise not_allowed(visit)


def moment(visit: Visit, name: str) -> datetime | None:
    """Return a moment of the address, in the reader's zone unless it has one. Raises PageError."""
    text = visit.query.word(name)
    if text is None:
        return None
    try:
        given = datetime.fromisoformat(text)
        if given.tzinfo is None:
            given = given.replace(tzinfo=visit.formats.zone)
        return given.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise PageError(
            400,
            visit.text("This moment can't be read"),
            visit.text("Choose a date and a time, such as 2026-03-02T14:30."),
        ) from error
