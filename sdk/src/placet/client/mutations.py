"""The client's commands.

Each can be repeated without harm, and is: while the service is overloaded, unavailable or out of
reach. A refusal is raised as :class:`placet.Refused`; where many go at once, it is an item of the
answer, because each stands or falls alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import uuid4

from placet._util.canonical_json import digest, digest_expecting
from placet._util.durations import iso_duration
from placet._util.serde import plain
from placet.client.transport.envelope import Operation
from placet.client.transport.http import HttpTransport
from placet.client.transport.operations import commands as operations
from placet.client.transport.operations.commands import Outcome
from placet.client.transport.retry import retried
from placet.errors import Refused, refusal
from placet.models.commands import (
    Cancellation,
    CancelTimer,
    Command,
    CompleteExecution,
    FailExecution,
    Grant,
    Input,
    LabelInput,
    ParkExecution,
    RecordStep,
    RedeemApproval,
    Rejection,
    RequestApproval,
    Retry,
    SendSignal,
    SetTimer,
    StartChild,
    StartExecution,
    Unparking,
    WithdrawApproval,
)
from placet.models.responses import Accepted, ApprovalRecord, Execution, RefusedResult
from placet.policy import Policy

A = TypeVar("A")

MAX_DECISIONS = 100


class Mutations:
    """What can be asked to be done. All raise RequestError, and Refused unless they give a list."""

    def __init__(self, transport: HttpTransport) -> None:
        self._transport = transport

    async def start(
        self,
        workflow: str,
        input: Any = None,  # noqa: A002 - the contract's name
        *,
        id: str | None = None,  # noqa: A002 - the contract's name
        key: str | None = None,
        version: str | None = None,
        queue: str = "default",
        labels: Mapping[str, str] | None = None,
        on_behalf_of: str | None = None,
    ) -> Accepted:
        """Start an execution.

        ``key``: an idempotency key, unique for the workflow and the token's owner. Without it the
        start is known by ``id``, a UUID that is made up if it is not given.
        """
        command = StartExecution(
            id=str(uuid4()) if id is None and key is None else id,
            workflow=workflow,
            workflow_version=version,
            queue=queue,
            input=plain(input, "input"),
            labels=[LabelInput(name=n, value=v) for n, v in (labels or {}).items()] or None,
            on_behalf_of=on_behalf_of,
            idempotency_key=key,
        )
        return await self._command(operations.START_EXECUTION, command)

    async def record_step(
        self,
        execution_id: str,
        key: str,
        *,
        name: str | None = None,
        attempt: int = 1,
        result: Any = None,
        error: str | None = None,
        fence: int | None = None,
    ) -> Accepted:
        """Record a step's result, or with ``error`` that one attempt failed.

        ``name``: by default the key.
        """
        command = RecordStep(
            execution_id=execution_id,
            fence=fence,
            key=key,
            name=name or key,
            attempt=attempt,
            result=plain(result, "result"),
            error=error,
        )
        return await self._command(operations.RECORD_STEP, command)

    async def request_approval(
        self,
        execution_id: str,
        key: str,
        title: str,
        *,
        payload: Any,
        policy: Policy,
        description: str | None = None,
        fence: int | None = None,
    ) -> Accepted:
        """Ask people to approve a payload; the answer carries the approval."""
        command = RequestApproval(
            execution_id=execution_id,
            fence=fence,
            key=key,
            title=title,
            description=description,
            payload=plain(payload, "payload"),
            policy=policy,
        )
        return await self._command(operations.REQUEST_APPROVAL, command)

    async def withdraw(
        self, approval_id: str, reason: str, *, fence: int | None = None
    ) -> Accepted:
        """Take a request for approval back."""
        command = WithdrawApproval(approval_id=approval_id, fence=fence, reason=reason)
        return await self._command(operations.WITHDRAW_APPROVAL, command)

    async def redeem(
        self, approval_id: str, payload: Any, key: str, *, fence: int | None = None
    ) -> Accepted:
        """Use a granted approval, once, for exactly this payload. ``key`` names the use."""
        command = RedeemApproval(
            approval_id=approval_id,
            fence=fence,
            payload_digest=digest(payload),
            redemption_key=key,
        )
        return await self._command(operations.REDEEM_APPROVAL, command)

    async def set_timer(
        self,
        execution_id: str,
        key: str,
        *,
        delay: timedelta | None = None,
        until: datetime | None = None,
        fence: int | None = None,
    ) -> Accepted:
        """Set a timer: after ``delay`` or at ``until``, by the database's time, never early."""
        command = SetTimer(
            execution_id=execution_id,
            fence=fence,
            key=key,
            delay=None if delay is None else iso_duration(delay),
            until=until,
        )
        return await self._command(operations.SET_TIMER, command)

    async def cancel_timer(
        self, execution_id: str, key: str, *, fence: int | None = None
    ) -> Accepted:
        """Take a timer back; once it has fired this changes nothing."""
        command = CancelTimer(execution_id=execution_id, fence=fence, key=key)
        return await self._command(operations.CANCEL_TIMER, command)

    async def signal(
        self, execution_id: str, name: str, payload: Any = None, *, key: str | None = None
    ) -> Accepted:
        """Hand data to an execution that waits, or will wait, for a signal of this name.

        ``key``: what this sending is known by, so that it can be repeated; made up if not given.
        """
        command = SendSignal(
            execution_id=execution_id,
            name=name,
            payload=plain(payload, "payload"),
            key=str(uuid4()) if key is None else key,
        )
        return await self._command(operations.SEND_SIGNAL, command)

    async def start_child(
        self,
        execution_id: str,
        key: str,
        workflow: str,
        input: Any = None,  # noqa: A002 - the contract's name
        *,
        version: str | None = None,
        queue: str = "default",
        fence: int | None = None,
    ) -> Accepted:
        """Have another execution started for this one, by the same initiator.

        How it ends is told to this one, as the event ChildEnded.
        """
        command = StartChild(
            execution_id=execution_id,
            fence=fence,
            key=key,
            workflow=workflow,
            workflow_version=version,
            queue=queue,
            input=plain(input, "input"),
        )
        return await self._command(operations.START_CHILD, command)

    async def park(self, execution_id: str, reason: str, *, fence: int | None = None) -> Accepted:
        """Keep every worker from an execution until it is unparked, and say why."""
        command = ParkExecution(execution_id=execution_id, fence=fence, reason=reason)
        return await self._command(operations.PARK_EXECUTION, command)

    async def unpark(self, execution_id: str) -> Accepted:
        """Let workers go on with a parked execution."""
        command = Unparking(execution_id=execution_id)
        return await self._command(operations.UNPARK_EXECUTION, command)

    async def complete(
        self, execution_id: str, result: Any = None, *, fence: int | None = None
    ) -> Accepted:
        """End an execution with its result."""
        command = CompleteExecution(
            execution_id=execution_id, fence=fence, result=plain(result, "result")
        )
        return await self._command(operations.COMPLETE_EXECUTION, command)

    async def fail(self, execution_id: str, error: str, *, fence: int | None = None) -> Accepted:
        """End an execution with an error; its pending approvals are withdrawn."""
        command = FailExecution(execution_id=execution_id, fence=fence, error=error)
        return await self._command(operations.FAIL_EXECUTION, command)

    async def cancel(self, execution_id: str, reason: str) -> Accepted:
        """Cancel an execution; its pending approvals are withdrawn."""
        command = Cancellation(execution_id=execution_id, reason=reason)
        return await self._command(operations.CANCEL_EXECUTION, command)

    async def retry(self, execution: Execution) -> Accepted:
        """Run a failed execution on, if it still is as the caller was shown it."""
        command = Retry(execution_id=execution.id, expected_version=execution.version)
        return await self._command(operations.RETRY_EXECUTION, command)

    async def grant(self, approval: ApprovalRecord, *, comment: str | None = None) -> Accepted:
        """Say yes to what the caller was shown.

        What is sent is the digest of the document in hand, computed here: if something else
        stands by then, that is a DigestMismatch.
        """
        return await self._command(operations.GRANT_APPROVAL, _grant(approval, comment))

    async def reject(self, approval: ApprovalRecord, *, comment: str) -> Accepted:
        """Say no to what the caller was shown, and why."""
        return await self._command(operations.REJECT_APPROVAL, _rejection(approval, comment))

    async def grant_many(
        self, approvals: Iterable[ApprovalRecord], *, comment: str | None = None
    ) -> list[Accepted | Refused]:
        """Say yes to each; one item each, in order, refusals among them."""
        inputs = [_grant(approval, comment) for approval in approvals]
        return await self._decisions(operations.GRANT_APPROVALS, inputs)

    async def reject_many(
        self, approvals: Iterable[ApprovalRecord], *, comment: str
    ) -> list[Accepted | Refused]:
        """Say no to each; one item each, in order, refusals among them."""
        inputs = [_rejection(approval, comment) for approval in approvals]
        return await self._decisions(operations.REJECT_APPROVALS, inputs)

    async def submit(self, commands: Sequence[Command]) -> list[Accepted | Refused]:
        """Send up to 256 of a worker's commands in one request; one item each, in order.

        After a refused one the later ones of the same execution are refused as SKIPPED.
        """
        outcomes = await self._transport.send(operations.SUBMIT(commands))
        return [settled(outcome) for outcome in outcomes]

    async def _decisions(
        self, operation: Operation[[Sequence[Input]], list[Outcome]], inputs: Sequence[Input]
    ) -> list[Accepted | Refused]:
        results: list[Accepted | Refused] = []
        for start in range(0, len(inputs), MAX_DECISIONS):
            some = inputs[start : start + MAX_DECISIONS]
            outcomes = await self._transport.send(operation(some))
            results.extend(settled(outcome) for outcome in outcomes)
        return results

    async def _command(self, operation: Operation[[Input], Outcome], command: Input) -> Accepted:
        bound = operation(command)

        async def once() -> Accepted:
            outcome = settled(await self._transport.send_once(bound))
            if isinstance(outcome, Refused):
                raise outcome
            return outcome

        return await retried(self._transport.retry_for, once)


def settled(outcome: A | RefusedResult) -> A | Refused:
    """Give a refusal as the exception that callers know."""
    return refusal(outcome) if isinstance(outcome, RefusedResult) else outcome


def _grant(approval: ApprovalRecord, comment: str | None) -> Grant:
    return Grant(approval_id=approval.id, digest=_shown(approval), comment=comment)


def _rejection(approval: ApprovalRecord, comment: str) -> Rejection:
    return Rejection(approval_id=approval.id, digest=_shown(approval), comment=comment)


def _shown(approval: ApprovalRecord) -> str:
    # An erased approval has no document left to digest; the service then says what it thinks of it.
    if approval.document is None:
        return approval.digest
    return digest_expecting(approval.document, approval.digest)
