"""The commands for auditors: the log, who decided what, and what another policy would change."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Annotated, Any

import msgspec
import typer

from placet._util.positions import number_of
from placet.cli.access import anywhere, run
from placet.cli.changing import json_of
from placet.cli.lists import print_decisions
from placet.cli.lookup import existing_execution
from placet.cli.moments import moment
from placet.cli.reading import (
    After,
    AsCsv,
    AsJson,
    First,
    Since,
    Until,
    Workflow,
    print_page,
)
from placet.cli.terminal import line, print_csv, print_json, when
from placet.client.client import Client
from placet.models.commands import DecisionFilter, EventFilter
from placet.models.enums import Verdict
from placet.models.responses import Page, RecordedDecision, RecordedEvent
from placet.models.rules import MAX_PAGE
from placet.policy import Policy

EVENT_COLUMNS = (
    "position", "at", "type", "execution", "version", "by", "by name", "data", "hash",
)  # fmt: skip
DECISION_COLUMNS = (
    "decided at", "verdict", "counts", "by", "by name", "in the place of", "groups", "rule",
    "stage", "workflow", "title", "approval", "asked at", "seconds taken", "comment",
    "taken back at", "approval is", "revoked at",
)  # fmt: skip


@anywhere
def events(
    context: typer.Context,
    execution: Annotated[str | None, typer.Option(metavar="ID", help="Of this one only.")] = None,
    type_: Annotated[
        list[str] | None, typer.Option("--type", metavar="TYPE", help="Such as ApprovalGranted.")
    ] = None,
    by: Annotated[list[str] | None, typer.Option(metavar="ID", help="Caused by this one.")] = None,
    workflow: Workflow = None,
    since: Since = None,
    until: Until = None,
    after: Annotated[str | None, typer.Option(help="After this position.")] = None,
    *,
    follow: Annotated[bool, typer.Option("--follow", help="Go on as they happen.")] = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Print events in the order of the log, from its beginning or with --follow from now on."""

    async def work(client: Client) -> None:
        where = EventFilter(
            execution_id=execution and (await existing_execution(client, execution)).id,
            types=type_ or None,
            actor=by or None,
            workflow=workflow or None,
            since=None if since is None else moment(since),
            until=None if until is None else moment(until),
        )
        show = print_json if as_json else _print_csv if as_csv else _print
        if as_csv:
            print_csv([EVENT_COLUMNS])
        found = _follow(client, where, after) if follow else _all(client, where, after)
        async with aclosing(found) as stream:  # type: ignore[type-var]
            async for event in stream:
                show(event)

    run(context, work)


@anywhere
def decisions(
    context: typer.Context,
    person: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Made by this one.")
    ] = None,
    on_behalf_of: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Made in the place of this one.")
    ] = None,
    group: Annotated[
        list[str] | None, typer.Option(help="Made by one of this group, which was asked.")
    ] = None,
    rule: Annotated[
        list[str] | None, typer.Option(help="Allowed by this: group:finance, user:ann, deadline.")
    ] = None,
    workflow: Workflow = None,
    execution: Annotated[str | None, typer.Option(metavar="ID", help="Of this one only.")] = None,
    verdict: Annotated[
        list[Verdict] | None, typer.Option(case_sensitive=False, help="With this verdict.")
    ] = None,
    since: Since = None,
    until: Until = None,
    first: First = 50,
    after: After = None,
    *,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """List decisions, the latest first: who, by which rule, and how long it took."""

    async def work(client: Client) -> None:
        where = DecisionFilter(
            person=person or None,
            on_behalf_of=on_behalf_of or None,
            group=group or None,
            rule=rule or None,
            workflow=workflow or None,
            execution_id=execution and (await existing_execution(client, execution)).id,
            verdict=verdict or None,
            since=None if since is None else moment(since),
            until=None if until is None else moment(until),
        )
        if as_csv:
            await _every(client, where, after)
            return
        page = await client.recorded_decisions(where, first=first, after=after, count=not as_json)
        nothing = "No such decision that you may see."
        print_page(page, print_decisions, as_json=as_json, nothing=nothing)

    run(context, work)


@anywhere
def simulate(
    context: typer.Context,
    workflow: Annotated[str, typer.Argument(metavar="WORKFLOW")],
    policy: Annotated[
        str,
        typer.Option(metavar="JSON|@FILE", help="The policy to try, as ApprovalPolicyInput."),
    ],
    key: Annotated[str | None, typer.Option(help="Only approvals with this key.")] = None,
    since: Since = None,
    until: Until = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Say which approvals of the past would have ended otherwise with another policy."""
    try:
        wanted = msgspec.convert(json_of(policy, "--policy"), Policy)
    except msgspec.ValidationError as error:
        raise typer.BadParameter(str(error), param_hint="--policy") from error

    async def work(client: Client) -> None:
        found = await client.simulate_policy(
            workflow,
            wanted,
            key=key,
            since=None if since is None else moment(since),
            until=None if until is None else moment(until),
        )
        if as_json:
            print_json(found)
            return
        for each in found.changes:
            line(f"{each.approval.title or '(erased)'}  {each.approval.id}")
            line(f"  {each.status_then}, with it {each.status_with}: {each.reason}")
        line(f"{found.different} of {found.examined} would have ended otherwise")

    run(context, work)


async def _every(client: Client, where: DecisionFilter, after: str | None) -> None:
    print_csv([DECISION_COLUMNS])

    async def page_after(cursor: str | None) -> Page[RecordedDecision]:
        return await client.recorded_decisions(where, first=MAX_PAGE, after=cursor)

    async for each in _pages(page_after, after):
        print_csv([_row(each)])


def _row(each: RecordedDecision) -> list[Any]:
    return [
        each.decided_at, each.verdict, each.counts, each.by.id, each.by.name,
        each.on_behalf_of and each.on_behalf_of.id, " ".join(each.groups), each.rule, each.stage,
        each.workflow, each.title, each.approval_id, each.asked_at, each.took.total_seconds(),
        each.comment, each.retracted_at, each.status, each.revoked_at,
    ]  # fmt: skip


async def _all(
    client: Client, where: EventFilter, after: str | None
) -> AsyncIterator[RecordedEvent]:
    async def page_after(cursor: str | None) -> Page[RecordedEvent]:
        return await client.events(where, after=cursor, first=MAX_PAGE)

    async for event in _pages(page_after, after):
        yield event


async def _pages(
    page_after: Callable[[str | None], Awaitable[Page[Any]]], cursor: str | None
) -> AsyncIterator[Any]:
    while True:
        page = await page_after(cursor)
        for row in page:
            yield row
        if (cursor := page.next) is None:
            return


async def _follow(
    client: Client, where: EventFilter, after: str | None
) -> AsyncIterator[RecordedEvent]:
    async with aclosing(client.events_stream(where, after=after)) as stream:
        async for message in stream:
            if message.event is not None:
                yield message.event


def _print(event: RecordedEvent) -> None:
    line(
        f"{number_of(event.position):>8}  {when(event.at)}  {event.execution_id} v{event.version}"
        f"  {event.type}  by {event.actor.id}"
    )


def _print_csv(event: RecordedEvent) -> None:
    print_csv(
        [
            [
                number_of(event.position), event.at, event.type, event.execution_id, event.version,
                event.actor.id, event.actor.name, event.data, event.hash,
            ]
        ]
    )  # fmt: skip
