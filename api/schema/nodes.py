"""Current executions and approvals: the types that have an id.

Each has a field of the other type, so both are in this module.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated

import strawberry
from strawberry.types import Info

from api.context import context_of
from api.schema.approvals import ApprovalView, Eligibility, approval_fields
from api.schema.arguments import After, First, described
from api.schema.enums import ApprovalStatus
from api.schema.events import EventConnection
from api.schema.executions import ExecutionView, ForkOrigin, execution_fields
from api.schema.limits import page_size
from api.schema.paging import PageInfo, number_of, slice_after
from api.schema.people import Actor
from domain import authorization
from domain.approvals import eligibility
from domain.approvals import state as approval_state
from domain.execution import state


@strawberry.interface(description="An object with an id.")
class Node:
    id: strawberry.ID


@strawberry.type(description="A request for approval by people, in its current state.")
class Approval(ApprovalView, Node):
    shown_in: strawberry.Private["Execution | None"]
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
        elif approval.decision_that_bars(viewer.id) is not None:
            reasons.insert(0, "this person has already decided")
        return Eligibility(allowed=not reasons, reasons=reasons)

    @classmethod
    def of(
        cls,
        execution: state.Execution,
        approval: approval_state.Approval,
        shown_in: "Execution | None" = None,
    ) -> "Approval":
        """Make the GraphQL type of an approval.

        The execution may be older than the approval: only fields that never change are used.
        ``shown_in`` is the current execution, if the caller has it already.
        """
        return cls(
            shown_in=shown_in,
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
    stands_at: strawberry.Private[Callable[[], Awaitable[int]]]

    @strawberry.field(description="The number of all matches; null if there are more than 10,000.")
    async def total_count(self) -> int | None:
        return await self.counted()

    @strawberry.field(
        description="The position in the log that the page shows. A subscription from here misses "
        "nothing and repeats nothing."
    )
    async def position(self) -> str:
        return str(await self.stands_at())


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
        page, more = slice_after(beyond, 0, size)
        shown_in = None if self.partial else self
        edges = [
            ApprovalEdge(cursor=str(approval.ordinal), node=Approval.of(whole, approval, shown_in))
            for approval in page
        ]
        cursors = [edge.cursor for edge in edges]

        async def counted() -> int:
            return len(found)

        async def stands_at() -> int:
            reader = context_of(info).services.reader
            [event] = await reader.history(whole.id, after=whole.version - 1, limit=1)
            return event.position

        return ApprovalConnection(
            edges=edges,
            page_info=PageInfo.of(cursors, has_next=more, has_previous=start > 0),
            counted=counted,
            stands_at=stands_at,
        )

    @strawberry.field(description="All events of the execution, by version.")
    async def events(self, info: Info, first: First = 100, after: After = None) -> EventConnection:
        size, start = page_size(first, 100), number_of(after, "after") or 0
        reader, execution = context_of(info).services.reader, self.of_execution
        found = await reader.history(execution.id, after=start, limit=size + 1)
        # Later events are not part of the version that is shown.
        events = [event for event in found if event.recorded.version <= execution.version]
        return EventConnection.of(events, size, start, lambda event: event.recorded.version)

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
    position: str = strawberry.field(
        description="The position in the log that the page shows. A subscription from here misses "
        "nothing and repeats nothing."
    )
    counted: strawberry.Private[Callable[[], Awaitable[int | None]]]

    @strawberry.field(description="The number of all matches; null if there are more than 10,000.")
    async def total_count(self) -> int | None:
        return await self.counted()
