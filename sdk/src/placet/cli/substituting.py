"""The commands about substitutes: list, set and end who decides in somebody's absence."""

from typing import Annotated

import typer

from placet.cli import moments
from placet.cli.access import anywhere, run
from placet.cli.reading import After, AsJson, First, print_page
from placet.cli.terminal import errors, line, when
from placet.client.client import Client
from placet.models.responses import Page
from placet.models.substitutes import Substitute

substitute = typer.Typer(
    help="Who decides in your absence.", no_args_is_help=True, rich_markup_mode=None
)

Person = Annotated[
    str | None, typer.Option("--for", metavar="USER", help="As an ADMIN: of this person.")
]


def listed(
    context: typer.Context,
    person: Annotated[str | None, typer.Option(metavar="USER", help="Of this person.")] = None,
    first: First = 50,
    after: After = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List your substitutes and whose you are, or as an auditor those of everybody."""

    async def show(client: Client) -> None:
        page = await client.substitutes(person, first=first, after=after, count=not as_json)
        print_page(page, print_substitutes, as_json=as_json, nothing="No substitutes.")

    run(context, show)


def set_(
    context: typer.Context,
    who: Annotated[str, typer.Argument(metavar="USER", help="Who decides instead.")],
    until: Annotated[
        str, typer.Option(metavar="MOMENT", help=f"Until then: {moments.AHEAD_HELP}.")
    ],
    since: Annotated[
        str | None, typer.Option(metavar="MOMENT", help="From then on; by default from now.")
    ] = None,
    group: Annotated[
        list[str] | None, typer.Option(help="Only for this group of yours; may be repeated.")
    ] = None,
    person: Person = None,
    comment: Annotated[str | None, typer.Option(help="Why, for those who look.")] = None,
) -> None:
    """Have somebody else decide in your absence: what is pending then, and what comes."""
    result = run(
        context,
        lambda client: client.set_substitute(
            who,
            starts_at=None if since is None else moments.moment(since, ahead=True),
            ends_at=moments.moment(until, ahead=True),
            groups=group or None,
            person=person,
            comment=comment,
        ),
    )
    for warning in result.warnings:
        errors.print(f"placet: {warning}", markup=False)
    if result.substitute is not None:
        line(_sentence(result.substitute))


def end(
    context: typer.Context,
    number: Annotated[int, typer.Argument(metavar="NUMBER", help="As `list` shows it.")],
    person: Person = None,
    reason: Annotated[str | None, typer.Option(help="Why, for those who look.")] = None,
) -> None:
    """End a substitution before its time. What the substitute decided stays."""
    run(context, lambda client: client.end_substitute(number, person=person, reason=reason))
    line("ended")


substitute.command("list")(anywhere(listed))
substitute.command("set")(anywhere(set_))
substitute.command("end")(anywhere(end))


def print_substitutes(page: Page[Substitute]) -> None:
    """Print one line for each substitution."""
    for row in page:
        line(_sentence(row))


def _sentence(row: Substitute) -> str:
    groups = "" if row.groups is None else f" for {', '.join(row.groups)}"
    by = "" if row.set_by.id == row.person.id else f", set by {row.set_by.id}"
    return (
        f"{row.number}. {row.substitute.id} decides for {row.person.id}{groups} "
        f"from {when(row.starts_at)} until {when(row.ends_at)}{by}"
    )
