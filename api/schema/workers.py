"""Claims, heartbeats and releases of workers. They are not commands of the domain."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import strawberry

from api.context import Context
from api.errors import bad_request, forbidden
from api.graphql.disconnect import while_there
from api.schema.events import RecordedEvent
from api.schema.limits import (
    DEFAULT_LEASE,
    MAX_CLAIMS,
    MAX_HOLDING,
    MAX_QUEUES,
    MAX_RELEASES,
    MAX_WORKFLOWS,
    NO_WAIT,
    check_lease,
    check_number,
    check_values,
    check_wait,
)
from api.schema.nodes import Approval, Execution
from application.workers import leases
from application.workers.known_workflows import KnownWorkflows, Workflow
from domain import validation
from domain.identifiers import parse_uuid
from domain.values import Role


@strawberry.input(description="An execution that a worker believes it holds.")
class HoldingInput:
    execution_id: strawberry.ID = strawberry.field(description="The id of the execution.")
    seen: int | None = strawberry.field(
        default=None,
        description="The wokenVersion that the worker has seen. If the execution has a later one, "
        "the answer has it among the claims. Null: the worker does not wait for it.",
    )


@strawberry.input(description="A workflow that a worker has code for.")
class WorkflowInput:
    name: str = strawberry.field(description="The name of the workflow.")
    version: str | None = strawberry.field(
        default=None,
        description="The version of the workflow. Null: every version that is not named too, and "
        "executions without a version.",
    )
    cleans_up: bool | None = strawberry.field(
        default=False,
        description="Whether the code cleans up after a cancellation. Then a cancellation of an "
        "execution that the worker has claimed is first only requested.",
    )


@strawberry.input(description="A worker's request for executions.")
class ClaimInput:
    worker: str = strawberry.field(
        description="The name of the worker, unique among those of the token's owner."
    )
    queues: list[str] | None = strawberry.field(
        default_factory=lambda: ["default"],
        description="The queues to claim from. Null means default.",
    )
    workflows: list[WorkflowInput] | None = strawberry.field(
        default=None,
        description="The workflows that the worker knows, at most 1,000; it is given no others. "
        "Null: it knows all.",
    )
    limit: int | None = strawberry.field(
        default=1,
        description="How many more executions the worker can take, from 1 to 500. With holding "
        "also 0: then nothing is claimed, and the answer is only about what is held.",
    )
    lease: timedelta | None = strawberry.field(
        default=DEFAULT_LEASE,
        description="For how long the worker holds the executions unless it renews the lease, "
        "from 1 second to 1 hour.",
    )
    wait: timedelta | None = strawberry.field(
        default=NO_WAIT,
        description="How long to wait while there is nothing to report, at most 20 seconds.",
    )
    transcripts: bool | None = strawberry.field(
        default=False, description="Whether claims come with their transcripts."
    )
    holding: list[HoldingInput] | None = strawberry.field(
        default=None,
        description="The executions that the worker believes it holds. The answer has the others "
        "that it holds among the claims, because an earlier answer may have been lost. Those that "
        "it no longer holds are in lost.",
    )


@strawberry.type(description="What a worker needs to go on with an execution.")
class Transcript:
    version: int = strawberry.field(description="The version of the execution that it goes up to.")
    events: list[RecordedEvent] = strawberry.field(description="All events, by version.")
    approvals: list[Approval] = strawberry.field(
        description="All approvals at that version, in the order of their requests."
    )

    @classmethod
    def of(cls, grant: leases.Grant) -> "Transcript | None":
        """Make the GraphQL type, None if the history was not read."""
        if grant.history is None:
            return None
        execution = grant.execution
        return cls(
            version=execution.version,
            events=[RecordedEvent.of(event) for event in grant.history],
            approvals=[Approval.of(execution, each) for each in execution.approvals_in_order()],
        )


@strawberry.type(
    description="An execution that a worker holds, with the fencing number of its claim."
)
class Claim:
    execution: Execution
    fence: int
    lease_expires_at: datetime
    transcript: Transcript | None = strawberry.field(
        description="If it was asked for: what the worker would read to go on. Null for an "
        "execution that is new, and for a long history, which the worker reads by itself."
    )

    @classmethod
    def of(cls, grant: leases.Grant) -> "Claim":
        """Make the GraphQL type of a claim."""
        return cls(
            execution=Execution.of(grant.execution),
            fence=grant.fence,
            lease_expires_at=grant.lease_expires_at,
            transcript=Transcript.of(grant),
        )


@strawberry.type(description="The executions that were claimed, and those that were lost.")
class ClaimResult:
    claims: list[Claim]
    lost: list[strawberry.ID] = strawberry.field(
        description="The ids in holding that the worker no longer holds, because the execution has "
        "ended, is parked, or has another worker."
    )
    parked: list[strawberry.ID] = strawberry.field(
        description="Those of the lost ones that are parked. A step that has redeemed an approval "
        "may still record its outcome."
    )


@strawberry.type(description="The lease of a worker.")
class HeartbeatResult:
    worker: str
    lease_expires_at: datetime
    executions: int = strawberry.field(description="The number of executions that it holds.")
    lost: list[strawberry.ID] = strawberry.field(
        description="The ids of executions that it has lost since the last heartbeat."
    )


@strawberry.input(description="An execution to give back.")
class ReleaseInput:
    execution_id: strawberry.ID = strawberry.field(description="The id of the execution.")
    seen: int | None = strawberry.field(
        default=None,
        description="The wokenVersion that the worker has handled. Others can claim the execution "
        "once it has a later one. Null: there is work left.",
    )
    fence: int | None = strawberry.field(
        default=None,
        description="The fence of the claim to give back. A repeated request then does not give "
        "back a later claim of the same worker. Null: give back any claim.",
    )


@strawberry.type(description="The number of executions that were given back.")
class ReleaseResult:
    released: int


def check_worker(context: Context, worker: str) -> None:
    """Raise FORBIDDEN without the role ENGINE, BAD_REQUEST for a worker's name that is invalid."""
    if Role.ENGINE not in context.principal.roles:
        raise forbidden("this takes a token with the role ENGINE")
    if problem := validation.name(worker, "worker"):
        raise bad_request(problem)


