"""What is written into the thread of a card: in a line, what happened since it was posted."""

from datetime import UTC, datetime

from api.console.catalogue import DEFAULT, locale_of
from api.console.formats import Formats, zone_of
from api.console.views.approvals import name_of
from api.slack.card_parts import due
from api.slack.rich_text import one_line, shortened
from application.event_store.chained_events import LoggedEvent
from application.event_store.reader import Reader
from application.notifications.message import Message, MessageKind
from domain.approvals.events import ApprovalChangesRequested, ApprovalCommented
from domain.approvals.state import Approval

MAX_QUOTED = 1_000

_WORDS = {
    MessageKind.OPENED: "It is your turn to decide.",
    MessageKind.STAGE_BEGAN: "It is your turn to decide.",
    MessageKind.REMINDER: "Your decision is missing.",
    MessageKind.ESCALATED: "The deadline has passed. Now you are asked to decide.",
    MessageKind.DELEGATED: "The decision was handed to you.",
    MessageKind.TOO_FEW_PEOPLE: "Fewer people can decide this than are needed.",
    MessageKind.CHANGES_REQUESTED: "Somebody asked for changes.",
    MessageKind.COMMENTED: "Somebody wrote a comment.",
    MessageKind.RESOLVED: "This is decided.",
    MessageKind.REVOKED: "The approval was taken back.",
}
_QUOTING = frozenset({MessageKind.COMMENTED, MessageKind.CHANGES_REQUESTED})


async def thread_text(reader: Reader, message: Message, approval: Approval) -> str:
    """Return the line for a message. Raises psycopg errors, PoolTimeout and DAMAGE."""
    words = _WORDS[message.kind]
    if message.kind is MessageKind.REMINDER:
        formats = Formats(locale_of(DEFAULT), zone_of(None), datetime.now(UTC))
        return f"{words} This is {near}." if (near := due(approval, formats)) else words
    if message.kind in _QUOTING:
        [event] = await reader.versions(approval.id.execution_id, [message.version])
        return _quoted(event) or words
    return words


def notice(text: str, approval: Approval) -> str:
    """Return what a notification shows of a line: what it is about, too."""
    return f"{one_line(approval.title or approval.key)} \u00b7 {text}"


def _quoted(event: LoggedEvent) -> str | None:
    """Return who wrote what, None if nothing was written."""
    match event.recorded.event:
        case ApprovalCommented(content=content):
            text = content.text
        case ApprovalChangesRequested(content=content):
            text = content.comment or ""
        case _:
            return None
    if not text:
        return None
    return f"{one_line(name_of(event.recorded.actor))}: {shortened(one_line(text), MAX_QUOTED)}"
