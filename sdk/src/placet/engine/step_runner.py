"""Runs steps. A result is recorded once; a step with a clearance is begun at most once."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from placet._util.canonical_json import digest
from placet._util.invoke import running_task
from placet._util.serde import recorded
from placet.engine.failure_codec import (
    doubt_text,
    error_text,
    readable,
    refused_text,
    unrecordable_text,
)
from placet.engine.history import TOLD
from placet.engine.host import Host
from placet.engine.pending import Pending, PendingApproval, PendingStep
from placet.engine.step_options import attempt
from placet.errors import (
    BadRequest,
    FinalError,
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
    """Runs the steps of one execution.

    ``redeemed``: the approvals redeemed before its claim. ``failed``: by key, how the last attempt
    before its claim failed.
    """

    __slots__ = ("_failed", "_host", "_redeemed")

    def __init__(
        self, host: Host, redeemed: frozenset[str], failed: Mapping[str, str] | None = None
    ) -> None:
        self._host = host
        self._redeemed = redeemed
        self._failed = failed or {}

    async def perform(self, pending: PendingStep) -> None:
        """Attempt a step until it succeeds or fails for good, and record each attempt."""
        if self._host.draining():
            return
        if pending.clearance is not None:
            refused = await self._redeem(pending)
            if refused is not None:
                log.warning("%s of %s: %s", pending, self._host.execution.id, readable(refused))
                await self._record(pending, error=refused)
                return
        pause = pending.pause
        failures = pending.failures
        # A redeemed step is begun even if draining has begun: no other worker could begin it.
        task = asyncio.current_task()
        while True:
            try:
                attempt.set(pending.tried + 1)
                value = await self._attempt(pending)
            except BaseException as error:
                # Whatever it raises is recorded, or it would be begun anew without end.
                if _ends_task(error, task):
                    raise
                failures += 1
                final = isinstance(error, (FinalError, pending.final))
                await self._record_failure(pending, error_text(error, final=final), error)
                if final or failures >= pending.attempts:
                    return
            else:
                await self._record_result(pending, value)
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

    async def _record_result(self, pending: PendingStep, value: Any) -> None:
        # The work was done. Another attempt would do it twice, so none follows.
        what = f"the result of {pending}"
        try:
            result = recorded(value, pending.read, what)
        except Exception as error:  # noqa: BLE001 - models raise anything
            await self._record_failure(pending, unrecordable_text(error), error)
            return
        try:
            await self._record(pending, result=result)
        except (LimitExceeded, BadRequest, InvalidInput) as error:
            await self.refuse(pending, error, what)

    async def _record_failure(self, pending: PendingStep, text: str, error: BaseException) -> None:
        log.warning(
            "%s of %s failed: %s", pending, self._host.execution.id, readable(text), exc_info=error
        )
        await self._record(pending, error=text)

    async def refuse(
        self, pending: Pending, error: Refused | RequestError, what: str | None = None
    ) -> None:
        """Record that the service refused a request, as a failed attempt."""
        log.warning("%s of %s: %s", pending, self._host.execution.id, error)
        await self._record(pending, error=refused_text(what or str(pending), error))

    async def tell(self, pending: PendingApproval) -> None:
        """Record that the workflow is told the id of an approval. It then gets the id."""
        approval_id = pending.approval_id
        assert approval_id is not None
        key = TOLD + approval_id
        data = {"key": key, "name": "asked", "attempt": 1, "result": approval_id}
        command = RecordStep(
            execution_id=self._host.execution.id,
            fence=self._host.fence,
            key=key,
            name="asked",
            result=approval_id,
        )
        await self._host.send(command, ("StepCompleted", data))

    async def _record(
        self, pending: Pending, *, result: Any = None, error: str | None = None
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
            await self._host.send(command, content)
        except KeyReused as refused:
            # It would be refused however often it is sent.
            msg = (
                f"{pending} can't be recorded, because its key was used for something else:"
                f" {refused.message}; what is another step needs another key"
            )
            raise Nondeterministic(msg) from refused

    async def _redeem(self, pending: PendingStep) -> str | None:
        """Redeem the clearance of a step. Returns the failure to record if it must not be begun."""
        clearance = pending.clearance
        assert clearance is not None
        try:
            payload_digest = digest(clearance.payload)
        except ValueError as error:
            return error_text(error)
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
            return refused_text(str(pending), error)
        # If the approval was not redeemed before the claim, only this run can have redeemed it: its
        # first answer was lost, and this is the repeat. That is no reason for doubt.
        if redemption.repeated and clearance.approval.id in self._redeemed:
            earlier = self._failed.get(pending.key)
            how = (
                "left no result: it may have been done"
                if earlier is None
                else f"failed with {readable(earlier)!r}: it may have been done in part"
            )
            message = (
                f"{pending} had redeemed approval {clearance.approval.id} and {how},"
                " so it is not begun again"
            )
            return doubt_text(message, earlier)
        return None


def _ends_task(error: BaseException, task: "asyncio.Task[Any] | None") -> bool:
    """Whether an exception was not raised by a step, but ends the task that runs it."""
    if isinstance(error, GeneratorExit):
        # The coroutine of the task is being closed by another.
        return running_task() is not task
    return isinstance(error, asyncio.CancelledError | KeyboardInterrupt)
