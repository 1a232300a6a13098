"""Approvals: as they stand, and as they were."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import strawberry
from strawberry.types import Info

from api.context import context_of
from api.schema.enums import ApprovalStatus, ResolutionCause, Verdict
from api.schema.node import Node
from api.schema.paging import PageInfo
from api.schema.people import Actor
from api.schema.policies import ApprovalPolicy, Requirement
from api.schema.scalars import JSON
from domain import authorization
from domain.approvals import eligibility, quorum
from domain.approvals import state as approval_state
from domain.approvals.document import document_of
from domain.execution import state

if TYPE_CHECKING:
    from api.schema.executions import Execution


@strawberry.type(description="What one person decided.")
class Decision:
    verdict: Verdict
    by: Actor
    on_behalf_of: Actor | None
    at: datetime
    comment: str | None
    answers: JSON | None
    digest: str = strawberry.field(description="Of the document that this person saw.")
    rule: str = strawberry.field(
        description="What made this person eligible, frozen at that moment."
    )

    @classmethod
    def of(cls, decision: approval_state.Decision) -> "Decision":
        """Show a decision."""
        behalf = decision.on_behalf_of
        return cls(
            verdict=decision.verdict,
            by=Actor.of(decision.by),
            on_behalf_of=None if behalf is None else Actor.of(behalf),
            at=decision.at,
            comment=decision.comment,
            answers=decision.answers,
            digest=decision.digest,
            rule=decision.rule,
        )


@strawberry.type(description="Whether one may decide, and if not, why.")
class Eligibility:
    allowed: bool
    reasons: list[str]


@strawberry.interface(description="A question put to people.")
class ApprovalView:
    of_execution: strawberry.Private[state.Execution]
    of_approval: strawberry.Private[approval_state.Approval]
    key: str
    round: int = strawberry.field(
        description="1, and one more each time that the key is asked again after a retry."
    )
    title: str | None
    description: str | None
    payload: JSON | None = strawberry.field(description="What will be done if this is granted.")
    payload_digest: str
    digest: str = strawberry.field(description="Of the document; a decision names it.")
    form: JSON | None
    erased: bool = strawberry.field(description="Whether what people wrote was destroyed.")
    status: ApprovalStatus
    resolution: ResolutionCause | None
    requested_at: datetime
    deadline: datetime | None
    resolved_at: datetime | None
    redeemed_at: datetime | None

    @strawberry.field(description="All that is put before the approver.")
    def document(self) -> JSON | None:
        return JSON(document_of(self.of_execution, self.of_approval))

    @strawberry.field
    def policy(self) -> ApprovalPolicy:
        return ApprovalPolicy.of(self.of_approval.policy)

    @strawberry.field(description="In the order in which they were made.")
    def decisions(self) -> list[Decision]:
        return [Decision.of(decision) for decision in self.of_approval.decisions]

    @strawberry.field(description="What is still missing, with what is left of each count.")
    def outstanding(self) -> list[Requirement]:
        return Requirement.of_all(quorum.outstanding(self.of_approval))


def _view(execution: state.Execution, approval: approval_state.Approval) -> dict[str, Any]:
    return {
        "of_execution": execution,
        "of_approval": approval,
        "key": approval.key,
        "round": approval.round,
        "title": approval.title,
        "description": approval.description,
        "payload": approval.payload,
        "payload_digest": approval.payload_digest,
        "digest": approval.digest,
        "form": approval.form,
        "erased": False,
        "status": approval.status,
        "resolution": approval.resolution,
        "requested_at": approval.requested_at,
        "deadline": approval.deadline,
        "resolved_at": approval.resolved_at,
        "redeemed_at": approval.redeemed_at,
    }


@strawberry.type(description="A question put to people, as it stands.")
class Approval(ApprovalView, Node):
    shown_in: strawberry.Private["Execution | None"]
    execution_id: strawberry.ID
    workflow: str

    @strawberry.field(description="Null for a viewer who may not read it.")
    async def execution(
        self, info: Info
    ) -> Annotated["Execution", strawberry.lazy("api.schema.executions")] | None:
        # The two modules show each other's types, so one of them has to look late.
        from api.schema.executions import Execution  # noqa: PLC0415

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

    @strawberry.field(description="Whether the viewer's decision would be taken now.")
    def viewer_may_decide(self, info: Info) -> Eligibility:
        viewer, approval = context_of(info).principal, self.of_approval
        reasons = list(eligibility.objections(viewer, self.of_execution, approval))
        if not approval.pending:
            reasons.insert(0, f"the approval is {approval.status}")
        elif approval.decision_of(viewer.id) is not None:
            reasons.insert(0, "this person has decided already")
        return Eligibility(allowed=not reasons, reasons=reasons)

    @classmethod
    def of(
        cls,
        execution: state.Execution,
        approval: approval_state.Approval,
        shown_in: "Execution | None" = None,
    ) -> "Approval":
        """Show an approval. Of the execution only what never changes has to be current.

        ``shown_in`` is the execution as it stands, if it is shown already.
        """
        return cls(
            shown_in=shown_in,
            id=strawberry.ID(str(approval.id)),
            execution_id=strawberry.ID(str(execution.id)),
            workflow=execution.workflow,
            **_view(execution, approval),
        )


@strawberry.type(description="An approval as it was. It has no id, so no cache takes it for now.")
class ApprovalSnapshot(ApprovalView):
    @classmethod
    def of(
        cls, execution: state.Execution, approval: approval_state.Approval
    ) -> "ApprovalSnapshot":
        """Show an approval of a past execution."""
        return cls(**_view(execution, approval))


@strawberry.type(description="An approval in a page.")
class ApprovalEdge:
    cursor: str
    node: Approval


@strawberry.type(description="A page of approvals, true of the log up to its position.")
class ApprovalConnection:
    edges: list[ApprovalEdge]
    page_info: PageInfo
    counted: strawberry.Private[Callable[[], Awaitable[int | None]]]
    stands_at: strawberry.Private[Callable[[], Awaitable[int]]]

    @strawberry.field(description="Exact to 10,000, null above.")
    async def total_count(self) -> int | None:
        return await self.counted()

    @strawberry.field(description="A subscription from here misses nothing and repeats nothing.")
    async def position(self) -> str:
        return str(await self.stands_at())
