"""The commands that read what is there: lists, one execution or approval, transcripts."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Any

import typer

from placet.cli import details
from placet.cli.access import anywhere, run
from placet.cli.execution_waits import ExecutionWaits, read_waits
from placet.cli.lists import print_approvals, print_executions
from placet.cli.lookup import Id, existing_approval, existing_execution, full_approval
from placet.cli.moments import HELP, moment
from placet.cli.terminal import print_json, show_all
from placet.cli.watching import watch
from placet.client.client import Client
from placet.errors import PlacetError
from placet.models.commands import ApprovalFilter, ExecutionFilter, LabelInput
from placet.models.enums import ApprovalOrder, ApprovalStatus, ExecutionOrder, ExecutionState
from placet.models.responses import Approval, Execution, History, Page
from placet.models.rules import MAX_PAGE
from placet.models.worker_responses import Transcript

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="All that match, as comma-separated values.")]
First = Annotated[int, typer.Option("--first", min=1, max=MAX_PAGE, help="At most so many.")]
After = Annotated[str | None, typer.Option(metavar="CURSOR", help="Those that come after this.")]
Workflow = Annotated[list[str] | None, typer.Option(help="Of this workflow.")]
Words = Annotated[str | None, typer.Option("--text", help="With these words.")]
Watch = Annotated[bool, typer.Option("--watch", help="Print it again when something changes.")]
Since = Annotated[str | None, typer.Option(metavar="MOMENT", help=f"From then on: {HELP}.")]
Until = Annotated[str | None, typer.Option(metavar="MOMENT", help="Up to then.")]

NOTHING_TO_DECIDE = "Nothing waits for your decision; --all shows what else you may see."


@anywhere
def executions(
    context: typer.Context,
    state: Annotated[
        list[ExecutionState] | None, typer.Option(case_sensitive=False, help="In this state.")
    ] = None,
    workflow: Workflow = None,
    queue: Annotated[list[str] | None, typer.Option(help="On this queue.")] = None,
    initiator: Annotated[list[str] | None, typer.Option(help="Started by this one.")] = None,
    label: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="With this label.")
    ] = None,
    since: Since = None,
    until: Until = None,
    text: Words = None,
    first: First = 50,
    after: After = None,
    order: Annotated[
        ExecutionOrder, typer.Option(case_sensitive=False, help="In this order.")
    ] = ExecutionOrder.STARTED_DESC,
    *,
    parked: Annotated[bool, typer.Option("--parked", help="Only what is parked.")] = False,
    watching: Watch = False,
    as_json: AsJson = False,
) -> None:
    """List executions, the latest first."""
    where = ExecutionFilter(
        state=state or None,
        workflow=workflow or None,
        queue=queue or None,
        initiator=initiator or None,
        labels=[_label(each) for each in label] if label else None,
        started_after=None if since is None else moment(since),
        started_before=None if until is None else moment(until),
        text=text,
        parked=parked or None,
    )

    async def read(client: Client, at_least: str | None = None) -> Page[Execution]:
        return await client.executions(
            where, order=order, first=first, after=after, at_least=at_least, count=not as_json
        )

    def show(page: Page[Execution]) -> None:
        nothing = "No such execution that you may see."
        print_page(page, print_executions, as_json=as_json, nothing=nothing)

    async def work(client: Client) -> None:
        if watching:
            await watch(partial(read, client), show, lambda seen: client.events_stream(after=seen))
        else:
            show(await read(client))

    run(context, work)


@anywhere
def approvals(
    context: typer.Context,
    status: Annotated[
        list[ApprovalStatus] | None, typer.Option(case_sensitive=False, help="With this status.")
    ] = None,
    group: Annotated[list[str] | None, typer.Option(help="Of which this group is asked.")] = None,
    workflow: Workflow = None,
    execution: Annotated[
        str | None, typer.Option(metavar="ID", help="Of this execution only.")
    ] = None,
    due_before: Annotated[
        str | None, typer.Option(metavar="MOMENT", help="With a deadline before then.")
    ] = None,
    text: Words = None,
    first: First = 50,
    after: After = None,
    order: Annotated[
        ApprovalOrder, typer.Option(case_sensitive=False, help="In this order.")
    ] = ApprovalOrder.REQUESTED_ASC,
    at: Annotated[
        str | None,
        typer.Option(metavar="MOMENT", help=f"What was pending then, for everyone: {HELP}."),
    ] = None,
    *,
    everyone: Annotated[
        bool, typer.Option("--all", help="Not only what waits for your decision.")
    ] = False,
    watching: Watch = False,
    as_json: AsJson = False,
) -> None:
    """List the approvals that wait for your decision."""
    as_of = None if at is None else moment(at)
    chosen = everyone or bool(status) or as_of is not None
    pending = None if chosen else [ApprovalStatus.PENDING]
    where = ApprovalFilter(
        status=status or pending,
        decidable_by_viewer=None if chosen else True,
        group=group or None,
        workflow=workflow or None,
        id_begins_with=execution,
        deadline_before=None if due_before is None else moment(due_before),
        text=text,
    )
    only_pending = not chosen or as_of is not None
    if watching and as_of is not None:
        raise typer.BadParameter(
            "what was pending at a moment does not change: leave out --at", param_hint="--watch"
        )

    async def read(client: Client, at_least: str | None = None) -> Page[Approval]:
        return await client.approvals(
            where,
            order=order,
            first=first,
            after=after,
            at_least=at_least,
            as_of=as_of,
            count=not as_json,
        )

    def show(page: Page[Approval]) -> None:
        print_page(
            page,
            lambda found: print_approvals(found, only_pending=only_pending),
            as_json=as_json,
            nothing="No such approval that you may see." if chosen else NOTHING_TO_DECIDE,
        )

    async def work(client: Client) -> None:
        if watching:
            stream = partial(client.approvals_stream, where)
            await watch(partial(read, client), show, lambda seen: stream(after=seen))
        else:
            show(await read(client))

    run(context, work)


@anywhere
def show(
    context: typer.Context,
    id_: Id,
    *,
    raw: Annotated[
        bool, typer.Option("--raw", help="With the document as it is digested, and versions.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show an execution, and what it waits for, or an approval."""

    async def find(client: Client) -> tuple[History | Approval, list[str]]:
        found = await _found(client, id_)
        if isinstance(found, Approval):
            if raw:
                return found, list(details.raw_approval_lines(found))
            if as_json:
                return found, []
            return found, list(details.approval_lines(*await full_approval(client, found)))
        waits = ExecutionWaits() if as_json else await read_waits(client, found.execution.id)
        children = [] if as_json else await client.children(found.execution.id)
        return found, list(details.execution_lines(found, waits, children, raw=raw))

    found, lines = run(context, find)
    if as_json:
        print_json(found)
    else:
        show_all(lines)


