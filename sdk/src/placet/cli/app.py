"""The commands."""

import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Any

import typer

from placet.approvals.gate import Gate
from placet.cli import render
from placet.cli.access import Access, anywhere, errors, run
from placet.cli.waits import Waits, waits
from placet.client.client import Client
from placet.errors import PlacetError
from placet.models.commands import ApprovalFilter, EventFilter, ExecutionFilter
from placet.models.enums import ApprovalStatus, ExecutionState
from placet.models.responses import (
    Accepted,
    Approval,
    Execution,
    History,
    Page,
    RecordedEvent,
    Transcript,
)
from placet.policy import require

app = typer.Typer(
    help="Executions that stop for approval.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
First = Annotated[int, typer.Option("--first", min=1, max=500, help="At most so many.")]
After = Annotated[str | None, typer.Option(metavar="CURSOR", help="Those that come after this.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Id = Annotated[str, typer.Argument(metavar="ID")]

NOTHING_TO_DECIDE = "Nothing waits for your decision; --all shows what else you may see."


@app.callback()
def options(  # noqa: D103 - the command's help is the application's
    context: typer.Context,
    url: Annotated[
        str, typer.Option(envvar="PLACET_URL", help="The service.")
    ] = "http://127.0.0.1:8000",
    token: Annotated[
        str | None, typer.Option(envvar="PLACET_TOKEN", help="Who you are.", show_default=False)
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--as", metavar="NAME", help="In development: act as approver-a, say."),
    ] = None,
    data: Annotated[
        Path, typer.Option(help="In development: the service's directory, for --as.")
    ] = Path(".placet"),
) -> None:
    context.obj = Access(url, token, name, data)


@app.command()
@anywhere
def executions(
    context: typer.Context,
    state: Annotated[
        list[ExecutionState] | None, typer.Option(case_sensitive=False, help="In this state.")
    ] = None,
    workflow: Annotated[list[str] | None, typer.Option(help="Of this workflow.")] = None,
    first: First = 50,
    after: After = None,
    *,
    parked: Annotated[bool, typer.Option("--parked", help="Only what is parked.")] = False,
    as_json: AsJson = False,
) -> None:
    """List executions, the latest first."""
    where = ExecutionFilter(state=state or None, workflow=workflow or None, parked=parked or None)
    page = run(context, lambda client: client.executions(where, first=first, after=after))
    nothing = "No such execution that you may see."
    _print_page(page, render.print_executions, as_json=as_json, nothing=nothing)


@app.command()
@anywhere
def approvals(
    context: typer.Context,
    status: Annotated[
        list[ApprovalStatus] | None, typer.Option(case_sensitive=False, help="With this status.")
    ] = None,
    first: First = 50,
    after: After = None,
    *,
    everyone: Annotated[
        bool, typer.Option("--all", help="Not only what waits for your decision.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the approvals that wait for your decision."""
    if everyone or status:
        where = ApprovalFilter(status=status or None)
    else:
        where = ApprovalFilter(status=[ApprovalStatus.PENDING], decidable_by_viewer=True)
    page = run(context, lambda client: client.approvals(where, first=first, after=after))
    nothing = "No such approval that you may see." if everyone or status else NOTHING_TO_DECIDE
    _print_page(page, render.print_approvals, as_json=as_json, nothing=nothing)


@app.command()
@anywhere
def show(context: typer.Context, id_: Id, *, as_json: AsJson = False) -> None:
    """Show an execution, and what it waits for, or an approval."""

    async def find(client: Client) -> tuple[History | Approval, Waits]:
        history = await client.history(id_)
        if history is not None:
            return history, Waits() if as_json else await waits(client, id_)
        approval = await client.approval(id_)
        if approval is None:
            raise PlacetError(f"there is no execution or approval {id_!r} that you may see")
        return approval, Waits()

    found, waiting = run(context, find)
    if as_json:
        render.print_json(found)
    elif isinstance(found, Approval):
        render.print_approval(found)
    else:
        render.print_history(found, waiting)


@app.command()
@anywhere
def transcript(context: typer.Context, id_: Id) -> None:
    """Print an execution's transcript, to be replayed by placet.testing against other code."""

    async def find(client: Client) -> Transcript:
        found = await client.transcript(id_)
        if found is None:
            raise await _no_execution(client, id_)
        return found

    render.print_json(run(context, find))


@app.command()
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


@app.command()
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


@app.command()
@anywhere
def events(
    context: typer.Context,
    execution: Annotated[str | None, typer.Option(metavar="ID", help="Of this one only.")] = None,
    after: Annotated[str | None, typer.Option(help="After this position.")] = None,
    *,
    follow: Annotated[bool, typer.Option("--follow", help="Go on as they happen.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print events in the order of the log, from its beginning or with --follow from now on."""
    where = EventFilter(execution_id=execution)
    show_event = render.print_json if as_json else render.print_event
    print_all = (_follow if follow else _list)(where, after, show_event)

    async def work(client: Client) -> None:
        if execution is not None:
            await _execution(client, execution)
        await print_all(client)

    run(context, work)


@app.command()
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


@app.command()
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
        await _execution(client, id_)
        accepted = await client.signal(id_, name, value, key=key)
        try:
            return accepted, await client.execution(id_)
        except PlacetError:
            # It was sent, and who is told of an error would send it again.
            return accepted, None

    accepted, execution = run(context, send)
    render.print_sent(accepted, execution, name)


@app.command()
@anywhere
def cancel(
    context: typer.Context,
    id_: Id,
    reason: Annotated[str, typer.Option(help="Why. It is recorded.")],
) -> None:
    """Cancel an execution; its open approvals are withdrawn."""

    async def end(client: Client) -> Accepted:
        return await client.cancel((await _execution(client, id_)).id, reason)

    accepted = run(context, end)
    render.out.print(f"cancelled{_before(accepted)}", markup=False)


@app.command()
@anywhere
def retry(context: typer.Context, id_: Id) -> None:
    """Run a failed execution on from what is recorded."""

    async def again(client: Client) -> Accepted:
        return await client.retry(await _execution(client, id_))

    accepted = run(context, again)
    render.out.print(f"it runs on{_before(accepted)}", markup=False)


@app.command()
@anywhere
def unpark(context: typer.Context, id_: Id) -> None:
    """Let workers go on with a parked execution."""

    async def free(client: Client) -> Accepted:
        return await client.unpark((await _execution(client, id_)).id)

    accepted = run(context, free)
    render.out.print("not parked any more" if accepted.repeated else "unparked", markup=False)


@app.command()
@anywhere
def mcp(
    context: typer.Context,
    group: Annotated[list[str] | None, typer.Option(help="People of this group decide.")] = None,
    user: Annotated[list[str] | None, typer.Option(help="This person decides.")] = None,
    count: Annotated[int, typer.Option(min=1, help="So many have to agree.")] = 1,
    on_behalf_of: Annotated[
        str | None, typer.Option(metavar="USER", help="For whom the agent works; can't decide.")
    ] = None,
    queue: Annotated[str, typer.Option(help="One that no engine serves.")] = "gates",
) -> None:
    """Serve an agent tools over MCP by which it asks people before it acts."""
    if not group and not user:
        raise typer.BadParameter("needed, or --user: who decides?", param_hint="--group")
    try:
        from placet.mcp import serve  # noqa: PLC0415 - an extra, and slow to import
    except ModuleNotFoundError as error:
        errors.print(f"placet: {error}", style="red", markup=False)
        raise typer.Exit(1) from error
    policy = require(count, groups=group or (), users=user or ())
    run(
        context,
        lambda client: serve(Gate(client, queue=queue), policy, on_behalf_of=on_behalf_of),
    )


def main() -> None:
    """Run the command."""
    app()


def _json(text: str, option: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"not JSON: {error}", param_hint=option) from error


def _print_page(
    page: Page[Any], table: Callable[[Page[Any]], None], *, as_json: bool, nothing: str
) -> None:
    if as_json:
        for row in page:
            render.print_json(row)
    elif page:
        table(page)
    else:
        # What reads the output of a list finds no line in it.
        typer.echo(nothing, err=True)
    if page.next is not None:
        typer.echo(f"There are more: --after {page.next}", err=True)


def _shown(context: typer.Context, id_: str, question: str, *, yes: bool) -> Approval:
    """Print the approval and ask. What is then decided is what was printed."""

    async def find(client: Client) -> Approval:
        found = await client.approval(id_)
        if found is None:
            # Whoever may decide need not see the execution, so it is not asked for itself.
            where = ApprovalFilter(execution_id=id_, status=[ApprovalStatus.PENDING])
            raise PlacetError(_no_approval(id_, list(await client.approvals(where))))
        return found

    approval = run(context, find)
    render.print_approval(approval)
    if not yes:
        if not sys.stdin.isatty():
            raise typer.BadParameter(
                "needed where there is no terminal to ask at", param_hint="--yes"
            )
        typer.confirm(question, abort=True)
    return approval


async def _execution(client: Client, id_: str) -> Execution:
    """Give the execution. Raises PlacetError if there is none, as far as the caller can see."""
    execution = await client.execution(id_)
    if execution is None:
        raise await _no_execution(client, id_)
    return execution


async def _no_execution(client: Client, id_: str) -> PlacetError:
    approval = await client.approval(id_)
    if approval is None:
        return PlacetError(f"there is no execution {id_!r} that you may see")
    return PlacetError(f"{id_!r} is an approval; its execution is {approval.execution_id}")


def _before(accepted: Accepted) -> str:
    return " (it was so already)" if accepted.repeated else ""


def _no_approval(id_: str, pending: Sequence[Approval]) -> str:
    if not pending:
        return f"there is no approval {id_!r} that you may see"
    ids = ", ".join(f"{each.id} ({each.title or 'erased'})" for each in pending)
    return f"{id_!r} is an execution; what is decided on is an approval of it: {render.safe(ids)}"


def _report(accepted: Accepted) -> None:
    if accepted.approval is None:
        return
    repeated = " (you had decided so already)" if accepted.repeated else ""
    needed = render.missing(accepted.approval.outstanding)
    still = f", still needed: {needed}" if accepted.approval.resolved_at is None and needed else ""
    render.out.print(f"{accepted.approval.status}{repeated}{still}", markup=False, soft_wrap=True)


def _list(
    where: EventFilter, after: str | None, show_event: Callable[[RecordedEvent], None]
) -> Callable[[Client], Awaitable[None]]:
    async def work(client: Client) -> None:
        cursor = after
        while True:
            page = await client.events(where, after=cursor, first=500)
            for event in page:
                show_event(event)
            if (cursor := page.next) is None:
                return

    return work


def _follow(
    where: EventFilter, after: str | None, show_event: Callable[[RecordedEvent], None]
) -> Callable[[Client], Awaitable[None]]:
    async def work(client: Client) -> None:
        async with aclosing(client.events_stream(where, after=after)) as stream:
            async for message in stream:
                if message.event is not None:
                    show_event(message.event)

    return work
