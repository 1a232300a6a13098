"""Inputs of workers' commands about approvals, and of the policies that these have."""

from datetime import datetime, timedelta

import strawberry

from api.schema.enums import ExpiryAction
from api.schema.ids import approval_id_of, execution_id_of
from api.schema.scalars import JSON
from domain import values
from domain.approvals import commands
from domain.approvals import policy as approval_policy


@strawberry.input(
    description="A number of people out of these groups and users. At least one must be given."
)
class RequirementInput:
    count: int | None = strawberry.field(
        default=1, description="The number of different people who must agree. Null means 1."
    )
    groups: list[str] | None = strawberry.field(
        default=None, description="Groups whose members can agree. Names are compared exactly."
    )
    users: list[str] | None = strawberry.field(
        default=None, description="Ids of people who can agree. They are compared exactly."
    )

    stage: int | None = strawberry.field(
        default=1,
        description="These people are asked when all requirements of lower stages are met. Stages "
        "count from 1 without a gap. Null means 1.",
    )

    def value_of(self) -> approval_policy.Requirement:
        """Make the domain's value."""
        return approval_policy.Requirement(
            count=1 if self.count is None else self.count,
            groups=tuple(self.groups or ()),
            users=tuple(self.users or ()),
            stage=1 if self.stage is None else self.stage,
        )


@strawberry.input(description="Who must agree.")
class ApprovalPolicyInput:
    requirements: list[RequirementInput] = strawberry.field(
        description="All of them must be met, by different people; from 1 to 20."
    )
    rejections: int | None = strawberry.field(
        default=1, description="The number of rejections that reject the approval. Null means 1."
    )
    allow_initiator: bool | None = strawberry.field(
        default=False,
        description="Whether the people who started the execution, for whom it was started, and "
        "who requested the approval may decide too. Null means false.",
    )
    on_expiry: ExpiryAction | None = strawberry.field(
        default=ExpiryAction.REJECT,
        description="What happens at the deadline. Null means REJECT.",
    )
    escalate_to: list[str] | None = strawberry.field(
        default=None,
        description="Groups that may decide too after the deadline. Only with onExpiry ESCALATE, "
        "which needs them.",
    )

    within: timedelta | None = strawberry.field(
        default=None,
        description="The time from the request to the deadline. Not together with deadline.",
    )
    calendar: str | None = strawberry.field(
        default=None,
        description="A calendar of the server. within and remindBefore then count only its "
        "working time. Null: every hour counts.",
    )
    remind_before: list[timedelta] | None = strawberry.field(
        default=None,
        description="How long before the deadline to remind those who have not decided; at most "
        "10 times.",
    )
    valid_for: timedelta | None = strawberry.field(
        default=None,
        description="How long after the grant it can be redeemed. Later it is LAPSED. Null: "
        "without end.",
    )
    amendable: bool | None = strawberry.field(
        default=False, description="Whether a grant may amend the payload. Null means false."
    )
    comment_required: bool | None = strawberry.field(
        default=False, description="Whether a grant needs a comment. Null means false."
    )
    acr_values: list[str] | None = strawberry.field(
        default=None,
        description="The login of who decides must have one of these strengths (acr, see RFC 9470),"
        " else STEP_UP_REQUIRED. An API key has none. Not together with onExpiry GRANT.",
    )
    max_auth_age: timedelta | None = strawberry.field(
        default=None,
        description="How old that login may be at the decision, else STEP_UP_REQUIRED. Not together"
        " with onExpiry GRANT. Null: as old as it is.",
    )

    def value_of(self) -> approval_policy.Policy:
        """Make the domain's value."""
        return approval_policy.Policy(
            requirements=tuple(r.value_of() for r in self.requirements),
            rejections=1 if self.rejections is None else self.rejections,
            allow_initiator=bool(self.allow_initiator),
            on_expiry=self.on_expiry or ExpiryAction.REJECT,
            escalate_to=tuple(self.escalate_to or ()),
            within=self.within,
            calendar=self.calendar,
            remind_before=tuple(sorted(set(self.remind_before or ()), reverse=True)),
            valid_for=self.valid_for,
            amendable=bool(self.amendable),
            comment_required=bool(self.comment_required),
            acr_values=tuple(self.acr_values or ()),
            max_auth_age=self.max_auth_age,
        )


@strawberry.input(description="The approval to request.")
class RequestApprovalInput:
    execution_id: strawberry.ID = strawberry.field(description="The id of the execution.")
    fence: int | None = strawberry.field(
        default=None,
        description="The fence of the worker's claim; null if the execution was never claimed.",
    )
    key: str = strawberry.field(
        description="The key of the approval, unique in the execution. A repeat with the same "
        "content requests nothing new."
    )
    title: str = strawberry.field(description="What is to be decided, in at most 500 characters.")
    description: str | None = strawberry.field(
        default=None, description="More about it, in at most 10,000 characters."
    )
    payload: JSON = strawberry.field(
        description="What will be done if the approval is granted, at most 256 KiB of JSON."
    )
    form: JSON | None = strawberry.field(
        default=None,
        description="What those who grant have to answer: a JSON Schema 2020-12 of at most 64 KiB. "
        "Its references stay within it and are not recursive, and its patterns have no look-around "
        "and no back-references. Not together with onExpiry GRANT.",
    )
    policy: ApprovalPolicyInput = strawberry.field(description="Who must agree.")
    deadline: datetime | None = strawberry.field(
        default=None,
        description="Until when people can decide. Not together with policy.within.",
    )

    def command(self, by: values.Principal) -> commands.RequestApproval:
        """Make the command."""
        return commands.RequestApproval(
            by=by,
            execution_id=execution_id_of(self.execution_id),
            fence=self.fence,
            key=self.key,
            title=self.title,
            description=self.description,
            payload=self.payload,
            form=self.form,
            policy=self.policy.value_of(),
            deadline=self.deadline,
        )


@strawberry.input(description="Withdraws a request for approval.")
class WithdrawalInput:
    approval_id: strawberry.ID = strawberry.field(description="The id of the approval.")
    fence: int | None = strawberry.field(
        default=None,
        description="The fence of the worker's claim; null if the execution was never claimed.",
    )
    reason: str = strawberry.field(description="Why the request is withdrawn.")

    def command(self, by: values.Principal) -> commands.WithdrawApproval:
        """Make the command."""
        approval_id = approval_id_of(self.approval_id)
        return commands.WithdrawApproval(
            by=by,
            execution_id=approval_id.execution_id,
            ordinal=approval_id.ordinal,
            fence=self.fence,
            reason=self.reason,
        )


@strawberry.input(
    description="Redeems a granted approval, just before its payload is carried out. This works "
    "once."
)
class RedemptionInput:
    approval_id: strawberry.ID = strawberry.field(description="The id of the approval.")
    fence: int | None = strawberry.field(
        default=None,
        description="The fence of the worker's claim; null if the execution was never claimed.",
    )
    payload_digest: str = strawberry.field(
        description="The digest of the payload that is about to be carried out. It must be the "
        "one that was granted."
    )
    redemption_key: str = strawberry.field(
        description="A key of the caller's choice. A repeat with the same key is accepted, "
        "another key is refused with ALREADY_REDEEMED."
    )

    def command(self, by: values.Principal) -> commands.RedeemApproval:
        """Make the command."""
        approval_id = approval_id_of(self.approval_id)
        return commands.RedeemApproval(
            by=by,
            execution_id=approval_id.execution_id,
            ordinal=approval_id.ordinal,
            fence=self.fence,
            payload_digest=self.payload_digest,
            redemption_key=self.redemption_key,
        )
