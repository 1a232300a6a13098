"""Steps: each is done once for the record, and one with a clearance is begun at most once."""

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
    """Performs the steps of one execution. ``redeemed``: the approvals that were at its claim."""

    __slots__ = ("_owner", "_redeemed")

    def __init__(self, owner: Host, redeemed: frozenset[str]) -> None:
        self._owner = owner
        self._redeemed = redeemed

    async def perform(self, ask: PendingStep) -> None:
        """Attempt a step until it succeeds or fails for good, and record each attempt."""
        if self._owner.draining():
            return
        if ask.clearance is not None:
            refused = await self._redeem(ask)
            if refused is not None:
                text, cause = refused
                await self._record(ask, error=text, cause=cause)
                return
        pause = ask.pause
        failures = ask.failures
        # What was redeemed is begun, also if draining began meanwhile: nobody else could begin it.
        while True:
            try:
                value = await self._attempt(ask)
                result = recorded(value, ask.read, f"the result of {ask}")
            except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it raises is recorded
                failures += 1
                await self._record_failure(ask, described(error), error)
                if failures >= ask.attempts:
                    return
            else:
                await self._record_result(ask, result)
                return
            await self._owner.sleep(pause)
            if self._owner.draining():
                return
            pause = max(pause, min(pause * 2, MAX_PAUSE_SECONDS))

    async def _attempt(self, ask: PendingStep) -> Any:
        limit = asyncio.timeout(ask.timeout)
        try:
            async with limit:
                return await ask.call(self._owner.threads)
        except TimeoutError as error:
            if limit.expired():
                msg = f"{ask} gave no result within {ask.timeout} s"
                raise TimeoutError(msg) from error
            raise
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # It was not the run that was cancelled, but something in the step.
            msg = f"{ask} was cancelled from inside"
            raise RuntimeError(msg) from error

    async def _record_result(self, ask: PendingStep, result: Any) -> None:
        try:
            await self._record(ask, result=result)
        except (LimitExceeded, BadRequest, InvalidInput) as error:
            # Another attempt would give as much again.
            await self.refuse(ask, error, f"the result of {ask}")

    async def _record_failure(self, ask: PendingStep, text: str, error: BaseException) -> None:
        log.warning("%s of %s failed: %s", ask, self._owner.execution.id, text)
        await self._record(ask, error=text, cause=error)

    async def refuse(
        self, ask: Pending, error: Refused | RequestError, what: str | None = None
    ) -> None:
        """Record that the service does not take what was asked for: an attempt that failed."""
        log.warning("%s of %s: %s", ask, self._owner.execution.id, error)
        await self._record(ask, error=refused_text(what or str(ask), error), cause=error)

    async def _record(
        self,
        ask: Pending,
        *,
        result: Any = None,
        error: str | None = None,
        cause: BaseException | None = None,
    ) -> None:
        ask.tried += 1
        data = {"key": ask.key, "name": ask.name, "attempt": ask.tried}
        told = ("StepCompleted", {**data, "result": result})
        if error is not None:
            told = ("StepFailed", {**data, "error": error})
        command = RecordStep(
            execution_id=self._owner.execution.id,
            fence=self._owner.fence,
            key=ask.key,
            name=ask.name,
            attempt=ask.tried,
            result=result,
            error=error,
        )
        try:
            await self._owner.send(command, told, cause)
        except KeyReused as refused:
            # It would be refused as often as it is sent.
            msg = (
                f"{ask} can't be recorded, because its key stands for something else already:"
                f" {refused.message}; what is another step needs another key"
            )
            raise Nondeterministic(msg) from refused

    async def _redeem(self, ask: PendingStep) -> tuple[str, BaseException | None] | None:
        """Redeem the clearance of a step; gives what to record if it must not be begun."""
        clearance = ask.clearance
        assert clearance is not None
        try:
            payload_digest = digest(clearance.payload)
        except ValueError as error:
            return described(error), error
        command = RedeemApproval(
            approval_id=clearance.approval.id,
            fence=self._owner.fence,
            payload_digest=payload_digest,
            redemption_key=ask.key,
        )
        try:
            redemption = await self._owner.send(command)
        except Refused as error:
            if transient(error):
                raise
            return refused_text(str(ask), error), error
        # A repeat of what this run sent itself, its first answer lost, is no reason to doubt: what
        # was not redeemed at the claim can under its fence only have been redeemed by this run.
        if redemption.repeated and clearance.approval.id in self._redeemed:
            message = (
                f"{ask} had redeemed approval {clearance.approval.id} and left no result:"
                " it may have been done, so it is not begun again"
            )
            return doubt_text(message), None
        return None
