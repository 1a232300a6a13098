"""What people allow in advance: the list, one standing grant with its uses, and its end."""

from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID, uuid4

from starlette.responses import Response

from api.console.forms import query
from api.console.responses import see_other
from api.console.views.standing_grants import STATUSES, UsedFor, shown_grant, used_for
from api.console.visit import Visit, not_allowed, not_found
from api.graphql.caller import trace_of
from application.command_handling.outcomes import Accepted, Refused
from application.command_handling.requests import Request
from domain import authorization
from domain.execution.state import Execution
from domain.identifiers import parse_uuid
from domain.refusals import RefusalCode
from domain.standing_grants.commands import RevokeStandingGrant, StandingGrantCommand
from domain.standing_grants.decide import sees
from domain.standing_grants.state import StandingGrant, StandingGrantStatus
from projections.standing_grants.query import StandingGrantFilter

PAGE = 50
USES = 50
PATH = "/standing-grants"
STATUS_CODES = {
    RefusalCode.FORBIDDEN: 403,
    RefusalCode.INVALID_INPUT: 422,
    RefusalCode.NOT_FOUND: 404,
    RefusalCode.OVERLOADED: 503,
    RefusalCode.OUTCOME_UNKNOWN: 503,
}


class Search(NamedTuple):
    """What the address asks for."""

    status: StandingGrantStatus | None
    workflow: str | None
    by: str | None

    def address(self, **more: str | None) -> str:
        """Return the address of a page with this search."""
        status = None if self.status is None else self.status.value
        return PATH + query(status=status, workflow=self.workflow, by=self.by, **more)

    def with_status(self, status: str) -> str:
        """Return the address of the same search with another status, "" for all."""
        return self._replace(status=StandingGrantStatus(status) if status else None).address()


async def show(visit: Visit) -> Response:
    """Show a page of standing grants, the latest first."""
    _check_reader(visit)
    search, model, now = _search(visit), visit.services.standing_grants, datetime.now(UTC)
    wanted = StandingGrantFilter(
        now=now,
        statuses=None if search.status is None else (search.status,),
        by=search.by,
        workflow=search.workflow,
    )
    page = await model.page(
        visit.principal,
        wanted,
        first=PAGE,
        after=visit.query.word("after"),
        at_least=visit.services.tail.position,
    )
    return visit.page(
        "standing_grants.html",
        rows=[shown_grant(row, visit.principal, now, visit.text) for row in page.rows],
        search=search,
        statuses={status.value: word for status, word in STATUSES.items()},
        of_everybody=authorization.sees_standing_grants(visit.principal),
        may_allow=authorization.may_decide(visit.principal),
        next_page=search.address(after=page.cursors[-1]) if page.has_next else None,
        first_page=search.address() if page.has_previous else None,
    )


async def show_one(visit: Visit) -> Response:
    """Show a standing grant with what it was used for."""
    return await _page(visit, await _found(visit))


async def revoke(visit: Visit) -> Response:
    """Revoke a standing grant. Who may not see it may not revoke it on this page either."""
    grant = await _found(visit)
    reason = visit.form.value("reason").strip()
    command = RevokeStandingGrant(by=visit.principal, execution_id=grant.id, reason=reason)
    outcome = await send(visit, command)
    if isinstance(outcome, Refused):
        status = STATUS_CODES.get(outcome.code, 409)
        refusal = (
            visit.text("Say why.")
            if outcome.code is RefusalCode.INVALID_INPUT and not reason
            else outcome.message
        )
        return await _page(visit, grant, refusal=refusal, status=status)
    return see_other(f"{PATH}/{grant.id}")


async def send(visit: Visit, command: StandingGrantCommand) -> Accepted | Refused:
    """Send a command. A fault is raised."""
    trace = trace_of(visit.request.headers)
    request = Request(command=command, command_id=uuid4(), trace=trace)
    [outcome] = await visit.services.writer.handle([request], chained=False)
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


async def _page(
    visit: Visit, grant: StandingGrant, *, refusal: str = "", status: int = 200
) -> Response:
    uses = grant.uses_that_count()[::-1]
    return visit.page(
        "standing_grant.html",
        status=status,
        grant=shown_grant(grant, visit.principal, datetime.now(UTC), visit.text),
        used=await _used(visit, grant),
        more=max(len(uses) - USES, 0),
        refusal=refusal,
    )


async def _used(visit: Visit, grant: StandingGrant) -> list[UsedFor]:
    """Return the latest uses, as far as the viewer may see their approvals."""
    uses = grant.uses_that_count()[::-1][:USES]
    ids = {use.approval_id.execution_id for use in uses}
    found = await visit.services.reader.aggregates(ids)
    executions: dict[UUID, Execution] = {e.id: e for e in found if isinstance(e, Execution)}
    shown = []
    for use in uses:
        execution = executions.get(use.approval_id.execution_id)
        approval = None if execution is None else execution.approvals.get(use.approval_id.ordinal)
        if execution is None or approval is None:
            continue
        if authorization.sees_approval(visit.principal, execution, approval):
            shown.append(used_for(execution, approval, use.at))
    return shown


async def _found(visit: Visit) -> StandingGrant:
    id_ = parse_uuid(visit.request.path_params["id"])
    grant = None if id_ is None else await visit.services.reader.standing_grant(id_)
    if grant is None or not sees(visit.principal, grant):
        raise not_found(visit)
    return grant


def _check_reader(visit: Visit) -> None:
    principal = visit.principal
    if not (authorization.sees_standing_grants(principal) or authorization.may_decide(principal)):
        raise not_allowed(visit)


def _search(visit: Visit) -> Search:
    given = visit.query
    status = given.word("status")
    return Search(
        status=StandingGrantStatus(status) if status in set(StandingGrantStatus) else None,
        workflow=given.word("workflow"),
        by=given.word("by"),
    )
