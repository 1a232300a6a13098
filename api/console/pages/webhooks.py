"""Webhooks: administrators make them, give them another secret, and delete them.

A secret is on the page that answers the form, once.
"""

from datetime import timedelta
from urllib.parse import quote

import structlog
from starlette.responses import Response

from api.console.pages.keys import OVERLAPS
from api.console.responses import see_other
from api.console.visit import Visit, not_allowed, not_found
from application.webhooks.event_types import TYPES
from application.webhooks.registrations import UnknownWebhookError, Webhook, WebhookError
from domain import authorization

_log = structlog.get_logger(__name__)

PATH = "/operations/webhooks"
TYPED = ("name", "url", "workflows", "groups")


async def show(visit: Visit) -> Response:
    """List the webhooks, with the form that makes one."""
    _check(visit)
    return await _page(visit)


async def make(visit: Visit) -> Response:
    """Make a webhook, and show its secret."""
    _check(visit)
    form = visit.form
    try:
        webhook, secret = await visit.services.webhooks.create(
            form.value("name").strip(),
            form.value("url").strip(),
            types=form.all("type"),
            workflows=_names(form.value("workflows")),
            groups=_names(form.value("groups")),
            include_payload=form.has("payload"),
            by=visit.principal.id,
        )
    except (ValueError, WebhookError) as error:
        return await _page(visit, refusal=str(error), status=422)
    _log.info("webhook_created", name=webhook.name, by=visit.principal.name)
    return visit.page("webhook_secret.html", name=webhook.name, secret=secret)


async def change(visit: Visit) -> Response:
    """Show what rotating and deleting a webhook would do, with the forms that do it."""
    _check(visit)
    return _change_form(visit, await _found(visit, visit.query.value("name")))


async def rotate(visit: Visit) -> Response:
    """Give a webhook another secret, and show it."""
    _check(visit)
    webhook = await _found(visit, visit.form.value("name"))
    hours = visit.form.value("overlap")
    if hours not in OVERLAPS:
        refusal = visit.text("Choose when the old secret ends.")
        return _change_form(visit, webhook, refusal=refusal, status=422)
    try:
        _, secret = await visit.services.webhooks.rotate(
            webhook.id, overlap=timedelta(hours=int(hours)), by=visit.principal.id
        )
    except UnknownWebhookError as error:
        raise not_found(visit) from error
    _log.info("webhook_rotated", name=webhook.name, by=visit.principal.name)
    return visit.page("webhook_secret.html", name=webhook.name, secret=secret)


async def delete(visit: Visit) -> Response:
    """Delete a webhook."""
    _check(visit)
    webhook = await _found(visit, visit.form.value("name"))
    if visit.form.value("sure") != "yes":
        refusal = visit.text("Say that nobody needs it any more.")
        return _change_form(visit, webhook, refusal=refusal, status=422)
    try:
        await visit.services.webhooks.delete(webhook.id, visit.principal.id)
    except UnknownWebhookError as error:
        raise not_found(visit) from error
    _log.info("webhook_deleted", name=webhook.name, by=visit.principal.name)
    return see_other(PATH)


async def _page(visit: Visit, *, refusal: str = "", status: int = 200) -> Response:
    form = visit.form
    return visit.page(
        "webhooks.html",
        status=status,
        rows=await visit.services.webhooks.all(),
        types=sorted(TYPES.values()),
        refusal=refusal,
        typed={name: form.value(name) for name in TYPED},
        chosen=form.all("type"),
        payload=form.has("payload"),
    )


def _change_form(
    visit: Visit, webhook: Webhook, *, refusal: str = "", status: int = 200
) -> Response:
    return visit.page(
        "webhook_change.html",
        status=status,
        webhook=webhook,
        overlaps=OVERLAPS,
        refusal=refusal,
        here=f"{PATH}/change?name={quote(webhook.name)}",
    )


async def _found(visit: Visit, name: str) -> Webhook:
    webhook = await visit.services.webhooks.named(name) if name.isprintable() else None
    if webhook is None:
        raise not_found(visit)
    return webhook


def _names(text: str) -> list[str]:
    return [name for part in text.replace("\n", ",").split(",") if (name := part.strip())]


def _check(visit: Visit) -> None:
    if not authorization.administers(visit.principal):
        raise not_allowed(visit)
