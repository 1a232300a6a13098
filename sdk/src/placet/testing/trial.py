"""Runs a workflow in memory: the test decides, and time passes when nothing else can happen."""

import asyncio
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from placet._util.serde import plain
from placet._util.workflow_names import WorkflowFunction
from placet.engine.execution_runner import ExecutionRunner
from placet.engine.registry import WorkflowRegistry
from placet.errors import PlacetError
from placet.models.commands import StartExecution
from placet.models.enums import ExecutionState, Verdict
from placet.models.responses import Actor, ApprovalRecord, Comment, Execution
from placet.models.rules import MAX_LIFETIME
from placet.models.worker_responses import Claim, Past, Transcript
from placet.testing.in_memory_decisions import Login
from placet.testing.in_memory_grants import InMemoryGrant
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
    its workflow: a function of its input, async or not. ``calendars`` gives the calendars that
    policies name: each a function from a moment and a span of working time to its end.

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
        calendars: dict[str, Callable[[datetime, timedelta], datetime]] | None = None,
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
        self._service = InMemoryService(
            self._execution, workflows, start, children or {}, calendars or {}
        )
        self._approvals = self._service.approvals
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
            replay(self.transcript(), self._workflow)

    @property
    def now(self) -> datetime:
        """The trial's time."""
        return self._service.now

    @property
    def started_at(self) -> datetime:
        """When the execution was started."""
        return self._execution.started_at

    @property
    def approvals(self) -> list[ApprovalRecord]:
        """The approvals as they are now, in the order of the requests."""
        return list(self._approvals.all)

    @property
    def events(self) -> list[Past]:
        """The events recorded so far, without the start and the claim."""
        return list(self._service.log.events)

    def transcript(self) -> Transcript:
        """Return what was recorded so far, to :func:`replay` it against changed code."""
        return self._service.transcript()

    async def pending(self) -> list[ApprovalRecord]:
        """Wait until the workflow waits, and return the approvals that it waits for."""
        await self._rest()
        return self._approvals.pending()

    async def approval(self, key: str | None = None) -> ApprovalRecord:
        """Wait until the workflow waits, and return the approval that it waits for.

        ``key``: which, if there are several. Raises LookupError if there is none, or not just one.
        """
        found = [a for a in await self.pending() if key in {None, a.key}]
        if len(found) != 1:
            keys = ", ".join(a.key for a in self._approvals.pending()) or "none"
            waits = f"it waits for {self._waits_for}" if self._service.running else "it has ended"
            msg = (
                f"the workflow waits for {len(found)} such approvals; all that are pending: {keys};"
                f" {waits}"
            )
            raise LookupError(msg)
        return found[0]

    def grant(
        self,
        approval: ApprovalRecord,
        *,
        by: str = "approver",
        comment: str | None = None,
        answers: Any = None,
        resolves: bool = True,
        amended_payload: Any = None,
        login: Login | None = None,
    ) -> None:
        """Grant an approval. This one decision counts as all that the policy requires.

        ``answers``: to the form of the approval, as JSON or as a model or dataclass. InvalidInput
        says what is wrong with them; that needs ``pip install 'placet[forms]'``. ``resolves``
        False: others have to agree still. ``amended_payload``: grant this instead of
        the payload, if the policy is amendable. ``login``: how the person has logged in, None for
        an API key, which is refused where the policy asks for a login (StepUpRequired). Raises
        NotEligible for the initiator, unless the policy allows that.
        """
        given = None if answers is None else plain(answers, "answers")
        self._service.decisions.decide(
            approval,
            by,
            comment,
            Verdict.GRANTED,
            answers=given,
            resolves=resolves,
            amended_payload=amended_payload,
            login=login,
        )
        if amended_payload is not None and not resolves:
            self._service.grants.decide(self._approvals.find(approval.id), self.now)

    def allow(
        self,
        *,
        by: str = "approver",
        key: str | None = None,
        covers: Callable[[Any], bool] = lambda _payload: True,
        max_uses: int = 1,
        lasts: timedelta = MAX_LIFETIME,
    ) -> InMemoryGrant:
        """Allow approvals in advance: those that are requested from now on are granted at once.

        ``key``: that of the approvals; None: any. ``covers`` says of a payload whether it is
        allowed; the service takes a JSON Schema in its place. What asks for a comment is not
        covered.
        """
        if max_uses < 1 or not timedelta(0) < lasts <= MAX_LIFETIME:
            msg = f"max_uses must be 1 or more, and lasts at most {MAX_LIFETIME.days} days"
            raise ValueError(msg)
        grant = InMemoryGrant(
            id=str(uuid4()),
            by=by,
            key=key,
            covers=covers,
            max_uses=max_uses,
            expires_at=self.now + lasts,
        )
        self._service.grants.all.append(grant)
        return grant

    def reject(
        self,
        approval: ApprovalRecord,
        *,
        comment: str,
        by: str = "approver",
        login: Login | None = None,
    ) -> None:
        """Reject an approval. ``login``: as for :meth:`grant`."""
        decide = self._service.decisions.decide
        decide(approval, by, comment, Verdict.REJECTED, login=login)

    def request_changes(
        self,
        approval: ApprovalRecord,
        *,
        comment: str,
        by: str = "approver",
        login: Login | None = None,
    ) -> None:
        """Request changes. The workflow may then ask for something else under the same key."""
        decide = self._service.decisions.decide
        decide(approval, by, comment, Verdict.CHANGES_REQUESTED, login=login)

    def retract(self, approval: ApprovalRecord, *, by: str = "approver") -> None:
        """Take back a decision that did not resolve the approval."""
        self._service.decisions.retract(approval, by)

    def delegate(self, approval: ApprovalRecord, *, to: str, by: str = "approver") -> None:
        """Hand a person's decision to another, who then decides in that person's place."""
        self._service.decisions.delegate(approval, to, by)

    def take_back_delegation(self, approval: ApprovalRecord, *, by: str = "approver") -> None:
        """Take a person's delegation back, while nobody has decided with it."""
        self._service.decisions.take_back_delegation(approval, by)

    def revoke(self, approval: ApprovalRecord, *, reason: str) -> None:
        """Take back a grant that was not used."""
        self._approvals.revoke(approval, reason)

    def comment(self, approval: ApprovalRecord, text: str, *, by: str = "approver") -> None:
        """Comment on an approval, whatever its status."""
        self._service.discussion.comment(approval, by, text)

    def comments(self, approval: ApprovalRecord) -> list[Comment]:
        """Return the comments on an approval, the oldest first."""
        return list(self._service.discussion.comments.get(approval.id, ()))

    def claim(self, approval: ApprovalRecord, *, by: str = "approver") -> None:
        """Say that a person is on it. The last claim counts, and ends after an hour."""
        self._service.discussion.claim(approval, by)

    def unclaim(self, approval: ApprovalRecord, *, by: str = "approver") -> None:
        """End a person's claim."""
        self._service.discussion.unclaim(approval, by)

    def claimed_by(self, approval: ApprovalRecord) -> str | None:
        """Return who is on it."""
        return self._service.discussion.claimed_by(approval)

    def expire(self, approval: ApprovalRecord) -> None:
        """Let the deadline of an approval pass. What happens then is said by its policy."""
        self._approvals.expire(approval)

    def signal(self, name: str, payload: Any = None) -> None:
        """Send a signal to the workflow."""
        self._service.signal(name, plain(payload, "payload"))

    async def skip(self, time: timedelta) -> None:
        """Let time pass. Timers fire and deadlines pass in order, each at its time."""
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
