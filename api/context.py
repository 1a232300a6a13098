"""What a resolver is given: who asks, and what it can ask."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from strawberry.types import Info

from application.command_handling.writer import Writer
from application.event_store.reader import Reader
from application.subscriptions.event_tail import EventTail
from application.workers.dispatcher import Dispatcher
from application.workers.leases import Leases
from application.workers.long_polling import LongPolling
from domain.values import Principal
from projections.approvals.query import ApprovalQuery
from projections.executions.query import ExecutionQuery


@dataclass(frozen=True, slots=True)
class Services:
    """What the server consists of, as far as resolvers are concerned."""

    writer: Writer
    reader: Reader
    tail: EventTail
    leases: Leases
    dispatcher: Dispatcher
    polling: LongPolling
    executions: ExecutionQuery
    approvals: ApprovalQuery


@dataclass(frozen=True, slots=True)
class Context:
    """One request. ``trace`` is its W3C traceparent.

    ``gone`` comes back once the client has hung up; None: where it can't be known. ``recheck``
    authenticates the token once more: None if it was revoked or ran out. ``cut`` says of a
    subscription that is closed whether its connection broke off, rather than was ended by
    either side; None: where it can't be known.
    """

    principal: Principal
    services: Services
    recheck: Callable[[], Awaitable[Principal | None]]
    trace: str | None = None
    gone: Callable[[], Awaitable[None]] | None = None
    cut: Callable[[], Awaitable[bool]] | None = None


def context_of(info: Info) -> Context:
    """Give the context of the request that a resolver runs in."""
    context = info.context
    assert isinstance(context, Context)
    return context
