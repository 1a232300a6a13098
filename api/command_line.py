"""What the commands of ``placet-server`` share: the database, and errors in one line."""

import asyncio
import getpass
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

import msgspec
import psycopg
import typer
from psycopg_pool import AsyncConnectionPool

from api.database import reading_pool
from api.database_session import session_conninfo, without_setting_variables
from api.embedded_postgres.errors import EmbeddedError
from api.embedded_postgres.supervisor import embedded_database
from api.migration import DatabaseUnfitError, migrate
from api.settings import ConfigurationError, Settings
from application.api_keys import DuplicateNameError, KeyChangedError
from application.command_handling.outcomes import UnavailableError
from application.command_handling.writer import Writer
from application.event_store.recent_events import RecentEvents
from application.event_store.store import ExecutionEventStore
from application.webhooks.registrations import WebhookError
from domain.authorization import COMMAND_LINE
from domain.values import Principal
from projections.runtime.rebuild import BusyError

T = TypeVar("T")

Data = Annotated[
    Path | None,
    typer.Option("--data", help="Data directory [default: .placet].", show_default=False),
]


@contextmanager
def plain_errors() -> Iterator[None]:
    """Print errors that the user can fix as one line, without a traceback."""
    try:
        yield
    except (
        ConfigurationError,
        DatabaseUnfitError,
        EmbeddedError,
        DuplicateNameError,
        KeyChangedError,
        UnavailableError,
        WebhookError,
        BusyError,
        ValueError,
    ) as error:
        fail(str(error))
    except psycopg.OperationalError as error:
        fail(f"the database can't be reached: {error}")
    except psycopg.errors.InsufficientPrivilege as error:
        fail(
            f"the database reports an error: {_first_line(error)}; run this as the owner of the "
            "tables, or give the role of PLACET_DATABASE_URL the right"
        )
    except psycopg.Error as error:
        fail(f"the database reports an error: {_first_line(error)}")


def _first_line(error: psycopg.Error) -> str:
    return str(error).partition("\n")[0]


def fail(message: str) -> NoReturn:
    """Print a message and end with status 1."""
    typer.echo(f"placet-server: {message}", err=True)
    raise typer.Exit(1)


def operator() -> Principal:
    """Return who runs this command, as events record it: with the name of the system's user."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        # The user of a container may have no name.
        return COMMAND_LINE
    return msgspec.structs.replace(COMMAND_LINE, name=f"{COMMAND_LINE.name} ({user})")


@contextmanager
def database(settings: Settings, *, share: bool) -> Iterator[str]:
    """Give the connection string of the database, which is started if it is the embedded one."""
    with without_setting_variables(), ExitStack() as stack:
        url = settings.database_url
        if url is None:
            url = stack.enter_context(embedded_database(settings.data, share=share))
        yield session_conninfo(url)


def with_pool(
    data: Path | None, work: Callable[[AsyncConnectionPool, Settings], Awaitable[T]]
) -> T:
    """Return what ``work`` makes of the database, which has all tables."""

    async def run_it(url: str, settings: Settings) -> T:
        async with reading_pool(url, settings) as pool:
            return await work(pool, settings)

    with plain_errors():
        settings = Settings.read(data=data)
        with database(settings, share=True) as url:
            migrate(url)
            return asyncio.run(run_it(url, settings))


def with_writer(
    data: Path | None, work: Callable[[AsyncConnectionPool, Writer], Awaitable[T]]
) -> T:
    """Do the same with a writer of its own. Servers may run on the database meanwhile."""

    async def run_it(pool: AsyncConnectionPool, settings: Settings) -> T:
        assert isinstance(pool.conninfo, str)
        log = ExecutionEventStore(
            pool.conninfo,
            lock_timeout=settings.lock_timeout,
            idle_in_transaction_timeout=settings.idle_in_transaction_timeout,
        )
        writer = Writer(log, RecentEvents())
        writer.start()
        try:
            return await work(pool, writer)
        finally:
            await writer.close()
            log.close()

    return with_pool(data, run_it)
