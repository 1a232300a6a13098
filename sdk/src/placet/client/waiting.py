"""Waits for an execution or an approval: by push, by polling, or on a state kept in-process."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from placet._util.time_limit import limited
from placet.client.changes import Changes, Mode, News, existing
from placet.client.queries import Queries
from placet.client.state_watch import StateWatch
from placet.client.transport.http import HttpTransport
from placet.client.transport.retry import retried
from placet.errors import NotFound
from placet.models.enums import ApprovalStatus, ExecutionState
from placet.models.responses import Approval, ApprovalRecord, Execution, ExecutionHead, Move
from placet.models.transitions import may_end, may_resolve, target

APPROVAL_POLL_SECONDS = 1.0


def ended(execution: Execution) -> bool:
    """Whether the execution is final."""
    return execution.state.final


class Waiting:
    """Waits for executions and approvals, and watches executions.

    ``mode`` "push" follows the execution's events on the client's WebSocket. If WebSockets do not
    get through, it changes over to polling and logs that. "poll" asks by HTTP: with ``poll`` None
    by long polls, which are answered as soon as something happens, and otherwise every ``poll``
    seconds. Both give the same result for the same history. Lost connections and a service that is
    away are waited out. After ``timeout`` seconds TimeoutError is raised; it says what was waited
    for and how it was last seen.
    """

    def __init__(self, transport: HttpTransport, queries: Queries) -> None:
        self._queries = queries
        self._changes = Changes(transport, queries)

    async def wait(
        self,
        execution: Execution | ExecutionHead | str,
        *,
        until: Callable[[Execution], bool] = ended,
        mode: Mode = "push",
        poll: float | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the callers' word for it
    ) -> Execution:
        """Wait until the execution is final, or until ``until`` is true, and return it.

        ``execution`` may be its id. ``until`` is called with the execution as it is read after a
        change; it does not see the states that were passed in between. Raises NotFound and
        RequestError.
        """
        execution_id = _id_of(execution)
        aim = "end" if until is ended else "be as `until` wants it"
        seen: ExecutionState | None = None
        async with limited(timeout, f"execution {execution_id} to {aim}", lambda: seen):
            execution = await existing(self._queries, execution_id)
            seen = execution.state
            if until(execution):
                return execution
            async with aclosing(self._after(execution, mode, poll)) as news:
                async for each in news:
                    if each.version <= execution.version:
                        continue
                    if isinstance(each, Execution):
                        execution = each
                    elif until is not ended or may_end(each.type):
                        execution = await retried(None, existing, self._queries, execution_id)
                    else:
                        # The execution is not read for this event, but its state is known.
                        seen = target(seen, each.type) or seen
                        continue
                    seen = execution.state
                    if until(execution):
                        return execution
        raise AssertionError("changes never end")

    async def wait_for(
        self,
        approval: ApprovalRecord,
        *,
        mode: Mode = "push",
        poll: float | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the callers' word for it
    ) -> Approval:
        """Wait until the approval is resolved, in whatever way, and return it.

        For a caller who sees the approval but not its execution, such as an approver, it is polled
        every ``poll`` seconds, by default 1, in either mode. Raises NotFound and RequestError.
        """
        seen: ApprovalStatus | None = None
        async with limited(timeout, f"approval {approval.id} to be resolved", lambda: seen):
            execution = await self._queries.execution(approval.execution_id)
            # Read after the execution, so that no change between the two is missed.
            found = await self._approval(approval.id)
            seen = found.status
            if found.status is not ApprovalStatus.PENDING:
                return found
            signals = (
                self._polled(poll) if execution is None else self._after(execution, mode, poll)
            )
            async with aclosing(signals):
                async for each in signals:
                    if isinstance(each, Move) and not may_resolve(each.type):
                        continue
                    found = await retried(None, self._approval, approval.id)
                    if found.status is not ApprovalStatus.PENDING:
                        return found
        raise AssertionError("changes never end")

    def watch(
        self,
        execution: Execution | ExecutionHead | str,
        *,
        mode: Mode = "push",
        poll: float | None = None,
    ) -> StateWatch:
        """Keep an execution's state in this process, for as long as the block takes.

        ``async with client.watch(execution) as watch: ...``; ``execution`` may be its id.
        """
        return StateWatch(self._queries, self._changes, _id_of(execution), mode, poll)

    def _after(
        self, execution: Execution, mode: Mode, poll: float | None
    ) -> AsyncGenerator[News, None]:
        return self._changes.after(execution.id, execution.version, mode=mode, poll=poll)

    async def _polled(self, poll: float | None) -> AsyncGenerator[None, None]:
        while True:
            await asyncio.sleep(APPROVAL_POLL_SECONDS if poll is None else poll)
            yield None

    async def _approval(self, approval_id: str) -> Approval:
        found = await self._queries.approval(approval_id)
        if found is None:
            raise NotFound("NOT_FOUND", f"there is no approval {approval_id!r} that you may see")
        return found


def _id_of(execution: Execution | ExecutionHead | str) -> str:
    return execution if isinstance(execution, str) else execution.id
