"""Claims, heartbeats and releases: what workers do that is no command of the domain."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import strawberry

from api.context import Context
from api.errors import bad_request, forbidden
from api.graphql.disconnect import while_there
from api.schema.limits import (
    DEFAULT_LEASE,
    MAX_CLAIMS,
    MAX_HOLDING,
    MAX_QUEUES,
    NO_WAIT,
    check_lease,
    check_number,
    check_wait,
)
from api.schema.nodes import Execution
from application.workers import leases
from domain import validation
from domain.identifiers import parse_uuid
from domain.values import Role


@strawberry.input(description="An execution that a worker knows that it holds.")
class HoldingInput:
    execution_id: strawberry.ID
    seen: int | None = strawberry.field(
        default=None,
        description="The wokenVersion that the worker knows of: it is told like a claim when it "
        "has a later one. Null: the worker does not wait for it to be told.",
    )


@strawberry.input(description="Asks for work.")
class ClaimInput:
    worker: str
    queues: list[str] | None = strawberry.field(default_factory=lambda: ["default"])
    limit: int | None = strawberry.field(
        default=1,
        description="How many more the worker can take, from 1 to 500. With holding also 0: then "
        "nothing is claimed, and the answer tells of what is held.",
    )
    lease: timedelta | None = DEFAULT_LEASE
    wait: timedelta | None = strawberry.field(
        default=NO_WAIT,
        description="For how long the answer is put off while there is nothing to tell.",
    )
    holding: list[HoldingInput] | None = strawberry.field(
        default=None,
        description="What the worker knows that it holds: all else that it holds, because an "
        "answer was lost, is told like a claim, and what it holds no longer is told as lost.",
    )


@strawberry.type(description="An execution that a worker holds, under this fencing number.")
class Claim:
    execution: Execution
    fence: int
    lease_expires_at: datetime

    @classmethod
    def of(cls, grant: leases.Grant) -> "Claim":
        """Show a claim."""
        return cls(
            execution=Execution.of(grant.execution),
            fence=grant.fence,
            lease_expires_at=grant.lease_expires_at,
        )


@strawberry.type(description="What was claimed.")
class ClaimResult:
    claims: list[Claim]
    lost: list[strawberry.ID] = strawberry.field(
        description="Of holding, what is the worker's no longer: over, parked or another's."
    )


@strawberry.type(description="How a worker stands.")
class HeartbeatResult:
    worker: str
    lease_expires_at: datetime
    executions: int = strawberry.field(description="How many it holds.")
    lost: list[strawberry.ID] = strawberry.field(description="Since the last heartbeat.")


@strawberry.input(description="An execution to give back.")
class ReleaseInput:
    execution_id: strawberry.ID
    seen: int | None = strawberry.field(
        default=None,
        description="The wokenVersion up to which the worker has dealt with what came, so that "
        "more than that lets another claim it. Null: there is work left.",
    )
    fence: int | None = strawberry.field(
        default=None,
        description="The fence of the claim that is given back, so that this request, repeated "
        "because an answer was lost, leaves a later claim of the same worker alone. Null: whatever "
        "claim it is.",
    )


@strawberry.type(description="What was given back.")
class ReleaseResult:
    released: int


def check_worker(context: Context, worker: str) -> None:
    """Raise FORBIDDEN without the role ENGINE, BAD_REQUEST for what is no name."""
    if Role.ENGINE not in context.principal.roles:
        raise forbidden("a worker needs the role ENGINE")
    if problem := validation.name(worker, "worker"):
        raise bad_request(problem)


def check_queues(context: Context, queues: Sequence[str] | None) -> list[str]:
    """Give the queues, by default ``default``. Raises FORBIDDEN for one that is not served."""
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


async def claim(context: Context, wanted: ClaimInput) -> ClaimResult:
    """Claim executions."""
    check_worker(context, wanted.worker)
    holding = None
    if wanted.holding is not None:
        if len(wanted.holding) > MAX_HOLDING:
            msg = f"holding has {len(wanted.holding)} entries, it may have {MAX_HOLDING}"
            raise bad_request(msg)
        holding = {
            id_: one.seen
            for one in wanted.holding
            if (id_ := parse_uuid(one.execution_id)) is not None
        }
    poll = await while_there(
        context.gone,
        context.services.polling.claim(
            context.principal,
            wanted.worker,
            check_queues(context, wanted.queues),
            check_number(wanted.limit, 1, 1 if holding is None else 0, MAX_CLAIMS, "limit"),
            check_lease(wanted.lease),
            wait=check_wait(wanted.wait),
            holding=holding,
            trace=context.trace,
        ),
        wait=check_wait(wanted.wait),
    )
    return ClaimResult(
        claims=[Claim.of(grant) for grant in poll.grants],
        lost=[strawberry.ID(str(execution_id)) for execution_id in poll.lost],
    )


async def heartbeat(context: Context, worker: str, lease: timedelta | None) -> HeartbeatResult:
    """Renew a lease."""
    check_worker(context, worker)
    beat = await context.services.leases.heartbeat(context.principal, worker, check_lease(lease))
    return HeartbeatResult(
        worker=beat.worker,
        lease_expires_at=beat.lease_expires_at,
        executions=beat.executions,
        lost=[strawberry.ID(str(execution_id)) for execution_id in beat.lost],
    )


async def release(
    context: Context,
    worker: str,
    execution_ids: Sequence[str] | None,
    releases: Sequence[ReleaseInput] | None,
    *,
    others: bool,
) -> ReleaseResult:
    """Give back what is named, or all. An id that is none is held by nobody."""
    check_worker(context, worker)
    leases, principal = context.services.leases, context.principal
    if execution_ids is not None and releases is not None:
        raise bad_request("releaseExecutions takes one of executionIds and releases, not both")
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
