"""The context of a request: its principal, and the parts of the server that resolvers call."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from strawberry.types import Info

from api.channels.webhooks.administration import WebhookAdministration
from api.graphql.answer_budget import AnswerBudget
from api.graphql.request import NO_TRACES, Traces
from application.command_handling.writer import Writer
from application.directory import Directory
from application.eligible_people import EligiblePeople
from application.event_store.reader import Reader
from application.event_store.reading import Reading, SharedPool
from application.notifications.center import NotificationCenter
from application.subscriptions.event_tail import EventTail
from application.substitute_pages import SubstitutePages
from application.substitutes import Substitutes
from application.workers.dispatcher import Dispatcher
from application.workers.leases import Leases
from application.workers.long_polling import LongPolling
from domain.approvals.working_hours import WorkingHours
from domain.values import Principal
from projections.approvals.past_query import PastApprovalQuery
from projections.approvals.query import ApprovalQuery
from projections.decisions.query import DecisionQuery
from projections.events.query import EventSearch
from projections.executions.query import ExecutionQuery
from projections.standing_grants.query import StandingGrantQuery


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of the server that resolvers call, and the calendars by their names."""

    writer: Writer
    reader: Reader
    tail: EventTail
    leases: Leases
    dispatcher: Dispatcher
    long_polling: LongPolling
    executions: ExecutionQuery
    approvals: ApprovalQuery
    past_approvals: PastApprovalQuery
    decisions: DecisionQuery
    events: EventSearch
    standing_grants: StandingGrantQuery
    directory: Directory
    substitutes: Substitutes
    absences: SubstitutePages
    eligible_people: EligiblePeople
    webhooks: WebhookAdministration
    notifications: NotificationCenter
    calendars: Mapping[str, WorkingHours] = field(default_factory=dict)


@dataclass(slots=True)
class CommandLog:
    """What became of the commands of one request.

    ``challenge`` is what WWW-Authenticate asks for, if one was refused with STEP_UP_REQUIRED.
    """

    sent: int = 0
    challenge: str | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """One request, or one subscription.

    ``recheck`` authenticates the token again; it returns None if the token was revoked or has
    expired. ``traces`` are the W3C traceparents. ``gone`` returns once the client has hung up; None
    if that can't be known. ``cut`` tells a subscription that is closed whether its connection
    broke, as opposed to being closed by either side; None if that can't be known. ``answer`` is how
    large the answer may become, ``reading`` what was read for it.
    """

    principal: Principal
    services: Services
    recheck: Callable[[], Awaitable[Principal | None]]
    traces: Traces = NO_TRACES
    gone: Callable[[], Awaitable[None]] | None = None
    cut: Callable[[], Awaitable[bool]] | None = None
    answer: AnswerBudget = field(default_factory=AnswerBudget)
    reading: Reading | None = None
    commands: CommandLog = field(default_factory=CommandLog)

    @property
    def challenge(self) -> str | None:
        """What the answer asks for in WWW-Authenticate; None if nothing, or of several commands."""
        return self.commands.challenge if self.commands.sent == 1 else None

    def following(self) -> AbstractContextManager[None]:
        """Count a subscription to all events or approvals. Raises ReadLimitError."""
        return nullcontext() if self.reading is None else self.reading.following()

    def let_go(self) -> None:
        """Give back what was read so far: it has been sent."""
        if self.reading is not None:
            self.reading.let_go()

    def hold(self, size: int) -> None:
        """Hold only an encoded answer of this size from now on. Raises ReadShareError."""
        if self.reading is not None:
            self.reading.let_go()
            self.reading.charge(size)

    def finish(self) -> None:
        """Give back what the request has used: its answer was sent."""
        if self.reading is not None:
            self.reading.finish()


def context_for(
    services: Services, reads: SharedPool, *, principal: Principal, **given: Any
) -> Context:
    """Make the context of a request, in the task of the request."""
    return Context(
        principal=principal, services=services, reading=reads.begin(principal.id), **given
    )


def context_of(info: Info) -> Context:
    """Return the context of the request that a resolver runs in."""
    context = info.context
    assert isinstance(context, Context)
    return context
