"""The queries of the client."""

from datetime import datetime, timedelta

from placet.client.transport.envelope import Operation
from placet.client.transport.http import HttpTransport
from placet.client.transport.operations import queries as operations
from placet.errors import BadRequest
from placet.models.commands import (
    ApprovalFilter,
    DecisionFilter,
    EventFilter,
    ExecutionFilter,
)
from placet.models.enums import ApprovalOrder, ExecutionOrder
from placet.models.responses import (
    Approval,
    ApprovalRecord,
    Child,
    Comment,
    Execution,
    ExecutionChange,
    ExecutionSnapshot,
    History,
    Page,
    PolicySimulation,
    PreviousRound,
    Principal,
    RecordedDecision,
    RecordedEvent,
)
from placet.models.worker_responses import Transcript
from placet.policy import Policy

NO_WAIT = timedelta(0)


class Queries:
    """What can be read. All raise RequestError."""

    def __init__(self, transport: HttpTransport) -> None:
        self._transport = transport
        # False once the server was found to be of a version without them.
        self._gives_traces = True

    async def viewer(self) -> Principal:
        """Return who the token belongs to."""
        return await self._transport.send(operations.VIEWER())

    async def execution(self, execution_id: str) -> Execution | None:
        """Return an execution from the log, or None if there is none that the caller may see."""
        return await self._transport.look_up(operations.EXECUTION(execution_id))

    async def execution_after(
        self, execution_id: str, version: int, wait: timedelta = NO_WAIT
    ) -> ExecutionChange | None:
        """Return an execution if it has changed since a version, or None if there is none to see.

        ``wait``: for how long the service delays the answer while the version is the same, 20
        seconds at most. Each such request takes a connection of its own meanwhile.
        """
        asked = operations.EXECUTION_AFTER(execution_id, version, wait)
        return await self._transport.look_up(asked, wait=wait.total_seconds())

    async def history(self, execution_id: str) -> History | None:
        """Return an execution with all its steps and approvals, page by page from the log."""
        page = await self._transport.look_up(operations.HISTORY(execution_id))
        if page is None:
            return None
        steps, approvals = list(page.steps), list(page.approvals)
        steps_after = approvals_after = None
        while page.steps.next or page.approvals.next:
            # A list that has ended is requested past its last cursor, which gives an empty page.
            steps_after = page.steps.page_info.end_cursor or steps_after
            approvals_after = page.approvals.page_info.end_cursor or approvals_after
            page = await self._transport.send(
                operations.HISTORY(execution_id, steps_after, approvals_after)
            )
            steps.extend(page.steps)
            approvals.extend(page.approvals)
        return History(execution=page, steps=steps, approvals=approvals)

    async def children(self, execution_id: str) -> list[Child]:
        """Return the children that an execution has started: of each key the latest.

        Empty also for an execution that the caller may not see.
        """
        parent = await self._transport.look_up(operations.CHILDREN(execution_id))
        return [] if parent is None else parent.children

    async def transcript(self, execution_id: str, *, traces: bool = False) -> Transcript | None:
        """Return what a replay of an execution needs, page by page from the log.

        ``traces``: its events have their traceparents, as far as the server has them.
        """
        if traces and self._gives_traces:
            try:
                return await self._transcript(operations.TRANSCRIPT_WITH_TRACES, execution_id)
            except BadRequest as error:
                if "traceparent" not in str(error):
                    raise
                self._gives_traces = False
        return await self._transcript(operations.TRANSCRIPT, execution_id)

    async def _transcript(
        self,
        operation: Operation[[str, str | None, str | None], operations.TranscriptPage],
        execution_id: str,
    ) -> Transcript | None:
        page = await self._transport.look_up(operation(execution_id, None, None))
        if page is None:
            return None
        first, events, approvals = page, list(page.events), list(page.approvals)
        events_after = approvals_after = None
        while page.events.next or page.approvals.next:
            # A list that has ended is requested past its last cursor, which gives an empty page.
            events_after = page.events.page_info.end_cursor or events_after
            approvals_after = page.approvals.page_info.end_cursor or approvals_after
            page = await self._transport.send(
                operation(execution_id, events_after, approvals_after)
            )
            events.extend(page.events)
            approvals.extend(page.approvals)
        # A later page may have events that are newer than the approvals on the first page.
        events = [event for event in events if event.version <= first.version]
        fields = {name: getattr(first, name) for name in Execution.__struct_fields__}
        return Transcript(execution=Execution(**fields), events=events, approvals=approvals)

    async def execution_at(
        self,
        execution_id: str,
        *,
        version: int | None = None,
        as_of: datetime | None = None,
        steps_after: str | None = None,
    ) -> ExecutionSnapshot | None:
        """Return an execution as it was at a version or a moment, with up to 500 of its steps."""
        return await self._transport.look_up(
            operations.EXECUTION_AT(execution_id, version, as_of, steps_after)
        )

    async def comments(self, approval_id: str) -> list[Comment]:
        """Return the comments on an approval, the oldest first, page by page from the log.

        Empty also for an approval that the caller may not see.
        """
        comments: list[Comment] = []
        after: str | None = None
        while True:
            found = await self._transport.look_up(operations.COMMENTS(approval_id, after))
            if found is None:
                return comments
            comments.extend(found.comments)
            if (after := found.comments.next) is None:
                return comments

    async def approval(self, approval_id: str) -> Approval | None:
        """Return an approval from the log, or None if there is none that the caller may see."""
        return await self._transport.look_up(operations.APPROVAL(approval_id))

    async def previous_round(self, approval: ApprovalRecord | str) -> PreviousRound | None:
        """Return the round before an approval, with what has changed in the document since.

        ``approval`` may be its id. None in the first round, and if the caller may not see it.
        """
        id_ = approval if isinstance(approval, str) else approval.id
        found = await self._transport.look_up(operations.PREVIOUS_ROUND(id_))
        if found is None or found.previous_round is None:
            return None
        return PreviousRound(approval=found.previous_round, document_diff=found.document_diff or [])

    async def executions(
        self,
        where: ExecutionFilter | None = None,
        *,
        order: ExecutionOrder = ExecutionOrder.STARTED_DESC,
        first: int = 50,
        after: str | None = None,
        at_least: str | None = None,
        count: bool = False,
    ) -> Page[Execution]:
        """Return a page of executions from the read model.

        ``at_least``: a position that the read model must have reached, such as that of a command's
        answer. ``count``: also count them all.
        """
        asked = operations.EXECUTIONS(
            where, order, first=first, after=after, at_least=at_least, count=count
        )
        return await self._transport.send(asked)

    async def approvals(
        self,
        where: ApprovalFilter | None = None,
        *,
        order: ApprovalOrder = ApprovalOrder.REQUESTED_ASC,
        first: int = 50,
        after: str | None = None,
        at_least: str | None = None,
        as_of: datetime | None = None,
        count: bool = False,
    ) -> Page[Approval]:
        """Return a page of approvals from the read model; the arguments are those of executions.

        ``as_of``: those that were pending at this moment, as they were then, at most 100 a page. It
        takes the filters group, workflow, execution_id and text, and not the order DEADLINE_ASC.
        """
        if as_of is None:
            asked = operations.APPROVALS(
                where, order, first=first, after=after, at_least=at_least, count=count
            )
        else:
            asked = operations.PAST_APPROVALS(
                as_of, where, order, first=first, after=after, at_least=at_least, count=count
            )
        return await self._transport.send(asked)

    async def recorded_decisions(
        self,
        where: DecisionFilter | None = None,
        *,
        first: int = 50,
        after: str | None = None,
        at_least: str | None = None,
        count: bool = False,
    ) -> Page[RecordedDecision]:
        """Return a page of decisions from the read model, the latest first.

        With those that were taken back, and grants at the deadline. Approvers get their own.
        """
        asked = operations.DECISIONS(
            where, first=first, after=after, at_least=at_least, count=count
        )
        return await self._transport.send(asked)

    async def simulate_policy(
        self,
        workflow: str,
        policy: Policy,
        *,
        key: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> PolicySimulation:
        """Return what a policy would have made of the resolved approvals of a workflow.

        For the roles AUDITOR and ADMIN. ``key``: that of the approvals; None: any. ``since`` and
        ``until``: when they were requested, at most 366 days apart; by default the last 30 days.
        """
        asked = operations.SIMULATION(workflow, policy, key=key, since=since, until=until)
        return await self._transport.send(asked)

    async def events(
        self, where: EventFilter | None = None, *, first: int = 100, after: str | None = None
    ) -> Page[RecordedEvent]:
        """Return a page of events in the order of the log."""
        return await self._transport.send(operations.EVENTS(where, first, after))
