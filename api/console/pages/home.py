"""The address ``/``: it leads to where a person has something to do."""

from starlette.responses import Response

from api.console.responses import see_other
from api.console.visit import Visit
from domain import authorization


async def home(visit: Visit) -> Response:
    """Lead approvers to their inbox, and everybody else to the executions."""
    reads = authorization.sees_events(visit.principal)
    decides = authorization.may_decide(visit.principal)
    return see_other("/executions" if reads and not decides else "/inbox")
