"""Webhooks: only an ADMIN sees and changes them."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Annotated

import strawberry
from strawberry.types import Info

from api.channels.webhooks.administration import DEFAULT_OVERLAP
from api.context import Context, context_of
from api.errors import forbidden
from api.schema.arguments import described
from api.schema.enums import RefusalCode
from api.schema.ids import execution_id_of
from api.schema.inputs.webhooks import WebhookInput
from application.webhooks import registrations
from application.webhooks.registrations import UnknownWebhookError, WebhookError
from domain import authorization

_NEEDS_ADMIN = "webhooks are seen and changed with the role ADMIN only"

WebhookId = Annotated[strawberry.ID, described("The id of the webhook.")]


@strawberry.type(
    description="A program of others that is told of the events of approvals. Its secrets are not "
    "shown."
)
class Webhook:
    id: strawberry.ID
    name: str
    url: str
    types: list[str] = strawberry.field(description="The types of its events; empty: all.")
    workflows: list[str] = strawberry.field(description="Of these workflows; empty: of all.")
    groups: list[str] = strawberry.field(
        description="Of approvals whose policy names one of these groups; empty: of all."
    )
    include_payload: bool = strawberry.field(
        description="Whether the payload is sent too, and what people wrote."
    )
    created_at: datetime
    created_by: str | None = strawberry.field(
        description="The id of who made it; null if it was made from the command line."
    )
    rotated_at: datetime | None = strawberry.field(description="When its secret was changed last.")
    rotated_by: str | None = strawberry.field(description="The id of who changed its secret last.")
    previous_secret_until: datetime | None = strawberry.field(
        description="Until when messages are signed with the secret before, too."
    )
    disabled_at: datetime | None = strawberry.field(
        description="Since when nothing is sent to it; null: it is in use."
    )
    disabled_reason: str | None = strawberry.field(description="Why nothing is sent to it.")

    @classmethod
    def of(cls, webhook: registrations.Webhook) -> "Webhook":
        """Make the GraphQL type of a webhook, with sorted lists."""
        return cls(
            id=strawberry.ID(str(webhook.id)),
            name=webhook.name,
            url=webhook.url,
            types=sorted(webhook.types),
            workflows=sorted(webhook.workflows),
            groups=sorted(webhook.groups),
            include_payload=webhook.include_payload,
            created_at=webhook.created_at,
            created_by=webhook.created_by,
            rotated_at=webhook.rotated_at,
            rotated_by=webhook.rotated_by,
            previous_secret_until=webhook.previous_until,
            disabled_at=webhook.disabled_at,
            disabled_reason=webhook.disabled_reason,
        )


@strawberry.type(
    description="The result of a change of a webhook. With a code it was refused, and nothing was "
    "changed."
)
class WebhookResult:
    webhook: Webhook | None = None
    secret: str | None = strawberry.field(
        default=None,
        description="The new secret, if one was made. It is never shown again.",
    )
    code: RefusalCode | None = None
    message: str | None = None


Change = Callable[[], Awaitable[tuple[registrations.Webhook, str | None]]]


@strawberry.type
class WebhookMutations:
    @strawberry.mutation(
        description="Creates a webhook and returns its secret, with which its messages are signed. "
        "Needs the role ADMIN."
    )
    async def create_webhook(
        self,
        info: Info,
        input: Annotated[WebhookInput, described("Where it goes, and what it gets.")],  # noqa: A002
    ) -> WebhookResult | None:
        context = context_of(info)

        async def change() -> tuple[registrations.Webhook, str | None]:
            return await context.services.webhooks.create(
                input.name,
                input.url,
                types=input.types or (),
                workflows=input.workflows or (),
                groups=input.groups or (),
                include_payload=bool(input.include_payload),
                by=context.principal.id,
            )

        return await _carry_out(context, change)

    @strawberry.mutation(
        description="Gives a webhook another secret and returns it. For a time, messages are "
        "signed with both. Needs the role ADMIN."
    )
    async def rotate_webhook_secret(
        self,
        info: Info,
        id: WebhookId,  # noqa: A002
        overlap: Annotated[
            timedelta | None,
            described(
                "For how long messages are signed with the secret before, too: 0 to 30 days."
            ),
        ] = DEFAULT_OVERLAP,
    ) -> WebhookResult | None:
        context = context_of(info)

        async def change() -> tuple[registrations.Webhook, str | None]:
            return await context.services.webhooks.rotate(
                execution_id_of(id),
                overlap=DEFAULT_OVERLAP if overlap is None else overlap,
                by=context.principal.id,
            )

        return await _carry_out(context, change)

    @strawberry.mutation(
        description="Deletes a webhook. What waits to be sent to it is not sent. Needs the role "
        "ADMIN."
    )
    async def delete_webhook(self, info: Info, id: WebhookId) -> WebhookResult | None:  # noqa: A002
        context = context_of(info)

        async def change() -> tuple[registrations.Webhook, str | None]:
            by = context.principal.id
            return await context.services.webhooks.delete(execution_id_of(id), by), None

        return await _carry_out(context, change)


async def webhooks(context: Context) -> list[Webhook]:
    """Return all webhooks, in the order of their creation. Raises FORBIDDEN."""
    if not authorization.administers(context.principal):
        raise forbidden(_NEEDS_ADMIN)
    return [Webhook.of(each) for each in await context.services.webhooks.all()]


async def _carry_out(context: Context, change: Change) -> WebhookResult:
    if not authorization.administers(context.principal):
        return WebhookResult(code=RefusalCode.FORBIDDEN, message=_NEEDS_ADMIN)
    try:
        webhook, secret = await change()
    except UnknownWebhookError as error:
        return WebhookResult(code=RefusalCode.NOT_FOUND, message=str(error))
    except (WebhookError, ValueError) as error:
        return WebhookResult(code=RefusalCode.INVALID_INPUT, message=str(error))
    return WebhookResult(webhook=Webhook.of(webhook), secret=secret)
