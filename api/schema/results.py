"""Results of commands: sends commands to the writer and returns what the caller may see."""

from collections.abc import Sequence
from datetime import datetime
from uuid import uuid4

import psycopg
import strawberry
import structlog
from psycopg_pool import PoolTimeout
from strawberry.types import Info

from api.context import Context, context_of
from api.errors import internal, known
from api.schema.enums import RefusalCode
from api.schema.nodes import Approval, Execution
from api.schema.positions import position_text
from application.command_handling import outcomes
from application.command_handling.requests import Request
from domain import authorization
from domain.approvals import state as approval_state
from domain.approvals import step_up
from domain.approvals.commands import RequestApproval
from domain.execution import state
from domain.execution.commands import Command

_log = structlog.get_logger(__name__)


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

    asked: strawberry.Private[tuple[state.Execution, approval_state.Approval] | None] = None

    @strawberry.field(
        description="What is accepted and may yet not work out: for which requirements of a "
        "request for approval the directory knows too few people who could decide. Nothing is said "
        "as long as it knows nobody with the role APPROVER."
    )
    async def warnings(self, info: Info) -> list[str]:
        if self.asked is None:
            return []
        try:
            return await context_of(info).services.eligible_people.warnings(*self.asked)
        except (psycopg.Error, PoolTimeout):
            # The command is carried out, and its answer must say so.
            _log.warning("request_without_warnings", exc_info=True)
            return []


@strawberry.type(description="The command was not carried out, and nothing was recorded.")
class Refused(CommandResult):
    code: RefusalCode
    message: str


async def carry_out(
    context: Context, commands: Sequence[Command], *, chained: bool = False
) -> list[CommandResult | Exception]:
    """Send commands to the writer. Returns one result for each, or the exception of a fault."""
    requests = [
        Request(command=command, command_id=uuid4(), trace=context.traces.of(number))
        for number, command in enumerate(commands)
    ]
    context.commands.sent += len(requests)
    answers = await context.services.writer.handle(requests, chained=chained)
    return [
        _show(context, command, answer) for command, answer in zip(commands, answers, strict=True)
    ]


async def carry_out_all(
    context: Context, commands: Sequence[Command], *, chained: bool = False
) -> list[CommandResult | Exception]:
    """Send commands to the writer. An unexpected fault of one of them is a result too: INTERNAL.

    An exception in the list would be the answer to all of them. So only those are left that are
    about the whole request, such as a database that can't be reached.
    """
    results = await carry_out(context, commands, chained=chained)
    references: dict[int, str] = {}
    return [
        _refused_fault(result, references)
        if isinstance(result, Exception) and known(result) is None
        else result
        for result in results
    ]


def _refused_fault(fault: Exception, references: dict[int, str]) -> Refused:
    """Return the refusal for a fault. ``references`` has those in the log, by the exception."""
    reference = references.get(id(fault))
    if reference is None:
        reference = references[id(fault)] = uuid4().hex
        _log.error("unexpected_error", reference=reference, exc_info=fault)
    message = internal(reference).message
    return Refused(code=RefusalCode.INTERNAL, message=message, execution=None, approval=None)


async def carry_out_one(context: Context, command: Command) -> CommandResult:
    """Send one command to the writer. Raises the exception of a fault."""
    [result] = await carry_out(context, [command])
    if isinstance(result, Exception):
        raise result
    return result


def _show(
    context: Context, command: Command, outcome: outcomes.Outcome
) -> CommandResult | Exception:
    if isinstance(outcome, Exception):
        return outcome
    execution, approval = _visible(context, outcome.execution, outcome.ordinal)
    if isinstance(outcome, outcomes.Accepted):
        return Accepted(
            position=position_text(outcome.position, outcome.hash),
            at=outcome.at,
            repeated=outcome.repeated,
            execution=execution,
            approval=approval,
            asked=_asked(command, outcome),
        )
    if outcome.code is RefusalCode.STEP_UP_REQUIRED:
        _ask_for_login(context, outcome)
    return Refused(
        code=outcome.code, message=outcome.message, execution=execution, approval=approval
    )


def _asked(
    command: Command, accepted: outcomes.Accepted
) -> tuple[state.Execution, approval_state.Approval] | None:
    """Return the approval of a request, also if the caller may not see it."""
    if not isinstance(command, RequestApproval) or accepted.ordinal is None:
        return None
    return accepted.execution, accepted.execution.approvals[accepted.ordinal]


def _ask_for_login(context: Context, refused: outcomes.Refused) -> None:
    """Say over HTTP which login is asked for, by RFC 9470."""
    assert refused.execution is not None
    assert refused.ordinal is not None
    policy = refused.execution.approvals[refused.ordinal].policy
    context.commands.challenge = step_up.challenge(policy)


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
