"""Mutations: each builds commands, hands them over and shows what became of them."""

from datetime import timedelta

import strawberry
from strawberry.types import Info

from api.context import context_of
from api.errors import limit_exceeded
from api.schema import workers
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
from api.schema.results import CommandResult, Refused, carry_out, carry_out_one
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
        msg = f"there are {len(given)} commands in the request, the limit is {limit}"
        raise limit_exceeded(msg)
    context = context_of(info)
    commands = [one.command(context.principal) for one in given]
    results = await carry_out(context, commands, chained=chained)
    for one, result in zip(given, results, strict=True):
        _name_malformed(result, one)
    # An exception in a list is the error of that entry alone.
    return results  # type: ignore[return-value]


def _name_malformed(result: CommandResult | Exception, given: object) -> None:
    """Let a refusal name what was given as an id and is none.

    The command has another in its place, which the caller has never seen.
    """
    if isinstance(result, Refused) and result.code is RefusalCode.NOT_FOUND:
        result.message = malformed(chosen(given)) or result.message


@strawberry.type(description="What can be done.")
class Mutation:
    @strawberry.mutation(description="Starts an execution.")
    async def start_execution(
        self,
        info: Info,
        input: StartExecutionInput,  # noqa: A002
    ) -> CommandResult | None:
        return await _one(info, input)

    @strawberry.mutation(description="Records a step's result, or that an attempt failed.")
    async def record_step(
        self,
        info: Info,
        input: StepInput,  # noqa: A002
    ) -> CommandResult | None:
        return await _one(info, input)

    @strawberry.mutation(description="Asks people for approval.")
    async def request_approval(
        self,
        info: Info,
        input: RequestApprovalInput,  # noqa: A002
    ) -> CommandResult | None:
        return await _one(info, input)

    @strawberry.mutation(description="Takes a pending question back.")
    async def withdraw_approval(
        self,
        info: Info,
        input: WithdrawalInput,  # noqa: A002
    ) -> CommandResult | None:
        return await _one(info, input)

    @strawberry.mutation(description="Says yes to the document with this digest.")
    async def grant_approval(
        self,
        info: Info,
        input: DecisionInput,  # noqa: A002
    ) -> CommandResult | None:
        return await _one(info, input)

    @strawberry.mutation(description="Says no to the document with this digest.")
    async def reject_approval(
        self,
        info: Info,
        input: RejectionInput,  # noqa: A002
    ) -> CommandResult | None:
        return await _one(info, input)

    @strawberry.mutation(description="Says yes to up to 100; one result each, in order.")
    async def grant_approvals(
        self, info: Info, inputs: list[DecisionInput]
    ) -> list[CommandResult] | None:
        return await _many(info, inputs, MAX_DECISIONS)

    @strawberry.mutation(description="Says no to up to 100; one result each, in order.")
    async def reject_approvals(
        self, info: Info, inputs: list[RejectionInput]
    ) -> list[CommandResult] | None:
        return await _many(info, inputs, MAX_DECISIONS)

    @strawberry.mutation(
        description="Says that what was granted is about to be done. It works once."
    )
    async def redeem_approval(
        self,
        info: Info,
        input: RedemptionInput,  # noqa: A002
    ) -> CommandResult | None:
        return await _one(info, input)

    @strawberry.mutation(description="Sets a timer, which fires by the database's time.")
    async def set_timer(
        self,
        info: Info,
        input: TimerInput,  # noqa: A002
    ) -> CommandResult | None:
        return await _one(info, input)

    @strawberry.mutation(description="Takes a timer back.")
    async def cancel_timer(
        self,
        info: Info,
        input: TimerCancellationInput,  # noqa: A002
    ) -> CommandResult | None:
        return await _one(info, input)

    @strawberry.mutation(description="Hands data to an execution.")
    async def send_signal(
        self,
        info: Info,
        input: SignalInput,  # noqa: A002
    ) -> CommandResult | None:
        return await _one(info, input)

    @strawberry.mutation(description="Starts another execution for this one.")
    async def start_child(
        self,
        info: Info,
        input: ChildInput,  # noqa: A002
    ) -> CommandResult | None:
        return await _one(info, input)

    @strawberry.mutation(description="Says that the worker has nothing to do for now.")
    async def suspend_execution(
        self,
        info: Info,
        input: SuspensionInput,  # noqa: A002
    ) -> CommandResult | None:
        return await _one(info, input)

    @strawberry.mutation(description="Keeps every worker from an execution until it is unparked.")
    async def park_execution(
        self,
        info: Info,
        input: ParkingInput,  # noqa: A002
    ) -> CommandResult | None:
        return await _one(info, input)

    @strawberry.mutation(description="Lets workers go on with a parked execution.")
    async def unpark_execution(
        self,
        info: Info,
        input: UnparkingInput,  # noqa: A002
    ) -> CommandResult | None:
        return await _one(info, input)

    @strawberry.mutation(description="Ends an execution that did its work.")
    async def complete_execution(
        self,
        info: Info,
        input: CompletionInput,  # noqa: A002
    ) -> CommandResult | None:
        return await _one(info, input)

    @strawberry.mutation(description="Ends an execution that could not do its work.")
    async def fail_execution(
        self,
        info: Info,
        input: FailureInput,  # noqa: A002
    ) -> CommandResult | None:
        return await _one(info, input)

    @strawberry.mutation(description="Ends an execution that is no longer wanted.")
    async def cancel_execution(
        self,
        info: Info,
        input: CancellationInput,  # noqa: A002
    ) -> CommandResult | None:
        return await _one(info, input)

    @strawberry.mutation(description="Lets a failed execution run again.")
    async def retry_execution(
        self,
        info: Info,
        input: RetryInput,  # noqa: A002
    ) -> CommandResult | None:
        return await _one(info, input)

    @strawberry.mutation(
        description="Up to 256 commands of a worker; one result each, in order. After a refused "
        "one, the later ones of the same execution are SKIPPED."
    )
    async def submit(self, info: Info, commands: list[CommandInput]) -> list[CommandResult] | None:
        return await _many(info, commands, MAX_COMMANDS, chained=True)

    @strawberry.mutation(description="Claims executions that there is something to do on.")
    async def claim_executions(
        self,
        info: Info,
        input: ClaimInput,  # noqa: A002
    ) -> ClaimResult | None:
        return await workers.claim(context_of(info), input)

    @strawberry.mutation(description="Renews a worker's lease, for all that it holds.")
    async def heartbeat(
        self, info: Info, worker: str, lease: timedelta | None = DEFAULT_LEASE
    ) -> HeartbeatResult | None:
        return await workers.heartbeat(context_of(info), worker, lease)

    @strawberry.mutation(
        description="Gives executions back; all, if none is named. With releases, it says of each "
        "whether there is work left, and of which claim; with others, all else that it holds goes "
        "back too, as if there were."
    )
    async def release_executions(
        self,
        info: Info,
        worker: str,
        execution_ids: list[strawberry.ID] | None = None,
        releases: list[ReleaseInput] | None = None,
        *,
        others: bool = False,
    ) -> ReleaseResult | None:
        context = context_of(info)
        return await workers.release(context, worker, execution_ids, releases, others=others)
