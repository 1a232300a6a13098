"""The outbox: what people and other systems are told, and dead letters, which are sent again."""

from typing import NamedTuple

import structlog
from starlette.responses import Response

from api.console.catalogue import N_
from api.console.forms import query
from api.console.responses import see_other
from api.console.visit import Visit, not_allowed
from application.notifications.message import MessageStatus
from application.notifications.outbox_query import OutboxFilter, OutboxRow, Place
from domain import authorization
from domain.identifiers import parse_uuid

_log = structlog.get_logger(__name__)

PATH = "/operations/messages"
PAGE = 50
STATUSES = {
    MessageStatus.DEAD: N_("Dead letters"),
    MessageStatus.WAITING: N_("Waiting"),
    MessageStatus.SENT: N_("Sent"),
    MessageStatus.SKIPPED: N_("Skipped"),
}


class Search(NamedTuple):
    """What the address asks for."""

    status: MessageStatus
    channel: str | None

    def address(self, **more: str | None) -> str:
        """Return the address of a page with this search."""
        return PATH + query(status=self.status.value, channel=self.channel, **more)


async def show(visit: Visit) -> Response:
    """Show a page of messages, the newest first; dead letters if nothing else is asked for."""
    _check(visit)
    given, outbox = visit.query, visit.services.notifications.outbox
    status = given.value("status")
    known = status in set(MessageStatus)
    search = Search(MessageStatus(status) if known else MessageStatus.DEAD, given.word("channel"))
    wanted = OutboxFilter(status=[search.status], channel=search.channel)
    start = place_of(given.word("after"))
    rows, more = await outbox.page(wanted, first=PAGE, after=start)
    dead = await outbox.count(OutboxFilter(status=[MessageStatus.DEAD]))
    return visit.page(
        "outbox.html",
        rows=rows,
        search=search,
        here=search.address(),
        statuses={
            one.value: (word, Search(one, search.channel).address())
            for one, word in STATUSES.items()
        },
        channels=sorted({row.channel for row in rows}),
        dead=dead,
        next_page=search.address(after=cursor_of(rows[-1])) if more else None,
        first_page=search.address() if start is not None else None,
    )


async def resend(visit: Visit) -> Response:
    """Send one dead letter again, or all of a channel. What is none stays as it is."""
    _check(visit)
    outbox, id_ = visit.services.notifications.outbox, parse_uuid(visit.form.value("id"))
    channel = visit.form.word("channel")
    if id_ is not None:
        count = await outbox.resend([id_])
    else:
        count = 0 if channel is None else await outbox.resend_channel(channel.replace("\x00", ""))
    _log.info("messages_sent_again", number=count, by=visit.principal.name)
    return see_other(PATH)


def cursor_of(row: OutboxRow) -> str:
    """Return what leads to the messages after this one."""
    return f"{row.position}.{row.id}"


def place_of(cursor: str | None) -> Place | None:
    """Return the place of a cursor; the beginning for one that somebody made up."""
    position, _, text = (cursor or "").partition(".")
    id_ = parse_uuid(text)
    if id_ is None or not (position.isascii() and position.isdecimal()) or len(position) > 18:  # noqa: PLR2004
        return None
    return Place(int(position), id_)


def _check(visit: Visit) -> None:
    if not authorization.administers(visit.principal):
        raise not_allowed(visit)
