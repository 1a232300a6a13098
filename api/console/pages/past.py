"""An execution as it was: at a version, at a moment, or two versions side by side."""

from datetime import datetime

from starlette.responses import Response

from api.console.forms import query
from api.console.pages.execution import found_execution
from api.console.responses import PageError, see_other
from api.console.views.differences import differences
from api.console.views.executions import row_of
from api.console.views.fields import fields
from api.console.views.past import value_of
from api.console.views.timeline import entries_of
from api.console.visit import Visit
from domain.execution.state import Execution


async def show(visit: Visit) -> Response:
    """Show an execution at a version. A moment leads to the version that it had then."""
    current = await found_execution(visit)
    address = f"/executions/{current.id}/at"
    given = visit.query
    if given.word("moment") is not None:
        version = await _version_at(visit, current, given.value("moment").strip())
        return see_other(address + query(version=version))
    version = _version(given.number("version"), current)
    other = given.number("with")
    reader = visit.services.reader
    then = await _at(visit, current, version)
    before = None if version == 1 else await _at(visit, current, version - 1)
    compared = None if other is None else await _at(visit, current, _version(other, current))
    [event] = await reader.history(current.id, after=version - 1, limit=1)
    first = value_of(compared) if compared is not None else value_of(before) if before else {}
    return visit.page(
        "past.html",
        own_address=address,
        row=row_of(then),
        workflow=current.workflow,
        version=version,
        latest=current.version,
        other=None if compared is None else compared.version,
        event=entries_of([event], None)[0],
        # Before the first event there was nothing, which is no part of a state.
        changed=[one for one in differences([first, value_of(then)]) if one.path],
        then=fields(value_of(then)),
        compared=None if compared is None else fields(value_of(compared)),
    )


def _version(given: int | None, current: Execution) -> int:
    return min(max(given or current.version, 1), current.version)


async def _at(visit: Visit, current: Execution, version: int) -> Execution:
    state = await visit.services.reader.past.at_version(current.id, version)
    assert state is not None, "the version is one that the execution has reached"
    return state


async def _version_at(visit: Visit, current: Execution, text: str) -> int:
    """Return the version at a moment in the reader's zone. Raises PageError."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=visit.formats.zone)
        state = await visit.services.reader.past.at_moment(current.id, moment)
    except (ValueError, OverflowError):
        state = None
    if state is None:
        raise PageError(
            404,
            visit.text("It was not there then"),
            visit.text("The execution started later, or the moment can't be read."),
        )
    return state.version
