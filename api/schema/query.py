"""Queries. Those by id read the log and are always current; lists come from the read models."""

from datetime import datetime, timedelta
from typing import Annotated, Any

import strawberry
from strawberry.types import Info

from api.context import Context, context_of
from api.errors import bad_request
from api.schema.arguments import After, AtLeast, ExecutionId, First, described
from api.schema.authorized_lookups import (
    event_query,
    visible_approval,
    visible_execution,
    visible_standing_grant,
)
from api.schema.changes import ExecutionChange, execution_after
from api.schema.decisions import DecisionConnection, decisions
from api.schema.enums import ApprovalOrder, ExecutionOrder, StandingGrantStatus
from api.schema.events import EventConnection
from api.schema.executions import ExecutionSnapshot
from api.schema.inputs import (
    ApprovalFilterInput,
    DecisionFilterInput,
    EventFilterInput,
    ExecutionFilterInput,
)
from api.schema.inputs.approvals import ApprovalPolicyInput
from api.schema.known_people import Node, PersonConnection, people_page, visible_person
from api.schema.limits import NO_WAIT, page_size
from api.schema.nodes import (
    Approval,
    ApprovalConnection,
    ApprovalEdge,
    Execution,
    ExecutionConnection,
    ExecutionEdge,
)
from api.schema.notifications import NotificationQueries
from api.schema.paging import PageInfo
from api.schema.people import Principal
from api.schema.positions import known_position, position_of, position_text
from api.schema.simulation import PolicySimulation, simulate_policy
from api.schema.standing_grants import (
    StandingGrant,
    StandingGrantConnection,
    standing_grants_page,
)
from api.schema.substitutes import SubstituteQueries
from api.schema.webhooks import Webhook, webhooks
from domain.execution.transitions import mermaid


