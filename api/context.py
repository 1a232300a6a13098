"""What a resolver is given: who asks, and what it can ask."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from strawberry.types import Info

from application.assignments import Assignments
from application.leases import Leases
from application.reader import Reader
from application.tail import Tail
from application.writer import Writer
from domain.values import Principal
from projections.approvals import Approvals
from projections.executions import Executions


@dataclass(frozen=True, slots=True)
class Services:
    """What the server consists of, as far as resolvers are concerned."""

    writer: Writer
    reader: Reader
    tail: Tail
    leases: Leases
    assignments: Assignments
    executions: Executions
    approvals: Approvals


@dataclass(frozen=True, slots=True)
class Context:
    """One request. ``trace`` is its W3C traceparent.

    ``recheck`` authenticates the token once more: None if it was revoked or ran out.
    """

    principal: Principal
    services: Services
    recheck: Callable[[], Awaitable[Principal | None]]
    trace: str | None = None


def context_of(info: Info) -> Context:
    """Give the context of the request that a resolver runs in."""
    context = info.context
    assert isinstance(context, Context)
    return context
