"""The tools by which an agent asks people before it acts."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field

from placet._util.canonical_json import digest
from placet._util.invoke import described
from placet._util.texts import cleaned
from placet.approvals.clearance import clear
from placet.approvals.gate import STEP_KEY, Gate
from placet.errors import (
    DigestMismatch,
    KeyReused,
    NotCleared,
    PlacetError,
)
from placet.mcp.states import ApprovalState, Redemption, Report
from placet.models.enums import ApprovalStatus
from placet.models.responses import Approval, ApprovalRecord
from placet.policy import Policy

STEP_NAME = "agent"
LABELS = {"placet.gate": "mcp"}
"""Marks what was requested through such a server, apart from other gates with the same token."""
PROGRESS_SECONDS = 5.0
# Many clients stop waiting for a call after a minute.
WAIT_SECONDS = 45
MAX_WAIT_SECONDS = 600
SHOWN = 500
MAX_RESULT = 40_000
"""Characters: less than 256 KiB of JSON even if each is written as an escape."""
MAX_FAILURE = 9_000
"""Characters: an error may have 10,000 with its name."""

ApprovalId = Annotated[str, Field(description="The approval_id that request_approval gave")]
Payload = Annotated[
    dict[str, Any],
    Field(
        description="What is to be done, whole and exact: people see it and agree to nothing else"
    ),
]


class ReportedFailureError(PlacetError):
    """The agent says that what it was cleared to do failed."""


@dataclass(frozen=True)
class Tools:
    """The tools, for one gate and one policy. The agent does not choose who decides."""

    gate: Gate
    policy: Policy
    on_behalf_of: str | None = None
    own: set[str] = field(default_factory=set)
    """The ids of approvals that are known to have been requested through such a server."""

    async def request_approval(
        self,
        action: Annotated[str, Field(description="The kind of action, such as send_email")],
        title: Annotated[str, Field(description="One line that says what people agree to")],
        payload: Payload,
        description: Annotated[str, Field(description="Why, and what people should know")] = "",
        form: Annotated[
            dict[str, Any] | None,
            Field(
                description="What people have to answer when they agree, as a JSON Schema of type"
                " object. The decisions then have their answers"
            ),
        ] = None,
        key: Annotated[
            str,
            Field(
                description="Names this request. By default the payload does; give another key"
                " to do the same thing again"
            ),
        ] = "",
    ) -> ApprovalState:
        """Ask people to approve an action, before you do it.

        Returns at once. The same action and key with the same content finds the same approval, so
        it is safe to call again. Then call await_approval.
        """
        with _tool_errors():
            try:
                approval = await self.gate.ask(
                    action,
                    key or digest(payload),
                    title=title,
                    payload=payload,
                    policy=self.policy,
                    description=description or None,
                    form=form,
                    labels=LABELS,
                    on_behalf_of=self.on_behalf_of,
                )
            except KeyReused as error:
                raise ToolError(_reused(error, by_payload=not key)) from error
        self.own.add(approval.id)
        return ApprovalState.of(approval)

    async def await_approval(
        self,
        approval_id: ApprovalId,
        context: Context[Any, Any],
        wait_seconds: Annotated[
            int, Field(ge=0, le=MAX_WAIT_SECONDS, description="At most so long")
        ] = WAIT_SECONDS,
    ) -> ApprovalState:
        """Wait until people have decided, or for wait_seconds.

        People may take hours: while the status is PENDING, call it again. Do not act before the
        status is GRANTED and redeem_approval said so.
        """
        with _tool_errors():
            approval = await self._find(approval_id)
            waiting = asyncio.create_task(self._settled(approval))
            try:
                await _progressing(waiting, wait_seconds, context)
                if not waiting.done():
                    return ApprovalState.of(approval)
                return ApprovalState.of(await waiting)
            finally:
                waiting.cancel()

    async def get_approval(self, approval_id: ApprovalId) -> ApprovalState:
        """Look an approval up, without waiting."""
        with _tool_errors():
            return ApprovalState.of(await self._find(approval_id))

    async def redeem_approval(self, approval_id: ApprovalId, payload: Payload) -> Redemption:
        """Use a granted approval, directly before you act: it can be used once.

        Give the payload that you are about to act on. If it differs from what was approved by one
        byte, this fails and you must not act. If act is true, do it now, once, and then call
        report_outcome.
        """
        with _tool_errors():
            approval = await self._find(approval_id)
            if approval.status is ApprovalStatus.PENDING:
                raise ToolError("it is PENDING: people have not decided; call await_approval")
            clearance = replace(clear(approval), payload=payload)
            try:
                recorded = await self.gate.redeem(clearance)
            except DigestMismatch as error:
                raise ToolError(
                    "this payload is not what was approved; do not act. Ask for approval of it, or"
                    " redeem what was approved, which get_approval shows"
                ) from error
        if recorded is not None:
            return Redemption(
                act=False, result=recorded.result, next="It has been done; do not do it again."
            )
        return Redemption(act=True, result=None, next="Act now, then call report_outcome.")

    async def report_outcome(
        self,
        approval_id: ApprovalId,
        outcome: Literal["done", "failed"],
        result: Annotated[
            str, Field(description="The outcome, for the record; cut if it is long")
        ] = "",
    ) -> Report:
        """Record the outcome of an action, after you redeemed its approval and acted.

        The first report counts: the same report again is accepted, a different one is refused. A
        long result is cut, so say the important things first.
        """
        with _tool_errors():
            approval = await self._find(approval_id)
            if approval.redeemed_at is None:
                raise ToolError("it was not redeemed, so there is nothing to report")
            clearance, done = clear(approval), outcome == "done"
            limit = MAX_RESULT if done else MAX_FAILURE
            # The action was done, so no text may make the service refuse the report.
            kept = cleaned(result, limit)
            failure = ReportedFailureError(kept)
            await self._check_first(approval, done=done, said=kept if done else described(failure))
            if done:
                await self.gate.complete(clearance, STEP_NAME, kept)
            else:
                await self.gate.fail(clearance, STEP_NAME, failure)
        cut = "" if len(result) <= limit else f", its text cut to {limit} characters"
        return Report(outcome=outcome, next=f"Nothing: it is on record{cut}.")

    async def withdraw_approval(
        self,
        approval_id: ApprovalId,
        reason: Annotated[str, Field(min_length=1, description="Why, for those who were asked")],
    ) -> ApprovalState:
        """Withdraw a request that is no longer needed, so that people need not decide."""
        with _tool_errors():
            approval = await self._find(approval_id)
            await self.gate.withdraw(approval, reason)
            return ApprovalState.of(await self._find(approval_id))

    async def _find(self, approval_id: str) -> Approval:
        approval = await self.gate.client.approval(approval_id)
        if approval is None or not await self._is_own(approval):
            raise ToolError(
                f"there is no approval {approval_id!r} that was requested through this server"
            )
        return approval

    async def _is_own(self, approval: Approval) -> bool:
        """Whether it was requested through a server like this one, with the same token's owner.

        The token may see the approvals of every gate on its queues. An agent that was told the id
        of one must not use or withdraw it.
        """
        if approval.id in self.own:
            return True
        client = self.gate.client
        viewer, execution = await client.viewer(), await client.execution(approval.execution_id)
        if execution is None:
            return False
        asked = (execution.queue, execution.initiator.id, execution.on_behalf_of)
        labels = {each.name: each.value for each in execution.labels}
        own = asked == (self.gate.queue, viewer.id, self.on_behalf_of) and labels == LABELS
        if own:
            self.own.add(approval.id)
        return own

    async def _check_first(self, approval: Approval, *, done: bool, said: str) -> None:
        """Raise ToolError for a second, different report, which the service would ignore."""
        history = await self.gate.client.history(approval.execution_id)
        steps = [] if history is None else history.steps
        step = next((each for each in steps if each.key == STEP_KEY), None)
        if step is None:
            return
        was_done = step.completed_at is not None
        recorded = step.result if was_done else step.error
        if (done, said) != (was_done, recorded):
            outcome = "done" if was_done else "failed"
            raise ToolError(
                f"a report is on record, and only the first counts: {outcome},"
                f" {str(recorded)[:SHOWN]!r}. Do not report again"
            )

    async def _settled(self, approval: ApprovalRecord) -> ApprovalRecord:
        try:
            return (await self.gate.clearance(approval)).approval
        except NotCleared as refused:
            return refused.approval


async def _progressing(
    waiting: asyncio.Task[Any], seconds: int, context: Context[Any, Any]
) -> None:
    """Wait for the task, and report progress to a client that wants it."""
    clock = asyncio.get_running_loop().time
    begun = clock()
    while not waiting.done():
        passed = clock() - begun
        await context.report_progress(passed, seconds, "people have not decided yet")
        if passed >= seconds:
            return
        await asyncio.wait({waiting}, timeout=min(PROGRESS_SECONDS, seconds - passed))


def _reused(error: KeyReused, *, by_payload: bool) -> str:
    """Say what to do after a key was used for another request."""
    asked = error.approval
    known = "" if asked is None else f" It is {asked.id}, {asked.title!r}."
    named = "this payload, by which the request is known," if by_payload else "this key"
    return (
        f"{error.code}: {named} was used before for this action, with another title, description or"
        f" payload, or asked of other people.{known} To find that request, repeat it exactly or"
        " call get_approval; to ask for something new, give a key that was not used"
    )


@contextmanager
def _tool_errors() -> Iterator[None]:
    """Give the agent the text of errors that it can act on. Others are faults, without text."""
    try:
        yield
    except (PlacetError, ValueError) as error:
        raise ToolError(str(error)) from error
