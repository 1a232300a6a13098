"""Current executions and approvals: the types that have an id.

Each has a field of the other type, so both are in this module.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated

import strawberry
from strawberry.types import Info

from api.context import context_of
from api.schema.approvals import ApprovalView, Eligibility, approval_fields
from api.schema.arguments import After, First, described
from api.schema.comments import CommentConnection
from api.schema.enums import ApprovalStatus
from api.schema.events import EventConnection
from api.schema.executions import ExecutionView, ForkOrigin, execution_fields
from api.schema.known_people import Node, PersonConnection, eligible_people
from api.schema.limits import page_size
from api.schema.paging import PageInfo, json_size, number_of, slice_after
from api.schema.people import Actor
from api.schema.positions import parse_position, position_of, position_text
from api.schema.scalars import JSON
from application.event_store.chained_events import LoggedEvent
from application.event_store.positions import LogPosition
from domain import authorization
from domain.approvals import eligibility, step_up
from domain.approvals import state as approval_state
from domain.approvals.amendment import json_patch
from domain.approvals.document import document_of
from domain.execution import state
from domain.names import may_be_same_person


@strawberry.type(description="A request for approval by people, in its current state.")
class Approval(ApprovalView, Node):
    shown_in: strawberry.Private["Execution | None"]
    altered: strawberry.Private[bool]
    as_of: strawberry.Private[datetime | None]
    execution_id: strawberry.ID
    workflow: str

    @strawberry.field(description="The execution; null if the viewer may not read it.")
    async def execution(self, info: Info) -> "Execution | None":
        context = context_of(info)
        if not authorization.sees_execution(context.principal, self.of_execution):
            return None
        if self.shown_in is not None:
            return self.shown_in
        current = await context.services.reader.execution(self.of_execution.id)
        return None if current is None else Execution.of(current)

    @strawberry.field
    def initiator(self) -> Actor:
        return Actor.of(self.of_execution.initiator)

    @strawberry.field(description="Whether the viewer may decide now.")
    def viewer_may_decide(self, info: Info) -> Eligibility:
        viewer, approval = context_of(info).principal, self.of_approval
        reasons = list(eligibility.objections(viewer, self.of_execution, approval))
        if not approval.pending:
            reasons.insert(0, f"the approval is {approval.status}")
        elif (decision := approval.decision_that_bars(viewer.id)) is not None:
            own = may_be_same_person(decision.by.id, viewer.id)
            by_substitute = f"{decision.by.id} has already decided in the place of this person"
            reasons.insert(0, "this person has already decided" if own else by_substitute)
        elif missing := step_up.missing_login(approval.policy, viewer, datetime.now(UTC)):
            reasons.append(missing)
        if self.altered:
            reasons.insert(0, "this is not the document that was requested: the row was changed")
        if self.as_of is not None:
            reasons.insert(0, "this is the approval as it was at a moment, not as it is now")
        return Eligibility(allowed=not reasons, reasons=reasons)

    @strawberry.field(description="Who said less than an hour ago that they look into it.")
    def claimed_by(self) -> Actor | None:
        claimant = self.of_approval.claimant(self.as_of or datetime.now(UTC))
        return None if claimant is None else Actor.of(claimant)

    @strawberry.field(description="The round before; null in the first.")
    async def previous_round(self, info: Info) -> "Approval | None":
        execution, previous = await self._previous(info)
        return None if previous is None else Approval.of(execution, previous)

    @strawberry.field(
        description="The changes from the document of the previous round to this one, as a JSON "
        "Patch (RFC 6902); null in the first round."
    )
    async def document_diff(self, info: Info) -> JSON | None:
        execution, previous = await self._previous(info)
        if previous is None:
            return None
        before = document_of(execution, previous)
        after = document_of(self.of_execution, self.of_approval)
        return JSON(json_patch(before, after))

    @strawberry.field(description="The comments, oldest first.")
    async def comments(
        self, info: Info, first: First = 50, after: After = None
    ) -> CommentConnection:
        size, start = page_size(first, 50), number_of(after, "after") or 0
        marks = self.of_approval.comments
        page, more = slice_after([m.version for m in marks if m.version > start], 0, size)
        reader = context_of(info).services.reader
        events = await reader.versions(self.of_execution.id, page)
        return CommentConnection.of(events, more=more, after=start, total=len(marks))

    @strawberry.field(
        description="The people of the directory whose decision would count now, in the order of "
        "their ids, of the first 2,000 who are asked. Of those who only sign in, the directory "
        "knows what their last token said."
    )
    async def eligible_people(
        self, info: Info, first: First = 50, after: After = None
    ) -> PersonConnection:
        return await eligible_people(
            context_of(info),
            None if self.altered or self.as_of else (self.of_execution, self.of_approval),
            first,
            after,
        )

    async def _previous(self, info: Info) -> tuple[state.Execution, approval_state.Approval | None]:
        """Return the previous round, as far as the viewer may see it, with its execution."""
        ordinal, execution = self.of_approval.previous_round, self.of_execution
        if not ordinal:
            return execution, None
        context = context_of(info)
        # What a read model has of the execution may be without its other approvals.
        whole = await context.services.reader.execution(execution.id)
        previous = None if whole is None else whole.approvals.get(ordinal)
        if whole is None or previous is None:
            return execution, None
        if not authorization.sees_approval(context.principal, whole, previous):
            return execution, None
        return whole, previous

    @classmethod
    def of(
        cls,
        execution: state.Execution,
        approval: approval_state.Approval,
        shown_in: "Execution | None" = None,
        *,
        altered: bool = False,
        as_of: datetime | None = None,
    ) -> "Approval":
        """Make the GraphQL type of an approval.

        The execution may be older than the approval: only fields that never change are used.
        ``shown_in`` is the current execution, if the caller has it already. ``altered``: it comes
        from a row that somebody has changed. ``as_of``: it is as it was at this moment.
        """
        return cls(
            shown_in=shown_in,
            altered=altered,
            as_of=as_of,
            id=strawberry.ID(str(approval.id)),
            execution_id=strawberry.ID(str(execution.id)),
            workflow=execution.workflow,
            **approval_fields(execution, approval),
        )


@strawberry.type(description="An approval in a page, with its cursor.")
class ApprovalEdge:
    cursor: str
    node: Approval


@strawberry.type(description="A page of approvals.")
class ApprovalConnection:
    edges: list[ApprovalEdge]
    page_info: PageInfo
    counted: strawberry.Private[Callable[[], Awaitable[int | None]]]
    stands_at: strawberry.Private[Callable[[], Awaitable[str]]]

    @strawberry.field(description="The number of all matches; null if there are more than 10,000.")
    async def total_count(self) -> int | None:
        return await self.counted()

    @strawberry.field(
        description="The position in the log that the page shows. A subscription from here misses "
        "nothing and repeats nothing."
    )
    async def position(self) -> str:
        return await self.stands_at()


@strawberry.type(description="An execution in its current state.")
class Execution(ExecutionView, Node):
    forked_from: ForkOrigin | None = None

    @strawberry.field(
        description="All approvals of the execution, in the order of their requests, from the log."
    )
    async def approvals(
        self,
        info: Info,
        status: Annotated[
            ApprovalStatus | None, described("The status that they have; null: any.")
        ] = None,
        first: First = 100,
        after: After = None,
    ) -> ApprovalConnection:
        size, start = page_size(first, 100), number_of(after, "after") or 0
        whole = await self.whole(info)
        found = [a for a in whole.approvals_in_order() if status in (None, a.status)]
        beyond = [approval for approval in found if approval.ordinal > start]
        page, more = slice_after(beyond, 0, size, _size_of)
        shown_in = None if self.partial else self
        edges = [
            ApprovalEdge(cursor=str(approval.ordinal), node=Approval.of(whole, approval, shown_in))
            for approval in page
        ]
        cursors = [edge.cursor for edge in edges]

        async def counted() -> int:
            return len(found)

        async def stands_at() -> str:
            reader = context_of(info).services.reader
            [event] = await reader.history(whole.id, after=whole.version - 1, limit=1)
            return position_of(event)

        return ApprovalConnection(
            edges=edges,
            page_info=PageInfo.of(cursors, has_next=more, has_previous=start > 0),
            counted=counted,
            stands_at=stands_at,
        )

    @strawberry.field(description="All events of the execution, by version.")
    async def events(self, info: Info, first: First = 100, after: After = None) -> EventConnection:
        size = page_size(first, 100)
        reader, execution = context_of(info).services.reader, self.of_execution
        known = parse_position(after, "after") or LogPosition(0)
        await reader.positions.check_version(execution.id, known)
        found, more = await reader.history_page(execution.id, after=known.number, limit=size)
        # Later events are not part of the version that is shown.
        events = [event for event in found if event.recorded.version <= execution.version]
        return EventConnection.of(
            events,
            known.number,
            _version_of,
            more=more and bool(events) and events[-1].recorded.version < execution.version,
        )

    @classmethod
    def of(cls, execution: state.Execution, *, partial: bool = False) -> "Execution":
        """Make the GraphQL type of an execution. ``partial``: without its steps and approvals."""
        return cls(
            id=strawberry.ID(str(execution.id)), **execution_fields(execution, partial=partial)
        )


@strawberry.type(description="An execution in a page, with its cursor.")
class ExecutionEdge:
    cursor: str
    node: Execution


@strawberry.type(description="A page of executions.")
class ExecutionConnection:
    edges: list[ExecutionEdge]
    page_info: PageInfo
    counted: strawberry.Private[Callable[[], Awaitable[int | None]]]
    stands_at: strawberry.Private[Callable[[], Awaitable[str]]]

    @strawberry.field(description="The number of all matches; null if there are more than 10,000.")
    async def total_count(self) -> int | None:
        return await self.counted()

    @strawberry.field(
        description="The position in the log that the page shows. A subscription from here misses "
        "nothing and repeats nothing."
    )
    async def position(self) -> str:
        return await self.stands_at()


def _size_of(approval: approval_state.Approval) -> int:
    """Return the bytes of the payload and of the patches that led to it."""
    return json_size([approval.payload, *(each.patch for each in approval.amendments)])


def _version_of(event: LoggedEvent) -> str:
    """Return the cursor of an event among those of its execution."""
    return position_text(event.recorded.version, event.hash)
