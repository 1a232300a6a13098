"""Decisions of people about all approvals, one a row."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import strawberry

from api.context import Context
from api.errors import forbidden
from api.schema.enums import ApprovalStatus, Verdict
from api.schema.inputs import DecisionFilterInput
from api.schema.limits import page_size
from api.schema.paging import PageInfo
from api.schema.people import Actor
from api.schema.positions import known_position, position_text
from projections.decisions.query import sees_decisions
from projections.decisions.record import DecisionRecord


@strawberry.type(description="A decision, with what it was about and how long it took.")
class RecordedDecision:
    approval_id: strawberry.ID
    execution_id: strawberry.ID
    version: int = strawberry.field(description="The version of its event in the execution.")
    workflow: str
    key: str
    round: int
    title: str | None
    verdict: Verdict
    by: Actor = strawberry.field(
        description="Who decided. The service itself for a grant at the deadline."
    )
    on_behalf_of: Actor | None = strawberry.field(
        description="The person in whose place a delegate decided."
    )
    groups: list[str] = strawberry.field(
        description="The groups that the person held then, or the one in whose place it was."
    )
    rule: str = strawberry.field(
        description="Why this person was eligible at that moment: user:ID, group:NAME, "
        "escalation:NAME; deadline: nobody decided, and the policy granted it."
    )
    stage: int
    comment: str | None
    asked_at: datetime = strawberry.field(
        description="Since when the person could decide: the request, the completion of the stage "
        "before, the escalation or the delegation."
    )
    decided_at: datetime
    took: timedelta = strawberry.field(description="The time from askedAt to decidedAt.")
    counts: bool = strawberry.field(
        description="Whether it counts. It does not if it was taken back, and a grant does not if "
        "the payload was amended since."
    )
    retracted_at: datetime | None = strawberry.field(description="When it was taken back.")
    standing_grant_id: strawberry.ID | None = strawberry.field(
        description="The id of the standing grant by which this person decided in advance."
    )
    status: ApprovalStatus = strawberry.field(description="Where the approval stands now.")
    revoked_at: datetime | None = strawberry.field(
        description="When the grant of the approval was revoked."
    )

    @classmethod
    def of(cls, record: DecisionRecord) -> "RecordedDecision":
        """Make the GraphQL type of a decision."""
        behalf = record.on_behalf_of
        return cls(
            approval_id=strawberry.ID(str(record.approval_id)),
            execution_id=strawberry.ID(str(record.execution_id)),
            version=record.version,
            workflow=record.workflow,
            key=record.key,
            round=record.round,
            title=record.title,
            verdict=record.verdict,
            by=Actor.of(record.by),
            on_behalf_of=None if behalf is None else Actor.of(behalf),
            groups=list(record.groups),
            rule=record.rule,
            stage=record.stage,
            comment=record.comment,
            asked_at=record.asked_at,
            decided_at=record.decided_at,
            took=record.took,
            counts=record.retracted_at is None and not record.superseded,
            retracted_at=record.retracted_at,
            standing_grant_id=None
            if record.standing_grant_id is None
            else strawberry.ID(str(record.standing_grant_id)),
            status=record.status,
            revoked_at=record.revoked_at,
        )


@strawberry.type(description="A decision in a page, with its cursor.")
class DecisionEdge:
    cursor: str
    node: RecordedDecision


@strawberry.type(description="A page of decisions.")
class DecisionConnection:
    edges: list[DecisionEdge]
    page_info: PageInfo
    counted: strawberry.Private[Callable[[], Awaitable[int | None]]]
    stands_at: strawberry.Private[Callable[[], Awaitable[str]]]

    @strawberry.field(description="The number of all matches; null if there are more than 10,000.")
    async def total_count(self) -> int | None:
        return await self.counted()

    @strawberry.field(description="The position in the log that the page shows.")
    async def position(self) -> str:
        return await self.stands_at()


async def decisions(
    context: Context,
    wanted: DecisionFilterInput | None,
    first: int | None,
    after: str | None,
    at_least: str | None,
) -> DecisionConnection:
    """Return a page of decisions. Raises FORBIDDEN for who reads none."""
    viewer, model = context.principal, context.services.decisions
    if not sees_decisions(viewer):
        raise forbidden(
            "reading decisions needs the role AUDITOR, OPERATOR or ADMIN, or APPROVER for one's own"
        )
    filter_ = (wanted or DecisionFilterInput()).value_of()
    page = await model.page(
        viewer,
        filter_,
        first=page_size(first, 50),
        after=after,
        at_least=await known_position(context, at_least, "atLeast"),
    )

    async def counted() -> int | None:
        return await model.count(viewer, filter_)

    async def stands_at() -> str:
        known = await context.services.reader.positions.position_at(page.position)
        return position_text(page.position, known.mark)

    return DecisionConnection(
        edges=[
            DecisionEdge(cursor=cursor, node=RecordedDecision.of(row))
            for row, cursor in zip(page.rows, page.cursors, strict=True)
        ],
        page_info=PageInfo.of(page.cursors, has_next=page.has_next, has_previous=page.has_previous),
        counted=counted,
        stands_at=stands_at,
    )
