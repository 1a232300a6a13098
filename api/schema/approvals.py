"""The fields of an approval, and snapshots. Current approvals are in :mod:`api.schema.nodes`."""

from datetime import datetime
from typing import Any

import strawberry

from api.schema.enums import ApprovalStatus, ResolutionCause, Verdict
from api.schema.people import Actor
from api.schema.policies import ApprovalPolicy, Requirement
from api.schema.scalars import JSON
from domain.approvals import quorum
from domain.approvals import state as approval_state
from domain.approvals.document import document_of
from domain.execution import state


@strawberry.type(description="The decision of one person.")
class Decision:
    verdict: Verdict
    by: Actor
    on_behalf_of: Actor | None
    at: datetime
    comment: str | None
    answers: JSON | None
    digest: str = strawberry.field(description="The digest of the document that this person saw.")
    rule: str = strawberry.field(description="Why this person was eligible at that moment.")

    @classmethod
    def of(cls, decision: approval_state.Decision) -> "Decision":
        """Make the GraphQL type of a decision."""
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


@strawberry.type(description="Whether the viewer may decide, and the reasons if not.")
class Eligibility:
    allowed: bool
    reasons: list[str]


@strawberry.interface(description="A request for approval by people.")
class ApprovalView:
    of_execution: strawberry.Private[state.Execution]
    of_approval: strawberry.Private[approval_state.Approval]
    key: str
    round: int = strawberry.field(
        description="1, and one more for each request with the same key after a retry."
    )
    title: str | None
    description: str | None
    payload: JSON | None = strawberry.field(
        description="What will be done if the approval is granted."
    )
    payload_digest: str
    digest: str = strawberry.field(
        description="The digest of the document. Decisions must name it."
    )
    form: JSON | None
    erased: bool = strawberry.field(description="Whether the texts that people wrote were erased.")
    status: ApprovalStatus
    resolution: ResolutionCause | None
    requested_at: datetime
    deadline: datetime | None
    resolved_at: datetime | None
    redeemed_at: datetime | None

    @strawberry.field(description="Everything that an approver is shown.")
    def document(self) -> JSON | None:
        return JSON(document_of(self.of_execution, self.of_approval))

    @strawberry.field
    def policy(self) -> ApprovalPolicy:
        return ApprovalPolicy.of(self.of_approval.policy)

    @strawberry.field(description="All decisions, oldest first.")
    def decisions(self) -> list[Decision]:
        return [Decision.of(decision) for decision in self.of_approval.decisions]

    @strawberry.field(
        description="The requirements that are not met yet, each with the number of people missing."
    )
    def outstanding(self) -> list[Requirement]:
        return Requirement.of_all(quorum.outstanding(self.of_approval))


def approval_fields(
    execution: state.Execution, approval: approval_state.Approval
) -> dict[str, Any]:
    """Return the fields of an approval that need no resolver."""
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


@strawberry.type(
    description="An approval as it was at an earlier version. It has no id, so that no cache "
    "takes it for the current one."
)
class ApprovalSnapshot(ApprovalView):
    @classmethod
    def of(
        cls, execution: state.Execution, approval: approval_state.Approval
    ) -> "ApprovalSnapshot":
        """Make the GraphQL type of an approval in an execution at an earlier version."""
        return cls(**approval_fields(execution, approval))
