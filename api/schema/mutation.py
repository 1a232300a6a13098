"""Mutations: each makes commands, hands them to the writer, and returns the results."""

from typing import Annotated

import strawberry
from strawberry.types import Info

from api.context import context_of
from api.schema import workers
from api.schema.arguments import Lease, Worker, described
from api.schema.decision_mutations import DecisionMutations
from api.schema.inputs import (
    CancellationInput,
    ChildInput,
    CommandInput,
    CompletionInput,
    FailureInput,
    ParkingInput,
    RedemptionInput,
    RequestApprovalInput,
    RetryInput,
    SignalInput,
    StartExecutionInput,
    StepInput,
    SuspensionInput,
    TimerCancellationInput,
    TimerInput,
    UnparkingInput,
    WithdrawalInput,
)
from api.schema.limits import DEFAULT_LEASE, MAX_COMMANDS
from api.schema.notifications import NotificationMutations
from api.schema.results import CommandResult
from api.schema.sending import send_many, send_one
from api.schema.standing_grants import StandingGrantMutations
from api.schema.substitutes import SubstituteMutations
from api.schema.webhooks import WebhookMutations
from api.schema.workers import (
    ClaimInput,
    ClaimResult,
    HeartbeatResult,
    ReleaseInput,
    ReleaseResult,
)


