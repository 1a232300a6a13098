"""What a resolver is given: who asks, and what it can ask."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.datastructures import Headers
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

# W3C Trace Context, section 3.2.
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


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


def trace_of(headers: Headers) -> str | None:
    """Give the traceparent of a request, None if there is none that could be passed on."""
    given = headers.get("traceparent")
    return given if given is not None and _TRACEPARENT.fullmatch(given) else None
