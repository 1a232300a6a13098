"""What an approval shows, and approvals as they were. How they stand: :mod:`api.schema.nodes`."""

from datetime import datetime
from typing import Any

import strawberry

from api.schema.enums import ApprovalStatus, ResolutionCause, Verdict
from api.schema.people import Actor
from api.schema.policies import ApprovalPolicy, Requirement
from api.schema.scalars import JSON
from domain.approvals import quorum
from domain.approvals.document import document_of
from domain.execution import state


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
    def of(cls, decision: state.Decision) -> "Decision":
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
    of_approval: strawberry.Private[state.Approval]
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


def approval_fields(execution: state.Execution, approval: state.Approval) -> dict[str, Any]:
    """Return what an approval shows without a resolver."""
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


@strawberry.type(description="An approval as it was. It has no id, so no cache takes it for now.")
class ApprovalSnapshot(ApprovalView):
    @classmethod
    def of(cls, execution: state.Execution, approval: state.Approval) -> "ApprovalSnapshot":
        """Show an approval of a past execution."""
        return cls(**approval_fields(execution, approval))
