"""The commands ``placet-server mail-test`` and ``placet-server outbox``."""

import asyncio
from typing import Annotated
from uuid import uuid4

import typer
from psycopg_pool import AsyncConnectionPool

from api.channels.email.channel import EmailChannel
from api.command_line import Data, fail, plain_errors, with_pool
from api.settings import Settings
from application.notifications.channel import DeliveryFailed
from application.notifications.restores import hold

outbox = typer.Typer(
    help="Manage the messages that wait to be sent.", no_args_is_help=True, rich_markup_mode=None
)


def mail_test(
    address: Annotated[str, typer.Argument(help="Where the mail goes, such as ann@example.com.")],
) -> None:
    """Send a mail by the SMTP server of PLACET_SMTP_URL, and say what it answered."""
    with plain_errors():
        settings = Settings.read()
        if settings.smtp_server is None:
            fail("there is no SMTP server; set PLACET_SMTP_URL, see docs/notifications.md")
        channel = EmailChannel(
            settings.smtp_server,
            settings.sender,
            settings.base_url,
            timeout=settings.smtp_timeout,
        )
        answer = asyncio.run(_send(channel, address))
    typer.echo(f"{settings.smtp_server} took the mail to {address} and answered: {answer}")


async def _send(channel: EmailChannel, address: str) -> str:
    try:
        return await channel.send_test(address, uuid4())
    except DeliveryFailed as failed:
        fail(failed.reason)
    finally:
        await channel.close()


@outbox.command("hold")
def hold_command(data: Data = None) -> None:
    """Keep back all messages that wait, as dead letters, and tell nobody of what was before.

    Run it after files of the database were copied back, before the first server starts.
    """

    async def work(pool: AsyncConnectionPool, _settings: Settings) -> int:
        async with pool.connection() as connection, connection.transaction():
            return await hold(connection)

    held = with_pool(data, work)
    typer.echo(f"{held} messages are kept back; the mutation resendMessages sends them")
