"""Which people the directory knows could decide an approval now, for its page."""

from typing import NamedTuple

from api.console.visit import Visit
from domain import authorization
from domain.approvals.state import Approval
from domain.execution.state import Execution

MOST = 20
"""People that are named; of more, only the number is shown."""


class Could(NamedTuple):
    """Names of people whose decision would count now, and how many more there are."""

    names: list[str]
    more: int


async def who_could_decide(visit: Visit, execution: Execution, approval: Approval) -> Could | None:
    """Return them; None if the approval is resolved, or the viewer may not see people."""
    if not approval.pending or not authorization.sees_people(visit.principal):
        return None
    people = await visit.services.eligible_people.now(execution, approval, visit.formats.now)
    names = [person.name or person.id for person in people[:MOST]]
    return Could(names, max(len(people) - MOST, 0))