def check_queues(context: Context, queues: Sequence[str] | None) -> list[str]:
    """Return the queues, by default ``default``.

    Raises BAD_REQUEST for an invalid name, FORBIDDEN for a queue that the token does not serve.
    """
    wanted = ["default"] if queues is None else list(dict.fromkeys(queues))
    if not 1 <= len(wanted) <= MAX_QUEUES:
        msg = f"queues has {len(wanted)} entries, it must have from 1 to {MAX_QUEUES}"
        raise bad_request(msg)
    for queue in wanted:
        if not context.principal.serves(queue):
            msg = f"this token does not serve the queue {queue!r}"
            raise forbidden(msg)
        if problem := validation.name(queue, "queues"):
            raise bad_request(problem)
    return wanted


def check_workflows(workflows: Sequence[WorkflowInput] | None) -> KnownWorkflows | None:
    """Return what the worker knows, None for everything.

    Raises BAD_REQUEST for an invalid name or version, or for too many of them.
    """
    if workflows is None:
        return None
    if len(workflows) > MAX_WORKFLOWS:
        msg = f"workflows has {len(workflows)} entries, the limit is {MAX_WORKFLOWS}"
        raise bad_request(msg)
    for each in workflows:
        problem = validation.first(
            validation.name(each.name, "workflows.name"),
            validation.optional(validation.name, each.version, "workflows.version"),
        )
        if problem:
            raise bad_request(problem)
    return KnownWorkflows(Workflow(w.name, w.version, bool(w.cleans_up)) for w in workflows)


async def claim(context: Context, wanted: ClaimInput) -> ClaimResult:
    """Claim executions."""
    check_worker(context, wanted.worker)
    holding = None
    if wanted.holding is not None:
        check_values(wanted.holding, "holding", MAX_HOLDING)
        holding = {
            id_: one.seen
            for one in wanted.holding
            if (id_ := parse_uuid(one.execution_id)) is not None
        }
    poll = await while_there(
        context.gone,
        context.services.long_polling.claim(
            context.principal,
            wanted.worker,
            check_queues(context, wanted.queues),
            check_number(wanted.limit, 1, 1 if holding is None else 0, MAX_CLAIMS, "limit"),
            check_lease(wanted.lease),
            wait=check_wait(wanted.wait),
            holding=holding,
            trace=context.traces.request,
            known=check_workflows(wanted.workflows),
            transcripts=bool(wanted.transcripts),
        ),
        wait=check_wait(wanted.wait),
    )
    return ClaimResult(
        claims=[Claim.of(grant) for grant in poll.grants],
        lost=[strawberry.ID(str(execution_id)) for execution_id in poll.lost],
        parked=[strawberry.ID(str(execution_id)) for execution_id in poll.parked],
    )


async def heartbeat(context: Context, worker: str, lease: timedelta | None) -> HeartbeatResult:
    """Renew a lease."""
    check_worker(context, worker)
    heartbeat = await context.services.leases.heartbeat(
        context.principal, worker, check_lease(lease)
    )
    return HeartbeatResult(
        worker=heartbeat.worker,
        lease_expires_at=heartbeat.lease_expires_at,
        executions=heartbeat.executions,
        lost=[strawberry.ID(str(execution_id)) for execution_id in heartbeat.lost],
    )


async def release(
    context: Context,
    worker: str,
    execution_ids: Sequence[str] | None,
    releases: Sequence[ReleaseInput] | None,
    *,
    others: bool,
) -> ReleaseResult:
    """Give back the named executions, or all. Malformed ids are ignored."""
    check_worker(context, worker)
    leases, principal = context.services.leases, context.principal
    if execution_ids is not None and releases is not None:
        raise bad_request("releaseExecutions takes executionIds or releases, not both")
    check_values(execution_ids, "executionIds", MAX_RELEASES)
    check_values(releases, "releases", MAX_RELEASES)
    if releases is not None:
        named = {id_: one for one in releases if (id_ := parse_uuid(one.execution_id)) is not None}
        released = await leases.release_at(
            principal,
            worker,
            {id_: one.seen for id_, one in named.items()},
            fences={id_: one.fence for id_, one in named.items()},
            others=others,
        )
    else:
        ids = None
        if execution_ids is not None:
            ids = [id_ for text in execution_ids if (id_ := parse_uuid(text)) is not None]
        released = await leases.release(principal, worker, ids)
    context.services.dispatcher.released(context.principal, worker, released)
    return ReleaseResult(released=len(released))
