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
}
_REDEEMED = "It is used up. If it was you who redeemed it, call report_outcome when you have acted."


class DecisionState(BaseModel):
    """What one person decided."""

    verdict: str = Field(description="GRANTED or REJECTED")
    by: str = Field(description="Who decided")
    comment: str | None = Field(description="Why")


class ApprovalState(BaseModel):
    """An approval as it is now."""

    approval_id: str
    status: str = Field(description="PENDING, GRANTED, REJECTED, EXPIRED or WITHDRAWN")
    redeemed: bool = Field(description="Whether it has been used")
    title: str | None
    payload: Any = Field(description="What people see, and what may be done once it is granted")
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
            missing=[
                f"{each.count} of {', '.join((*each.groups, *each.users))}"
                for each in approval.outstanding
            ],
            decisions=[
                DecisionState(verdict=each.verdict, by=each.by.id, comment=each.comment)
                for each in approval.decisions
            ],
            next=_REDEEMED if redeemed else _NEXT[approval.status],
        )


class Redemption(BaseModel):
    """Whether to act now."""

    act: bool = Field(description="True: do now exactly what the payload says, once")
    result: Any = Field(description="What was reported, where it had been done before")
    next: str = Field(description="What to do now")


class Report(BaseModel):
    """What was recorded of an action."""

    outcome: str = Field(description="done or failed")
    next: str = Field(description="What to do now")
