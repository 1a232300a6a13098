"""Sends the commands of mutations' inputs, and names malformed ids in their refusals."""

from collections.abc import Sequence
from typing import Protocol

import msgspec
from strawberry.types import Info

from api.context import Context, context_of
from api.errors import limit_exceeded
from api.schema.enums import RefusalCode
from api.schema.ids import malformed
from api.schema.inputs import chosen
from api.schema.results import CommandResult, Refused, carry_out_all, carry_out_one
from domain.approvals.commands import RequestApproval
from domain.execution.commands import Command
from domain.values import Principal


class Input(Protocol):
    """The input of one command."""

    def command(self, by: Principal) -> Command:
        """Make the command."""
        ...


Results = list[CommandResult]


async def send_one(info: Info, given: Input) -> CommandResult:
    """Carry out the command of an input. Raises the exception of a fault."""
    context = context_of(info)
    result = await carry_out_one(context, _command(context, given))
    _name_malformed(result, given)
    return result


async def send_many(
    info: Info,
    given: Sequence[Input],
    limit: int,
    *,
    chained: bool = False,
) -> Results:
    """Carry out the commands of inputs. Raises LIMIT_EXCEEDED for more than ``limit``.

    ``chained``: after a refused command, later ones of the same execution are skipped.
    """
    if len(given) > limit:
        msg = f"the request has {len(given)} commands, the limit is {limit}; send several requests"
        raise limit_exceeded(msg)
    context = context_of(info)
    commands = [_command(context, one) for one in given]
    results = await carry_out_all(context, commands, chained=chained)
    for one, result in zip(given, results, strict=True):
        _name_malformed(result, one)
    # graphql-core reports an exception in the list as an error of that entry only.
    return results  # type: ignore[return-value]


def _command(context: Context, given: Input) -> Command:
    """Make the command, with the working hours of the calendar that it names."""
    command = given.command(context.principal)
    if isinstance(command, RequestApproval) and command.policy.calendar is not None:
        hours = context.services.calendars.get(command.policy.calendar)
        return msgspec.structs.replace(command, working_hours=hours)
    return command


def _name_malformed(result: CommandResult | Exception, given: object) -> None:
    """Put a malformed id into the message of its refusal.

    The command has another id in its place, which the caller has never seen.
    """
    if isinstance(result, Refused) and result.code is RefusalCode.NOT_FOUND:
        result.message = malformed(chosen(given)) or result.message
