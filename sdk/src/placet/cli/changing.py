"""The commands that change something: decide, start, signal, cancel, retry, unpark."""

import json
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from placet.cli import render
from placet.cli.access import anywhere, run
from placet.cli.lookup import Id, existing_execution
from placet.client.client import Client
from placet.errors import PlacetError
from placet.models.commands import ApprovalFilter
from placet.models.enums import ApprovalStatus
from placet.models.responses import Accepted, Approval, Execution

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@anywhere
def approve(
    context: typer.Context,
    id_: Id,
    comment: Annotated[str | None, typer.Option(help="Why, for the record.")] = None,
    *,
    yes: Yes = False,
) -> None:
    """Grant an approval."""
    shown = _shown(context, id_, "Grant this?", yes=yes)
    _report(run(context, lambda client: client.grant(shown, comment=comment)))


@anywhere
def reject(
    context: typer.Context,
    id_: Id,
    comment: Annotated[str, typer.Option(help="Why, for the record.")],
    *,
    yes: Yes = False,
) -> None:
    """Reject an approval."""
    shown = _shown(context, id_, "Reject this?", yes=yes)
    _report(run(context, lambda client: client.reject(shown, comment=comment)))


@anywhere
def start(
    context: typer.Context,
    workflow: Annotated[str, typer.Argument(metavar="WORKFLOW")],
    given: Annotated[str, typer.Option("--input", metavar="JSON", help="What it gets.")] = "null",
    key: Annotated[str | None, typer.Option(help="Start it once only under this key.")] = None,
    queue: Annotated[str, typer.Option(help="Where its engine looks for work.")] = "default",
) -> None:
    """Start an execution and print its id."""
    value = _json(given, "--input")
    accepted = run(context, lambda client: client.start(workflow, value, key=key, queue=queue))
    render.out.print(accepted.execution.id if accepted.execution else "", markup=False)


@anywhere
def signal(
    context: typer.Context,
    id_: Id,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    given: Annotated[str, typer.Option("--payload", metavar="JSON", help="The data.")] = "null",
    key: Annotated[str | None, typer.Option(help="Send it once only under this key.")] = None,
) -> None:
    """Hand data to an execution that waits, or will wait, for a signal of this name."""
    value = _json(given, "--payload")

    async def send(client: Client) -> tuple[Accepted, Execution | None]:
        await existing_execution(client, id_)
        accepted = await client.signal(id_, name, value, key=key)
        try:
            return accepted, await client.execution(id_)
        except PlacetError:
            # The signal was sent. After an error people would send it again.
            return accepted, None

    accepted, execution = run(context, send)
    render.print_sent(accepted, execution, name)


@anywhere
def cancel(
    context: typer.Context,
    id_: Id,
    reason: Annotated[str, typer.Option(help="Why. It is recorded.")],
) -> None:
    """Cancel an execution; its open approvals are withdrawn."""

    async def end(client: Client) -> Accepted:
        return await client.cancel((await existing_execution(client, id_)).id, reason)

    accepted = run(context, end)
    render.out.print(f"cancelled{_before(accepted)}", markup=False)


@anywhere
def retry(context: typer.Context, id_: Id) -> None:
    """Run a failed execution on from what is recorded."""

    async def again(client: Client) -> Accepted:
        return await client.retry(await existing_execution(client, id_))

    accepted = run(context, again)
    render.out.print(f"it runs on{_before(accepted)}", markup=False)


@anywhere
def unpark(context: typer.Context, id_: Id) -> None:
    """Let workers go on with a parked execution."""

    async def free(client: Client) -> Accepted:
        return await client.unpark((await existing_execution(client, id_)).id)

    accepted = run(context, free)
    render.out.print("not parked any more" if accepted.repeated else "unparked", markup=False)


def _json(text: str, option: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"not JSON: {error}", param_hint=option) from error


def _shown(context: typer.Context, id_: str, question: str, *, yes: bool) -> Approval:
    """Print the approval and ask. The decision is about what was printed."""

    async def find(client: Client) -> Approval:
        found = await client.approval(id_)
        if found is None:
            # An approver need not see the execution, so its approvals are looked for instead.
            where = ApprovalFilter(execution_id=id_, status=[ApprovalStatus.PENDING])
            raise PlacetError(_no_approval(id_, list(await client.approvals(where))))
        return found

    approval = run(context, find)
    render.print_approval(approval)
    if not yes:
        if not sys.stdin.isatty():
            raise typer.BadParameter(
                "needed without a terminal, where nobody can be asked", param_hint="--yes"
            )
        typer.confirm(question, abort=True)
    return approval


def _before(accepted: Accepted) -> str:
    return " (it was already)" if accepted.repeated else ""


def _no_approval(id_: str, pending: Sequence[Approval]) -> str:
    if not pending:
        return f"there is no approval {id_!r} that you may see"
    ids = ", ".join(f"{each.id} ({each.title or 'erased'})" for each in pending)
    return f"{id_!r} is an execution; what is decided on is an approval of it: {render.safe(ids)}"


def _report(accepted: Accepted) -> None:
    if accepted.approval is None:
        return
    repeated = " (you had already decided that)" if accepted.repeated else ""
    needed = render.missing(accepted.approval.outstanding)
    still = f", still needed: {needed}" if accepted.approval.resolved_at is None and needed else ""
    render.out.print(f"{accepted.approval.status}{repeated}{still}", markup=False, soft_wrap=True)
