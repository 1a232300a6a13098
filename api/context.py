"""The context of a request: its principal, and the parts of the server that resolvers call."""

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
    """The parts of the server that resolvers call."""

    writer: Writer
    reader: Reader
    tail: EventTail
    leases: Leases
    dispatcher: Dispatcher
    long_polling: LongPolling
    executions: ExecutionQuery
    approvals: ApprovalQuery


@dataclass(frozen=True, slots=True)
class Context:
    """One request, or one subscription.

    ``recheck`` authenticates the token again; it returns None if the token was revoked or has
    expired. ``trace`` is the W3C traceparent. ``gone`` returns once the client has hung up; None if
    that can't be known. ``cut`` tells a subscription that is closed whether its connection broke,
    as opposed to being closed by either side; None if that can't be known.
    """

    principal: Principal
    services: Services
    recheck: Callable[[], Awaitable[Principal | None]]
    trace: str | None = None
    gone: Callable[[], Awaitable[None]] | None = None
    cut: Callable[[], Awaitable[bool]] | None = None


def context_of(info: Info) -> Context:
    """Return the context of the request that a resolver runs in."""
    context = info.context
    assert isinstance(context, Context)
    return context
