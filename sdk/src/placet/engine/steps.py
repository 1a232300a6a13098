"""Steps: each is done once for the record, and one with a clearance is begun at most once."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import Any, Protocol

from placet.canonical import digest
from placet.commands import Command, RecordStep, RedeemApproval
from placet.engine.asks import Ask, StepAsk
from placet.engine.calls import described
from placet.engine.failures import doubt_text, refused_text
from placet.engine.typed import recorded
from placet.errors import BadRequest, InvalidInput, LimitExceeded, Refused, RequestError, transient
from placet.model import Accepted

log = logging.getLogger("placet.engine")

MAX_PAUSE_SECONDS = 60.0

Told = tuple[str, dict[str, Any]]
"""The type and the data of the event that a command records."""


class Send(Protocol):
    """Sends a command, and has the workflow told of the event that it records."""

    def __call__(
        self, command: Command, told: Told | None = None, cause: Exception | None = None
    ) -> Awaitable[Accepted]:
        """Raises Refused and RequestError; CancelledError once the execution is another's."""


class Steps:
    """Performs the steps of one execution. ``draining``: whether nothing new may be begun."""

    __slots__ = ("_draining", "_execution_id", "_fence", "_redeemed", "_send", "_threads")

    def __init__(
        self,
        execution_id: str,
        fence: int,
        redeemed: frozenset[str],
        send: Send,
        draining: Callable[[], bool],
        threads: Executor | None,
    ) -> None:
        self._execution_id = execution_id
        self._fence = fence
        self._redeemed = redeemed
        self._send = send
        self._draining = draining
        self._threads = threads

    async def perform(self, ask: StepAsk) -> None:
        """Attempt a step until it succeeds or fails for good, and record each attempt."""
        if ask.clearance is not None:
            refused = await self._redeem(ask)
            if refused is not None:
                text, cause = refused
                await self._record(ask, error=text, cause=cause)
                return
        pause = ask.pause
        failures = ask.failures
        while not self._draining():
            try:
                value = await self._attempt(ask)
                result = recorded(value, ask.convert, f"the result of {ask}")
            except Exception as error:  # noqa: BLE001 - whatever a step raises is recorded
                failures += 1
                await self._record_failure(ask, described(error), error)
                if failures >= ask.attempts:
                    return
            else:
                await self._record_result(ask, result)
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, MAX_PAUSE_SECONDS)

    async def _attempt(self, ask: StepAsk) -> Any:
        limit = asyncio.timeout(ask.timeout)
        try:
            async with limit:
                return await ask.call(self._threads)
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

    async def _record_result(self, ask: StepAsk, result: Any) -> None:
        try:
            await self._record(ask, result=result)
        except (LimitExceeded, BadRequest, InvalidInput) as error:
            # Another attempt would give as much again.
            await self.refuse(ask, error)

    async def _record_failure(self, ask: StepAsk, text: str, error: Exception) -> None:
        log.warning("%s of %s failed: %s", ask, self._execution_id, text)
        await self._record(ask, error=text, cause=error)

    async def refuse(self, ask: Ask, error: Refused | RequestError) -> None:
        """Record that the service does not take what was asked for: an attempt that failed."""
        log.warning("%s of %s: %s", ask, self._execution_id, error)
        await self._record(ask, error=refused_text(error), cause=error)

    async def _record(
        self,
        ask: Ask,
        *,
        result: Any = None,
        error: str | None = None,
        cause: Exception | None = None,
    ) -> None:
        ask.tried += 1
        data = {"key": ask.key, "name": ask.name, "attempt": ask.tried}
        told = ("StepCompleted", {**data, "result": result})
        if error is not None:
            told = ("StepFailed", {**data, "error": error})
        command = RecordStep(
            execution_id=self._execution_id,
            fence=self._fence,
            key=ask.key,
            name=ask.name,
            attempt=ask.tried,
            result=result,
            error=error,
        )
        await self._send(command, told, cause)

    async def _redeem(self, ask: StepAsk) -> tuple[str, Exception | None] | None:
        """Redeem the clearance of a step; gives what to record if it must not be begun."""
        clearance = ask.clearance
        assert clearance is not None
        try:
            payload_digest = digest(clearance.payload)
        except ValueError as error:
            return described(error), error
        command = RedeemApproval(
            approval_id=clearance.approval.id,
            fence=self._fence,
            payload_digest=payload_digest,
            redemption_key=ask.key,
        )
        try:
            redemption = await self._send(command)
        except Refused as error:
            if transient(error):
                raise
            return refused_text(error), error
        # A repeat of what this run sent itself, its first answer lost, is no reason to doubt: what
        # was not redeemed at the claim can under its fence only have been redeemed by this run.
        if redemption.repeated and clearance.approval.id in self._redeemed:
            message = (
                f"{ask} had redeemed approval {clearance.approval.id} and left no result:"
                " it may have been done, so it is not begun again"
            )
            return doubt_text(message), None
        return None
