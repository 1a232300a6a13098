"""How the viewer is told that something waits for them or happened."""

from starlette.responses import Response

from api.console.catalogue import N_
from api.console.responses import see_other
from api.console.visit import Visit, not_allowed
from api.schema.notifications import preferences_of, set_preferences
from application.notifications.preferences import MessageTiming, Preferences
from domain.values import Role

PATH = "/preferences"
TIMINGS = {
    MessageTiming.AT_ONCE: N_("at once"),
    MessageTiming.DIGEST: N_("once a day, all together"),
    MessageTiming.NEVER: N_("never"),
}


async def show(visit: Visit) -> Response:
    """Show the preferences, with the form that changes them."""
    _check(visit)
    return _page(visit, await preferences_of(visit.context), saved=visit.query.has("saved"))


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
        return _page(visit, wanted, refusal=result.message or "", status=422)
    return see_other(f"{PATH}?saved=yes")


def _page(
    visit: Visit,
    preferences: Preferences,
    *,
    refusal: str = "",
    saved: bool = False,
    status: int = 200,
) -> Response:
    channels = visit.services.notifications.channels
    return visit.page(
        "preferences.html",
        status=status,
        channels=[(name, preferences.timing(name).value) for name in channels],
        timings={timing.value: word for timing, word in TIMINGS.items()},
        preferences=preferences,
        refusal=refusal,
        saved=saved,
    )


def _check(visit: Visit) -> None:
    if Role.ENGINE in visit.principal.roles:
        raise not_allowed(visit)
