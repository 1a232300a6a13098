"""The directory: people with their groups and roles, and the groups with how many they have."""

from typing import NamedTuple

import structlog
from starlette.responses import Response

from api.console.catalogue import N_
from api.console.forms import query
from api.console.responses import see_other
from api.console.visit import Visit, not_allowed, not_found
from application.command_handling.outcomes import Refused
from domain import authorization

_log = structlog.get_logger(__name__)

PATH = "/people"
PAGE = 50
GROUPS = 500
SOURCES = {
    "API_KEY": N_("known by an API key"),
    "TOKEN": N_("known by signing in"),
    "ADMIN": N_("entered by an administrator"),
    "SCIM": N_("from the organisation (SCIM)"),
}


class Search(NamedTuple):
    """What the address asks for."""

    text: str | None
    group: str | None

    def address(self, **more: str | None) -> str:
        """Return the address of a page with this search."""
        return PATH + query(q=self.text, group=self.group, **more)


async def show(visit: Visit) -> Response:
    """Show a page of people, by id."""
    _check(visit)
    given, directory = visit.query, visit.services.directory
    search, after = Search(given.word("q"), given.word("group")), given.word("after")
    found = await directory.page(group=search.group, text=search.text, after=after, limit=PAGE + 1)
    rows = found[:PAGE]
    return visit.page(
        "people.html",
        rows=rows,
        search=search,
        sources=SOURCES,
        refusal="",
        next_page=search.address(after=rows[-1].id) if len(found) > PAGE else None,
        first_page=search.address() if after else None,
    )


async def groups(visit: Visit) -> Response:
    """Show the groups of the directory, those with the most people first."""
    _check(visit)
    found = await visit.services.directory.groups(limit=GROUPS + 1)
    rows = [(name, count, PATH + query(group=name)) for name, count in found[:GROUPS]]
    return visit.page("groups.html", rows=rows, more=len(found) > GROUPS, most=GROUPS)


async def change(visit: Visit) -> Response:
    """Deactivate or reactivate a person. Again, it changes nothing."""
    if not authorization.administers(visit.principal):
        raise not_allowed(visit)
    directory, person = visit.services.directory, visit.form.value("person")
    action = visit.request.path_params["action"]
    if action not in ("deactivate", "reactivate") or not person:
        raise not_found(visit)
    act = directory.deactivate if action == "deactivate" else directory.reactivate
    outcome = await act(visit.principal, person, visit.form.value("reason").strip())
    if isinstance(outcome, Exception):
        raise outcome
    if isinstance(outcome, Refused):
        raise not_found(visit)
    _log.info("person_changed", action=action, person=person, by=visit.principal.name)
    return see_other(PATH + query(q=person))


def _check(visit: Visit) -> None:
    if not authorization.sees_people(visit.principal):
        raise not_allowed(visit)
