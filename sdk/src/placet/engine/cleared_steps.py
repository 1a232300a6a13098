"""Runs steps with a clearance: each redeems its approval and is begun at most once.

Once it has redeemed its approval, only what the step itself returns or raises says how it ended.
Whatever stops it before that leaves a doubt, which is recorded.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

from placet._util.canonical_json import digest
from placet._util.invoke import ends_task
from placet.approvals.clearance import Clearance
from placet.engine.failure_codec import (
    doubt_text,
    error_text,
    readable,
    refused_text,
    revoked_text,
)
from placet.engine.host import Host
from placet.engine.pending import PendingStep
from placet.engine.run_spans import attempt_span
from placet.engine.step_options import attempt
from placet.engine.step_recorder import StepRecorder
from placet.errors import InvalidTransition, Refused, transient
from placet.models.commands import RedeemApproval
from placet.models.enums import ApprovalStatus

log = logging.getLogger("placet.engine")


class ClearedSteps:
    """The steps with a clearance of one execution.

    ``redeemed``: the approvals redeemed before its claim. ``failed``: by key, how the last attempt
    before its claim failed. ``running``: the tasks of the steps that are under way.
    """

    __slots__ = ("_failed", "_host", "_recorder", "_redeemed", "running")

    def __init__(
        self,
        host: Host,
        recorder: StepRecorder,
        redeemed: frozenset[str],
        failed: Mapping[str, str],
    ) -> None:
        self.running: frozenset[asyncio.Task[None]] = frozenset()
        self._host = host
        self._recorder = recorder
        self._redeemed = redeemed
        self._failed = failed

    async def perform(self, pending: PendingStep, clearance: Clearance) -> None:
        """Redeem the approval, do the step, and record how it ended."""
        task = asyncio.current_task()
        assert task is not None
        self.running |= {task}
        try:
            await self._perform(pending, clearance, task)
        finally:
            self.running -= {task}

    async def doubt(self, pending: PendingStep) -> None:
        """Record a doubt about a step that nobody waits for any more, if it was redeemed."""
        clearance = pending.clearance
        if clearance is not None and clearance.approval.id in self._redeemed:
            await self._recorder.failure(pending, self._left(pending, clearance))

    async def _perform(
        self, pending: PendingStep, clearance: Clearance, task: "asyncio.Task[None]"
    ) -> None:
        # Only the work takes a place, and not what is recorded of it.
        async with self._host.engine.place(in_thread=pending.in_thread):
            # What is redeemed is begun even if draining has begun: no other worker could begin it.
            if self._host.draining():
                return
            outcome = await self._may_not_begin(pending, clearance)
            if outcome is None:
                attempt.set(pending.tried + 1)
                outcome = await self._outcome(pending, clearance, task)
        if isinstance(outcome, _Failure):
            await self._recorder.failure(pending, outcome.text, outcome.error)
        else:
            await self._recorder.result(pending, outcome)

    async def _may_not_begin(self, pending: PendingStep, clearance: Clearance) -> "_Failure | None":
        """Redeem the approval. Returns the failure to record if the step must not be begun."""
        try:
            refused = await self._redeem(pending, clearance)
            return None if refused is None else _Failure(refused)
        except asyncio.CancelledError:
            if self._host.lost():
                raise
            # Recorded, because the approval may have been redeemed by now.
            said = RuntimeError(f"{pending} was cancelled before it was begun, so nothing was done")
            return _Failure(error_text(said, final=True))

    async def _outcome(
        self, pending: PendingStep, clearance: Clearance, task: "asyncio.Task[None]"
    ) -> "Any | _Failure":
        limit = asyncio.timeout(pending.timeout)
        try:
            with attempt_span(pending, self._host.execution.id):
                async with limit:
                    return await pending.call(self._host.engine.threads)
        except BaseException as error:
            if ends_task(error, task) or self._host.lost():
                raise
            text = error_text(error, final=True)
            if cut := _cut_short(error, limit, task):
                text = _doubt(pending, clearance, cut.format(seconds=pending.timeout), error)
            return _Failure(text, error)

    async def _redeem(self, pending: PendingStep, clearance: Clearance) -> str | None:
        """Redeem the clearance of a step. Returns the failure to record if it must not be begun."""
        try:
            payload_digest = digest(clearance.payload)
        except ValueError as error:
            return error_text(error, final=True)
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
            if await self._revoked(error, clearance):
                return revoked_text(str(pending), error)
            return refused_text(str(pending), error)
        # If the approval was not redeemed before the claim, only this run can have redeemed it: its
        # first answer was lost, and this is the repeat. That is no reason for doubt.
        if redemption.repeated and clearance.approval.id in self._redeemed:
            return self._left(pending, clearance)
        return None

    async def _revoked(self, error: Refused, clearance: Clearance) -> bool:
        """Whether the grant could not be used because it was revoked."""
        if not isinstance(error, InvalidTransition):
            return False
        return await self._host.engine.status_of(clearance.approval.id) is ApprovalStatus.REVOKED

    def _left(self, pending: PendingStep, clearance: Clearance) -> str:
        """Return the failure to record for a step that an earlier worker had begun."""
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


class _Failure(NamedTuple):
    """The text to record of a failure, and what the step raised."""

    text: str
    error: BaseException | None = None


def _cut_short(
    error: BaseException, limit: asyncio.Timeout, task: "asyncio.Task[None]"
) -> str | None:
    """Say what stopped a step, None if it raised the error itself."""
    if limit.expired():
        return "gave no result within {seconds} s"
    if task.cancelling():
        return "was cancelled"
    return "was cancelled from inside" if isinstance(error, asyncio.CancelledError) else None


def _doubt(pending: PendingStep, clearance: Clearance, cut: str, error: BaseException) -> str:
    message = (
        f"{pending} had redeemed approval {clearance.approval.id} and {cut}: it may have been done,"
        " in part or not at all, so it is not begun again"
    )
    return doubt_text(message, error_text(error, final=True))
