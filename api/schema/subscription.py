"""Subscriptions: the log as it grows. Each message says where to continue after a disconnect."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Annotated

import strawberry
from strawberry.types import Info

from api.context import Context, context_of
from api.errors import bad_request, forbidden
from api.schema import workers
from api.schema.approval_messages import ApprovalMessage, approval_messages
from api.schema.arguments import ExecutionId, From, Lease, Worker, described
from api.schema.authorized_lookups import event_query, still_allowed, visible_execution
from api.schema.events import RecordedEvent
from api.schema.ids import no_such_execution
from api.schema.inputs import ApprovalFilterInput, EventFilterInput
from api.schema.limits import (
    DEFAULT_LEASE,
    MAX_CAPACITY,
    check_grace,
    check_lease,
    check_number,
)
from api.schema.nodes import Approval
from api.schema.positions import known_position, position_of, position_text
from api.schema.workers import Claim, WorkflowInput
from application.event_store.positions import LogPosition
from application.workers import worker_stream
from domain import authorization
from domain.execution import state

# The contract promises a message of `events` every 15 seconds. A page, maybe empty, comes at least
# every IDLE_SECONDS. The first one after QUIET_SECONDS without a message sends one.
QUIET_SECONDS = 8.0
IDLE_SECONDS = 5.0


@strawberry.type(description="An event; or, with null, only a new cursor.")
class EventMessage:
    cursor: str
    event: RecordedEvent | None


@strawberry.type(
    description="A message to a worker: one of claim, resolved, happened, ended, lost and parked."
)
class AssignmentMessage:
    claim: Claim | None = strawberry.field(
        default=None, description="An execution that the worker holds from now on."
    )
    resolved: Approval | None = strawberry.field(
        default=None,
        description="An approval that was resolved, of an execution that the worker holds.",
    )
    happened: RecordedEvent | None = strawberry.field(
        default=None,
        description="A TimerFired, SignalReceived, ChildEnded or CancellationRequested event of "
        "an execution that the worker holds.",
    )
    version: int | None = strawberry.field(
        default=None, description="With resolved: the version of the event that resolved it."
    )
    position: str | None = strawberry.field(
        default=None, description="With resolved: the position of the event that resolved it."
    )
    traceparent: str | None = strawberry.field(
        default=None,
        description="With resolved: the W3C traceparent of the event that resolved it, if it has "
        "one. A worker links what it does next to it.",
    )
    ended: strawberry.ID | None = strawberry.field(
        default=None,
        description="The id of an execution that the worker held and that someone else ended.",
    )
    lost: strawberry.ID | None = strawberry.field(
        default=None, description="The id of an execution that another worker holds now."
    )
    parked: strawberry.ID | None = strawberry.field(
        default=None,
        description="The id of an execution that the worker held and that was parked. A step that "
        "has redeemed an approval may still record its outcome.",
    )


@strawberry.type(description="All subscriptions.")
class Subscription:
    @strawberry.subscription(
        description="The events of one execution, after this version or from now on."
    )
    async def execution_events(
        self,
        info: Info,
        execution_id: ExecutionId,
        after_version: Annotated[
            int | None,
            described("The version after which the events begin; null: from now on."),
        ] = None,
        after_hash: Annotated[
            str | None,
            described(
                "The hash of the event at afterVersion. If the execution has another event there, "
                "because the database was replaced by a copy, the error is POSITION_UNKNOWN."
            ),
        ] = None,
    ) -> AsyncIterator[RecordedEvent]:
        context = context_of(info)
        tail = context.services.tail
        # Taken before the execution is read, so that no event in between is missed.
        position = tail.position
        execution = await visible_execution(context, execution_id)
        if execution is None:
            raise no_such_execution(execution_id)
        version = execution.version if after_version is None else after_version
        if after_version is not None:
            known = LogPosition.of(after_version, after_hash or "")
            await context.services.reader.positions.check_version(execution.id, known)
        elif after_hash is not None:
            raise bad_request("afterHash belongs to afterVersion, give both of them")
        while version < execution.version:
            context.let_go()
            events = await context.services.reader.history(execution.id, after=version)
            for event in events:
                await _check_sight(context, execution)
                yield RecordedEvent.of(event)
                version = event.recorded.version
                position = max(position, event.position)
            if not events:
                break
        async for page in tail.follow(position, execution_id=execution.id, idle=IDLE_SECONDS):
            await _check_sight(context, execution)
            for event in page.events:
                if event.recorded.version > version:
                    await _check_sight(context, execution)
                    yield RecordedEvent.of(event)
                    version = event.recorded.version

    @strawberry.subscription(
        description="The events of the log that match, after this position or from now on. A "
        "message comes at least every 15 seconds."
    )
    async def events(
        self,
        info: Info,
        filter: Annotated[  # noqa: A002
            EventFilterInput | None, described("Which events; null: all.")
        ] = None,
        after: From = None,
    ) -> AsyncIterator[EventMessage]:
        context = context_of(info)
        if not authorization.sees_events(context.principal):
            raise forbidden("following events needs the role OPERATOR, ENGINE, AUDITOR or ADMIN")
        reader = context.services.reader
        query = event_query(context, filter)
        tail, clock = context.services.tail, asyncio.get_running_loop().time
        position = await known_position(context, after, "after")
        if position is None:
            # Sent at once, so that the client knows where to continue even if the connection
            # breaks before anything happens.
            position = tail.position
            cursor = position_text(position, tail.recent.hash)
            yield EventMessage(cursor=cursor, event=None)
        told_at = clock()
        with context.following():
            async for page in tail.follow(position, idle=IDLE_SECONDS):
                await still_allowed(context)
                for event in page.events:
                    origin = await reader.origin_of(event) if query.asks_origin else None
                    if query.matches(event, origin):
                        await still_allowed(context)
                        cursor = position_of(event)
                        yield EventMessage(cursor=cursor, event=RecordedEvent.of(event))
                        told_at = clock()
                if clock() - told_at >= QUIET_SECONDS:
                    cursor = position_text(page.position, page.hash)
                    yield EventMessage(cursor=cursor, event=None)
                    told_at = clock()

    @strawberry.subscription(
        description="Approvals that match a filter, each time they change, as they stand when "
        "they are sent. removedId names one that no longer matches."
    )
    async def approvals(
        self,
        info: Info,
        filter: Annotated[  # noqa: A002
            ApprovalFilterInput | None, described("Which approvals; null: all.")
        ] = None,
        after: From = None,
    ) -> AsyncIterator[ApprovalMessage]:
        context = context_of(info)
        wanted = (filter or ApprovalFilterInput()).value_of()
        start = await known_position(context, after, "after")
        with context.following():
            async for page in context.services.tail.follow(start, idle=IDLE_SECONDS):
                principal = await still_allowed(context)
                async for message in approval_messages(context, principal, wanted, page):
                    await still_allowed(context)
                    yield message

    @strawberry.subscription(
        description="Work for one worker: first what it holds, then what it is given. The open "
        "stream renews the lease. Closing it releases nothing. If the connection breaks, which "
        "means without a close frame that has a code, the lease ends after `grace`, unless the "
        "worker calls again before; null: the lease keeps its end."
    )
    async def assignments(
        self,
        info: Info,
        worker: Worker,
        queues: Annotated[
            list[str] | None, described("The queues to work on. Null means default.")
        ] = ["default"],  # noqa: B006 - the default of the contract
        capacity: Annotated[
            int | None,
            described("How many executions the worker can hold that are not asleep."),
        ] = 100,
        lease: Lease = DEFAULT_LEASE,
        grace: Annotated[
            timedelta | None,
            described("When the lease ends after the connection broke, at most 1 hour."),
        ] = None,
        workflows: Annotated[
            list[WorkflowInput] | None,
            described(
                "The workflows that the worker knows, at most 1,000; it is given no others. Null: "
                "it knows all."
            ),
        ] = None,
        transcripts: Annotated[  # noqa: FBT002 - the default of the contract
            bool | None, described("Whether new claims come with their transcripts.")
        ] = False,
    ) -> AsyncIterator[AssignmentMessage]:
        context = context_of(info)
        workers.check_worker(context, worker)
        stream = context.services.dispatcher.follow(
            context.principal,
            worker,
            workers.check_queues(context, queues),
            check_number(capacity, 100, 0, MAX_CAPACITY, "capacity"),
            check_lease(lease),
            check_grace(grace),
            context.cut,
            workers.check_workflows(workflows),
            transcripts=bool(transcripts),
        )
        try:
            async for message in stream:
                await still_allowed(context)
                yield _assignment(message)
        finally:
            await stream.aclose()


async def _check_sight(context: Context, execution: state.Execution) -> None:
    principal = await still_allowed(context)
    if not authorization.sees_execution(principal, execution):
        raise forbidden("the token does not reach this execution any more")


def _assignment(message: worker_stream.Message) -> AssignmentMessage:
    match message:
        case worker_stream.Claim(grant=grant):
            return AssignmentMessage(claim=Claim.of(grant))
        case worker_stream.Resolved(event=event, execution=execution, ordinal=ordinal):
            return AssignmentMessage(
                resolved=Approval.of(execution, execution.approvals[ordinal]),
                version=event.recorded.version,
                position=position_of(event),
                traceparent=event.recorded.trace,
            )
        case worker_stream.Happened(event=event):
            return AssignmentMessage(happened=RecordedEvent.of(event))
        case worker_stream.Ended(execution_id=execution_id):
            return AssignmentMessage(ended=strawberry.ID(str(execution_id)))
        case worker_stream.Lost(execution_id=execution_id):
            return AssignmentMessage(lost=strawberry.ID(str(execution_id)))
        case worker_stream.Stopped(execution_id=execution_id):
            return AssignmentMessage(parked=strawberry.ID(str(execution_id)))
