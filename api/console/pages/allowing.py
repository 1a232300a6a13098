"""The form that allows approvals in advance: what is typed, and in plain words what that allows."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import msgspec
from starlette.responses import Response

from api.console.pages.standing_grants import PATH, STATUS_CODES, send
from api.console.responses import see_other
from api.console.templates import pretty
from api.console.views.allowed_payloads import in_words, like
from api.console.visit import Visit, not_allowed
from api.graphql.json_body import decode_json
from application.command_handling.outcomes import Refused
from domain import authorization
from domain.identifiers import ApprovalId, standing_grant_id
from domain.standing_grants.commands import MAX_LIFETIME, MAX_USES, CreateStandingGrant

FIELDS = ("workflow", "key", "schema", "uses", "until", "comment")
_LASTS = timedelta(days=30)


async def new(visit: Visit) -> Response:
    """Show the form, filled in for an approval if the address names one."""
    _check_approver(visit)
    typed = dict.fromkeys(FIELDS, "")
    typed["uses"] = "10"
    typed["until"] = (visit.formats.now + _LASTS).astimezone(visit.formats.zone).date().isoformat()
    typed["schema"] = "{}"
    return _form(visit, typed | await _of_approval(visit))


async def post(visit: Visit) -> Response:
    """Say what the form would allow, and allow it if that was confirmed.

    The page gave its form a key, so a second click finds the first grant.
    """
    _check_approver(visit)
    typed = {name: visit.form.value(name) for name in FIELDS}
    try:
        command = _command(visit, typed)
    except ValueError as error:
        return _form(visit, typed, refusal=str(error), status=422)
    if command.problem is not None:
        return _form(visit, typed, refusal=command.problem, status=422)
    if visit.form.value("confirmed") != "yes":
        return _confirmation(visit, typed, command)
    outcome = await send(visit, command)
    if isinstance(outcome, Refused):
        status = STATUS_CODES.get(outcome.code, 409)
        return _form(visit, typed, refusal=outcome.message, status=status)
    return see_other(f"{PATH}/{command.execution_id}")


def _form(visit: Visit, typed: dict[str, str], *, refusal: str = "", status: int = 200) -> Response:
    today = visit.formats.now.astimezone(visit.formats.zone).date()
    return visit.page(
        "allow.html",
        status=status,
        typed=typed,
        refusal=refusal,
        max_uses=MAX_USES,
        days=MAX_LIFETIME.days,
        earliest=today.isoformat(),
        latest=(today + MAX_LIFETIME - timedelta(days=1)).isoformat(),
    )


def _confirmation(visit: Visit, typed: dict[str, str], command: CreateStandingGrant) -> Response:
    return visit.page(
        "allow_confirm.html",
        typed=typed,
        key=visit.form.value("form_key"),
        command=command,
        allowed=in_words(command.payload_schema, visit.text),
        groups=sorted(visit.principal.groups),
    )


def _command(visit: Visit, typed: dict[str, str]) -> CreateStandingGrant:
    """Make the command. Raises ValueError with what is wrong with a field."""
    key = visit.form.word("form_key")
    by = visit.principal
    if key is None:
        raise ValueError(visit.text("This form is too old. Open it again."))
    uses = visit.form.number("uses")
    if uses is None:
        raise ValueError(visit.text("How often it may be used must be a whole number."))
    return CreateStandingGrant(
        by=by,
        execution_id=standing_grant_id(by.id, key),
        workflow=typed["workflow"].strip(),
        key=visit.form.word("key"),
        payload_schema=_schema(visit, typed["schema"]),
        max_uses=uses,
        expires_at=_end_of(visit, typed["until"]),
        comment=typed["comment"].replace("\r\n", "\n").strip(),
        idempotency_key=key,
    )


def _schema(visit: Visit, text: str) -> Any:
    if not text.strip():
        raise ValueError(visit.text("Say which payloads you allow; {} stands for any."))
    return decode_json(text.encode("utf-8", "surrogatepass"), "payloadSchema")


def _end_of(visit: Visit, text: str) -> datetime:
    """Return the end of a day in the reader's zone. Raises ValueError."""
    try:
        day = date.fromisoformat(text.strip())
    except ValueError as error:
        raise ValueError(visit.text("Say until which day, such as 2026-12-31.")) from error
    try:
        return datetime.combine(day, time.max, visit.formats.zone).astimezone(UTC)
    except OverflowError as error:
        raise ValueError(visit.text("Say until which day, such as 2026-12-31.")) from error


async def _of_approval(visit: Visit) -> dict[str, str]:
    """Return the fields for approvals like one that the viewer may see; none without one."""
    given = visit.query
    filled = {
        name: value for name in ("workflow", "key") if (value := given.word(name)) is not None
    }
    approval_id = ApprovalId.parse(given.value("approval"))
    if approval_id is None:
        return filled
    execution = await visit.services.reader.execution(approval_id.execution_id)
    approval = None if execution is None else execution.approvals.get(approval_id.ordinal)
    if execution is None or approval is None:
        return filled
    if not authorization.sees_approval(visit.principal, execution, approval):
        return filled
    return {
        "workflow": execution.workflow,
        "key": approval.key,
        "schema": pretty(like(msgspec.to_builtins(approval.payload))),
    }


def _check_approver(visit: Visit) -> None:
    if not authorization.may_decide(visit.principal):
        raise not_allowed(visit)
