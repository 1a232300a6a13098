"""Runs a workflow in memory: the test decides, and time passes when nothing else can happen."""

import asyncio
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from placet._util.serde import plain
from placet.engine.execution_runner import ExecutionRunner
from placet.engine.registry import WorkflowFunction, WorkflowRegistry
from placet.errors import PlacetError
from placet.models.commands import StartExecution
from placet.models.enums import ExecutionState
from placet.models.responses import Actor, ApprovalRecord, Execution
from placet.models.worker_responses import Claim, Past
from placet.testing.in_memory_rules import check
from placet.testing.in_memory_service import InMemoryService
from placet.testing.replay import replay

START = datetime(2026, 1, 1, tzinfo=UTC)
LIMIT_SECONDS = 10.0


class Trial:
    """Runs one execution of a workflow, without a service.

    Its steps really run; decisions, signals and the results of children come from the test. Time
    stands still while anything is under way. It is skipped to the next timer when the workflow
    waits and the test asks for its result. ``children`` gives the result of a child by the name of
    its workflow: a function of its input, async or not.

    At its end the record is replayed against the workflow, so code that would take another path
    after a restart fails its test. ``seconds``: for how long, in real time, the workflow may be
    busy without waiting for anything.

    Names, texts, sizes and JSON values that the service refuses are refused here too: InvalidInput.
    """

    def __init__(
        self,
        workflow: WorkflowFunction,
        input: Any = None,  # noqa: A002 - the contract's name
        *,
        initiator: str = "initiator",
        start: datetime = START,
        children: dict[str, Callable[[Any], Any]] | None = None,
        seconds: float = LIMIT_SECONDS,
    ) -> None:
        workflows = WorkflowRegistry()
        name = getattr(workflow, "__name__", "workflow")
        workflows.add(workflow, name, None)
        input = plain(input, "input")  # noqa: A001
        check(StartExecution(workflow=name, input=input))
        self._workflow = workflow
        self._execution = Execution(
            id=str(uuid4()),
            workflow=name,
            queue="default",
            state=ExecutionState.RUNNING,
            version=2,
            fence=1,
            input=input,
            labels=[],
            initiator=Actor(id=initiator),
            started_at=start,
            updated_at=start,
        )
        self._service = InMemoryService(self._execution, workflows, start, children or {})
        self._seconds = seconds
        self._runner: ExecutionRunner | None = None

    async def __aenter__(self) -> Self:
        """Start the workflow."""
        claim = Claim(
            execution=self._execution,
            fence=1,
            lease_expires_at=self._execution.started_at + timedelta(days=365),
        )
        self._runner = ExecutionRunner(claim, self._service)
        self._service.runner = self._runner
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the workflow where it is, and replay what was recorded.

        Raises Nondeterministic if the replay differs: the workflow would be parked after a restart.
        """
        if self._runner is not None:
            self._runner.abandon()
            await asyncio.sleep(0)
        if error is None:
            replay(self._service.transcript(), self._workflow)

    @property
    def now(self) -> datetime:
        """The trial's time."""
        return self._service.now

    @property
    def events(self) -> list[Past]:
        """The events recorded so far, without the start and the claim."""
        return list(self._service.log.events)

    async def pending(self) -> list[ApprovalRecord]:
        """Wait until the workflow waits, and return the approvals that it waits for."""
        await self._rest()
        return self._service.approvals.pending()

    async def approval(self, key: str | None = None) -> ApprovalRecord:
        """Wait until the workflow waits, and return the approval that it waits for.

        ``key``: which, if there are several. Raises LookupError if there is none, or not just one.
        """
        found = [a for a in await self.pending() if key in {None, a.key}]
        if len(found) != 1:
            keys = ", ".join(a.key for a in self._service.approvals.pending()) or "none"
            waits = f"it waits for {self._waits_for}" if self._service.running else "it has ended"
            msg = (
                f"the workflow waits for {len(found)} such approvals; all that are pending: {keys};"
                f" {waits}"
            )
            raise LookupError(msg)
        return found[0]

    def grant(
        self, approval: ApprovalRecord, *, by: str = "approver", comment: str | None = None
    ) -> None:
        """Grant an approval. This one decision counts as all that the policy requires.

        Raises NotEligible for the initiator, unless the policy allows that.
        """
        self._service.approvals.decide(approval, by, comment, granted=True)

    def reject(self, approval: ApprovalRecord, *, comment: str, by: str = "approver") -> None:
        """Reject an approval."""
        self._service.approvals.decide(approval, by, comment, granted=False)

    def expire(self, approval: ApprovalRecord) -> None:
        """Let the deadline of an approval pass."""
        self._service.approvals.expire(approval)

    def signal(self, name: str, payload: Any = None) -> None:
        """Send a signal to the workflow."""
        self._service.signal(name, plain(payload, "payload"))

    async def skip(self, time: timedelta) -> None:
        """Let time pass. Timers fire in order, each at its time."""
        until = self._service.now + time
        await self._rest()
        while self._service.fire_next(until):
            await self._rest()
        self._service.skip_to(until)

    async def result(self) -> Any:
        """Let time pass until the workflow ends, and return its result as plain JSON.

        Raises TrialFailed with the recorded error if it failed or was parked, and LookupError if it
        waits for something that only the test can bring about. The error names it.
        """
        await self._rest()
        while self._service.running and self._service.fire_next(None):
            await self._rest()
        if self._service.running:
            msg = f"the workflow waits for {self._waits_for}, and no timer is set"
            raise LookupError(msg)
        if self._service.error is not None:
            raise TrialFailed(self._service.error)
        return deepcopy(self._service.result)

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                await self._service.resting()
        except TimeoutError:
            msg = (
                f"the workflow was busy for {self._seconds} s, perhaps with a step that hangs;"
                f" it waits for {self._waits_for}"
            )
            raise TimeoutError(msg) from None

    @property
    def _waits_for(self) -> str:
        return "nothing" if self._runner is None else self._runner.waits_for


class TrialFailed(PlacetError):  # noqa: N818 - reads as what happened
    """The workflow raised, or its execution was parked; the text is what was recorded."""
