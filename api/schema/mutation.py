"""Mutations: each makes commands, hands them to the writer, and returns the results."""

from typing import Annotated

import strawberry
from strawberry.types import Info

from api.context import context_of
from api.errors import limit_exceeded
from api.schema import workers
from api.schema.arguments import Lease, Worker, described
from api.schema.enums import RefusalCode
from api.schema.ids import malformed
from api.schema.inputs import (
    CancellationInput,
    ChildInput,
    CommandInput,
    CompletionInput,
    DecisionInput,
    FailureInput,
    ParkingInput,
    RedemptionInput,
    RejectionInput,
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
    chosen,
)
from api.schema.limits import DEFAULT_LEASE, MAX_COMMANDS, MAX_DECISIONS
from api.schema.results import CommandResult, Refused, carry_out_all, carry_out_one
from api.schema.workers import (
    ClaimInput,
    ClaimResult,
    HeartbeatResult,
    ReleaseInput,
    ReleaseResult,
)

Single = (
    CancellationInput
    | ChildInput
    | CompletionInput
    | DecisionInput
    | FailureInput
    | ParkingInput
    | RedemptionInput
    | RejectionInput
    | RequestApprovalInput
    | RetryInput
    | SignalInput
    | StartExecutionInput
    | StepInput
    | SuspensionInput
    | TimerCancellationInput
    | TimerInput
    | UnparkingInput
    | WithdrawalInput
)
Results = list[CommandResult]


async def _one(info: Info, given: Single) -> CommandResult:
    context = context_of(info)
    result = await carry_out_one(context, given.command(context.principal))
    _name_malformed(result, given)
    return result


async def _many(
    info: Info,
    given: list[DecisionInput] | list[RejectionInput] | list[CommandInput],
    limit: int,
    *,
    chained: bool = False,
) -> Results:
    if len(given) > limit:
        msg = f"the request has {len(given)} commands, the limit is {limit}; send several requests"
        raise limit_exceeded(msg)
    context = context_of(info)
    commands = [one.command(context.principal) for one in given]
    results = await carry_out_all(context, commands, chained=chained)
    for one, result in zip(given, results, strict=True):
        _name_malformed(result, one)
    # graphql-core reports an exception in the list as an error of that entry only.
    return results  # type: ignore[return-value]


def _name_malformed(result: CommandResult | Exception, given: object) -> None:
    """Put a malformed id into the message of its refusal.

    The command has another id in its place, which the caller has never seen.
    """
    if isinstance(result, Refused) and result.code is RefusalCode.NOT_FOUND:
        result.message = malformed(chosen(given)) or result.message


