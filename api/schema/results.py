"""Results of commands: sends commands to the writer and returns what the caller may see."""

from collections.abc import Sequence
from datetime import datetime
from uuid import uuid4

import strawberry

from api.context import Context
from api.schema.enums import RefusalCode
from api.schema.nodes import Approval, Execution
from application.command_handling import outcomes
from application.command_handling.requests import Request
from domain import authorization
from domain.execution import state
from domain.execution.commands import Command


@strawberry.interface(description="The result of a command.")
class CommandResult:
    execution: Execution | None
    approval: Approval | None


@strawberry.type(description="The command was carried out, by this call or an earlier one.")
class Accepted(CommandResult):
    position: str = strawberry.field(
        description="The position of the last event that the command recorded."
    )
    at: datetime = strawberry.field(description="The time of that event.")
    repeated: bool = strawberry.field(
        description="Whether an earlier call had already done this; then nothing new was recorded."
    )


@strawberry.type(description="The command was not carried out, and nothing was recorded.")
class Refused(CommandResult):
    code: RefusalCode
    message: str


async def carry_out(
    context: Context, commands: Sequence[Command], *, chained: bool = False
) -> list[CommandResult | Exception]:
    """Send commands to the writer. Returns one result for each, or the exception of a fault."""
    requests = [
        Request(command=command, command_id=uuid4(), trace=context.trace) for command in commands
    ]
    answers = await context.services.writer.handle(requests, chained=chained)
    return [_show(context, answer) for answer in answers]


async def carry_out_one(context: Context, command: Command) -> CommandResult:
    """Send one command to the writer. Raises the exception of a fault."""
    [result] = await carry_out(context, [command])
    if isinstance(result, Exception):
        raise result
    return result


def _show(context: Context, outcome: outcomes.Outcome) -> CommandResult | Exception:
    if isinstance(outcome, Exception):
        return outcome
    execution, approval = _visible(context, outcome.execution, outcome.ordinal)
    if isinstance(outcome, outcomes.Accepted):
        return Accepted(
            position=str(outcome.position),
            at=outcome.at,
            repeated=outcome.repeated,
            execution=execution,
            approval=approval,
        )
    return Refused(
        code=outcome.code, message=outcome.message, execution=execution, approval=approval
    )


def _visible(
    context: Context, execution: state.Execution | None, ordinal: int | None
) -> tuple[Execution | None, Approval | None]:
    if execution is None:
        return None, None
    principal = context.principal
    approval = None if ordinal is None else execution.approvals.get(ordinal)
    return (
        Execution.of(execution) if authorization.sees_execution(principal, execution) else None,
        Approval.of(execution, approval)
        if approval is not None and authorization.sees_approval(principal, execution, approval)
        else None,
    )