@strawberry.type(description="All commands.")
class Mutation(
    DecisionMutations,
    NotificationMutations,
    StandingGrantMutations,
    SubstituteMutations,
    WebhookMutations,
):
    @strawberry.mutation(description="Starts an execution.")
    async def start_execution(
        self,
        info: Info,
        input: Annotated[StartExecutionInput, described("The execution to start.")],  # noqa: A002
    ) -> CommandResult | None:
        return await send_one(info, input)

    @strawberry.mutation(description="Records the result of a step, or a failed attempt.")
    async def record_step(
        self,
        info: Info,
        input: Annotated[StepInput, described("The step, with its result or error.")],  # noqa: A002
    ) -> CommandResult | None:
        return await send_one(info, input)

    @strawberry.mutation(description="Requests approval by people.")
    async def request_approval(
        self,
        info: Info,
        input: Annotated[RequestApprovalInput, described("What to ask, and whom.")],  # noqa: A002
    ) -> CommandResult | None:
        return await send_one(info, input)

    @strawberry.mutation(description="Withdraws a pending request for approval.")
    async def withdraw_approval(
        self,
        info: Info,
        input: Annotated[WithdrawalInput, described("The approval to withdraw, and why.")],  # noqa: A002
    ) -> CommandResult | None:
        return await send_one(info, input)

    @strawberry.mutation(
        description="Redeems a granted approval, just before its payload is carried out. This "
        "works once."
    )
    async def redeem_approval(
        self,
        info: Info,
        input: Annotated[RedemptionInput, described("The approval to redeem, and for what.")],  # noqa: A002
    ) -> CommandResult | None:
        return await send_one(info, input)

    @strawberry.mutation(description="Sets a timer. It fires by the clock of the database.")
    async def set_timer(
        self,
        info: Info,
        input: Annotated[TimerInput, described("The timer to set.")],  # noqa: A002
    ) -> CommandResult | None:
        return await send_one(info, input)

    @strawberry.mutation(description="Cancels a timer.")
    async def cancel_timer(
        self,
        info: Info,
        input: Annotated[TimerCancellationInput, described("The timer to cancel.")],  # noqa: A002
    ) -> CommandResult | None:
        return await send_one(info, input)

    @strawberry.mutation(description="Sends a signal, with data, to an execution.")
    async def send_signal(
        self,
        info: Info,
        input: Annotated[SignalInput, described("The signal to send.")],  # noqa: A002
    ) -> CommandResult | None:
        return await send_one(info, input)

    @strawberry.mutation(description="Starts a child of an execution.")
    async def start_child(
        self,
        info: Info,
        input: Annotated[ChildInput, described("The child to start.")],  # noqa: A002
    ) -> CommandResult | None:
        return await send_one(info, input)

    @strawberry.mutation(
        description="Says that the worker has nothing to do until a timer, a signal or a child."
    )
    async def suspend_execution(
        self,
        info: Info,
        input: Annotated[  # noqa: A002
            SuspensionInput, described("The execution, and what the worker has seen.")
        ],
    ) -> CommandResult | None:
        return await send_one(info, input)

    @strawberry.mutation(description="Keeps all workers off an execution until it is unparked.")
    async def park_execution(
        self,
        info: Info,
        input: Annotated[ParkingInput, described("The execution to park, and why.")],  # noqa: A002
    ) -> CommandResult | None:
        return await send_one(info, input)

    @strawberry.mutation(description="Lets workers continue a parked execution.")
    async def unpark_execution(
        self,
        info: Info,
        input: Annotated[UnparkingInput, described("The execution to unpark.")],  # noqa: A002
    ) -> CommandResult | None:
        return await send_one(info, input)

    @strawberry.mutation(description="Completes an execution.")
    async def complete_execution(
        self,
        info: Info,
        input: Annotated[CompletionInput, described("The execution to complete, with its result.")],  # noqa: A002
    ) -> CommandResult | None:
        return await send_one(info, input)

    @strawberry.mutation(description="Fails an execution; its pending approvals are withdrawn.")
    async def fail_execution(
        self,
        info: Info,
        input: Annotated[FailureInput, described("The execution to fail, with its error.")],  # noqa: A002
    ) -> CommandResult | None:
        return await send_one(info, input)

    @strawberry.mutation(
        description="Cancels an execution; its pending approvals are withdrawn. It ends at once, "
        "or if its workflow cleans up, when that is over; see cancelRequestedAt."
    )
    async def cancel_execution(
        self,
        info: Info,
        input: Annotated[CancellationInput, described("The execution to cancel, and why.")],  # noqa: A002
    ) -> CommandResult | None:
        return await send_one(info, input)

    @strawberry.mutation(description="Runs a failed execution again.")
    async def retry_execution(
        self,
        info: Info,
        input: Annotated[RetryInput, described("The execution to run again.")],  # noqa: A002
    ) -> CommandResult | None:
        return await send_one(info, input)

    @strawberry.mutation(
        description="Carries out up to 256 commands of a worker. Returns one result for each, in "
        "the same order. After a refused command, later ones of the same execution are SKIPPED."
    )
    async def submit(
        self,
        info: Info,
        commands: Annotated[
            list[CommandInput],
            described("The commands, at most 256. They are carried out in this order."),
        ],
    ) -> list[CommandResult] | None:
        return await send_many(info, commands, MAX_COMMANDS, chained=True)

    @strawberry.mutation(description="Claims executions that a worker can continue.")
    async def claim_executions(
        self,
        info: Info,
        input: Annotated[ClaimInput, described("Who claims, and how much.")],  # noqa: A002
    ) -> ClaimResult | None:
        return await workers.claim(context_of(info), input)

    @strawberry.mutation(description="Renews a worker's lease on all executions that it holds.")
    async def heartbeat(
        self, info: Info, worker: Worker, lease: Lease = DEFAULT_LEASE
    ) -> HeartbeatResult | None:
        return await workers.heartbeat(context_of(info), worker, lease)

    @strawberry.mutation(
        description="Gives executions back: those in executionIds, those in releases, or all that "
        "the worker holds. releases says of each whether there is work left, and which claim is "
        "given back. others gives back all other executions too, as if they had work left."
    )
    async def release_executions(
        self,
        info: Info,
        worker: Worker,
        execution_ids: Annotated[
            list[strawberry.ID] | None,
            described("The ids of the executions to give back. Not together with releases."),
        ] = None,
        releases: Annotated[
            list[ReleaseInput] | None,
            described("The executions to give back, each with what the worker has handled."),
        ] = None,
        *,
        others: Annotated[
            bool,
            described("Whether to give back all others that the worker holds too."),
        ] = False,
    ) -> ReleaseResult | None:
        context = context_of(info)
        return await workers.release(context, worker, execution_ids, releases, others=others)
