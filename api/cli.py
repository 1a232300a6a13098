"""The command ``placet-server``."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

import psycopg
import typer

from api import logs
from api.database import migrate, reading_pool
from api.dev_tokens import dev_principals
from api.embedded_postgres.errors import EmbeddedError
from api.embedded_postgres.supervisor import embedded_database
from api.settings import ConfigurationError, Settings, describe
from application.api_keys import ApiKey, ApiKeys, DuplicateNameError
from application.event_store.verification.kept_state import KeptState
from application.event_store.verification.log_audit import Verification
from application.event_store.verification.report import report
from domain.values import Role
from projections.registry import MODELS
from projections.runtime.audit import ReadModelAudit
from projections.runtime.rebuild import BusyError, rebuild

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

Data = Annotated[
    Path | None,
    typer.Option("--data", help="Data directory [default: .placet].", show_default=False),
]


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Print errors that the user can fix as one line, without a traceback."""
    try:
        yield
    except (ConfigurationError, EmbeddedError, DuplicateNameError, BusyError, ValueError) as error:
        _fail(str(error))
    except psycopg.OperationalError as error:
        _fail(f"the database can't be reached: {error}")
    except psycopg.Error as error:
        _fail(f"the database reports an error: {error}")


def _fail(message: str) -> NoReturn:
    typer.echo(f"placet-server: {message}", err=True)
    raise typer.Exit(1)


@contextmanager
def _database(settings: Settings, *, share: bool) -> Iterator[str]:
    if settings.database_url is not None:
        yield settings.database_url
    else:
        with embedded_database(settings.data, share=share) as url:
            yield url


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
    from api.uvicorn_server import Signals, run  # noqa: PLC0415

    with _plain_errors():
        settings = Settings.read(host=host, port=port, data=data)
        mode = settings.resolved_mode()
        logs.configure(settings.log_level)
        development = dev_principals(settings.data) if mode == "development" else {}
        where = (
            f"embedded PostgreSQL in {settings.data}"
            if settings.database_url is None
            else "PostgreSQL of PLACET_DATABASE_URL"
        )
        ready = f"placet-server is ready on {{url}} ({mode}, {where})"
        signals = Signals()
        with _database(settings, share=False) as url:
            run(settings, url, development, ready, signals)


@cli.command("migrate")
def migrate_command(data: Data = None) -> None:
    """Create missing tables. It is safe to run this at any time."""
    with _plain_errors(), _database(Settings.read(data=data), share=True) as url:
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
    with _plain_errors():
        if name not in MODELS:
            _fail(f"there is no read model {name!r}; there are {', '.join(MODELS)}")
        with _database(Settings.read(data=data), share=True) as url:
            done = rebuild(url, MODELS[name])
    typer.echo(
        f"{done.name}: {done.events} events in {done.seconds:.1f} s ({done.rate:.0f}/s), "
        f"true up to position {done.position}"
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
    with _plain_errors(), _database(Settings.read(data=data), share=True) as url:
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
        _fail(f"{found} findings in {verification.events} events")
    typer.echo("nothing was found")


def _with_keys(data: Path | None, work: Callable[[ApiKeys], Awaitable[T]]) -> T:
    async def run_it(url: str, settings: Settings) -> T:
        async with reading_pool(url, settings) as pool:
            return await work(ApiKeys(pool))

    with _plain_errors():
        settings = Settings.read(data=data)
        with _database(settings, share=True) as url:
            migrate(url)
            return asyncio.run(run_it(url, settings))


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
        )

    typer.echo(_with_keys(data, work))


@tokens.command("list")
def list_tokens(data: Data = None) -> None:
    """List all keys, one JSON object per line, without their tokens."""

    async def work(keys: ApiKeys) -> Sequence[ApiKey]:
        return await keys.all()

    for key in _with_keys(data, work):
        typer.echo(json.dumps(key.shown()))


@tokens.command("revoke")
def revoke_token(
    name: Annotated[str, typer.Argument(help="Name of the key.")], data: Data = None
) -> None:
    """Revoke a key. All servers refuse it within a second.

    Idle connections are closed within five more seconds.
    """

    async def work(keys: ApiKeys) -> str | None:
        if await keys.revoke(name):
            return None
        known = any(key.name == name for key in await keys.all())
        return f"{name!r} is already revoked" if known else f"there is no key {name!r}"

    if problem := _with_keys(data, work):
        _fail(problem)
    typer.echo(f"{name} is revoked")


if __name__ == "__main__":
    sys.exit(cli())
