"""The ``placet`` command with its options and all its subcommands."""

from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from placet.approvals.gate import Gate
from placet.cli.access import Access, anywhere, run
from placet.cli.auditing import decisions, events, simulate
from placet.cli.changing import cancel, park, retry, signal, start, unpark
from placet.cli.deciding import (
    approve,
    claim,
    comment,
    delegate,
    reject,
    request_changes,
    retract,
    revoke,
    unclaim,
)
from placet.cli.grants import grants
from placet.cli.reading import AsJson, approvals, executions, show, transcript
from placet.cli.substituting import substitute
from placet.cli.terminal import errors, line, prepare, print_json
from placet.client.client import Client
from placet.models.responses import Principal
from placet.policy import require

app = typer.Typer(
    help="Executions that stop for approval.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - what typer calls
    if wanted:
        line(f"placet {version('placet')}")
        raise typer.Exit


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
    *,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    context.obj = Access(url, token, name, data)


@anywhere
def whoami(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Say whom the token belongs to, and at which service."""

    async def ask(client: Client) -> tuple[Principal, str]:
        return await client.viewer(), client.url

    viewer, url = run(context, ask)
    if as_json:
        print_json(viewer)
        return
    named = viewer.id if viewer.name in {None, viewer.id} else f"{viewer.name} ({viewer.id})"
    line(named)
    line(f"Roles       {', '.join(viewer.roles) or 'none'}")
    line(f"Groups      {', '.join(viewer.groups) or 'none'}")
    if viewer.queues is not None:
        line(f"Queues      {', '.join(viewer.queues) or 'none'}")
    line(f"Service     {url}")


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
    *,
    amendable: Annotated[
        bool, typer.Option("--amendable", help="Who grants may change the payload.")
    ] = False,
) -> None:
    """Serve an agent tools over MCP by which it asks people before it acts."""
    if not group and not user:
        raise typer.BadParameter("needed, or --user: who decides?", param_hint="--group")
    try:
        from placet.mcp import serve  # noqa: PLC0415 - an extra, and slow to import
    except ModuleNotFoundError as error:
        errors.print(f"placet: {error}", style="red", markup=False)
        raise typer.Exit(1) from error
    policy = require(count, groups=group or (), users=user or (), amendable=amendable)

    async def work(client: Client) -> None:
        # A wrong token or address is told now, and not to the agent at its first request.
        await client.viewer()
        await serve(Gate(client, queue=queue), policy, on_behalf_of=on_behalf_of)

    run(context, work)


for _command in (
    executions,
    approvals,
    show,
    transcript,
    approve,
    reject,
    request_changes,
    retract,
    revoke,
    delegate,
    claim,
    unclaim,
    comment,
    events,
    decisions,
    simulate,
    whoami,
    start,
    signal,
    cancel,
    retry,
    park,
    unpark,
    mcp,
):
    app.command()(_command)
app.add_typer(grants, name="grants")
app.add_typer(substitute, name="substitute")


def main() -> None:
    """Run the command."""
    prepare()
    app()
