"""Steps: each is done once for the record, and one with a clearance is begun at most once."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from placet.canonical import digest, plain
from placet.commands import RecordStep, RedeemApproval
from placet.engine.calls import described
from placet.engine.clearance import Clearance
from placet.engine.hold import Hold
from placet.engine.replay import Replay
from placet.errors import Doubt, Nondeterministic, StepFailed
from placet.model import Step

log = logging.getLogger("placet.engine")

MAX_PAUSE_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A step to do: ``pause`` is the number of seconds between the first two attempts."""

    key: str
    name: str
    call: Callable[[], Awaitable[Any]]
    clearance: Clearance | None = None
    attempts: int = 1
    pause: float = 0.5


class Steps:
    """The steps of one run."""

    def __init__(self, hold: Hold, replay: Replay) -> None:
        self._hold = hold
        self._replay = replay

    async def do(self, work: Work) -> Any:
        """Give the step's result, the recorded one if there is one.

        Raises StepFailed, Nondeterministic, Doubt, and the refusals of a redemption.
        """
        recorded = self._replay.steps.get(work.key)
        if recorded is not None and recorded.name != work.name:
            msg = (
                f"step {work.key!r} was recorded under the name {recorded.name!r},"
                f" the workflow now calls it {work.name!r}"
            )
            raise Nondeterministic(msg)
        if recorded is not None and recorded.completed_at is not None:
            return recorded.result
        failures = self._replay.failures.get(work.key, 0)
        if recorded is not None and failures >= work.attempts:
            raise StepFailed(work.key, recorded.error or "")
        if work.clearance is not None:
            await self._redeem(work.key, work.clearance)
        return await self._attempt(work, recorded, failures)

    async def _attempt(self, work: Work, recorded: Step | None, failures: int) -> Any:
        attempt = recorded.attempts if recorded is not None else 0
        pause = work.pause
        while True:
            attempt += 1
            try:
                result = plain(await work.call(), f"the result of step {work.key!r}")
            except Exception as error:
                failures += 1
                text = described(error)
                log.warning(
                    "step %s of %s failed, attempt %d: %s",
                    work.key, self._hold.execution.id, attempt, text,
                )  # fmt: skip
                await self._record(work, attempt, error=text)
                if failures >= work.attempts:
                    raise StepFailed(work.key, text) from error
            else:
                await self._record(work, attempt, result=result)
                return result
            await asyncio.sleep(pause)
            pause = min(pause * 2, MAX_PAUSE_SECONDS)

    async def _record(
        self, work: Work, attempt: int, *, result: Any = None, error: str | None = None
    ) -> None:
        await self._hold.send(
            RecordStep(
                execution_id=self._hold.execution.id,
                fence=self._hold.fence,
                key=work.key,
                name=work.name,
                attempt=attempt,
                result=result,
                error=error,
            )
        )

    async def _redeem(self, key: str, clearance: Clearance) -> None:
        redemption = await self._hold.send(
            RedeemApproval(
                approval_id=clearance.approval.id,
                fence=self._hold.fence,
                payload_digest=digest(clearance.payload),
                redemption_key=key,
            )
        )
        # A repeat of what this run sent itself, its first answer lost, is no reason to doubt: what
        # was not redeemed at the claim can under its fence only have been redeemed by this run.
        if redemption.repeated and clearance.approval.id in self._replay.redeemed:
            msg = (
                f"step {key!r} had redeemed approval {clearance.approval.id} and left no result:"
                " it may have been done, so it is not begun again"
            )
            raise Doubt(msg)
