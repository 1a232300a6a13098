"""A dependency with which an endpoint acts once, after people have agreed."""

import asyncio
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Header
from starlette.requests import Request
from starlette.responses import JSONResponse

from placet._util.json_text import RepeatedNameError, parsed
from placet.approvals.clearance import Clearance
from placet.approvals.gate import Gate
from placet.errors import (
    Doubt,
    InvalidInput,
    InvalidTransition,
    KeyReused,
    Lapsed,
    NotCleared,
    Overloaded,
    Revoked,
    StepFailed,
    Unavailable,
)
from placet.fastapi.early_response import IDEMPOTENCY, EarlyResponse, problem
from placet.fastapi.header import NAME, idempotency_key
from placet.fastapi.middleware import SLOT, Slot, replayed
from placet.fastapi.template import template_of
from placet.models.enums import ApprovalStatus
from placet.models.responses import Approval, Step
from placet.policy import Policy


class Guard:
    """A dependency for FastAPI: ``Depends(guard)`` gives the endpoint a Guarded.

    In Starlette, use ``await guard(request)``. ``caller`` returns who sends a request. With it each
    caller has keys of their own, and the four-eyes rule keeps the caller from deciding. Without it
    a caller who knows the key and the body of another gets the other's response. ``retry_after``:
    after how many seconds a client should ask again.
    """

    def __init__(
        self,
        gate: Gate | Callable[[], Gate],
        *,
        caller: Callable[[Request], str] | None = None,
        retry_after: int = 5,
    ) -> None:
        self._gate = gate
        self._caller = caller
        self._retry_after = retry_after

    async def __call__(
        self,
        request: Request,
        _key: Annotated[
            str | None, Header(alias=NAME, description="Names this request when it is repeated.")
        ] = None,
    ) -> "Guarded":
        """Return the guarded request. Nobody is asked yet.

        A request without a key, or with a name twice in an object of its JSON, gets a 400.
        """
        slot = request.scope.get(SLOT)
        if slot is None:
            msg = "a guarded endpoint needs app.add_middleware(placet.fastapi.ApprovalMiddleware)"
            raise RuntimeError(msg)
        slot.guarded = True
        with slot.answering():
            key = idempotency_key(request)
            await _check_names(request)
        return Guarded(
            request,
            slot,
            gate=self._gate if isinstance(self._gate, Gate) else self._gate(),
            key=key,
            caller=None if self._caller is None else self._caller(request),
            retry_after=self._retry_after,
        )


