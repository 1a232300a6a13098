"""What becomes of a step with a clearance when its engine begins to end."""

from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, cast

import pytest

from placet import Clearance, Run, require
from placet.engine.host import Host
from placet.engine.pending import PendingStep
from placet.engine.step_recorder import StepRecorder
from placet.engine.step_runner import StepRunner
from placet.models.worker_responses import Noted
from placet.testing import Trial
from placet.testing.trial import START


class Leaving:
    """What an engine that drains is to a step: from the start on, or from a command on."""

    threads = None
    fence = 1

    def __init__(self, execution: Any, since: str | None) -> None:
        self.execution = execution
        self.engine = self
        self.sent: list[str] = []
        self._since = since

    async def send(self, command: Any, *_: Any) -> Noted:
        self.sent.append(type(command).__name__)
        return Noted(position="1", at=START, repeated=False)

    def lost(self) -> bool:
        return False

    def place(self, *, in_thread: bool) -> AbstractAsyncContextManager[None]:
        del in_thread
        return nullcontext()

    def draining(self) -> bool:
        return self._since is None or self._since in self.sent


async def cleared() -> Clearance:
    """Give the clearance of an approval."""
    given: list[Clearance] = []

    async def workflow(run: Run) -> None:
        given.append(await run.approval("Trip", payload={}, policy=require(1, group="finance")))

    async with Trial(workflow) as trial:
        trial.grant(await trial.approval())
        await trial.result()
    return given[0]


@pytest.mark.parametrize(
    ("since", "sent"),
    [(None, []), ("RedeemApproval", ["RedeemApproval", "RecordStep"])],
)
async def test_what_is_redeemed_is_begun_and_what_is_not_begun_is_not_redeemed(
    since: str | None, sent: list[str]
) -> None:
    clearance = await cleared()
    owner, begun = Leaving(clearance.approval, since), 0

    async def pay(_: Any) -> None:
        nonlocal begun
        begun += 1

    ask = PendingStep(
        key="pay-1", named="pay", call=pay, read=lambda value: value, clearance=clearance
    )
    host = cast("Host", owner)
    await StepRunner(host, StepRecorder(host), frozenset()).perform(ask)
    assert owner.sent == sent
    assert begun == (since is not None)