@strawberry.type(description="All queries.")
class Query(NotificationQueries, SubstituteQueries):
    @strawberry.field(description="The owner of the token.")
    def viewer(self, info: Info) -> Principal:
        return Principal.of(context_of(info).principal)

    @strawberry.field(description="The execution, approval, standing grant or person with this id.")
    async def node(
        self,
        info: Info,
        id: Annotated[  # noqa: A002
            strawberry.ID, described("The id of an execution, approval, standing grant or person.")
        ],
    ) -> Node | None:
        found: Node | None
        if "." in id:
            found = await _approval(info, id)
        else:
            found = await _execution(info, id) or await _standing_grant(info, id)
        return found or await visible_person(context_of(info), id)

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
            past = await reader.past.at_version(execution.id, version)
        else:
            assert as_of is not None
            past = await reader.past.at_moment(execution.id, as_of)
        return None if past is None else ExecutionSnapshot.of(past)

    @strawberry.field(
        description="What a policy would have made of the approvals of a workflow that were "
        "requested in a time and are resolved. At most 366 days, by default the last 30. Needs the "
        "role AUDITOR or ADMIN."
    )
    async def simulate_policy(
        self,
        info: Info,
        workflow: Annotated[str, described("The workflow that asked.")],
        policy: Annotated[ApprovalPolicyInput, described("The policy to try.")],
        key: Annotated[str | None, described("The key of the approvals; null: any.")] = None,
        since: Annotated[datetime | None, described("Requested at this moment or later.")] = None,
        until: Annotated[datetime | None, described("Requested at this moment or earlier.")] = None,
    ) -> PolicySimulation:
        return await simulate_policy(context_of(info), workflow, key, policy, since, until)

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
            at_least=await known_position(context, at_least, "atLeast"),
        )
        edges = [
            ExecutionEdge(cursor=cursor, node=Execution.of(row, partial=True))
            for row, cursor in zip(page.rows, page.cursors, strict=True)
        ]

        async def counted() -> int | None:
            return await model.count(viewer, wanted)

        async def stands_at() -> str:
            return await _position(context, page.position)

        return ExecutionConnection(
            edges=edges,
            page_info=PageInfo.of(
                page.cursors, has_next=page.has_next, has_previous=page.has_previous
            ),
            counted=counted,
            stands_at=stands_at,
        )

    @strawberry.field(
        description="A page of approvals, from the read model. atLeast: wait until the read model "
        "has reached this position of the log, at most 5 seconds. asOf: those that were pending at "
        "this moment, as they were then, with the events of that very instant, at most 100 a page. "
        "It takes the filters group, workflow, executionId and text, and not the order "
        "DEADLINE_ASC."
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
        as_of: Annotated[
            datetime | None, described("The moment at which they were pending; null: now.")
        ] = None,
    ) -> ApprovalConnection:
        context = context_of(info)
        wanted = (filter or ApprovalFilterInput()).value_of()
        viewer, reach = context.principal, await known_position(context, at_least, "atLeast")
        asked: dict[str, Any] = {"first": page_size(first, 50), "after": after, "at_least": reach}
        order = order_by or ApprovalOrder.REQUESTED_ASC
        present, past = context.services.approvals, context.services.past_approvals
        if as_of is None:
            page = await present.page(viewer, wanted, order, **asked)
        else:
            page = await past.page(viewer, wanted, order, as_of=as_of, **asked)
        edges = [
            ApprovalEdge(
                cursor=cursor,
                node=Approval.of(row.execution, row.approval, altered=row.altered, as_of=as_of),
            )
            for row, cursor in zip(page.rows, page.cursors, strict=True)
        ]

        async def counted() -> int | None:
            if as_of is None:
                return await present.count(viewer, wanted)
            return await past.count(viewer, wanted, as_of=as_of)

        async def stands_at() -> str:
            return await _position(context, page.position)

        return ApprovalConnection(
            edges=edges,
            page_info=PageInfo.of(
                page.cursors, has_next=page.has_next, has_previous=page.has_previous
            ),
            counted=counted,
            stands_at=stands_at,
        )

    @strawberry.field(description="The current state of a standing grant, from the log.")
    async def standing_grant(
        self,
        info: Info,
        id: Annotated[strawberry.ID, described("The id of the standing grant.")],  # noqa: A002
    ) -> StandingGrant | None:
        return await _standing_grant(info, id)

    @strawberry.field(
        description="A page of standing grants, the latest first, from the read model: those of "
        "the viewer, or with the role AUDITOR or ADMIN those of everybody."
    )
    async def standing_grants(
        self,
        info: Info,
        status: Annotated[
            list[StandingGrantStatus] | None, described("One of these statuses; null: any.")
        ] = None,
        by: Annotated[strawberry.ID | None, described("The id of the owner; null: any.")] = None,
        workflow: Annotated[str | None, described("The workflow; null: any.")] = None,
        first: First = 50,
        after: After = None,
        at_least: AtLeast = None,
    ) -> StandingGrantConnection:
        return await standing_grants_page(
            context_of(info), status, by, workflow, first, after, at_least
        )

    @strawberry.field(
        description="The people of the directory, in the order of their ids. Needs the role "
        "APPROVER, OPERATOR, AUDITOR or ADMIN."
    )
    async def people(
        self,
        info: Info,
        group: Annotated[str | None, described("A group that they are in; null: any.")] = None,
        text: Annotated[
            str | None, described("A part of their id, name or an address; null: any.")
        ] = None,
        first: First = 50,
        after: After = None,
    ) -> PersonConnection:
        return await people_page(context_of(info), group, text, first, after)

    @strawberry.field(
        description="All webhooks, in the order of their creation. Needs the role ADMIN."
    )
    async def webhooks(self, info: Info) -> list[Webhook]:
        return await webhooks(context_of(info))

    @strawberry.field(
        description="A page of decisions, the latest first, from the read model, with those that "
        "were taken back and grants at the deadline. Approvers get their own. Needs the role "
        "AUDITOR, OPERATOR, ADMIN or APPROVER."
    )
    async def decisions(
        self,
        info: Info,
        filter: Annotated[  # noqa: A002
            DecisionFilterInput | None, described("Which decisions; null: all.")
        ] = None,
        first: First = 50,
        after: After = None,
        at_least: AtLeast = None,
    ) -> DecisionConnection:
        return await decisions(context_of(info), filter, first, after, at_least)

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
        size = page_size(first, 100)
        start = await known_position(context, after, "after") or 0
        events, more = await context.services.events.page(
            event_query(context, filter), after=start, limit=size
        )
        return EventConnection.of(events, start, position_of, more=more)

    @strawberry.field(
        description="The states of an execution as a Mermaid diagram, drawn from the transition "
        "table."
    )
    def state_diagram(self) -> str:
        return mermaid()


async def _position(context: Context, number: int) -> str:
    known = await context.services.reader.positions.position_at(number)
    return position_text(number, known.mark)


async def _execution(info: Info, text: str) -> Execution | None:
    execution = await visible_execution(context_of(info), text)
    return None if execution is None else Execution.of(execution)


async def _approval(info: Info, text: str) -> Approval | None:
    found = await visible_approval(context_of(info), text)
    return None if found is None else Approval.of(*found)


async def _standing_grant(info: Info, text: str) -> StandingGrant | None:
    found = await visible_standing_grant(context_of(info), text)
    return None if found is None else StandingGrant.of(found)
