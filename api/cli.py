"""The command ``placet-server``."""

import json
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from api import logs
from api.command_line import Data, database, fail, operator, plain_errors, with_writer
from api.dev_tokens import dev_principals
from api.migration import migrate
from api.outbox_cli import mail_test, outbox
from api.people_cli import people
from api.settings import Settings, describe
from api.webhook_cli import webhooks
from application.api_keys import (
    ApiKey,
    ApiKeys,
)
from application.event_store.verification.kept_state import KeptState
from application.event_store.verification.log_audit import Verification
from application.event_store.verification.report import report
from domain.directory.key_commands import MAX_OVERLAP
from domain.values import Role
from projections.registry import MODELS
from projections.runtime.audit import ReadModelAudit
from projections.runtime.rebuild import rebuild

T = TypeVar("T")

cli = typer.Typer(
    help="Placet: executions that wait for people's approval.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
tokens = typer.Typer(
    help="Manage API keys of machines and people.", no_args_is_help=True, rich_markup_mode=None
)
cli.add_typer(tokens, name="token")
cli.add_typer(people, name="people")
cli.add_typer(webhooks, name="webhooks")
cli.add_typer(outbox, name="outbox")
cli.command("mail-test")(mail_test)


@cli.command(
    help="Run the server until SIGTERM or SIGINT.\n\nThe configuration is read once, from the "
    "environment. Options override it.\n\n\b\n" + describe(),
)
def up(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on [default: 127.0.0.1].")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on [default: 8000].")] = None,
    data: Data = None,
) -> None:
    """Run the server."""
    # Imported here because it takes longer than everything that the other commands do.
    from api.telemetry import traces  # noqa: PLC0415
    from api.uvicorn_server import Signals, run  # noqa: PLC0415

    with plain_errors():
        settings = Settings.read(host=host, port=port, data=data)
        mode = settings.resolved_mode()
        logs.configure(settings.log_level)
        development = dev_principals(settings.data) if mode == "development" else {}
        where = (
            f"embedded PostgreSQL in {settings.data}"
            if settings.database_url is None
            else "PostgreSQL of PLACET_DATABASE_URL"
        )
        signals = Signals()

        def ready(url: str) -> str:
            return (
                f"placet-server is ready on {url} ({mode}, {where}) and waits for requests;"
                f" people decide at {_on_this_machine(url)}/, and its log is on standard error"
            )

        with traces(os.environ), database(settings, share=False) as url:
            run(settings, url, development, ready, signals)


def _on_this_machine(url: str) -> str:
    """Return an address for a browser: one that means all of the machine's is none."""
    return url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")


@cli.command("migrate")
def migrate_command(data: Data = None) -> None:
    """Create missing tables. It is safe to run this at any time."""
    with plain_errors(), database(Settings.read(data=data), share=True) as url:
        stale = migrate(url)
    for name in stale:
        typer.echo(f"{name} is of another version; run: placet-server rebuild {name}")
    if not stale:
        typer.echo("all tables are there")


@cli.command("rebuild")
def rebuild_command(
    name: Annotated[str, typer.Argument(help="Read model: " + ", ".join(MODELS))],
    data: Data = None,
) -> None:
    """Rebuild a read model from the log. Reads continue meanwhile."""
    with plain_errors():
        if name not in MODELS:
            fail(f"there is no read model {name!r}; there are {', '.join(MODELS)}")
        with database(Settings.read(data=data), share=True) as url:
            done = rebuild(url, MODELS[name])
    typer.echo(
        f"{done.name}: {done.events} events in {done.seconds:.1f} s ({done.rate:.0f}/s), "
        f"true up to position {done.position}"
    )
    if done.unreadable:
        typer.echo(
            f"{done.unreadable} executions have an event that can't be read; their rows are as "
            "they were before it"
        )


