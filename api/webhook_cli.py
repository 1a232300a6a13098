"""The commands ``placet-server webhooks``."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, TypeVar
from uuid import uuid4

import typer
from psycopg_pool import AsyncConnectionPool

from api.channels.webhooks.administration import (
    DEFAULT_OVERLAP,
    WebhookAdministration,
    targets_of,
)
from api.channels.webhooks.cloud_event import trial_body
from api.channels.webhooks.sender import UnreachableError, WebhookSender
from api.channels.webhooks.signatures import signed_headers
from api.command_line import Data, fail, with_pool
from api.settings import Settings
from application.webhooks.registrations import MAX_OVERLAP, UnknownWebhookError, Webhook, Webhooks

T = TypeVar("T")
_HOUR = 3600
_SUCCESS = range(200, 300)

webhooks = typer.Typer(
    help="Manage webhooks, which are told of the events of approvals.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Name = Annotated[str, typer.Argument(help="Name of the webhook.")]


@webhooks.command("create")
def create(
    name: Annotated[str, typer.Option(help="Name of the webhook; it must be unique.")],
    url: Annotated[str, typer.Option(help="Where it goes, such as https://example.com/placet.")],
    type_: Annotated[
        list[str] | None,
        typer.Option(
            "--type",
            help="Type of events that it gets, such as placet.approval.requested.v1; repeat the "
            "option for more [default: all].",
        ),
    ] = None,
    workflow: Annotated[
        list[str] | None,
        typer.Option(help="Workflow whose approvals it gets; repeat for more [default: all]."),
    ] = None,
    group: Annotated[
        list[str] | None,
        typer.Option(
            help="Group that the approval's policy names; repeat for more [default: all]."
        ),
    ] = None,
    data: Data = None,
    *,
    include_payload: Annotated[
        bool,
        typer.Option("--include-payload", help="Send the payload too, and what people wrote."),
    ] = False,
) -> None:
    """Create a webhook and print its secret, which is never shown again."""

    async def work(administration: WebhookAdministration) -> str:
        _, secret = await administration.create(
            name,
            url,
            types=type_ or (),
            workflows=workflow or (),
            groups=group or (),
            include_payload=include_payload,
        )
        return secret

    typer.echo(_administer(data, work))


@webhooks.command("list")
def list_(data: Data = None) -> None:
    """List all webhooks, one JSON object per line, without their secrets."""

    async def work(administration: WebhookAdministration) -> list[Webhook]:
        return await administration.all()

    for webhook in _administer(data, work):
        typer.echo(json.dumps(webhook.shown()))


@webhooks.command("rotate")
def rotate(
    name: Name,
    overlap: Annotated[
        float,
        typer.Option(
            help="Hours for which messages are signed with the present secret too.",
            min=0,
            max=MAX_OVERLAP.total_seconds() / _HOUR,
        ),
    ] = DEFAULT_OVERLAP.total_seconds() / _HOUR,
    data: Data = None,
) -> None:
    """Give a webhook another secret and print it. It is never shown again."""

    async def work(administration: WebhookAdministration) -> str:
        webhook = _known(name, await administration.named(name))
        _, secret = await administration.rotate(webhook.id, overlap=timedelta(hours=overlap))
        return secret

    typer.echo(_administer(data, work))


@webhooks.command("delete")
def delete(name: Name, data: Data = None) -> None:
    """Delete a webhook. What still waits to be sent to it is not sent."""

    async def work(administration: WebhookAdministration) -> None:
        webhook = _known(name, await administration.named(name))
        await administration.delete(webhook.id)

    _administer(data, work)
    typer.echo(f"{name} is deleted")


@webhooks.command("test")
def try_it(name: Name, data: Data = None) -> None:
    """Send a message of the type placet.webhook.test.v1 from here, and print the answer's status.

    It ends with status 1 if the receiver did not answer with a status from 200 to 299.
    """

    async def work(pool: AsyncConnectionPool, settings: Settings) -> str | None:
        known = Webhooks(pool)
        webhook = _known(name, await known.named(name))
        found = await known.signing(webhook.id)
        if found is None:
            return f"{name} is disabled: {webhook.disabled_reason}"
        message_id, (_, secrets) = str(uuid4()), found
        body = trial_body(webhook.id, message_id, settings.base_url)
        headers = signed_headers(message_id, datetime.now(UTC), body, secrets)
        async with WebhookSender(targets_of(settings)) as sender:
            try:
                answer = await sender.post(webhook.url, headers, body)
            except UnreachableError as error:
                return str(error)
        if answer.status not in _SUCCESS:
            return f"the receiver answered {answer.status}"
        typer.echo(f"the receiver answered {answer.status}")
        return None

    if problem := with_pool(data, work):
        fail(problem)


def _administer(data: Path | None, work: Callable[[WebhookAdministration], Awaitable[T]]) -> T:
    return with_pool(
        data,
        lambda pool, settings: work(WebhookAdministration(Webhooks(pool), targets_of(settings))),
    )


def _known(name: str, webhook: Webhook | None) -> Webhook:
    if webhook is None:
        raise UnknownWebhookError(f"there is no webhook {name!r}")
    return webhook
