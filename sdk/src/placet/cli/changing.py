"""The commands that change executions: start, signal, cancel, retry, park, unpark."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from placet._util.json_text import parsed
from placet.cli.access import anywhere, run
from placet.cli.lookup import Id, existing_execution
from placet.cli.terminal import line
from placet.client.client import Client
from placet.errors import PlacetError
from placet.models.responses import Accepted, Execution


@anywhere
def start(
    context: typer.Context,
    workflow: Annotated[str, typer.Argument(metavar="WORKFLOW")],
    given: Annotated[
        str,
        typer.Option("--input", metavar="JSON|@FILE", help="What it gets; @- is standard input."),
    ] = "null",
    key: Annotated[str | None, typer.Option(help="Start it once only under this key.")] = None,
    queue: Annotated[str, typer.Option(help="Where its engine looks for work.")] = "default",
) -> None:
    """Start an execution and print its id."""
    value = json_of(given, "--input")
    started = run(context, lambda client: client.start(workflow, value, key=key, queue=queue))
    line(started.id)


@anywhere
def signal(
    context: typer.Context,
    id_: Id,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    given: Annotated[
        str, typer.Option("--payload", metavar="JSON|@FILE", help="The data.")
    ] = "null",
    key: Annotated[str | None, typer.Option(help="Send it once only under this key.")] = None,
) -> None:
    """Hand data to an execution that waits, or will wait, for a signal of this name."""
    value = json_of(given, "--payload")

    async def send(client: Client) -> tuple[Accepted, Execution | None]:
        execution = await existing_execution(client, id_)
        accepted = await client.signal(execution.id, name, value, key=key)
        try:
            return accepted, await client.execution(execution.id)
        except PlacetError:
            # The signal was sent. After an error people would send it again.
            return accepted, None

    accepted, execution = run(context, send)
    line(_sent(accepted, execution, name))


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
    ended = accepted.execution is None or accepted.execution.state.final
    said = "cancelled" if ended else "to be cancelled; its workflow cleans up first"
    line(f"{said}{_before(accepted)}")


@anywhere
def retry(context: typer.Context, id_: Id) -> None:
    """Run a failed execution on from what is recorded."""

    async def again(client: Client) -> Accepted:
        return await client.retry(await existing_execution(client, id_))

    accepted = run(context, again)
    line(f"it runs on{_before(accepted)}")


@anywhere
def park(
    context: typer.Context,
    id_: Id,
    reason: Annotated[str, typer.Option(help="Why. It is recorded.")],
) -> None:
    """Keep workers from an execution until it is unparked."""

    async def hold(client: Client) -> tuple[Accepted, Execution]:
        execution = await existing_execution(client, id_)
        return await client.park(execution.id, reason), execution

    accepted, before = run(context, hold)
    if accepted.repeated and before.parked is not None:
        line(f"parked already: {before.parked}")
    else:
        line(f"parked{_before(accepted)}")


@anywhere
def unpark(context: typer.Context, id_: Id) -> None:
    """Let workers go on with a parked execution."""

    async def free(client: Client) -> Accepted:
        return await client.unpark((await existing_execution(client, id_)).id)

    accepted = run(context, free)
    line("not parked any more" if accepted.repeated else "unparked")


def _sent(accepted: Accepted, execution: Execution | None, name: str) -> str:
    """Say what becomes of a signal.

    Which names a workflow waits for is known to its worker alone, so no more is claimed than is
    so either way.
    """
    if accepted.repeated:
        return "repeated: it was sent under this key before"
    if execution is not None and execution.parked is not None:
        return f"sent; it is kept, since the execution is parked: placet unpark {execution.id}"
    return f"sent; it is kept until the workflow waits for {name!r}, if it does not yet"


def json_of(text: str, option: str) -> Any:
    """Return the JSON that was typed, or is in the file after an @. Raises typer.BadParameter."""
    try:
        return parsed(_read(text), "the value")
    except (ValueError, OSError) as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def _read(text: str) -> str | bytes:
    """Return the text, or after an @ what the file has. Raises OSError."""
    if not text.startswith("@"):
        return text
    return sys.stdin.buffer.read() if text == "@-" else Path(text[1:]).read_bytes()


def _before(accepted: Accepted) -> str:
    return " (it was already)" if accepted.repeated else ""
