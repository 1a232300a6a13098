"""Saving and deleting views of the inbox and of the executions."""

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from starlette.responses import Response

from api.console.forms import Form, parse
from api.console.pages import executions, inbox
from api.console.plain_text import visible
from api.console.responses import PageError, local_address, see_other
from api.console.saved_views import MAX_NAME, MOST, SavedView
from api.console.visit import Visit, not_found

PLACES: Mapping[str, Callable[[str, Form], str | None]] = {
    "inbox": inbox.address_of,
    "executions": executions.address_of,
}
"""The lists that can be searched. A function returns the address with nothing but its filters.

It returns None for an address that is not of this list.
"""


async def save(visit: Visit) -> Response:
    """Save the list that the form names, and show it."""
    place, address = _place(visit), visit.form.value("address")
    name = visit.form.value("name").strip()
    parts = urlsplit(local_address(address, ""))
    found = PLACES[place](parts.path, parse(parts.query))
    if found is None:
        raise not_found(visit)
    if not name or len(name) > MAX_NAME or visible(name) != name or "\n" in name or "\t" in name:
        raise PageError(
            422,
            visit.text("This view needs another name"),
            visit.text(
                "A name has 1 to %(most)s characters, all of them visible, on one line.",
                most=MAX_NAME,
            ),
        )
    saved = await visit.site.views.save(visit.principal.id, place, SavedView(name, found))
    if not saved:
        raise PageError(
            422,
            visit.text("You have %(most)s views here already", most=MOST),
            visit.text("Delete one that you no longer need."),
        )
    return see_other(found)


async def delete(visit: Visit) -> Response:
    """Delete a view, and show the whole list."""
    place = _place(visit)
    await visit.site.views.delete(visit.principal.id, place, visit.form.value("name"))
    return see_other(f"/{place}")


def _place(visit: Visit) -> str:
    place = visit.form.value("place")
    if place not in PLACES:
        raise not_found(visit)
    return place