class Guarded:
    """One request to a guarded endpoint."""

    def __init__(
        self,
        request: Request,
        slot: Slot,
        *,
        gate: Gate,
        key: str,
        caller: str | None,
        retry_after: int,
    ) -> None:
        self._request = request
        self._slot = slot
        self._gate = gate
        self._key = key
        self._caller = caller
        self._retry_after = retry_after

    def cleared(
        self,
        payload: Any,
        *,
        title: str,
        policy: Policy,
        description: str | None = None,
        form: Any = None,
        name: str | None = None,
    ) -> Coroutine[Any, Any, Clearance]:
        """Go on if people have agreed to ``payload`` and the request has not been carried out yet.

        What follows this call runs once for the request's Idempotency-Key, and its response is
        recorded. In all other cases the endpoint is left here, and the client gets:

        - 202 while people decide, with Location and Retry-After;
        - the recorded response, if the request was carried out before;
        - 403 if it was rejected, expired or withdrawn, or granted and then cancelled; 422 if the
          key was used with another payload, or the service does not take this one; 409 while it is
          being carried out; 500 if it failed; 503 if the service is away.

        ``payload``: what is to be done, as JSON or models of pydantic; Decimals become strings.
        Where the policy is amendable, people may have agreed to another: ``clearance.payload``.
        ``form``: what those who grant have to answer, as a model of pydantic, a dataclass or a dict
        with a JSON Schema; ``answers`` of the clearance are of that type.
        ``name``: the kind of request, by default the method and the path of the route. Raises
        RuntimeError outside of an event loop, and for a second call in one request, which has one
        key and so one approval.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError as error:
            msg = "a guarded endpoint awaits cleared(): make the endpoint async def, not def"
            raise RuntimeError(msg) from error
        name = name or f"{self._request.method} {template_of(self._request.scope)}"
        asked = {"title": title, "policy": policy, "description": description, "form": form}
        return self._answering(name, payload, **asked)

    async def _answering(self, name: str, payload: Any, **more: Any) -> Clearance:
        if self._slot.asked:
            msg = (
                f"{name} awaits cleared() twice in one request, which has one {NAME} and one"
                " response: put all that is to be approved into one payload"
            )
            raise RuntimeError(msg)
        self._slot.asked = True
        with self._slot.answering():
            return await self._cleared(name, payload, **more)

    async def _cleared(self, name: str, payload: Any, *, form: Any, **more: Any) -> Clearance:
        try:
            approval = await self._asked(name, payload, form=form, **more)
            clearance = await self._clearance(approval, form)
            recorded = await self._redeemed(clearance)
        except KeyReused as error:
            detail = f"this {NAME} was used for another request"
            raise _unprocessable("KEY_REUSED", detail, kind=IDEMPOTENCY) from error
        except Doubt as error:
            detail = "this request is being carried out, or it is not known whether it was"
            raise problem(HTTPStatus.CONFLICT, "OUTSTANDING", detail, kind=IDEMPOTENCY) from error
        except StepFailed as error:
            # The text of the error is for the log. It may say more than a client should know.
            detail = "this request was carried out and failed"
            raise problem(HTTPStatus.INTERNAL_SERVER_ERROR, "FAILED", detail) from error
        except (Unavailable, Overloaded) as error:
            raise problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "UNAVAILABLE",
                "approvals can't be requested at the moment",
                headers=self._again(),
            ) from error
        if recorded is not None:
            raise EarlyResponse(replayed(recorded.result))
        self._slot.gate, self._slot.clearance, self._slot.name = self._gate, clearance, name
        return clearance

    async def _asked(self, name: str, payload: Any, **more: Any) -> Approval:
        """Ask for approval, and answer 422 for what the service does not take."""
        key = self._key if self._caller is None else f"{self._caller}/{self._key}"
        try:
            return await self._gate.ask(
                name, key, payload=payload, on_behalf_of=self._caller, **more
            )
        except InvalidTransition as error:
            detail = f"the request that this {NAME} was used for ended before people were asked"
            raise _unprocessable("KEY_REUSED", detail, kind=IDEMPOTENCY) from error
        except InvalidInput as error:
            raise _unprocessable("INVALID_INPUT", error.message) from error
        except ValueError as error:
            # A missing payload, or one of a type that is not JSON, is a bug of the endpoint.
            if payload is None or isinstance(error.__cause__, TypeError):
                raise
            raise _unprocessable("INVALID_INPUT", str(error)) from error

    async def _redeemed(self, clearance: Clearance) -> Step | None:
        try:
            return await self._gate.redeem(clearance)
        except (Lapsed, Revoked) as error:
            code = "APPROVAL_LAPSED" if isinstance(error, Lapsed) else "APPROVAL_REVOKED"
            detail = "this request was granted, and the grant can't be used any more"
            approval_id = clearance.approval.id
            raise problem(HTTPStatus.FORBIDDEN, code, detail, approval=approval_id) from error
        except InvalidTransition as error:
            approval = await self._gate.client.approval(clearance.approval.id)
            if approval is None or approval.redeemed_at is not None:
                raise
            detail = "this request was granted, and its execution ended before it was carried out"
            raise problem(
                HTTPStatus.FORBIDDEN, "EXECUTION_ENDED", detail, approval=approval.id
            ) from error

    async def _clearance(self, approval: Approval, form: Any) -> Clearance:
        if approval.status is ApprovalStatus.PENDING:
            raise EarlyResponse(self._pending(approval))
        try:
            return await self._gate.clearance(approval, form=form, revisable=False)
        except NotCleared as error:
            said = next((d.comment for d in reversed(approval.decisions) if d.comment), None)
            raise problem(
                HTTPStatus.FORBIDDEN,
                f"APPROVAL_{approval.status}",
                f"{approval.status.lower()}: {said}" if said else approval.status.lower(),
                approval=approval.id,
            ) from error

    def _pending(self, approval: Approval) -> JSONResponse:
        body = {
            "title": HTTPStatus.ACCEPTED.phrase,
            "status": HTTPStatus.ACCEPTED,
            "detail": f"waiting for approval; repeat the request with the same {NAME}",
            "code": "APPROVAL_PENDING",
            "approval": approval.id,
        }
        headers = self._again() | {"location": str(self._request.url)}
        return JSONResponse(body, HTTPStatus.ACCEPTED, headers=headers)

    def _again(self) -> dict[str, str]:
        return {"retry-after": str(self._retry_after)}


async def _check_names(request: Request) -> None:
    """Answer 400 for a body in which a JSON object has a name twice.

    The framework takes the last of the two values. Whoever sent or passed on the request may have
    read the first, and people agree to what they are shown.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        return
    try:
        parsed(await request.body(), "the body")
    except RepeatedNameError as error:
        raise problem(HTTPStatus.BAD_REQUEST, "BAD_REQUEST", str(error)) from error
    except ValueError:
        # What is no JSON is for the endpoint to refuse, if it reads it at all.
        return


def _unprocessable(code: str, detail: str, **more: Any) -> EarlyResponse:
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, code, detail, **more)