@cli.command()
def verify(
    data: Data = None,
    state: Annotated[
        Path | None,
        typer.Option(
            help="File to compare the log with, as it was when this file was written. If nothing "
            "is found, the file is written anew. Keep it where no administrator of the database "
            "can write.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Check the log and all that follows from it, and print what no server has written."""
    with plain_errors(), database(Settings.read(data=data), share=True) as url:
        kept = None if state is None else KeptState(state)
        audits = [ReadModelAudit(model) for model in MODELS.values()]
        verification = Verification(url, [*audits, *([kept] if kept else [])])
        try:
            found = 0
            for finding in verification.findings():
                found += 1
                typer.echo(str(finding))
            for line in report(verification, found):
                typer.echo(line)
            if kept is not None and not found:
                typer.echo(f"{state} has the new state; its SHA-256 is {kept.keep()}")
        finally:
            if kept is not None:
                kept.drop()
    if found:
        fail(f"{found} findings in {verification.events} events")
    typer.echo("nothing was found")


def _with_keys(data: Path | None, work: Callable[[ApiKeys], Awaitable[T]]) -> T:
    return with_writer(data, lambda pool, writer: work(ApiKeys(pool, writer)))


@tokens.command("create")
def create_token(
    name: Annotated[str, typer.Option(help="Name of the key; it must be unique.")],
    role: Annotated[list[Role], typer.Option(help="Role; repeat the option for more.")],
    group: Annotated[
        list[str] | None, typer.Option(help="Group of the owner; repeat the option for more.")
    ] = None,
    queue: Annotated[
        list[str] | None,
        typer.Option(help="Queue that it serves; repeat the option for more [default: all]."),
    ] = None,
    owner: Annotated[
        str | None,
        typer.Option(help="Id of the person or program that uses it [default: its name]."),
    ] = None,
    days: Annotated[
        float | None,
        typer.Option(help="Days until it expires [default: never].", min=0.001, max=36_525),
    ] = None,
    data: Data = None,
) -> None:
    """Create an API key and print its token. The token is not stored and never shown again."""
    expires_at = None if days is None else datetime.now(UTC) + timedelta(days=days)

    async def work(keys: ApiKeys) -> str:
        return await keys.create(
            name,
            owner=owner,
            roles=frozenset(role),
            groups=frozenset(group or ()),
            queues=None if queue is None else frozenset(queue),
            expires_at=expires_at,
            by=operator(),
        )

    typer.echo(_with_keys(data, work))


@tokens.command("list")
def list_tokens(data: Data = None) -> None:
    """List all keys, one JSON object per line, without their tokens."""

    async def work(keys: ApiKeys) -> Sequence[ApiKey]:
        return await keys.all()

    for key in _with_keys(data, work):
        typer.echo(json.dumps(key.shown()))


@tokens.command("rotate")
def rotate_token(
    name: Annotated[str, typer.Argument(help="Name of the key.")],
    overlap: Annotated[
        float,
        typer.Option(
            help="Hours for which the present token stays valid.",
            min=0,
            max=MAX_OVERLAP.total_seconds() / 3600,
        ),
    ] = 0,
    data: Data = None,
) -> None:
    """Give a key another token and print it. It is not stored and never shown again."""

    async def work(keys: ApiKeys) -> str | None:
        key = await keys.named(name)
        if key is None:
            return None
        overlapping = timedelta(hours=overlap)
        return await keys.rotate(
            name, generation=key.generation, overlap=overlapping, by=operator()
        )

    token = _with_keys(data, work)
    if token is None:
        fail(f"there is no key {name!r}")
    typer.echo(token)


@tokens.command("revoke")
def revoke_token(
    name: Annotated[str, typer.Argument(help="Name of the key.")], data: Data = None
) -> None:
    """Revoke a key. All servers refuse it within a second.

    Idle connections are closed within five more seconds.
    """

    async def work(keys: ApiKeys) -> str | None:
        if await keys.revoke(name, operator()):
            return None
        known = any(key.name == name for key in await keys.all())
        return f"{name!r} is already revoked" if known else f"there is no key {name!r}"

    if problem := _with_keys(data, work):
        fail(problem)
    typer.echo(f"{name} is revoked")


if __name__ == "__main__":
    sys.exit(cli())
