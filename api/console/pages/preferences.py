"""How the viewer is told that something waits for them or happened, and what they were told."""

from starlette.responses import Response

from api.console.catalogue import N_
from api.console.forms import query
from api.console.pages.outbox import cursor_of, place_of
from api.console.responses import see_other
from api.console.views.messages import Told, told
from api.console.visit import Visit, not_allowed
from api.schema.authorized_lookups import visible_approval
from api.schema.notifications import preferences_of, set_preferences
from application.notifications.outbox_query import OutboxFilter
from application.notifications.preferences import MessageTiming, Preferences
from domain.values import Role

PATH = "/preferences"
MESSAGES = 10
"""How many messages a page has. For each the state of its approval is read."""
TIMINGS = {
    MessageTiming.AT_ONCE: N_("At once"),
    MessageTiming.DIGEST: N_("Once a day, all together"),
    MessageTiming.NEVER: N_("Never"),
}


async def show(visit: Visit) -> Response:
    """Show the preferences with the form that changes them, and the latest messages."""
    _check(visit)
    return await _page(visit, await preferences_of(visit.context), saved=visit.query.has("saved"))


async def save(visit: Visit) -> Response:
    """Replace the preferences."""
    _check(visit)
    form = visit.form
    timings = {name: form.value(f"to.{name}") for name in visit.services.notifications.channels}
    wanted = Preferences(
        channels={n: MessageTiming(how) for n, how in timings.items() if how in set(MessageTiming)},
        digest_at=form.value("digest_at").strip() or "08:00",
        quiet_from=form.word("quiet_from"),
        quiet_until=form.word("quiet_until"),
        time_zone=form.value("time_zone").strip() or "UTC",
    )
    result = await set_preferences(visit.context, wanted)
    if result.code is not None:
        return await _page(visit, wanted, refusal=result.message or "", status=422)
    return see_other(f"{PATH}?saved=yes")


async def _page(
    visit: Visit,
    preferences: Preferences,
    *,
    refusal: str = "",
    saved: bool = False,
    status: int = 200,
) -> Response:
    channels = visit.services.notifications.channels
    after = visit.query.word("after")
    messages, next_page = await _messages(visit, after)
    return visit.page(
        "preferences.html",
        status=status,
        channels=[(name, preferences.timing(name).value) for name in channels],
        timings={timing.value: word for timing, word in TIMINGS.items()},
        preferences=preferences,
        refusal=refusal,
        saved=saved,
        messages=messages,
        next_page=next_page,
        first_page=f"{PATH}#messages" if after is not None else None,
    )


async def _messages(visit: Visit, after: str | None) -> tuple[list[Told], str | None]:
    """Return a page of the messages to the viewer, and the address of the next page."""
    mine = OutboxFilter(recipient=visit.principal.id)
    outbox = visit.services.notifications.outbox
    rows, more = await outbox.page(mine, first=MESSAGES, after=place_of(after))
    titles: dict[str, str | None] = {}
    for approval_id in {str(row.approval_id) for row in rows if row.approval_id is not None}:
        found = await visible_approval(visit.context, approval_id)
        titles[approval_id] = None if found is None else found[1].title
    next_page = PATH + query(after=cursor_of(rows[-1])) + "#messages" if more else None
    return [told(row, titles) for row in rows], next_page


def _check(visit: Visit) -> None:
    if Role.ENGINE in visit.principal.roles:
        raise not_allowed(visit)
