"""The commands about standing grants: list, create and revoke what is allowed in advance."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import typer

from placet.cli import moments
from placet.cli.access import anywhere, run
from placet.cli.changing import json_of
from placet.cli.deciding import Yes, check_can_ask
from placet.cli.lists import print_standing_grants
from placet.cli.lookup import Id
from placet.cli.reading import After, AsJson, First, print_page
from placet.cli.terminal import line, show_all, when
from placet.client.client import Client
from placet.models.enums import StandingGrantStatus

grants = typer.Typer(
    help="What people allow in advance.", no_args_is_help=True, rich_markup_mode=None
)


def listed(
    context: typer.Context,
    status: Annotated[
        list[StandingGrantStatus] | None,
        typer.Option(case_sensitive=False, help="With this status."),
    ] = None,
    by: Annotated[str | None, typer.Option(metavar="USER", help="Of this person.")] = None,
    workflow: Annotated[str | None, typer.Option(help="For this workflow.")] = None,
    first: First = 50,
    after: After = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List your standing grants, or as an auditor those of everybody, the latest first."""

    async def show(client: Client) -> None:
        page = await client.standing_grants(
            status or None,
            by=by,
            workflow=workflow,
            first=first,
            after=after,
            count=not as_json,
        )
        nothing = "No such standing grant that you may see."
        print_page(page, print_standing_grants, as_json=as_json, nothing=nothing)

    run(context, show)


def create(
    context: typer.Context,
    workflow: Annotated[str, typer.Argument(metavar="WORKFLOW")],
    uses: Annotated[int, typer.Option(min=1, help="At most so many times.")],
    until: Annotated[
        str, typer.Option(metavar="MOMENT", help="Until then; at most 90 days from now.")
    ],
    schema: Annotated[
        str,
        typer.Option(
            metavar="JSON|@FILE", help="The JSON Schema that the payload must meet; true: any."
        ),
    ],
    comment: Annotated[str, typer.Option(help="Why, for the record.")],
    key: Annotated[str | None, typer.Option(help="Only approvals with this key.")] = None,
    *,
    yes: Yes = False,
) -> None:
    """Allow approvals in advance. Each use counts as your decision."""
    payload_schema = json_of(schema, "--schema")
    expires_at = moments.moment(until, ahead=True)
    show_all([*_allowance(workflow, key, payload_schema, uses, expires_at)])
    check_can_ask(yes=yes)
    if not yes:
        typer.confirm("Allow this in advance?", abort=True)
    grant = run(
        context,
        lambda client: client.create_standing_grant(
            workflow,
            key=key,
            payload_schema=payload_schema,
            max_uses=uses,
            expires_at=expires_at,
            comment=comment,
        ),
    )
    line(grant.id)


def revoke(
    context: typer.Context,
    id_: Id,
    reason: Annotated[str, typer.Option(help="Why. It is recorded.")],
) -> None:
    """End a standing grant at once."""
    run(context, lambda client: client.revoke_standing_grant(id_, reason))
    line("revoked")


grants.command("list")(anywhere(listed))
grants.command("create")(anywhere(create))
grants.command("revoke")(anywhere(revoke))


def _allowance(
    workflow: str, key: str | None, schema: Any, uses: int, expires_at: datetime
) -> Iterator[str]:
    """Say in plain words what a standing grant would allow."""
    which = "any key" if key is None else f"the key {key!r}"
    any_payload = schema is True or schema == {}
    payload = "whatever their payload is" if any_payload else "if their payload meets:"
    yield "You allow in advance, each time as your own decision:"
    yield f"  approvals of the workflow {workflow!r} with {which}, {payload}"
    if not any_payload:
        for each in json.dumps(schema, indent=2, ensure_ascii=False).split("\n"):
            yield f"    {each}"
    times = "once" if uses == 1 else f"{uses} times"
    yield f"  at most {times}, until {when(expires_at)}, where you may decide"
    yield "  not what asks for a comment or answers, nor what was asked before"
