"""The commands that read: lists, one execution or approval, transcripts and events."""

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Annotated, Any

import typer

from placet.cli import render
from placet.cli.access import anywhere, run
from placet.cli.execution_waits import ExecutionWaits, read_waits
from placet.cli.lookup import Id, existing_execution, no_such_execution
from placet.client.client import Client
from placet.errors import PlacetError
from placet.models.commands import ApprovalFilter, EventFilter, ExecutionFilter
from placet.models.enums import ApprovalStatus, ExecutionState
from placet.models.responses import Approval, History, Page, RecordedEvent
from placet.models.rules import MAX_PAGE
from placet.models.worker_responses import Transcript

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
First = Annotated[int, typer.Option("--first", min=1, max=MAX_PAGE, help="At most so many.")]
After = Annotated[str | None, typer.Option(metavar="CURSOR", help="Those that come after this.")]

NOTHING_TO_DECIDE = "Nothing waits for your decision; --all shows what else you may see."


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


@anywhere
def show(context: typer.Context, id_: Id, *, as_json: AsJson = False) -> None:
    """Show an execution, and what it waits for, or an approval."""

    async def find(client: Client) -> tuple[History | Approval, ExecutionWaits]:
        history = await client.history(id_)
        if history is not None:
            return history, ExecutionWaits() if as_json else await read_waits(client, id_)
        approval = await client.approval(id_)
        if approval is None:
            raise PlacetError(f"there is no execution or approval {id_!r} that you may see")
        return approval, ExecutionWaits()

    found, waiting = run(context, find)
    if as_json:
        render.print_json(found)
    elif isinstance(found, Approval):
        render.print_approval(found)
    else:
        render.print_history(found, waiting)


@anywhere
def transcript(context: typer.Context, id_: Id) -> None:
    """Print an execution's transcript, to be replayed by placet.testing against other code."""

    async def find(client: Client) -> Transcript:
        found = await client.transcript(id_)
        if found is None:
            raise await no_such_execution(client, id_)
        return found

    render.print_json(run(context, find))


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
            await existing_execution(client, execution)
        await print_all(client)

    run(context, work)


def _print_page(
    page: Page[Any], table: Callable[[Page[Any]], None], *, as_json: bool, nothing: str
) -> None:
    if as_json:
        for row in page:
            render.print_json(row)
    elif page:
        table(page)
    else:
        # On stderr, so that programs that read the list find no line in it.
        typer.echo(nothing, err=True)
    if page.next is not None:
        typer.echo(f"There are more: --after {page.next}", err=True)


def _list(
    where: EventFilter, after: str | None, show_event: Callable[[RecordedEvent], None]
) -> Callable[[Client], Awaitable[None]]:
    async def work(client: Client) -> None:
        cursor = after
        while True:
            page = await client.events(where, after=cursor, first=MAX_PAGE)
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
