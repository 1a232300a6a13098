"""Runs steps. A result is recorded once; a step with a clearance is begun at most once."""

import asyncio
import logging
from typing import Any

from placet._util.canonical_json import digest
from placet._util.invoke import described
from placet._util.serde import recorded
from placet.engine.failure_codec import doubt_text, refused_text
from placet.engine.host import Host
from placet.engine.pending import Pending, PendingStep
from placet.errors import (
    BadRequest,
    InvalidInput,
    KeyReused,
    LimitExceeded,
    Nondeterministic,
    Refused,
    RequestError,
    transient,
)
from placet.models.commands import RecordStep, RedeemApproval

log = logging.getLogger("placet.engine")

MAX_PAUSE_SECONDS = 60.0


class StepRunner:
    """Runs the steps of one execution. ``redeemed``: the approvals redeemed before its claim."""

    __slots__ = ("_host", "_redeemed")

    def __init__(self, host: Host, redeemed: frozenset[str]) -> None:
        self._host = host
        self._redeemed = redeemed

    async def perform(self, pending: PendingStep) -> None:
        """Attempt a step until it succeeds or fails for good, and record each attempt."""
        if self._host.draining():
            return
        if pending.clearance is not None:
            refused = await self._redeem(pending)
            if refused is not None:
                text, cause = refused
                await self._record(pending, error=text, cause=cause)
                return
        pause = pending.pause
        failures = pending.failures
        # A redeemed step is begun even if draining has begun: no other worker could begin it.
        while True:
            try:
                value = await self._attempt(pending)
                result = recorded(value, pending.read, f"the result of {pending}")
            except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it raises is recorded
                failures += 1
                await self._record_failure(pending, described(error), error)
                if failures >= pending.attempts:
                    return
            else:
                await self._record_result(pending, result)
                return
            await self._host.sleep(pause)
            if self._host.draining():
                return
            pause = max(pause, min(pause * 2, MAX_PAUSE_SECONDS))

    async def _attempt(self, pending: PendingStep) -> Any:
        limit = asyncio.timeout(pending.timeout)
        try:
            async with limit:
                return await pending.call(self._host.threads)
        except TimeoutError as error:
            if limit.expired():
                msg = f"{pending} gave no result within {pending.timeout} s"
                raise TimeoutError(msg) from error
            raise
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # The run was not cancelled. Something inside the step was.
            msg = f"{pending} was cancelled from inside"
            raise RuntimeError(msg) from error

    async def _record_result(self, pending: PendingStep, result: Any) -> None:
        try:
            await self._record(pending, result=result)
        except (LimitExceeded, BadRequest, InvalidInput) as error:
            # Another attempt would give the same result.
            await self.refuse(pending, error, f"the result of {pending}")

    async def _record_failure(self, pending: PendingStep, text: str, error: BaseException) -> None:
        log.warning("%s of %s failed: %s", pending, self._host.execution.id, text)
        await self._record(pending, error=text, cause=error)

    async def refuse(
        self, pending: Pending, error: Refused | RequestError, what: str | None = None
    ) -> None:
        """Record that the service refused a request, as a failed attempt."""
        log.warning("%s of %s: %s", pending, self._host.execution.id, error)
        await self._record(pending, error=refused_text(what or str(pending), error), cause=error)

    async def _record(
        self,
        pending: Pending,
        *,
        result: Any = None,
        error: str | None = None,
        cause: BaseException | None = None,
    ) -> None:
        pending.tried += 1
        data = {"key": pending.key, "name": pending.name, "attempt": pending.tried}
        content = ("StepCompleted", {**data, "result": result})
        if error is not None:
            content = ("StepFailed", {**data, "error": error})
        command = RecordStep(
            execution_id=self._host.execution.id,
            fence=self._host.fence,
            key=pending.key,
            name=pending.name,
            attempt=pending.tried,
            result=result,
            error=error,
        )
        try:
            await self._host.send(command, content, cause)
        except KeyReused as refused:
            # It would be refused however often it is sent.
            msg = (
                f"{pending} can't be recorded, because its key was used for something else:"
                f" {refused.message}; what is another step needs another key"
            )
            raise Nondeterministic(msg) from refused

    async def _redeem(self, pending: PendingStep) -> tuple[str, BaseException | None] | None:
        """Redeem the clearance of a step. Returns what to record if it must not be begun."""
        clearance = pending.clearance
        assert clearance is not None
        try:
            payload_digest = digest(clearance.payload)
        except ValueError as error:
            return described(error), error
        command = RedeemApproval(
            approval_id=clearance.approval.id,
            fence=self._host.fence,
            payload_digest=payload_digest,
            redemption_key=pending.key,
        )
        try:
            redemption = await self._host.send(command)
        except Refused as error:
            if transient(error):
                raise
            return refused_text(str(pending), error), error
        # If the approval was not redeemed before the claim, only this run can have redeemed it: its
        # first answer was lost, and this is the repeat. That is no reason for doubt.
        if redemption.repeated and clearance.approval.id in self._redeemed:
            message = (
                f"{pending} had redeemed approval {clearance.approval.id} and left no result:"
                " it may have been done, so it is not begun again"
            )
            return doubt_text(message), None
        return None
