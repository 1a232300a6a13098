"""The commands ``placet-server mail-test`` and ``placet-server outbox``."""

import asyncio
import json
from typing import Annotated
from uuid import UUID, uuid4

import typer
from psycopg_pool import AsyncConnectionPool

from api.channels.email.channel import EmailChannel
from api.command_line import Data, fail, plain_errors, with_pool
from api.settings import Settings
from application.notifications.channel import DeliveryFailed
from application.notifications.message import MessageStatus
from application.notifications.outbox_query import OutboxFilter, OutboxQuery, OutboxRow
from application.notifications.restores import hold

outbox = typer.Typer(
    help="Manage the messages that wait to be sent, or could not be.",
    no_args_is_help=True,
    rich_markup_mode=None,
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
    typer.echo(f"{held} messages are kept back; placet-server outbox resend sends them")


@outbox.command("dead")
def dead_command(
    channel: Annotated[str | None, typer.Option(help="Only those of this channel.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=10_000)] = 1_000,
    data: Data = None,
) -> None:
    """List dead letters and why they are, the newest first, one JSON object per line."""
    wanted = OutboxFilter(channel=channel, status=[MessageStatus.DEAD])

    async def work(pool: AsyncConnectionPool, _settings: Settings) -> tuple[list[OutboxRow], bool]:
        return await OutboxQuery(pool, pool).page(wanted, first=limit)

    rows, more = with_pool(data, work)
    for row in rows:
        typer.echo(json.dumps(_shown(row)))
    if more:
        typer.echo(f"there are more than {limit}; see more with --limit", err=True)


def _shown(row: OutboxRow) -> dict[str, str | int | None]:
    return {
        "id": str(row.id),
        "kind": str(row.kind),
        "recipient": row.recipient,
        "channel": row.channel,
        "approval": None if row.approval_id is None else str(row.approval_id),
        "tries": row.tries,
        "ended_at": None if row.ended_at is None else row.ended_at.isoformat(),
        "reason": row.last_error,
    }


@outbox.command("resend")
def resend_command(
    ids: Annotated[
        list[UUID] | None, typer.Argument(help="Ids of dead letters.", show_default=False)
    ] = None,
    channel: Annotated[
        str | None, typer.Option(help="Send all dead letters of this channel instead.")
    ] = None,
    data: Data = None,
) -> None:
    """Send dead letters again: those with these ids, or all of a channel."""
    if bool(ids) == (channel is not None):
        fail("give the ids of dead letters, or --channel; placet-server outbox dead lists them")

    async def work(pool: AsyncConnectionPool, _settings: Settings) -> int:
        outbox_query = OutboxQuery(pool, pool)
        if channel is not None:
            return await outbox_query.resend_channel(channel)
        return await outbox_query.resend(ids or [])

    typer.echo(f"{with_pool(data, work)} messages are sent again")
