"""The fields of an approval, and snapshots. Current approvals are in :mod:`api.schema.nodes`."""

from datetime import datetime
from typing import Any

import strawberry

from api.schema.enums import ApprovalStatus, ResolutionCause, Verdict
from api.schema.people import Actor
from api.schema.policies import ApprovalPolicy, Requirement
from api.schema.scalars import JSON
from domain.approvals import eligibility, quorum
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
    answers: JSON | None = strawberry.field(description="A grant's answers to the approval's form.")
    digest: str = strawberry.field(
        description="The digest of the document that this person saw; of a grant that amends it, "
        "that of the amended document."
    )
    rule: str = strawberry.field(description="Why this person was eligible at that moment.")
    explanation: str = strawberry.field(
        description="The rule in words, with the groups that the person held at that moment."
    )
    counts: bool = strawberry.field(
        description="Whether it counts. It does not if it was taken back, and a grant does not if "
        "the payload was amended since."
    )
    retracted_at: datetime | None = strawberry.field(description="When it was taken back.")
    standing_grant_id: strawberry.ID | None = strawberry.field(
        description="The id of the standing grant by which this person decided in advance."
    )
    as_substitute: bool = strawberry.field(
        description="Whether this person decided as the substitute of onBehalfOf, who was absent."
    )

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
            explanation=eligibility.explanation(decision),
            counts=decision.counts,
            retracted_at=decision.retracted_at,
            standing_grant_id=None
            if decision.standing_grant_id is None
            else strawberry.ID(str(decision.standing_grant_id)),
            as_substitute=decision.substitution is not None,
        )


@strawberry.type(description="A change of the payload, by a person who granted it so.")
class Amendment:
    by: Actor
    at: datetime
    patch: JSON | None = strawberry.field(
        description="The JSON Patch (RFC 6902) from the payload before to the one after."
    )
    payload_digest: str = strawberry.field(description="The digest of the payload after it.")

    @classmethod
    def of(cls, amendment: approval_state.Amendment) -> "Amendment":
        """Make the GraphQL type of an amendment."""
        return cls(
            by=Actor.of(amendment.by),
            at=amendment.at,
            patch=amendment.patch,
            payload_digest=amendment.payload_digest,
        )


@strawberry.type(description="The right to decide, handed from one person to another.")
class Delegation:
    from_: Actor = strawberry.field(name="from")
    to: Actor
    at: datetime
    comment: str | None
    taken_back_at: datetime | None

    @classmethod
    def of(cls, delegation: approval_state.Delegation) -> "Delegation":
        """Make the GraphQL type of a delegation."""
        return cls(
            from_=Actor.of(delegation.by),
            to=Actor.of(delegation.to),
            at=delegation.at,
            comment=delegation.comment,
            taken_back_at=delegation.taken_back_at,
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
        description="1, and one more each time the key is requested anew: after a retry, or after "
        "changes were requested, or when the grant was revoked or has lapsed."
    )
    title: str | None
    description: str | None
    payload: JSON | None = strawberry.field(
        description="What will be done if the approval is granted, with all amendments."
    )
    payload_digest: str
    digest: str = strawberry.field(
        description="The digest of the document. Decisions must name it."
    )
    form: JSON | None = strawberry.field(
        description="What those who grant have to answer, as JSON Schema; null if nothing is asked."
    )
    erased: bool = strawberry.field(description="Whether the texts that people wrote were erased.")
    status: ApprovalStatus
    resolution: ResolutionCause | None
    requested_at: datetime
    deadline: datetime | None = strawberry.field(
        description="Until when people can decide, after an escalation the moved one. The document "
        "keeps the first."
    )
    resolved_at: datetime | None
    redeemed_at: datetime | None
    valid_until: datetime | None = strawberry.field(
        description="Until when the grant can be redeemed; null if it is not granted, or if the "
        "policy sets no end."
    )
    reminders_sent: int
    escalated_at: datetime | None
    comment_count: int

    @strawberry.field(description="Everything that an approver is shown.")
    def document(self) -> JSON | None:
        return JSON(document_of(self.of_execution, self.of_approval))

    @strawberry.field
    def policy(self) -> ApprovalPolicy:
        return ApprovalPolicy.of(self.of_approval.policy)

    @strawberry.field(description="All decisions, oldest first.")
    def decisions(self) -> list[Decision]:
        return [Decision.of(decision) for decision in self.of_approval.decisions]

    @strawberry.field(description="All amendments of the payload, oldest first.")
    def amendments(self) -> list[Amendment]:
        return [Amendment.of(amendment) for amendment in self.of_approval.amendments]

    @strawberry.field(description="All delegations, oldest first.")
    def delegations(self) -> list[Delegation]:
        return [Delegation.of(delegation) for delegation in self.of_approval.delegations]

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
        "deadline": approval.current_deadline,
        "reminders_sent": approval.reminders_sent,
        "escalated_at": approval.escalated_at,
        "resolved_at": approval.resolved_at,
        "redeemed_at": approval.redeemed_at,
        "valid_until": approval.valid_until,
        "comment_count": len(approval.comments),
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
