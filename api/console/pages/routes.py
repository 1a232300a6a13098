"""The addresses of all pages."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from starlette.responses import Response

from api.console.pages import (
    allowing,
    approval,
    approval_stream,
    bulk,
    execution,
    executions,
    home,
    inbox,
    keys,
    operating,
    operations,
    outbox,
    overview,
    past,
    people,
    preferences,
    provider_sign_in,
    push,
    sign_in,
    standing_grants,
    substitutes,
    token,
    views,
    webhooks,
)
from api.console.pages.audit import decisions as audit_decisions
from api.console.pages.audit import log, waiting
from api.console.visit import Visit


class Page(NamedTuple):
    """A page. A ``public`` one is also for people who are not signed in."""

    method: str
    path: str
    handler: Callable[[Visit], Awaitable[Response]]
    public: bool = False


PAGES: tuple[Page, ...] = (
    Page("GET", "/", home.home),
    Page("GET", "/sign-in", sign_in.show, public=True),
    Page("POST", "/sign-in", sign_in.sign_in, public=True),
    Page("POST", "/sign-in/provider", provider_sign_in.leave, public=True),
    Page("GET", f"{provider_sign_in.PATH}/{{alias}}", provider_sign_in.arrive, public=True),
    Page("GET", "/signed-in", sign_in.signed_in, public=True),
    Page("POST", "/sign-out", sign_in.sign_out, public=True),
    Page("GET", "/language", sign_in.choose_language, public=True),
    Page("GET", "/graphiql/token", token.show, public=True),
    Page("GET", "/inbox", inbox.show),
    Page("GET", "/inbox/stream", inbox.stream),
    Page("GET", "/inbox/{folder}", inbox.show),
    Page("POST", "/views", views.save),
    Page("POST", "/views/delete", views.delete),
    Page("GET", "/decide", bulk.show),
    Page("POST", "/decide", bulk.post),
    Page("GET", "/approvals/{id}", approval.show),
    Page("GET", "/approvals/{id}/document", approval.document),
    Page("GET", "/approvals/{id}/stream", approval_stream.stream),
    Page("POST", "/approvals/{id}/edit", approval.edit),
    Page("POST", "/approvals/{id}/step-up", provider_sign_in.step_up),
    Page("POST", "/approvals/{id}/{action}", approval.post),
    Page("GET", "/standing-grants", standing_grants.show),
    Page("GET", "/standing-grants/new", allowing.new),
    Page("POST", "/standing-grants", allowing.post),
    Page("GET", "/standing-grants/{id}", standing_grants.show_one),
    Page("POST", "/standing-grants/{id}/revoke", standing_grants.revoke),
    Page("GET", people.PATH, people.show),
    Page("GET", f"{people.PATH}/groups", people.groups),
    Page("POST", f"{people.PATH}/{{action}}", people.change),
    Page("GET", substitutes.PATH, substitutes.show),
    Page("POST", substitutes.PATH, substitutes.name),
    Page("POST", f"{substitutes.PATH}/end", substitutes.end),
    Page("GET", push.PATH, push.show),
    Page("POST", push.PATH, push.allow),
    Page("POST", f"{push.PATH}/remove", push.remove),
    Page("GET", push.WORKER, push.worker, public=True),
    Page("GET", "/overview", overview.show),
    Page("GET", "/audit", log.show),
    Page("GET", "/audit/stream", log.stream),
    Page("GET", "/audit/log.csv", log.file),
    Page("GET", "/audit/decisions", audit_decisions.show),
    Page("GET", "/audit/decisions.csv", audit_decisions.file),
    Page("GET", "/audit/waiting", waiting.show),
    Page("GET", "/audit/waiting.csv", waiting.file),
    Page("GET", "/operations", operations.show),
    Page("GET", keys.PATH, keys.show),
    Page("POST", keys.PATH, keys.make),
    Page("GET", f"{keys.PATH}/new", keys.new),
    Page("GET", f"{keys.PATH}/change", keys.change),
    Page("POST", f"{keys.PATH}/rotate", keys.rotate),
    Page("POST", f"{keys.PATH}/revoke", keys.revoke),
    Page("GET", webhooks.PATH, webhooks.show),
    Page("POST", webhooks.PATH, webhooks.make),
    Page("GET", f"{webhooks.PATH}/change", webhooks.change),
    Page("POST", f"{webhooks.PATH}/rotate", webhooks.rotate),
    Page("POST", f"{webhooks.PATH}/delete", webhooks.delete),
    Page("GET", outbox.PATH, outbox.show),
    Page("POST", f"{outbox.PATH}/resend", outbox.resend),
    Page("GET", preferences.PATH, preferences.show),
    Page("POST", preferences.PATH, preferences.save),
    Page("GET", "/executions", executions.show),
    Page("GET", "/executions/new", operating.new),
    Page("GET", "/executions/stream", executions.stream),
    Page("POST", "/executions", operating.start),
    Page("GET", "/executions/{id}", execution.show),
    Page("GET", "/executions/{id}/stream", execution.stream),
    Page("GET", "/executions/{id}/at", past.show),
    Page("POST", "/executions/{id}/{action}", operating.post),
)
