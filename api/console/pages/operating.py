"""What operators do with executions: start, signal, cancel, retry, park and unpark."""

from typing import Any
from uuid import uuid4

from starlette.responses import Response

from api.console.catalogue import N_
from api.console.forms import Form
from api.console.pages.execution import found_execution, page_of
from api.console.responses import see_other
from api.console.visit import Visit, not_allowed, not_found
from api.graphql.caller import trace_of
from api.graphql.json_body import decode_json
from application.command_handling.outcomes import Accepted, Refused
from application.command_handling.requests import Request
from domain import authorization
from domain.execution.commands import (
    CancelExecution,
    Command,
    ParkExecution,
    RetryExecution,
    SendSignal,
    StartExecution,
    UnparkExecution,
)
from domain.execution.state import Execution
from domain.refusals import RefusalCode

_STATUS = {
    RefusalCode.FORBIDDEN: 403,
    RefusalCode.INVALID_INPUT: 422,
    RefusalCode.NOT_FOUND: 404,
    RefusalCode.OVERLOADED: 503,
    RefusalCode.OUTCOME_UNKNOWN: 503,
}
EMPTY = {"workflow": "", "queue": "default", "input": "", "on_behalf_of": ""}


async def new(visit: Visit) -> Response:
    """Show the form that starts an execution."""
    _check_operator(visit)
    return visit.page("start.html", refusal="", typed=EMPTY)


async def start(visit: Visit) -> Response:
    """Start an execution. A second click finds the first: the page gave the form a key."""
    _check_operator(visit)
    form = visit.form
    typed = {name: form.value(name) for name in EMPTY}
    try:
        given = _json(form, "input")
    except ValueError as error:
        return visit.page("start.html", status=422, refusal=str(error), typed=typed)
    command = StartExecution(
        by=visit.principal,
        execution_id=uuid4(),
        workflow=form.value("workflow").strip(),
        queue=form.word("queue") or "default",
        input=given,
        on_behalf_of=form.word("on_behalf_of"),
        key=form.word("key"),
    )
    outcome = await _send(visit, command)
    if isinstance(outcome, Refused):
        status = _STATUS.get(outcome.code, 409)
        return visit.page("start.html", status=status, refusal=outcome.message, typed=typed)
    return see_other(f"/executions/{outcome.execution.id}")


async def post(visit: Visit) -> Response:
    """Do what the address says with an execution."""
    _check_operator(visit)
    execution = await found_execution(visit)
    try:
        command = _command(visit, execution, visit.request.path_params["action"])
    except ValueError as error:
        return await page_of(visit, refusal=str(error), status=422)
    if command is None:
        raise not_found(visit)
    outcome = await _send(visit, command)
    if isinstance(outcome, Refused):
        return await page_of(
            visit, refusal=_refusal(visit, outcome), status=_STATUS.get(outcome.code, 409)
        )
    return see_other(f"/executions/{execution.id}")


def _command(visit: Visit, execution: Execution, action: str) -> Command | None:
    by, form, execution_id = visit.principal, visit.form, execution.id
    match action:
        case "signal":
            return SendSignal(
                by=by,
                execution_id=execution_id,
                name=form.value("name").strip(),
                key=form.word("key") or str(uuid4()),
                payload=_json(form, "payload"),
            )
        case "cancel":
            return CancelExecution(by=by, execution_id=execution_id, reason=form.value("reason"))
        case "retry":
            # The version at which the page saw that it had failed.
            version = form.number("version") or 0
            return RetryExecution(by=by, execution_id=execution_id, expected_version=version)
        case "park":
            return ParkExecution(by=by, execution_id=execution_id, reason=form.value("reason"))
        case "unpark":
            return UnparkExecution(by=by, execution_id=execution_id)
        case _:
            return None


async def _send(visit: Visit, command: Command) -> Accepted | Refused:
    trace = trace_of(visit.request.headers)
    request = Request(command=command, command_id=uuid4(), trace=trace)
    [outcome] = await visit.services.writer.handle([request], chained=False)
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _json(form: Form, name: str) -> Any:
    """Return a field with JSON in it, null if it is empty. Raises ValueError."""
    text = form.value(name).strip()
    return decode_json(text.encode("utf-8", "surrogatepass"), name) if text else None


def _refusal(visit: Visit, outcome: Refused) -> str:
    if outcome.code is RefusalCode.VERSION_CONFLICT:
        return visit.text(CHANGED)
    return outcome.message


CHANGED = N_("The execution went on since you opened this page. Look at it again before you retry.")


def _check_operator(visit: Visit) -> None:
    if authorization.OPERATORS.isdisjoint(visit.principal.roles):
        raise not_allowed(visit)
