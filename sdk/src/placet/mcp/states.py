"""What the tools return: the state, and a sentence that says what to do next."""

from typing import Any

from pydantic import BaseModel, Field

from placet.models.enums import ApprovalStatus
from placet.models.responses import ApprovalRecord

_NEXT = {
    ApprovalStatus.PENDING: "People have not decided. Call await_approval; do not act yet.",
    ApprovalStatus.GRANTED: "Call redeem_approval with exactly this payload, then act.",
    ApprovalStatus.REJECTED: "Do not act. The decisions say why.",
    ApprovalStatus.EXPIRED: "Do not act. Nobody decided in time.",
    ApprovalStatus.WITHDRAWN: "Do not act. The request was taken back.",
    ApprovalStatus.CHANGES_REQUESTED: (
        "Do not act. The decisions say what people want changed. Change the payload, and call"
        " request_approval again, with the same key if you gave one."
    ),
    ApprovalStatus.REVOKED: "Do not act. The grant was taken back.",
}
_AMENDED = (
    "People granted it with changes. Call redeem_approval with exactly this payload, which is not"
    " the one that you asked for, then act on it."
)
_REDEEMED = "It is used up. If it was you who redeemed it, call report_outcome when you have acted."


class DecisionState(BaseModel):
    """What one person decided."""

    verdict: str = Field(description="GRANTED, REJECTED or CHANGES_REQUESTED")
    by: str = Field(description="Who decided")
    comment: str | None = Field(description="Why")
    answers: Any = Field(description="What they answered to the form, if you gave one")


class ApprovalState(BaseModel):
    """An approval as it is now."""

    approval_id: str
    status: str = Field(
        description="PENDING, GRANTED, REJECTED, CHANGES_REQUESTED, EXPIRED, WITHDRAWN or REVOKED"
    )
    redeemed: bool = Field(description="Whether it has been used")
    title: str | None
    payload: Any = Field(description="What people see, and what may be done once it is granted")
    amended_by: list[str] = Field(
        description="Who changed the payload. If anybody did, it is not the one that you asked for"
    )
    missing: list[str] = Field(description="Who has to agree still")
    decisions: list[DecisionState]
    next: str = Field(description="What to do now")

    @classmethod
    def of(cls, approval: ApprovalRecord) -> "ApprovalState":
        """Return the state of an approval."""
        redeemed = approval.redeemed_at is not None
        return cls(
            approval_id=approval.id,
            status=approval.status,
            redeemed=redeemed,
            title=approval.title,
            payload=approval.payload,
            amended_by=[each.by.id for each in approval.amendments],
            missing=[
                f"{each.count} of {', '.join((*each.groups, *each.users))}"
                for each in approval.outstanding
            ],
            decisions=[
                DecisionState(
                    verdict=each.verdict,
                    by=each.by.id,
                    comment=each.comment,
                    answers=each.answers,
                )
                for each in approval.decisions
            ],
            next=_REDEEMED if redeemed else _next(approval),
        )


def _next(approval: ApprovalRecord) -> str:
    if approval.status is ApprovalStatus.GRANTED and approval.amendments:
        return _AMENDED
    return _NEXT[approval.status]


class Redemption(BaseModel):
    """Whether to act now."""

    act: bool = Field(description="True: do now exactly what the payload says, once")
    result: Any = Field(description="What was reported, where it had been done before")
    next: str = Field(description="What to do now")


class Report(BaseModel):
    """What was recorded of an action."""

    outcome: str = Field(description="done or failed")
    next: str = Field(description="What to do now")
