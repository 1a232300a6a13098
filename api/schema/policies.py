"""Policies: who must agree to an approval."""

from collections.abc import Iterable

import strawberry

from api.schema.enums import ExpiryAction
from domain.approvals import policy as approval_policy


@strawberry.type(description="A number of different people out of any of these groups and users.")
class Requirement:
    count: int
    groups: list[str]
    users: list[str]

    @classmethod
    def of_all(cls, requirements: Iterable[approval_policy.Requirement]) -> list["Requirement"]:
        """Make the GraphQL types of requirements."""
        return [
            cls(count=r.count, groups=list(r.groups), users=list(r.users)) for r in requirements
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

    @classmethod
    def of(cls, policy: approval_policy.Policy) -> "ApprovalPolicy":
        """Make the GraphQL type of a policy."""
        return cls(
            requirements=Requirement.of_all(policy.requirements),
            rejections=policy.rejections,
            allow_initiator=policy.allow_initiator,
            on_expiry=policy.on_expiry,
            escalate_to=list(policy.escalate_to),
        )
