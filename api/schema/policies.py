"""Policies: who must agree to an approval."""

from collections.abc import Iterable
from datetime import timedelta

import strawberry

from api.schema.enums import ExpiryAction
from domain.approvals import policy as approval_policy


@strawberry.type(description="A number of different people out of any of these groups and users.")
class Requirement:
    count: int
    groups: list[str]
    users: list[str]
    stage: int = strawberry.field(
        description="These people are asked when all requirements of lower stages are met."
    )

    @classmethod
    def of_all(cls, requirements: Iterable[approval_policy.Requirement]) -> list["Requirement"]:
        """Make the GraphQL types of requirements."""
        return [
            cls(count=r.count, groups=list(r.groups), users=list(r.users), stage=r.stage)
            for r in requirements
        ]


@strawberry.type(description="Who must agree, and how many rejections reject.")
class ApprovalPolicy:
    requirements: list[Requirement] = strawberry.field(
        description="All of them must be met, by different people."
    )
    rejections: int = strawberry.field(
        description="The number of rejections that reject the approval."
    )
    allow_initiator: bool
    on_expiry: ExpiryAction
    escalate_to: list[str]
    within: timedelta | None = strawberry.field(
        description="The time from the request to the deadline; null: the request gave a deadline, "
        "or there is none."
    )
    calendar: str | None = strawberry.field(
        description="The calendar in whose working time within and remindBefore count; null: every "
        "hour counts."
    )
    remind_before: list[timedelta] = strawberry.field(
        description="How long before the deadline people are reminded, the longest first."
    )
    valid_for: timedelta | None = strawberry.field(
        description="How long after the grant it can be redeemed; null: without end."
    )
    amendable: bool = strawberry.field(description="Whether a grant may amend the payload.")
    comment_required: bool = strawberry.field(description="Whether a grant needs a comment.")
    acr_values: list[str] = strawberry.field(
        description="The login of who decides must have one of these strengths (acr, see RFC 9470);"
        " empty: any login."
    )
    max_auth_age: timedelta | None = strawberry.field(
        description="How old that login may be at the decision; null: as old as it is."
    )

    @classmethod
    def of(cls, policy: approval_policy.Policy) -> "ApprovalPolicy":
        """Make the GraphQL type of a policy."""
        return cls(
            requirements=Requirement.of_all(policy.requirements),
            rejections=policy.rejections,
            allow_initiator=policy.allow_initiator,
            on_expiry=policy.on_expiry,
            escalate_to=list(policy.escalate_to),
            within=policy.within,
            calendar=policy.calendar,
            remind_before=list(policy.remind_before),
            valid_for=policy.valid_for,
            amendable=policy.amendable,
            comment_required=policy.comment_required,
            acr_values=list(policy.acr_values),
            max_auth_age=policy.max_auth_age,
        )
