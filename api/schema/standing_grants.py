"""Standing grants: what people allow in advance, and for which approvals it was used."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated
from uuid import uuid4

import strawberry
from strawberry.types import Info

from api.context import Context, context_of
from api.schema.arguments import After, First, described
from api.schema.enums import RefusalCode, StandingGrantStatus
from api.schema.ids import execution_id_of
from api.schema.inputs import StandingGrantInput
from api.schema.known_people import Node
from api.schema.limits import check_values, page_size
from api.schema.nodes import Approval, ApprovalConnection, ApprovalEdge
from api.schema.paging import PageInfo, json_size, number_of, slice_after
from api.schema.people import Actor
from api.schema.positions import known_position, position_of, position_text
from api.schema.scalars import JSON
from application.command_handling import outcomes
from application.command_handling.requests import Request
from domain import authorization
from domain.execution.state import Execution
from domain.standing_grants import state
from domain.standing_grants.commands import RevokeStandingGrant, StandingGrantCommand
from domain.standing_grants.decide import sees
from projections.standing_grants.query import StandingGrantFilter


@strawberry.type(
    description="What one person allows in advance, bounded in time and number. Each use is a "
    "decision of that person. Its owner, AUDITOR and ADMIN see it."
)
class StandingGrant(Node):
    grant: strawberry.Private[state.StandingGrant]
    workflow: str
    key: str | None = strawberry.field(description="The key of the approvals; null: any.")
    payload_schema: JSON = strawberry.field(
        description="The JSON Schema that the payload must meet."
    )
    max_uses: int
    uses: int = strawberry.field(description="How often it was used. A use can be given back.")
    expires_at: datetime
    comment: str | None
    status: StandingGrantStatus
    created_at: datetime
    revoked_at: datetime | None

    @strawberry.field(description="Who allows it, and in whose name it decides.")
    def by(self) -> Actor:
        return Actor.of(self.grant.by)

    @strawberry.field(description="The approvals for which it was used, the latest first.")
    async def used_for(
        self, info: Info, first: First = 50, after: After = None
    ) -> ApprovalConnection:
        size, start = page_size(first, 50), number_of(after, "after")
        context = context_of(info)
        # A row of the read model has no uses.
        whole = await context.services.reader.standing_grant(self.grant.id)
        uses = [] if whole is None else whole.uses_that_count()[::-1]
        left = [use for use in uses if start is None or use.version < start]
        found = await _approvals(context, left[: size + 1])
        page, more = slice_after(found, 0, size, _size)
        edges = [ApprovalEdge(cursor=str(use.version), node=node) for use, node in page]
        cursors = [edge.cursor for edge in edges]

        async def counted() -> int:
            return len(uses)

        async def stands_at() -> str:
            reader, version = context.services.reader, (whole or self.grant).version
            [event] = await reader.history(self.grant.id, after=version - 1, limit=1)
            return position_of(event)

        return ApprovalConnection(
            edges=edges,
            page_info=PageInfo.of(cursors, has_next=more, has_previous=start is not None),
            counted=counted,
            stands_at=stands_at,
        )

    @classmethod
    def of(cls, grant: state.StandingGrant) -> "StandingGrant":
        """Make the GraphQL type of a standing grant."""
        return cls(
            grant=grant,
            id=strawberry.ID(str(grant.id)),
            workflow=grant.workflow,
            key=grant.key,
            payload_schema=grant.payload_schema,
            max_uses=grant.max_uses,
            uses=grant.used,
            expires_at=grant.expires_at,
            comment=grant.comment,
            status=grant.status(datetime.now(UTC)),
            created_at=grant.created_at,
            revoked_at=grant.revoked_at,
        )


def _size(found: tuple[state.Use, Approval]) -> int:
    return json_size(found[1].of_approval.payload)


async def _approvals(
    context: Context, uses: Sequence[state.Use]
) -> list[tuple[state.Use, Approval]]:
    """Return the approvals of uses, as far as the viewer may see them."""
    ids = {use.approval_id.execution_id for use in uses}
    found = await context.services.reader.aggregates(ids)
    executions = {each.id: each for each in found if isinstance(each, Execution)}
    shown = []
    for use in uses:
        execution = executions.get(use.approval_id.execution_id)
        approval = None if execution is None else execution.approvals.get(use.approval_id.ordinal)
        if execution is None or approval is None:
            continue
        if authorization.sees_approval(context.principal, execution, approval):
            shown.append((use, Approval.of(execution, approval)))
    return shown


@strawberry.type(description="A standing grant in a page, with its cursor.")
class StandingGrantEdge:
    cursor: str
    node: StandingGrant


@strawberry.type(description="A page of standing grants.")
class StandingGrantConnection:
    edges: list[StandingGrantEdge]
    page_info: PageInfo
    counted: strawberry.Private[Callable[[], Awaitable[int | None]]]

    @strawberry.field(description="The number of all matches; null if there are more than 10,000.")
    async def total_count(self) -> int | None:
        return await self.counted()


@strawberry.type(
    description="The result of a command about a standing grant. With a code it was refused, and "
    "nothing was recorded."
)
class StandingGrantResult:
    grant: StandingGrant | None = strawberry.field(
        description="The standing grant right after the command; null if the caller may not see it."
    )
    code: RefusalCode | None
    message: str | None
    repeated: bool = strawberry.field(
        description="Whether an earlier call had already done this; then nothing new was recorded."
    )
    position: str | None = strawberry.field(
        description="The position of the event that the command recorded."
    )


@strawberry.type
class StandingGrantMutations:
    @strawberry.mutation(
        description="Allows approvals in advance, in the name of the caller, who needs the role "
        "APPROVER."
    )
    async def create_standing_grant(
        self,
        info: Info,
        input: Annotated[StandingGrantInput, described("What is allowed.")],  # noqa: A002
    ) -> StandingGrantResult | None:
        context = context_of(info)
        return await carry_out(context, input.command(context.principal))

    @strawberry.mutation(
        description="Ends a standing grant at once: its owner, OPERATOR and ADMIN can do so."
    )
    async def revoke_standing_grant(
        self,
        info: Info,
        id: Annotated[strawberry.ID, described("The id of the standing grant.")],  # noqa: A002
        reason: Annotated[str, described("Why. It must not be empty.")],
    ) -> StandingGrantResult | None:
        context = context_of(info)
        command = RevokeStandingGrant(
            by=context.principal, execution_id=execution_id_of(id), reason=reason
        )
        return await carry_out(context, command)


async def carry_out(context: Context, command: StandingGrantCommand) -> StandingGrantResult:
    """Send a command to the writer. Raises the exception of a fault."""
    request = Request(command=command, command_id=uuid4(), trace=context.traces.request)
    [outcome] = await context.services.writer.handle([request])
    if isinstance(outcome, Exception):
        raise outcome
    grant = outcome.state if isinstance(outcome.state, state.StandingGrant) else None
    shown = None if grant is None or not sees(context.principal, grant) else StandingGrant.of(grant)
    if isinstance(outcome, outcomes.Refused):
        return StandingGrantResult(
            grant=shown, code=outcome.code, message=outcome.message, repeated=False, position=None
        )
    return StandingGrantResult(
        grant=shown,
        code=None,
        message=None,
        repeated=outcome.repeated,
        position=position_text(outcome.position, outcome.hash),
    )


async def standing_grants_page(
    context: Context,
    status: list[StandingGrantStatus] | None,
    by: str | None,
    workflow: str | None,
    first: int | None,
    after: str | None,
    at_least: str | None,
) -> StandingGrantConnection:
    """Return a page of the read model."""
    check_values(status, "status")
    model, viewer = context.services.standing_grants, context.principal
    wanted = StandingGrantFilter(
        now=datetime.now(UTC),
        statuses=None if status is None else tuple(status),
        by=by,
        workflow=workflow,
    )
    page = await model.page(
        viewer,
        wanted,
        first=page_size(first, 50),
        after=after,
        at_least=await known_position(context, at_least, "atLeast"),
    )
    edges = [
        StandingGrantEdge(cursor=cursor, node=StandingGrant.of(row))
        for row, cursor in zip(page.rows, page.cursors, strict=True)
    ]

    async def counted() -> int | None:
        return await model.count(viewer, wanted)

    return StandingGrantConnection(
        edges=edges,
        page_info=PageInfo.of(page.cursors, has_next=page.has_next, has_previous=page.has_previous),
        counted=counted,
    )
