"""Runs steps. A step without a clearance is tried again as its options say."""

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

from placet._util.invoke import ends_task
from placet.engine.cleared_steps import ClearedSteps
from placet.engine.failure_codec import error_text
from placet.engine.host import Host
from placet.engine.pending import PendingStep
from placet.engine.run_spans import attempt_span
from placet.engine.step_options import attempt
from placet.engine.step_recorder import StepRecorder
from placet.errors import FinalError

MAX_PAUSE_SECONDS = 60.0
_MAX_DOUBLINGS = 60


class StepRunner:
    """Runs the steps of one execution.

    ``redeemed``: the approvals redeemed before its claim. ``failed``: by key, how the last attempt
    before its claim failed.
    """

    __slots__ = ("_host", "_recorder", "cleared")

    def __init__(
        self,
        host: Host,
        recorder: StepRecorder,
        redeemed: frozenset[str],
        failed: Mapping[str, str] | None = None,
    ) -> None:
        self.cleared = ClearedSteps(host, recorder, redeemed, failed or {})
        self._host = host
        self._recorder = recorder

    async def perform(self, pending: PendingStep) -> None:
        """Attempt a step until it succeeds or fails for good, and record each attempt."""
        if self._host.draining():
            return
        if pending.clearance is not None:
            await self.cleared.perform(pending, pending.clearance)
            return
        failures = pending.failures
        if failures:
            await self._host.engine.sleep(self._rest_of_pause(pending))
        while True:
            # Only the work takes a place, not a pause, and not what is recorded of it.
            async with self._host.engine.place(in_thread=pending.in_thread):
                if self._host.draining():
                    return
                outcome = await self._outcome(pending)
            if not isinstance(outcome, _Failure):
                await self._recorder.result(pending, outcome)
                return
            failures += 1
            error = outcome.error
            final = failures >= pending.attempts or isinstance(error, (FinalError, pending.final))
            await self._recorder.failure(pending, error_text(error, final=final), error)
            if final:
                return
            await self._host.engine.sleep(_pause(pending, failures))

    def _rest_of_pause(self, pending: PendingStep) -> float:
        """Return the seconds that are left of the pause after the last recorded failure."""
        pause = _pause(pending, pending.failures)
        if pending.failed_at is None:
            return pause
        # The clock of this machine may be behind or ahead of the database's.
        over = (self._host.engine.now - pending.failed_at).total_seconds()
        return pause - min(max(over, 0.0), pause)

    async def _outcome(self, pending: PendingStep) -> "Any | _Failure":
        attempt.set(pending.tried + 1)
        task = asyncio.current_task()
        try:
            with attempt_span(pending, self._host.execution.id):
                return await self._attempt(pending)
        except BaseException as error:
            # Whatever it raises is recorded, or it would be begun anew without end.
            if ends_task(error, task) or isinstance(error, asyncio.CancelledError):
                raise
            return _Failure(error)

    async def _attempt(self, pending: PendingStep) -> Any:
        limit = asyncio.timeout(pending.timeout)
        try:
            async with limit:
                return await pending.call(self._host.engine.threads)
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


class _Failure(NamedTuple):
    """What an attempt raised."""

    error: BaseException


def _pause(pending: PendingStep, failures: int) -> float:
    """Return the seconds between a failed attempt and the next one."""
    doubled = pending.pause * 2.0 ** min(failures - 1, _MAX_DOUBLINGS)
    return max(pending.pause, min(doubled, MAX_PAUSE_SECONDS))