@anywhere
def transcript(context: typer.Context, id_: Id) -> None:
    """Print an execution's transcript, to be replayed by placet.testing against other code."""

    async def find(client: Client) -> Transcript:
        execution = await existing_execution(client, id_)
        found = await client.transcript(execution.id)
        assert found is not None
        return found

    print_json(run(context, find))


def print_page(
    page: Page[Any], table: Callable[[Page[Any]], None], *, as_json: bool, nothing: str
) -> None:
    """Print the rows of a page, and how to go on after it."""
    if as_json:
        for row in page:
            print_json(row)
    elif page:
        table(page)
    else:
        # On stderr, so that programs that read the list find no line in it.
        typer.echo(nothing, err=True)
    if page.next is not None:
        typer.echo(f"There are more: --after {page.next}", err=True)


async def _found(client: Client, typed: str) -> History | Approval:
    """Find an execution or an approval. What has a dot is an approval."""
    attempts: list[Callable[[Client, str], Awaitable[Execution | Approval]]] = [existing_approval]
    if "." not in typed:
        attempts.insert(0, existing_execution)
    error: PlacetError | None = None
    for attempt in attempts:
        try:
            found = await attempt(client, typed)
        except PlacetError as refused:
            if "several" in str(refused):
                raise
            error = error or refused
            continue
        if isinstance(found, Approval):
            return found
        history = await client.history(found.id)
        assert history is not None
        return history
    if error is not None and "there is no" not in str(error):
        raise error
    raise PlacetError(f"there is no execution or approval {typed!r} that you may see")


def _label(text: str) -> LabelInput:
    name, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter("a label is NAME=VALUE", param_hint="--label")
    return LabelInput(name=name, value=value)