@strawberry.type(description="All commands.")
class Mutation:
    @strawberry.mutation(description="Starts an execution.")
    async def start_execution(
        self,
        info: Info,
        input: Annotated[StartExecutionInput, described("The execution to start.")],  # noqa: A002
    ) -> CommandResult | None:
        return await _one(info, input)

    @strawberry.mutation(description="Records the result of a step, or a failed attempt.")
    async def record_step(
        self,
        info: Info,
        input: Annotated[StepInput, described("The step, with its result or error.")],  # noqa: A002
    ) -> CommandResult | None:
        return await _one(info, input)

    @strawberry.mutation(description="Requests approval by people.")
    async def request_approval(
        self,
        info: Info,
        input: Annotated[RequestApprovalInput, described("What to ask, and whom.")],  # noqa: A002
    ) -> CommandResult | None:
        return await _one(info, input)

    @strawberry.mutation(description="Withdraws a pending request for approval.")
    async def withdraw_approval(
        self,
        info: Info,
        input: Annotated[WithdrawalInput, described("The approval to withdraw, and why.")],  # noqa: A002
    ) -> CommandResult | None:
        return await _one(info, input)

    @strawberry.mutation(description="Grants the document with this digest.")
    async def grant_approval(
        self,
        info: Info,
        input: Annotated[DecisionInput, described("The decision.")],  # noqa: A002
    ) -> CommandResult | None:
        return await _one(info, input)

    @strawberry.mutation(description="Rejects the document with this digest.")
    async def reject_approval(
        self,
        info: Info,
        input: Annotated[RejectionInput, described("The decision, with its reason.")],  # noqa: A002
    ) -> CommandResult | None:
        return await _one(info, input)

    @strawberry.mutation(
        description="Grants up to 100 approvals. Returns one result for each, in the same order."
    )
    async def grant_approvals(
        self,
        info: Info,
        inputs: Annotated[list[DecisionInput], described("The decisions, at most 100.")],
    ) -> list[CommandResult] | None:
        return await _many(info, inputs, MAX_DECISIONS)

    @strawberry.mutation(
        description="Rejects up to 100 approvals. Returns one result for each, in the same order."
    )
    async def reject_approvals(
        self,
        info: Info,
        inputs: Annotated[list[RejectionInput], described("The decisions, at most 100.")],
    ) -> list[CommandResult] | None:
        return await _many(info, inputs, MAX_DECISIONS)

    @strawberry.mutation(
        description="Redeems a granted approval, just before its payload is carried out. This "
        "works once."
    )
    async def redeem_approval(
        self,
        info: Info,
        input: Annotated[RedemptionInput, described("The approval to redeem, and for what.")],  # noqa: A002
    ) -> CommandResult | None:
        return await _one(info, input)

    @strawberry.mutation(description="Sets a timer. It fires by the clock of the database.")
    async def set_timer(
        self,
        info: Info,
        input: Annotated[TimerInput, described("The timer to set.")],  # noqa: A002
    ) -> CommandResult | None:
        return await _one(info, input)

    @strawberry.mutation(description="Cancels a timer.")
    async def cancel_timer(
        self,
        info: Info,
        input: Annotated[TimerCancellationInput, described("The timer to cancel.")],  # noqa: A002
    ) -> CommandResult | None:
        return await _one(info, input)

    @strawberry.mutation(description="Sends a signal, with data, to an execution.")
    async def send_signal(
        self,
        info: Info,
        input: Annotated[SignalInput, described("The signal to send.")],  # noqa: A002
    ) -> CommandResult | None:
        return await _one(info, input)

    @strawberry.mutation(description="Starts a child of an execution.")
    async def start_child(
        self,
        info: Info,
        input: Annotated[ChildInput, described("The child to start.")],  # noqa: A002
    ) -> CommandResult | None:
        return await _one(info, input)

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
        return await _one(info, input)

    @strawberry.mutation(description="Keeps all workers off an execution until it is unparked.")
    async def park_execution(
        self,
        info: Info,
        input: Annotated[ParkingInput, described("The execution to park, and why.")],  # noqa: A002
    ) -> CommandResult | None:
        return await _one(info, input)

    @strawberry.mutation(description="Lets workers continue a parked execution.")
    async def unpark_execution(
        self,
        info: Info,
        input: Annotated[UnparkingInput, described("The execution to unpark.")],  # noqa: A002
    ) -> CommandResult | None:
        return await _one(info, input)

    @strawberry.mutation(description="Completes an execution.")
    async def complete_execution(
        self,
        info: Info,
        input: Annotated[CompletionInput, described("The execution to complete, with its result.")],  # noqa: A002
    ) -> CommandResult | None:
        return await _one(info, input)

    @strawberry.mutation(description="Fails an execution; its pending approvals are withdrawn.")
    async def fail_execution(
        self,
        info: Info,
        input: Annotated[FailureInput, described("The execution to fail, with its error.")],  # noqa: A002
    ) -> CommandResult | None:
        return await _one(info, input)

    @strawberry.mutation(description="Cancels an execution; its pending approvals are withdrawn.")
    async def cancel_execution(
        self,
        info: Info,
        input: Annotated[CancellationInput, described("The execution to cancel, and why.")],  # noqa: A002
    ) -> CommandResult | None:
        return await _one(info, input)

    @strawberry.mutation(description="Runs a failed execution again.")
    async def retry_execution(
        self,
        info: Info,
        input: Annotated[RetryInput, described("The execution to run again.")],  # noqa: A002
    ) -> CommandResult | None:
        return await _one(info, input)

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
        return await _many(info, commands, MAX_COMMANDS, chained=True)

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
