"""Web push: the browsers in which the viewer is told, and the script that shows messages there."""

import json
from importlib.resources import files
from typing import NamedTuple
from urllib.parse import urlencode

from starlette.responses import Response

from api.channels.web_push.subscriptions import (
    MOST,
    BrowserKeys,
    PushSubscription,
    PushSubscriptions,
)
from api.channels.web_push.vapid import application_server_key
from api.console.catalogue import LANGUAGES, N_, chosen_language, translations_of
from api.console.responses import see_other
from api.console.visit import Visit, not_allowed, not_found
from application.notifications.message import ASKS, MessageKind
from domain.values import Role

PATH = "/notifications/push"
# At the root, because a service worker has no power over what is above it.
WORKER = "/push-worker.js"
OTHER = "OTHER"

_TEXTS: dict[str, str] = {
    **dict.fromkeys(map(str, ASKS), N_("A decision waits for you")),
    MessageKind.REMINDER.value: N_("A decision still waits for you"),
    MessageKind.TOO_FEW_PEOPLE.value: N_("Too few people can decide something"),
    MessageKind.CHANGES_REQUESTED.value: N_("Somebody asks you for changes"),
    MessageKind.COMMENTED.value: N_("There is a new comment"),
    MessageKind.RESOLVED.value: N_("Something was decided or has ended"),
    MessageKind.REVOKED.value: N_("A grant was taken back"),
    MessageKind.DIGEST.value: N_("There is news of approvals"),
    OTHER: N_("Something happened in Placet"),
}
_SCRIPT = files("api.console").joinpath("static", "push-worker.js").read_text(encoding="utf-8")
# The words that browsers use of themselves, the more special first.
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


class Row(NamedTuple):
    """A browser as the page shows it."""

    browser: PushSubscription
    name: str


async def show(visit: Visit) -> Response:
    """Show in which browsers the viewer is told, with the button that adds this one."""
    _check(visit)
    return await _page(visit)


async def allow(visit: Visit) -> Response:
    """Add a browser. The same one again stays one."""
    push = _needed(visit)
    form = visit.form
    try:
        keys = BrowserKeys.parse(form.value("endpoint"), form.value("p256dh"), form.value("auth"))
    except ValueError as error:
        refusal = visit.text("This browser can't notify you: %(why)s.", why=str(error))
        return await _page(visit, refusal, 422)
    agent = visit.request.headers.get("user-agent", "")
    if not await push.add(visit.principal.id, keys, agent):
        refusal = visit.text("You are notified in %(most)s browsers. Remove one first.", most=MOST)
        return await _page(visit, refusal, 409)
    return see_other(PATH)


async def remove(visit: Visit) -> Response:
    """Remove a browser. Again, it changes nothing."""
    push, wanted = _needed(visit), visit.form.value("id")
    # The database takes no text with a character of the code 0.
    if wanted in {browser.id for browser in await push.of(visit.principal.id)}:
        await push.remove(visit.principal.id, wanted)
    return see_other(PATH)


async def worker(visit: Visit) -> Response:
    """Return the script that shows messages, with its texts in the language of the address."""
    language = visit.query.value("language")
    translated = translations_of(language if language in LANGUAGES else chosen_language(None, None))
    texts = {kind: translated.gettext(text) for kind, text in _TEXTS.items()}
    content = f"const TEXTS = {json.dumps(texts)};\n{_SCRIPT}"
    return Response(content, media_type="text/javascript", headers={"cache-control": "no-cache"})


async def _page(visit: Visit, refusal: str = "", status: int = 200) -> Response:
    push = visit.site.push
    browsers = [] if push is None else await push.of(visit.principal.id)
    return visit.page(
        "push.html",
        status=status,
        server_key=None if push is None else application_server_key(await push.secret()),
        worker=f"{WORKER}?{urlencode({'language': visit.language})}",
        rows=[Row(browser, _name(visit, browser.user_agent)) for browser in browsers],
        refusal=refusal,
    )


def _name(visit: Visit, agent: str) -> str:
    """Return what people call a browser."""
    browser = next((name for word, name in _BROWSERS if word in agent), None)
    system = next((name for word, name in _SYSTEMS if word in agent), None)
    if browser is None or system is None:
        return browser or system or visit.text("A browser")
    return visit.text("%(browser)s on %(system)s", browser=browser, system=system)


def _needed(visit: Visit) -> PushSubscriptions:
    _check(visit)
    if visit.site.push is None:
        raise not_found(visit)
    return visit.site.push


def _check(visit: Visit) -> None:
    if Role.ENGINE in visit.principal.roles or not visit.principal.roles:
        raise not_allowed(visit)
