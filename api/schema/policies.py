"""Policies: who has to agree."""

from collections.abc import Iterable

import strawberry

from api.schema.enums import ExpiryAction
from domain.approvals import policy as domain_policy


@strawberry.type(description="People who are needed, out of any of the groups or users.")
class Requirement:
    count: int
    groups: list[str]
    users: list[str]

    @classmethod
    def of_all(cls, requirements: Iterable[domain_policy.Requirement]) -> list["Requirement"]:
        """Show requirements."""
        return [
            cls(count=r.count, groups=list(r.groups), users=list(r.users)) for r in requirements
        ]


@strawberry.type(description="Who has to agree, and how many may say no.")
class ApprovalPolicy:
    requirements: list[Requirement] = strawberry.field(
        description="All must be met, by distinct people."
    )
    rejections: int = strawberry.field(description="This many rejections reject.")
    allow_initiator: bool
    on_expiry: ExpiryAction
    escalate_to: list[str]

    @classmethod
    def of(cls, policy: domain_policy.Policy) -> "ApprovalPolicy":
        """Show a policy."""
        return cls(
            requirements=Requirement.of_all(policy.requirements),
            rejections=policy.rejections,
            allow_initiator=policy.allow_initiator,
            on_expiry=policy.on_expiry,
            escalate_to=list(policy.escalate_to),
        )
