"""Queries. Those by id read the log and are always current; lists come from the read models."""

from datetime import datetime, timedelta
from typing import Annotated

import strawberry
from strawberry.types import Info

from api.context import context_of
from api.errors import bad_request
from api.schema.arguments import After, AtLeast, ExecutionId, First, described
from api.schema.authorized_lookups import event_query, visible_approval, visible_execution
from api.schema.changes import ExecutionChange, execution_after
from api.schema.enums import ApprovalOrder, ExecutionOrder
from api.schema.events import EventConnection
from api.schema.executions import ExecutionSnapshot
from api.schema.inputs import ApprovalFilterInput, EventFilterInput, ExecutionFilterInput
from api.schema.limits import NO_WAIT, page_size
from api.schema.nodes import (
    Approval,
    ApprovalConnection,
    ApprovalEdge,
    Execution,
    ExecutionConnection,
    ExecutionEdge,
    Node,
)
from api.schema.paging import PageInfo, number_of
from api.schema.people import Principal
from domain.execution.transitions import mermaid


@strawberry.type(description="All queries.")
class Query:
    @strawberry.field(description="The owner of the token.")
    def viewer(self, info: Info) -> Principal:
        return Principal.of(context_of(info).principal)

    @strawberry.field(description="The execution or approval with this id.")
    async def node(
        self,
        info: Info,
        id: Annotated[  # noqa: A002
            strawberry.ID, described("The id of an execution or approval.")
        ],
    ) -> Node | None:
        if "." in id:
            return await _approval(info, id)
        return await _execution(info, id)

    @strawberry.field(description="The current state of an execution, from the log.")
    async def execution(self, info: Info, id: ExecutionId) -> Execution | None:  # noqa: A002
        return await _execution(info, id)

    @strawberry.field(
        description="Whether an execution has changed since a version, and its state if it has; "
        "null if there is no such execution. wait: for how long to wait for a change, at most 20 "
        "seconds."
    )
    async def execution_after(
        self,
        info: Info,
        id: ExecutionId,  # noqa: A002
        version: Annotated[int, described("The version that the caller knows.")],
        wait: Annotated[
            timedelta | None, described("How long to wait for a change, at most 20 seconds.")
        ] = NO_WAIT,
    ) -> ExecutionChange | None:
        return await execution_after(context_of(info), id, version, wait)

    @strawberry.field(
        description="An execution as it was at a version, or at a moment, including the events of "
        "that very instant. Takes exactly one of version and asOf."
    )
    async def execution_at(
        self,
        info: Info,
        id: ExecutionId,  # noqa: A002
        version: Annotated[int | None, described("The number of its events up to then.")] = None,
        as_of: Annotated[
            datetime | None, described("The moment, with the events of that very instant.")
        ] = None,
    ) -> ExecutionSnapshot | None:
        if (version is None) == (as_of is None):
            raise bad_request("executionAt takes exactly one of version and asOf, give one of them")
        context = context_of(info)
        execution = await visible_execution(context, id)
        if execution is None:
            return None
        reader = context.services.reader
        if version is not None:
            past = await reader.at_version(execution.id, version)
        else:
            assert as_of is not None
            past = await reader.at_moment(execution.id, as_of)
        return None if past is None else ExecutionSnapshot.of(past)

    @strawberry.field(description="The current state of an approval, from the log.")
    async def approval(
        self,
        info: Info,
        id: Annotated[strawberry.ID, described("The id of the approval.")],  # noqa: A002
    ) -> Approval | None:
        return await _approval(info, id)

    @strawberry.field(
        description="A page of executions, from the read model. atLeast: wait until the read model "
        "has reached this position of the log, at most 5 seconds."
    )
    async def executions(
        self,
        info: Info,
        filter: Annotated[  # noqa: A002
            ExecutionFilterInput | None, described("Which executions; null: all.")
        ] = None,
        order_by: Annotated[
            ExecutionOrder | None, described("The order of the page.")
        ] = ExecutionOrder.STARTED_DESC,
        first: First = 50,
        after: After = None,
        at_least: AtLeast = None,
    ) -> ExecutionConnection:
        context = context_of(info)
        wanted = (filter or ExecutionFilterInput()).value_of()
        model, viewer = context.services.executions, context.principal
        page = await model.page(
            viewer,
            wanted,
            order_by or ExecutionOrder.STARTED_DESC,
            first=page_size(first, 50),
            after=after,
            at_least=number_of(at_least, "atLeast"),
        )
        edges = [
            ExecutionEdge(cursor=cursor, node=Execution.of(row, partial=True))
            for row, cursor in zip(page.rows, page.cursors, strict=True)
        ]

        async def counted() -> int | None:
            return await model.count(viewer, wanted)

        return ExecutionConnection(
            edges=edges,
            page_info=PageInfo.of(
                page.cursors, has_next=page.has_next, has_previous=page.has_previous
            ),
            position=str(page.position),
            counted=counted,
        )

    @strawberry.field(
        description="A page of approvals, from the read model. atLeast: wait until the read model "
        "has reached this position of the log, at most 5 seconds."
    )
    async def approvals(
        self,
        info: Info,
        filter: Annotated[  # noqa: A002
            ApprovalFilterInput | None, described("Which approvals; null: all.")
        ] = None,
        order_by: Annotated[
            ApprovalOrder | None, described("The order of the page.")
        ] = ApprovalOrder.REQUESTED_ASC,
        first: First = 50,
        after: After = None,
        at_least: AtLeast = None,
    ) -> ApprovalConnection:
        context = context_of(info)
        wanted = (filter or ApprovalFilterInput()).value_of()
        model, viewer = context.services.approvals, context.principal
        page = await model.page(
            viewer,
            wanted,
            order_by or ApprovalOrder.REQUESTED_ASC,
            first=page_size(first, 50),
            after=after,
            at_least=number_of(at_least, "atLeast"),
        )
        edges = [
            ApprovalEdge(cursor=cursor, node=Approval.of(row.execution, row.approval))
            for row, cursor in zip(page.rows, page.cursors, strict=True)
        ]

        async def counted() -> int | None:
            return await model.count(viewer, wanted)

        async def stands_at() -> int:
            return page.position

        return ApprovalConnection(
            edges=edges,
            page_info=PageInfo.of(
                page.cursors, has_next=page.has_next, has_previous=page.has_previous
            ),
            counted=counted,
            stands_at=stands_at,
        )

    @strawberry.field(
        description="A page of events, in the order of the log. The cursor is the position."
    )
    async def events(
        self,
        info: Info,
        filter: Annotated[  # noqa: A002
            EventFilterInput | None, described("Which events; null: all.")
        ] = None,
        first: First = 100,
        after: After = None,
    ) -> EventConnection:
        context = context_of(info)
        size, start = page_size(first, 100), number_of(after, "after") or 0
        events = await context.services.reader.events(
            event_query(context, filter), after=start, limit=size + 1
        )
        return EventConnection.of(events, size, start, lambda event: event.position)

    @strawberry.field(
        description="The states of an execution as a Mermaid diagram, drawn from the transition "
        "table."
    )
    def state_diagram(self) -> str:
        return mermaid()


async def _execution(info: Info, text: str) -> Execution | None:
    execution = await visible_execution(context_of(info), text)
    return None if execution is None else Execution.of(execution)


async def _approval(info: Info, text: str) -> Approval | None:
    found = await visible_approval(context_of(info), text)
    return None if found is None else Approval.of(*found)
