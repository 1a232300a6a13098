"""API keys: administrators make them, give them another secret, and revoke them.

A secret is on the page that answers the form, once. Sent again, the form finds that the key is
there already, or that it was rotated meanwhile, and changes nothing.
"""

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import structlog
from starlette.responses import Response

from api.console.catalogue import N_
from api.console.forms import query
from api.console.responses import see_other
from api.console.visit import Visit, not_allowed, not_found
from application.api_keys import ApiKey, DuplicateNameError, KeyChangedError
from domain import authorization
from domain.values import Role

_log = structlog.get_logger(__name__)

PATH = "/operations/keys"
MAX_DAYS = 36_525
TYPED = ("name", "owner", "groups", "queues", "days")
OVERLAPS = {
    "0": N_("at once, because somebody else may have it"),
    "1": N_("in an hour"),
    "24": N_("in a day"),
    "168": N_("in a week"),
}
"""When the old secret ends, by hours."""


async def show(visit: Visit) -> Response:
    """List the keys, those that are valid first."""
    _check_administrator(visit)
    keys = await visit.site.keys.all()
    now = datetime.now(UTC)
    keys.sort(key=lambda key: (not _valid(key, now), key.name))
    return visit.page("keys.html", keys=keys, now=now, own=_own_key(visit))


async def new(visit: Visit) -> Response:
    """Show the form that makes a key."""
    _check_administrator(visit)
    return _new_form(visit)


async def make(visit: Visit) -> Response:
    """Make a key, and show its secret."""
    _check_administrator(visit)
    form = visit.form
    roles = [Role(name) for name in form.all("role") if name in set(Role)]
    name = form.value("name").strip()
    try:
        secret = await visit.site.keys.create(
            name,
            owner=form.word("owner"),
            roles=roles,
            groups=_names(form.value("groups")),
            queues=_names(form.value("queues")) or None,
            expires_at=_end(visit, form.value("days")),
            by=visit.principal,
        )
    except (ValueError, DuplicateNameError) as error:
        return _new_form(visit, refusal=str(error), status=422)
    _log.info("api_key_created", name=name, by=visit.principal.name)
    return visit.page("key_secret.html", name=name, secret=secret, rotated=False, until=None)


async def change(visit: Visit) -> Response:
    """Show what rotating and revoking a key would do, with the forms that do it."""
    _check_administrator(visit)
    return _change_form(visit, await _found(visit, visit.query.value("name")))


async def rotate(visit: Visit) -> Response:
    """Give a key another secret, and show it."""
    _check_administrator(visit)
    key = await _found(visit, visit.form.value("name"))
    hours = visit.form.value("overlap")
    if hours not in OVERLAPS:
        return _change_form(
            visit, key, refusal=visit.text("Choose when the old secret ends."), status=422
        )
    overlap = timedelta(hours=int(hours))
    try:
        secret = await visit.site.keys.rotate(
            key.name,
            generation=visit.form.number("generation") or 0,
            overlap=overlap,
            by=visit.principal,
        )
    except KeyChangedError:
        said = visit.text("The key has changed since you opened the page. Nothing was changed now.")
        return _change_form(visit, await _found(visit, key.name), refusal=said, status=409)
    _log.info("api_key_rotated", name=key.name, old_ends_in_hours=hours, by=visit.principal.name)
    return visit.page(
        "key_secret.html",
        name=key.name,
        secret=secret,
        rotated=True,
        until=datetime.now(UTC) + overlap if overlap else None,
    )


async def revoke(visit: Visit) -> Response:
    """Revoke a key. Again, it changes nothing."""
    _check_administrator(visit)
    key = await _found(visit, visit.form.value("name"))
    if visit.form.value("sure") != "yes":
        refusal = visit.text("Say that nobody needs it any more.")
        return _change_form(visit, key, refusal=refusal, status=422)
    if await visit.site.keys.revoke(key.name, visit.principal):
        _log.info("api_key_revoked", name=key.name, by=visit.principal.name)
    return see_other(f"{PATH}#{quote(key.name)}")


def _new_form(visit: Visit, *, refusal: str = "", status: int = 200) -> Response:
    form = visit.form
    return visit.page(
        "key_new.html",
        status=status,
        refusal=refusal,
        typed={name: form.value(name) for name in TYPED},
        chosen=form.all("role"),
        roles=list(Role),
    )


def _change_form(visit: Visit, key: ApiKey, *, refusal: str = "", status: int = 200) -> Response:
    return visit.page(
        "key_change.html",
        status=status,
        refusal=refusal,
        key=key,
        valid=_valid(key, datetime.now(UTC)),
        overlaps=OVERLAPS,
        own=_own_key(visit) == key.name,
        here=f"{PATH}/change{query(name=key.name)}",
    )


async def _found(visit: Visit, name: str) -> ApiKey:
    key = await visit.site.keys.named(name) if name.isprintable() else None
    if key is None:
        raise not_found(visit)
    return key


def _own_key(visit: Visit) -> str | None:
    """Return the name of the key that the session began with, None if it began without one."""
    made_up = visit.site.development.get(visit.principal.id) == visit.principal
    return None if made_up else visit.principal.name


def _valid(key: ApiKey, now: datetime) -> bool:
    return key.revoked_at is None and (key.expires_at is None or key.expires_at > now)


def _names(text: str) -> list[str]:
    return [name for part in text.replace("\n", ",").split(",") if (name := part.strip())]


def _end(visit: Visit, days: str) -> datetime | None:
    """Return when the key expires, None for never. Raises ValueError."""
    given = days.strip()
    if not given:
        return None
    if not (given.isascii() and given.isdecimal() and 1 <= int(given[:9]) <= MAX_DAYS):
        raise ValueError(visit.text("The days must be a whole number from 1 to 36525."))
    return datetime.now(UTC) + timedelta(days=int(given))


def _check_administrator(visit: Visit) -> None:
    if not authorization.administers(visit.principal):
        raise not_allowed(visit)
