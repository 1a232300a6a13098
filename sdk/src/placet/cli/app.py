"""The ``placet`` command with its options and all its subcommands."""

from pathlib import Path
from typing import Annotated

import typer

from placet.approvals.gate import Gate
from placet.cli.access import Access, anywhere, errors, run
from placet.cli.changing import approve, cancel, reject, retry, signal, start, unpark
from placet.cli.reading import approvals, events, executions, show, transcript
from placet.policy import require

app = typer.Typer(
    help="Executions that stop for approval.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


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


for _command in (
    executions,
    approvals,
    show,
    transcript,
    approve,
    reject,
    events,
    start,
    signal,
    cancel,
    retry,
    unpark,
    mcp,
):
    app.command()(_command)


def main() -> None:
    """Run the command."""
    app()
